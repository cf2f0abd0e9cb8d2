//! The laws of the threads' transcripts. Those that rest on a pause hold at scale 1 only.

use jiff::civil::DateTime;
use nix::sys::signal::Signal;
use shared::demo::laws;
use shared::demo::transcript::{Started, Transcript, repeat, run};
use std::io::{BufRead, BufReader};
use std::thread;
use std::time::Duration;

const THREADS: &str = env!("CARGO_BIN_EXE_threads");
const ATTRIBUTES: &str = env!("CARGO_BIN_EXE_thread_attributes");
const ORDER: &str = env!("CARGO_BIN_EXE_thread_order");
const DAEMON: &str = env!("CARGO_BIN_EXE_thread_daemon");
const SIGNALS: &str = env!("CARGO_BIN_EXE_signals");
const ALL: [&str; 5] = [THREADS, ATTRIBUTES, ORDER, DAEMON, SIGNALS];
const SCALES: [&str; 3] = ["1", "0.01", "0"];

const WAITING: &str = "waiting for a signal";
const CLOCK: &str = "Receive clock signal";
const CTRL_C: &str = "It doesn't end a little bit ~";

/// A few runs at each scale.
fn at_all_scales(program: &str, arguments: &[&str], law: impl Fn(Transcript, &str) + Sync) {
    for scale in SCALES {
        let arguments = [arguments, &["--time-scale", scale]].concat();
        repeat(
            || run(program, &arguments),
            |transcript| {
                let transcript = transcript.expect_success();
                assert_eq!(transcript.errors, "");
                law(transcript, scale);
            },
        );
    }
}

#[test]
fn a_song_is_played_twice_three_seconds_apart() {
    at_all_scales(THREADS, &[], |transcript, scale| {
        let dates: Vec<_> = transcript
            .lines
            .iter()
            .map(|line| {
                let date = line.strip_prefix("Playing calories: ").expect("the song");
                DateTime::strptime("%a %b %e %H:%M:%S %Y", date).expect("a date")
            })
            .collect();
        let &[first, second] = &dates[..] else { panic!("{transcript:#?}") };
        let apart = first.until(second).expect("later").get_seconds();
        if scale == "1" {
            assert!((3..=5).contains(&apart), "{transcript:#?}"); // whole seconds of a busy machine
            assert!(transcript.took >= Duration::from_secs(6));
        } else {
            assert!((0..=2).contains(&apart), "{transcript:#?}");
        }
    });
}

#[test]
fn the_date_is_local_and_padded_as_ctime_has_it() {
    let in_zone = |zone: &str| {
        let arguments = ["--time-scale", "0"];
        let transcript = Started::with_env(THREADS, &arguments, &[("TZ", zone)]).finish().expect_success();
        let date = transcript.lines[0].strip_prefix("Playing calories: ").expect("the song").to_owned();
        assert_eq!(date.len(), "Sat Nov 21 12:34:56 2026".len(), "{date}");
        DateTime::strptime("%a %b %e %H:%M:%S %Y", date).expect("a date")
    };
    let apart = in_zone("UTC0").until(in_zone("EAST-5")).expect("later");
    assert_eq!(apart.get_hours(), 5);
}

#[test]
fn a_thread_has_its_name_and_its_life() {
    at_all_scales(ATTRIBUTES, &[], |transcript, scale| {
        let lines: Vec<_> = transcript.lines.iter().map(String::as_str).collect();
        assert_eq!(lines[..2], ["Thread-1", "worker false false"], "{transcript:#?}");
        assert_eq!((lines.len(), lines[4]), (5, "worker false"), "{transcript:#?}");
        transcript.position("running in worker");
        if scale == "1" {
            transcript.position("worker true main");
            assert!(transcript.took >= Duration::from_secs(1));
        } else {
            assert_eq!(transcript.count("worker true main") + transcript.count("worker false main"), 1);
        }
    });
}

#[test]
fn b_comes_after_a_at_any_speed() {
    at_all_scales(ORDER, &[], |transcript, _| {
        assert_eq!(transcript.lines, ["A done", "B after A"], "{transcript:#?}");
    });
}

#[test]
fn the_worker_outlives_main_and_the_daemon_does_not() {
    at_all_scales(DAEMON, &[], |transcript, scale| {
        if scale == "1" {
            assert_eq!(transcript.lines, ["worker begins", "daemon begins", "main ends", "worker ends"]);
            assert!(transcript.took >= Duration::from_secs(3) && transcript.took < Duration::from_secs(9));
        }
        for once in ["worker begins", "main ends", "worker ends"] {
            assert_eq!(transcript.count(once), 1, "{transcript:#?}");
        }
        assert!(transcript.position("worker begins") < transcript.position("worker ends"));
        let daemon = ["daemon begins", "daemon ends"].map(|line| transcript.count(line));
        assert!(daemon[0] <= 1 && daemon[1] <= daemon[0], "{transcript:#?}");
        assert_eq!(transcript.lines.len(), 3 + daemon[0] + daemon[1], "{transcript:#?}");
    });
}

