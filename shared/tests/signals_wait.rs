//! Signals and waits: the clock, waiting for a signal, and waits into which one comes.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::count;
use harness::tools::{eventually, sleep_for_ever, state, takes};
use nix::sys::signal::{Signal as Raw, kill, raise};
use nix::unistd::{getpid, getppid};
use shared::memory::Shared;
use shared::process;
use shared::process::signal::{self, Signal};
use shared::sync::{Lock, ReentrantLock};
use std::io::{Read, Write, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        sig_02_timer_then_pause,
        sig_03_timer_of_one_microsecond,
        sig_04_failing_handler_ends_the_wait_and_a_read_goes_on,
        sig_06_wait_for_signals,
        sig_07_ten_thousand_timers_and_none_is_lost,
        sig_10_two_signals_from_a_thread,
        sig_11_lock_goes_on_after_a_handler,
        sig_13_handler_that_panics_ends_a_lock_call,
        a_later_alarm_replaces_an_earlier_one,
        alarms_and_waits_are_never_early,
        absurd_alarms_and_waits_are_for_ever,
        a_signal_that_another_thread_gets_is_handled_by_who_waits,
    }
}

const MOMENT: Duration = Duration::from_millis(20);

fn sig_02_timer_then_pause() {
    let rang = count(Signal::SIGALRM);
    let begun = Instant::now();
    assert_eq!(signal::alarm(MOMENT), None);
    signal::pause();
    assert_eq!(rang.load(SeqCst), 1);
    assert!(begun.elapsed() >= MOMENT);
}

fn sig_03_timer_of_one_microsecond() {
    let rang = count(Signal::SIGALRM);
    for time in [Duration::from_micros(1), Duration::from_nanos(1)] {
        rang.store(0, SeqCst);
        signal::alarm(time);
        signal::pause();
        assert_eq!(rang.load(SeqCst), 1, "{time:?}");
    }
}

fn sig_04_failing_handler_ends_the_wait_and_a_read_goes_on() {
    signal::handle(Signal::SIGALRM, || panic!("no luck")).unwrap();
    let failing = |wait: &dyn Fn()| {
        signal::alarm(MOMENT);
        let begun = Instant::now();
        let failed = catch_unwind(AssertUnwindSafe(wait)).expect_err("the handler panics");
        assert_eq!(failed.downcast_ref(), Some(&"no luck"));
        assert!(begun.elapsed() < Duration::from_secs(3));
    };
    let child = process::spawn(sleep_for_ever);
    failing(&|| assert!(!child.wait_timeout(Duration::from_secs(10))));
    failing(&signal::pause);
    failing(&|| assert_eq!(signal::wait(&[Signal::SIGUSR1], None), None));
    child.kill().unwrap();
    assert!(child.join().is_err());

    // A read that is not the library's goes on, and the handler runs afterwards.
    let came = count(Signal::SIGUSR1);
    let (mut from, to) = pipe().unwrap();
    let child = process::spawn(move || {
        let (parent, mut to) = (getppid(), to);
        eventually("the parent reads", || state(parent.as_raw() as u32) == Some('S'));
        kill(parent, Raw::SIGUSR1).unwrap();
        eventually("the parent reads again", || state(parent.as_raw() as u32) == Some('S'));
        to.write_all(b"!").unwrap();
    });
    assert_eq!(from.read(&mut [0; 8]).unwrap(), 1);
    assert_eq!(came.load(SeqCst), 0);
    child.join().unwrap();
    assert_eq!(came.load(SeqCst), 1);
}

