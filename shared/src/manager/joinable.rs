//! Queues that many processes share, and that know when all is done.

use super::error::ManagerError;
use super::handle::{FOR_EVER, Handle, NOT_AT_ALL, at_most};
use super::queue::Queue;
use super::wire::{Op, Reply, Wait};
use crate::channel::Message;
use crate::sync::Held;
use serde_json::Value;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// A [`Queue`] in a manager that knows when all is done: Python's `manager.JoinableQueue()`, made by
/// [`joinable_queue`](super::Objects::joinable_queue).
///
/// An item counts until [`task_done`](Self::task_done), or [`Lease::done`]. That of one who dies first goes to the next, before all others.
///
/// ```
/// let manager = shared::manager::Manager::start()?;
/// let tasks = manager.joinable_queue::<u32>(0)?;
/// tasks.put(7)?;
/// assert_eq!(tasks.get()?, 7);
/// tasks.task_done()?;
/// tasks.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JoinableQueue<T = Value> {
    queue: Queue<T>,
}

impl<T> JoinableQueue<T> {
    pub(super) fn new(handle: Handle) -> JoinableQueue<T> {
        JoinableQueue { queue: Queue::new(handle) }
    }
}

impl<T: Message> JoinableQueue<T> {
    /// The eldest item that this process got is done.
    ///
    /// # Errors
    ///
    /// [`ManagerError::NothingToDo`]: once too often; as for every call of a proxy.
    pub fn task_done(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Done(None)).map(drop)
    }

    /// Gets an item, waiting for one as long as it takes, that is done when [`Lease::done`] says so.
    ///
    /// # Errors
    ///
    /// As [`get`](Queue::get).
    pub fn get_lease(&self) -> Result<Lease<T>, ManagerError> {
        self.lease_for(FOR_EVER)?.ok_or(ManagerError::NotOfThisKind)
    }

    /// Leases an item if there is one.
    ///
    /// # Errors
    ///
    /// As [`get`](Queue::get).
    pub fn try_get_lease(&self) -> Result<Option<Lease<T>>, ManagerError> {
        self.lease_for(NOT_AT_ALL)
    }

    /// Leases an item, waiting at most `timeout` for one: never less.
    ///
    /// # Errors
    ///
    /// As [`get`](Queue::get).
    pub fn get_lease_timeout(&self, timeout: Duration) -> Result<Option<Lease<T>>, ManagerError> {
        self.lease_for(at_most(timeout))
    }

    fn lease_for(&self, wait: Wait) -> Result<Option<Lease<T>>, ManagerError> {
        match self.handle.ask(Op::GetItem { wait, lease: true })? {
            Reply::Item { item, serial, delivery } => {
                let (handle, held) = (Arc::clone(&self.handle), Held::one_more());
                match self.handle.unpack(item) {
                    Ok(item) => Ok(Some(Lease { item, serial, delivery, handle, held, gives: true })),
                    Err(error) => {
                        held.one_less();
                        // Nobody else could read it either.
                        handle.ask(Op::Done(Some(serial)))?;
                        Err(error)
                    }
                }
            }
            _ => Ok(None),
        }
    }

    /// Waits until all that was put is done.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn join(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Join(FOR_EVER)).map(drop)
    }

    /// As [`join`](Self::join), at most for `timeout`. `false`: something was not done until then.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool, ManagerError> {
        self.handle.ask_done(Op::Join(at_most(timeout)))
    }
}

impl<T> Deref for JoinableQueue<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.queue
    }
}

impl<T> Clone for JoinableQueue<T> {
    /// Another handle to the same queue.
    fn clone(&self) -> JoinableQueue<T> {
        JoinableQueue { queue: self.queue.clone() }
    }
}

impl<T> fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.queue.fmt(f)
    }
}

impl<T> serde::Serialize for JoinableQueue<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::packed::serialize(&self.queue.handle, "joinable queue", serializer)
    }
}

impl<'de, T> serde::Deserialize<'de> for JoinableQueue<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<JoinableQueue<T>, D::Error> {
        Ok(JoinableQueue::new(super::packed::deserialize("joinable queue", deserializer)?))
    }
}

/// An item that is somebody's until it is done. Dropped, it goes back to the front of the queue.
#[must_use = "dropped, the item goes back to the queue"]
pub struct Lease<T> {
    item: T,
    serial: u64,
    delivery: u32,
    handle: Arc<Handle>,
    held: Held,
    /// It gives the item back.
    gives: bool,
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

impl<T> Lease<T> {
    /// How often this item has been got, this time included.
    pub fn delivery(&self) -> u32 {
        self.delivery
    }

    /// It is done.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn done(mut self) -> Result<(), ManagerError> {
        self.held.one_less();
        self.gives = false;
        self.handle.ask(Op::Done(Some(self.serial))).map(drop)
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        if self.gives {
            self.held.one_less();
            // With the manager the queue has gone.
            let _ = self.handle.ask(Op::GiveUp(self.serial));
        }
    }
}
