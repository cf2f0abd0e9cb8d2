//! A queue: many put, many get, each item once.

mod both;
mod count;
mod ending;
mod error;
mod joinable;
mod line;
mod outgoing;
mod road;
mod sweep;

pub use error::{
    GetError, GetTimeoutError, PutError, PutTimeoutError, TaskDoneError, TryGetError, TryPutError,
};
pub use joinable::{JoinableQueue, Lease};

use super::message::{self, Arrival, Message, MessageError};
use crate::memory::ring::Hold;
use both::both;
use outgoing::Outgoing;
use road::{NotGot, NotPut, Patience, Road, Ticket};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

/// A line of items, for many producers and many consumers: Python's `Queue`.
///
/// Items are whatever `serde` can take apart and put together again ([`Message`]), from nothing to 1 GiB. They wait
/// in shared memory, and no thread stands behind: when [`put`](Self::put) returns, every process can get the item, and
/// the producer may exit at once.
///
/// | what | is promised |
/// |---|---|
/// | order | first in, first out, and what one producer puts comes in his order; but for items that come back, which are before all others from then on |
/// | `put` returned `Ok` | the item is got by exactly one [`get`](Self::get), or is still inside; unless that getter is killed after the item was handed over and before it used it, as it may be on its first line after `get`: so *at most once* |
/// | `put` returned an error | the item is in the error, and was never in the queue |
/// | a producer dies in `put` | the item is wholly in, or was never there |
/// | a consumer dies in `get` | the item comes back and goes to another consumer, unless it was handed over; never to two |
/// | a lost worker must not lose an item | [`JoinableQueue`](super::JoinableQueue): *at least once*, with a count |
///
/// * **Sharing.** Every child forked after the queue was made has it, and so has every thread. Cloning gives another
///   handle to the same queue. It takes two mappings (12 KiB of memory, and room in the address space for 13 GiB), no
///   descriptor and no name. Items of up to 96 encoded bytes lie in places of 128; longer ones in blocks beside them. What is not
///   used goes back to the system, but for less than 1 MiB.
/// * **Waiting.** `put` waits while a bounded queue is full, and `get` while there is nothing: awake for some
///   microseconds, if that has helped before, then asleep. With a bound of 16 or more a producer that sleeps is woken
///   when half of the room is free, and not for each place; one that comes just then may put before. Interruptions
///   by signals change nothing; a timeout is never early. A producer that is *stopped* in the middle of a put holds up
///   who comes behind it until it goes on, since its item comes first; calls with a timeout end in time.
/// * **At the end.** [`close`](Self::close) refuses new items; what is inside can still be got, and then everybody is
///   told. There is no need for a sentinel: `for item in &queue` ends then.
/// * **At drop** of the last handle in a process the memory is unmapped there. Items are gone with the last process.
/// * **At a fork** nothing happens: nobody holds a queue.
/// * **At a death** as in the table. What a dead process had comes back when somebody looks for it: who waits,
///   within a second; who finds the queue empty or full in a call that does not wait, or empty and closed, at once.
///   As long as everybody finds what he wants, nobody looks, and the item stays where it is, in the name of the dead.
///
/// Beneath is the `futex(2)` of Linux. Python's has a thread that feeds a pipe, so a `put` there may be lost at an
/// exit, and a consumer that is killed in `get` takes the pipe's lock with it.
///
/// ```
/// use shared::channel::Queue;
/// use shared::process;
///
/// let foods = Queue::bounded(2);
/// let eaten = process::scope(|s| {
///     let eaters: Vec<_> =
///         (0..2).map(|_| s.spawn(|| foods.iter().map(|food: Result<String, _>| food.unwrap()).count())).collect();
///     for food in ["rice", "bread", "beans"] {
///         foods.put(food.to_owned()).unwrap();
///     }
///     foods.close();
///     eaters.into_iter().map(|eater| eater.join().unwrap()).sum::<usize>()
/// });
/// assert_eq!(eaten, 3);
/// ```
pub struct Queue<T> {
    road: Road,
    items: PhantomData<fn(T) -> T>,
}

