//! Primitives that order what processes do: shared among those that this process forks, and among
//! its threads.

mod awaited;
mod barrier;
mod bell;
mod condition;
mod event;
mod flag;
mod held;
mod lock;
mod meeting;
mod permits;
mod poison;
mod pool;
mod raw;
mod reentrant;
mod semaphore;
mod slice;
mod slots;
mod spin;
mod waiter;
mod waiters;

pub(crate) use awaited::{Awaited, Look};
pub use barrier::{Barrier, BarrierWaitResult, BrokenBarrier, BrokenCause};
pub use condition::{Condition, Guard, WaitTimeoutResult};
pub use event::Event;
pub(crate) use held::{Held, guards_held};
pub use lock::{Lock, LockGuard};
pub use poison::{Cause, LockTimeoutError, Poisoned, TryLockError};
pub use pool::{Permit, ReleaseError};
pub(crate) use raw::RawLock;
pub use reentrant::{ReentrantLock, ReentrantLockGuard};
pub use semaphore::{BoundedSemaphore, Semaphore};
pub(crate) use slice::Slice;
pub(crate) use spin::Spin;
