//! SIGKILL of somebody inside: the room comes back. SIGKILL of the main process: the others finish their
//! evening.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::demo::laws;
use shared::demo::transcript::{Started, children};
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

const KTV: &str = env!("CARGO_BIN_EXE_ktv_semaphore");

/// Everybody would stay for an hour, and is killed as soon as he is in. The others can only get in if each
/// dead one's room comes back; in Python as many would get in as there are rooms.
#[test]
fn the_room_of_one_who_is_killed_inside_comes_back() {
    const PEOPLE: usize = 7;
    for rooms in ["1", "2", "4"] {
        let arguments =
            ["--rooms", rooms, "--people", &PEOPLE.to_string(), "--min-stay", "3600", "--max-stay", "3600"];
        let mut started = Started::new(KTV, &[&arguments[..], &["--seed", "1"]].concat());
        let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("text"));
        let mut errors = started.take_stderr();
        // All of them, before anybody dies: the dead are collected, and then missing from the list.
        let mut people = Vec::new();
        while people.len() < PEOPLE {
            people = children(started.id());
        }
        for n in 0..PEOPLE {
            let line = lines.next().unwrap_or_else(|| panic!("{n} got in, and no more"));
            let who = line.strip_prefix("person ").and_then(|rest| rest.strip_suffix(" into the KTV"));
            let who: usize = who.and_then(|who| who.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
            kill(Pid::from_raw(people[who] as i32), Signal::SIGKILL).expect("it is there");
        }
        assert_eq!(lines.next(), None);
        let mut told = String::new();
        errors.read_to_string(&mut told).expect("text");
        assert_eq!(started.finish().status, 1);
        let told: Vec<_> = told.lines().filter(|line| !line.starts_with("seed ")).collect();
        assert!(told.len() == 1 && told[0].contains("person ") && told[0].contains("SIGKILL"), "{told:?}");
    }
}

#[test]
fn when_main_is_killed_the_others_finish_their_evening() {
    for _ in 0..9 {
        let mut started = Started::new(KTV, &["--time-scale", "0.02"]);
        let mut output = started.take_stdout();
        laws::ends_when_main_is_killed(started, Duration::from_millis(150), 10);
        let mut told = String::new();
        output.read_to_string(&mut told).expect("text");
        let mut inside = 0_usize;
        for line in told.lines() {
            match line.split(' ').nth(2) {
                Some("into") => inside += 1,
                Some("out") => inside -= 1,
                _ => panic!("{line:?} in {told}"),
            }
            assert!(inside <= 4, "{told}");
        }
        assert_eq!(inside, 0, "somebody did not come out: {told}");
    }
}