/// Encodes, and puts: `Err(Err)` is the codec's.
fn put<T: Message>(road: &Road, item: &T, patience: Patience) -> Result<(), Result<NotPut, MessageError>> {
    message::with_buffer(|bytes| {
        let mut outgoing = Outgoing::new(road, bytes);
        message::encode(item, &mut outgoing).map_err(Err)?;
        outgoing.put(patience).map_err(Ok)
    })
}

/// Gets, and decodes.
fn get<T: Message, E: From<NotGot> + From<MessageError>>(
    road: &Road,
    hold: Hold,
    patience: Patience,
) -> Result<(T, Ticket), E> {
    message::with_buffer(|bytes| {
        let mut arrival = Arrival::value(bytes);
        let ticket = road.get(hold, patience, &mut arrival)?;
        match arrival.decode() {
            Ok(item) => Ok((item, ticket)),
            Err(error) => {
                // Nobody else could, either.
                road.finish_at(ticket.at, hold);
                Err(error.into())
            }
        }
    })
}

both!(Queue);

impl<T> Queue<T> {
    fn over(bound: Option<u64>) -> io::Result<Queue<T>> {
        Ok(Queue { road: Road::new(bound)?, items: PhantomData })
    }
}

impl<T: Message> Queue<T> {
    /// Takes the next item, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    #[doc(alias = "recv")]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(Patience::EVER)
    }

    /// Takes the next item if there is one now: Python's `get_nowait`.
    ///
    /// # Errors
    ///
    /// [`TryGetError`].
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.get_within(Patience::None)
    }

    /// Takes the next item, waiting at most `timeout` for one.
    ///
    /// # Errors
    ///
    /// [`GetTimeoutError`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetTimeoutError> {
        self.get_within(Patience::of(timeout))
    }

    fn get_within<E: From<NotGot> + From<MessageError>>(&self, patience: Patience) -> Result<T, E> {
        get(&self.road, Hold::Taken, patience).map(|(item, _)| item)
    }

    /// The items, one after the other, until the queue is closed and empty. Waits for each.
    pub fn iter(&self) -> Items<'_, T> {
        Items { queue: self }
    }
}

impl<T> Queue<T> {
    /// Puts these very bytes, without the cost of a codec, for [`get_bytes`](Self::get_bytes).
    ///
    /// # Errors
    ///
    /// [`PutError`], never [`Encode`](PutError::Encode).
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<(), PutError<()>> {
        self.road.put(bytes, Patience::EVER).map_err(|why| PutError::not_put((), Ok(why)))
    }

    /// Takes the next item as the bytes that it is.
    ///
    /// # Errors
    ///
    /// [`GetError`], never [`Decode`](GetError::Decode).
    pub fn get_bytes(&self) -> Result<Vec<u8>, GetError> {
        let mut bytes = Vec::new();
        self.road.get(Hold::Taken, Patience::EVER, &mut Arrival::bytes(&mut bytes))?;
        Ok(bytes)
    }

    /// Closes the queue for good: nothing can be put any more; what is inside can still be got, and then everybody
    /// is told that it is closed.
    #[doc(alias = "shutdown")]
    pub fn close(&self) {
        self.road.close(false);
    }

    /// Closes the queue and drops what is inside: Python's `shutdown(immediate=True)`.
    #[doc(alias = "shutdown")]
    pub fn close_now(&self) {
        self.road.close(true);
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Queue<T> {
        Queue { road: self.road.clone(), items: PhantomData }
    }
}

/// The items of a queue until it is closed: [`Queue::iter`].
#[derive(Debug)]
pub struct Items<'a, T> {
    queue: &'a Queue<T>,
}

impl<T: Message> Iterator for Items<'_, T> {
    /// What cannot be decoded, or read, is an error; after [`Corrupt`](GetError::Corrupt) nothing more comes.
    type Item = Result<T, GetError>;

    fn next(&mut self) -> Option<Result<T, GetError>> {
        match self.queue.get() {
            Err(GetError::Closed) => None,
            other => Some(other),
        }
    }
}

impl<'a, T: Message> IntoIterator for &'a Queue<T> {
    type Item = Result<T, GetError>;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        self.iter()
    }
}
