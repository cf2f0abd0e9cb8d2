//! Locks whose owner dies, is stopped, or has its number taken over by a stranger.

mod harness;

use harness::tools::{eventually, sleep_for_ever, state};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process::{self, JoinHandle};
use shared::sync::{Cause, Lock, LockTimeoutError, ReentrantLock, TryLockError};
use std::cell::Cell;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        lock_14_a_killed_owner_is_named_within_a_bound,
        a_reentrant_owner_dies_three_deep,
        every_way_to_die_is_noticed,
        a_panicking_owner_is_named,
        a_sleeping_waiter_hears_of_the_death_within_a_second,
        all_sleeping_waiters_go_on_after_a_death,
        try_and_timeout_recover_too,
        the_lock_works_after_recovery,
        poison_stays_until_it_is_cleared,
        deaths_in_a_row_are_each_named,
        a_dead_waiter_is_not_missed,
        a_thread_that_ends_with_the_lock_keeps_it_for_its_process,
        an_orphans_zombie_is_dead_enough,
        a_stopped_owner_is_not_robbed,
        a_stranger_with_the_owners_number_is_not_the_owner within 60,
        the_stranger_itself_is_not_the_owner within 60,
    }
}

/// The promise: a death is answered within this time.
const BOUND: Duration = Duration::from_secs(1);

/// A child that has the lock and has added one to its value, until it is ended.
fn owner_of(lock: &Lock<i32>) -> JoinHandle<()> {
    let (its, added) = (lock.clone(), Shared::new(AtomicBool::new(false)));
    let has_added = added.clone();
    let child = process::spawn(move || {
        let mut guard = its.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *guard += 1;
        added.store(true, SeqCst);
        sleep_for_ever();
    });
    eventually("it has the lock", || has_added.load(SeqCst));
    assert_eq!(owner(lock), Some(child.process().id()));
    child
}

/// Who has the lock, from its debug text.
fn owner(lock: &Lock<i32>) -> Option<u32> {
    let text = format!("{lock:?}");
    let pid = text.split_once("Some(")?.1.split_once(')')?.0;
    pid.parse().ok()
}

/// Kills the child and sees it off: its pid is free now.
fn kill(child: JoinHandle<()>) -> Cause {
    let pid = child.process().id();
    child.kill().unwrap();
    assert_eq!(child.join().unwrap_err().exit_code(), Some(-9));
    Cause::OwnerDied { pid }
}

fn lock_14_a_killed_owner_is_named_within_a_bound() {
    let lock = Lock::new(0);
    let died = kill(owner_of(&lock));
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
    let died = kill(child);
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
    let died = kill(owner);
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    let poisoned = lock.lock().unwrap_err();
    assert_eq!((poisoned.cause(), *poisoned.into_inner()), (died, 11));
}

fn try_and_timeout_recover_too() {
    let lock = Lock::new(0);
    let died = kill(owner_of(&lock));
    match lock.try_lock() {
        Err(TryLockError::Poisoned(poisoned)) => assert_eq!(poisoned.cause(), died),
        other => panic!("{other:?}"),
    }
    for time in [Duration::ZERO, Duration::from_secs(20)] {
        let died = kill(owner_of(&lock));
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
    let died = kill(owner_of(&lock));
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
        let died = kill(owner_of(&lock));
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
        for waiter in &waiters {
            eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
        }
        let (dead, living): (Vec<_>, Vec<_>) =
            waiters.into_iter().enumerate().partition(|(place, _)| place % 2 == 0);
        for (_, waiter) in dead {
            waiter.kill().unwrap();
            assert!(waiter.join().is_err());
        }
        let start = Instant::now();
        go.store(true, SeqCst);
        living.into_iter().for_each(|(_, waiter)| waiter.join().unwrap());
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    });
    assert_eq!(*lock.lock().unwrap(), 3, "and it is not poisoned");
}

