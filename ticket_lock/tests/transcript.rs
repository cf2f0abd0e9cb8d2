//! The laws of the ticket programs' transcripts, and what becomes of a spoilt ticket file.

use shared::demo::laws;
use shared::demo::transcript::{Started, Transcript, repeat, run};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

const TICKET_LOCK: &str = env!("CARGO_BIN_EXE_ticket_lock");
const OVERSOLD: &str = env!("CARGO_BIN_EXE_tickets_oversold");
const GRAB: &str = env!("CARGO_BIN_EXE_ticket_grab");
const TWO_WRITERS: &str = env!("CARGO_BIN_EXE_two_writers");
const ALL: [&str; 4] = [TICKET_LOCK, OVERSOLD, GRAB, TWO_WRITERS];
const WITH_FILE: [&str; 3] = [TICKET_LOCK, OVERSOLD, GRAB];

fn sales(transcript: &Transcript) -> usize {
    transcript.lines.iter().filter(|line| line.ends_with("purchased a ticket successfully")).count()
}

fn on_file(db: &Path, program: &str, arguments: &[&str]) -> Transcript {
    let db = db.to_str().expect("a plain path");
    run(program, &[&["--db", db], arguments].concat())
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Everybody looks, exactly as many buy as there are tickets, and nobody buys who has not looked.
fn a_lawful_sale(transcript: Transcript, people: usize, tickets: usize) {
    let transcript = transcript.expect_success();
    let mut looked = BTreeSet::new();
    let mut bought = 0;
    for line in &transcript.lines {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["Person", who, "remaining", "tickets:", count] => {
                let count: usize = count.parse().expect("a number");
                assert!(count <= tickets && count >= tickets.saturating_sub(people), "{transcript:#?}");
                assert!(looked.insert(who), "{who} looked twice: {transcript:#?}");
            }
            ["Person", who, "purchased", "a", "ticket", "successfully"] => {
                assert!(looked.contains(who), "{who} bought before looking: {transcript:#?}");
                bought += 1;
            }
            _ => panic!("{line:?} in {transcript:#?}"),
        }
    }
    assert_eq!(looked.len(), people, "{transcript:#?}");
    assert_eq!(bought, people.min(tickets), "{transcript:#?}");
}

#[test]
fn three_tickets_are_sold_to_ten_people_at_any_speed() {
    for scale in ["1", "0.01", "0"] {
        repeat(|| run(TICKET_LOCK, &["--time-scale", scale]), |transcript| a_lawful_sale(transcript, 10, 3));
    }
}

#[test]
fn no_more_tickets_are_sold_than_there_are_people() {
    let arguments = ["--time-scale", "0", "--tickets", "9", "--people", "4"];
    repeat(|| run(TICKET_LOCK, &arguments), |transcript| a_lawful_sale(transcript, 4, 9));
    let arguments = ["--time-scale", "0", "--tickets", "0", "--people", "4"];
    a_lawful_sale(run(TICKET_LOCK, &arguments), 4, 0);
}

