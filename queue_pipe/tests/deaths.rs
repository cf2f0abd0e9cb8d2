//! SIGKILL of the main process at random moments: nobody is left waiting for it. SIGKILL of a child: nobody is
//! left waiting for that one either, and main names it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::demo::laws;
use shared::demo::transcript::{Started, children};
use std::io::{BufRead, BufReader};
use std::thread;
use std::time::Duration;

const QUEUE_PIPE: &str = env!("CARGO_BIN_EXE_queue_pipe");
const PIPE_END: &str = env!("CARGO_BIN_EXE_pipe_end");

/// How often each program loses its main process.
const TIMES: u32 = 18;

#[test]
fn sons_and_child_end_when_main_is_killed() {
    for _ in 0..TIMES {
        laws::ends_when_main_is_killed(Started::new(QUEUE_PIPE, &[]), Duration::from_millis(10), 0);
    }
}

#[test]
fn the_listener_of_the_bare_pipe_goes_with_main_though_the_pipe_does_not_tell_it() {
    for _ in 0..TIMES {
        laws::ends_when_main_is_killed(Started::new(PIPE_END, &[]), Duration::from_millis(60), 0);
    }
}

fn end(pid: u32) {
    // It may have been collected already. It is a child of a program of ours, and pids do not come again so soon.
    let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
}

/// They live for less than a millisecond, so this finds them in all states: before they put or send, and after.
#[test]
fn a_son_or_child_that_is_killed_is_named_and_nobody_waits_for_it() {
    for n in 0..60 {
        let started = Started::new(QUEUE_PIPE, &[]);
        let seen = |started: &Started| children(started.id()).into_iter().nth(n % 3);
        while !started.processes().is_empty() {
            if let Some(child) = seen(&started) {
                thread::sleep(rand::random_range(Duration::ZERO..Duration::from_micros(300)));
                end(child);
                break;
            }
        }
        let transcript = started.finish();
        if transcript.status != 0 {
            let failed = transcript.expect_failure(1);
            let named = failed.errors.contains("son ") || failed.errors.contains("child");
            assert!(named && failed.errors.contains("SIGKILL"), "{failed:#?}");
        }
    }
}

#[test]
fn a_listener_that_is_killed_is_one_clear_line() {
    let mut started = Started::new(PIPE_END, &["--time-scale", "100"]);
    let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line == "bare pipe: 3"));
    end(children(started.id())[0]);
    assert_eq!(lines.next(), None);
    let failed = started.finish().expect_failure(1);
    assert!(failed.errors.contains("listener of the bare pipe"), "{failed:#?}");
    assert!(failed.errors.contains("SIGKILL"), "{failed:#?}");
}
