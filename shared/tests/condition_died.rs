//! Conditions whose waiters or notifiers die: the dead are skipped, and replaced if they had been notified.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::BOUND;
use cast::waiters::{at_rest, waiter, waiters, waiting};
use harness::tools::{eventually, state};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process::{self, JoinHandle};
use shared::sync::{Cause, Condition, Lock};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        cond_13_a_killed_waiter_is_skipped,
        who_dies_notified_is_replaced,
        who_dies_notified_is_replaced_by_one_of_its_time_only,
        a_notifier_that_dies_with_the_lock_is_named,
        dead_waiters_take_no_room_for_ever,
    }
}

/// So long somebody is given to do what it must not do.
const MOMENT: Duration = Duration::from_millis(100);

fn cond_13_a_killed_waiter_is_skipped() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    let mut children = waiters(5, &lock, &condition);
    for dead in [3, 1, 0] {
        let child = children.remove(dead);
        child.kill().unwrap();
        assert!(child.join().is_err());
    }
    let start = Instant::now();
    condition.notify(2);
    children.into_iter().for_each(|child| child.join().unwrap());
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert_eq!(*lock.lock().unwrap(), 2);
    at_rest(&condition);
}

/// Kills the first of the waiters when it has been notified and before it has the lock.
fn kill_notified(first: JoinHandle<()>, lock: &Lock<u32>, condition: &Condition) {
    let guard = lock.lock().unwrap();
    condition.notify_one();
    let pid = Pid::from_raw(first.process().id() as i32);
    // Also if it waits for the lock asleep.
    signal::kill(pid, Signal::SIGKILL).unwrap();
    assert!(first.join().is_err());
    drop(guard);
}

fn who_dies_notified_is_replaced() {
    for _ in 0..10 {
        let (lock, condition) = (Lock::new(0), Condition::new());
        let mut children = waiters(3, &lock, &condition);
        kill_notified(children.remove(0), &lock, &condition);
        let start = Instant::now();
        children.remove(0).join().unwrap();
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        thread::sleep(MOMENT);
        assert_eq!((*lock.lock().unwrap(), waiting(&condition)), (1, 1), "one, not all");
        condition.notify_one();
        children.remove(0).join().unwrap();
        at_rest(&condition);
    }
}

fn who_dies_notified_is_replaced_by_one_of_its_time_only() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    kill_notified(waiters(1, &lock, &condition).remove(0), &lock, &condition);
    let late = waiters(1, &lock, &condition).remove(0);
    thread::sleep(BOUND);
    assert!(!late.is_finished(), "what was given before it came is nothing to it");
    condition.notify_one();
    late.join().unwrap();
    at_rest(&condition);
}

fn a_notifier_that_dies_with_the_lock_is_named() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    let (its, cond) = (lock.clone(), condition.clone());
    let child = process::spawn(move || {
        let poisoned = cond.wait(its.lock().unwrap()).unwrap_err();
        let Cause::OwnerDied { pid } = poisoned.cause() else { return (0, 0) };
        (pid, *poisoned.into_inner())
    });
    eventually("it waits", || waiting(&condition) == 1);
    let (its, cond) = (lock.clone(), condition.clone());
    let notifier = process::spawn(move || -> () {
        *its.lock().unwrap() = 1;
        let _guard = its.lock().unwrap();
        cond.notify_one();
        process::exit(0);
    });
    let pid = notifier.process().id();
    let _ = notifier.join();
    assert_eq!(child.join().unwrap(), (pid, 1));
    at_rest(&condition);
}

fn dead_waiters_take_no_room_for_ever() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    for _ in 0..150 {
        let child = waiter(&lock, &condition);
        eventually("it waits", || waiting(&condition) > 0 && state(child.process().id()) == Some('S'));
        child.kill().unwrap();
        assert!(child.join().is_err());
    }
    assert!(waiting(&condition) <= 64, "{condition:?}");
    let (its, cond, here) = (lock.clone(), condition.clone(), Shared::new(AtomicBool::new(false)));
    let is_here = here.clone();
    let live = process::spawn(move || {
        // Somebody may have been killed with it.
        let guard = its.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        here.store(true, SeqCst);
        drop(cond.wait(guard));
    });
    eventually("it has the lock", || is_here.load(SeqCst));
    let start = Instant::now();
    // Who gets the lock now finds it waiting.
    drop(lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    condition.notify_one();
    live.join().unwrap();
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    at_rest(&condition);
}
