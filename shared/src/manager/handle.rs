//! A handle to an object: as long as there is one, in a process or in a container, the object lives.
//!
//! The server counts handles by processes. A fork copies handles; the server hears of the copies when the child first
//! comes (`Hold`), or from its parent, when that drops its own before (`Release`).

use super::client::Family;
use super::error::ManagerError;
use super::packed::{pack, unpack};
use super::wire::{Id, Op, Packed, Reply, Request, Wait};
use crate::channel::Message;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// One handle, by the server's count. Clones of what contains it in an `Arc` count as one.
#[derive(Debug)]
pub struct Handle {
    family: Arc<Family>,
    id: Id,
}

impl Handle {
    /// The server has counted it already, with the answer that named it.
    pub(super) fn given(family: &Arc<Family>, id: Id) -> Handle {
        family.one_more(id);
        Handle { family: Arc::clone(family), id }
    }

    /// The server has not.
    pub(super) fn asked_for(family: &Arc<Family>, id: Id) -> Result<Handle, ManagerError> {
        family.tell(&Request::Hold(vec![id]))?;
        let handle = Handle::given(family, id);
        // A question that every object answers, so that one that has gone is noticed now.
        match handle.ask(Op::Len) {
            Err(ManagerError::NoSuchObject) => Err(ManagerError::NoSuchObject),
            Err(error) if error.is_gone() => Err(error),
            _ => Ok(handle),
        }
    }

    pub(super) fn family(&self) -> &Arc<Family> {
        &self.family
    }

    pub(super) fn id(&self) -> Id {
        self.id
    }

    /// Asks the object.
    #[inline]
    pub(super) fn ask(&self, op: Op) -> Result<Reply, ManagerError> {
        self.family.ask(&Request::Ask(self.id, op))
    }

    /// A value, to be sent to the object.
    #[inline]
    pub(super) fn pack<T: Serialize + ?Sized>(&self, value: &T) -> Result<Packed, ManagerError> {
        pack(&self.family, value)
    }

    /// A value that the object has answered.
    pub(super) fn unpack<T: Message>(&self, packed: Packed) -> Result<T, ManagerError> {
        unpack(&self.family, packed)
    }

    /// Asks for a value, which may not be there.
    #[inline]
    pub(super) fn ask_value<T: Message>(&self, op: Op) -> Result<Option<T>, ManagerError> {
        match self.ask(op)? {
            Reply::Value(Some(value)) => self.unpack(value).map(Some),
            _ => Ok(None),
        }
    }

    /// Asks for several values, of which some may not be there.
    pub(super) fn ask_values<T: Message>(&self, op: Op) -> Result<Vec<Option<T>>, ManagerError> {
        match self.ask(op)? {
            Reply::Values(all) => {
                all.into_iter().map(|value| value.map(|value| self.unpack(value)).transpose()).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Asks for a number.
    pub(super) fn ask_count(&self, op: Op) -> Result<usize, ManagerError> {
        match self.ask(op)? {
            Reply::Count(count) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
            _ => Ok(0),
        }
    }

    /// Asks a question.
    pub(super) fn ask_whether(&self, op: Op) -> Result<bool, ManagerError> {
        self.ask(op).map(|reply| matches!(reply, Reply::Flag(true)))
    }

    /// Asks for something to be done. `false`: it was not, in time or since something is not as it was to be.
    pub(super) fn ask_done(&self, op: Op) -> Result<bool, ManagerError> {
        self.ask(op).map(|reply| matches!(reply, Reply::Done))
    }

    /// Compares and swaps. `Err`: what is there instead.
    pub(super) fn swap<T: Message>(&self, op: Op) -> Result<Result<(), Option<T>>, ManagerError> {
        match self.ask(op)? {
            Reply::Value(Some(other)) => self.unpack(other).map(|other| Err(Some(other))),
            Reply::Value(None) => Ok(Err(None)),
            _ => Ok(Ok(())),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.family.one_less(self.id);
    }
}

/// As long as it takes.
pub(super) const FOR_EVER: Wait = None;
/// Not at all.
pub(super) const NOT_AT_ALL: Wait = Some(0);

/// At most so long. Rounded up; what overflows is for ever.
pub(super) fn at_most(timeout: Duration) -> Wait {
    let micros = timeout.as_nanos().div_ceil(1000);
    u64::try_from(micros).ok().filter(|micros| *micros < u64::MAX / 2)
}
