//! SIGKILL of the main process at random moments: the light goes with it, and whoever waits for the light or
//! for the copier. SIGKILL of one whom the others wait for, or of one who waits.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::demo::laws;
use shared::demo::transcript::{Started, children};
use std::io::{BufRead, BufReader};
use std::time::Duration;

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic_event");
const COPY: &str = env!("CARGO_BIN_EXE_copy_file");

/// How often each program loses its main process.
const TIMES: u32 = 18;

#[test]
fn the_light_and_the_waiting_go_with_main() {
    for _ in 0..TIMES {
        // Long reds, so that there is always somebody who waits.
        let started = Started::new(TRAFFIC, &["--time-scale", "1", "--only-cars"]);
        laws::ends_when_main_is_killed(started, Duration::from_millis(200), 0);
    }
}

#[test]
fn the_light_alone_goes_with_main() {
    for _ in 0..TIMES {
        let started = Started::new(TRAFFIC, &["--forever", "--time-scale", "0.01", "--vehicles", "1"]);
        laws::ends_when_main_is_killed(started, Duration::from_millis(100), 0);
    }
}

#[test]
fn those_who_wait_for_the_copier_go_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().to_str().expect("a plain path");
    for _ in 0..TIMES {
        let started = Started::new(COPY, &["--into", into]);
        laws::ends_when_main_is_killed(started, Duration::from_millis(50), 0);
    }
}

/// A run of cars at a red that lasts, in which somebody waits already, and its lines.
fn waiting_cars(vehicles: &str) -> (Started, impl Iterator<Item = String>) {
    let arguments = ["--only-cars", "--vehicles", vehicles, "--seed", "1", "--time-scale", "0.5"];
    let mut started = Started::new(TRAFFIC, &arguments);
    let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.ends_with(" waits")));
    (started, lines)
}

fn kill_child(started: &Started, which: usize) {
    kill(Pid::from_raw(children(started.id())[which] as i32), Signal::SIGKILL).expect("it is there");
}

#[test]
fn nobody_waits_for_a_dead_light() {
    for vehicles in ["1", "20"] {
        let (started, lines) = waiting_cars(vehicles);
        kill_child(&started, 0);
        assert!(lines.into_iter().all(|line| !line.ends_with(" through")), "nobody has seen green");
        let transcript = started.finish();
        assert_eq!(transcript.status, 1, "{transcript:#?}");
        assert!(transcript.took < Duration::from_secs(1), "{transcript:#?}");
        let told = transcript.complaints();
        assert!(
            told.len() == 1 && told[0].contains("traffic light") && told[0].contains("SIGKILL"),
            "{told:?}"
        );
    }
}

#[test]
fn one_car_that_is_killed_keeps_nobody_else_from_driving_on() {
    let (started, lines) = waiting_cars("5");
    kill_child(&started, 1);
    assert_eq!(lines.filter(|line| line.ends_with(" through")).count(), 4);
    let transcript = started.finish();
    assert_eq!(transcript.status, 1, "{transcript:#?}");
    let told = transcript.complaints();
    assert!(told.len() == 1 && told[0].contains("car 0") && told[0].contains("SIGKILL"), "{told:?}");
}

#[test]
fn a_copier_of_the_copy_that_is_killed_is_one_clear_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["--time-scale", "0.1", "--into", folder.path().to_str().expect("a plain path")];
    let mut started = Started::new(COPY, &arguments);
    let mut lines = BufReader::new(started.take_stdout()).lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.starts_with("prepare")));
    kill_child(&started, 0);
    assert_eq!(lines.filter(|line| line.starts_with("start operation")).count(), 0);
    let failed = started.finish().expect_failure(1);
    assert!(failed.errors.contains("p1") && failed.errors.contains("SIGKILL"), "{failed:#?}");
}
