//! `Condition` among living processes; deaths are in `condition_died.rs`.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::BOUND;
use cast::waiters::{at_rest, waiter, waiters, waiting};
use harness::tools::{eventually, mappings, shared_memory, takes};
use shared::memory::Shared;
use shared::process;
use shared::sync::{Condition, Lock, ReentrantLock, TryLockError};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        cond_01_one_notification_wakes_one,
        cond_02_nothing_is_left_over,
        cond_03_nobody_notifies,
        cond_04_notify_all_wakes_all,
        cond_06_timeout_with_the_lock_held_again,
        cond_07_wait_while,
        cond_09_results_of_a_wait,
        cond_11_all_levels_are_given_up_and_restored,
        who_has_waited_longest_is_notified_first,
        notify_some,
        a_limit_holds_for_the_whole_of_wait_while,
        nothing_is_notified_too_early_or_twice within 60,
        ten_thousand_conditions_live_at_once within 60,
        every_clone_is_the_same_condition,
        dropping_the_last_handle_unmaps,
    }
}

/// So long somebody is given to do what it must not do.
const MOMENT: Duration = Duration::from_millis(100);

fn cond_01_one_notification_wakes_one() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    let child = waiter(&lock, &condition);
    thread::scope(|s| {
        s.spawn(|| *condition.wait(lock.lock().unwrap()).unwrap() += 1);
        eventually("both wait", || waiting(&condition) == 2);
        for woken in 0..=2 {
            eventually("so many are awake", || *lock.lock().unwrap() == woken);
            thread::sleep(MOMENT);
            assert_eq!(*lock.lock().unwrap(), woken);
            condition.notify_one();
        }
    });
    child.join().unwrap();
}

fn cond_02_nothing_is_left_over() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    at_rest(&condition);
    condition.notify_one();
    condition.notify(7);
    condition.notify_all();
    at_rest(&condition);
    let three = waiters(3, &lock, &condition);
    condition.notify(100);
    three.into_iter().for_each(|child| child.join().unwrap());
    at_rest(&condition);
    for child in waiters(3, &lock, &condition) {
        child.kill().unwrap();
        assert!(child.join().is_err());
    }
    condition.notify_one();
    at_rest(&condition);
    assert_eq!(*lock.lock().unwrap(), 3);
}

fn cond_03_nobody_notifies() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    process::scope(|s| {
        for _ in 0..6 {
            s.spawn(|| {
                let guard = lock.lock().unwrap();
                let (mut guard, answer) = condition.wait_timeout(guard, MOMENT).unwrap();
                assert!(answer.timed_out());
                *guard += 1;
            });
        }
    });
    assert_eq!(*lock.lock().unwrap(), 6);
    at_rest(&condition);
    let one = waiters(1, &lock, &condition);
    condition.notify_one();
    one.into_iter().for_each(|child| child.join().unwrap());
}

fn cond_04_notify_all_wakes_all() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    let six = waiters(6, &lock, &condition);
    let guard = lock.lock().unwrap();
    condition.notify_all();
    assert_eq!(waiting(&condition), 0);
    drop(guard);
    six.into_iter().for_each(|child| child.join().unwrap());
    assert_eq!(*lock.lock().unwrap(), 6);
    at_rest(&condition);
}

fn cond_06_timeout_with_the_lock_held_again() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    for millis in [0, 7, 40] {
        let time = Duration::from_millis(millis);
        takes(time, || {
            let (_guard, answer) = condition.wait_timeout(lock.lock().unwrap(), time).unwrap();
            assert!(answer.timed_out());
            assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        });
    }
    assert!(!lock.is_locked());
}

fn cond_07_wait_while() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    process::scope(|s| {
        let child = s.spawn(|| {
            let guard = condition.wait_while(lock.lock().unwrap(), |value| *value < 4).unwrap();
            *guard
        });
        for value in 1..=4 {
            assert!(!child.is_finished());
            eventually("it waits", || waiting(&condition) == 1);
            *lock.lock().unwrap() = value;
            condition.notify_one();
        }
        assert_eq!(child.join().unwrap(), 4);
    });
    at_rest(&condition);
}

fn cond_09_results_of_a_wait() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    for time in [Duration::ZERO, MOMENT] {
        let start = Instant::now();
        let (_guard, answer) = condition.wait_timeout(lock.lock().unwrap(), time).unwrap();
        assert!(answer.timed_out() && start.elapsed() >= time);
    }
    let (its, cond) = (lock.clone(), condition.clone());
    let child = process::spawn(move || {
        let (_guard, answer) = cond.wait_timeout(its.lock().unwrap(), Duration::MAX).unwrap();
        answer.timed_out()
    });
    eventually("it waits", || waiting(&condition) == 1);
    condition.notify_one();
    assert!(!child.join().unwrap());

    // A signal with a handler is no notification; without one it ends the process, as any other.
    let child = waiters(1, &lock, &condition).remove(0);
    child.interrupt().unwrap();
    assert_eq!(child.join().unwrap_err().exit_code(), Some(-2));
    condition.notify_one();
    at_rest(&condition);
}

