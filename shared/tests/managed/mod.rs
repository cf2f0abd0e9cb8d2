//! What the tests of a manager have in common: how to begin; and for those that kill, one object of each kind, and
//! whether all is in order again.
#![allow(dead_code)] // No test uses all of it.

use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use shared::manager::{
    Barrier, Condition, Dict, Event, JoinableQueue, List, Lock, LockError, Manager, ManagerError, Objects,
    Queue, Semaphore, Value,
};
use shared::process::{self, JoinHandle};
use shared::sync::Cause;
use std::time::{Duration, Instant};

/// Of a text that goes through a connection in many pieces.
pub(crate) const LONG: usize = 200_000;
/// Within this everything that a dead process held is somebody else's.
pub(crate) const ANSWERED: Duration = Duration::from_secs(1);
/// Within this the end of a manager is known to those who wait for it.
pub(crate) const KNOWN: Duration = Duration::from_millis(100);

pub(crate) fn manager() -> Manager {
    Manager::start().expect("a manager")
}

/// A child that does this with a copy of a proxy.
pub(crate) fn child<P: Clone + Send + 'static>(
    proxy: &P,
    does: impl FnOnce(P) + Send + 'static,
) -> JoinHandle<()> {
    let proxy = proxy.clone();
    process::spawn(move || does(proxy))
}

/// One object of each kind that is used.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) objects: Objects,
    pub(crate) dict: Dict<String, i64>,
    pub(crate) list: List<i64>,
    /// One long text, or none.
    pub(crate) texts: Dict<u32, String>,
    /// Lists that grow in their dict, and proxies of lists.
    pub(crate) grown: Dict<u32, Vec<i64>>,
    pub(crate) nested: Dict<u32, List<i64>>,
    pub(crate) value: Value<i64>,
    pub(crate) lock: Lock,
    pub(crate) condition: Condition,
    pub(crate) semaphore: Semaphore,
    /// Of none at first.
    pub(crate) signals: Semaphore,
    pub(crate) event: Event,
    pub(crate) barrier: Barrier,
    pub(crate) queue: Queue<i64>,
    pub(crate) tasks: JoinableQueue<i64>,
}

impl World {
    pub(crate) fn new(manager: &Manager) -> Result<World, ManagerError> {
        Ok(World {
            objects: Objects::clone(manager),
            dict: manager.dict_of([("n".to_owned(), 0)])?,
            list: manager.list()?,
            texts: manager.dict()?,
            grown: manager.dict()?,
            nested: manager.dict()?,
            value: manager.value(&0)?,
            lock: manager.lock()?,
            condition: manager.condition()?,
            semaphore: manager.semaphore(2)?,
            signals: manager.semaphore(0)?,
            event: manager.event()?,
            barrier: manager.barrier(100)?,
            queue: manager.queue(0)?,
            tasks: manager.joinable_queue(0)?,
        })
    }

    /// As it was when it was new, whoever has died with what. Fails if something is held longer than it may be, or is not whole.
    pub(crate) fn settle(&self) {
        let begun = Instant::now();
        match self.lock.lock_timeout(ANSWERED) {
            Ok(guard) => drop(guard.expect("the lock of the dead is free")),
            Err(LockError::Poisoned(poisoned)) => {
                assert!(matches!(poisoned.cause(), Cause::OwnerDied { .. }));
                drop(poisoned.into_inner());
                self.lock.clear_poison().expect("clears");
            }
            Err(LockError::Failed(error)) => panic!("{error}"),
        }
        while self.semaphore.available() != Ok(2) {
            assert!(begun.elapsed() < ANSWERED, "{:?} permits", self.semaphore.available());
        }
        while self.barrier.waiting() != Ok(0) {
            assert!(begun.elapsed() < ANSWERED, "a dead party waits");
        }
        self.barrier.reset().expect("resets");
        self.event.clear().expect("clears");
        assert!([0, 1].contains(&self.value.set(&0).expect("sets")));
        assert!([0, 1].contains(&self.dict.insert("n", &0).expect("inserts").expect("it is there")));
        assert!(self.list.len().expect("a length") <= 1);
        self.list.clear().expect("clears");
        assert!(
            self.texts.values().expect("texts").iter().all(|text| text.len() == LONG),
            "a text is not whole"
        );
        self.texts.clear().expect("clears");
        assert!(self.grown.values().expect("lists").iter().all(|list| *list == [7]));
        self.grown.clear().expect("clears");
        for (_, list) in self.nested.items().expect("lists") {
            assert_eq!(list.to_vec(), Ok(vec![7]), "what is in a container lives, whoever has died");
        }
        self.nested.clear().expect("clears");
        while let Some(signal) = self.signals.try_acquire().expect("an answer") {
            signal.forget().expect("forgets");
        }
        while let Some(item) = self.queue.try_get().expect("gets") {
            assert_eq!(item, 7);
        }
        // What the dead had in hand comes back when the server has noticed, which may be after a first look.
        while self.tasks.join_timeout(Duration::from_millis(1)) != Ok(true) {
            while let Some(item) = self.tasks.try_get().expect("gets") {
                assert_eq!(item, 7);
                self.tasks.task_done().expect("done");
            }
            assert!(begun.elapsed() < ANSWERED, "an item is with the dead");
        }
        // Not one of two who were there is missed by a notification.
        self.condition.notify_all().expect("notifies");
    }
}

pub(crate) fn pid_of<T>(child: &JoinHandle<T>) -> Pid {
    Pid::from_raw(child.process().id() as i32)
}

/// A child that does one thing, stops, to be traced, and then does another.
pub(crate) fn traced(
    first: impl FnOnce() + Send + 'static,
    then: impl FnOnce() + Send + 'static,
) -> JoinHandle<()> {
    let child = process::spawn(move || {
        first();
        ptrace::traceme().expect("traced");
        raise(Signal::SIGSTOP).expect("stops");
        then();
    });
    assert!(matches!(waitpid(pid_of(&child), None), Ok(WaitStatus::Stopped(..))));
    child
}
