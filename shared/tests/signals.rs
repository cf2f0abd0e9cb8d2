//! Handlers of signals: set, swapped and put back, and run at safe points, one at a time.
//!
//! Waits are in `signals_wait.rs`, and under ten thousand signals a second in `storm.rs`; children in `signals_fork.rs`.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::count;
use harness::tools::eventually;
use nix::sys::signal::{Signal as Raw, kill, raise};
use nix::unistd::getppid;
use shared::memory::Shared;
use shared::process::signal::{self, Disposition, Signal, SignalError};
use shared::process::{self, ExitError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        sig_01_set_read_back_and_restore,
        sig_01_what_cannot_be_handled_is_refused,
        sig_08_handlers_swapped_while_signals_pour_in,
        a_handler_is_not_begun_again_before_it_has_ended,
        handlers_run_inside_handlers_that_wait,
        what_came_before_a_change_is_answered,
        a_handler_may_start_a_process_and_end_the_program,
        a_handler_waits_for_a_safe_point,
    }
}

const MOMENT: Duration = Duration::from_millis(20);

fn sig_01_set_read_back_and_restore() {
    let signal = Signal::SIGUSR1;
    assert_eq!(signal::disposition(signal), Ok(Disposition::Default));
    assert_eq!(signal::handle(signal, || ()), Ok(Disposition::Default));
    let first = signal::disposition(signal).unwrap();
    assert!(matches!(first, Disposition::Handle(_)));
    let counter = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&counter);
    let replaced = signal::handle(signal, move || {
        counted.fetch_add(1, SeqCst);
    });
    assert_eq!(replaced.as_ref(), Ok(&first));
    let second = signal::disposition(signal).unwrap();
    assert_ne!(second, first);

    assert_eq!(signal::ignore(signal).as_ref(), Ok(&second));
    assert_eq!(signal::disposition(signal), Ok(Disposition::Ignore));
    raise(Raw::SIGUSR1).unwrap();
    assert!(!signal::run_pending());

    // The same handler again, after the signal was taken from it.
    assert_eq!(signal::set(signal, second.clone()), Ok(Disposition::Ignore));
    raise(Raw::SIGUSR1).unwrap();
    assert!(signal::run_pending());
    assert_eq!(counter.load(SeqCst), 1);
    assert_eq!(signal::default(signal).as_ref(), Ok(&second));
    assert_eq!(signal::set(signal, second.clone()), Ok(Disposition::Default));
    raise(Raw::SIGUSR1).unwrap();
    assert!(signal::run_pending());
    assert_eq!(counter.load(SeqCst), 2);
    assert_eq!(signal::set(signal, Disposition::Default), Ok(second));
    let child = process::spawn(|| raise(Raw::SIGUSR1).unwrap());
    assert!(matches!(child.join(), Err(ExitError::Signaled { signal: Signal::SIGUSR1, .. })));
}

fn sig_01_what_cannot_be_handled_is_refused() {
    for number in [i32::MIN, -1, 0, 65, i32::MAX] {
        assert_eq!(Signal::try_from(number), Err(SignalError::NoSuch { number }));
    }
    for signal in
        [Signal::SIGKILL, Signal::SIGSTOP, Signal::try_from(32).unwrap(), Signal::try_from(33).unwrap()]
    {
        let refused = Err(SignalError::Reserved { signal });
        assert_eq!(signal::handle(signal, || ()), refused);
        assert_eq!(signal::ignore(signal), refused);
        assert_eq!(signal::default(signal), refused);
    }
    for signal in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE] {
        assert_eq!(signal::handle(signal, || ()), Err(SignalError::Fault { signal }));
        let before = signal::default(signal).unwrap(); // Rust's own handler, for stack overflows
        signal::set(signal, before).unwrap();
    }
    assert_eq!(process::spawn(|| Signal::SIGTERM).join(), Ok(Signal::SIGTERM), "it can be a child's value");
    let told = signal::handle(Signal::SIGKILL, || ()).unwrap_err().to_string();
    assert_eq!(told, "SIGKILL can be neither handled nor ignored");
    for number in 1..=64 {
        let signal = Signal::try_from(number).unwrap();
        assert_eq!((i32::from(signal), signal.number()), (number, number));
        let theirs = Raw::try_from(number).map(Raw::as_str).ok();
        assert_eq!(signal.name(), theirs);
        if signal::handle(signal, || ()).is_ok() {
            assert!(matches!(signal::default(signal), Ok(Disposition::Handle(_))), "{signal}");
        }
    }
}

