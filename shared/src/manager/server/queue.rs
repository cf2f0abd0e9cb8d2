//! Queues: what was put, who has what he got and has not done, and who waits for what.

use super::store::{Asker, Effects};
use crate::manager::wire::{Answer, Fault, Packed, Reply};
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Debug)]
struct Item {
    item: Packed,
    /// Of all that were ever put, the how manieth.
    serial: u64,
    /// How often it has been got.
    deliveries: u32,
}

/// Somebody has it, and has not done it.
#[derive(Debug)]
struct Out {
    session: u64,
    leased: bool,
    item: Item,
}

/// How a queue was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// What is inside, or comes back, can still be got.
    Softly,
    /// It is dropped.
    Now,
}

#[derive(Debug)]
pub(super) struct Queue {
    /// 0: none.
    bound: usize,
    joinable: bool,
    closed: Option<Closed>,
    put: u64,
    items: VecDeque<Item>,
    /// Of a joinable one, by serial.
    out: BTreeMap<u64, Out>,
    /// Who waits for an item, and whether it is to be leased. Nobody, while there are any, or once it is closed.
    getters: VecDeque<(Asker, bool)>,
    /// Who waits for room, with what. Nobody, while there is any, or once it is closed.
    putters: VecDeque<(Asker, Packed)>,
    /// Who waits until all is done.
    joiners: Vec<Asker>,
}

