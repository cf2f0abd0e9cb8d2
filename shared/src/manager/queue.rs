//! Queues that many processes share.

use super::error::{ManagerError, PutError};
use super::handle::{FOR_EVER, Handle, NOT_AT_ALL, at_most};
use super::wire::{Op, Reply, Wait};
use crate::channel::Message;
use serde_json::Value;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A queue in a manager: Python's `manager.Queue(n)`, made by [`queue`](super::Objects::queue).
///
/// First in, first out; who waits longest is served first. An item that was handed to one who died before it could know is the next one's.
/// Once it is [closed](Self::close) nothing can be put any more, and who finds it empty is told so.
/// Processes that a fork made from one another do better with a [`channel::Queue`](crate::channel::Queue): that is memory, and no request.
///
/// ```
/// let manager = shared::manager::Manager::start()?;
/// let tasks = manager.queue::<u32>(0)?;
/// tasks.put(7)?;
/// assert_eq!(tasks.get()?, 7);
/// assert_eq!(tasks.try_get()?, None);
///
/// (1..=3).try_for_each(|n| tasks.put(n))?;
/// tasks.close()?;
/// assert_eq!(tasks.iter().collect::<Result<Vec<_>, _>>()?, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T = Value> {
    pub(super) handle: Arc<Handle>,
    types: PhantomData<fn() -> (T,)>,
}

proxy!(Queue<T>, "queue");

impl<T: Message> Queue<T> {
    /// Puts an item, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// [`PutError`], with the item in it; [`ManagerError::Closed`] is one that a request fails with.
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_for(item, FOR_EVER)
    }

    /// Puts an item if there is room.
    ///
    /// # Errors
    ///
    /// [`PutError`], with the item in it: `Full` is Python's `queue.Full`.
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_for(item, NOT_AT_ALL)
    }

    /// Puts an item, waiting at most `timeout` for room: never less.
    ///
    /// # Errors
    ///
    /// As [`try_put`](Self::try_put).
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_for(item, at_most(timeout))
    }

    fn put_for(&self, item: T, wait: Wait) -> Result<(), PutError<T>> {
        let put = self.handle.pack(&item).and_then(|packed| self.handle.ask_done(Op::Put(packed, wait)));
        match put {
            Ok(true) => Ok(()),
            Ok(false) => Err(PutError::Full(item)),
            Err(error) => Err(PutError::Failed(item, error)),
        }
    }

    /// Gets an item, waiting for one as long as it takes.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy; [`ManagerError::Closed`]. An item that is none of the type has been taken.
    pub fn get(&self) -> Result<T, ManagerError> {
        self.get_for(FOR_EVER)?.ok_or(ManagerError::NotOfThisKind)
    }

    /// Gets an item if there is one; `None` is Python's `queue.Empty`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<Option<T>, ManagerError> {
        self.get_for(NOT_AT_ALL)
    }

    /// Gets an item, waiting at most `timeout` for one: never less. `None` is Python's `queue.Empty`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_timeout(&self, timeout: Duration) -> Result<Option<T>, ManagerError> {
        self.get_for(at_most(timeout))
    }

    fn get_for(&self, wait: Wait) -> Result<Option<T>, ManagerError> {
        match self.handle.ask(Op::GetItem { wait, lease: false })? {
            Reply::Item { item, .. } => self.handle.unpack(item).map(Some),
            _ => Ok(None),
        }
    }

    /// The items, one after the other, until the queue is closed and empty. Waits for each.
    pub fn iter(&self) -> Items<'_, T> {
        Items { queue: self, gone: false }
    }

    /// How many items are in it: Python's `qsize`. It may have changed when you read the answer.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    #[doc(alias = "qsize")]
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.handle.ask_count(Op::Len)
    }

    /// Whether nothing is in it.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    #[doc(alias = "empty")]
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }

    /// Whether there is no room: never, in a queue without a bound.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    #[doc(alias = "full")]
    pub fn is_full(&self) -> Result<bool, ManagerError> {
        self.handle.ask_whether(Op::IsFull)
    }

    /// Closes it for good: nothing can be put any more; what is inside, or comes back, can still be got, and then everybody is told
    /// that it is closed. Who waits for room is told so at once.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    #[doc(alias = "shutdown")]
    pub fn close(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Close { now: false }).map(drop)
    }

    /// Closes it and drops what is inside, which counts as done: Python's `shutdown(immediate=True)`. What somebody has of a
    /// [`JoinableQueue`](super::JoinableQueue) counts until he has done it, or dies.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    #[doc(alias = "shutdown")]
    pub fn close_now(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Close { now: true }).map(drop)
    }

    /// Whether it is closed.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn is_closed(&self) -> Result<bool, ManagerError> {
        self.handle.ask_whether(Op::IsClosed)
    }
}

/// The items of a managed queue until it is closed: [`Queue::iter`].
#[derive(Debug)]
pub struct Items<'a, T> {
    queue: &'a Queue<T>,
    gone: bool,
}

impl<T: Message> Iterator for Items<'_, T> {
    /// After the manager's end nothing more comes.
    type Item = Result<T, ManagerError>;

    fn next(&mut self) -> Option<Result<T, ManagerError>> {
        if self.gone {
            return None;
        }
        let got = self.queue.get();
        self.gone = matches!(&got, Err(error) if error.is_gone());
        Some(got).filter(|got| !matches!(got, Err(ManagerError::Closed)))
    }
}

impl<'a, T: Message> IntoIterator for &'a Queue<T> {
    type Item = Result<T, ManagerError>;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        self.iter()
    }
}
