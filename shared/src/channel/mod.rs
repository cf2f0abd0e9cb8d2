//! What processes say to one another: queues, and how a value becomes bytes and bytes a value.

pub(crate) mod message;
mod queue;

pub use message::{Message, MessageError};
pub use queue::{
    GetError, GetTimeoutError, Iter, JoinableQueue, Lease, PutError, PutTimeoutError, Queue, TaskDoneError,
    TryGetError, TryPutError,
};

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number for a new object that no other has, here or in another process of the family.
fn number() -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) * 1_000_000 + MADE.fetch_add(1, Relaxed) + 1
}
