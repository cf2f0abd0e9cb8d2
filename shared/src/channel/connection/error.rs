//! Why a message could not be sent or received.

use crate::channel::message::MessageError;
use std::error::Error;
use std::fmt;

/// Why [`Connection::send`](super::Connection::send) did not send. The message is in it.
#[non_exhaustive]
pub enum SendError<T> {
    /// All processes that had the other end have let go of it, or have ended: Python's `BrokenPipeError`.
    Closed(T),
    /// The message cannot be turned into bytes.
    Encode(T, MessageError),
    /// The memory of the connection was overwritten by somebody.
    Corrupt(T),
}

impl<T> SendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            SendError::Closed(message) | SendError::Encode(message, _) | SendError::Corrupt(message) => {
                message
            }
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Closed(_) => f.write_str("nobody has the other end of the connection any more"),
            SendError::Encode(_, error) => error.fmt(f),
            SendError::Corrupt(_) => f.write_str("the connection's shared memory was overwritten"),
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, why) = match self {
            SendError::Closed(_) => ("Closed", None),
            SendError::Encode(_, error) => ("Encode", Some(error)),
            SendError::Corrupt(_) => ("Corrupt", None),
        };
        let mut text = f.debug_tuple(name);
        why.map(|why| text.field(why));
        text.finish_non_exhaustive()
    }
}

impl<T> Error for SendError<T> {}

/// Why [`Connection::recv`](super::Connection::recv) received nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// All processes that had the other end have let go of it, or have ended, and all that they sent has been
    /// received: Python's `EOFError`. It stays so.
    #[error("nobody has the other end of the connection any more, and nothing is left to receive")]
    Closed,
    /// A process ended in the middle of a message too long to be sent at once. It is lost; the next is whole.
    #[error("a message was torn: the process that sent or received it ended in the middle")]
    Torn,
    /// A message is longer than was allowed. The connection is closed.
    #[error("a message of {len} bytes is longer than the {limit} allowed")]
    TooLong {
        /// Of the message.
        len: u64,
        /// The most that was allowed.
        limit: usize,
    },
    /// A whole message came, but it is no value of the type.
    #[error(transparent)]
    Decode(#[from] MessageError),
    /// The memory of the connection was overwritten by somebody.
    #[error("the connection's shared memory was overwritten")]
    Corrupt,
}

/// Why [`Connection::try_recv`](super::Connection::try_recv) received nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is nothing to receive now.
    #[error("there is nothing to receive now")]
    Empty,
    /// There never will be, or something is wrong.
    #[error(transparent)]
    Failed(#[from] RecvError),
}

/// Why [`Connection::recv_timeout`](super::Connection::recv_timeout) received nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// Nothing came in time.
    #[error("nothing came in time")]
    Timeout,
    /// There never will be anything, or something is wrong.
    #[error(transparent)]
    Failed(#[from] RecvError),
}

/// Why [`Connection::recv_bytes_into`](super::Connection::recv_bytes_into) received nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvIntoError {
    /// The buffer is shorter than the message, which is here: Python's `BufferTooShort`.
    #[error("a message of {} bytes does not fit into a buffer of {room}", message.len())]
    BufferTooShort {
        /// The message, which was taken.
        message: Vec<u8>,
        /// The length of the buffer.
        room: usize,
    },
    /// There is nothing, and never will be, or something is wrong.
    #[error(transparent)]
    Failed(#[from] RecvError),
}
