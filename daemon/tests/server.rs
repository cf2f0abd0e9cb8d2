//! The laws of the server's and its clients' transcripts: they talk, and who goes leaves nobody waiting.

mod tools;

use nix::sys::signal::Signal;
use shared::demo::transcript::{Started, children, run};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};
use tools::{CLIENT, SERVER, Server, expect, say, signal};

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
