//! Semaphores that many processes share, and their permits.

use super::error::ManagerError;
use super::handle::{FOR_EVER, Handle, NOT_AT_ALL, at_most};
use super::wire::{Op, Reply, Wait};
use crate::sync::Held;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A number of permits in a manager: Python's `manager.Semaphore(n)`, made by [`semaphore`](super::Objects::semaphore).
///
/// * **Waiting.** Who comes first is served first.
/// * **At drop** of a [`Permit`] another may have it. [`release`](Self::release) makes new ones, which are nobody's.
/// * **At a fork**: refused while this thread holds a permit.
/// * **At a death** of a holder its permits come back, within a second and once.
///
/// ```
/// let manager = shared::manager::Manager::start()?;
/// let rooms = manager.semaphore(2)?;
/// let (_one, _two) = (rooms.acquire()?, rooms.acquire()?);
/// assert!(rooms.try_acquire()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Semaphore {
    handle: Arc<Handle>,
}

/// A semaphore in a manager with no more permits than it began with: Python's `manager.BoundedSemaphore(n)`, made by
/// [`bounded_semaphore`](super::Objects::bounded_semaphore). All else is as with [`Semaphore`].
///
/// ```
/// use shared::manager::{Manager, ManagerError};
///
/// let manager = Manager::start()?;
/// let rooms = manager.bounded_semaphore(2)?;
/// assert_eq!(rooms.release(1), Err(ManagerError::TooManyPermits { bound: 2 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BoundedSemaphore {
    handle: Arc<Handle>,
}

proxy!(Semaphore, "semaphore");
proxy!(BoundedSemaphore, "bounded semaphore");

/// A permit of a managed semaphore, held. Dropping it gives it back. It stays on its thread.
#[must_use = "the permit is given back as soon as it is dropped"]
pub struct Permit {
    handle: Arc<Handle>,
    held: Held,
    /// It gives the permit back.
    gives: bool,
}

macro_rules! semaphore {
    ($semaphore:ident) => {
        impl $semaphore {
            /// Takes a permit, waiting for one as long as it takes.
            ///
            /// # Errors
            ///
            /// [`ManagerError`], as for every call of a proxy.
            pub fn acquire(&self) -> Result<Permit, ManagerError> {
                take(&self.handle, FOR_EVER)?.ok_or(ManagerError::NotOfThisKind)
            }

            /// Takes a permit if there is one.
            ///
            /// # Errors
            ///
            /// [`ManagerError`], as for every call of a proxy.
            pub fn try_acquire(&self) -> Result<Option<Permit>, ManagerError> {
                take(&self.handle, NOT_AT_ALL)
            }

            /// Takes a permit, waiting at most `timeout`: never less. `None`: there was none until then.
            ///
            /// # Errors
            ///
            /// [`ManagerError`], as for every call of a proxy.
            pub fn acquire_timeout(&self, timeout: Duration) -> Result<Option<Permit>, ManagerError> {
                take(&self.handle, at_most(timeout))
            }

            /// Makes so many new permits, which are nobody's.
            ///
            /// # Errors
            ///
            /// [`ManagerError::TooManyPermits`]; as for every call of a proxy.
            pub fn release(&self, permits: u32) -> Result<(), ManagerError> {
                self.handle.ask(Op::Permit(permits)).map(drop)
            }

            /// How many permits there are to be had: Python's `get_value`. It may have changed when you read the answer.
            ///
            /// # Errors
            ///
            /// [`ManagerError`], as for every call of a proxy.
            #[doc(alias = "get_value")]
            pub fn available(&self) -> Result<usize, ManagerError> {
                self.handle.ask_count(Op::Len)
            }
        }
    };
}

semaphore!(Semaphore);
semaphore!(BoundedSemaphore);

fn take(handle: &Arc<Handle>, wait: Wait) -> Result<Option<Permit>, ManagerError> {
    Ok(match handle.ask(Op::Acquire(wait))? {
        Reply::Permit => Some(Permit { handle: Arc::clone(handle), held: Held::one_more(), gives: true }),
        _ => None,
    })
}

impl Permit {
    /// Does away with this permit instead of giving it back: it was a signal.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn forget(mut self) -> Result<(), ManagerError> {
        self.held.one_less();
        self.gives = false;
        self.handle.ask(Op::GiveBack { forget: true }).map(drop)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.gives {
            self.held.one_less();
            // With the manager the semaphore has gone.
            let _ = self.handle.ask(Op::GiveBack { forget: false });
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("semaphore", &self.handle.id()).finish_non_exhaustive()
    }
}