fn sig_06_wait_for_signals() {
    let (handled, unhandled) = (Signal::SIGUSR1, Signal::SIGUSR2);
    let came = count(handled);
    let both = [handled, unhandled];

    // None came: at once, and after the time.
    let begun = Instant::now();
    assert_eq!(signal::wait(&both, Some(Duration::ZERO)), None);
    assert_eq!(signal::wait(&[], Some(Duration::ZERO)), None);
    assert!(begun.elapsed() < Duration::from_secs(1));
    takes(MOMENT, || assert_eq!(signal::wait(&both, Some(MOMENT)), None));
    takes(MOMENT, || assert_eq!(signal::wait(&[], Some(MOMENT)), None));

    // It is told, not handled; and where nothing handles it, it does not end the process.
    for (raw, signal) in [(Raw::SIGUSR1, handled), (Raw::SIGUSR2, unhandled), (Raw::SIGCHLD, Signal::SIGCHLD)]
    {
        for timeout in [None, Some(Duration::from_secs(10))] {
            let child = process::spawn(move || {
                let parent = getppid();
                eventually("the parent waits", || state(parent.as_raw() as u32) == Some('S'));
                kill(parent, raw).unwrap();
            });
            assert_eq!(signal::wait(&[signal], timeout), Some(signal));
            child.join().unwrap();
            assert_eq!(came.load(SeqCst), 0);
        }
    }

    // It had come before: also then, and only once.
    raise(Raw::SIGUSR1).unwrap();
    assert_eq!(signal::wait(&both, Some(Duration::ZERO)), Some(handled));
    assert_eq!(signal::wait(&both, Some(Duration::ZERO)), None);
    assert!(!signal::run_pending());

    // Another one is handled meanwhile, and the wait goes on to its end.
    let rang = count(Signal::SIGALRM);
    signal::alarm(MOMENT / 2);
    takes(MOMENT, || assert_eq!(signal::wait(&both, Some(MOMENT)), None));
    assert_eq!((rang.load(SeqCst), came.load(SeqCst)), (1, 0));

    // And afterwards it is handled as before.
    raise(Raw::SIGUSR1).unwrap();
    assert!(signal::run_pending());
    assert_eq!(came.load(SeqCst), 1);
}

fn sig_07_ten_thousand_timers_and_none_is_lost() {
    const TIMERS: u32 = 10_000;
    let (rang, other) = (count(Signal::SIGALRM), count(Signal::SIGUSR1));
    for n in 1..=TIMERS {
        // Each depends on the one before; and with each comes another signal, at about the same time.
        signal::alarm(Duration::from_micros(u64::from(n % 50 + 1)));
        raise(Raw::SIGUSR1).unwrap();
        while (rang.load(SeqCst), other.load(SeqCst)) != (n, n) {
            signal::pause();
        }
    }
    assert_eq!(signal::alarm(Duration::ZERO), None);
}

fn sig_10_two_signals_from_a_thread() {
    let main = thread::current().id();
    let by_main = Arc::new(AtomicU32::new(0));
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        let by_main = Arc::clone(&by_main);
        signal::handle(signal, move || {
            assert_eq!(thread::current().id(), main);
            by_main.fetch_add(if signal == Signal::SIGUSR1 { 1 } else { 100 }, SeqCst);
        })
        .unwrap();
    }
    let sender = thread::spawn(|| {
        kill(getpid(), Raw::SIGUSR1).unwrap();
        kill(getpid(), Raw::SIGUSR2).unwrap();
    });
    while by_main.load(SeqCst) != 101 {
        signal::pause();
    }
    sender.join().unwrap();
    assert!(!signal::run_pending());
}

/// A child that holds a lock, sends its parent a signal whenever that waits, and lets go only when told.
fn while_a_child_holds(hold: impl FnOnce(&dyn Fn()) + Send, wait: impl FnOnce(&dyn Fn())) {
    let (held, let_go) = (Shared::new(AtomicBool::new(false)), Shared::new(AtomicBool::new(false)));
    process::scope(|s| {
        s.spawn(|| {
            hold(&|| {
                held.store(true, SeqCst);
                let parent = getppid();
                while !let_go.load(SeqCst) {
                    eventually("the parent waits", || {
                        state(parent.as_raw() as u32) == Some('S') || let_go.load(SeqCst)
                    });
                    kill(parent, Raw::SIGUSR1).unwrap();
                }
            });
        });
        eventually("the child has the lock", || held.load(SeqCst));
        wait(&|| let_go.store(true, SeqCst));
    });
}

