//! A list that many processes share.

use super::error::ManagerError;
use super::handle::Handle;
use super::wire::{Op, Place, Reply};
use crate::channel::Message;
use serde_json::Value;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

/// A list in a manager: Python's `manager.list()`, made by [`list`](super::Objects::list).
///
/// Each call is one request, and nobody comes in between. Values are equal if they are encoded alike, as equal values of one
/// type are. A value may be, or contain, a handle to another object of the same manager; see [`manager`](super).
///
/// ```
/// use shared::manager::{List, Manager};
///
/// let manager = Manager::start()?;
/// let rows: List<List<i32>> = manager.list()?;
/// let row = manager.list_of(&[1, 2, 3])?;
/// rows.push(&row)?;
/// drop(row); // It lives on in the other.
/// rows.get(0)?.unwrap().push(&4)?;
/// assert_eq!(rows.get(0)?.unwrap().to_vec()?, [1, 2, 3, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct List<V = Value> {
    handle: Arc<Handle>,
    types: PhantomData<fn() -> (V,)>,
}

proxy!(List<V>, "list");

fn index(n: usize) -> Place {
    Place::Index(n as u64)
}

impl<V: Message> List<V> {
    /// What is at this index.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy: the manager has ended, or the value is none of the type.
    pub fn get(&self, n: usize) -> Result<Option<V>, ManagerError> {
        self.handle.ask_value(Op::Get(index(n)))
    }

    /// What is at these indexes, at one moment.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_many(&self, all: impl IntoIterator<Item = usize>) -> Result<Vec<Option<V>>, ManagerError> {
        self.handle.ask_values(Op::GetMany(all.into_iter().map(index).collect()))
    }

    /// A part of it, at one moment: Python's `l[a:b]`. What lies beyond the end is not there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn slice(&self, range: Range<usize>) -> Result<Vec<V>, ManagerError> {
        let some = self.handle.ask_values(Op::Slice(range.start as u64, range.end as u64))?;
        Ok(some.into_iter().flatten().collect())
    }

    /// All of it, at one moment and in one round trip. Who iterates over that does not see what changes afterwards; in Python he
    /// does.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[doc(alias = "copy")]
    pub fn to_vec(&self) -> Result<Vec<V>, ManagerError> {
        Ok(self.handle.ask_values(Op::Items)?.into_iter().flatten().collect())
    }

    /// Sets what is at this index, and returns what was there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`ManagerError::NoSuchIndex`] beyond the end.
    #[doc(alias = "__setitem__")]
    pub fn set(&self, n: usize, value: &V) -> Result<V, ManagerError> {
        let before = self.handle.ask_value(Op::Set(index(n), self.handle.pack(value)?))?;
        before.ok_or(ManagerError::NoSuchIndex)
    }

    /// Puts these in place of a part of it: Python's `l[a:b] = values`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn splice(&self, range: Range<usize>, values: &[V]) -> Result<(), ManagerError> {
        let values = values.iter().map(|value| self.handle.pack(value)).collect::<Result<_, _>>()?;
        self.handle.ask(Op::Splice(range.start as u64, range.end as u64, values)).map(drop)
    }

    /// Appends one: Python's `l.append(value)`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and if the value cannot be encoded.
    #[doc(alias = "append")]
    pub fn push(&self, value: &V) -> Result<(), ManagerError> {
        self.handle.ask(Op::Extend(vec![self.handle.pack(value)?])).map(drop)
    }

    /// Appends several, and nobody in between: Python's `l += values`.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn extend<'v>(&self, values: impl IntoIterator<Item = &'v V>) -> Result<(), ManagerError>
    where
        V: 'v,
    {
        let values = values.into_iter().map(|value| self.handle.pack(value)).collect::<Result<_, _>>()?;
        self.handle.ask(Op::Extend(values)).map(drop)
    }

    /// Puts one before this index, or at the end.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn insert(&self, n: usize, value: &V) -> Result<(), ManagerError> {
        self.handle.ask(Op::Insert(n as u64, self.handle.pack(value)?)).map(drop)
    }

    /// Takes out the last one: Python's `l.pop()`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn pop(&self) -> Result<Option<V>, ManagerError> {
        self.handle.ask_value(Op::Take(Place::Last))
    }

    /// Takes out the one at this index: Python's `l.pop(n)`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn remove(&self, n: usize) -> Result<Option<V>, ManagerError> {
        self.handle.ask_value(Op::Take(index(n)))
    }

    /// Takes out the one at this index if it is this. `false`: it is another.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn pop_if(&self, n: usize, value: &V) -> Result<bool, ManagerError> {
        self.handle.ask_done(Op::Swap { at: index(n), from: Some(self.handle.pack(value)?), to: None })
    }

    /// Takes out the first that is equal: Python's `l.remove(value)`. `false`: there is none.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn remove_value(&self, value: &V) -> Result<bool, ManagerError> {
        self.handle.ask_whether(Op::Remove(self.handle.pack(value)?))
    }

    /// The index of the first that is equal: Python's `l.index(value)`.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    #[doc(alias = "index")]
    pub fn position(&self, value: &V) -> Result<Option<usize>, ManagerError> {
        match self.handle.ask(Op::Find(self.handle.pack(value)?))? {
            Reply::Count(n) => Ok(usize::try_from(n).ok()),
            _ => Ok(None),
        }
    }

    /// Whether one is equal: Python's `value in l`.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn contains(&self, value: &V) -> Result<bool, ManagerError> {
        Ok(self.position(value)?.is_some())
    }

    /// How many are equal.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn count(&self, value: &V) -> Result<usize, ManagerError> {
        self.handle.ask_count(Op::Count(self.handle.pack(value)?))
    }

    /// Adds to the number at this index, and returns the sum; nobody comes in between.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); [`ManagerError::NotANumber`], [`ManagerError::Overflow`].
    pub fn add(&self, n: usize, number: &V) -> Result<V, ManagerError> {
        let sum = self.handle.ask_value(Op::Add(index(n), self.handle.pack(number)?))?;
        sum.ok_or(ManagerError::NoSuchIndex)
    }

    /// Sets what is at this index if it is `from`. `Err` holds what it is instead.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn compare_and_swap(
        &self,
        n: usize,
        from: &V,
        to: &V,
    ) -> Result<Result<(), Option<V>>, ManagerError> {
        let (from, to) = (Some(self.handle.pack(from)?), Some(self.handle.pack(to)?));
        self.handle.swap(Op::Swap { at: index(n), from, to })
    }

    /// The other way round.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn reverse(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Reverse).map(drop)
    }

    /// Sorts numbers, or texts.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`ManagerError::NoOrder`] of all else.
    pub fn sort(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Sort).map(drop)
    }

    /// As often as this, one behind the other: Python's `l *= times`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`ManagerError::Overflow`] beyond a million values.
    #[doc(alias = "__imul__")]
    pub fn repeat(&self, times: usize) -> Result<(), ManagerError> {
        self.handle.ask(Op::Repeat(times as u64)).map(drop)
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

    /// Takes all out.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn clear(&self) -> Result<(), ManagerError> {
        self.handle.ask(Op::Clear).map(drop)
    }
}
