//! The objects, and how many handles there are to each.
//!
//! A handle is counted whoever has it: a session (a process), or a value in a container. An object goes with its last
//! handle, and with it the handles that are in it. Containers that have handles to one another live as long as the
//! manager.

use super::containers::{self, Cell, Dict, List, Places};
use super::gates::{Barrier, Event, Semaphore};
use super::locks::{Awaiting, Condition, Lock, Waiter};
use super::queue::Queue;
use crate::manager::wire::{Answer, Break, Fault, Id, Kind, Op, Packed, Reply, Wait};
use std::collections::HashMap;

/// Who asks: at which desk, and for which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) desk: u32,
    pub(super) session: u64,
    pub(super) pid: u32,
}

/// What a request has brought about besides its own answer.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Handles in values that were put into the object, and in those that are not there any more.
    pub(super) entered: Vec<Id>,
    pub(super) left: Vec<Id>,
    /// Answers to those who have waited.
    pub(super) answers: Vec<Told>,
}

/// An answer to one who has waited.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) desk: u32,
    pub(super) answer: Answer,
    /// He was notified at this condition.
    pub(super) notified: Option<Id>,
}

impl Effects {
    #[inline]
    pub(super) fn enters(&mut self, item: &Packed) {
        self.entered.extend_from_slice(&item.handles);
    }

    #[inline]
    pub(super) fn leaves(&mut self, item: &Packed) {
        self.left.extend_from_slice(&item.handles);
    }

    pub(super) fn answer(&mut self, desk: u32, answer: Answer) {
        self.answers.push(Told { desk, answer, notified: None });
    }

    pub(super) fn answer_waiter(&mut self, waiter: &Waiter, answer: Answer) {
        let notified = waiter.after.filter(|(_, notified)| *notified).map(|(condition, _)| condition);
        self.answers.push(Told { desk: waiter.who.desk, answer, notified });
    }
}

#[derive(Debug)]
pub(super) enum Thing {
    Dict(Dict),
    List(List),
    Value(Cell),
    Lock(Lock),
    Condition(Condition),
    Semaphore(Semaphore),
    Event(Event),
    Barrier(Barrier),
    Queue(Queue),
}

/// One who waited, and does not any more.
pub(super) enum Cancelled {
    /// There is nothing more to do.
    Simply,
    /// He waits for this lock after a wait at a condition.
    Lock(Waiter),
    /// He waits at a condition.
    Awaiting(Awaiting),
}

impl Thing {
    fn new(kind: Kind, effects: &mut Effects) -> Thing {
        match kind {
            Kind::Dict => Thing::Dict(Dict::default()),
            Kind::List(items) => {
                items.iter().for_each(|item| effects.enters(item));
                Thing::List(List(items))
            }
            Kind::Value(item) => {
                effects.enters(&item);
                Thing::Value(Cell(item))
            }
            Kind::Lock { reentrant } => Thing::Lock(Lock::new(reentrant)),
            Kind::Condition => Thing::Condition(Condition::default()),
            Kind::Semaphore { permits, bounded } => Thing::Semaphore(Semaphore::new(permits, bounded)),
            Kind::Event => Thing::Event(Event::default()),
            Kind::Barrier { parties } => Thing::Barrier(Barrier::new(parties)),
            Kind::Queue { bound, joinable } => Thing::Queue(Queue::new(bound, joinable)),
        }
    }

    /// Whether sessions hold it, or wait for it.
    pub(super) fn is_held(&self) -> bool {
        !matches!(self, Thing::Dict(_) | Thing::List(_) | Thing::Value(_))
    }

