//! A queue: many put, many get, each item once.

mod count;
mod ending;
mod error;
mod joinable;
mod line;
mod road;
mod sweep;

pub use error::{
    GetError, GetTimeoutError, PutError, PutTimeoutError, TaskDoneError, TryGetError, TryPutError,
};
pub use joinable::{JoinableQueue, Lease};

use super::message::{self, Message, MessageError};
use crate::memory::ring::Hold;
use road::{NotGot, NotPut, Patience, Road, Ticket};
use std::cell::Cell;
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
/// | order | first in, first out; what one producer puts comes in his order, but for items that are redelivered, which come first |
/// | `put` returned `Ok` | the item is got by exactly one [`get`](Self::get), or is still inside; unless that getter is killed after the item was handed over and before it used it, as it may be on its first line after `get`: so *at most once* |
/// | `put` returned an error | the item is in the error, and was never in the queue |
/// | a producer dies in `put` | the item is wholly in, or was never there |
/// | a consumer dies in `get` | the item goes to the next consumer, unless it was handed over; never to two |
/// | a lost worker must not lose an item | [`JoinableQueue`](super::JoinableQueue): *at least once*, with a count |
///
/// * **Sharing.** Every child forked after the queue was made has it, and so has every thread. Cloning gives another
///   handle to the same queue. It takes two mappings (12 KiB of memory, and room in the address space for 13 GiB), no
///   descriptor and no name. Items of up to 96 encoded bytes lie in places of 128; longer ones in blocks beside them. What is not
///   used goes back to the system, but for less than 1 MiB.
/// * **Waiting.** `put` waits while a bounded queue is full, and `get` while there is nothing: awake for some
///   microseconds, if that has helped before, then asleep. Interruptions by signals change nothing; a timeout is never
///   early. A producer that is *stopped* in the middle of a put holds up who comes behind it until it goes on, since
///   its item comes first; calls with a timeout end in time.
/// * **At the end.** [`close`](Self::close) refuses new items; what is inside can still be got, and then everybody is
///   told. There is no need for a sentinel: `for item in &queue` ends then.
/// * **At drop** of the last handle in a process the memory is unmapped there. Items are gone with the last process.
/// * **At a fork** nothing happens: nobody holds a queue.
/// * **At a death** as in the table. Whoever waits for the dead goes on within half a second.
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
    with_buffer(|bytes| {
        message::encode(item, bytes).map_err(Err)?;
        road.put(bytes, patience).map_err(Ok)
    })
}

/// Gets, and decodes.
fn get<T: Message, E: From<NotGot> + From<MessageError>>(
    road: &Road,
    hold: Hold,
    patience: Patience,
) -> Result<(T, Ticket), E> {
    with_buffer(|bytes| {
        let ticket = road.get(hold, patience, bytes)?;
        match message::decode(bytes) {
            Ok(item) => Ok((item, ticket)),
            Err(error) => {
                // Nobody else could, either.
                road.finish_at(ticket.at, hold);
                Err(error.into())
            }
        }
    })
}

/// A buffer of this thread's, empty. (Who encodes may put into another queue meanwhile: that one gets a new one.)
fn with_buffer<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    /// No thread keeps more than this for the next time.
    const KEPT: usize = 64 << 10;
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut bytes = BUFFER.try_with(Cell::take).unwrap_or_default();
    bytes.clear();
    let result = work(&mut bytes);
    if bytes.capacity() <= KEPT {
        let _ = BUFFER.try_with(|buffer| buffer.set(bytes));
    }
    result
}

macro_rules! put_error {
    ($error:ident, $item:expr, $result:expr) => {
        match $result {
            Ok(()) => Ok(()),
            Err(Ok(why)) => Err($error::not_put($item, why)),
            Err(Err(why)) => Err($error::Encode($item, why)),
        }
    };
}
use put_error;

