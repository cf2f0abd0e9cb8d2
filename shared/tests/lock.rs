//! `Lock` and `ReentrantLock` among living processes; deaths are in `owner_died.rs`.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, state, takes};
use shared::memory::Shared;
use shared::process;
use shared::sync::{Cause, Lock, LockTimeoutError, ReentrantLock, TryLockError};
use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        lock_01_acquire_and_release,
        lock_02_locked_in_another_process,
        lock_03_reentrant_three_deep,
        lock_04_reentrant_locked_in_another_process,
        lock_05_guard_ends_with_its_scope_and_with_a_panic,
        lock_06_debug_text_in_each_state,
        lock_08_timed_lock_free_and_held,
        lock_09_absurd_timeouts,
        lock_11_lock_by_its_holder_blocks,
        lock_13_reentrant_only_the_last_guard_gives_it_back,
        no_two_processes_are_inside_at_once,
        no_two_threads_are_inside_at_once,
        a_sleeping_waiter_is_woken_by_the_release,
        sleepers_all_get_their_turn,
        a_timeout_takes_no_wake_up_with_it,
        every_clone_is_the_same_lock,
        guards_change_what_other_processes_see,
        locks_are_independent,
        a_signal_does_not_end_a_wait_early,
        poison_by_panic_is_seen_in_every_process,
        a_guard_made_while_panicking_does_not_poison,
        dropping_the_last_handle_unmaps,
    }
}

/// Runs `f` while a child holds the lock that `hold` takes.
fn while_a_child_holds(hold: impl FnOnce(&dyn Fn()) + Send, f: impl FnOnce(u32)) {
    let (held, done) = (Shared::new(AtomicBool::new(false)), Shared::new(AtomicBool::new(false)));
    process::scope(|s| {
        let child = s.spawn(|| {
            hold(&|| {
                held.store(true, SeqCst);
                eventually("the parent is done", || done.load(SeqCst));
            });
        });
        eventually("the child has the lock", || held.load(SeqCst));
        f(child.process().id());
        done.store(true, SeqCst);
        child.join().expect("the child ends well");
    });
}

fn lock_01_acquire_and_release() {
    let lock = Lock::new(());
    assert!(!lock.is_locked());
    let guard = lock.lock().unwrap();
    assert!(lock.is_locked());
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    drop(guard);
    assert!(!lock.is_locked());
    drop(lock.try_lock().unwrap());
    assert!(!lock.is_locked());
}

fn lock_02_locked_in_another_process() {
    let lock = Lock::new(());
    let hold = |inside: &dyn Fn()| {
        let _guard = lock.lock().unwrap();
        inside();
    };
    while_a_child_holds(hold, |_| {
        assert!(lock.is_locked());
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    });
    assert!(!lock.is_locked());
}

fn lock_03_reentrant_three_deep() {
    let lock = ReentrantLock::new(());
    let first = lock.lock().unwrap();
    let second = lock.try_lock().unwrap();
    let third = lock.lock_timeout(Duration::ZERO).unwrap();
    for guard in [third, second, first] {
        assert!(lock.is_locked());
        assert!(refused_elsewhere(&lock));
        drop(guard);
    }
    assert!(!lock.is_locked());
    assert!(!refused_elsewhere(&lock));
}

/// Whether another thread cannot have it now. (Another process cannot be asked: no fork while holding it.)
fn refused_elsewhere(lock: &ReentrantLock<()>) -> bool {
    let ask = || matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    thread::scope(|s| s.spawn(ask).join().unwrap())
}

fn lock_04_reentrant_locked_in_another_process() {
    let lock = ReentrantLock::new(());
    let hold = |inside: &dyn Fn()| {
        let _outer = lock.lock().unwrap();
        let _inner = lock.lock().unwrap();
        inside();
    };
    while_a_child_holds(hold, |_| {
        assert!(lock.is_locked());
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    });
    assert!(!lock.is_locked());
}

fn lock_05_guard_ends_with_its_scope_and_with_a_panic() {
    let (lock, reentrant) = (Lock::new(1), ReentrantLock::new(1));
    {
        assert_eq!((*lock.lock().unwrap(), *reentrant.lock().unwrap()), (1, 1));
        let (_one, _two) = (lock.lock().unwrap(), reentrant.lock().unwrap());
        assert!(lock.is_locked() && reentrant.is_locked());
    }
    assert!(!lock.is_locked() && !reentrant.is_locked());

    let failed = catch_unwind(AssertUnwindSafe(|| {
        let (_one, _two) = (lock.lock().unwrap(), reentrant.lock().unwrap());
        panic!("the body fails");
    }));
    assert!(failed.is_err());
    assert!(!lock.is_locked() && !reentrant.is_locked());
    let panicked = Cause::Panicked { pid: std::process::id() };
    assert_eq!(lock.lock().unwrap_err().cause(), panicked);
    assert_eq!(reentrant.lock().unwrap_err().cause(), panicked);
}