    /// `None`: he waits. No value may get longer than `longest`: nobody could have it any more.
    pub(super) fn ask(&mut self, op: Op, who: Asker, longest: u64, effects: &mut Effects) -> Option<Answer> {
        let patient = |wait: Wait| wait != Some(0);
        let done = || Some(Ok(Reply::Done));
        match (self, op) {
            (Thing::Dict(dict), op) => Some(dict.ask(op, longest, effects)),
            (Thing::List(list), op) => Some(list.ask(op, longest, effects)),
            (Thing::Value(value), op) => Some(containers::ask(value, op, longest, effects)),

            (Thing::Lock(lock), Op::Lock { thread, wait }) => {
                lock.lock(Waiter { who, thread, depth: 1, after: None }, patient(wait))
            }
            (Thing::Lock(lock), Op::Unlock { thread, panicked }) => {
                Some(lock.unlock(who, thread, panicked, effects))
            }
            (Thing::Lock(lock), Op::IsLocked) => Some(Ok(Reply::Flag(lock.is_locked()))),
            (Thing::Lock(lock), Op::ClearPoison) => {
                lock.clear_poison();
                done()
            }

            (Thing::Semaphore(semaphore), Op::Acquire(wait)) => semaphore.acquire(who, patient(wait)),
            (Thing::Semaphore(semaphore), Op::GiveBack { forget }) => {
                Some(semaphore.give_back(who.session, forget, effects))
            }
            (Thing::Semaphore(semaphore), Op::Permit(permits)) => Some(semaphore.release(permits, effects)),
            (Thing::Semaphore(semaphore), Op::Len) => Some(Ok(Reply::Count(u64::from(semaphore.free())))),

            (Thing::Event(event), Op::Raise) => {
                event.set(true, effects);
                done()
            }
            (Thing::Event(event), Op::Lower) => {
                event.set(false, effects);
                done()
            }
            (Thing::Event(event), Op::IsRaised) => Some(Ok(Reply::Flag(event.is_raised()))),
            (Thing::Event(event), Op::AwaitRaised(wait)) => event.wait(who, patient(wait)),

            (Thing::Barrier(barrier), Op::Meet(wait)) => barrier.meet(who, patient(wait), effects),
            (Thing::Barrier(barrier), Op::Abort) => {
                barrier.fail(Break::Aborted, effects);
                done()
            }
            (Thing::Barrier(barrier), Op::Reset) => {
                barrier.reset(effects);
                done()
            }
            (Thing::Barrier(barrier), Op::IsBroken) => Some(Ok(Reply::Broken(barrier.broken()))),
            (Thing::Barrier(barrier), Op::Parties) => Some(Ok(Reply::Count(barrier.parties() as u64))),
            (Thing::Barrier(barrier), Op::Len) => Some(Ok(Reply::Count(barrier.waiting() as u64))),

            (Thing::Queue(queue), Op::Put(item, wait)) => queue.put(who, item, patient(wait), effects),
            (Thing::Queue(queue), Op::GetItem { wait, lease }) => {
                queue.get(who, lease, patient(wait), effects)
            }
            (Thing::Queue(queue), Op::Done(serial)) => Some(queue.done(who.session, serial, effects)),
            (Thing::Queue(queue), Op::GiveUp(serial)) => Some(queue.give_up(who.session, serial, effects)),
            (Thing::Queue(queue), Op::Join(wait)) => queue.join(who, patient(wait)),
            (Thing::Queue(queue), Op::Close { now }) => {
                queue.close(now, effects);
                done()
            }
            (Thing::Queue(queue), Op::IsClosed) => Some(Ok(Reply::Flag(queue.is_closed()))),
            (Thing::Queue(queue), Op::IsFull) => Some(Ok(Reply::Flag(queue.is_full()))),
            (Thing::Queue(queue), Op::Len) => Some(Ok(Reply::Count(queue.len() as u64))),

            _ => Some(Err(Fault::NotOfThisKind)),
        }
    }

    /// One who waits does not any more: his time is up, or he has gone.
    pub(super) fn cancel(&mut self, desk: u32, why: Break, effects: &mut Effects) -> Cancelled {
        match self {
            Thing::Dict(_) | Thing::List(_) | Thing::Value(_) => {}
            Thing::Lock(lock) => return lock.cancel(desk).map_or(Cancelled::Simply, Cancelled::Lock),
            Thing::Condition(condition) => {
                return condition.cancel(desk).map_or(Cancelled::Simply, Cancelled::Awaiting);
            }
            Thing::Semaphore(semaphore) => semaphore.cancel(desk),
            Thing::Event(event) => event.cancel(desk),
            Thing::Barrier(barrier) => barrier.cancel(desk, why, effects),
            Thing::Queue(queue) => queue.cancel(desk),
        }
        Cancelled::Simply
    }

    /// What the process held, if it held any, is free again.
    pub(super) fn session_ended(&mut self, who: Asker, effects: &mut Effects) {
        match self {
            Thing::Lock(lock) => lock.session_ended(who, effects),
            Thing::Semaphore(semaphore) => semaphore.session_ended(who.session, effects),
            Thing::Queue(queue) => queue.session_ended(who.session, effects),
            _ => {}
        }
    }

    /// The handles that are in it.
    fn handles(&mut self) -> Vec<Id> {
        let items = match self {
            Thing::Dict(dict) => dict.empty(),
            Thing::List(list) => list.empty(),
            Thing::Value(Cell(item)) => vec![item.clone()],
            Thing::Queue(queue) => queue.contents().cloned().collect(),
            _ => Vec::new(),
        };
        items.into_iter().flat_map(|item| item.handles).collect()
    }
}

/// A thing, and the handles to it.
#[derive(Debug)]
struct Object {
    handles: u64,
    thing: Thing,
}

/// All objects, by number.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: HashMap<Id, Object>,
    made: u64,
}

impl Store {
    /// A new object, to which there are no handles yet.
    pub(super) fn make(&mut self, kind: Kind, effects: &mut Effects) -> Id {
        self.made += 1;
        self.objects.insert(self.made, Object { handles: 0, thing: Thing::new(kind, effects) });
        self.made
    }

    pub(super) fn len(&self) -> u64 {
        self.objects.len() as u64
    }

    #[inline]
    pub(super) fn get(&mut self, id: Id) -> Option<&mut Thing> {
        self.objects.get_mut(&id).map(|object| &mut object.thing)
    }

    /// One handle more. `false`: there is no such object.
    pub(super) fn one_more(&mut self, id: Id) -> bool {
        self.objects.get_mut(&id).map(|object| object.handles += 1).is_some()
    }

    /// One handle less to each of these. What goes with its last is returned.
    pub(super) fn fewer(&mut self, mut ids: Vec<Id>) -> Vec<Id> {
        let mut gone = Vec::new();
        while let Some(id) = ids.pop() {
            let Some(object) = self.objects.get_mut(&id) else { continue };
            object.handles = object.handles.saturating_sub(1);
            if object.handles == 0
                && let Some(mut object) = self.objects.remove(&id)
            {
                ids.extend(object.thing.handles());
                gone.push(id);
            }
        }
        gone
    }
}
