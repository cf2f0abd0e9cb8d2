//! Named values that many processes share.

use super::error::ManagerError;
use super::handle::Handle;
use super::packed::{key, unkey};
use super::wire::{Op, Place, Reply};
use crate::channel::Message;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names with a value each, of whatever type, in a manager: Python's `manager.Namespace()`, made by
/// [`namespace`](super::Objects::namespace).
///
/// Each call is one request, and nobody comes in between.
///
/// ```
/// let manager = shared::manager::Manager::start()?;
/// let space = manager.namespace()?;
/// space.set("x", &10)?;
/// space.set("name", &"Peter")?;
/// space.set("_hidden", &true)?;
/// assert_eq!(space.get::<u8>("x")?, Some(10));
/// assert_eq!(serde_json::to_string(&space.visible()?)?, r#"{"name":"Peter","x":10}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Namespace {
    handle: Arc<Handle>,
}

proxy!(Namespace, "namespace");

impl Namespace {
    /// The value of this name: Python's `ns.name`.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy: the manager has ended, or the value is none of the type.
    pub fn get<T: Message>(&self, name: &str) -> Result<Option<T>, ManagerError> {
        self.handle.ask_value(Op::Get(Place::Key(key(name)?)))
    }

    /// Sets the value of this name: Python's `ns.name = value`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and if the value cannot be encoded.
    pub fn set<T: serde::Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), ManagerError> {
        // What was there may be of another type: nobody decodes it.
        self.handle.ask(Op::Update(vec![(key(name)?, self.handle.pack(value)?)])).map(drop)
    }

    /// Adds to the number of this name, 0 if it is not there, and returns the sum.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); [`ManagerError::NotANumber`], [`ManagerError::Overflow`].
    pub fn add<T: Message>(&self, name: &str, number: &T) -> Result<T, ManagerError> {
        let op = Op::Add(Place::Key(key(name)?), self.handle.pack(number)?);
        self.handle.ask_value(op)?.ok_or(ManagerError::NotANumber)
    }

    /// Takes a name away: Python's `del ns.name`. `false`: there is none.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[doc(alias = "delete")]
    pub fn remove(&self, name: &str) -> Result<bool, ManagerError> {
        let name = Place::Key(key(name)?);
        // Whether there was something; of which type is nobody's business.
        self.handle.ask_whether(Op::Discard(name))
    }

    /// The names, and the values as JSON has them, that are for all eyes: those that do not begin with `_`. What Python prints.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); a value that JSON cannot have.
    pub fn visible(&self) -> Result<BTreeMap<String, Value>, ManagerError> {
        let Reply::Items(items) = self.handle.ask(Op::Items)? else { return Ok(BTreeMap::new()) };
        let mut visible = BTreeMap::new();
        for (name, value) in items {
            let (name, value): (String, Value) = (unkey(&name)?, self.handle.unpack(value)?);
            if !name.starts_with('_') {
                visible.insert(name, value);
            }
        }
        Ok(visible)
    }
}
