//! A queue that knows what became of its items.

use super::error::{
    GetError, GetTimeoutError, PutError, PutTimeoutError, TaskDoneError, TryGetError, TryPutError,
};
use super::line::Corrupt;
use super::road::{NotGot, Patience, Road, Ticket};
use super::{both, get, put};
use crate::channel::message::{Message, MessageError};
use crate::memory::ring::Hold;
use crate::sync::Held;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// A [`Queue`](super::Queue) that knows when all that was put has been *done*: Python's `JoinableQueue`.
///
/// An item counts from the moment it is put until somebody says that it is done: by [`task_done`](Self::task_done)
/// after [`get`](Self::get), or by [`Lease::done`] after [`get_lease`](Self::get_lease). [`join`](Self::join) waits
/// until nothing counts any more. As long as it counts the item stays in the queue's memory, under the name of
/// whoever has it; it takes no room of a bounded queue then.
///
/// * **At a death** of who has an item that is not done, the item comes back: when somebody looks for it, as told at
///   [`Queue`](super::Queue), and by who is in [`join`](Self::join). Then it goes to the next consumer, before all
///   others. So an item is delivered *at least once*, and `join` waits for the work and not for the worker: where
///   Python's hangs for ever, this one ends as soon as somebody else has done it. (With nobody left who gets,
///   it waits; [`join_timeout`](Self::join_timeout) then says so.)
/// * **Closed** is a queue in which nothing waits, even if something may still come back: then it can be got by who asks
///   again.
/// * All else is as with [`Queue`](super::Queue).
///
/// ```
/// use shared::channel::JoinableQueue;
/// use shared::process;
///
/// let tasks = JoinableQueue::<u32>::new();
/// process::scope(|s| {
///     for _ in 0..2 {
///         s.spawn_daemon(|| {
///             while let Ok(task) = tasks.get_lease() {
///                 println!("{} is done for the {}. time", *task, task.delivery());
///                 task.done();
///             }
///         });
///     }
///     for task in 1..=10 {
///         tasks.put(task).unwrap();
///     }
///     tasks.join();
/// });
/// ```
pub struct JoinableQueue<T> {
    road: Road,
    /// Before it, this process has done all that it got; as a rule.
    done: Arc<AtomicU64>,
    items: PhantomData<fn(T) -> T>,
}

both!(JoinableQueue);

impl<T> JoinableQueue<T> {
    fn over(bound: Option<u64>) -> io::Result<JoinableQueue<T>> {
        Ok(JoinableQueue { road: Road::new(bound)?, done: Arc::new(AtomicU64::new(0)), items: PhantomData })
    }
}

impl<T: Message> JoinableQueue<T> {
    /// Takes the next item, waiting for one for as long as it takes. [`task_done`](Self::task_done) must follow: if
    /// this process ends without, another gets the item.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(Patience::EVER)
    }

    /// Takes the next item if there is one now: Python's `get_nowait`.
    ///
    /// # Errors
    ///
    /// [`TryGetError`].
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.get_within(Patience::None)
    }

    /// Takes the next item, waiting at most `timeout` for one.
    ///
    /// # Errors
    ///
    /// [`GetTimeoutError`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError> {
        self.get_within(Patience::of(timeout))
    }

    fn get_within<E: From<NotGot> + From<MessageError>>(&self, patience: Patience) -> Result<T, E> {
        get(&self.road, Hold::Got, patience).map(|(item, ticket)| {
            self.done.fetch_min(ticket.at, std::sync::atomic::Ordering::Relaxed);
            item
        })
    }

    /// Leases the next item, waiting for one for as long as it takes. It is done by [`Lease::done`], and given back
    /// by dropping the lease.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub fn get_lease(&self) -> Result<Lease<'_, T>, GetError> {
        self.lease_within(Patience::EVER)
    }

    /// Leases the next item if there is one now.
    ///
    /// # Errors
    ///
    /// [`TryGetError`].
    pub fn try_get_lease(&self) -> Result<Lease<'_, T>, TryGetError> {
        self.lease_within(Patience::None)
    }

    /// Leases the next item, waiting at most `timeout` for one.
    ///
    /// # Errors
    ///
    /// [`GetTimeoutError`].
    pub fn get_lease_timeout(&self, timeout: Duration) -> Result<Lease<'_, T>, GetTimeoutError> {
        self.lease_within(Patience::of(timeout))
    }

    fn lease_within<E: From<NotGot> + From<MessageError>>(
        &self,
        patience: Patience,
    ) -> Result<Lease<'_, T>, E> {
        let leased =
            |(item, ticket)| Lease { item, ticket, queue: self, is_done: false, held: Held::one_more() };
        get(&self.road, Hold::Leased, patience).map(leased)
    }
}

