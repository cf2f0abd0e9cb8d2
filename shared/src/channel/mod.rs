//! What processes say to one another: queues, and how a value becomes bytes and bytes a value.

mod count;
mod ending;
mod error;
mod joinable;
mod line;
pub(crate) mod message;
mod queue;
mod road;
mod sweep;

pub use error::{
    GetError, GetTimeoutError, PutError, PutTimeoutError, TaskDoneError, TryGetError, TryPutError,
};
pub use joinable::{JoinableQueue, Lease};
pub use message::{Message, MessageError};
pub use queue::{Iter, Queue};

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number for a new object that no other has, here or in another process of the family.
fn number() -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) * 1_000_000 + MADE.fetch_add(1, Relaxed) + 1
}
