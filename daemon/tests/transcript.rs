//! The laws of the daemon programs' transcripts: what rests on a pause at time scale 1, the rest at any.

mod tools;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::demo::laws;
use shared::demo::transcript::{Started, Transcript, children, repeat, run};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};
use tools::{SERVER, Server, say};

const DAEMON: &str = env!("CARGO_BIN_EXE_daemon");
const AND_WORKER: &str = env!("CARGO_BIN_EXE_daemon_and_worker");
const GUARDIAN: &str = env!("CARGO_BIN_EXE_daemon_guardian");
const CONFUSING: &str = env!("CARGO_BIN_EXE_daemon_confusing");
const HEARTBEAT: &str = env!("CARGO_BIN_EXE_heartbeat");
const CLIENT: &str = env!("CARGO_BIN_EXE_tcp_client");
const STORIES: [&str; 5] = [DAEMON, AND_WORKER, GUARDIAN, CONFUSING, HEARTBEAT];
const ALL: [&str; 7] = [DAEMON, AND_WORKER, GUARDIAN, CONFUSING, HEARTBEAT, SERVER, CLIENT];

/// Below scale 1 only what synchronisation gives is a law.
const FASTER: [&str; 2] = ["0.01", "0"];

fn at_scale(program: &'static str, scale: &'static str) -> impl Fn() -> Transcript + Sync {
    move || run(program, &["--time-scale", scale])
}