fn sig_11_lock_goes_on_after_a_handler() {
    let (lock, reentrant) = (Lock::new(()), ReentrantLock::new(()));
    let came = count(Signal::SIGUSR1); // before a child may send one
    let hold_lock = |inside: &dyn Fn()| {
        let _guard = lock.lock().unwrap();
        inside();
    };
    let hold_reentrant = |inside: &dyn Fn()| {
        let _guard = reentrant.lock().unwrap();
        inside();
    };
    let let_go_after_ten = |let_go: &dyn Fn(), wait: &dyn Fn()| {
        came.store(0, SeqCst);
        let patience = Duration::from_millis(50);
        while came.load(SeqCst) < 10 {
            let begun = Instant::now();
            assert!(lock.lock_timeout(patience).is_err() || reentrant.lock_timeout(patience).is_err());
            assert!(begun.elapsed() >= patience, "early");
        }
        let_go();
        wait();
    };
    while_a_child_holds(hold_lock, |let_go| let_go_after_ten(let_go, &|| drop(lock.lock().unwrap())));
    while_a_child_holds(hold_reentrant, |let_go| {
        let_go_after_ten(let_go, &|| drop(reentrant.lock().unwrap()))
    });
}

fn sig_13_handler_that_panics_ends_a_lock_call() {
    let lock = Lock::new(0);
    signal::handle(Signal::SIGUSR1, || panic!("stop")).unwrap();
    let hold = |inside: &dyn Fn()| {
        let _guard = lock.lock().unwrap();
        inside();
    };
    while_a_child_holds(hold, |let_go| {
        let begun = Instant::now();
        let stopped = catch_unwind(AssertUnwindSafe(|| drop(lock.lock())));
        assert_eq!(stopped.unwrap_err().downcast_ref(), Some(&"stop"));
        assert!(begun.elapsed() < Duration::from_secs(3));
        signal::ignore(Signal::SIGUSR1).unwrap();
        let_go();
        // It was not taken, and is not poisoned.
        assert_eq!(*lock.lock().unwrap(), 0);
    });
}

fn a_later_alarm_replaces_an_earlier_one() {
    let rang = count(Signal::SIGALRM);
    assert_eq!(signal::alarm(Duration::from_secs(100)), None);
    let left = signal::alarm(MOMENT).unwrap();
    assert!(left <= Duration::from_secs(100) && left > Duration::from_secs(90), "{left:?}");
    signal::pause();
    assert_eq!(rang.load(SeqCst), 1);
    assert_eq!(signal::alarm(MOMENT), None, "it has rung");
    assert!(signal::alarm(Duration::ZERO).is_some_and(|left| left <= MOMENT));
    assert_eq!(signal::alarm(Duration::ZERO), None);
    assert_eq!(signal::wait(&[Signal::SIGALRM], Some(2 * MOMENT)), None);
}

fn alarms_and_waits_are_never_early() {
    let _rang = count(Signal::SIGALRM);
    for micros in [1, 999, 1001, 20_001, 300_000] {
        let time = Duration::from_micros(micros) + Duration::from_nanos(1);
        takes(time, || {
            signal::alarm(time);
            signal::pause();
        });
        takes(time, || assert_eq!(signal::wait(&[Signal::SIGUSR1], Some(time)), None));
    }
}

fn absurd_alarms_and_waits_are_for_ever() {
    let rang = count(Signal::SIGALRM);
    for absurd in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(i64::MAX as u64)] {
        signal::alarm(absurd);
        assert_eq!(signal::wait(&[Signal::SIGALRM], Some(MOMENT)), None);
        assert!(signal::alarm(MOMENT).unwrap() > Duration::from_secs(1 << 32));
        assert_eq!(signal::wait(&[Signal::SIGALRM], Some(absurd)), Some(Signal::SIGALRM));
    }
    assert_eq!(rang.load(SeqCst), 0);
}

fn a_signal_that_another_thread_gets_is_handled_by_who_waits() {
    let waiting = Arc::new(AtomicBool::new(false));
    let handled_by = Arc::new(std::sync::Mutex::new(None));
    let by = Arc::clone(&handled_by);
    signal::handle(Signal::SIGUSR1, move || *by.lock().unwrap() = Some(thread::current().id())).unwrap();
    let lock = Lock::new(());
    let guard = lock.lock().unwrap();
    let waits = thread::spawn({
        let (lock, waiting) = (lock.clone(), Arc::clone(&waiting));
        move || {
            waiting.store(true, SeqCst);
            drop(lock.lock().unwrap());
            thread::current().id()
        }
    });
    eventually("it is about to wait", || waiting.load(SeqCst));
    raise(Raw::SIGUSR1).unwrap(); // to this thread
    eventually("it is handled", || handled_by.lock().unwrap().is_some());
    drop(guard);
    assert_eq!(*handled_by.lock().unwrap(), Some(waits.join().unwrap()));
}
