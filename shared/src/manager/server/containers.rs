//! Dicts, lists and values: places with something in them.

use super::store::Effects;
use super::value;
use crate::manager::wire::{Answer, Bytes, Fault, Op, Packed, Place, Reply};
use std::collections::{BTreeMap, HashMap};

/// What has places.
pub(super) trait Places {
    fn get(&self, at: &Place) -> Option<&Packed>;
    /// Puts something there, and returns what was there before. Not everywhere can something be put.
    fn put(&mut self, at: Place, item: Packed) -> Result<Option<Packed>, Fault>;
    fn take(&mut self, at: &Place) -> Option<Packed>;
    fn items(&self) -> Reply;
    fn empty(&mut self) -> Vec<Packed>;
    fn len(&self) -> usize;
}

/// A dict, in the order in which its keys came.
#[derive(Debug, Default)]
pub(super) struct Dict {
    entries: HashMap<Bytes, (u64, Packed)>,
    order: BTreeMap<u64, Bytes>,
    came: u64,
}

impl Places for Dict {
    #[inline]
    fn get(&self, at: &Place) -> Option<&Packed> {
        let key = match at {
            Place::Key(key) => key,
            Place::Last => self.order.last_key_value()?.1,
            _ => return None,
        };
        self.entries.get(key).map(|(_, item)| item)
    }

    fn put(&mut self, at: Place, item: Packed) -> Result<Option<Packed>, Fault> {
        let Place::Key(key) = at else { return Err(Fault::NoSuchPlace) };
        if let Some((_, there)) = self.entries.get_mut(&key) {
            return Ok(Some(std::mem::replace(there, item)));
        }
        self.came += 1;
        self.order.insert(self.came, key.clone());
        self.entries.insert(key, (self.came, item));
        Ok(None)
    }

    fn take(&mut self, at: &Place) -> Option<Packed> {
        let Place::Key(key) = at else { return None };
        let (order, item) = self.entries.remove(key)?;
        self.order.remove(&order);
        Some(item)
    }

    fn items(&self) -> Reply {
        let all = self.order.values().filter_map(|key| Some((key.clone(), self.entries.get(key)?.1.clone())));
        Reply::Items(all.collect())
    }

    fn empty(&mut self) -> Vec<Packed> {
        self.order.clear();
        self.entries.drain().map(|(_, (_, item))| item).collect()
    }

    fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Dict {
    pub(super) fn ask(&mut self, op: Op, longest: u64, effects: &mut Effects) -> Answer {
        match op {
            Op::Keys => Ok(Reply::Keys(self.order.values().cloned().collect())),
            Op::Update(pairs) => {
                for (key, item) in pairs {
                    put(self, Place::Key(key), item, effects)?;
                }
                Ok(Reply::Done)
            }
            // The last that came, with its key.
            Op::Take(Place::Last) => {
                let Some((_, key)) = self.order.last_key_value() else { return Ok(Reply::Items(Vec::new())) };
                let key = key.clone();
                let item = self.take(&Place::Key(key.clone()));
                item.iter().for_each(|item| effects.leaves(item));
                Ok(Reply::Items(item.map(|item| (key, item)).into_iter().collect()))
            }
            op => ask(self, op, longest, effects),
        }
    }
}

/// A list, or an array.
#[derive(Debug, Default)]
pub(super) struct List(pub(super) Vec<Packed>);

impl Places for List {
    fn get(&self, at: &Place) -> Option<&Packed> {
        match at {
            Place::Index(n) => self.0.get(usize::try_from(*n).ok()?),
            Place::Last => self.0.last(),
            _ => None,
        }
    }

    fn put(&mut self, at: Place, item: Packed) -> Result<Option<Packed>, Fault> {
        let there = match at {
            Place::Index(n) => usize::try_from(n).ok().and_then(|n| self.0.get_mut(n)),
            Place::Last => self.0.last_mut(),
            _ => None,
        };
        there.map(|there| Some(std::mem::replace(there, item))).ok_or(Fault::NoSuchPlace)
    }

    fn take(&mut self, at: &Place) -> Option<Packed> {
        match at {
            Place::Index(n) => {
                usize::try_from(*n).ok().filter(|n| *n < self.0.len()).map(|n| self.0.remove(n))
            }
            Place::Last => self.0.pop(),
            _ => None,
        }
    }

    fn items(&self) -> Reply {
        Reply::Values(self.0.iter().cloned().map(Some).collect())
    }

