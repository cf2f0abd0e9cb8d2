//! The laws of the semaphore programs' transcripts. A person tells of the room while having it, so at any
//! speed the transcript is a history of the rooms.

use shared::demo::laws;
use shared::demo::transcript::{Transcript, repeat, run};
use std::collections::BTreeSet;
use std::time::Duration;

const KTV: &str = env!("CARGO_BIN_EXE_ktv_semaphore");
const VALUE: &str = env!("CARGO_BIN_EXE_semaphore_value");

/// Everybody goes in once and comes out once, and never are more inside than there are rooms. Returns the
/// most that were.
#[track_caller]
fn a_lawful_evening(transcript: &Transcript, rooms: usize, people: usize) -> usize {
    assert_eq!((transcript.status, transcript.complaints()), (0, vec![]), "{transcript:#?}");
    let (mut inside, mut been, mut most) = (BTreeSet::new(), BTreeSet::new(), 0);
    for line in &transcript.lines {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["person", who, "into", "the", "KTV"] => {
                assert!(!been.contains(who) && inside.insert(who), "{who} is in again: {transcript:#?}");
                assert!(inside.len() <= rooms, "{inside:?} are inside: {transcript:#?}");
                most = most.max(inside.len());
            }
            ["person", who, "out", "of", "the", "KTV"] => {
                assert!(inside.remove(who) && been.insert(who), "{who} was not in: {transcript:#?}");
            }
            _ => panic!("{line:?} in {transcript:#?}"),
        }
    }
    let everybody: BTreeSet<_> = (0..people).map(|who| who.to_string()).collect();
    assert!(been.iter().copied().eq(everybody.iter().map(String::as_str)), "{transcript:#?}");
    most
}

#[test]
fn never_are_more_inside_than_there_are_rooms_at_any_speed() {
    for scale in ["0.01", "0"] {
        for (rooms, people) in [("4", "10"), ("2", "10"), ("1", "5"), ("9", "3"), ("3", "40")] {
            let arguments = ["--time-scale", scale, "--rooms", rooms, "--people", people];
            let (rooms, people) = (rooms.parse().expect("a number"), people.parse().expect("a number"));
            repeat(|| run(KTV, &arguments), |transcript| _ = a_lawful_evening(&transcript, rooms, people));
        }
    }
    repeat(|| run(KTV, &["--time-scale", "0"]), |transcript| _ = a_lawful_evening(&transcript, 4, 10));
}

/// This rests on pauses: ten who stay two seconds each, of the story, fill four rooms two and a half times.
#[test]
fn all_rooms_are_used() {
    let arguments = ["--time-scale", "0.2", "--min-stay", "2", "--max-stay", "2"];
    repeat(
        || run(KTV, &arguments),
        |transcript| {
            assert_eq!(a_lawful_evening(&transcript, 4, 10), 4, "{transcript:#?}");
            let stay = Duration::from_millis(400);
            assert!((3 * stay..10 * stay).contains(&transcript.took), "{transcript:#?}");
        },
    );
}

#[test]
fn a_seed_is_shown_unless_it_is_given() {
    let drawn = run(KTV, &["--time-scale", "0"]).expect_success();
    let seed = drawn.errors.trim().strip_prefix("seed ").unwrap_or_else(|| panic!("{drawn:#?}"));
    assert_eq!(run(KTV, &["--time-scale", "0", "--seed", seed]).expect_success().errors, "");
}

#[test]
fn the_number_goes_down_and_up_again() {
    for scale in ["1", "0"] {
        repeat(
            || run(VALUE, &["--time-scale", scale]),
            |transcript| {
                let transcript = transcript.expect_success();
                assert_eq!(transcript.lines, ["3", "1", "0", "false", "1"], "{transcript:#?}");
                assert_eq!(transcript.errors, "");
            },
        );
    }
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in [KTV, VALUE] {
        laws::refuses_nonsense(program);
    }
    laws::refuses(VALUE, "--seed", &["1"]); // nothing is drawn here
    laws::refuses(KTV, "--rooms", &["0", "-1", "many", "1.5", "65536", "99999999999"]);
    laws::refuses(KTV, "--people", &["0", "-1", "many", "1.5", "100000"]);
    laws::refuses(KTV, "--max-stay", &["-1", "soon", "NaN", "99999999999"]);
    laws::refuses(KTV, "--min-stay", &["-1", "soon", "NaN", "99999999999"]);
    // A stay that ends before it begins: of the default 1 and 4 the other one.
    laws::refuses(KTV, "--min-stay", &["5"]);
    laws::refuses(KTV, "--max-stay", &["0"]);
}

#[test]
fn a_refused_fork_is_one_clear_line_and_nobody_is_left_waiting() {
    laws::tells_of_a_refused_fork(KTV, "--time-scale 0.01 --seed 1");
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    laws::ends_quietly_without_reader(KTV, &["--time-scale", "0.05"]);
    laws::ends_quietly_without_reader(VALUE, &[]);
}

#[test]
fn a_full_disk_is_one_clear_line_and_nobody_is_left_waiting() {
    laws::tells_of_a_full_disk(KTV, "--time-scale 0.01 --seed 1");
    laws::tells_of_a_full_disk(VALUE, "");
}

#[test]
fn ctrl_c_ends_everybody_inside_and_outside() {
    laws::ends_at_ctrl_c(KTV, &["--time-scale", "10"]);
    laws::ends_at_ctrl_c_at_any_moment(KTV, &["--time-scale", "10"], Duration::from_millis(20));
    laws::ends_at_ctrl_c_at_any_moment(VALUE, &[], Duration::from_millis(5));
}
