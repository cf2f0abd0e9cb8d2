//! The laws of the daemon programs' transcripts: what rests on a pause at time scale 1, the rest at any. Those of the
//! server and its clients alone are in `server.rs`.

mod tools;

use nix::sys::signal::Signal;
use shared::demo::laws;
use shared::demo::transcript::{Started, Transcript, children, repeat, run};
use std::io::{BufRead, BufReader};
use std::thread;
use std::time::{Duration, Instant};
use tools::{CLIENT, SERVER, Server, expect, signal};

const DAEMON: &str = env!("CARGO_BIN_EXE_daemon");
const AND_WORKER: &str = env!("CARGO_BIN_EXE_daemon_and_worker");
const GUARDIAN: &str = env!("CARGO_BIN_EXE_daemon_guardian");
const CONFUSING: &str = env!("CARGO_BIN_EXE_daemon_confusing");
const HEARTBEAT: &str = env!("CARGO_BIN_EXE_heartbeat");
const STORIES: [&str; 5] = [DAEMON, AND_WORKER, GUARDIAN, CONFUSING, HEARTBEAT];
const ALL: [&str; 7] = [DAEMON, AND_WORKER, GUARDIAN, CONFUSING, HEARTBEAT, SERVER, CLIENT];

/// Below scale 1 only what synchronisation gives is a law.
const FASTER: [&str; 2] = ["0.01", "0"];

fn at_scale(program: &'static str, scale: &'static str) -> impl Fn() -> Transcript + Sync {
    move || run(program, &["--time-scale", scale])
}

/// Of two lines, if both were told, this came first.
#[track_caller]
fn expect_order(transcript: &Transcript, first: &str, then: &str) {
    if transcript.count(then) > 0 {
        assert!(transcript.position(first) < transcript.position(then), "{transcript:#?}");
    }
}

/// Not less than the story's pauses say, in seconds, and not as long as it would take if the law were broken.
#[track_caller]
fn expect_time(transcript: &Transcript, least: f64, broken: f64) {
    let took = transcript.took.as_secs_f64();
    assert!((least..broken).contains(&took), "{transcript:#?}");
}

#[test]
fn the_daemon_never_gets_to_its_last_line() {
    repeat(at_scale(DAEMON, "1"), |transcript| {
        let transcript = expect(transcript, &[("begin", 1, 1), ("Main program", 1, 1)]);
        expect_order(&transcript, "begin", "Main program");
        expect_time(&transcript, 1.0, 3.0);
    });
    for scale in FASTER {
        repeat(at_scale(DAEMON, scale), |transcript| {
            let transcript = expect(transcript, &[("begin", 0, 1), ("Main program", 1, 1), ("Wahaha", 0, 1)]);
            expect_order(&transcript, "begin", "Wahaha");
        });
    }
}

#[test]
fn the_worker_goes_on_when_the_daemon_has_stopped() {
    repeat(at_scale(AND_WORKER, "1"), |transcript| {
        let lines = [("in func2", 2, 3), ("begin", 1, 1), ("Main program", 1, 1), ("Wahaha", 1, 1)];
        let transcript = expect(transcript, &lines);
        assert_eq!(transcript.position("Wahaha"), transcript.lines.len() - 1, "{transcript:#?}");
        expect_order(&transcript, "begin", "Main program");
        expect_time(&transcript, 3.0, 5.0);
    });
    for scale in FASTER {
        repeat(at_scale(AND_WORKER, scale), |transcript| {
            let lines =
                [("in func2", 0, usize::MAX), ("begin", 1, 1), ("Main program", 1, 1), ("Wahaha", 1, 1)];
            expect_order(&expect(transcript, &lines), "begin", "Wahaha");
        });
    }
}

#[test]
fn the_guardian_may_go_unheard_and_the_sub_process_may_not() {
    let law = |transcript| {
        let guardian = ("Guardian process is running", 0, 1);
        expect(transcript, &[guardian, ("normal sub-process is running", 1, 1), ("master", 1, 1)])
    };
    repeat(at_scale(GUARDIAN, "1"), |transcript| expect_time(&law(transcript), 3.0, 5.0));
    for scale in FASTER {
        repeat(at_scale(GUARDIAN, scale), |transcript| drop(law(transcript)));
    }
}

#[test]
fn of_the_confusing_daemon_the_end_is_never_seen() {
    let others = [("main-------", 1, 1), ("456", 1, 1), ("end456", 1, 1), ("123", 0, 1)];
    repeat(at_scale(CONFUSING, "1"), |transcript| {
        let transcript = expect(transcript, &others);
        assert_eq!(transcript.position("end456"), transcript.lines.len() - 1, "{transcript:#?}");
        expect_time(&transcript, 3.0, 5.0);
    });
    for scale in FASTER {
        repeat(at_scale(CONFUSING, scale), |transcript| {
            let transcript = expect(transcript, &[&others[..], &[("end123", 0, 1)]].concat());
            expect_order(&transcript, "456", "end456");
            expect_order(&transcript, "123", "end123");
        });
    }
}

