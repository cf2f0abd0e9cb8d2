//! What comes home of a child: a value, a panic, an exit code, or the signal that ended it.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, is_gone, sleep_for_ever, state, zombies};
use nix::sys::signal::{self, Signal};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared::memory::Shared;
use shared::process::{self, Builder, ExitError, JoinHandle};
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

harness::main! {
    programs { panics_in_a_child }
    trials {
        proc_02_arguments_arrive_equal,
        proc_11_terminate,
        proc_12_kill,
        proc_13_interrupt,
        proc_25_panic_report_on_stderr,
        proc_26_exit_codes,
        values_of_many_shapes_come_home,
        a_large_value_comes_home,
        a_value_nobody_fetches_does_not_hold_the_child_back,
        a_panic_comes_home_with_its_message_and_place,
        a_value_that_cannot_be_sent_is_told,
        a_value_that_cannot_be_put_together_is_told,
        exit_codes_are_those_of_python,
        signals_after_the_end_do_no_harm,
        ignored_sigchld_still_gives_an_end,
    }
}

fn proc_02_arguments_arrive_equal() {
    let arguments = (
        (1_u8, -2_i64, 0.1_f64, 'ß', true, ()),
        (
            "text".to_owned(),
            vec![1, 2, 3],
            [Some(1), None],
            BTreeMap::from([("a".to_owned(), vec![(1, 2.5)])]),
        ),
        Arc::new(vec!["shared".to_owned(); 3]),
    );
    let expected = (arguments.0, arguments.1.clone(), arguments.2.to_vec());
    let child = process::spawn(move || (arguments.0, arguments.1, arguments.2.to_vec()));
    assert_eq!(child.join().unwrap(), expected);
}

/// How a sleeping child ends that `end` puts an end to, and that this takes no second.
fn ended_by(end: impl FnOnce(&JoinHandle<()>)) -> Option<i32> {
    let child = process::spawn(sleep_for_ever);
    eventually("it sleeps", || state(child.process().id()) == Some('S'));
    let start = Instant::now();
    end(&child);
    let ended = child.join().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(process::active_children().is_empty());
    ended.exit_code()
}

fn proc_11_terminate() {
    assert_eq!(ended_by(|child| child.terminate().unwrap()), Some(-15));
}

fn proc_12_kill() {
    assert_eq!(ended_by(|child| child.kill().unwrap()), Some(-9));
}

fn proc_13_interrupt() {
    assert_eq!(ended_by(|child| child.interrupt().unwrap()), Some(-2));

    let ready = Shared::new(AtomicBool::new(false));
    let is_ready = ready.clone();
    let child = process::spawn(move || -> () {
        process::signal::handle(process::signal::Signal::SIGINT, || panic!("interrupted")).unwrap();
        ready.store(true, SeqCst);
        loop {
            process::signal::pause();
        }
    });
    eventually("its handler is there", || is_ready.load(SeqCst));
    child.interrupt().unwrap();
    let failed = child.join().unwrap_err();
    assert_eq!(failed.exit_code(), Some(101));
    assert!(matches!(failed, ExitError::Panicked { report, .. } if report.message == "interrupted"));
}

fn panics_in_a_child() {
    let child = process::spawn(|| -> () { panic!("it went wrong") });
    // The report is there before the child has gone: nothing is left to be printed by this process.
    let failed = child.join().unwrap_err();
    std::process::exit(failed.exit_code().unwrap());
}

fn proc_25_panic_report_on_stderr() {
    let output = harness::program("panics_in_a_child").output().unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(101));
    assert_eq!(report.matches("it went wrong").count(), 1, "{report}");
    assert!(report.contains(file!()), "{report}");
}

fn proc_26_exit_codes() {
    let exits_with = |code: i32| process::spawn(move || -> u32 { process::exit(code) }).join();
    for code in [8, 1, 0, 101, 255] {
        let failed = exits_with(code).unwrap_err();
        assert!(matches!(failed, ExitError::Exited { code: told, .. } if told == code), "{failed}");
        assert_eq!(failed.exit_code(), Some(code));
    }
    // Where there is no value to miss, 0 is all that was to be said.
    let nothing_with = |end: fn()| process::spawn(end).join().map_err(|failed| failed.exit_code());
    assert_eq!(nothing_with(|| process::exit(0)), Ok(()));
    assert_eq!(nothing_with(|| process::exit(1)), Err(Some(1)));
    assert_eq!(nothing_with(|| std::process::exit(3)), Err(Some(3)));
    assert_eq!(nothing_with(|| ()), Ok(()));
}

fn values_of_many_shapes_come_home() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Nothing,
        Named { width: f64, tags: Vec<String> },
        Wrapped(Box<Shape>),
    }
    let shape = Shape::Wrapped(Box::new(Shape::Named { width: 0.1, tags: vec!["a".to_owned()] }));
    let its = shape.clone();
    assert_eq!(process::spawn(move || its).join().unwrap(), shape);
    assert_eq!(process::spawn(|| Shape::Nothing).join().unwrap(), Shape::Nothing);
    assert_eq!(process::spawn(|| None::<u8>).join().unwrap(), None);
    assert_eq!(process::spawn(|| Err::<u8, _>("no".to_owned())).join().unwrap(), Err("no".to_owned()));
    assert_eq!(process::spawn(String::new).join().unwrap(), "");
    assert_eq!(process::spawn(|| [(); 3]).join().unwrap(), [(); 3]);
}

const LARGE: usize = 64 << 20;