/// It may have leaked the guard and given what it guards to others, who use it still.
fn a_thread_that_ends_with_the_lock_keeps_it_for_its_process() {
    let shared = Lock::new(0);
    let written = Shared::new(AtomicBool::new(false));
    let owner = {
        let (its, written) = (shared.clone(), written.clone());
        process::spawn(move || -> () {
            let its = Box::leak(Box::new(its));
            let value = thread::spawn(|| &mut **Box::leak(Box::new(its.lock().unwrap()))).join().unwrap();
            *value += 1;
            let refused = process::Builder::new().spawn(|| ());
            assert!(matches!(refused, Err(process::SpawnError::GuardHeld { count: 1 })), "{refused:?}");
            *value += 1;
            written.store(true, SeqCst);
            sleep_for_ever();
        })
    };
    let pid = owner.process().id();
    eventually("it has written", || written.load(SeqCst));
    assert!(matches!(shared.try_lock(), Err(TryLockError::WouldBlock)));
    assert!(matches!(shared.lock_timeout(Duration::from_millis(300)), Err(LockTimeoutError::Timeout)));
    owner.kill().unwrap();
    let poisoned = shared.lock().unwrap_err();
    assert_eq!((poisoned.cause(), **poisoned.get_ref()), (Cause::OwnerDied { pid }, 2));
    drop(poisoned);
    assert!(owner.join().is_err());
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

fn a_stopped_owner_is_not_robbed() {
    let lock = Lock::new(0);
    let (go, its) = (Shared::new(AtomicBool::new(false)), lock.clone());
    let may_go = go.clone();
    let owner = process::spawn(move || {
        let mut guard = its.lock().unwrap();
        eventually("go", || may_go.load(SeqCst));
        *guard += 1;
    });
    let pid = Pid::from_raw(owner.process().id() as i32);
    eventually("it has the lock", || lock.is_locked());
    signal::kill(pid, Signal::SIGSTOP).unwrap();
    eventually("it is stopped", || state(pid.as_raw() as u32) == Some('T'));

    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    assert!(matches!(lock.lock_timeout(BOUND), Err(LockTimeoutError::Timeout)));
    assert!(!owner.is_finished());

    go.store(true, SeqCst);
    signal::kill(pid, Signal::SIGCONT).unwrap();
    owner.join().expect("its guard is good");
    assert_eq!(*lock.lock().expect("no poison"), 1);
}

const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// Ends the trial where the kernel cannot be told which pid comes next.
fn need_a_say_in_pids() {
    let written = fs::read_to_string(LAST_PID).and_then(|last| fs::write(LAST_PID, last.trim()));
    if let Err(error) = written {
        harness::ignore(&format!("{LAST_PID}: {error}"));
    }
}

/// A lock whose owner was killed and collected, and a living stranger that has the owner's pid and runs `f`.
fn lock_and_stranger<T: shared::channel::Message>(
    f: impl Fn(&Lock<i32>) -> T + Clone + Send + 'static,
) -> (Lock<i32>, Cause, JoinHandle<T>) {
    // Others on this machine start processes as well, and may be first.
    for _ in 0..1_000 {
        let lock = Lock::new(0);
        let owner = owner_of(&lock);
        let pid = owner.process().id();
        // The kernel tells start times in hundredths of a second.
        thread::sleep(Duration::from_millis(20));
        let died = kill(owner);
        fs::write(LAST_PID, (pid - 1).to_string()).unwrap();
        let (its, f) = (lock.clone(), f.clone());
        let stranger = process::spawn(move || f(&its));
        if stranger.process().id() == pid {
            return (lock, died, stranger);
        }
        stranger.kill().unwrap();
        let _ = stranger.join();
    }
    harness::ignore("pids are used up too quickly here");
}

fn a_stranger_with_the_owners_number_is_not_the_owner() {
    need_a_say_in_pids();
    for _ in 0..5 {
        let (lock, died, stranger) = lock_and_stranger(|_| sleep_for_ever());
        assert_eq!(died, Cause::OwnerDied { pid: stranger.process().id() });
        assert_eq!(owner(&lock), Some(stranger.process().id()), "the lock is still marked by the dead");
        let start = Instant::now();
        match lock.lock_timeout(BOUND * 5) {
            Err(LockTimeoutError::Poisoned(poisoned)) => assert_eq!(poisoned.cause(), died),
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        assert!(!stranger.is_finished());
        kill(stranger);
    }
}

fn the_stranger_itself_is_not_the_owner() {
    need_a_say_in_pids();
    let (lock, Cause::OwnerDied { pid: died }, stranger) =
        lock_and_stranger(|lock| match lock.lock_timeout(BOUND) {
            Err(LockTimeoutError::Poisoned(poisoned)) => match poisoned.cause() {
                Cause::OwnerDied { pid } => pid,
                Cause::Panicked { .. } => 0,
            },
            _ => 0,
        })
    else {
        panic!("killed")
    };
    assert_eq!(stranger.join().unwrap(), died);
    assert!(!lock.is_locked());
}
