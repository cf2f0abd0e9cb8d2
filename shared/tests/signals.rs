//! `process::signal`: handlers, their safe points, the clock, waiting for signals, and what a fork leaves of them.
//!
//! The numbered tests are those of CONFORMANCE.md. Calls that wait under ten thousand signals a second are in
//! `storm.rs`.

mod harness;

use harness::tools::{eventually, sleep_for_ever, state, takes};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as Raw, kill, raise, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid, getppid};
use shared::memory::Shared;
use shared::process::signal::{self, Disposition, Signal, SignalError};
use shared::process::{self, ExitError};
use shared::sync::{Lock, ReentrantLock};
use std::fs::File;
use std::io::{Read, Write, pipe};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        sig_01_set_read_back_and_restore,
        sig_01_what_cannot_be_handled_is_refused,
        sig_02_timer_then_pause,
        sig_03_timer_of_one_microsecond,
        sig_04_failing_handler_ends_the_wait_and_a_read_goes_on,
        sig_06_wait_for_signals,
        sig_07_ten_thousand_timers_and_none_is_lost,
        sig_08_handlers_swapped_while_signals_pour_in,
        sig_10_two_signals_from_a_thread,
        sig_11_lock_goes_on_after_a_handler,
        sig_13_handler_that_panics_ends_a_lock_call,
        sig_14_signal_by_descriptor,
        a_later_alarm_replaces_an_earlier_one,
        an_alarm_without_a_handler_ends_the_process,
        a_child_has_no_clock_of_its_parent,
        alarms_and_waits_are_never_early,
        absurd_alarms_and_waits_are_for_ever,
        a_foreign_handler_is_called_as_well_and_put_back,
        a_child_does_what_is_done_by_default,
        what_is_ignored_stays_ignored_in_a_child,
        a_child_sets_its_own_handlers,
        what_came_before_a_fork_is_the_parents,
        handlers_of_others_stay_in_a_child,
        a_fork_past_the_library_has_no_handlers_either,
        a_handler_is_not_begun_again_before_it_has_ended,
        handlers_run_inside_handlers_that_wait,
        what_came_before_a_change_is_answered,
        a_handler_may_start_a_process_and_end_the_program,
        a_handler_waits_for_a_safe_point,
        a_signal_that_another_thread_gets_is_handled_by_who_waits,
        a_failed_process_tells_its_signal_by_name,
    }
}

/// Has this signal counted.
fn count(signal: Signal) -> Arc<AtomicU32> {
    let counter = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&counter);
    signal::handle(signal, move || {
        counted.fetch_add(1, SeqCst);
    })
    .unwrap();
    counter
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

