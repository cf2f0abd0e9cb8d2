//! Why a request to a manager failed.

use super::wire::Fault;
use crate::channel::MessageError;
use crate::process::{ExitError, SpawnError};
use crate::sync::{BrokenCause, Poisoned};
use std::fmt;
use std::io;

/// Why a request to a manager was not answered, or refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The manager has ended, and with it all its objects. The request was not carried out, or was one that only
    /// looked or waited.
    #[error("the manager has ended")]
    Gone,
    /// The manager ended, or cut the connection, after it had received the request and before it answered. The
    /// request may have been carried out.
    #[error("the manager received the request and did not answer: it may have been carried out")]
    Unknown,
    /// The manager has cut this connection, because something came through it that is no request.
    #[error("the manager has cut the connection: something came through it that is no request")]
    Cut,
    /// No connection can be had: no descriptor, or no memory, here or in the manager.
    #[error("no connection to the manager: {0}")]
    NoConnection(String),
    /// The manager has as many connections as it may have.
    #[error("no connection to the manager: it has the {limit} that it may have")]
    TooManyConnections {
        /// How many it may have.
        limit: u64,
    },
    /// The manager has as many objects as it may have.
    #[error("no new object: the manager has the {limit} that it may have")]
    TooManyObjects {
        /// How many it may have.
        limit: u64,
    },
    /// The request, or its answer, is longer than is allowed.
    #[error("a message of {len} bytes is longer than the {limit} that the manager allows")]
    TooLong {
        /// Of the message.
        len: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// A value cannot be turned into bytes, or bytes into a value.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The object has gone with its last handle, or belongs to another manager.
    #[error("the manager has no such object: its last handle has gone, or it is another manager's")]
    NoSuchObject,
    /// There is nothing at this index.
    #[error("there is nothing at this index")]
    NoSuchIndex,
    /// What is there is no number.
    #[error("what is to be added to, or what is to be added, is no number")]
    NotANumber,
    /// The sum is larger, or smaller, than a number can be.
    #[error("the sum is beyond all numbers")]
    Overflow,
    /// What is there is no list.
    #[error("what is to be appended to is no list")]
    NotAList,
    /// There is no order among these values: only numbers are compared with numbers, and texts with texts.
    #[error("no order: only numbers are compared with numbers, and texts with texts")]
    NoOrder,
    /// The lock is not held by whoever wanted to give it back or to wait.
    #[error("the lock is not held by this thread")]
    NotHeld,
    /// There would be more permits than there may be.
    #[error("the semaphore has {bound} permits at most, those that are held included")]
    TooManyPermits {
        /// How many there may be.
        bound: u32,
    },
    /// `task_done` was called once too often.
    #[error("task_done once too often: this process has done all that it got")]
    NothingToDo,
    /// The queue is closed, and empty if something was to be got.
    #[error("the queue is closed")]
    Closed,
    /// The object is of another kind.
    #[error("the object is of another kind")]
    NotOfThisKind,
}

impl ManagerError {
    /// Whether the manager has ended: no later request will be answered either. (Or it has received something that is no request,
    /// which no client of this library sends.)
    pub fn is_gone(&self) -> bool {
        matches!(self, ManagerError::Gone | ManagerError::Unknown)
    }
}

impl From<Fault> for ManagerError {
    fn from(fault: Fault) -> ManagerError {
        match fault {
            Fault::NoSuchObject => ManagerError::NoSuchObject,
            Fault::NotOfThisKind => ManagerError::NotOfThisKind,
            Fault::NoSuchPlace => ManagerError::NoSuchIndex,
            Fault::NotANumber => ManagerError::NotANumber,
            Fault::Overflow => ManagerError::Overflow,
            Fault::NotAList => ManagerError::NotAList,
            Fault::NoOrder => ManagerError::NoOrder,
            Fault::NotHeld => ManagerError::NotHeld,
            Fault::TooManyPermits { bound } => ManagerError::TooManyPermits { bound },
            Fault::TooManyObjects { limit } => ManagerError::TooManyObjects { limit },
            Fault::TooLong { len, limit } => ManagerError::TooLong { len, limit },
            Fault::NothingToDo => ManagerError::NothingToDo,
            Fault::Closed => ManagerError::Closed,
        }
    }
}

/// Why a manager did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its process could not be started.
    #[error("the manager did not start: {0}")]
    Spawn(#[from] SpawnError),
    /// There is no memory or no descriptor to be had.
    #[error("the manager did not start: {0}")]
    System(#[from] io::Error),
    /// It ended before it served anybody; its initializer panicked, for instance.
    #[error("the manager did not start: {0}")]
    Ended(ExitError),
    /// It does not answer.
    #[error("the manager did not start: {0}")]
    Manager(#[from] ManagerError),
}

/// Why a managed lock gave no guard.
pub enum LockError<G> {
    /// It was taken, but an earlier holder panicked or died while it held the lock. The guard is inside.
    Poisoned(Poisoned<G>),
    /// It was not taken.
    Failed(ManagerError),
}

impl<G> LockError<G> {
    pub(super) fn map<H>(self, f: impl FnOnce(G) -> H) -> LockError<H> {
        match self {
            LockError::Failed(error) => LockError::Failed(error),
            LockError::Poisoned(poisoned) => {
                let cause = poisoned.cause();
                LockError::Poisoned(Poisoned::new(f(poisoned.into_inner()), cause))
            }
        }
    }
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Poisoned(poisoned) => poisoned.fmt(f),
            LockError::Failed(error) => error.fmt(f),
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Poisoned(poisoned) => poisoned.fmt(f),
            LockError::Failed(error) => error.fmt(f),
        }
    }
}

impl<G> std::error::Error for LockError<G> {}

impl<G> From<ManagerError> for LockError<G> {
    fn from(error: ManagerError) -> LockError<G> {
        LockError::Failed(error)
    }
}

/// Why an item was not put into a managed queue. It is inside.
pub enum PutError<T> {
    /// There was no room, or none in time: Python's `queue.Full`.
    Full(T),
    /// The request failed, or the queue is closed.
    Failed(T, ManagerError),
}

impl<T> PutError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            PutError::Full(item) | PutError::Failed(item, _) => item,
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(_) => f.write_str("Full"),
            PutError::Failed(_, error) => error.fmt(f),
        }
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Full(_) => f.write_str("the queue is full"),
            PutError::Failed(_, error) => error.fmt(f),
        }
    }
}

impl<T> std::error::Error for PutError<T> {}

/// Why not all met at a managed barrier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// It is broken.
    #[error("broken barrier: {0}")]
    Broken(BrokenCause),
    /// The request failed.
    #[error(transparent)]
    Failed(#[from] ManagerError),
}
