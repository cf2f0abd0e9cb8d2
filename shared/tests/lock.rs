//! `Lock` and `ReentrantLock`: who has them, in this process and in others, and what is seen of it.
//! Crowds are in `lock_waits.rs`, deaths in `owner_died.rs`.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::while_a_child_holds;
use harness::tools::{eventually, state, takes};
use shared::memory::Shared;
use shared::process;
use shared::sync::{Cause, Lock, LockTimeoutError, ReentrantLock, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
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
        every_clone_is_the_same_lock,
        guards_change_what_other_processes_see,
        locks_are_independent,
        dropping_the_last_handle_unmaps,
    }
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
    drop(warm_up);
}
