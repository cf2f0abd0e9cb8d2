//! What clients ask and what the server answers: the whole protocol.
//!
//! A frame is one [`Request`] or one [`Answer`], in MessagePack (`desk.rs` says how frames travel). A road carries one
//! request at a time: the next one follows the answer to the last. Those of the last group are not answered.
//!
//! The server does not look into values. A key, and a value, is the bytes that its client made of it; they are equal
//! if their bytes are.

use crate::sync::{BrokenCause, Cause};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::rc::Rc;

/// The number of an object. None comes twice.
pub(super) type Id = u64;

/// How long to wait, in microseconds: not at all if 0, for ever if `None`.
pub(super) type Wait = Option<u64>;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// `Made`.
    Make(Kind),
    Ask(Id, Op),
    /// How many objects there are: `Count`.
    Census,
    /// The server is to end: `Done`.
    Stop,

    /// This process has handles to these, besides those that it was given in answers.
    Hold(Vec<Id>),
    /// It has one handle less to each of these. Children that it started before, and that have not come yet, may have
    /// copies of all its handles.
    Release {
        children: Vec<u64>,
        handles: Vec<Id>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Kind {
    /// A dict or a namespace.
    Dict,
    /// A list or an array.
    List(Vec<Packed>),
    Value(Packed),
    Lock {
        reentrant: bool,
    },
    Condition,
    Semaphore {
        permits: u32,
        bounded: bool,
    },
    Event,
    Barrier {
        parties: u32,
    },
    Queue {
        bound: u32,
        joinable: bool,
    },
}

/// Where in a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Place {
    /// In a dict.
    Key(Bytes),
    /// In a list.
    Index(u64),
    /// The last of a list; of a dict, the last that came.
    Last,
    /// The whole of a value.
    Here,
}

impl Place {
    /// How long it is in a message, nearly.
    pub(super) fn len(&self) -> u64 {
        match self {
            Place::Key(key) => key.0.len() as u64,
            _ => 0,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Op {
    // Of containers: a `Value` or several, as they were before.
    Get(Place),
    GetMany(Vec<Place>),
    Has(Place),
    Set(Place, Packed),
    Update(Vec<(Bytes, Packed)>),
    Take(Place),
    /// As `Take`; the answer is whether there was anything.
    Discard(Place),
    Clear,
    Keys,
    Items,
    Len,
    // Each of these reads, decides and writes without anybody in between.
    Add(Place, Packed),
    Append(Place, Packed),
    GetOrInsert(Place, Packed),
    Swap {
        at: Place,
        from: Option<Packed>,
        to: Option<Packed>,
    },
    // Of lists alone.
    Extend(Vec<Packed>),
    Insert(u64, Packed),
    Slice(u64, u64),
    Splice(u64, u64, Vec<Packed>),
    Find(Packed),
    Count(Packed),
    Remove(Packed),
    Reverse,
    Sort,
    Repeat(u64),

    // Of locks. The thread is the one that is to hold it.
    Lock {
        thread: u64,
        wait: Wait,
    },
    Unlock {
        thread: u64,
        panicked: bool,
    },
    IsLocked,
    ClearPoison,
    /// Gives up the lock, waits, and takes it again.
    Await {
        lock: Id,
        thread: u64,
        wait: Wait,
    },
    Notify(u32),
    // Of semaphores.
    Acquire(Wait),
    GiveBack {
        forget: bool,
    },
    Permit(u32),
    // Of events.
    Raise,
    Lower,
    IsRaised,
    AwaitRaised(Wait),
    // Of barriers.
    Meet(Wait),
    Abort,
    Reset,
    IsBroken,
    Parties,
    // Of queues.
    Put(Packed, Wait),
    GetItem {
        wait: Wait,
        lease: bool,
    },
    Done(Option<u64>),
    GiveUp(u64),
    Join(Wait),
    IsFull,
    /// Nothing can be put any more; and what is inside is dropped, if it is to be so now.
    Close {
        now: bool,
    },
    IsClosed,
}

pub(super) type Answer = Result<Reply, Fault>;

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Done,
    Made(Id),
    Value(Option<Packed>),
    Values(Vec<Option<Packed>>),
    Keys(Vec<Bytes>),
    Items(Vec<(Bytes, Packed)>),
    Count(u64),
    Flag(bool),
    /// The lock is held; and whether it is poisoned.
    Locked(Option<Poison>),
    /// A permit is held.
    Permit,
    /// All are there; and the number of this one, from 0 in the order in which they came.
    Met(u32),
    Broken(Option<Break>),
    Item {
        item: Packed,
        serial: u64,
        delivery: u32,
    },
    /// It was not to be had in time.
    NotInTime,
    /// As `Locked`, at the end of a wait that nobody notified.
    LockedInVain(Option<Poison>),
}

/// Why a request was not carried out. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fault {
    NoSuchObject,
    /// An object of this kind does not do that.
    NotOfThisKind,
    NoSuchPlace,
    NotANumber,
    Overflow,
    NotAList,
    NoOrder,
    NotHeld,
    TooManyPermits {
        bound: u32,
    },
    TooManyObjects {
        limit: u64,
    },
    TooLong {
        len: u64,
        limit: u64,
    },
    NothingToDo,
    Closed,
}

/// [`Cause`], as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Poison {
    Panicked(u32),
    Died(u32),
}

impl From<Poison> for Cause {
    fn from(poison: Poison) -> Cause {
        match poison {
            Poison::Panicked(pid) => Cause::Panicked { pid },
            Poison::Died(pid) => Cause::OwnerDied { pid },
        }
    }
}

/// [`BrokenCause`], as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Break {
    Aborted,
    TimedOut,
    Died(u32),
    Reset,
}

impl From<Break> for BrokenCause {
    fn from(cause: Break) -> BrokenCause {
        match cause {
            Break::Aborted => BrokenCause::Aborted,
            Break::TimedOut => BrokenCause::TimedOut,
            Break::Died(pid) => BrokenCause::OwnerDied { pid },
            Break::Reset => BrokenCause::Reset,
        }
    }
}

/// A value: its bytes, and the objects to which there are handles in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Packed {
    pub(super) bytes: Bytes,
    pub(super) handles: Vec<Id>,
}

impl Packed {
    /// How long it is in a message, at most and but for a few bytes.
    pub(super) fn len(&self) -> u64 {
        (self.bytes.0.len() + self.handles.len() * 9) as u64
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Packed) -> bool {
        self.bytes == other.bytes
    }
}

/// Bytes as they are, and not as a list of numbers. To clone them copies nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Bytes(pub(super) Rc<[u8]>);

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes(Rc::from(bytes))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Expected;
        impl Visitor<'_> for Expected {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::from(bytes))
            }
        }
        deserializer.deserialize_bytes(Expected)
    }
}