/// It ended well, had nothing to complain of, and told nothing but these, each between so and so many times.
#[track_caller]
fn expect(transcript: Transcript, lines: &[(&str, usize, usize)]) -> Transcript {
    let transcript = transcript.expect_success();
    for (line, least, most) in lines {
        assert!((*least..=*most).contains(&transcript.count(line)), "{line:?} in {transcript:#?}");
    }
    let known: usize = lines.iter().map(|(line, ..)| transcript.count(line)).sum();
    assert_eq!(known, transcript.lines.len(), "{transcript:#?}");
    assert_eq!(transcript.errors, "");
    transcript
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

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("it is there");
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
fn each_client_is_greeted_and_prints_its_rounds_and_the_server_prints_its_pid_as_often() {
    const ROUNDS: usize = 50;
    let server = Server::start();
    let clients =
        [(); 5].map(|()| Started::new(CLIENT, &["--port", &server.port, "--rounds", &ROUNDS.to_string()]));
    let expected: BTreeMap<_, _> = clients.iter().map(|client| (client.id().to_string(), ROUNDS)).collect();
    for client in clients {
        expect(client.finish(), &[("hello", ROUNDS, ROUNDS)]);
    }
    let mut server = server.run;
    let output = BufReader::new(server.take_stdout());
    let mut heard = BTreeMap::new();
    for line in output.lines().take(5 * ROUNDS) {
        *heard.entry(line.expect("text")).or_insert(0) += 1;
    }
    assert_eq!(heard, expected);
    server.signal_all(Signal::SIGINT);
    assert_eq!(server.finish().status, 130);
}

#[test]
fn a_silent_client_keeps_nobody_waiting() {
    let server = Server::start();
    let _silent = [server.greeted(), server.greeted()];
    let client = run(CLIENT, &["--port", &server.port, "--rounds", "3"]);
    expect(client, &[("hello", 3, 3)]);
}

#[test]
fn whatever_a_client_sends_is_one_line() {
    let mut server = Server::start();
    let mut client = server.greeted().expect("greeted");
    assert!(
        say(&mut client, b"42") && say(&mut client, b"two\nlines\n") && say(&mut client, b"\x1b[31m\xff")
    );
    let lines = BufReader::new(server.run.take_stdout()).lines().take(3);
    let lines: Vec<_> = lines.map(|line| line.expect("text")).collect();
    assert_eq!(lines, ["42", r"two\nlines\n", r"\x1b[31m\xff"]);
}

#[test]
fn a_talker_whose_client_has_gone_is_reaped_within_half_a_second() {
    let server = Server::start();
    let clients: Vec<_> = (0..10).map(|_| server.greeted().expect("greeted")).collect();
    assert_eq!(children(server.run.id()).len(), 10);
    drop(clients);
    let gone = Instant::now();
    while !children(server.run.id()).is_empty() {
        assert!(gone.elapsed() < Duration::from_millis(500), "{:?}", children(server.run.id()));
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_talker_that_is_killed_is_worth_a_line_and_the_others_are_served() {
    let mut server = Server::start();
    let mut first = server.greeted().expect("greeted");
    let talker = children(server.run.id())[0];
    let mut second = server.greeted().expect("greeted");
    signal(talker, Signal::SIGKILL);
    let mut told = String::new();
    server.errors.read_line(&mut told).expect("text");
    let address = first.local_addr().expect("an address").to_string();
    assert!(told.contains(&address) && told.contains("SIGKILL"), "{told}");
    assert!(!say(&mut first, b"1"), "its talker is dead");
    assert!(say(&mut second, b"2") && server.greeted().is_some());
}

#[test]
fn a_client_for_whom_no_process_is_left_is_turned_away_and_the_others_are_served() {
    // Room for a few descriptors, each talker being one.
    let limited = format!("ulimit -n 8 && exec {SERVER} --port 0");
    let mut server = Server::from(Started::new("sh", &["-c", &limited]));
    let mut served = Vec::new();
    while let Some(client) = server.greeted() {
        served.push(client);
        assert!(served.len() < 8, "more talkers than descriptors");
    }
    let mut told = String::new();
    server.errors.read_line(&mut told).expect("text");
    assert!(told.contains("cannot fork"), "{told}");
    assert!(served.iter_mut().all(|client| say(client, b"1")), "somebody else has suffered");
    drop(served);
    // As soon as the talkers have been reaped there is room again.
    let deadline = Instant::now() + Duration::from_secs(5);
    while server.greeted().is_none() {
        assert!(Instant::now() < deadline, "the server turns everybody away");
    }
}

#[test]
fn a_port_that_is_taken_is_one_clear_line_with_the_address() {
    let server = Server::start();
    let refused = run(SERVER, &["--port", &server.port]).expect_failure(1);
    assert!(refused.errors.contains(&format!("127.0.0.1:{}", server.port)), "{refused:#?}");
}

#[test]
fn a_server_that_is_not_there_is_one_clear_line_with_the_address() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("an address");
    let refused = run(CLIENT, &["--port", &nobody.port().to_string()]).expect_failure(1);
    assert!(refused.errors.contains(&nobody.to_string()), "{refused:#?}");
}

#[test]
fn the_end_of_the_server_ends_a_client_and_is_a_failure_if_rounds_were_left() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let server = Server::start();
        let start = |rounds| {
            let mut client = Started::new(CLIENT, &["--port", &server.port, "--rounds", rounds]);
            let mut lines = BufReader::new(client.take_stdout());
            lines.read_line(&mut String::new()).expect("a greeting");
            // Read on, or the pipe fills up and the client stands still.
            let rest =
                thread::spawn(move || lines.lines().all(|line| line.is_ok_and(|line| line == "hello")));
            (client, rest)
        };
        let (endless, rest_of_endless) = start("0");
        let (counting, rest_of_counting) = start("1000000000");
        server.run.signal(signal);
        let drained = thread::spawn(move || server.run.finish());
        endless.finish().expect_success();
        let failed = counting.finish().expect_failure(1);
        assert!(failed.errors.contains("127.0.0.1:"), "{failed:#?}");
        assert!(rest_of_endless.join().expect("read") && rest_of_counting.join().expect("read"));
        assert_eq!(drained.join().expect("ended").status, 128 + signal as i32);
    }
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
fn a_reader_who_closes_the_pipe_ends_server_and_client_quietly() {
    let mut server = Server::start();
    let mut client = Started::new(CLIENT, &["--port", &server.port]);
    let mut lines = BufReader::new(client.take_stdout());
    lines.read_line(&mut String::new()).expect("a greeting");
    drop(lines);
    assert_eq!(client.finish().errors, "");

    let mut talking = server.greeted().expect("greeted");
    let _silent = server.greeted().expect("greeted");
    drop(server.run.take_stdout());
    while say(&mut talking, b"1") {}
    assert_eq!(server.run.finish().status, 128 + Signal::SIGPIPE as i32);
    assert_eq!(server.errors.lines().count(), 0);
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
