//! Primitives that order what processes do: shared among those that this process forks, and among
//! its threads.

mod bell;
mod event;
mod flag;
mod held;
mod lock;
mod permits;
mod poison;
mod pool;
mod raw;
mod reentrant;
mod semaphore;
mod slice;
mod slots;
mod spin;

pub use event::Event;
pub(crate) use held::guards_held;
pub use lock::{Lock, LockGuard};
pub use poison::{Cause, LockTimeoutError, Poisoned, TryLockError};
pub use pool::{Permit, ReleaseError};
pub use reentrant::{ReentrantLock, ReentrantLockGuard};
pub use semaphore::{BoundedSemaphore, Semaphore};
