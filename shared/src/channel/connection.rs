//! Two ends of a road: what one sends the other receives.

use super::end::{self, End, Missed, Patience, Refused};
use super::error::{RecvError, RecvIntoError, RecvTimeoutError, SendError, TryRecvError};
use super::message::{self, Message};
use super::road::{Broken, Road};
use crate::sys::clock::Deadline;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// One end of a connection: it sends `S` and receives `R`. Python's `Connection`.
pub struct Connection<S, R> {
    pub(super) end: Arc<End>,
    messages: PhantomData<fn(S) -> R>,
}

/// What the end of a one-way connection sends that receives, and receives that sends: there is no such value, and
/// there are no such methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {}

/// A connection whose first end sends and whose second receives: Python's `Pipe(duplex=False)`, the ends in the
/// order in which messages go.
#[track_caller]
pub fn pipe<T: Message>() -> (Connection<T, Nothing>, Connection<Nothing, T>) {
    try_pipe().unwrap_or_else(|error| panic!("no connection: {error}"))
}

/// As [`pipe`].
pub fn try_pipe<T: Message>() -> io::Result<(Connection<T, Nothing>, Connection<Nothing, T>)> {
    let (first, second) = end::pair(Some(Road::new()?), None)?;
    Ok((Connection::new(first), Connection::new(second)))
}

/// A connection both of whose ends send and receive: Python's `Pipe()`.
#[track_caller]
pub fn duplex<A: Message, B: Message>() -> (Connection<A, B>, Connection<B, A>) {
    try_duplex().unwrap_or_else(|error| panic!("no connection: {error}"))
}

/// As [`duplex`].
pub fn try_duplex<A: Message, B: Message>() -> io::Result<(Connection<A, B>, Connection<B, A>)> {
    let (first, second) = end::pair(Some(Road::new()?), Some(Road::new()?))?;
    Ok((Connection::new(first), Connection::new(second)))
}

impl<S, R> Connection<S, R> {
    fn new(end: Arc<End>) -> Connection<S, R> {
        Connection { end, messages: PhantomData }
    }

    /// The number of this end, the same in every process.
    pub fn id(&self) -> u64 {
        self.end.id
    }
}

impl<S: Message, R> Connection<S, R> {
    /// Sends a message.
    pub fn send(&self, message: S) -> Result<(), SendError<S>> {
        let sent = with_buffer(|buffer| {
            message::encode(&message, buffer).map_err(Ok)?;
            self.end.send(buffer).map_err(Err)
        });
        sent.map_err(|why| match why {
            Ok(error) => SendError::Encode(message, error),
            Err(Refused::Closed) => SendError::Closed(message),
            Err(Refused::Corrupt) => SendError::Corrupt(message),
        })
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.end.send(bytes).map_err(|why| match why {
            Refused::Closed => SendError::Closed(()),
            Refused::Corrupt => SendError::Corrupt(()),
        })
    }
}

impl<S, R: Message> Connection<S, R> {
    /// Receives the next message, waiting for it as long as it takes.
    pub fn recv(&self) -> Result<R, RecvError> {
        self.receive(Patience::Until(Deadline::NEVER)).map_err(failed)
    }

    /// Receives the next message if there is one.
    pub fn try_recv(&self) -> Result<R, TryRecvError> {
        self.receive(Patience::None).map_err(|error| error.map_or(TryRecvError::Empty, TryRecvError::Failed))
    }

    /// Receives the next message, waiting for it at most `timeout`.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, RecvTimeoutError> {
        let patience = Patience::Until(Deadline::after(timeout));
        self.receive(patience)
            .map_err(|error| error.map_or(RecvTimeoutError::Timeout, RecvTimeoutError::Failed))
    }

    /// Receives bytes as they were sent.
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.recv_bytes_at_most(usize::MAX)
    }

    /// Receives bytes, if they are no more than `limit`.
    pub fn recv_bytes_at_most(&self, limit: usize) -> Result<Vec<u8>, RecvError> {
        let mut bytes = Vec::new();
        self.take(&mut bytes, limit, Patience::Until(Deadline::NEVER)).map_err(failed)?;
        Ok(bytes)
    }

    /// Receives bytes into `buffer`, and returns how many they are.
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvIntoError> {
        let message = self.recv_bytes()?;
        match buffer.get_mut(..message.len()) {
            Some(room) => room.copy_from_slice(&message),
            None => return Err(RecvIntoError::BufferTooShort { message, room: buffer.len() }),
        }
        Ok(message.len())
    }

    /// Whether [`recv`](Self::recv) would not have to wait.
    pub fn poll(&self, timeout: Duration) -> Result<bool, RecvError> {
        Ok(self.end.is_ready() || !super::wait(&[self], Some(timeout)).is_empty())
    }

    /// The messages that come, until there are no more.
    pub fn iter(&self) -> Iter<'_, S, R> {
        Iter { connection: self }
    }

    fn receive(&self, patience: Patience) -> Result<R, Option<RecvError>> {
        with_buffer(|buffer| {
            self.take(buffer, usize::MAX, patience)?;
            message::decode(buffer).map_err(|error| Some(RecvError::Decode(error)))
        })
    }

    /// `None`: not yet.
    fn take(&self, bytes: &mut Vec<u8>, limit: usize, patience: Patience) -> Result<(), Option<RecvError>> {
        self.end.receive(bytes, limit as u64, patience).map_err(|missed| match missed {
            Missed::NotYet => None,
            Missed::Closed => Some(RecvError::Closed),
            Missed::Broken(Broken::Torn) => Some(RecvError::Torn),
            Missed::Broken(Broken::TooLong(len)) => Some(RecvError::TooLong { len, limit }),
            Missed::Broken(Broken::Corrupt) => Some(RecvError::Corrupt),
        })
    }
}

/// What a wait without an end failed with.
fn failed(error: Option<RecvError>) -> RecvError {
    error.unwrap_or(RecvError::Closed)
}

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The most that the buffer of a thread keeps.
const KEPT: usize = 1 << 16;

/// A buffer that is there already, empty.
#[inline]
fn with_buffer<T>(f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    // A message whose own code sends another finds an empty one.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = f(&mut buffer);
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    result
}

impl<S, R> Clone for Connection<S, R> {
    /// Another handle to the same end.
    fn clone(&self) -> Connection<S, R> {
        self.end.presence.one_more();
        Connection::new(Arc::clone(&self.end))
    }
}

impl<S, R> Drop for Connection<S, R> {
    fn drop(&mut self) {
        self.end.let_go();
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// See [`Connection::iter`].
#[derive(Debug)]
pub struct Iter<'a, S, R> {
    connection: &'a Connection<S, R>,
}

impl<S, R: Message> Iterator for Iter<'_, S, R> {
    type Item = Result<R, RecvError>;

    fn next(&mut self) -> Option<Result<R, RecvError>> {
        match self.connection.recv() {
            Err(RecvError::Closed) => None,
            received => Some(received),
        }
    }
}

impl<'a, S, R: Message> IntoIterator for &'a Connection<S, R> {
    type Item = Result<R, RecvError>;
    type IntoIter = Iter<'a, S, R>;

    fn into_iter(self) -> Iter<'a, S, R> {
        self.iter()
    }
}
