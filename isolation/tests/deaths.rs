//! SIGKILL of the main process at random moments: its children finish by themselves, and nothing is left.

use nix::sys::signal::Signal;
use shared::demo::transcript::Started;
use std::thread;
use std::time::Duration;

/// How often each program loses its main process.
const TIMES: u32 = 18;

fn when_main_is_killed_nothing_is_left(program: &str, arguments: &[&str], within: Duration) {
    for _ in 0..TIMES {
        let started = Started::new(program, arguments);
        let moment = rand::random_range(Duration::ZERO..within);
        thread::sleep(moment);
        started.signal(Signal::SIGKILL);
        // The children have a subtraction to do, and wait for nobody.
        assert!(started.wait_until_left(0, Duration::from_secs(1)), "{program}, killed after {moment:?}");
        let transcript = started.finish();
        assert_eq!(transcript.errors, "", "{program}, killed after {moment:?}");
    }
}

#[test]
fn of_a_hundred_children() {
    let program = env!("CARGO_BIN_EXE_isolation");
    when_main_is_killed_nothing_is_left(program, &[], Duration::from_millis(40));
}

#[test]
fn of_one_child() {
    let program = env!("CARGO_BIN_EXE_isolation_one_child");
    when_main_is_killed_nothing_is_left(program, &[], Duration::from_millis(4));
}

#[test]
fn of_threads() {
    let program = env!("CARGO_BIN_EXE_isolation_threads");
    when_main_is_killed_nothing_is_left(program, &[], Duration::from_millis(8));
}

#[test]
fn of_a_child_with_a_result() {
    let program = env!("CARGO_BIN_EXE_isolation_result");
    when_main_is_killed_nothing_is_left(program, &[], Duration::from_millis(4));
}
