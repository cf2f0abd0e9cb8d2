//! A dict that many processes share.

use super::error::ManagerError;
use super::handle::Handle;
use super::packed::{key, unkey};
use super::wire::{Op, Place, Reply};
use crate::channel::Message;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// A dict in a manager: Python's `manager.dict()`, made by [`dict`](super::Objects::dict).
///
/// It keeps its keys in the order in which they came, as Python's do. Each call is one request, and nobody comes in between: what reads,
/// decides and writes in one call ([`add`](Self::add), [`append`](Self::append), [`compare_and_swap`](Self::compare_and_swap),
/// [`get_or_insert`](Self::get_or_insert), [`pop_if`](Self::pop_if)) loses nothing. `get` and then `insert` does: that wants a
/// [`Lock`](super::Lock) around it.
///
/// A value may be, or contain, a handle to another object of the same manager; see [`manager`](super).
///
/// ```
/// use shared::manager::Manager;
/// use shared::process;
///
/// let manager = Manager::start()?;
/// let visits = manager.dict::<String, u32>()?;
/// process::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| visits.add("home", &1).unwrap());
///     }
/// });
/// assert_eq!(visits.get("home")?, Some(4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Dict<K = String, V = Value> {
    handle: Arc<Handle>,
    types: PhantomData<fn() -> (K, V)>,
}

proxy!(Dict<K, V>, "dict");

/// A key as the methods take it: what its type borrows as, `str` for `String`.
fn place<Q: Serialize + ?Sized>(of: &Q) -> Result<Place, ManagerError> {
    key(of).map(Place::Key)
}

impl<K: Message, V: Message> Dict<K, V> {
    /// The value of this key: Python's `d.get(key)`.
    ///
    /// # Errors
    ///
    /// [`ManagerError`], as for every call of a proxy: the manager has ended, or the value is none of the type.
    pub fn get<Q>(&self, key: &Q) -> Result<Option<V>, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        self.handle.ask_value(Op::Get(place(key)?))
    }

    /// The values of several keys, at one moment.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_many<'k, Q>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
    ) -> Result<Vec<Option<V>>, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized + 'k,
    {
        let places = keys.into_iter().map(place).collect::<Result<_, _>>()?;
        self.handle.ask_values(Op::GetMany(places))
    }

    /// Sets the value of this key, and returns what it was: Python's `d[key] = value`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and if key or value cannot be encoded.
    #[doc(alias = "__setitem__")]
    pub fn insert<Q>(&self, key: &Q, value: &V) -> Result<Option<V>, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        self.handle.ask_value(Op::Set(place(key)?, self.handle.pack(value)?))
    }

    /// Sets several values at one moment: Python's `d.update(pairs)`.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn update<'p>(&self, pairs: impl IntoIterator<Item = (&'p K, &'p V)>) -> Result<(), ManagerError>
    where
        K: 'p,
        V: 'p,
    {
        let pairs = pairs.into_iter().map(|(one, value)| Ok((key(one)?, self.handle.pack(value)?)));
        let pairs = pairs.collect::<Result<_, ManagerError>>()?;
        self.handle.ask(Op::Update(pairs)).map(drop)
    }

    /// Takes a key out and returns its value: Python's `d.pop(key, None)`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[doc(alias = "remove")]
    pub fn pop<Q>(&self, key: &Q) -> Result<Option<V>, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        self.handle.ask_value(Op::Take(place(key)?))
    }

    /// Takes out the pair that came last: Python's `d.popitem()`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[doc(alias = "popitem")]
    pub fn pop_last(&self) -> Result<Option<(K, V)>, ManagerError> {
        Ok(self.pairs(self.handle.ask(Op::Take(Place::Last))?)?.into_iter().next())
    }

    /// Takes the key out if its value is this one. `false`: it was another.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn pop_if<Q>(&self, key: &Q, value: &V) -> Result<bool, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        let op = Op::Swap { at: place(key)?, from: Some(self.handle.pack(value)?), to: None };
        self.handle.ask_done(op)
    }

    /// Adds to the number of this key, 0 if it is not there, and returns the sum: `d[key] += number`, and nobody in between.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); [`ManagerError::NotANumber`], [`ManagerError::Overflow`] beyond 64 bits. Of a type with fewer bits it
    /// is for you to see that the sum is one of its values.
    pub fn add<Q>(&self, key: &Q, number: &V) -> Result<V, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        let sum = self.handle.ask_value(Op::Add(place(key)?, self.handle.pack(number)?))?;
        sum.ok_or(ManagerError::NotANumber)
    }

    /// Appends to the list of this key, an empty one if it is not there.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); [`ManagerError::NotAList`]; [`ManagerError::TooLong`] if the list would be longer than an answer may be.
    pub fn append<Q, T>(&self, key: &Q, item: &T) -> Result<(), ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
        T: Serialize + ?Sized,
    {
        self.handle.ask(Op::Append(place(key)?, self.handle.pack(item)?)).map(drop)
    }

    /// The value of this key; if it is not there, it is this one from now on: Python's `d.setdefault(key, value)`.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    #[doc(alias = "setdefault")]
    pub fn get_or_insert<Q>(&self, key: &Q, value: &V) -> Result<V, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        let there = self.handle.ask_value(Op::GetOrInsert(place(key)?, self.handle.pack(value)?))?;
        there.ok_or(ManagerError::NoSuchIndex)
    }

    /// Sets the value of this key if it is `from` (`None`: if it is not there). `Err` holds what it is instead.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn compare_and_swap<Q>(
        &self,
        key: &Q,
        from: Option<&V>,
        to: &V,
    ) -> Result<Result<(), Option<V>>, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        let from = from.map(|from| self.handle.pack(from)).transpose()?;
        let to = Some(self.handle.pack(to)?);
        self.handle.swap(Op::Swap { at: place(key)?, from, to })
    }

    /// Whether there is such a key: Python's `key in d`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[doc(alias = "__contains__")]
    pub fn contains_key<Q>(&self, key: &Q) -> Result<bool, ManagerError>
    where
        K: Borrow<Q>,
        Q: Serialize + ?Sized,
    {
        self.handle.ask_whether(Op::Has(place(key)?))
    }

    /// How many keys there are: Python's `len(d)`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.handle.ask_count(Op::Len)
    }

    /// Whether there are none.
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

    /// The keys, in the order in which they came, at one moment.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn keys(&self) -> Result<Vec<K>, ManagerError> {
        match self.handle.ask(Op::Keys)? {
            Reply::Keys(keys) => keys.iter().map(unkey).collect(),
            _ => Ok(Vec::new()),
        }
    }

    /// The values, in the order in which their keys came, at one moment.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn values(&self) -> Result<Vec<V>, ManagerError> {
        Ok(self.items()?.into_iter().map(|(_, value)| value).collect())
    }

    /// The pairs, in the order in which the keys came, at one moment and in one round trip. What changes afterwards does not concern
    /// who iterates over them; in Python that is an error.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn items(&self) -> Result<Vec<(K, V)>, ManagerError> {
        self.pairs(self.handle.ask(Op::Items)?)
    }

    /// All of it, as a map of this process: Python's `d.copy()`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn copy(&self) -> Result<BTreeMap<K, V>, ManagerError>
    where
        K: Ord,
    {
        Ok(self.items()?.into_iter().collect())
    }

    fn pairs(&self, reply: Reply) -> Result<Vec<(K, V)>, ManagerError> {
        match reply {
            Reply::Items(items) => {
                items.into_iter().map(|(key, value)| Ok((unkey(&key)?, self.handle.unpack(value)?))).collect()
            }
            _ => Ok(Vec::new()),
        }
    }
}