#[test]
fn the_clock_comes_once_five_seconds_after_the_start() {
    for rounds in ["3", "1"] {
        at_all_scales(SIGNALS, &["--rounds", rounds], |transcript, scale| {
            assert_eq!(transcript.count(WAITING).to_string(), rounds, "{transcript:#?}");
            assert_eq!(transcript.count(CLOCK), 1, "{transcript:#?}");
            assert_eq!(transcript.lines.len(), transcript.count(WAITING) + 1, "{transcript:#?}");
            if scale == "1" {
                assert_eq!(transcript.position(CLOCK), transcript.count(WAITING), "{transcript:#?}");
                let at_least = if rounds == "3" { 6 } else { 5 };
                assert!(transcript.took >= Duration::from_secs(at_least), "{transcript:#?}");
            }
        });
    }
}

#[test]
fn ctrl_c_does_not_end_it_and_sigterm_does() {
    let mut started = Started::new(SIGNALS, &[]);
    let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("a line"));
    assert_eq!(lines.next().as_deref(), Some(WAITING));
    for n in 0..30 {
        if n % 2 == 0 {
            started.signal(Signal::SIGINT)
        } else {
            started.signal_all(Signal::SIGINT)
        }
        // Each is answered before the next is sent, or two could be one.
        let answer = lines.find(|line| line != WAITING && line != CLOCK);
        assert_eq!(answer.as_deref(), Some(CTRL_C));
    }
    started.signal(Signal::SIGTERM);
    assert_eq!(lines.filter(|line| line == CTRL_C).count(), 0);
    let transcript = started.finish();
    assert_eq!((transcript.status, &*transcript.errors), (128 + 15, ""), "{transcript:#?}");
}

#[test]
fn the_pause_goes_on_after_ctrl_c() {
    let mut started = Started::new(SIGNALS, &["--rounds", "3"]);
    let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("a line"));
    assert_eq!(lines.next().as_deref(), Some(WAITING));
    let mut heard = Vec::new();
    while heard.len() < 50 {
        started.signal(Signal::SIGINT);
        heard.push(lines.next().expect("it goes on"));
    }
    heard.extend(lines);
    let transcript = started.finish().expect_success();
    let count = |line: &str| heard.iter().filter(|heard| *heard == line).count();
    assert_eq!((count(WAITING), count(CLOCK)), (2, 1), "{heard:#?}");
    assert!(transcript.took >= Duration::from_secs(6) && transcript.took < Duration::from_secs(9));
}

#[test]
fn without_rounds_it_goes_on_until_it_is_ended() {
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGKILL, 137)] {
        let mut started = Started::new(SIGNALS, &["--time-scale", "0.001"]);
        let reader = BufReader::new(started.take_stdout());
        let lines = thread::spawn(move || reader.lines().map_while(Result::ok).collect::<Vec<_>>());
        thread::sleep(Duration::from_millis(200));
        started.signal(signal);
        let transcript = started.finish();
        assert_eq!((transcript.status, &*transcript.errors), (status, ""), "{transcript:#?}");
        let lines = lines.join().expect("read");
        assert_eq!(lines.iter().filter(|line| *line == CLOCK).count(), 1);
        assert!(lines.iter().filter(|line| *line == WAITING).count() > 2, "{lines:#?}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in ALL {
        laws::refuses_nonsense(program);
        run(program, &["--seed", "1"]).expect_failure(2); // nothing is drawn here
    }
    laws::refuses(SIGNALS, "--rounds", &["-1", "many", "1.5", "99999999999999999999"]);
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    for program in ALL {
        laws::ends_quietly_without_reader(program, &["--time-scale", "0.05"]);
    }
}

#[test]
fn a_full_disk_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in ALL {
        laws::tells_of_a_full_disk(program, "--time-scale 0.01");
    }
}

#[test]
fn ctrl_c_ends_all_but_one_at_any_moment() {
    for program in [THREADS, ATTRIBUTES, ORDER, DAEMON] {
        for to_all in [true, false] {
            for _ in 0..6 {
                let started = Started::new(program, &["--time-scale", "0.3"]);
                thread::sleep(Duration::from_millis(rand::random_range(0..200)));
                if to_all {
                    started.signal_all(Signal::SIGINT)
                } else {
                    started.signal(Signal::SIGINT)
                }
                let transcript = started.finish();
                assert_eq!((transcript.status, &*transcript.errors), (130, ""), "{program}: {transcript:#?}");
                assert!(transcript.took < Duration::from_secs(2), "{program}: {transcript:#?}");
            }
        }
    }
}
