//! The server: one process, one thread, which does one request after the other.
//!
//! It never waits for a client. A request that cannot be answered yet is remembered where it waits (at a lock, a queue),
//! and its answer is sent by whatever ends the wait: another request, a time that is up, a death. An answer that does not
//! fit on a desk stays here until there is room.

mod containers;
#[cfg(test)]
mod deaf;
mod gates;
#[cfg(test)]
mod hostile;
mod locks;
mod processes;
mod queue;
mod roads;
mod session;
mod store;
mod value;
#[cfg(test)]
mod world;

use super::desk::{DESKS, Hall};
use super::meeting::Hello;
use super::wire::{Break, Fault, Id, Op, Reply, Request, Wait};
use crate::memory::segment::Segment;
use crate::sync::Spin;
use crate::sys::atomic::Ordering::Relaxed;
use crate::sys::clock::{self, Deadline};
use crate::sys::doorbell::{Doorbell, Sleeper};
use crate::sys::pidfd;
use ipc_channel::ipc::IpcReceiver;
use locks::{Awaiting, Waiter};
use nix::errno::Errno;
use session::{Road, Session, Waits};
use std::collections::{BTreeSet, HashMap};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Asker, Cancelled, Effects, Store, Thing};

/// What a manager allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of a request or an answer.
    pub(super) frame: u64,
    pub(super) connections: u64,
    pub(super) objects: u64,
}

/// The longest that it sleeps without a look round.
const SLICE: Duration = Duration::from_millis(800);
/// What the bell is to the sleeper. No process has this number.
const BELL: u64 = 0;

pub(super) struct Server {
    hall: Segment<Hall>,
    meeting: IpcReceiver<Hello>,
    /// A descriptor, of whatever, in place of which another can be had.
    spare: Option<Doorbell>,
    sleeper: Sleeper,
    limits: Limits,
    store: Store,
    /// By the number of their process.
    sessions: HashMap<u64, Session>,
    /// By desk.
    roads: Vec<Option<Road>>,
    /// The desks that nobody has.
    free: BTreeSet<u32>,
    /// When which wait ends.
    timers: BTreeSet<(Instant, u32)>,
    /// How many had come to the meeting when it was last looked after.
    knocks: u64,
    stopping: bool,
}

impl Server {
    pub(super) fn new(
        hall: Segment<Hall>,
        bell: &Arc<Doorbell>,
        meeting: IpcReceiver<Hello>,
        limits: Limits,
    ) -> Result<Server, Errno> {
        let sleeper = Sleeper::new()?;
        sleeper.hear(bell, BELL)?;
        let desks = limits.connections.min(DESKS as u64) as u32;
        Ok(Server {
            hall,
            meeting,
            spare: Some(Doorbell::new()?),
            sleeper,
            limits,
            store: Store::default(),
            sessions: HashMap::new(),
            roads: (0..DESKS).map(|_| None).collect(),
            free: (0..desks).collect(),
            timers: BTreeSet::new(),
            knocks: 0,
            stopping: false,
        })
    }

