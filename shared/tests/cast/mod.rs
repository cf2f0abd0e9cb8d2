//! Who plays in more than one file of trials: children that hold something until they are ended, and a handler that
//! counts. It relies on the library; the harness does not.
#![allow(dead_code)] // No test uses all of it.

pub(crate) mod waiters;

use crate::harness::tools::{eventually, sleep_for_ever, state};
use shared::channel::Message;
use shared::memory::Shared;
use shared::process::signal::{self, Signal};
use shared::process::{self, JoinHandle};
use shared::sync::{Lock, Permit, Semaphore};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// The promise: a death is answered within this time.
pub(crate) const BOUND: Duration = Duration::from_secs(1);

/// Kills the child and sees it off. Its pid was this one, and is free now.
#[track_caller]
pub(crate) fn kill<T: Message>(child: JoinHandle<T>) -> u32 {
    let pid = child.process().id();
    child.kill().unwrap();
    assert_eq!(child.join().err().and_then(|ended| ended.exit_code()), Some(-9));
    pid
}

/// Kills the first of those who wait, the third and so on, when all are asleep. The others are returned.
pub(crate) fn kill_every_other<T: Message>(waiters: Vec<JoinHandle<T>>) -> Vec<JoinHandle<T>> {
    for waiter in &waiters {
        eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
    }
    let mut living = Vec::new();
    for (n, waiter) in waiters.into_iter().enumerate() {
        if n % 2 == 0 {
            kill(waiter);
        } else {
            living.push(waiter);
        }
    }
    living
}

/// Runs `f` while a child holds the locks that `hold` takes.
pub(crate) fn while_a_child_holds(hold: impl FnOnce(&dyn Fn()) + Send, f: impl FnOnce(u32)) {
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

/// A child that has the lock and has added one to its value, until it is ended.
pub(crate) fn owner_of(lock: &Lock<i32>) -> JoinHandle<()> {
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
pub(crate) fn owner(lock: &Lock<i32>) -> Option<u32> {
    let text = format!("{lock:?}");
    let pid = text.split_once("Some(")?.1.split_once(')')?.0;
    pid.parse().ok()
}

/// A child that has so many permits, until it is ended.
pub(crate) fn holder_of(semaphore: &Semaphore, permits: usize) -> JoinHandle<()> {
    let (its, holding) = (semaphore.clone(), Shared::new(AtomicBool::new(false)));
    let holds = holding.clone();
    let child = process::spawn(move || {
        let _permits: Vec<_> = (0..permits).map(|_| its.acquire()).collect();
        holding.store(true, SeqCst);
        sleep_for_ever();
    });
    eventually("it has them", || holds.load(SeqCst));
    child
}

/// Takes all that can be had, the dead's included.
pub(crate) fn take_all(semaphore: &Semaphore) -> Vec<Permit<'_>> {
    std::iter::from_fn(|| semaphore.try_acquire()).collect()
}

/// Has this signal counted.
pub(crate) fn count(signal: Signal) -> Arc<AtomicU32> {
    let counter = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&counter);
    signal::handle(signal, move || {
        counted.fetch_add(1, SeqCst);
    })
    .unwrap();
    counter
}
