//! SIGKILL of the main process at random moments: what is left of a run, and of its files.

use nix::sys::signal::Signal;
use shared::demo::transcript::{Started, run};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

const TICKET_LOCK: &str = env!("CARGO_BIN_EXE_ticket_lock");
const OVERSOLD: &str = env!("CARGO_BIN_EXE_tickets_oversold");
const GRAB: &str = env!("CARGO_BIN_EXE_ticket_grab");
const TWO_WRITERS: &str = env!("CARGO_BIN_EXE_two_writers");

/// How often each program loses its main process.
const TIMES: u32 = 18;

/// Kills main after the given part of a second, and waits for the others to end by themselves.
fn killed_after(program: &str, arguments: &[&str], temporary: &Path, time: Duration) {
    let temporary = temporary.to_str().expect("a plain path");
    let started = Started::with_env(
        program,
        &[&["--time-scale", "0.02"], arguments].concat(),
        &[("TMPDIR", temporary)],
    );
    thread::sleep(time);
    started.signal(Signal::SIGKILL);
    // Plain children are their own masters: they finish their story, and nobody waits for main.
    assert!(
        started.wait_until_left(0, Duration::from_secs(10)),
        "{program}, killed after {time:?}, is not over"
    );
    let transcript = started.finish();
    assert!(!transcript.errors.contains("panicked"), "{program}, killed after {time:?}: {transcript:#?}");
}

#[test]
fn when_main_is_killed_the_others_finish_and_the_next_run_tidies_up() {
    for program in [TICKET_LOCK, OVERSOLD, GRAB, TWO_WRITERS] {
        let folder = tempfile::tempdir().expect("a folder");
        for n in 0..TIMES {
            killed_after(
                program,
                &[],
                folder.path(),
                Duration::from_millis(u64::from(n * rand::random_range(1..10))),
            );
        }
        run_with_tmpdir(TICKET_LOCK, folder.path());
        assert_eq!(
            fs::read_dir(folder.path()).expect("readable").count(),
            0,
            "{program}: the next run did not tidy up"
        );
    }
}

fn run_with_tmpdir(program: &str, temporary: &Path) {
    let temporary = temporary.to_str().expect("a plain path");
    Started::with_env(program, &["--time-scale", "0"], &[("TMPDIR", temporary)]).finish().expect_success();
}

#[test]
fn a_ticket_file_is_whole_whenever_main_was_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("db");
    let file = db.to_str().expect("a plain path");
    for n in 0..TIMES {
        fs::write(&db, r#"{"count":3}"#).expect("written");
        killed_after(TICKET_LOCK, &["--db", file], folder.path(), Duration::from_millis(u64::from(n * 4)));
        let left: serde_json::Value = serde_json::from_slice(&fs::read(&db).expect("there")).expect("whole");
        assert!(left["count"].as_u64().is_some_and(|count| count <= 3), "{left}");
    }
    run(TICKET_LOCK, &["--db", file, "--time-scale", "0"]).expect_success();
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1, "something lies beside the file");
}
