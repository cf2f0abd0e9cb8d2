//! A flag that many processes wait for.

use super::error::ManagerError;
use super::handle::{FOR_EVER, Handle, at_most};
use super::wire::Op;
use std::sync::Arc;
use std::time::Duration;

/// A flag in a manager: Python's `manager.Event()`, made by [`event`](super::Objects::event).
///
/// Whoever waits when it is set goes on, also if it is cleared at once. Nothing is used up, and no death changes it.
///
/// ```
/// use std::time::Duration;
///
/// let manager = shared::manager::Manager::start()?;
/// let green = manager.event()?;
/// assert!(!green.wait_timeout(Duration::from_millis(1))?);
/// green.set()?;
/// green.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Event {
    handle: Arc<Handle>,
}

proxy!(Event, "event");

impl Event {
    /// Sets it: all who wait go on.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn set(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Raise).map(drop)
    }

    /// Clears it: whoever comes now waits.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn clear(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Lower).map(drop)
    }

    /// Whether it is set.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn is_set(&self) -> Result<bool, ManagerError> {
        self.handle.ask_whether(Op::IsRaised)
    }

    /// Waits until it is set.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn wait(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::AwaitRaised(FOR_EVER)).map(drop)
    }

    /// Waits until it is set, at most `timeout`: never less. `false`: it was not until then.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, ManagerError> {
        self.handle.ask_done(Op::AwaitRaised(at_most(timeout)))
    }
}
