//! One end of a connection in one process: sending and receiving bytes, asleep if need be.

use super::asleep::Asleep;
use super::presence::Presence;
use super::road::{Broken, Road};
use crate::memory::segment::Segment;
use crate::memory::stream::Corrupt;
use crate::sync::{RawLock, Slice, Spin};
use crate::sys::clock::{self, Deadline};
use crate::sys::doorbell::{self, Doorbell, Sleeper};
use crate::sys::task::Owner;
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence, fence,
};
use std::sync::{Arc, Mutex, PoisonError};

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// Until then.
    Until(Deadline),
}

/// Why no bytes were received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    NotYet,
    Closed,
    Broken(Broken),
}

impl From<Broken> for Missed {
    fn from(broken: Broken) -> Missed {
        Missed::Broken(broken)
    }
}

/// Why bytes were not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Closed,
    Corrupt,
}

impl From<Corrupt> for Refused {
    fn from(_: Corrupt) -> Refused {
        Refused::Corrupt
    }
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) id: u64,
    pub(super) presence: Arc<Presence>,
    outgoing: Option<Segment<Road>>,
    incoming: Option<Segment<Road>>,
    /// Rung by the peer when something has come, or when there is room again.
    bell: Arc<Doorbell>,
    peers_bell: Arc<Doorbell>,
    /// Ends with the last process that has the other end.
    peer: OwnedFd,
    spin: Spin,
    spin_for_room: Spin,
    receiver: Bed,
    sender: Bed,
    /// Nobody has the other end any more, when it last looked: at this tick, and when so many had let go of it.
    deserted: AtomicBool,
    looked: AtomicU32,
    left: AtomicU64,
}

/// What wakes a sleeper.
pub(super) const RUNG: u64 = 0;
pub(super) const PEER_GONE: u64 = 1;

/// Two ends with these roads: the first sends on the first.
pub(super) fn pair(
    there: Option<Segment<Road>>,
    back: Option<Segment<Road>>,
) -> Result<(Arc<End>, Arc<End>), Errno> {
    let bells = (Arc::new(Doorbell::new()?), Arc::new(Doorbell::new()?));
    let ((life, watch), (other_life, other_watch)) = (doorbell::life()?, doorbell::life()?);
    let end = |life, peer, outgoing, incoming, bell, peers_bell| {
        let id = crate::channel::number();
        Arc::new(End {
            id,
            presence: Presence::new(id, life),
            outgoing,
            incoming,
            bell,
            peers_bell,
            peer,
            spin: Spin::new(),
            spin_for_room: Spin::new(),
            receiver: Bed::default(),
            sender: Bed::default(),
            looked: AtomicU32::new(0),
            left: AtomicU64::new(0),
            deserted: AtomicBool::new(false),
        })
    };
    let first = end(life, other_watch, there.clone(), back.clone(), bells.0.clone(), bells.1.clone());
    let second = end(other_life, watch, back, there, bells.1, bells.0);
    Ok((first, second))
}

impl End {
    /// Sends a message, waiting for room as long as it takes.
    #[inline]
    pub(super) fn send(&self, message: &[u8]) -> Result<(), Refused> {
        let Some(road) = self.outgoing.as_deref() else { return Err(Refused::Closed) };
        let left = road.news.0.left.load(Relaxed);
        if left != self.left.load(Relaxed) {
            self.left.store(left, Relaxed);
            self.is_deserted();
        }
        if self.deserted.load(Relaxed) || road.is_over() {
            return Err(Refused::Closed);
        }
        // It waits for ever, so it gets it.
        road.sending.0.lock(Owner::current(), Deadline::NEVER);
        let unlock = Unlock(&road.sending.0);
        let sent = road.send(message, || self.wait_for_room(road), || self.wake_receiver(road));
        drop(unlock);
        fence_after_release();
        self.wake_receiver(road);
        // For the next one, if it is some time since the last: that the peer was killed nobody has written down.
        let now = clock::tick();
        if now != self.looked.load(Relaxed) {
            self.looked.store(now, Relaxed);
            self.is_deserted();
        }
        sent
    }

