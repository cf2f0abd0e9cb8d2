//! Who waits for a `Condition`.

use crate::harness::tools::{eventually, state};
use shared::process::{self, JoinHandle};
use shared::sync::{Condition, Lock};
use std::time::Duration;

/// How many wait, from the debug text.
pub(crate) fn waiting(condition: &Condition) -> usize {
    let text = format!("{condition:?}");
    let number = text.split_once("waiting: ").and_then(|(_, rest)| rest.split_once(',')).expect("a number").0;
    number.parse().expect("a number")
}

/// A child that waits, adds one when it is woken, and ends.
pub(crate) fn waiter(lock: &Lock<u32>, condition: &Condition) -> JoinHandle<()> {
    let (lock, condition) = (lock.clone(), condition.clone());
    process::spawn(move || *condition.wait(lock.lock().unwrap()).unwrap() += 1)
}

/// So many of them, who sleep.
pub(crate) fn waiters(number: usize, lock: &Lock<u32>, condition: &Condition) -> Vec<JoinHandle<()>> {
    let before = waiting(condition);
    let children: Vec<_> = (1..=number)
        .map(|n| {
            let child = waiter(lock, condition);
            eventually("it waits", || waiting(condition) == before + n);
            child
        })
        .collect();
    for child in &children {
        eventually("it sleeps", || state(child.process().id()) == Some('S'));
    }
    children
}

/// Nobody counted, and no notification kept, whatever happened before.
#[track_caller]
pub(crate) fn at_rest(condition: &Condition) {
    assert_eq!(waiting(condition), 0);
    let lock = Lock::new(());
    let (_guard, answer) = condition.wait_timeout(lock.lock().unwrap(), Duration::from_millis(20)).unwrap();
    assert!(answer.timed_out(), "somebody else's notification");
}
