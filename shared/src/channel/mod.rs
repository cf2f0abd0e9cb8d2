//! What processes say to one another: queues, connections, waiting for several at once, and how a value becomes bytes
//! and bytes a value.

mod connection;
pub(crate) mod message;
mod queue;

pub(crate) use connection::presence;
pub use connection::{
    Awaited, Connection, Messages, Nothing, RecvError, RecvIntoError, RecvTimeoutError, SendError,
    TryRecvError, Waitable, duplex, pipe, try_duplex, try_pipe, wait,
};
pub use message::{Message, MessageError};
pub use queue::{
    GetError, GetTimeoutError, Items, JoinableQueue, Lease, PutError, PutTimeoutError, Queue, TaskDoneError,
    TryGetError, TryPutError,
};

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A number for a new object that no other has, in no process that lives.
fn number() -> u64 {
    static MADE: AtomicU32 = AtomicU32::new(0);
    u64::from(std::process::id()) << 32 | u64::from(MADE.fetch_add(1, Relaxed).wrapping_add(1))
}
