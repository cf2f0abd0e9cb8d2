//! The items that are handed over, whole or not, and the two kinds of queue as one.

use shared::channel::{GetError, GetTimeoutError, JoinableQueue, Queue, TryGetError};
use std::time::Duration;

/// Its number, and a text that follows from it.
pub(crate) type Item = (u64, String);

/// The number of one that is not whole.
pub(crate) const TORN: u64 = 0;

pub(crate) fn item(number: u64, len: usize) -> Item {
    let mut text = format!("{number}.").repeat(len);
    text.truncate(len);
    (number, text)
}

/// The number by which it is known, if it is whole.
pub(crate) fn number(found: &Item) -> u64 {
    if *found == item(found.0, found.1.len()) && !found.1.is_empty() { found.0 } else { TORN }
}

#[derive(Clone, Debug)]
pub(crate) enum Road {
    Plain(Queue<Item>),
    /// What is got is known by the dead one's task until that is done.
    Joinable(JoinableQueue<Item>),
}

macro_rules! either {
    ($road:expr, $queue:ident => $call:expr) => {
        match $road {
            Road::Plain($queue) => $call,
            Road::Joinable($queue) => $call,
        }
    };
}

/// The number of the item that was got. One that cannot be read is torn.
macro_rules! found {
    ($result:expr, $error:ident) => {
        match $result {
            Ok(item) => Some(number(&item)),
            Err($error::Decode(_) | $error::Corrupt) => Some(TORN),
            Err(_) => None,
        }
    };
}

impl Road {
    pub(crate) fn new(is_joinable: bool, bound: u64) -> Road {
        let bound = bound as usize;
        if is_joinable {
            Road::Joinable(JoinableQueue::bounded(bound))
        } else {
            Road::Plain(Queue::bounded(bound))
        }
    }

    pub(crate) fn put(&self, item: Item) -> bool {
        either!(self, queue => queue.put(item).is_ok())
    }

    pub(crate) fn try_put(&self, item: Item) -> bool {
        either!(self, queue => queue.try_put(item).is_ok())
    }

    pub(crate) fn put_timeout(&self, item: Item, timeout: Duration) -> bool {
        either!(self, queue => queue.put_timeout(item, timeout).is_ok())
    }

    pub(crate) fn get(&self) -> Option<u64> {
        either!(self, queue => found!(queue.get(), GetError))
    }

    pub(crate) fn try_get(&self) -> Option<u64> {
        either!(self, queue => found!(queue.try_get(), TryGetError))
    }

    pub(crate) fn get_timeout(&self, timeout: Duration) -> Option<u64> {
        either!(self, queue => found!(queue.get_timeout(timeout), GetTimeoutError))
    }

    /// What was got is done, if that is to be said. `false`: there was nothing.
    pub(crate) fn task_done(&self) -> bool {
        self.joinable().is_none_or(|queue| queue.task_done().is_ok())
    }

    /// Whether all is done by then, if that can be asked.
    pub(crate) fn join_timeout(&self, timeout: Duration) -> bool {
        self.joinable().is_none_or(|queue| queue.join_timeout(timeout))
    }

    pub(crate) fn joinable(&self) -> Option<&JoinableQueue<Item>> {
        match self {
            Road::Plain(_) => None,
            Road::Joinable(queue) => Some(queue),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        either!(self, queue => queue.len() as u64)
    }

    pub(crate) fn is_full(&self) -> bool {
        either!(self, queue => queue.is_full())
    }

    pub(crate) fn close(&self, now: bool) {
        either!(self, queue => if now { queue.close_now() } else { queue.close() });
    }

    pub(crate) fn is_closed(&self) -> bool {
        either!(self, queue => queue.is_closed())
    }
}
