//! The waits in a manager's lists, and for its answers.

use crate::{Call, after, taken};
use shared::manager::{BarrierError, PutError};
use shared::sync::BrokenCause;

pub(crate) const CALLS: &[(&str, Call)] = &[
    ("a manager's Lock::lock_timeout", |world, time| world.managed.lock_timeout(time).unwrap().is_none()),
    ("a manager's Lock::lock", |world, time| {
        let lock = world.manager.lock().unwrap();
        taken(time, || lock.lock()).is_ok()
    }),
    ("a manager's Semaphore::acquire_timeout", |world, time| {
        world.manager.semaphore(0).unwrap().acquire_timeout(time).unwrap().is_none()
    }),
    ("a manager's Semaphore::acquire", |world, time| {
        let none = world.manager.semaphore(0).unwrap();
        after(time, || none.release(1).unwrap(), || none.acquire().is_ok())
    }),
    ("a manager's Event::wait_timeout", |world, time| {
        world.manager.event().unwrap().wait_timeout(time) == Ok(false)
    }),
    ("a manager's Event::wait", |world, time| {
        let event = world.manager.event().unwrap();
        after(time, || event.set().unwrap(), || event.wait().is_ok())
    }),
    ("a manager's Condition::wait_timeout", |world, time| {
        let (lock, nobody_notifies) = (world.manager.lock().unwrap(), world.manager.condition().unwrap());
        let guard = lock.lock().unwrap();
        !nobody_notifies.wait_timeout(guard, time).unwrap().1
    }),
    ("a manager's Condition::wait_while", |world, time| {
        let (lock, condition) = (world.manager.lock().unwrap(), world.manager.condition().unwrap());
        let done = world.manager.value(&false).unwrap();
        let notify = || {
            let _guard = lock.lock().unwrap();
            done.set(&true).unwrap();
            condition.notify_one().unwrap();
        };
        after(time, notify, || condition.wait_while(lock.lock().unwrap(), || Ok(!done.get()?)).is_ok())
    }),
    ("a manager's Barrier::wait_timeout", |world, time| {
        let two = world.manager.barrier(2).unwrap();
        two.wait_timeout(time) == Err(BarrierError::Broken(BrokenCause::TimedOut))
    }),
    ("a manager's Barrier::wait", |world, time| {
        let two = world.manager.barrier(2).unwrap();
        after(time, || assert!(two.wait().is_ok()), || two.wait().is_ok())
    }),
    ("a manager's Queue::get_timeout", |world, time| {
        world.manager.queue::<u8>(0).unwrap().get_timeout(time) == Ok(None)
    }),
    ("a manager's Queue::get", |world, time| {
        let queue = world.manager.queue(0).unwrap();
        after(time, || queue.put(7).unwrap(), || queue.get() == Ok(7))
    }),
    ("a manager's Queue::put_timeout", |world, time| {
        let full = world.manager.queue(1).unwrap();
        full.put(1).unwrap();
        matches!(full.put_timeout(2, time), Err(PutError::Full(2)))
    }),
    ("a manager's JoinableQueue::get_lease_timeout", |world, time| {
        world.manager.joinable_queue::<u8>(0).unwrap().get_lease_timeout(time).unwrap().is_none()
    }),
    ("a manager's JoinableQueue::join_timeout", |world, time| {
        let tasks = world.manager.joinable_queue(0).unwrap();
        tasks.put(1).unwrap();
        tasks.join_timeout(time) == Ok(false)
    }),
    ("a manager's JoinableQueue::join", |world, time| {
        let tasks = world.manager.joinable_queue(0).unwrap();
        tasks.put(1).unwrap();
        let work = || tasks.get_lease().unwrap().done().unwrap();
        after(time, work, || tasks.join().is_ok())
    }),
];
