//! Primitives that order what processes do: shared among those that this process forks, and among
//! its threads.

mod event;
mod flag;
mod held;
mod lock;
mod poison;
mod raw;
mod reentrant;
mod slice;
mod spin;

pub use event::Event;
pub(crate) use held::guards_held;
pub use lock::{Lock, LockGuard};
pub use poison::{Cause, LockTimeoutError, Poisoned, TryLockError};
pub(crate) use raw::RawLock;
pub use reentrant::{ReentrantLock, ReentrantLockGuard};
pub(crate) use slice::Slice;
pub(crate) use spin::Spin;
