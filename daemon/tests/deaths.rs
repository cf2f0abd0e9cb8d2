//! SIGKILL of the main process at random moments: its daemons and all that are bound to it are gone within
//! 100 ms, the others finish their own story, and then nothing is left.

mod tools;

use shared::demo::laws;
use shared::demo::transcript::Started;
use std::thread;
use std::time::Duration;
use tools::Server;

/// How often each program loses its main process: by so many threads, each so often.
const TIMES: (u32, u32) = (3, 6);

fn many_times(kill: impl Fn() + Sync) {
    thread::scope(|s| {
        for _ in 0..TIMES.0 {
            s.spawn(|| (0..TIMES.1).for_each(|_| kill()));
        }
    });
}

/// Kills main at some moment in the first `within` milliseconds. At most `others` go on then, for a while.
fn kill_main(program: &str, arguments: &[&str], within: u64, others: usize) {
    let within = Duration::from_millis(within);
    many_times(|| laws::ends_when_main_is_killed(Started::new(program, arguments), within, others));
}

#[test]
fn a_daemon_goes_with_main() {
    // It would go on for more than 400 ms.
    kill_main(env!("CARGO_BIN_EXE_daemon"), &["--time-scale", "0.2"], 200, 0);
}

#[test]
fn a_daemon_goes_with_main_and_the_worker_does_not() {
    kill_main(env!("CARGO_BIN_EXE_daemon_and_worker"), &["--time-scale", "0.1"], 300, 1);
}

#[test]
fn a_guardian_goes_with_main() {
    kill_main(env!("CARGO_BIN_EXE_daemon_guardian"), &["--time-scale", "0.1"], 12, 1);
}

#[test]
fn a_confusing_daemon_goes_with_main() {
    kill_main(env!("CARGO_BIN_EXE_daemon_confusing"), &["--time-scale", "0.1"], 12, 1);
}

#[test]
fn an_application_goes_with_its_monitor_and_the_reporter_with_the_application() {
    let arguments = ["--time-scale", "0", "--beats", "1000000"];
    kill_main(env!("CARGO_BIN_EXE_heartbeat"), &arguments, 60, 0);
}

#[test]
fn talkers_go_with_the_server() {
    many_times(|| {
        let server = Server::start();
        let clients = [(); 3].map(|()| server.greeted());
        laws::ends_when_main_is_killed(server.run, Duration::from_millis(20), 0);
        drop(clients);
    });
}

#[test]
fn a_client_that_is_killed_leaves_nothing_and_its_talker_ends() {
    let server = Server::start();
    many_times(|| {
        let client = Started::new(env!("CARGO_BIN_EXE_tcp_client"), &["--port", &server.port]);
        laws::ends_when_main_is_killed(client, Duration::from_millis(20), 0);
    });
    assert!(server.run.wait_until_left(1, Duration::from_secs(1)), "a talker talks to nobody");
}