    /// Receives a message of at most `most` bytes.
    #[inline]
    pub(super) fn receive(&self, message: &mut Vec<u8>, most: u64, patience: Patience) -> Result<(), Missed> {
        let Some(road) = self.incoming.as_deref() else { return Err(Missed::Closed) };
        let me = Owner::current();
        let locked = match patience {
            Patience::None => road.receiving.0.try_lock(me),
            Patience::Until(deadline) => road.receiving.0.lock(me, deadline),
        };
        // Somebody else waits for the same, or is just taking it.
        locked.ok_or(Missed::NotYet)?;
        let unlock = Unlock(&road.receiving.0);
        if road.is_over() {
            return Err(Missed::Closed);
        }
        let wait_for_data = |begun| self.wait_for_data(road, patience, begun);
        let received = road.receive(message, most, wait_for_data, || self.wake_sender(road));
        if let Err(Missed::Closed | Missed::Broken(Broken::TooLong(_))) = received {
            road.end();
            self.peers_bell.ring();
        }
        drop(unlock);
        fence_after_release();
        self.wake_sender(road);
        received
    }

    /// Whether there is something to receive: a look at memory.
    #[inline]
    pub(super) fn has_data(&self) -> bool {
        self.incoming.as_deref().is_some_and(|road| !road.is_empty())
    }

    /// Whether a receiver would not have to wait, because there is something or because there never will be.
    pub(super) fn is_ready(&self) -> bool {
        self.incoming.as_deref().is_none_or(|road| !road.is_empty() || road.is_over() || self.is_deserted())
    }

    /// Whether what there is to receive cannot be. Not so while somebody else receives it.
    pub(super) fn is_corrupt(&self) -> bool {
        let Some(road) = self.incoming.as_deref() else { return false };
        let locked = road.receiving.0.try_lock(Owner::current()).map(|_| Unlock(&road.receiving.0));
        locked.is_some_and(|_unlock| road.is_corrupt())
    }

    /// Where who waits until the end is ready announces himself before he sleeps.
    pub(super) fn asleep(&self) -> Option<&Asleep> {
        Some(&self.incoming.as_deref()?.for_data.0)
    }

    /// Who sleeps by this will wake when the end may be ready.
    pub(super) fn wakes(&self, sleeper: &Sleeper, rung: u64, deserted: u64) -> Result<(), Errno> {
        sleeper.hear(&self.bell, rung)?;
        sleeper.watch(self.peer.as_fd(), deserted)
    }

    /// One handle less in this process.
    pub(super) fn let_go(&self) {
        if self.presence.one_less()
            && let Some(road) = &self.incoming
        {
            // Who sends looks after us the next time.
            road.news.0.left.fetch_add(1, Relaxed);
        }
    }

    #[inline]
    fn wake_receiver(&self, road: &Road) {
        road.for_data.0.wake(|| self.peers_bell.ring());
    }

    #[inline]
    fn wake_sender(&self, road: &Road) {
        if road.for_room.0.is_marked() && road.has_room() {
            road.for_room.0.wake(|| self.peers_bell.ring());
        }
    }

    /// Whether nobody has the other end any more: then it stays so.
    fn is_deserted(&self) -> bool {
        let deserted = self.deserted.load(Relaxed) || doorbell::has_ended(self.peer.as_fd());
        self.deserted.store(deserted, Relaxed);
        deserted
    }

    #[cold]
    fn wait_for_room(&self, road: &Road) -> Result<(), Refused> {
        let there = || road.has_room() || road.is_over();
        let bed = (&self.sender, &self.spin_for_room);
        let waited = self.wait(&road.for_room.0, bed, Deadline::NEVER, there, || true);
        if road.is_over() || waited == Waited::Deserted { Err(Refused::Closed) } else { Ok(()) }
    }

