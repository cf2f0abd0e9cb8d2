//! What processes say to one another: connections, waiting for several at once, and how a value becomes bytes.

mod asleep;
mod connection;
mod end;
mod error;
pub(crate) mod message;
pub(crate) mod presence;
mod road;
mod wait;

pub use connection::{Connection, Iter, Nothing, duplex, pipe, try_duplex, try_pipe};
pub use error::{RecvError, RecvIntoError, RecvTimeoutError, SendError, TryRecvError};
pub use message::{Message, MessageError};
pub use wait::{Awaited, Waitable, wait};