#[test]
fn the_file_ends_at_what_is_left_and_nothing_lies_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("db");
    a_lawful_sale(on_file(&db, TICKET_LOCK, &["--time-scale", "0"]), 10, 3);
    assert_eq!(fs::read_to_string(&db).expect("readable"), r#"{"count":0}"#);

    fs::write(&db, r#"{"count": 25}"#).expect("written");
    a_lawful_sale(on_file(&db, TICKET_LOCK, &["--time-scale", "0"]), 10, 25);
    assert_eq!(fs::read_to_string(&db).expect("readable"), r#"{"count":15}"#);
    assert_eq!(listing(folder.path()), ["db"]);
}

#[test]
fn two_runs_on_one_file_never_sell_a_ticket_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("db");
    fs::write(&db, r#"{"count":7}"#).expect("written");
    let runs = std::thread::scope(|s| {
        let runs = [TICKET_LOCK, TICKET_LOCK]
            .map(|program| s.spawn(|| on_file(&db, program, &["--time-scale", "0.01", "--people", "5"])));
        runs.map(|run| run.join().expect("it ran").expect_success())
    });
    assert_eq!(runs.iter().map(sales).sum::<usize>(), 7, "{runs:#?}");
    assert_eq!(fs::read_to_string(&db).expect("readable"), r#"{"count":0}"#);
}

#[test]
fn a_second_run_waits_for_the_first_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("db");
    let first = Started::new(TICKET_LOCK, &["--db", db.to_str().expect("plain"), "--time-scale", "0.5"]);
    while !db.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = on_file(&db, TICKET_LOCK, &["--time-scale", "0"]);
    a_lawful_sale(first.finish(), 10, 3);
    assert!(second.errors.starts_with("waiting for another run on "), "{second:#?}");
    a_lawful_sale(second, 10, 0);
}

#[test]
fn without_the_lock_more_is_sold_than_there_is_and_the_file_knows_less() {
    repeat(
        || {
            let folder = tempfile::tempdir().expect("a folder");
            let db = folder.path().join("db");
            let transcript = on_file(&db, OVERSOLD, &[]).expect_success();
            let left = fs::read_to_string(&db).expect("readable");
            let left: serde_json::Value = serde_json::from_str(&left).expect("whole, even here");
            let sold_by_file = 3 - left["count"].as_u64().expect("a count");
            assert!(sales(&transcript) > 3, "{transcript:#?}");
            assert!(
                (sold_by_file as usize) < sales(&transcript),
                "{sold_by_file} by the file, {transcript:#?}"
            );
            transcript
        },
        |transcript| assert_eq!(transcript.lines.len(), 10 + sales(&transcript)),
    );
}

/// Every process checks once, then buys or is told that there is nothing left, alone.
fn a_lawful_grab(transcript: &Transcript, people: usize, tickets: usize) {
    let by = |end: &str| {
        let found = transcript.lines.iter().filter_map(|line| line.strip_suffix(end));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    let (bought, went_away) = (by(" successfully purchased"), by(" no more tickets"));
    let checks: Vec<_> = transcript
        .lines
        .iter()
        .filter_map(|line| line.split_once(" checks the remaining tickets ["))
        .collect();
    assert_eq!(bought.len(), people.min(tickets), "{transcript:#?}");
    let served: BTreeSet<_> = bought.iter().chain(&went_away).collect();
    assert_eq!(served.len(), people, "{transcript:#?}");
    assert_eq!(checks.len(), people, "{transcript:#?}");
    assert!(checks.iter().all(|(pid, _)| served.contains(&pid.to_string())), "{transcript:#?}");
}

#[test]
fn three_processes_grab_a_ticket_and_seven_go_away() {
    for scale in ["0.01", "0"] {
        let arguments = ["--time-scale", scale];
        repeat(|| run(GRAB, &arguments), |transcript| a_lawful_grab(&transcript.expect_success(), 10, 3));
    }
}

#[test]
fn with_join_each_process_checks_and_buys_before_the_next() {
    repeat(
        || run(GRAB, &["--join", "--time-scale", "0.01"]),
        |transcript| {
            let transcript = transcript.expect_success();
            a_lawful_grab(&transcript, 10, 3);
            for pair in transcript.lines.chunks(2) {
                let pids: BTreeSet<_> = pair.iter().map(|line| line.split(' ').next()).collect();
                assert_eq!(pids.len(), 1, "{transcript:#?}");
            }
        },
    );
}

#[test]
fn the_same_seed_draws_the_same_numbers() {
    let arguments = ["--join", "--time-scale", "0.05", "--people", "2", "--tickets", "2"];
    let seedless = run(GRAB, &arguments).expect_success();
    let seed = seedless.errors.trim().strip_prefix("seed ").expect("the seed is shown").to_owned();
    let seeded = run(GRAB, &[&arguments[..], &["--seed", &seed]].concat()).expect_success();
    assert_eq!(seeded.errors, "", "a given seed is not news");
}

/// Five lines of one, then five of the other.
fn two_blocks(transcript: Transcript) {
    let lines = transcript.expect_success().lines;
    let (first, second) = lines.split_at(lines.len() / 2);
    assert_eq!(first.len(), 5, "{lines:?}");
    assert!(first.iter().all(|line| line == &first[0]), "{lines:?}");
    assert!(second.iter().all(|line| line == &second[0]), "{lines:?}");
    let names = BTreeSet::from([first[0].as_str(), second[0].as_str()]);
    assert_eq!(names, BTreeSet::from(["writer1 output", "writer2 output"]));
}

#[test]
fn one_writer_finishes_before_the_other_begins() {
    for scale in ["0.01", "0"] {
        repeat(|| run(TWO_WRITERS, &["--time-scale", scale]), two_blocks);
    }
}

#[test]
fn a_spoilt_ticket_file_is_refused_in_one_line_and_left_as_it_is() {
    for (content, why) in [
        (r#"{"count":"#, "EOF"),
        ("three", "expected"),
        ("", "EOF"),
        (r#"{"tickets":3}"#, "no \"count\""),
        (r#"{"count":-1}"#, "-1"),
        (r#"{"count":1.5}"#, "1.5"),
        (r#"{"count":"three"}"#, "three"),
        ("[3]", "not an object"),
    ] {
        for program in WITH_FILE {
            let folder = tempfile::tempdir().expect("a folder");
            let db = folder.path().join("db");
            fs::write(&db, content).expect("written");
            let refused = on_file(&db, program, &[]).expect_failure(1);
            assert!(refused.errors.contains(db.to_str().expect("plain")), "{refused:#?}");
            assert!(refused.errors.contains(why), "{content}: {refused:#?}");
            assert_eq!(refused.lines, Vec::<String>::new());
            assert_eq!(fs::read_to_string(&db).expect("readable"), content);
            assert_eq!(listing(folder.path()), ["db"]);
        }
    }
}

#[test]
fn a_folder_is_no_ticket_file_and_neither_is_a_file_in_no_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    for program in WITH_FILE {
        let refused = on_file(folder.path(), program, &[]).expect_failure(1);
        assert!(refused.errors.contains("directory"), "{refused:#?}");
        let nowhere = folder.path().join("no").join("db");
        let refused = on_file(&nowhere, program, &[]).expect_failure(1);
        assert!(refused.errors.contains(nowhere.to_str().expect("plain")), "{refused:#?}");
    }
}

#[test]
fn a_file_spoilt_during_the_run_ends_it_with_one_line_and_nobody_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("db");
    let mut started =
        Started::new(TICKET_LOCK, &["--db", db.to_str().expect("plain"), "--time-scale", "0.2"]);
    let mut first = String::new();
    let mut reader = BufReader::new(started.take_stdout());
    reader.read_line(&mut first).expect("somebody looks");
    fs::write(&db, "spoilt").expect("written");
    let failed = started.finish().expect_failure(1);
    assert!(failed.errors.contains("not a ticket file"), "{failed:#?}");
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in ALL {
        laws::refuses_nonsense(program);
    }
    for program in WITH_FILE {
        laws::refuses(program, "--people", &["0", "-3", "many", "100000"]);
        laws::refuses(program, "--tickets", &["-1"]);
    }
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    for program in ALL {
        laws::ends_quietly_without_reader(program, &["--time-scale", "0.05"]);
    }
}

#[test]
fn a_full_disk_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in [TICKET_LOCK, OVERSOLD, TWO_WRITERS] {
        laws::tells_of_a_full_disk(program, "--time-scale 0.01");
    }
    laws::tells_of_a_full_disk(GRAB, "--time-scale 0.01 --seed 1");
}

#[test]
fn ctrl_c_ends_everybody_and_removes_the_private_folder() {
    for program in ALL {
        laws::ends_at_ctrl_c(program, &["--time-scale", "0.5"]);
    }
}
