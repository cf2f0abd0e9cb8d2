//! The server's side of a connection: how it comes to be, how frames go through it, and how it ends.

use super::Server;
use super::processes::handles_of;
use super::session::{Given, Road};
use super::store::{Effects, Thing};
use crate::channel::message;
use crate::manager::desk::{CUT, Incoming, LEFT, Outgoing};
use crate::manager::meeting::{Bell, Hello, Rung};
use crate::manager::wire::{Answer, Break, Fault, Id, Reply};
use crate::sys::atomic::Ordering::{Relaxed, SeqCst};
use crate::sys::doorbell::Doorbell;
use crate::sys::task::Owner;
use nix::errno::Errno;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An answer may be longer than a request by so much.
const BESIDE: u64 = 256;

impl Server {
    /// Those who have come to the meeting since the last look.
    pub(super) fn serve_meeting(&mut self) {
        let knocks = self.hall.knocks.0.load(SeqCst);
        if knocks == self.knocks {
            return;
        }
        self.knocks = knocks;
        loop {
            // `ipc-channel` panics if there is no descriptor for what comes: so one is kept for that. It also panics over
            // what is no message of its own.
            drop(self.spare.take());
            let received = catch_unwind(AssertUnwindSafe(|| self.meeting.try_recv()));
            self.spare = Doorbell::new().ok();
            match received {
                Ok(Ok(hello)) => self.welcome(hello),
                Ok(Err(ipc_channel::TryRecvError::Empty)) => return,
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }

    fn welcome(&mut self, Hello { who, bell }: Hello) {
        let answer = match self.open_road(who, &bell) {
            Ok(desk) => Rung::Welcome { desk, longest: self.limits.frame },
            Err(refusal) => refusal,
        };
        // If it has gone meanwhile, its end is noticed in its own time.
        let _ = bell.send(answer);
        drop(bell);
        if self.spare.is_none() {
            self.spare = Doorbell::new().ok();
        }
    }

    fn open_road(&mut self, who: u64, bell: &Bell) -> Result<u32, Rung> {
        let refused = |reason: &dyn ToString| Rung::Refused { reason: reason.to_string() };
        if self.spare.is_none() {
            return Err(refused(&Errno::EMFILE));
        }
        let owner = Owner::in_word(who).ok_or_else(|| refused(&"no process"))?;
        let desk = *self.free.first().ok_or(Rung::Full { limit: self.limits.connections })?;
        if !self.sessions.contains_key(&who) {
            self.begin_session(owner).map_err(|errno| refused(&errno))?;
        }
        self.hall.desk(desk).open().map_err(|errno| refused(&errno))?;
        self.free.remove(&desk);
        if let Some(session) = self.sessions.get_mut(&who) {
            session.roads.insert(desk);
        }
        self.roads[desk as usize] = Some(Road {
            session: who,
            bell: Some(bell.clone()),
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            waits: None,
            given: None,
        });
        Ok(desk)
    }

    /// The desks that have called.
    #[inline]
    pub(super) fn serve_desks(&mut self) {
        let hall = self.hall.clone();
        hall.hear(|desk| self.serve_desk(desk));
    }

    /// Whatever there is to do at this desk.
    pub(super) fn serve_desk(&mut self, number: u32) {
        let hall = self.hall.clone();
        let desk = hall.desk(number);
        // Before it is looked at for the last time.
        let left = desk.end.0.load(SeqCst) == LEFT;
        while let Some(Some(road)) = self.roads.get_mut(number as usize) {
            if !road.outgoing.is_written() {
                if road.outgoing.write(&desk.answers).is_err() {
                    return self.cut(number);
                }
                self.ring(number);
                break;
            }
            if road.bell.is_none() || road.waits.is_some() {
                break;
            }
            match road.incoming.read(&desk.requests, self.limits.frame) {
                Ok(true) => {}
                Ok(false) => {
                    // There is room for more.
                    self.ring(number);
                    break;
                }
                Err(_) => return self.cut(number),
            }
            // Whoever asks again has read the last answer.
            road.given = None;
            let request = message::decode(road.incoming.frame());
            road.incoming.clear();
            match request {
                Ok(request) => self.handle(number, request),
                Err(_) => return self.cut(number),
            }
        }
        if left {
            self.close_road(number, Break::Aborted);
        }
    }

    /// Tells the client that there is something new, if it sleeps.
    #[inline]
    fn ring(&mut self, number: u32) {
        if self.hall.desk(number).rings()
            && let Some(Some(Road { bell: Some(bell), .. })) = self.roads.get(number as usize)
        {
            // To one that has ended, which is noticed in its own time.
            let _ = bell.send(Rung::News);
        }
    }

    /// Answers the request at this desk: with what this object gave.
    pub(super) fn answer(&mut self, number: u32, id: Id, answer: Answer, notified: Option<Id>) {
        self.no_longer_waits(number);
        // A value that came through a request goes through an answer, whatever is said beside it.
        let limit = self.limits.frame.saturating_add(BESIDE);
        let Some(Some(road)) = self.roads.get_mut(number as usize) else { return };
        let mut handles = handles_of(&answer);
        let mut fill = |answer: &Answer| road.outgoing.fill(|to| message::encode(answer, to));
        let len = fill(&answer).map_or(u64::MAX, |len| len as u64);
        if len > limit {
            handles.clear();
            let _ = fill(&Err(Fault::TooLong { len, limit }));
        }
        road.given = match answer {
            Ok(Reply::Locked(_) | Reply::LockedInVain(_)) => Some(Given::Lock { lock: id, notified }),
            Ok(Reply::Permit) => Some(Given::Permit(id)),
            Ok(Reply::Item { item, serial, delivery }) => {
                Some(Given::Item { queue: id, item, serial, delivery })
            }
            _ => None,
        };
        let session = road.session;
        let written = road.outgoing.write(&self.hall.desk(number).answers);
        self.give(session, &handles);
        if written.is_err() {
            return self.cut(number);
        }
        self.ring(number);
    }

    /// Ends a connection through which something came that is no request. The desk is not used again before its client
    /// has gone from it.
    fn cut(&mut self, number: u32) {
        let hall = self.hall.clone();
        let _ = hall.desk(number).end.0.compare_exchange(0, CUT, SeqCst, Relaxed);
        self.cancel(number, Break::Aborted);
        if let Some(Some(road)) = self.roads.get_mut(number as usize) {
            road.incoming.clear();
            road.outgoing.clear();
            // The client hears that there is nobody any more.
            road.bell = None;
        }
    }

    /// Nobody is at this desk any more.
    pub(super) fn close_road(&mut self, number: u32, why: Break) {
        self.cancel(number, why);
        let hall = self.hall.clone();
        let desk = hall.desk(number);
        let Some(mut road) = self.roads.get_mut(number as usize).and_then(Option::take) else { return };
        let unread = !road.outgoing.is_written() || !desk.answers.is_empty();
        if let Some(given) = road.given.take().filter(|_| unread) {
            self.take_back(road.session, given);
        }
        desk.close();
        self.free.insert(number);
        if let Some(session) = self.sessions.get_mut(&road.session) {
            session.roads.remove(&number);
            if session.roads.is_empty() && session.handles.is_empty() && why == Break::Aborted {
                self.end_session(road.session);
            }
        }
    }

    /// What was given with an answer that nobody has read.
    fn take_back(&mut self, session: u64, given: Given) {
        let mut effects = Effects::default();
        let (id, notified) = match given {
            Given::Lock { lock, notified } => {
                if let Some(Thing::Lock(lock)) = self.store.get(lock) {
                    lock.undo(session, &mut effects);
                }
                (lock, notified)
            }
            Given::Permit(id) => {
                if let Some(Thing::Semaphore(semaphore)) = self.store.get(id) {
                    let _ = semaphore.give_back(session, false, &mut effects);
                }
                (id, None)
            }
            Given::Item { queue, item, serial, delivery } => {
                if let Some(Thing::Queue(queue)) = self.store.get(queue) {
                    queue.undo(item, serial, delivery, &mut effects);
                }
                (queue, None)
            }
        };
        self.settle(id, effects);
        if let Some(condition) = notified {
            self.notify(condition, 1);
        }
    }
}
