//! Two ends of a road: what one sends the other receives.

mod asleep;
mod end;
mod error;
pub(crate) mod presence;
mod road;
mod wait;

pub use error::{RecvError, RecvIntoError, RecvTimeoutError, SendError, TryRecvError};
pub use wait::{Awaited, Waitable, wait};

use super::message::{self, Message};
use crate::memory::copy::append_all;
use crate::sys::clock::Deadline;
use end::{End, Missed, Patience, Refused};
use road::{Broken, Road};
use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// One end of a connection: it sends values of `S` and receives values of `R`. Python's `Connection`; made by
/// [`duplex`] or [`pipe`].
///
/// * **Messages** are values, or bytes as they are ([`send_bytes`](Self::send_bytes)), of any length, empty ones
///   included. They arrive whole, and in the order in which one process sent them. One end sends and receives either
///   kind, and the other must expect what was sent; for bytes alone take a connection of `Vec<u8>`.
/// * **Sharing.** An end may be used by several processes and threads at once. Each message goes to one of them.
/// * **Waiting.** [`recv`](Self::recv) waits for a message, [`send`](Self::send) for room: 256 KiB may be under way
///   in each direction. If both sides send more than that without receiving, they wait for one another. Who waits does
///   so awake for some microseconds, if that has helped before, and then asleep.
/// * **At a fork** a child of [`spawn`](crate::process::spawn) has the ends that were moved into its closure, and
///   these are dropped in the parent. What it borrows it can use as well, as long as its parent has it. Nothing else
///   of its parent's it holds open: there is no file descriptor to be closed first, as there is in Python. Clone the
///   end to have it here and there. (An end inside an `Arc` counts as borrowed. After a bare `fork(2)`, which the
///   library does not see, both processes have all ends, as in Python, and each must drop those that it does not
///   use.)
/// * **At drop** of the last handle in the last process that has the end it is closed: the other end receives what
///   is still under way, and then [`Closed`](RecvError::Closed) for ever.
/// * **At a death** of a process, by SIGKILL too, its ends are closed as if dropped. All that it had sent arrives. A
///   message of more than 64 KiB is sent piece by piece, so it may be torn: then the receiver is told so
///   ([`Torn`](RecvError::Torn)), once, and the next message is whole. One that is just being received goes with its
///   receiver.
///
/// Beneath is shared memory, with `eventfd(2)` and `epoll(7)` for those who sleep and `pipe(2)` for the end: up to five
/// descriptors for each end, close-on-exec.
///
/// ```
/// use shared::channel::{RecvError, duplex};
/// use shared::process;
///
/// let (ours, theirs) = duplex::<String, usize>();
/// let child = process::spawn(move || {
///     for text in &theirs {
///         theirs.send(text.unwrap().len()).unwrap();
///     }
/// });
/// ours.send("Hi daddy!".to_owned()).unwrap();
/// assert_eq!(ours.recv(), Ok(9));
/// drop(ours);
/// child.join().unwrap(); // Its loop has ended.
/// ```
pub struct Connection<S, R> {
    end: Arc<End>,
    messages: PhantomData<fn(S) -> R>,
}

/// What an end sends that only receives, and receives that only sends: there is no such value, and there are no such
/// methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {}

/// A connection of one direction: what the first end sends the second receives. Python's `Pipe(duplex=False)`, whose
/// ends come in the other order.
///
/// # Panics
///
/// If there is no memory, no mapping or no descriptor to be had; [`try_pipe`] returns that.
///
/// ```
/// let (sender, receiver) = shared::channel::pipe();
/// let child = shared::process::spawn(move || (1..=3).for_each(|n| sender.send(n).unwrap()));
/// assert_eq!(receiver.iter().collect::<Result<Vec<i32>, _>>().unwrap(), [1, 2, 3]);
/// child.join().unwrap();
/// ```
///
/// The wrong way there is nothing to call:
///
/// ```compile_fail
/// let (sender, receiver) = shared::channel::pipe::<i32>();
/// receiver.send(1);
/// ```
///
/// ```compile_fail
/// let (sender, receiver) = shared::channel::pipe::<i32>();
/// sender.recv();
/// ```
#[doc(alias = "Pipe")]
#[doc(alias = "channel")]
#[track_caller]
pub fn pipe<T: Message>() -> (Connection<T, Nothing>, Connection<Nothing, T>) {
    try_pipe().unwrap_or_else(|error| panic!("no connection: {error}"))
}

/// As [`pipe`].
///
/// # Errors
///
/// What `mmap(2)`, `eventfd(2)` or `pipe2(2)` says: no memory (`ENOMEM`), or too many descriptors (`EMFILE`,
/// `ENFILE`).
pub fn try_pipe<T: Message>() -> io::Result<(Connection<T, Nothing>, Connection<Nothing, T>)> {
    let (first, second) = end::pair(Some(Road::new()?), None)?;
    Ok((Connection::new(first), Connection::new(second)))
}