    /// For a message, or more of one that has `begun`: that is taken to its end. Its sender has the lock until all is
    /// sent; if that died, others may have the end, and be silent for ever.
    #[inline]
    fn wait_for_data(&self, road: &Road, patience: Patience, begun: bool) -> Result<(), Missed> {
        let (there, bed) = (|| !road.is_empty(), (&self.receiver, &self.spin));
        let waited = match patience {
            _ if begun => self.wait(&road.for_data.0, bed, Deadline::NEVER, there, || road.is_being_sent()),
            Patience::None => self.look(there),
            Patience::Until(deadline) => self.wait(&road.for_data.0, bed, deadline, there, || true),
        };
        match waited {
            Waited::There => Ok(()),
            Waited::InVain | Waited::Deserted if begun => Err(Missed::Broken(Broken::Torn)),
            Waited::InVain => Err(Missed::NotYet),
            Waited::Deserted => Err(Missed::Closed),
        }
    }

    fn look(&self, there: impl Fn() -> bool) -> Waited {
        let deserted = self.is_deserted();
        // Once more, for what the last of them sent before it left.
        match (there(), deserted) {
            (true, _) => Waited::There,
            (false, true) => Waited::Deserted,
            (false, false) => Waited::InVain,
        }
    }

    /// Waits until something is there, awake and then asleep, as long as it is of use: asked at the end of a slice.
    #[inline]
    fn wait(
        &self,
        asleep: &Asleep,
        (bed, spin): (&Bed, &Spin),
        deadline: Deadline,
        there: impl Fn() -> bool,
        is_of_use: impl Fn() -> bool,
    ) -> Waited {
        if spin.until(&there) { Waited::There } else { self.sleep(asleep, bed, deadline, &there, &is_of_use) }
    }

    #[cold]
    fn sleep(
        &self,
        asleep: &Asleep,
        bed: &Bed,
        deadline: Deadline,
        there: &dyn Fn() -> bool,
        is_of_use: &dyn Fn() -> bool,
    ) -> Waited {
        let mut slice = Slice::first();
        let found = asleep.until(there, || match bed.sleep(self, deadline.at_most(slice.next())) {
            Some(PEER_GONE) => false,
            Some(_) => !deadline.has_passed(),
            None => !deadline.has_passed() && is_of_use(),
        });
        if found { Waited::There } else { self.look(there) }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    There,
    InVain,
    Deserted,
}

/// Where the one process sleeps that may: made when it is first needed, and anew after a fork, since a copy
/// would share its rings with the original.
#[derive(Debug, Default)]
struct Bed(Mutex<Option<(Owner, Sleeper)>>);

impl Bed {
    fn sleep(&self, end: &End, deadline: Deadline) -> Option<u64> {
        let mut bed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let me = Owner::current();
        if bed.as_ref().is_none_or(|(owner, _)| *owner != me) {
            let made =
                Sleeper::new().and_then(|sleeper| end.wakes(&sleeper, RUNG, PEER_GONE).map(|()| sleeper));
            *bed = made.ok().map(|sleeper| (me, sleeper));
        }
        match &*bed {
            Some((_, sleeper)) => sleeper.sleep(deadline),
            // No descriptor to be had.
            None => doorbell::doze(end.peer.as_fd(), deadline).then_some(PEER_GONE),
        }
    }
}

/// Gives a lock back, also if what it guards panics for want of memory.
struct Unlock<'a>(&'a RawLock);

impl Drop for Unlock<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.unlock();
    }
}

/// A full fence, between the release of a lock and the look for sleepers. Where the release is an instruction that
/// is a full fence itself, only the compiler must be told.
#[inline]
fn fence_after_release() {
    if cfg!(target_arch = "x86_64") { compiler_fence(SeqCst) } else { fence(SeqCst) }
}