fn sig_08_handlers_swapped_while_signals_pour_in() {
    let (sent, done) = (Shared::new(AtomicU64::new(0)), Shared::new(AtomicBool::new(false)));
    let received = Arc::new(AtomicU64::new(0));
    signal::ignore(Signal::SIGUSR1).unwrap();
    process::scope(|s| {
        s.spawn(|| {
            let parent = getppid();
            while !done.load(SeqCst) {
                sent.fetch_add(1, SeqCst);
                kill(parent, Raw::SIGUSR1).unwrap();
            }
        });
        eventually("they pour in", || sent.load(SeqCst) > 0);
        let end = Instant::now() + Duration::from_secs(1);
        let mut swaps = 0;
        while Instant::now() < end {
            let received = Arc::clone(&received);
            signal::handle(Signal::SIGUSR1, move || {
                received.fetch_add(1, SeqCst);
            })
            .unwrap();
            signal::run_pending();
            signal::ignore(Signal::SIGUSR1).unwrap();
            assert!(!signal::run_pending(), "an ignored signal has no handler");
            swaps += 1;
        }
        done.store(true, SeqCst);
        assert!(swaps > 100, "{swaps}");
    });
    let (received, sent) = (received.load(SeqCst), sent.load(SeqCst));
    assert!(received > 0 && received <= sent, "{received} of {sent}");
}

fn a_handler_is_not_begun_again_before_it_has_ended() {
    let (depth, runs) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counters = (Arc::clone(&depth), Arc::clone(&runs));
    signal::handle(Signal::SIGUSR1, move || {
        let (depth, runs) = &counters;
        assert_eq!(depth.fetch_add(1, SeqCst), 0);
        if runs.fetch_add(1, SeqCst) < 3 {
            raise(Raw::SIGUSR1).unwrap();
            assert!(!signal::run_pending());
            assert_eq!(signal::wait(&[], Some(MOMENT)), None);
        }
        depth.fetch_sub(1, SeqCst);
    })
    .unwrap();
    raise(Raw::SIGUSR1).unwrap();
    // What came meanwhile has its turn afterwards, without another signal to wake the wait.
    let begun = Instant::now();
    while runs.load(SeqCst) < 4 {
        signal::pause();
    }
    assert!(begun.elapsed() >= 3 * MOMENT && begun.elapsed() < Duration::from_secs(5));
    assert!(!signal::run_pending());
}

fn handlers_run_inside_handlers_that_wait() {
    let inner = count(Signal::SIGALRM);
    let seen = Arc::clone(&inner);
    signal::handle(Signal::SIGUSR1, move || {
        signal::alarm(MOMENT);
        signal::pause();
        assert_eq!(seen.load(SeqCst), 1);
    })
    .unwrap();
    raise(Raw::SIGUSR1).unwrap();
    assert!(signal::run_pending());
    assert_eq!(inner.load(SeqCst), 1);
}

fn what_came_before_a_change_is_answered() {
    let old = count(Signal::SIGUSR1);
    raise(Raw::SIGUSR1).unwrap();
    signal::ignore(Signal::SIGUSR1).unwrap();
    assert_eq!(old.load(SeqCst), 1);
    let first = count(Signal::SIGUSR1);
    raise(Raw::SIGUSR1).unwrap();
    let second = count(Signal::SIGUSR1);
    signal::run_pending();
    assert_eq!(first.load(SeqCst) + second.load(SeqCst), 1);
}

fn a_handler_may_start_a_process_and_end_the_program() {
    let child = process::spawn(|| {
        signal::handle(Signal::SIGALRM, || {
            let code = process::spawn(|| 6 * 7).join().unwrap();
            process::exit(code);
        })
        .unwrap();
        signal::alarm(MOMENT);
        process::spawn(|| thread::sleep(10 * MOMENT)).join().unwrap();
    });
    assert!(matches!(child.join(), Err(ExitError::Exited { code: 42, .. })));
}

fn a_handler_waits_for_a_safe_point() {
    let came = count(Signal::SIGUSR1);
    raise(Raw::SIGUSR1).unwrap();
    thread::sleep(MOMENT);
    assert_eq!(came.load(SeqCst), 0, "std's sleep is none");
    assert!(signal::run_pending());
    assert!(!signal::run_pending());
    assert_eq!(came.load(SeqCst), 1);
    // Every wait is one, also if it has nothing to wait for.
    let child = process::spawn(|| ());
    assert!(child.wait_timeout(Duration::from_secs(10)));
    for n in 2..5 {
        raise(Raw::SIGUSR1).unwrap();
        let _ = signal::wait(&[], Some(Duration::ZERO));
        assert_eq!(came.load(SeqCst), n);
    }
    child.join().unwrap();
}
