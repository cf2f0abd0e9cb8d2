//! The waits for locks, permits, events, notifications and others.

use crate::{Call, after, taken};
use shared::memory::Shared;
use shared::sync::{
    Barrier, BoundedSemaphore, BrokenCause, Condition, Event, Lock, LockTimeoutError, ReentrantLock,
    Semaphore,
};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

pub(crate) const CALLS: &[(&str, Call)] = &[
    ("Lock::lock_timeout", |world, time| {
        matches!(world.lock.lock_timeout(time), Err(LockTimeoutError::Timeout))
    }),
    ("ReentrantLock::lock_timeout", |world, time| {
        matches!(world.reentrant.lock_timeout(time), Err(LockTimeoutError::Timeout))
    }),
    ("Lock::lock", |_, time| {
        let lock = Lock::new(());
        taken(time, || lock.lock()).is_ok()
    }),
    ("ReentrantLock::lock", |_, time| {
        let lock = ReentrantLock::new(());
        taken(time, || lock.lock()).is_ok()
    }),
    ("Semaphore::acquire_timeout", |_, time| Semaphore::new(0).acquire_timeout(time).is_none()),
    ("Semaphore::acquire", |_, time| {
        let none = Semaphore::new(0);
        after(
            time,
            || none.release(1).unwrap(),
            || {
                none.acquire().forget();
                none.available() == 0
            },
        )
    }),
    ("BoundedSemaphore::acquire", |_, time| {
        let one = BoundedSemaphore::new(1);
        drop(taken(time, || one.acquire()));
        one.available() == 1
    }),
    ("Event::wait_timeout", |_, time| !Event::new().wait_timeout(time)),
    ("Event::wait", |_, time| {
        let event = Event::new();
        after(
            time,
            || event.set(),
            || {
                event.wait();
                event.is_set()
            },
        )
    }),
    ("Condition::wait_timeout", |_, time| {
        let (lock, nobody_notifies) = (Lock::new(()), Condition::new());
        let guard = lock.lock().unwrap();
        nobody_notifies.wait_timeout(guard, time).unwrap().1.timed_out()
    }),
    ("Condition::wait_while, with a ReentrantLock", |_, time| {
        let (lock, condition) = (ReentrantLock::new(()), Condition::new());
        let done = Shared::new(AtomicBool::new(false));
        let notify = || {
            let _guard = lock.lock().unwrap();
            done.store(true, SeqCst);
            condition.notify_one();
        };
        after(time, notify, || condition.wait_while(lock.lock().unwrap(), |()| !done.load(SeqCst)).is_ok())
    }),
    ("Barrier::wait_timeout", |_, time| {
        let two = Barrier::new(2);
        matches!(two.wait_timeout(time), Err(broken) if broken.cause() == BrokenCause::TimedOut)
    }),
    ("Barrier::wait", |_, time| {
        let two = Barrier::new(2);
        after(time, || assert!(two.wait().is_ok()), || two.wait().is_ok())
    }),
];