fn cond_11_all_levels_are_given_up_and_restored() {
    let (lock, condition) = (ReentrantLock::new(Cell::new(0)), Condition::new());
    let (its, cond) = (lock.clone(), condition.clone());
    let child = process::spawn(move || {
        let (outer, middle, inner) = (its.lock().unwrap(), its.lock().unwrap(), its.lock().unwrap());
        let inner = cond.wait_while(inner, |value| value.get() == 0).unwrap();
        let text = format!("{its:?}");
        assert!(text.contains("depth: 3"), "{text}");
        let refused = process::Builder::new().spawn(|| ());
        assert!(matches!(refused, Err(process::SpawnError::GuardHeld { count: 1 })), "{refused:?}");
        drop((inner, middle));
        assert!(its.is_locked());
        outer.set(outer.get() + 1);
    });
    eventually("it waits", || waiting(&condition) == 1);
    let guard = lock.lock_timeout(BOUND).expect("it was given up, all of it");
    guard.set(1);
    drop(guard);
    condition.notify_one();
    child.join().unwrap();
    assert!(!lock.is_locked());
    assert_eq!(lock.lock().unwrap().get(), 2);
}

fn who_has_waited_longest_is_notified_first() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    let children = waiters(5, &lock, &condition);
    for (n, child) in children.into_iter().enumerate() {
        condition.notify_one();
        child.join().unwrap();
        assert_eq!(*lock.lock().unwrap(), n as u32 + 1);
    }
    at_rest(&condition);
}

fn notify_some() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    let mut children = waiters(5, &lock, &condition);
    condition.notify(0);
    condition.notify(3);
    let rest = children.split_off(3);
    children.into_iter().for_each(|child| child.join().unwrap());
    thread::sleep(MOMENT);
    assert!(rest.iter().all(|child| !child.is_finished()));
    assert_eq!((*lock.lock().unwrap(), waiting(&condition)), (3, 2));
    condition.notify(3);
    rest.into_iter().for_each(|child| child.join().unwrap());
    at_rest(&condition);
}

fn a_limit_holds_for_the_whole_of_wait_while() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    let done = Shared::new(AtomicBool::new(false));
    process::scope(|s| {
        s.spawn(|| {
            while !done.load(SeqCst) {
                condition.notify_all();
                thread::sleep(Duration::from_millis(2));
            }
        });
        takes(MOMENT, || {
            let guard = lock.lock().unwrap();
            let (_guard, answer) = condition.wait_timeout_while(guard, MOMENT, |value| *value == 0).unwrap();
            assert!(answer.timed_out());
        });
        let guard = lock.lock().unwrap();
        let (_guard, answer) =
            condition.wait_timeout_while(guard, Duration::ZERO, |value| *value == 1).unwrap();
        assert!(!answer.timed_out(), "there was nothing to wait for");
        done.store(true, SeqCst);
    });
}

/// A buffer for one, between processes who each notify one of the others.
fn nothing_is_notified_too_early_or_twice() {
    const ROUNDS: u32 = 3_000;
    let (full, not_full, not_empty) = (Lock::new(0), Condition::new(), Condition::new());
    let sum = Lock::new(0);
    process::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for value in 1..=ROUNDS {
                    *not_full.wait_while(full.lock().unwrap(), |full| *full != 0).unwrap() = value;
                    not_empty.notify_one();
                }
            });
            s.spawn(|| {
                for _ in 1..=ROUNDS {
                    let mut guard = not_empty.wait_while(full.lock().unwrap(), |full| *full == 0).unwrap();
                    *sum.lock().unwrap() += std::mem::take(&mut *guard);
                    drop(guard);
                    not_full.notify_one();
                }
            });
        }
    });
    assert_eq!(*sum.lock().unwrap(), 3 * ROUNDS * (ROUNDS + 1) / 2);
    at_rest(&not_full);
    at_rest(&not_empty);
}

fn ten_thousand_conditions_live_at_once() {
    let (lock, many) = (Lock::new(0), (0..10_000).map(|_| Condition::new()).collect::<Vec<_>>());
    let before = shared_memory();
    for condition in &many {
        let (_guard, answer) = condition.wait_timeout(lock.lock().unwrap(), Duration::ZERO).unwrap();
        assert!(answer.timed_out());
    }
    let used = shared_memory() - before;
    assert!(used <= 10_000 * 4_096 + (1 << 20), "a page each: {used} bytes");
    let last = many.last().unwrap();
    let child = waiters(1, &lock, last).remove(0);
    last.notify_one();
    child.join().unwrap();
}

fn every_clone_is_the_same_condition() {
    let (lock, condition) = (Lock::new(0), Condition::default());
    let child = waiters(1, &lock, &condition.clone()).remove(0);
    condition.clone().notify_one();
    child.join().unwrap();
}

fn dropping_the_last_handle_unmaps() {
    let before = mappings();
    let condition = Condition::try_new().unwrap();
    let another = condition.clone();
    drop(condition);
    assert!(mappings() > before);
    drop(another);
    assert_eq!(mappings(), before);
}
