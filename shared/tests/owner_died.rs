//! Locks whose owner dies or panics: who asks next gets the lock, and hears of it.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::{BOUND, kill, kill_every_other, owner_of};
use harness::tools::{eventually, sleep_for_ever, state};
use nix::sys::signal::{self, Signal};
use shared::memory::Shared;
use shared::process;
use shared::sync::{Cause, Lock, LockTimeoutError, ReentrantLock, TryLockError};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        lock_14_a_killed_owner_is_named_within_a_bound,
        a_reentrant_owner_dies_three_deep,
        every_way_to_die_is_noticed,
        a_panicking_owner_is_named,
        poison_by_panic_is_seen_in_every_process,
        a_guard_made_while_panicking_does_not_poison,
        a_sleeping_waiter_hears_of_the_death_within_a_second,
        all_sleeping_waiters_go_on_after_a_death,
        try_and_timeout_recover_too,
        the_lock_works_after_recovery,
        poison_stays_until_it_is_cleared,
        deaths_in_a_row_are_each_named,
        a_dead_waiter_is_not_missed,
        an_orphans_zombie_is_dead_enough,
    }
}

fn lock_14_a_killed_owner_is_named_within_a_bound() {
    let lock = Lock::new(0);
    let died = Cause::OwnerDied { pid: kill(owner_of(&lock)) };
    assert!(lock.is_locked(), "nobody has looked yet");
    let start = Instant::now();
    let poisoned = lock.lock().unwrap_err();
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert_eq!(poisoned.cause(), died);
    assert!(poisoned.to_string().ends_with("died while it held the lock"), "{poisoned}");
    assert_eq!(*poisoned.into_inner(), 1, "its last change is there");
}

fn a_reentrant_owner_dies_three_deep() {
    let lock = ReentrantLock::new(Cell::new(0));
    let its = lock.clone();
    let held = Shared::new(AtomicBool::new(false));
    let is_held = held.clone();
    let child = process::spawn(move || {
        let _guards = (its.lock().unwrap(), its.lock().unwrap(), its.lock().unwrap());
        held.store(true, SeqCst);
        sleep_for_ever();
    });
    eventually("it has the lock", || is_held.load(SeqCst));
    let died = Cause::OwnerDied { pid: kill(child) };
    let poisoned = lock.lock().unwrap_err();
    assert_eq!(poisoned.cause(), died);
    drop(poisoned);
    assert!(!lock.is_locked(), "one guard, one drop: the depth of the dead does not count");
    lock.clear_poison();
    let (outer, inner) = (lock.lock().unwrap(), lock.lock().unwrap());
    inner.set(outer.get() + 1);
    drop(outer);
    assert!(lock.is_locked());
    drop(inner);
    assert!(!lock.is_locked());
}

/// A lock whose owner has ended so, with the guard in its hands.
fn after_an_owner_that(ends: fn()) -> (Lock<i32>, u32, Option<i32>) {
    let lock = Lock::new(0);
    let its = lock.clone();
    let child = process::spawn(move || {
        let _guard = its.lock().unwrap();
        ends();
    });
    let pid = child.process().id();
    let code = child.join().map_or_else(|failed| failed.exit_code(), |()| Some(0));
    (lock, pid, code)
}

fn every_way_to_die_is_noticed() {
    let ends: [(fn(), i32); 5] = [
        (|| signal::raise(Signal::SIGKILL).unwrap(), -9),
        (|| signal::raise(Signal::SIGTERM).unwrap(), -15),
        (|| std::process::abort(), -6),
        (|| process::exit(0), 0), // Its destructors do not run.
        (|| std::process::exit(3), 3),
    ];
    for (end, code) in ends {
        let (lock, pid, ended) = after_an_owner_that(end);
        assert_eq!(ended, Some(code));
        assert_eq!(lock.lock().unwrap_err().cause(), Cause::OwnerDied { pid }, "{code}");
    }
    let (lock, _, _) = after_an_owner_that(|| ());
    assert!(lock.lock().is_ok(), "who gave it back is no dead owner");
}

