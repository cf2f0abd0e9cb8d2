//! Crowds at a lock: never two inside, nobody left waiting, whoever is woken or gives up.

mod cast;
mod harness;

use cast::while_a_child_holds;
use harness::tools::{clock, eventually, takes};
use shared::memory::Shared;
use shared::process;
use shared::sync::{Lock, LockTimeoutError, ReentrantLock};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        no_two_processes_are_inside_at_once,
        no_two_threads_are_inside_at_once,
        a_sleeping_waiter_is_woken_by_the_release,
        sleepers_all_get_their_turn,
        a_timeout_takes_no_wake_up_with_it,
        a_signal_does_not_end_a_wait_early,
    }
}

fn no_two_processes_are_inside_at_once() {
    const TURNS: u32 = 20_000;
    let lock = Lock::new(0);
    let inside = Shared::new(AtomicU32::new(0));
    process::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..TURNS {
                    let mut count = lock.lock().unwrap();
                    assert_eq!(inside.fetch_add(1, SeqCst), 0, "alone");
                    let seen = *count;
                    inside.fetch_sub(1, SeqCst);
                    *count = seen + 1;
                }
            });
        }
    });
    assert_eq!(*lock.lock().unwrap(), 4 * TURNS);
}

fn no_two_threads_are_inside_at_once() {
    const TURNS: u32 = 20_000;
    let (lock, reentrant) = (Lock::new(0), ReentrantLock::new(Cell::new(0)));
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..TURNS {
                    *lock.lock().unwrap() += 1;
                    let outer = reentrant.lock().unwrap();
                    let inner = reentrant.lock().unwrap();
                    inner.set(outer.get() + 1);
                }
            });
        }
    });
    assert_eq!((*lock.lock().unwrap(), reentrant.lock().unwrap().get()), (4 * TURNS, 4 * TURNS));
}

/// By the release, and not by the end of a slice: those are 800 ms long after a while.
fn a_sleeping_waiter_is_woken_by_the_release() {
    let lock = Lock::new(());
    let best = (0..3).map(|_| {
        let (waiting, got) = (Shared::new(AtomicBool::new(false)), Lock::new(0_u64));
        let guard_held_until = process::scope(|s| {
            let holder = s.spawn(|| {
                let guard = lock.lock().unwrap();
                eventually("the waiter comes", || waiting.load(SeqCst));
                thread::sleep(Duration::from_millis(700)); // so that it is asleep in a long slice
                let now = clock();
                drop(guard);
                now
            });
            eventually("the holder has it", || lock.is_locked());
            s.spawn(|| {
                waiting.store(true, SeqCst);
                let _guard = lock.lock().unwrap();
                *got.lock().unwrap() = clock();
            });
            holder.join().unwrap()
        });
        *got.lock().unwrap() - guard_held_until
    });
    let best = Duration::from_nanos(best.min().unwrap());
    assert!(best < Duration::from_millis(20), "woken after {best:?}");
}

fn sleepers_all_get_their_turn() {
    let lock = Lock::new(0);
    let waiters = 20;
    let arrived = Shared::new(AtomicU32::new(0));
    process::scope(|s| {
        s.spawn(|| {
            let _guard = lock.lock().unwrap();
            eventually("all are there", || arrived.load(SeqCst) == waiters);
        });
        eventually("the first has it", || lock.is_locked());
        for _ in 0..waiters {
            s.spawn(|| {
                arrived.fetch_add(1, SeqCst);
                *lock.lock().unwrap() += 1;
            });
        }
    });
    assert_eq!(*lock.lock().unwrap(), waiters);
}

/// Waiters whose time is up leave among others who go on waiting: nobody's wake-up is lost with them.
fn a_timeout_takes_no_wake_up_with_it() {
    let lock = Lock::new(0_u32);
    process::scope(|s| {
        for worker in 0..4 {
            let lock = &lock;
            s.spawn(move || {
                let mut turns = 0_u32;
                while turns < 2_000 {
                    let time = Duration::from_micros(u64::from(turns % 7) * 20);
                    let guard = if worker < 2 { lock.lock_timeout(time).ok() } else { lock.lock().ok() };
                    if let Some(mut guard) = guard {
                        *guard += 1;
                        turns += 1;
                    }
                }
            });
        }
    });
    assert_eq!(*lock.lock().unwrap(), 8_000);
}

fn a_signal_does_not_end_a_wait_early() {
    let came = std::sync::Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, came.clone()).unwrap();
    let (lock, done) = (Lock::new(()), Shared::new(AtomicBool::new(false)));
    let hold = |inside: &dyn Fn()| {
        let _guard = lock.lock().unwrap();
        inside();
    };
    while_a_child_holds(hold, |_| {
        process::scope(|s| {
            s.spawn(|| {
                let parent = nix::unistd::getppid();
                while !done.load(SeqCst) {
                    nix::sys::signal::kill(parent, nix::sys::signal::SIGUSR1).unwrap();
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let time = Duration::from_millis(100);
            takes(time, || assert!(matches!(lock.lock_timeout(time), Err(LockTimeoutError::Timeout))));
            done.store(true, SeqCst);
        });
    });
    assert!(came.load(SeqCst));
}
