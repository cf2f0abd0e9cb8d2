//! A point at which so many wait for one another.

use super::error::{BarrierError, ManagerError};
use super::handle::{FOR_EVER, Handle, at_most};
use super::wire::{Op, Reply, Wait};
use crate::sync::{BarrierWaitResult, BrokenCause};
use std::sync::Arc;
use std::time::Duration;

/// A barrier in a manager: Python's `manager.Barrier(n)`, made by [`barrier`](super::Objects::barrier).
///
/// It breaks for all when one that waits dies, or its time is up. It has no action, since no code goes through a manager: let the one to
/// whom [`wait`](Self::wait) says that it is the leader do it, and meet once more.
///
/// ```
/// use shared::process;
///
/// let manager = shared::manager::Manager::start()?;
/// let start = manager.barrier(2)?;
/// let child = { let start = start.clone(); process::spawn(move || start.wait().unwrap().is_leader()) };
/// let me = start.wait()?;
/// assert_ne!(child.join()?, me.is_leader());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Barrier {
    handle: Arc<Handle>,
}

proxy!(Barrier, "barrier");

impl Barrier {
    /// Waits until all are there. They are numbered in the order in which they came, and the first is the leader.
    ///
    /// # Errors
    ///
    /// [`BarrierError`]: it is broken, or was while this one waited; or the request failed.
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.meet(FOR_EVER)
    }

    /// As [`wait`](Self::wait), at most for `timeout`; then it is broken for all.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.meet(at_most(timeout))
    }

    fn meet(&self, wait: Wait) -> Result<BarrierWaitResult, BarrierError> {
        match self.handle.ask(Op::Meet(wait))? {
            Reply::Met(index) => Ok(BarrierWaitResult::new(index as usize)),
            Reply::Broken(Some(cause)) => Err(BarrierError::Broken(cause.into())),
            _ => Err(BarrierError::Failed(ManagerError::NotOfThisKind)),
        }
    }

    /// Breaks it for all.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn abort(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Abort).map(drop)
    }

    /// Makes it as new. Those that wait are told that it is broken.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn reset(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Reset).map(drop)
    }

    /// Whether it is broken, and why.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    #[doc(alias = "broken")]
    pub fn is_broken(&self) -> Result<Option<BrokenCause>, ManagerError> {
        match self.handle.ask(Op::IsBroken)? {
            Reply::Broken(cause) => Ok(cause.map(BrokenCause::from)),
            _ => Ok(None),
        }
    }

    /// How many go on together.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn parties(&self) -> Result<usize, ManagerError> {
        self.handle.ask_count(Op::Parties)
    }

    /// How many wait now.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    #[doc(alias = "n_waiting")]
    pub fn waiting(&self) -> Result<usize, ManagerError> {
        self.handle.ask_count(Op::Len)
    }
}