#[allow(unsafe_code)]
fn sig_14_signal_by_descriptor() {
    // SAFETY: no memory is passed; the descriptor is new and ours.
    let own = unsafe {
        let fd = nix::libc::syscall(nix::libc::SYS_pidfd_open, std::process::id(), 0);
        OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor"))
    };
    let came = count(Signal::SIGUSR1);
    signal::send(&own, Signal::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!(came.load(SeqCst), 1);

    let bad = File::open("/dev/null").unwrap();
    let refused = signal::send(bad.as_fd(), Signal::SIGUSR1).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(nix::libc::EBADF));

    for signal in [Signal::SIGUSR2, Signal::try_from(64).unwrap()] {
        let child = process::spawn(sleep_for_ever);
        signal::send(&child, signal).unwrap();
        assert!(child.wait_timeout(Duration::from_secs(5)));
        signal::send(&child, signal).unwrap(); // to a zombie
        let ended_by = child.join().unwrap_err();
        assert!(matches!(ended_by, ExitError::Signaled { signal: by, .. } if by == signal), "{ended_by}");
    }
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

fn an_alarm_without_a_handler_ends_the_process() {
    let _parents = count(Signal::SIGALRM);
    let child = process::spawn(|| {
        signal::alarm(MOMENT);
        sleep_for_ever();
    });
    assert!(matches!(child.join(), Err(ExitError::Signaled { signal: Signal::SIGALRM, .. })));
}

fn a_child_has_no_clock_of_its_parent() {
    signal::alarm(Duration::from_secs(100));
    assert_eq!(process::spawn(|| signal::alarm(Duration::ZERO)).join(), Ok(None));
    assert!(signal::alarm(Duration::ZERO).is_some());
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

static FOREIGN: AtomicU32 = AtomicU32::new(0);

#[allow(unsafe_code)]
fn set_foreign_handler() {
    extern "C" fn foreign(_: i32) {
        FOREIGN.fetch_add(1, SeqCst);
    }
    let action = SigAction::new(SigHandler::Handler(foreign), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does an atomic operation.
    unsafe { sigaction(Raw::SIGUSR1, &action) }.unwrap();
}

fn a_foreign_handler_is_called_as_well_and_put_back() {
    set_foreign_handler();
    let before = signal::disposition(Signal::SIGUSR1).unwrap();
    assert!(matches!(before, Disposition::Foreign(_)));
    let came = count(Signal::SIGUSR1);
    raise(Raw::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!((FOREIGN.load(SeqCst), came.load(SeqCst)), (1, 1));
    let ours = signal::set(Signal::SIGUSR1, before.clone()).unwrap();
    assert_eq!(signal::disposition(Signal::SIGUSR1), Ok(before));
    raise(Raw::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!((FOREIGN.load(SeqCst), came.load(SeqCst)), (2, 1));
    signal::set(Signal::SIGUSR1, ours).unwrap();
    raise(Raw::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!((FOREIGN.load(SeqCst), came.load(SeqCst)), (3, 2));
}

fn a_child_does_what_is_done_by_default() {
    let came = [Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGCHLD, Signal::SIGALRM].map(count);
    for (raw, signal) in [(Raw::SIGTERM, Signal::SIGTERM), (Raw::SIGUSR1, Signal::SIGUSR1)] {
        let child = process::spawn(move || {
            assert_eq!(signal::disposition(signal), Ok(Disposition::Default));
            raise(Raw::SIGCHLD).unwrap(); // which is nothing
            raise(raw).unwrap();
        });
        assert!(matches!(child.join(), Err(ExitError::Signaled { signal: by, .. }) if by == signal));
    }
    // From outside, before it has its bearings or after.
    for _ in 0..200 {
        let child = process::spawn(sleep_for_ever);
        child.terminate().unwrap();
        assert!(matches!(child.join(), Err(ExitError::Signaled { signal: Signal::SIGTERM, .. })));
    }
    assert!(came[..2].iter().all(|came| came.load(SeqCst) == 0));
    assert!(came[2].load(SeqCst) > 0, "the parent's is still set");
}

fn what_is_ignored_stays_ignored_in_a_child() {
    signal::ignore(Signal::SIGUSR1).unwrap();
    let child = process::spawn(|| {
        raise(Raw::SIGUSR1).unwrap();
        signal::disposition(Signal::SIGUSR1) == Ok(Disposition::Ignore)
    });
    assert_eq!(child.join(), Ok(true));
}

fn a_child_sets_its_own_handlers() {
    let parents = count(Signal::SIGUSR1);
    let child = process::spawn(|| {
        let own = count(Signal::SIGUSR1);
        raise(Raw::SIGUSR1).unwrap();
        signal::run_pending();
        // And so may its child in turn.
        let grandchild = process::spawn(|| {
            assert_eq!(signal::disposition(Signal::SIGUSR1), Ok(Disposition::Default));
            let own = count(Signal::SIGUSR1);
            raise(Raw::SIGUSR1).unwrap();
            signal::run_pending();
            own.load(SeqCst)
        });
        (own.load(SeqCst), grandchild.join().unwrap(), own.load(SeqCst))
    });
    assert_eq!(child.join(), Ok((1, 1, 1)));
    assert_eq!(parents.load(SeqCst), 0);
    raise(Raw::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!(parents.load(SeqCst), 1);
}

fn what_came_before_a_fork_is_the_parents() {
    let came = count(Signal::SIGUSR1);
    raise(Raw::SIGUSR1).unwrap();
    let in_child = Arc::clone(&came);
    let child = process::spawn(move || (signal::run_pending(), in_child.load(SeqCst)));
    // Nor with a handler of its own.
    let another = process::spawn(|| {
        let own = count(Signal::SIGUSR1);
        (signal::run_pending(), own.load(SeqCst))
    });
    assert_eq!(came.load(SeqCst), 0);
    assert_eq!((child.join(), another.join()), (Ok((false, 0)), Ok((false, 0))));
    assert_eq!(came.load(SeqCst), 1, "the join was a safe point");
}

fn handlers_of_others_stay_in_a_child() {
    set_foreign_handler();
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR2, Arc::clone(&flag)).unwrap();
    let came = [Signal::SIGUSR1, Signal::SIGUSR2].map(count);
    let child = process::spawn(move || {
        raise(Raw::SIGUSR1).unwrap();
        raise(Raw::SIGUSR2).unwrap();
        signal::run_pending();
        (FOREIGN.load(SeqCst), flag.load(SeqCst), came.map(|came| came.load(SeqCst)))
    });
    assert_eq!(child.join(), Ok((1, true, [0, 0])));
}

#[allow(unsafe_code)]
fn a_fork_past_the_library_has_no_handlers_either() {
    let _came = count(Signal::SIGUSR1);
    // SAFETY: this process has one thread.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Child => {
            let _ = raise(Raw::SIGUSR1);
            std::process::exit(3);
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Signaled(child, Raw::SIGUSR1, false)));
        }
    }
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

fn a_failed_process_tells_its_signal_by_name() {
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::try_from(40).unwrap(), "signal 40")] {
        let child = process::spawn(sleep_for_ever);
        signal::send(&child, signal).unwrap();
        let pid = Pid::from_raw(child.process().id() as i32);
        let told = child.join().unwrap_err();
        assert_eq!(told.exit_code(), Some(-signal.number()));
        assert!(told.to_string().ends_with(&format!("(pid {pid}) was ended by {name}")), "{told}");
    }
}