fn lock_06_debug_text_in_each_state() {
    let (lock, reentrant) = (Lock::new(0), ReentrantLock::new(0));
    let text = || (format!("{lock:?}"), format!("{reentrant:?}"));
    let me = std::process::id();

    let (free, free_too) = text();
    assert!(free.starts_with("Lock") && free.contains("owner: None"), "{free}");
    assert!(free_too.starts_with("ReentrantLock") && free_too.contains("owner: None"), "{free_too}");
    assert!(free_too.contains("depth: 0"), "{free_too}");
    {
        let _guards = (lock.lock().unwrap(), reentrant.lock().unwrap(), reentrant.lock().unwrap());
        let (mine, mine_too) = text();
        assert!(mine.contains(&format!("owner: Some({me})")), "{mine}");
        assert!(mine_too.contains(&format!("owner: Some({me})")), "{mine_too}");
        assert!(mine_too.contains("depth: 2"), "{mine_too}");
    }
    let hold = |inside: &dyn Fn()| {
        let _guards = (lock.lock().unwrap(), reentrant.lock().unwrap());
        inside();
    };
    while_a_child_holds(hold, |pid| {
        let (its, its_too) = text();
        assert!(its.contains(&format!("owner: Some({pid})")), "{its}");
        assert!(its_too.contains(&format!("owner: Some({pid})")), "{its_too}");
        assert!(its_too.contains("depth: 1"), "{its_too}");
    });
    assert_eq!(
        format!("{:?} {}", lock.lock().unwrap(), lock.lock_timeout(Duration::ZERO).is_ok()),
        "0 false"
    );
}

fn lock_08_timed_lock_free_and_held() {
    let (lock, reentrant) = (Lock::new(()), ReentrantLock::new(()));
    let start = Instant::now();
    drop(lock.lock_timeout(Duration::from_secs(20)).unwrap());
    drop(reentrant.lock_timeout(Duration::from_secs(20)).unwrap());
    assert!(start.elapsed() < Duration::from_secs(10), "a free lock is there at once");

    let hold = |inside: &dyn Fn()| {
        let _guards = (lock.lock().unwrap(), reentrant.lock().unwrap());
        inside();
    };
    while_a_child_holds(hold, |_| {
        for micros in [0, 1, 300, 7_000, 40_000] {
            let time = Duration::from_micros(micros);
            takes(time, || assert!(matches!(lock.lock_timeout(time), Err(LockTimeoutError::Timeout))));
            takes(time, || assert!(matches!(reentrant.lock_timeout(time), Err(LockTimeoutError::Timeout))));
        }
    });
}

/// A `Duration` is never negative; what is too long to be added up is for ever.
fn lock_09_absurd_timeouts() {
    let lock = Lock::new(0);
    for forever in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(i64::MAX as u64)] {
        drop(lock.lock_timeout(forever).unwrap());
        let waiting = Shared::new(AtomicBool::new(false));
        process::scope(|s| {
            let child = s.spawn(|| {
                let mut guard = lock.lock().unwrap();
                eventually("the parent waits", || {
                    waiting.load(SeqCst) && state(std::os::unix::process::parent_id()) == Some('S')
                });
                *guard += 1;
            });
            eventually("the child has it", || lock.is_locked());
            waiting.store(true, SeqCst);
            drop(lock.lock_timeout(forever).unwrap());
            child.join().unwrap();
        });
    }
    assert_eq!(*lock.lock().unwrap(), 3);
}

fn lock_11_lock_by_its_holder_blocks() {
    let lock = Lock::new(0);
    let mut guard = lock.lock().unwrap();
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    let time = Duration::from_millis(30);
    takes(time, || assert!(matches!(lock.lock_timeout(time), Err(LockTimeoutError::Timeout))));
    *guard += 1; // and it still is the holder's
    drop(guard);

    let child = process::spawn({
        let lock = lock.clone();
        move || -> () {
            let _first = lock.lock().unwrap();
            let _second = lock.lock();
        }
    });
    assert!(!child.wait_timeout(Duration::from_millis(500)));
    assert_eq!(state(child.process().id()), Some('S'), "it waits asleep");
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert_eq!(*lock.lock().unwrap_err().into_inner(), 1);
}

