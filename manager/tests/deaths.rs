//! SIGKILL of the main process, of the manager and of a child at random moments: nobody is left waiting, and nothing is left.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::demo::laws;
use shared::demo::transcript::{Started, children};
use std::thread;
use std::time::Duration;

const MANAGER: &str = env!("CARGO_BIN_EXE_manager");
const COUNTER: &str = env!("CARGO_BIN_EXE_manager_counter");
const TYPES: &str = env!("CARGO_BIN_EXE_manager_types");

/// How often each program loses its main process.
const TIMES: u32 = 12;

#[test]
fn the_manager_ends_with_main_and_the_others_when_they_need_it() {
    for program in [MANAGER, COUNTER, TYPES] {
        for _ in 0..TIMES {
            // Those who sleep in their story go on to their next request, and are told that there is nobody.
            let started = Started::new(program, &["--time-scale", "0.1"]);
            let moment = rand::random_range(Duration::ZERO..Duration::from_millis(60));
            thread::sleep(moment);
            started.signal(Signal::SIGKILL);
            assert!(started.wait_until_left(0, Duration::from_secs(3)), "{program}, killed after {moment:?}");
            drop(started.finish());
        }
    }
    // Nobody sleeps in this one.
    laws::ends_when_main_is_killed(Started::new(TYPES, &[]), Duration::from_millis(20), 0);
}

#[test]
fn a_child_or_the_manager_that_is_killed_is_one_clear_line_and_nobody_waits_for_it() {
    for program in [MANAGER, COUNTER, TYPES] {
        for n in 0..20 {
            let started = Started::new(program, &["--time-scale", "0.1"]);
            // The manager is the eldest.
            while !started.processes().is_empty() {
                if let Some(child) = children(started.id()).get(n % 4) {
                    thread::sleep(rand::random_range(Duration::ZERO..Duration::from_millis(3)));
                    // It may have been collected already. It is a child of a program of ours, and pids do not come again so soon.
                    let _ = kill(Pid::from_raw(*child as i32), Signal::SIGKILL);
                    break;
                }
            }
            let transcript = started.finish();
            if transcript.status != 0 {
                transcript.expect_failure(1);
            }
        }
    }
}