fn a_large_value_comes_home() {
    let value = process::spawn(|| "x".repeat(LARGE)).join().unwrap();
    assert_eq!(value.len(), LARGE);
    assert!(value.bytes().all(|byte| byte == b'x'));
}

fn a_value_nobody_fetches_does_not_hold_the_child_back() {
    let (waited_for, dropped) = (process::spawn(|| "x".repeat(LARGE)), process::spawn(|| "x".repeat(LARGE)));
    let pid = dropped.process().id();
    drop(dropped);
    eventually("both have ended", || waited_for.is_finished() && is_gone(pid));
    assert!(process::active_children().is_empty());
}

fn a_panic_comes_home_with_its_message_and_place() {
    let line = line!() + 1;
    let child = Builder::new().name("worker").spawn(|| -> u8 { panic!("number {}", 7) }).unwrap();
    let pid = child.process().id();
    let failed = child.join().unwrap_err();
    assert_eq!(failed.exit_code(), Some(101));
    assert_eq!(
        failed.to_string(),
        format!("process worker (pid {pid}) panicked: number 7 ({}:{line})", file!())
    );

    let silent = process::spawn(|| -> u8 { std::panic::panic_any(7) }).join();
    assert!(matches!(silent, Err(ExitError::Panicked { report, .. }) if report.message.is_empty()));
    // The one that ended it, and not one that it caught before.
    let second = process::spawn(|| -> u8 {
        let _ = catch_unwind(|| panic!("caught"));
        panic!("not caught")
    });
    assert!(second.join().unwrap_err().to_string().contains("not caught"));
    let caught = process::spawn(|| catch_unwind(|| panic!("caught")).is_err());
    assert!(caught.join().unwrap());
}

#[derive(Debug)]
struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it stays here"))
    }
}

impl<'de> Deserialize<'de> for Unsendable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Unsendable, D::Error> {
        Ok(Unsendable)
    }
}

fn a_value_that_cannot_be_sent_is_told() {
    let failed = process::spawn(|| Unsendable).join().unwrap_err();
    assert_eq!(failed.exit_code(), Some(101));
    assert!(
        matches!(&failed, ExitError::Unsendable { reason, .. } if reason.contains("it stays here")),
        "{failed}"
    );
}

#[derive(Debug, Serialize)]
struct Undecodable(u8);

impl<'de> Deserialize<'de> for Undecodable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Undecodable, D::Error> {
        Err(serde::de::Error::custom("not here"))
    }
}

fn a_value_that_cannot_be_put_together_is_told() {
    let failed = process::spawn(|| Undecodable(1)).join().unwrap_err();
    assert!(failed.to_string().contains("not here"), "{failed}");
    assert!(matches!(failed, ExitError::Undecodable { .. }));
}

fn exit_codes_are_those_of_python() {
    for ended_by in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGABRT, Signal::SIGALRM] {
        let failed = process::spawn(move || signal::raise(ended_by).unwrap()).join().unwrap_err();
        assert!(matches!(failed, ExitError::Signaled { signal, .. } if signal.number() == ended_by as i32));
        assert_eq!(failed.exit_code(), Some(-(ended_by as i32)));
        assert!(failed.to_string().ends_with(&format!("was ended by {}", ended_by.as_str())), "{failed}");
    }
    // Ended by a signal after it had a value, but before that was home: no value.
    let failed = process::spawn(|| -> u64 {
        process::at_exit(|| signal::raise(Signal::SIGKILL).unwrap());
        7
    });
    assert_eq!(failed.join().unwrap_err().exit_code(), Some(-9));
}

fn signals_after_the_end_do_no_harm() {
    let child = process::spawn(|| 7);
    let signals = || {
        child.terminate().unwrap();
        child.interrupt().unwrap();
        child.kill().unwrap();
    };
    eventually("it has ended", || child.is_finished());
    signals(); // to a zombie
    assert!(child.wait_timeout(Duration::ZERO));
    signals(); // to nobody, or worse, to who has its pid now
    assert_eq!(child.join().unwrap(), 7);
}

#[allow(unsafe_code)]
fn ignore_sigchld() {
    // SAFETY: to ignore a signal runs no code of ours.
    unsafe { signal::signal(Signal::SIGCHLD, signal::SigHandler::SigIgn) }.unwrap();
}

fn ignored_sigchld_still_gives_an_end() {
    ignore_sigchld();
    for _ in 0..20 {
        assert_eq!(process::spawn(|| 7).join().unwrap(), 7, "a value is home, whatever the status");
    }
    let unknown =
        |ended: ExitError| matches!(ended, ExitError::StatusUnknown { .. }) && ended.exit_code().is_none();
    assert!(unknown(process::spawn(|| ()).join().unwrap_err()));
    assert!(unknown(process::spawn(|| -> u8 { process::exit(3) }).join().unwrap_err()));
    let panicked = process::spawn(|| -> u8 { panic!("told all the same") }).join();
    assert!(
        matches!(panicked, Err(ExitError::Panicked { report, .. }) if report.message == "told all the same")
    );

    let child = process::spawn(sleep_for_ever);
    assert!(!child.is_finished() && !child.wait_timeout(Duration::from_millis(1)));
    child.kill().unwrap();
    assert!(child.wait_timeout(Duration::from_secs(10)) && child.is_finished());
    assert!(unknown(child.join().unwrap_err()));
    assert!(zombies().is_empty() && process::active_children().is_empty());
    process::scope(|s| {
        s.spawn(|| ());
    });
}
