//! Locks, and the conditions that are awaited under them.

use super::store::{Asker, Effects};
use crate::manager::wire::{Answer, Fault, Id, Poison, Reply};
use std::collections::VecDeque;

/// Who has a lock.
#[derive(Clone, Copy, Debug)]
struct Holder {
    session: u64,
    thread: u64,
    depth: u32,
}

/// Who waits for a lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) who: Asker,
    pub(super) thread: u64,
    /// How deep he is to hold it.
    pub(super) depth: u32,
    /// He has waited at this condition, and whether he was notified.
    pub(super) after: Option<(Id, bool)>,
}

#[derive(Debug)]
pub(super) struct Lock {
    reentrant: bool,
    holder: Option<Holder>,
    poison: Option<Poison>,
    /// In the order in which they came. Nobody waits for a lock that nobody has.
    queue: VecDeque<Waiter>,
}

impl Lock {
    pub(super) fn new(reentrant: bool) -> Lock {
        Lock { reentrant, holder: None, poison: None, queue: VecDeque::new() }
    }

    /// `None`: he waits.
    pub(super) fn lock(&mut self, waiter: Waiter, patient: bool) -> Option<Answer> {
        match &mut self.holder {
            None => Some(Ok(self.hold(waiter))),
            Some(holder)
                if self.reentrant
                    && (holder.session, holder.thread) == (waiter.who.session, waiter.thread) =>
            {
                holder.depth = holder.depth.saturating_add(1);
                Some(Ok(Reply::Locked(self.poison)))
            }
            Some(_) if !patient => Some(Ok(Reply::NotInTime)),
            Some(_) => {
                self.queue.push_back(waiter);
                None
            }
        }
    }

    fn hold(&mut self, waiter: Waiter) -> Reply {
        self.holder =
            Some(Holder { session: waiter.who.session, thread: waiter.thread, depth: waiter.depth });
        match waiter.after {
            Some((_, false)) => Reply::LockedInVain(self.poison),
            _ => Reply::Locked(self.poison),
        }
    }

    /// Nobody has it any more.
    fn pass_on(&mut self, effects: &mut Effects) {
        self.holder = None;
        if let Some(next) = self.queue.pop_front() {
            let reply = self.hold(next);
            effects.answer_waiter(&next, Ok(reply));
        }
    }

    pub(super) fn unlock(
        &mut self,
        who: Asker,
        thread: u64,
        panicked: bool,
        effects: &mut Effects,
    ) -> Answer {
        let holder = self.holder.as_mut().filter(|holder| holder.session == who.session);
        let holder = holder.filter(|holder| holder.thread == thread).ok_or(Fault::NotHeld)?;
        if panicked {
            self.poison = self.poison.or(Some(Poison::Panicked(who.pid)));
        }
        holder.depth -= 1;
        if holder.depth == 0 {
            self.pass_on(effects);
        }
        Ok(Reply::Done)
    }

    /// Gives it up from whatever depth, for a wait. Returns the depth.
    pub(super) fn give_up(&mut self, who: Asker, thread: u64, effects: &mut Effects) -> Result<u32, Fault> {
        let holder = self.holder.filter(|holder| (holder.session, holder.thread) == (who.session, thread));
        let depth = holder.ok_or(Fault::NotHeld)?.depth;
        self.pass_on(effects);
        Ok(depth)
    }

    pub(super) fn is_locked(&self) -> bool {
        self.holder.is_some()
    }

    pub(super) fn clear_poison(&mut self) {
        self.poison = None;
    }

    pub(super) fn cancel(&mut self, desk: u32) -> Option<Waiter> {
        let place = self.queue.iter().position(|waiter| waiter.who.desk == desk)?;
        self.queue.remove(place)
    }

    /// It was given, and he never heard of it.
    pub(super) fn undo(&mut self, session: u64, effects: &mut Effects) {
        if let Some(holder) = self.holder.as_mut().filter(|holder| holder.session == session) {
            holder.depth -= 1;
            if holder.depth == 0 {
                self.pass_on(effects);
            }
        }
    }

    pub(super) fn session_ended(&mut self, who: Asker, effects: &mut Effects) {
        if self.holder.is_some_and(|holder| holder.session == who.session) {
            self.poison = Some(Poison::Died(who.pid));
            self.pass_on(effects);
        }
    }
}

/// Who waits at a condition, and with which lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaiting {
    pub(super) lock: Id,
    pub(super) waiter: Waiter,
}

/// In the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Condition(pub(super) VecDeque<Awaiting>);

impl Condition {
    pub(super) fn cancel(&mut self, desk: u32) -> Option<Awaiting> {
        let place = self.0.iter().position(|awaiting| awaiting.waiter.who.desk == desk)?;
        self.0.remove(place)
    }
}
