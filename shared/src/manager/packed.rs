//! Values as bytes, and back, with the handles that are in them.
//!
//! A handle is a number to the codec. While a value is turned into bytes its handles are noted here, so that the server
//! hears of them and keeps their objects. While it is turned back, what the server has given with it lies here, and each
//! handle takes its own; what none takes is given back.

use super::client::Family;
use super::error::ManagerError;
use super::handle::Handle;
use super::wire::{Bytes, Id, Packed};
use crate::channel::{Message, message};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::cell::RefCell;
use std::sync::Arc;

/// What is noted about the value that this thread is just encoding or decoding.
#[derive(Debug)]
enum Note {
    /// Handles of this manager have been found.
    Found { manager: u64, handles: Vec<Id> },
    /// These were given with the value.
    Given { manager: u64, handles: Vec<Id> },
}

thread_local! {
    static NOTE: RefCell<Option<Note>> = const { RefCell::new(None) };
}

/// Puts a note there for as long as this lives: a value may have code of its own that encodes another.
struct Noting(Option<Note>);

impl Noting {
    fn begin(note: Note) -> Noting {
        Noting(NOTE.replace(Some(note)))
    }

    fn handles(&self) -> Vec<Id> {
        match NOTE.take() {
            Some(Note::Found { handles, .. } | Note::Given { handles, .. }) => handles,
            None => Vec::new(),
        }
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        NOTE.replace(self.0.take());
    }
}

/// The bytes of a value.
pub(super) fn pack<T: Serialize + ?Sized>(family: &Family, value: &T) -> Result<Packed, ManagerError> {
    let noting = Noting::begin(Note::Found { manager: family.number, handles: Vec::new() });
    Ok(Packed { bytes: key(value)?, handles: noting.handles() })
}

/// The bytes of a key, in which handles are but numbers.
pub(super) fn key<Q: Serialize + ?Sized>(key: &Q) -> Result<Bytes, ManagerError> {
    let mut bytes = Vec::new();
    message::encode(key, &mut bytes)?;
    Ok(Bytes::from(&bytes[..]))
}

/// The value whose bytes these are, as the server has just given it.
pub(super) fn unpack<T: Message>(family: &Arc<Family>, packed: Packed) -> Result<T, ManagerError> {
    let noting = Noting::begin(Note::Given { manager: family.number, handles: packed.handles });
    let value = message::decode(&packed.bytes.0);
    for left in noting.handles() {
        drop(Handle::given(family, left));
    }
    Ok(value?)
}

/// The key whose bytes these are.
pub(super) fn unkey<K: Message>(bytes: &Bytes) -> Result<K, ManagerError> {
    Ok(message::decode(&bytes.0)?)
}

/// A handle as it travels: what it is a handle to, whose, and which.
#[derive(Serialize, Deserialize)]
struct Travelling(String, u64, Id);

/// Of a handle to something that is called so.
pub(super) fn serialize<S: Serializer>(
    handle: &Handle,
    called: &str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    NOTE.with_borrow_mut(|note| match note {
        Some(Note::Found { manager, handles }) if *manager == handle.family().number => {
            handles.push(handle.id());
            Ok(())
        }
        Some(Note::Found { .. }) => Err(ser::Error::custom("a handle to an object of another manager")),
        _ => Ok(()),
    })?;
    Travelling(called.to_owned(), handle.family().number, handle.id()).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    called: &str,
    deserializer: D,
) -> Result<Handle, D::Error> {
    let Travelling(name, number, id) = Travelling::deserialize(deserializer)?;
    if name != called {
        return Err(de::Error::custom(format!("a handle to a {name} is none to a {called}")));
    }
    let family = Family::of(number).ok_or_else(|| de::Error::custom("this process has no such manager"))?;
    let given = NOTE.with_borrow_mut(|note| match note {
        Some(Note::Given { manager, handles }) if *manager == number => {
            let place = handles.iter().position(|given| *given == id)?;
            Some(handles.swap_remove(place))
        }
        _ => None,
    });
    // It came by another way, through a queue for instance: then whoever sent it must have one still.
    match given {
        Some(id) => Ok(Handle::given(&family, id)),
        None => Handle::asked_for(&family, id).map_err(de::Error::custom),
    }
}
