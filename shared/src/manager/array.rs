//! An array that many processes share.

use super::error::ManagerError;
use super::handle::Handle;
use super::wire::{Op, Place};
use crate::channel::Message;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

/// So many values of one type in a manager: Python's `manager.Array('i', values)`, made by [`array`](super::Objects::array).
///
/// It never gets longer or shorter. Each call is one request, and nobody comes in between. Processes that a fork made from
/// one another do better with a [`Lock<[T; N]>`](crate::sync::Lock): that is memory, and no request.
///
/// ```
/// let manager = shared::manager::Manager::start()?;
/// let sums = manager.array(&[0.0, 0.5])?;
/// assert_eq!(sums.add(1, &1.0)?, 1.5);
/// assert_eq!(sums.to_vec()?, [0.0, 1.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Array<V> {
    handle: Arc<Handle>,
    types: PhantomData<fn() -> (V,)>,
}

proxy!(Array<V>, "array");

impl<V: Message> Array<V> {
    /// What is at this index.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy; [`ManagerError::NoSuchIndex`] beyond the end.
    pub fn get(&self, n: usize) -> Result<V, ManagerError> {
        self.handle.ask_value(Op::Get(Place::Index(n as u64)))?.ok_or(ManagerError::NoSuchIndex)
    }

    /// Sets what is at this index, and returns what was there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn set(&self, n: usize, value: &V) -> Result<V, ManagerError> {
        let op = Op::Set(Place::Index(n as u64), self.handle.pack(value)?);
        self.handle.ask_value(op)?.ok_or(ManagerError::NoSuchIndex)
    }

    /// Adds to the number at this index, and returns the sum; nobody comes in between.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`ManagerError::NotANumber`], [`ManagerError::Overflow`].
    pub fn add(&self, n: usize, number: &V) -> Result<V, ManagerError> {
        let op = Op::Add(Place::Index(n as u64), self.handle.pack(number)?);
        self.handle.ask_value(op)?.ok_or(ManagerError::NoSuchIndex)
    }

    /// Sets what is at this index if it is `from`. `Err` holds what it is instead.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn compare_and_swap(&self, n: usize, from: &V, to: &V) -> Result<Result<(), V>, ManagerError> {
        let (from, to) = (Some(self.handle.pack(from)?), Some(self.handle.pack(to)?));
        match self.handle.swap(Op::Swap { at: Place::Index(n as u64), from, to })? {
            Ok(()) => Ok(Ok(())),
            Err(other) => other.map(Err).ok_or(ManagerError::NoSuchIndex),
        }
    }

    /// A part of it, at one moment. What lies beyond the end is not there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn slice(&self, range: Range<usize>) -> Result<Vec<V>, ManagerError> {
        let some = self.handle.ask_values(Op::Slice(range.start as u64, range.end as u64))?;
        Ok(some.into_iter().flatten().collect())
    }

    /// All of it, at one moment.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn to_vec(&self) -> Result<Vec<V>, ManagerError> {
        Ok(self.handle.ask_values(Op::Items)?.into_iter().flatten().collect())
    }

    /// How long it is.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.handle.ask_count(Op::Len)
    }

    /// Whether nothing is in it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }
}