    /// Serves until it is told to stop.
    pub(super) fn serve(&mut self) {
        let (hall, spin) = (self.hall.clone(), Spin::new());
        let mut tick = clock::tick();
        while !self.stopping {
            self.serve_desks();
            self.serve_meeting();
            self.serve_timers();
            let now = clock::tick();
            if now != tick {
                // However busy it is, deaths are noticed.
                tick = now;
                self.look_after_the_dead(Deadline::after(Duration::ZERO));
            }
            let knocks = self.knocks;
            let is_news = || hall.calls.is_called() || hall.knocks.0.load(Relaxed) != knocks;
            if self.stopping || is_news() || spin.until(is_news) {
                continue;
            }
            hall.calls.lie_down();
            if !is_news() {
                let until = self.timers.first().map(|(until, _)| *until);
                let longest = until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()));
                self.look_after_the_dead(Deadline::after(longest.min(SLICE)));
            }
            hall.calls.rise();
        }
    }

    /// Sleeps at most until then, and ends the sessions of those who have ended.
    fn look_after_the_dead(&mut self, deadline: Deadline) {
        let mut deadline = deadline;
        while let Some(who) = self.sleeper.sleep(deadline) {
            deadline = Deadline::after(Duration::ZERO);
            let ended =
                self.sessions.get(&who).is_some_and(|session| pidfd::has_ended(session.pidfd.as_fd()));
            if ended {
                self.end_session(who);
            }
        }
    }

    fn serve_timers(&mut self) {
        if self.timers.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((until, desk)) = self.timers.first().copied().filter(|(until, _)| *until <= now) {
            self.timers.remove(&(until, desk));
            self.cancel(desk, Break::TimedOut);
        }
    }

    fn asker(&self, desk: u32) -> Option<Asker> {
        let session = self.roads.get(desk as usize)?.as_ref()?.session;
        Some(Asker { desk, session, pid: self.sessions.get(&session)?.owner.pid() })
    }

    /// A whole request has come to this desk.
    fn handle(&mut self, desk: u32, request: Request) {
        let Some(who) = self.asker(desk) else { return };
        let mut effects = Effects::default();
        let answer = match request {
            Request::Hold(handles) => return self.hold(who.session, handles),
            Request::Release { children, handles } => return self.release(who.session, children, handles),
            Request::Make(_) if self.store.len() >= self.limits.objects => {
                Some(Err(Fault::TooManyObjects { limit: self.limits.objects }))
            }
            Request::Make(kind) => Some(Ok(Reply::Made(self.store.make(kind, &mut effects)))),
            Request::Census => Some(Ok(Reply::Count(self.store.len()))),
            Request::Stop => {
                self.stopping = true;
                Some(Ok(Reply::Done))
            }
            Request::Ask(condition, Op::Await { lock, thread, wait }) => {
                return self.await_notice(who, condition, lock, thread, wait);
            }
            Request::Ask(condition, Op::Notify(count)) => match self.store.get(condition) {
                Some(Thing::Condition(_)) => {
                    self.notify(condition, count);
                    Some(Ok(Reply::Done))
                }
                Some(_) => Some(Err(Fault::NotOfThisKind)),
                None => Some(Err(Fault::NoSuchObject)),
            },
            Request::Ask(id, op) => return self.ask(who, id, op),
        };
        self.settle(0, effects);
        if let Some(answer) = answer {
            self.answer(desk, 0, answer, None);
        }
    }

    fn ask(&mut self, who: Asker, id: Id, op: Op) {
        let wait = wait_of(&op);
        let Some(thing) = self.store.get(id) else {
            return self.answer(who.desk, id, Err(Fault::NoSuchObject), None);
        };
        let mut effects = Effects::default();
        let held = thing.is_held();
        let answer = thing.ask(op, who, self.limits.frame, &mut effects);
        if held && let Some(session) = self.sessions.get_mut(&who.session) {
            session.touched.insert(id);
        }
        match answer {
            // What is given with it is there until it was given.
            Some(answer) => {
                let left = std::mem::take(&mut effects.left);
                self.settle(id, effects);
                self.answer(who.desk, id, answer, None);
                self.fewer(left);
            }
            None => {
                self.waits(who.desk, id, wait);
                self.settle(id, effects);
            }
        }
    }

    /// From now on the request at this desk waits for the object.
    fn waits(&mut self, desk: u32, object: Id, wait: Wait) {
        let until = wait.and_then(|micros| Instant::now().checked_add(Duration::from_micros(micros)));
        self.timers.extend(until.map(|until| (until, desk)));
        if let Some(Some(road)) = self.roads.get_mut(desk as usize) {
            road.waits = Some(Waits { object, until });
        }
    }

    fn no_longer_waits(&mut self, desk: u32) -> Option<Waits> {
        let waits = self.roads.get_mut(desk as usize)?.as_mut()?.waits.take()?;
        if let Some(until) = waits.until {
            self.timers.remove(&(until, desk));
        }
        Some(waits)
    }

    /// What a request to this object has brought about.
    fn settle(&mut self, id: Id, effects: Effects) {
        for entered in effects.entered {
            self.store.one_more(entered);
        }
        for told in effects.answers {
            self.answer(told.desk, id, told.answer, told.notified);
        }
        self.fewer(effects.left);
    }

    /// The wait at this desk is over, since its time is up or since there is nobody there any more.
    fn cancel(&mut self, desk: u32, why: Break) {
        let Some(Waits { object, .. }) = self.no_longer_waits(desk) else { return };
        let Some(thing) = self.store.get(object) else { return };
        let mut effects = Effects::default();
        let cancelled = thing.cancel(desk, why, &mut effects);
        self.settle(object, effects);
        match (cancelled, why) {
            (Cancelled::Awaiting(awaiting), Break::TimedOut) => self.wake(object, awaiting, false),
            (
                Cancelled::Lock(Waiter { after: Some((condition, true)), .. }),
                Break::Died(_) | Break::Aborted,
            ) => {
                // The notification is for somebody else.
                self.notify(condition, 1);
            }
            (_, Break::TimedOut) => {
                let barrier = matches!(self.store.get(object), Some(Thing::Barrier(_)));
                let reply = if barrier { Reply::Broken(Some(Break::TimedOut)) } else { Reply::NotInTime };
                self.answer(desk, object, Ok(reply), None);
            }
            _ => {}
        }
    }

    /// Gives up the lock and waits at the condition.
    fn await_notice(&mut self, who: Asker, id: Id, lock: Id, thread: u64, wait: Wait) {
        let mut effects = Effects::default();
        let is_condition = matches!(self.store.get(id), Some(Thing::Condition(_)));
        let given_up = match self.store.get(lock) {
            Some(Thing::Lock(lock)) if is_condition => lock.give_up(who, thread, &mut effects),
            None => Err(Fault::NoSuchObject),
            _ => Err(Fault::NotOfThisKind),
        };
        let depth = match given_up {
            Ok(depth) => depth,
            Err(fault) => return self.answer(who.desk, id, Err(fault), None),
        };
        let waiter = Waiter { who, thread, depth, after: Some((id, false)) };
        if let Some(Thing::Condition(condition)) = self.store.get(id) {
            condition.0.push_back(Awaiting { lock, waiter });
        }
        self.waits(who.desk, id, wait);
        self.settle(lock, effects);
    }

    /// Wakes so many of those who wait at the condition.
    fn notify(&mut self, id: Id, count: u32) {
        for _ in 0..count {
            let Some(Thing::Condition(condition)) = self.store.get(id) else { return };
            let Some(awaiting) = condition.0.pop_front() else { return };
            self.wake(id, awaiting, true);
        }
    }

    /// One who waited at a condition takes his lock again: notified, or because his time is up.
    fn wake(&mut self, condition: Id, Awaiting { lock, waiter }: Awaiting, notified: bool) {
        let desk = waiter.who.desk;
        self.no_longer_waits(desk);
        let waiter = Waiter { after: Some((condition, notified)), ..waiter };
        let answer = match self.store.get(lock) {
            Some(Thing::Lock(lock)) => lock.lock(waiter, true),
            _ => Some(Err(Fault::NoSuchObject)),
        };
        match answer {
            Some(answer) => self.answer(desk, lock, answer, notified.then_some(condition)),
            None => self.waits(desk, lock, None),
        }
    }
}

/// How long the request may wait.
fn wait_of(op: &Op) -> Wait {
    match op {
        Op::Lock { wait, .. }
        | Op::Await { wait, .. }
        | Op::Acquire(wait)
        | Op::AwaitRaised(wait)
        | Op::Meet(wait)
        | Op::Put(_, wait)
        | Op::GetItem { wait, .. }
        | Op::Join(wait) => *wait,
        _ => None,
    }
}