impl<T: Message> Queue<T> {
    /// An empty queue that takes as many items as there is memory for.
    ///
    /// # Panics
    ///
    /// If there is no memory or no mapping to be had; [`try_new`](Self::try_new) returns that.
    #[track_caller]
    pub fn new() -> Queue<T> {
        Queue::try_new().unwrap_or_else(|error| panic!("no shared memory for a queue: {error}"))
    }

    /// An empty queue that takes as many items as there is memory for.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` says when there is no memory or the process has too many mappings (`ENOMEM`).
    pub fn try_new() -> io::Result<Queue<T>> {
        Ok(Queue { road: Road::new(None)?, items: PhantomData })
    }

    /// An empty queue that takes at most `n` items: Python's `maxsize`.
    ///
    /// # Panics
    ///
    /// If `n` is 0, or if there is no memory or no mapping to be had; [`try_bounded`](Self::try_bounded) returns that.
    #[track_caller]
    pub fn bounded(n: usize) -> Queue<T> {
        Queue::try_bounded(n).unwrap_or_else(|error| panic!("no queue of {n} items: {error}"))
    }

    /// An empty queue that takes at most `n` items.
    ///
    /// # Errors
    ///
    /// What `mmap(2)` says when there is no memory or the process has too many mappings (`ENOMEM`);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if `n` is 0.
    pub fn try_bounded(n: usize) -> io::Result<Queue<T>> {
        Ok(Queue { road: Road::new(Some(bound(n)?))?, items: PhantomData })
    }

    /// Puts an item, waiting for room for as long as it takes. When it returns, every process can get the item.
    ///
    /// # Errors
    ///
    /// [`PutError`], with the item.
    #[doc(alias = "send")]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        put_error!(PutError, item, put(&self.road, &item, Patience::EVER))
    }

    /// Puts an item if there is room now: Python's `put_nowait`.
    ///
    /// # Errors
    ///
    /// [`TryPutError`], with the item.
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        put_error!(TryPutError, item, put(&self.road, &item, Patience::None))
    }

    /// Puts an item, waiting at most `timeout` for room.
    ///
    /// # Errors
    ///
    /// [`PutTimeoutError`], with the item.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutTimeoutError<T>> {
        put_error!(PutTimeoutError, item, put(&self.road, &item, Patience::of(timeout)))
    }

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
        self.road.put(bytes, Patience::EVER).map_err(|why| PutError::not_put((), why))
    }

    /// Takes the next item as the bytes that it is.
    ///
    /// # Errors
    ///
    /// [`GetError`], never [`Decode`](GetError::Decode).
    pub fn get_bytes(&self) -> Result<Vec<u8>, GetError> {
        let mut bytes = Vec::new();
        self.road.get(Hold::Taken, Patience::EVER, &mut bytes)?;
        Ok(bytes)
    }

    /// How many items may be got. Exact if nobody is inside an operation, and else a number that was true during this
    /// call. It looks at each item that came since it was last asked.
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        self.road.len() as usize
    }

    /// Whether there is nothing to get.
    pub fn is_empty(&self) -> bool {
        self.road.len() == 0
    }

    /// Whether there is no room to put: never, in a queue without a bound.
    pub fn is_full(&self) -> bool {
        self.road.is_full()
    }

    /// How many items there is room for; `None`: no bound.
    #[doc(alias = "maxsize")]
    pub fn capacity(&self) -> Option<usize> {
        self.road.bound().map(|bound| bound as usize)
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

    /// Whether the queue was closed, in either way.
    pub fn is_closed(&self) -> bool {
        self.road.is_closed()
    }

    /// The queue's number, the same in every process, and that of no other queue.
    pub fn id(&self) -> u64 {
        self.road.id()
    }
}

/// A bound as the line takes it.
fn bound(n: usize) -> io::Result<u64> {
    if n == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a queue has room for at least one item"));
    }
    Ok(n as u64)
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Queue<T> {
        Queue { road: self.road.clone(), items: PhantomData }
    }
}

impl<T: Message> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue::new()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("id", &self.id()).field("len", &self.len()).finish_non_exhaustive()
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
