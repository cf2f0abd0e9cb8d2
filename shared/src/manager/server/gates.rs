//! Semaphores, events and barriers: who may go on, and when.

use super::store::{Asker, Effects};
use crate::manager::wire::{Answer, Break, Fault, Reply};
use std::collections::{HashMap, VecDeque};

#[derive(Debug)]
pub(super) struct Semaphore {
    free: u32,
    bound: Option<u32>,
    /// How many permits each session has.
    held: HashMap<u64, u32>,
    /// In the order in which they came. Nobody waits while a permit is free.
    queue: VecDeque<Asker>,
}

impl Semaphore {
    pub(super) fn new(permits: u32, bounded: bool) -> Semaphore {
        let bound = bounded.then_some(permits);
        Semaphore { free: permits, bound, held: HashMap::new(), queue: VecDeque::new() }
    }

    pub(super) fn free(&self) -> u32 {
        self.free
    }

    pub(super) fn acquire(&mut self, who: Asker, patient: bool) -> Option<Answer> {
        if self.free > 0 {
            self.free -= 1;
            *self.held.entry(who.session).or_default() += 1;
            Some(Ok(Reply::Permit))
        } else if patient {
            self.queue.push_back(who);
            None
        } else {
            Some(Ok(Reply::NotInTime))
        }
    }

    /// Permits have become free.
    fn pass_on(&mut self, effects: &mut Effects) {
        while self.free > 0
            && let Some(next) = self.queue.pop_front()
        {
            self.free -= 1;
            *self.held.entry(next.session).or_default() += 1;
            effects.answer(next.desk, Ok(Reply::Permit));
        }
    }

    pub(super) fn give_back(&mut self, session: u64, forget: bool, effects: &mut Effects) -> Answer {
        let held = self.held.get_mut(&session).ok_or(Fault::NotHeld)?;
        *held -= 1;
        if *held == 0 {
            self.held.remove(&session);
        }
        if !forget {
            self.free += 1;
            self.pass_on(effects);
        }
        Ok(Reply::Done)
    }

    pub(super) fn release(&mut self, permits: u32, effects: &mut Effects) -> Answer {
        let held = self.held.values().map(|held| u64::from(*held)).sum::<u64>();
        let bound = self.bound.unwrap_or(u32::MAX);
        if u64::from(self.free) + held + u64::from(permits) > u64::from(bound) {
            return Err(Fault::TooManyPermits { bound });
        }
        self.free += permits;
        self.pass_on(effects);
        Ok(Reply::Done)
    }

    pub(super) fn cancel(&mut self, desk: u32) {
        self.queue.retain(|waiting| waiting.desk != desk);
    }

    pub(super) fn session_ended(&mut self, session: u64, effects: &mut Effects) {
        self.free += self.held.remove(&session).unwrap_or(0);
        self.pass_on(effects);
    }
}

#[derive(Debug, Default)]
pub(super) struct Event {
    raised: bool,
    waiting: Vec<Asker>,
}

impl Event {
    pub(super) fn is_raised(&self) -> bool {
        self.raised
    }

    pub(super) fn set(&mut self, raised: bool, effects: &mut Effects) {
        self.raised = raised;
        if raised {
            for waiting in self.waiting.drain(..) {
                effects.answer(waiting.desk, Ok(Reply::Done));
            }
        }
    }

    pub(super) fn wait(&mut self, who: Asker, patient: bool) -> Option<Answer> {
        match (self.raised, patient) {
            (true, _) => Some(Ok(Reply::Done)),
            (false, false) => Some(Ok(Reply::NotInTime)),
            (false, true) => {
                self.waiting.push(who);
                None
            }
        }
    }

    pub(super) fn cancel(&mut self, desk: u32) {
        self.waiting.retain(|waiting| waiting.desk != desk);
    }
}

#[derive(Debug)]
pub(super) struct Barrier {
    parties: usize,
    waiting: Vec<Asker>,
    broken: Option<Break>,
}

impl Barrier {
    pub(super) fn new(parties: u32) -> Barrier {
        Barrier { parties: parties as usize, waiting: Vec::new(), broken: None }
    }

    pub(super) fn parties(&self) -> usize {
        self.parties
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn broken(&self) -> Option<Break> {
        self.broken
    }

    pub(super) fn meet(&mut self, who: Asker, patient: bool, effects: &mut Effects) -> Option<Answer> {
        if let Some(cause) = self.broken {
            return Some(Ok(Reply::Broken(Some(cause))));
        }
        if self.waiting.len() + 1 >= self.parties {
            let last = self.waiting.len() as u32;
            for (index, waiting) in (0..).zip(self.waiting.drain(..)) {
                effects.answer(waiting.desk, Ok(Reply::Met(index)));
            }
            return Some(Ok(Reply::Met(last)));
        }
        if !patient {
            self.fail(Break::TimedOut, effects);
            return Some(Ok(Reply::Broken(Some(Break::TimedOut))));
        }
        self.waiting.push(who);
        None
    }

    /// Breaks it; what broke it before stays the cause.
    pub(super) fn fail(&mut self, cause: Break, effects: &mut Effects) {
        let cause = *self.broken.get_or_insert(cause);
        self.dismiss(cause, effects);
    }

    pub(super) fn reset(&mut self, effects: &mut Effects) {
        self.broken = None;
        self.dismiss(Break::Reset, effects);
    }

    fn dismiss(&mut self, cause: Break, effects: &mut Effects) {
        for waiting in self.waiting.drain(..) {
            effects.answer(waiting.desk, Ok(Reply::Broken(Some(cause))));
        }
    }

    /// One that waits has gone, or its time is up: without it the others cannot go on.
    pub(super) fn cancel(&mut self, desk: u32, why: Break, effects: &mut Effects) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.desk != desk);
        if self.waiting.len() != before {
            self.fail(why, effects);
        }
    }
}