    fn empty(&mut self) -> Vec<Packed> {
        std::mem::take(&mut self.0)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl List {
    pub(super) fn ask(&mut self, op: Op, longest: u64, effects: &mut Effects) -> Answer {
        let list = &mut self.0;
        let within = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(list.len());
        match op {
            Op::Extend(items) => {
                items.iter().for_each(|item| effects.enters(item));
                list.extend(items);
                Ok(Reply::Done)
            }
            Op::Insert(n, item) => {
                effects.enters(&item);
                let n = within(n);
                list.insert(n, item);
                Ok(Reply::Done)
            }
            Op::Slice(from, to) => {
                let (from, to) = (within(from), within(to));
                let some = list.get(from..to).unwrap_or_default();
                Ok(Reply::Values(some.iter().cloned().map(Some).collect()))
            }
            Op::Splice(from, to, items) => {
                let (from, to) = (within(from), within(to));
                items.iter().for_each(|item| effects.enters(item));
                for item in list.splice(from..to.max(from), items) {
                    effects.leaves(&item);
                }
                Ok(Reply::Done)
            }
            Op::Find(item) => Ok(match list.iter().position(|other| *other == item) {
                Some(n) => Reply::Count(n as u64),
                None => Reply::Done,
            }),
            Op::Count(item) => Ok(Reply::Count(list.iter().filter(|other| **other == item).count() as u64)),
            Op::Remove(item) => {
                let found = list.iter().position(|other| *other == item);
                found.map(|n| list.remove(n)).iter().for_each(|item| effects.leaves(item));
                Ok(Reply::Flag(found.is_some()))
            }
            Op::Reverse => {
                list.reverse();
                Ok(Reply::Done)
            }
            Op::Sort => value::sort(list).map(|()| Reply::Done),
            Op::Repeat(0) => ask(self, Op::Clear, longest, effects),
            Op::Repeat(times) => {
                // No more than would fit into a frame is made of what came through one.
                let len = (list.len() as u64).checked_mul(times).filter(|len| *len <= 1 << 20);
                let len = len.ok_or(Fault::Overflow)? as usize;
                let once = list.clone();
                while list.len() < len {
                    once.iter().for_each(|item| effects.enters(item));
                    list.extend_from_slice(&once);
                }
                Ok(Reply::Done)
            }
            op => ask(self, op, longest, effects),
        }
    }
}

/// A single value.
#[derive(Debug)]
pub(super) struct Cell(pub(super) Packed);

impl Places for Cell {
    fn get(&self, _: &Place) -> Option<&Packed> {
        Some(&self.0)
    }

    fn put(&mut self, _: Place, item: Packed) -> Result<Option<Packed>, Fault> {
        Ok(Some(std::mem::replace(&mut self.0, item)))
    }

    fn take(&mut self, _: &Place) -> Option<Packed> {
        None
    }

    fn items(&self) -> Reply {
        Reply::Value(Some(self.0.clone()))
    }

    fn empty(&mut self) -> Vec<Packed> {
        Vec::new()
    }

    fn len(&self) -> usize {
        1
    }
}

/// Puts something there; what was there has left.
fn put(
    places: &mut impl Places,
    at: Place,
    item: Packed,
    effects: &mut Effects,
) -> Result<Option<Packed>, Fault> {
    let handles = item.handles.clone();
    let before = places.put(at, item)?;
    effects.entered.extend(handles);
    before.iter().for_each(|before| effects.leaves(before));
    Ok(before)
}

/// What all containers do.
#[inline]
pub(super) fn ask(places: &mut impl Places, op: Op, longest: u64, effects: &mut Effects) -> Answer {
    match op {
        Op::Get(at) => Ok(Reply::Value(places.get(&at).cloned())),
        Op::GetMany(many) => Ok(Reply::Values(many.iter().map(|at| places.get(at).cloned()).collect())),
        Op::Has(at) => Ok(Reply::Flag(places.get(&at).is_some())),
        Op::Set(at, item) => put(places, at, item, effects).map(Reply::Value),
        Op::Take(at) => {
            let item = places.take(&at);
            item.iter().for_each(|item| effects.leaves(item));
            Ok(Reply::Value(item))
        }
        Op::Discard(at) => {
            let item = places.take(&at);
            item.iter().for_each(|item| effects.leaves(item));
            Ok(Reply::Flag(item.is_some()))
        }
        Op::Clear => {
            places.empty().iter().for_each(|item| effects.leaves(item));
            Ok(Reply::Done)
        }
        Op::Items => Ok(places.items()),
        Op::Len => Ok(Reply::Count(places.len() as u64)),
        Op::Add(at, number) => {
            let sum = match places.get(&at) {
                Some(there) => value::add(there, &number)?,
                // Nothing counts as nothing, if there can be something.
                None => number,
            };
            put(places, at, sum.clone(), effects)?;
            Ok(Reply::Value(Some(sum)))
        }
        Op::Append(at, item) => {
            let longer = value::append(places.get(&at), &item)?;
            // An answer has them both.
            let len = at.len() + longer.len();
            if len > longest {
                return Err(Fault::TooLong { len, limit: longest });
            }
            put(places, at, longer, effects)?;
            Ok(Reply::Done)
        }
        Op::GetOrInsert(at, item) => match places.get(&at) {
            Some(there) => Ok(Reply::Value(Some(there.clone()))),
            None => {
                put(places, at, item.clone(), effects)?;
                Ok(Reply::Value(Some(item)))
            }
        },
        Op::Swap { at, from, to } => {
            let there = places.get(&at);
            if there != from.as_ref() {
                return Ok(Reply::Value(there.cloned()));
            }
            match to {
                Some(to) => drop(put(places, at, to, effects)?),
                None => places.take(&at).iter().for_each(|item| effects.leaves(item)),
            }
            Ok(Reply::Done)
        }
        _ => Err(Fault::NotOfThisKind),
    }
}
