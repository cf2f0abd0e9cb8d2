//! A single value that many processes share.

use super::error::ManagerError;
use super::handle::Handle;
use super::wire::{Op, Place};
use crate::channel::Message;
use std::marker::PhantomData;
use std::sync::Arc;

/// A value in a manager: Python's `manager.Value('i', 0)`, made by [`value`](super::Objects::value).
///
/// Each call is one request, and nobody comes in between. Processes that a fork made from one another do better with a
/// [`Lock<T>`](crate::sync::Lock) or a [`Shared`](crate::memory::Shared) atomic: those are memory, and no request.
///
/// ```
/// let manager = shared::manager::Manager::start()?;
/// let count = manager.value(&5)?;
/// assert_eq!(count.add(&-1)?, 4);
/// assert_eq!(count.compare_and_swap(&4, &10)?, Ok(()));
/// assert_eq!(count.get()?, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Value<V> {
    handle: Arc<Handle>,
    types: PhantomData<fn() -> (V,)>,
}

proxy!(Value<V>, "value");

impl<V: Message> Value<V> {
    /// What it is.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy: the manager has ended, or the value is none of the type.
    pub fn get(&self) -> Result<V, ManagerError> {
        self.handle.ask_value(Op::Get(Place::Here))?.ok_or(ManagerError::NotOfThisKind)
    }

    /// Sets it, and returns what it was.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and if the value cannot be encoded.
    pub fn set(&self, value: &V) -> Result<V, ManagerError> {
        let op = Op::Set(Place::Here, self.handle.pack(value)?);
        self.handle.ask_value(op)?.ok_or(ManagerError::NotOfThisKind)
    }

    /// Adds to it, and returns the sum.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); [`ManagerError::NotANumber`], [`ManagerError::Overflow`].
    pub fn add(&self, number: &V) -> Result<V, ManagerError> {
        let op = Op::Add(Place::Here, self.handle.pack(number)?);
        self.handle.ask_value(op)?.ok_or(ManagerError::NotOfThisKind)
    }

    /// Sets it if it is `from`. `Err` holds what it is instead.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn compare_and_swap(&self, from: &V, to: &V) -> Result<Result<(), V>, ManagerError> {
        let (from, to) = (Some(self.handle.pack(from)?), Some(self.handle.pack(to)?));
        match self.handle.swap(Op::Swap { at: Place::Here, from, to })? {
            Ok(()) => Ok(Ok(())),
            Err(other) => other.map(Err).ok_or(ManagerError::NotOfThisKind),
        }
    }
}