impl<T> JoinableQueue<T> {
    /// Says that an item that this process got with [`get`](Self::get) is done: the oldest.
    ///
    /// # Errors
    ///
    /// [`TaskDoneError::NothingToDo`] if there is none: it was called once too often. (In Python any process may call
    /// it for another; here it is for who got the item, since it is his death that would make it somebody else's.)
    pub fn task_done(&self) -> Result<(), TaskDoneError> {
        match self.road.finish_oldest(&self.done) {
            Ok(true) => Ok(()),
            Ok(false) => Err(TaskDoneError::NothingToDo),
            Err(Corrupt) => Err(TaskDoneError::Corrupt),
        }
    }

    /// Waits until all that was put is done, for as long as it takes; returns at once if that is so already.
    pub fn join(&self) {
        // Of a queue whose words are overwritten, nothing will ever be done.
        let _ = self.road.join(Deadline::NEVER);
    }

    /// Waits until all that was put is done, at most `timeout`. Returns whether that is so.
    #[must_use = "some items may not be done"]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.road.join(Deadline::after(timeout)) == Ok(true)
    }

    /// Closes the queue for good: nothing can be put any more; what is inside, or comes back, can still be got.
    #[doc(alias = "shutdown")]
    pub fn close(&self) {
        self.road.close(false);
    }

    /// Closes the queue and drops what is inside, which counts as done: Python's `shutdown(immediate=True)`. What
    /// somebody has counts until he has done it, or dies.
    #[doc(alias = "shutdown")]
    pub fn close_now(&self) {
        self.road.close(true);
    }
}

impl<T> Clone for JoinableQueue<T> {
    fn clone(&self) -> JoinableQueue<T> {
        JoinableQueue { road: self.road.clone(), done: Arc::clone(&self.done), items: PhantomData }
    }
}

/// An item that is this process's to do, and somebody else's if it does not.
///
/// [`done`](Self::done) finishes it. Dropping the lease, by a panic too, gives the item to the next consumer, before all
/// others; so does dying with it, as soon as somebody looks ([`JoinableQueue`]). It stays on its thread, and no process can be spawned meanwhile.
#[must_use = "an item that is dropped goes back into the queue"]
pub struct Lease<'a, T> {
    item: T,
    ticket: Ticket,
    queue: &'a JoinableQueue<T>,
    is_done: bool,
    held: Held,
}

impl<T> Lease<'_, T> {
    /// The item is done: it counts no more, and nobody will get it again.
    pub fn done(mut self) {
        self.queue.road.finish_at(self.ticket.at, Hold::Leased);
        self.is_done = true;
    }

    /// How often the item has been handed over, this time included: 1, unless somebody gave it back or died with it.
    pub fn delivery(&self) -> u32 {
        self.ticket.deliveries
    }
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        self.held.one_less();
        if !self.is_done {
            self.queue.road.put_back(self.ticket.at);
        }
    }
}

impl<T> Deref for Lease<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: fmt::Debug> fmt::Debug for Lease<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("item", &self.item).field("delivery", &self.delivery()).finish()
    }
}