/// A connection of two directions: Python's `Pipe()`. The first end sends values of `A` and receives values of `B`.
///
/// # Panics
///
/// As [`pipe`].
#[doc(alias = "Pipe")]
#[track_caller]
pub fn duplex<A: Message, B: Message>() -> (Connection<A, B>, Connection<B, A>) {
    try_duplex().unwrap_or_else(|error| panic!("no connection: {error}"))
}

/// As [`duplex`].
///
/// # Errors
///
/// As [`try_pipe`].
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
    /// Sends a message, waiting for room as long as it takes. Interruptions by signals change nothing.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message in it: nobody has the other end any more, or the message cannot be encoded.
    /// That the last process has let go of the other end is known at once; that it was killed, the second time that
    /// something is sent after some milliseconds. What was sent meanwhile is lost, as is all that was not received.
    pub fn send(&self, message: S) -> Result<(), SendError<S>> {
        let sent = message::with_buffer(|buffer| {
            message::encode(&message, &mut Filling(buffer)).map_err(Ok)?;
            self.end.send(buffer).map_err(Err)
        });
        sent.map_err(|why| match why {
            Ok(error) => SendError::Encode(message, error),
            Err(Refused::Closed) => SendError::Closed(message),
            Err(Refused::Corrupt) => SendError::Corrupt(message),
        })
    }

    /// Sends bytes as they are, without the codec. A part of them is a slice of them.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.end.send(bytes).map_err(|why| match why {
            Refused::Closed => SendError::Closed(()),
            Refused::Corrupt => SendError::Corrupt(()),
        })
    }
}

impl<S, R: Message> Connection<S, R> {
    /// Receives the next message, waiting for it as long as it takes. Interruptions by signals change nothing.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: it is the end, or a message was torn or is no `R`.
    pub fn recv(&self) -> Result<R, RecvError> {
        self.receive(Patience::Until(Deadline::NEVER)).map_err(failed)
    }

    /// Receives the next message if there is one. One that has begun to arrive is taken to its end.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`]: there is none, or as [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<R, TryRecvError> {
        self.receive(Patience::None).map_err(|error| error.map_or(TryRecvError::Empty, TryRecvError::Failed))
    }

    /// Receives the next message, waiting at most `timeout` for it to begin: never less.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`]: there was none in time, or as [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, RecvTimeoutError> {
        let patience = Patience::Until(Deadline::after(timeout));
        self.receive(patience)
            .map_err(|error| error.map_or(RecvTimeoutError::Timeout, RecvTimeoutError::Failed))
    }

    /// Receives bytes as they were sent.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.recv_bytes_at_most(usize::MAX)
    }

    /// Receives bytes, if they are no more than `limit`: Python's `recv_bytes(maxlength)`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`RecvError::TooLong`], after which nothing more is received here.
    pub fn recv_bytes_at_most(&self, limit: usize) -> Result<Vec<u8>, RecvError> {
        let mut bytes = Vec::new();
        self.take(&mut bytes, limit, Patience::Until(Deadline::NEVER)).map_err(failed)?;
        Ok(bytes)
    }

    /// Receives bytes into `buffer`, from its beginning, and returns how many they are.
    ///
    /// # Errors
    ///
    /// [`RecvIntoError`]: the buffer is too short, or as [`recv`](Self::recv).
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvIntoError> {
        let message = self.recv_bytes()?;
        match buffer.get_mut(..message.len()) {
            Some(room) => room.copy_from_slice(&message),
            None => return Err(RecvIntoError::BufferTooShort { message, room: buffer.len() }),
        }
        Ok(message.len())
    }

    /// Waits at most `timeout` for a message, and takes nothing. `true`: [`recv`](Self::recv) would have something to
    /// say, a message or the end.
    ///
    /// # Errors
    ///
    /// [`RecvError::Corrupt`].
    pub fn poll(&self, timeout: Duration) -> Result<bool, RecvError> {
        match self.end.is_ready() || !super::wait(&[self], Some(timeout)).is_empty() {
            true if self.end.is_corrupt() => Err(RecvError::Corrupt),
            ready => Ok(ready),
        }
    }

    /// The messages that come, until it is the end.
    pub fn iter(&self) -> Messages<'_, S, R> {
        Messages { connection: self }
    }

    fn receive(&self, patience: Patience) -> Result<R, Option<RecvError>> {
        message::with_buffer(|buffer| {
            self.take(buffer, usize::MAX, patience)?;
            message::decode_and_copy(buffer, append_all).map_err(|error| Some(RecvError::Decode(error)))
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

/// A buffer that is being filled, by the copy that is never slow.
struct Filling<'a>(&'a mut Vec<u8>);

impl Write for Filling<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        append_all(bytes, self.0);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a wait without an end failed with.
fn failed(error: Option<RecvError>) -> RecvError {
    error.unwrap_or(RecvError::Closed)
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
pub struct Messages<'a, S, R> {
    connection: &'a Connection<S, R>,
}

impl<S, R: Message> Iterator for Messages<'_, S, R> {
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
    type IntoIter = Messages<'a, S, R>;

    fn into_iter(self) -> Messages<'a, S, R> {
        self.iter()
    }
}