impl Queue {
    pub(super) fn new(bound: u32, joinable: bool) -> Queue {
        let (items, getters, putters) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        let (out, joiners) = (BTreeMap::new(), Vec::new());
        let (bound, closed) = (bound as usize, None);
        Queue { bound, joinable, closed, put: 0, items, out, getters, putters, joiners }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn contents(&self) -> impl Iterator<Item = &Packed> {
        let out = self.out.values().map(|out| &out.item);
        self.items.iter().chain(out).map(|item| &item.item)
    }

    pub(super) fn is_full(&self) -> bool {
        self.bound != 0 && self.items.len() >= self.bound
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Who waits to put, or for what will not come any more, is told so.
    pub(super) fn close(&mut self, now: bool, effects: &mut Effects) {
        if now {
            self.closed = Some(Closed::Now);
            self.items.drain(..).for_each(|item| effects.leaves(&item.item));
        }
        self.closed.get_or_insert(Closed::Softly);
        let told =
            self.putters.drain(..).map(|(who, _)| who).chain(self.getters.drain(..).map(|(who, _)| who));
        told.for_each(|who| effects.answer(who.desk, Err(Fault::Closed)));
        self.release_joiners(effects);
    }

    pub(super) fn put(
        &mut self,
        who: Asker,
        item: Packed,
        patient: bool,
        effects: &mut Effects,
    ) -> Option<Answer> {
        if self.is_closed() {
            return Some(Err(Fault::Closed));
        }
        match (self.is_full(), patient) {
            (true, false) => return Some(Ok(Reply::NotInTime)),
            (true, true) => {
                self.putters.push_back((who, item));
                return None;
            }
            (false, _) => self.add(item, effects),
        }
        self.hand_out(effects);
        Some(Ok(Reply::Done))
    }

    fn add(&mut self, item: Packed, effects: &mut Effects) {
        effects.enters(&item);
        self.put += 1;
        self.items.push_back(Item { item, serial: self.put, deliveries: 0 });
    }

    pub(super) fn get(
        &mut self,
        who: Asker,
        lease: bool,
        patient: bool,
        effects: &mut Effects,
    ) -> Option<Answer> {
        if self.items.is_empty() && self.is_closed() {
            return Some(Err(Fault::Closed));
        }
        if self.items.is_empty() && !patient {
            return Some(Ok(Reply::NotInTime));
        }
        if lease && !self.joinable {
            return Some(Err(Fault::NotOfThisKind));
        }
        self.getters.push_back((who, lease));
        self.hand_out(effects);
        None
    }

    /// Items to those who wait for them, and the room to those who wait for that.
    fn hand_out(&mut self, effects: &mut Effects) {
        while let (Some(_), false) = (self.items.front(), self.getters.is_empty()) {
            let (Some(mut item), Some((who, leased))) = (self.items.pop_front(), self.getters.pop_front())
            else {
                return;
            };
            item.deliveries += 1;
            let (serial, delivery) = (item.serial, item.deliveries);
            effects.answer(who.desk, Ok(Reply::Item { item: item.item.clone(), serial, delivery }));
            if self.joinable {
                self.out.insert(serial, Out { session: who.session, leased, item });
            } else {
                effects.leaves(&item.item);
            }
            self.admit(effects);
        }
    }

    fn admit(&mut self, effects: &mut Effects) {
        while !self.is_full()
            && let Some((who, item)) = self.putters.pop_front()
        {
            self.add(item, effects);
            effects.answer(who.desk, Ok(Reply::Done));
        }
    }

    /// The item of this number, or the eldest that the session got without a lease, is done.
    pub(super) fn done(&mut self, session: u64, serial: Option<u64>, effects: &mut Effects) -> Answer {
        let mine = self.out.iter().find(|(number, out)| {
            out.session == session && serial.map_or(!out.leased, |serial| serial == **number)
        });
        let number = *mine.ok_or(Fault::NothingToDo)?.0;
        if let Some(out) = self.out.remove(&number) {
            effects.leaves(&out.item.item);
        }
        self.release_joiners(effects);
        Ok(Reply::Done)
    }

    fn release_joiners(&mut self, effects: &mut Effects) {
        if self.is_done() {
            for joiner in self.joiners.drain(..) {
                effects.answer(joiner.desk, Ok(Reply::Done));
            }
        }
    }

    fn is_done(&self) -> bool {
        self.items.is_empty() && self.out.is_empty() && self.putters.is_empty()
    }

    pub(super) fn join(&mut self, who: Asker, patient: bool) -> Option<Answer> {
        match (self.is_done(), patient) {
            (true, _) => Some(Ok(Reply::Done)),
            (false, false) => Some(Ok(Reply::NotInTime)),
            (false, true) => {
                self.joiners.push(who);
                None
            }
        }
    }

    /// A leased item is given back, not done.
    pub(super) fn give_up(&mut self, session: u64, serial: u64, effects: &mut Effects) -> Answer {
        match self.out.get(&serial) {
            Some(out) if out.session == session => {}
            _ => return Err(Fault::NothingToDo),
        }
        self.back(|number, _| number == serial, effects);
        self.hand_out(effects);
        Ok(Reply::Done)
    }

    /// These items go to the front, in the order in which they were put.
    fn back(&mut self, which: impl Fn(u64, &Out) -> bool, effects: &mut Effects) {
        let back: Vec<_> = self.out.extract_if(.., |serial, out| which(*serial, out)).collect();
        for (_, out) in back.into_iter().rev() {
            self.put_in_front(out.item, effects);
        }
        self.release_joiners(effects);
    }

    fn put_in_front(&mut self, item: Item, effects: &mut Effects) {
        match self.closed {
            Some(Closed::Now) => effects.leaves(&item.item),
            _ => self.items.push_front(item),
        }
    }

    /// An item was handed out, and nobody heard of it.
    pub(super) fn undo(&mut self, item: Packed, serial: u64, delivery: u32, effects: &mut Effects) {
        let deliveries = delivery.saturating_sub(1);
        if let Some(out) = self.out.get_mut(&serial) {
            out.item.deliveries = deliveries;
            self.back(|number, _| number == serial, effects);
        } else if !self.joinable {
            effects.enters(&item);
            self.put_in_front(Item { item, serial, deliveries }, effects);
        }
        self.hand_out(effects);
    }

    pub(super) fn cancel(&mut self, desk: u32) {
        self.getters.retain(|(who, _)| who.desk != desk);
        self.putters.retain(|(who, _)| who.desk != desk);
        self.joiners.retain(|who| who.desk != desk);
    }

    pub(super) fn session_ended(&mut self, session: u64, effects: &mut Effects) {
        self.back(|_, out| out.session == session, effects);
        self.hand_out(effects);
    }
}
