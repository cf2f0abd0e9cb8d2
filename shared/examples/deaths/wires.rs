//! The connections over which the victims send and receive, of either kind, and what comes over them.

use crate::items::{self, Item, item};
use shared::channel::{
    Connection, Nothing, RecvError, RecvTimeoutError, SendError, TryRecvError, duplex, pipe,
};
use std::time::Duration;

/// What came of a call, when it is not a message of this number.
pub(crate) const SUCCESS: u64 = u64::MAX;
pub(crate) const CLOSED: u64 = u64::MAX - 1;
pub(crate) const TORN: u64 = u64::MAX - 2;
pub(crate) const NOTHING: u64 = u64::MAX - 3;
/// There is a message; it was not taken.
pub(crate) const READY: u64 = u64::MAX - 4;
/// Something came that nobody sent, or nothing can be had any more.
pub(crate) const MANGLED: u64 = u64::MAX - 5;

/// An item, as a value or as bytes that are not coded.
#[derive(Debug)]
pub(crate) enum Letter {
    Value(Item),
    /// From here on. How they lie in a page is always the same, for by that the C library copies in one way or another.
    Bytes(Vec<u8>, usize),
}

impl Letter {
    pub(crate) fn new(number: u64, len: usize, as_bytes: bool) -> Letter {
        let item = item(number, len);
        if !as_bytes {
            return Letter::Value(item);
        }
        const PAGE: usize = 4096;
        let mut bytes: Vec<u8> = Vec::with_capacity(2 * PAGE + len);
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        bytes.resize(start, 0);
        bytes.extend(number.to_ne_bytes());
        bytes.extend(item.1.as_bytes());
        Letter::Bytes(bytes, start)
    }

    /// The number by which it is known. Not looked at as a whole: the victim is stepped through this.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Letter::Value((number, _)) => *number,
            Letter::Bytes(bytes, start) => {
                bytes[*start..].first_chunk().map_or(MANGLED, |number| u64::from_ne_bytes(*number))
            }
        }
    }

    /// The same, if it is whole.
    fn whole(self) -> u64 {
        let item = match self {
            Letter::Value(item) => Some(item),
            Letter::Bytes(bytes, start) => bytes[start..].split_first_chunk().map(|(number, text)| {
                (u64::from_ne_bytes(*number), String::from_utf8_lossy(text).into_owned())
            }),
        };
        item.map(|item| items::number(&item)).filter(|number| *number != items::TORN).unwrap_or(MANGLED)
    }
}

/// An end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Both(Connection<Item, Item>),
    Sender(Connection<Item, Nothing>),
    Receiver(Connection<Nothing, Item>),
}

macro_rules! sending {
    ($wire:expr, $end:ident => $call:expr) => {
        match $wire {
            Wire::Both($end) => $call,
            Wire::Sender($end) => $call,
            Wire::Receiver(_) => panic!("this end does not send"),
        }
    };
}

macro_rules! receiving {
    ($wire:expr, $end:ident => $call:expr) => {
        match $wire {
            Wire::Both($end) => $call,
            Wire::Receiver($end) => $call,
            Wire::Sender(_) => panic!("this end does not receive"),
        }
    };
}

/// One that sends, and one that receives.
pub(crate) fn pair(one_way: bool) -> (Wire, Wire) {
    if one_way {
        let (sender, receiver) = pipe();
        (Wire::Sender(sender), Wire::Receiver(receiver))
    } else {
        let (first, second) = duplex();
        (Wire::Both(first), Wire::Both(second))
    }
}

fn code(error: RecvError) -> u64 {
    match error {
        RecvError::Closed => CLOSED,
        RecvError::Torn => TORN,
        _ => MANGLED,
    }
}

fn refusal<T>(error: SendError<T>) -> u64 {
    if matches!(error, SendError::Closed(_)) { CLOSED } else { MANGLED }
}

impl Wire {
    pub(crate) fn is_both(&self) -> bool {
        matches!(self, Wire::Both(_))
    }

    pub(crate) fn send(&self, letter: Letter) -> u64 {
        match letter {
            Letter::Value(item) => sending!(self, end => end.send(item)).map_or_else(refusal, |()| SUCCESS),
            Letter::Bytes(bytes, start) => {
                sending!(self, end => end.send_bytes(&bytes[start..])).map_or_else(refusal, |()| SUCCESS)
            }
        }
    }

    pub(crate) fn recv(&self, as_bytes: bool) -> Result<Letter, u64> {
        if as_bytes {
            receiving!(self, end => end.recv_bytes()).map(|bytes| Letter::Bytes(bytes, 0)).map_err(code)
        } else {
            receiving!(self, end => end.recv()).map(Letter::Value).map_err(code)
        }
    }

    /// The number of the message, if it is whole.
    pub(crate) fn receive(&self, as_bytes: bool) -> u64 {
        self.recv(as_bytes).map_or_else(|code| code, Letter::whole)
    }

    pub(crate) fn try_recv(&self) -> Result<Letter, u64> {
        receiving!(self, end => end.try_recv()).map(Letter::Value).map_err(|error| match error {
            TryRecvError::Failed(error) => code(error),
            _ => NOTHING,
        })
    }

    pub(crate) fn recv_timeout(&self, timeout: Duration) -> Result<Letter, u64> {
        receiving!(self, end => end.recv_timeout(timeout)).map(Letter::Value).map_err(|error| match error {
            RecvTimeoutError::Failed(error) => code(error),
            _ => NOTHING,
        })
    }

    pub(crate) fn poll(&self, timeout: Duration) -> u64 {
        match receiving!(self, end => end.poll(timeout)) {
            Ok(ready) => {
                if ready {
                    READY
                } else {
                    NOTHING
                }
            }
            Err(error) => code(error),
        }
    }

    /// Whether `recv` would have something to say.
    pub(crate) fn is_ready(&self) -> bool {
        self.poll(Duration::ZERO) != NOTHING
    }
}