/// `alive 1` and so on to the last beat, then `gone`, and why.
#[track_caller]
fn expect_beats(transcript: &Transcript, beats: usize) {
    let (last, alive) = transcript.lines.split_last().expect("some lines");
    let counted: Vec<_> = (1..=beats).map(|n| format!("alive {n}")).collect();
    assert_eq!(alive, counted, "{transcript:#?}");
    assert!(last.starts_with("gone: ") && last.len() > 20, "{transcript:#?}");
}

#[test]
fn the_monitor_hears_each_beat_and_then_the_death() {
    // Four intervals lie between the first beat and the fifth. The death is noticed in less than two more.
    repeat(at_scale(HEARTBEAT, "1"), |transcript| {
        let transcript = transcript.expect_success();
        expect_beats(&transcript, 5);
        expect_time(&transcript, 4.0, 6.0);
    });
    for scale in FASTER {
        repeat(at_scale(HEARTBEAT, scale), |transcript| expect_beats(&transcript.expect_success(), 5));
    }
    let other = ["--beats", "2", "--interval", "0.5"];
    repeat(
        || run(HEARTBEAT, &other),
        |transcript| {
            let transcript = transcript.expect_success();
            expect_beats(&transcript, 2);
            assert!(transcript.took < Duration::from_millis(1500), "{transcript:#?}");
        },
    );
}

/// A heartbeat at 10 ms that will not end by itself for a while: its lines, and its application and reporter.
fn heart() -> (Started, impl Iterator<Item = String>, u32, u32) {
    let mut started = Started::new(HEARTBEAT, &["--time-scale", "0", "--beats", "1000000"]);
    let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("text"));
    assert_eq!(lines.next().as_deref(), Some("alive 1"));
    let application = children(started.id())[0];
    let reporter = children(application)[0];
    (started, lines, application, reporter)
}

#[test]
fn the_monitor_needs_no_warning_of_a_death() {
    let (started, lines, application, _) = heart();
    signal(application, Signal::SIGKILL);
    let killed = Instant::now();
    let last = lines.last().expect("lines");
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
    assert!(last.starts_with("gone: "), "{last}");
    started.finish().expect_success();
}

#[test]
fn the_monitor_does_not_take_silence_for_death() {
    let (mut started, mut lines, application, reporter) = heart();
    signal(application, Signal::SIGSTOP);
    signal(reporter, Signal::SIGSTOP);
    let mut errors = BufReader::new(started.take_stderr()).lines();
    for _ in 0..3 {
        let suspicion = errors.next().expect("a line").expect("text");
        assert!(suspicion.starts_with("no beat for two intervals"), "{suspicion}");
    }
    signal(reporter, Signal::SIGCONT);
    assert!(lines.by_ref().take(20).all(|line| line.starts_with("alive ")));
    // A process that is stopped can be killed all the same, and so can its daemon.
    signal(reporter, Signal::SIGSTOP);
    signal(application, Signal::SIGKILL);
    assert!(lines.last().expect("lines").starts_with("gone: "));
    drop(errors);
    started.finish().expect_success();
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in ALL {
        laws::refuses_nonsense(program);
    }
    laws::refuses(HEARTBEAT, "--interval", &["0", "-1", "NaN", "inf", "1e300", "soon", ""]);
    laws::refuses(HEARTBEAT, "--beats", &["0", "-1", "many", "1.5", "99999999999"]);
    laws::refuses(SERVER, "--port", &["-1", "65536", "http"]);
    laws::refuses(CLIENT, "--port", &["-1", "65536", "http", "0"]);
    laws::refuses(CLIENT, "--rounds", &["-1"]);
}

#[test]
fn a_refused_fork_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in [AND_WORKER, GUARDIAN, CONFUSING, HEARTBEAT] {
        laws::tells_of_a_refused_fork(program, "--time-scale 0.01");
    }
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    for program in STORIES {
        laws::ends_quietly_without_reader(program, &[]);
    }
}

#[test]
fn a_full_disk_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in STORIES {
        laws::tells_of_a_full_disk(program, "--time-scale 0.01");
    }
}

#[test]
fn ctrl_c_ends_everybody() {
    thread::scope(|s| {
        for program in STORIES {
            s.spawn(|| laws::ends_at_ctrl_c(program, &["--time-scale", "10"]));
        }
        for to_all in [true, false] {
            s.spawn(move || {
                let server = Server::start();
                let client = Started::new(CLIENT, &["--port", &server.port]);
                let silent = server.greeted();
                laws::ends_when_interrupted(client, to_all);
                laws::ends_when_interrupted(server.run, to_all);
                drop(silent);
            });
        }
    });
}

/// The end of main waits for its daemon, and this daemon does not end when it is asked to. Ctrl-C is heard
/// there too, although the program is in the midst of ending already.
#[test]
fn ctrl_c_is_heard_while_main_waits_for_a_stopped_daemon() {
    for interrupted in [true, false] {
        let mut started = Started::new(DAEMON, &["--time-scale", "0.2"]);
        let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("text"));
        assert_eq!(lines.next().as_deref(), Some("begin"));
        signal(children(started.id())[0], Signal::SIGSTOP);
        assert_eq!(lines.next().as_deref(), Some("Main program"));
        if interrupted {
            laws::ends_when_interrupted(started, false);
        } else {
            expect(started.finish(), &[]);
        }
    }
}