fn lock_13_reentrant_only_the_last_guard_gives_it_back() {
    let lock = ReentrantLock::new(());
    let (first, second) = (lock.lock().unwrap(), lock.lock().unwrap());
    drop(first); // in whatever order
    assert!(lock.is_locked());
    assert!(refused_elsewhere(&lock));
    drop(second);
    assert!(!refused_elsewhere(&lock));
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

/// `CLOCK_MONOTONIC` in nanoseconds, the same in all processes.
fn clock() -> u64 {
    let now = nix::time::ClockId::CLOCK_MONOTONIC.now().unwrap();
    Duration::from(now).as_nanos() as u64
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

fn every_clone_is_the_same_lock() {
    let lock = Lock::new(1);
    let (clone, in_child) = (lock.clone(), lock.clone());
    process::spawn(move || *in_child.lock().unwrap() = 2).join().unwrap();
    let guard = lock.lock().unwrap();
    assert!(clone.is_locked());
    assert_eq!(*guard, 2);
    drop(guard);
    drop(lock);
    assert_eq!(*clone.lock().unwrap(), 2, "the last handle keeps it");
}

fn guards_change_what_other_processes_see() {
    let words = Lock::new([0_u64; 100]);
    let child = process::spawn({
        let words = words.clone();
        move || {
            let mut words = words.lock().unwrap();
            for (place, word) in words.iter_mut().enumerate() {
                *word = place as u64 * 3;
            }
        }
    });
    child.join().unwrap();
    assert!(words.lock().unwrap().iter().enumerate().all(|(place, word)| *word == place as u64 * 3));
}

fn locks_are_independent() {
    let locks: Vec<_> = (0..50).map(Lock::new).collect();
    let guards: Vec<_> = locks.iter().step_by(2).map(|lock| lock.lock().unwrap()).collect();
    for (place, lock) in locks.iter().enumerate() {
        assert_eq!(lock.is_locked(), place % 2 == 0);
    }
    assert!(guards.iter().enumerate().all(|(place, guard)| **guard == 2 * place));
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

fn poison_by_panic_is_seen_in_every_process() {
    let lock = Lock::new(5);
    let child = process::spawn({
        let lock = lock.clone();
        move || -> () {
            *lock.lock().unwrap() = 6;
            let _guard = lock.lock().unwrap();
            panic!("while it holds the lock");
        }
    });
    let pid = child.process().id();
    assert!(child.join().is_err());
    let panicked = Cause::Panicked { pid };
    assert_eq!(lock.poison(), Some(panicked));
    let poisoned = lock.lock().unwrap_err();
    assert_eq!(poisoned.cause(), panicked);
    assert_eq!(poisoned.to_string(), format!("poisoned lock: process {pid} panicked while it held the lock"));
    assert_eq!(*poisoned.into_inner(), 6);

    let seen = process::spawn({
        let lock = lock.clone();
        move || lock.lock().is_err_and(|poisoned| poisoned.cause() == panicked)
    });
    assert!(seen.join().unwrap(), "it stays poisoned, for everybody");
    lock.clear_poison();
    assert_eq!(*lock.lock().unwrap(), 6);
}

/// As in `std`: who takes and gives back a lock in a destructor, while unwinding, has done no harm.
fn a_guard_made_while_panicking_does_not_poison() {
    struct Counts<'a>(&'a Lock<i32>, &'a ReentrantLock<Cell<i32>>);
    impl Drop for Counts<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
            let guard = self.1.lock().unwrap();
            guard.set(guard.get() + 1);
        }
    }
    let (lock, reentrant) = (Lock::new(0), ReentrantLock::new(Cell::new(0)));
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let _counts = Counts(&lock, &reentrant);
        panic!("on the way");
    }));
    assert!(failed.is_err());
    assert_eq!((*lock.lock().unwrap(), reentrant.lock().unwrap().get()), (1, 1));
}

fn dropping_the_last_handle_unmaps() {
    let warm_up = Lock::new(0);
    let before = harness::tools::mappings();
    let lock = Lock::new(0);
    let clone = lock.clone();
    assert_eq!(harness::tools::mappings(), before + 1);
    drop(lock);
    assert_eq!(harness::tools::mappings(), before + 1);
    drop(clone);
    assert_eq!(harness::tools::mappings(), before);
    mem::drop(warm_up);
}