fn a_panicking_owner_is_named() {
    let (lock, pid, code) = after_an_owner_that(|| panic!("while it holds the lock"));
    assert_eq!(code, Some(101));
    assert!(!lock.is_locked(), "its guard was dropped");
    assert_eq!(lock.lock().unwrap_err().cause(), Cause::Panicked { pid });
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

/// Also one that has waited for so long that it looks round every 800 ms only.
fn a_sleeping_waiter_hears_of_the_death_within_a_second() {
    for asleep_for in [0, 30, 700] {
        let lock = Lock::new(0);
        let owner = owner_of(&lock);
        let (its, pid) = (lock.clone(), owner.process().id());
        let waiter = process::spawn(move || {
            its.lock().is_err_and(|poisoned| poisoned.cause() == Cause::OwnerDied { pid })
        });
        eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
        thread::sleep(Duration::from_millis(asleep_for));
        let start = Instant::now();
        kill(owner);
        assert!(waiter.join().unwrap());
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    }
}

fn all_sleeping_waiters_go_on_after_a_death() {
    let lock = Lock::new(0);
    let owner = owner_of(&lock);
    let waiters: Vec<_> = (0..10)
        .map(|_| {
            let its = lock.clone();
            process::spawn(move || *its.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1)
        })
        .collect();
    for waiter in &waiters {
        eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
    }
    let start = Instant::now();
    let died = Cause::OwnerDied { pid: kill(owner) };
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    let poisoned = lock.lock().unwrap_err();
    assert_eq!((poisoned.cause(), *poisoned.into_inner()), (died, 11));
}

fn try_and_timeout_recover_too() {
    let lock = Lock::new(0);
    let died = Cause::OwnerDied { pid: kill(owner_of(&lock)) };
    match lock.try_lock() {
        Err(TryLockError::Poisoned(poisoned)) => assert_eq!(poisoned.cause(), died),
        other => panic!("{other:?}"),
    }
    for time in [Duration::ZERO, Duration::from_secs(20)] {
        let died = Cause::OwnerDied { pid: kill(owner_of(&lock)) };
        let start = Instant::now();
        match lock.lock_timeout(time) {
            Err(LockTimeoutError::Poisoned(poisoned)) => assert_eq!(poisoned.cause(), died),
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    }
}

fn the_lock_works_after_recovery() {
    let lock = Lock::new(0);
    kill(owner_of(&lock));
    let guard = lock.lock().unwrap_err().into_inner();
    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    lock.clear_poison();
    drop(guard);
    assert!(!lock.is_locked());
    process::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..5_000).for_each(|_| *lock.lock().unwrap() += 1));
        }
    });
    assert_eq!(*lock.lock().unwrap(), 20_001);
}

fn poison_stays_until_it_is_cleared() {
    let lock = Lock::new(0);
    let died = Cause::OwnerDied { pid: kill(owner_of(&lock)) };
    assert_eq!(lock.poison(), None, "nobody has found out yet");
    for _ in 0..2 {
        assert_eq!(lock.lock().unwrap_err().cause(), died);
        assert_eq!(lock.poison(), Some(died));
    }
    let its = lock.clone();
    let seen = process::spawn(move || its.lock().is_err_and(|poisoned| poisoned.cause() == died));
    assert!(seen.join().unwrap());
    lock.clear_poison();
    assert_eq!(lock.poison(), None);
    assert!(lock.lock().is_ok());
}

fn deaths_in_a_row_are_each_named() {
    let lock = Lock::new(0);
    for deaths in 1..=50 {
        let died = Cause::OwnerDied { pid: kill(owner_of(&lock)) };
        let poisoned = lock.lock().unwrap_err();
        assert_eq!((poisoned.cause(), *poisoned.into_inner()), (died, deaths));
    }
}

fn a_dead_waiter_is_not_missed() {
    let lock = Lock::new(0);
    let (held, go) = (Shared::new(AtomicBool::new(false)), Shared::new(AtomicBool::new(false)));
    process::scope(|s| {
        s.spawn(|| {
            let _guard = lock.lock().unwrap();
            held.store(true, SeqCst);
            eventually("go", || go.load(SeqCst));
        });
        eventually("it has the lock", || held.load(SeqCst));
        let waiters: Vec<_> = (0..6).map(|_| s.spawn(|| *lock.lock().unwrap() += 1)).collect();
        let living = kill_every_other(waiters);
        let start = Instant::now();
        go.store(true, SeqCst);
        living.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    });
    assert_eq!(*lock.lock().unwrap(), 3, "and it is not poisoned");
}

/// Dead, but not collected: for `kill(pid, 0)` such a process still is alive.
fn an_orphans_zombie_is_dead_enough() {
    let lock = Lock::new(0);
    let owner = owner_of(&lock);
    let pid = owner.process().id();
    owner.kill().unwrap();
    eventually("it is a zombie", || state(pid) == Some('Z'));
    match lock.try_lock() {
        Err(TryLockError::Poisoned(poisoned)) => assert_eq!(poisoned.cause(), Cause::OwnerDied { pid }),
        other => panic!("{other:?}"),
    }
    assert!(owner.join().is_err());
}
