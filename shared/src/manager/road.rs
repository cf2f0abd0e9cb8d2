//! A client's side of a connection: a request goes, and its answer comes.

use super::calls::Heard;
use super::desk::{CUT, Desk, Hall, Incoming, LEFT, Outgoing, Wrong, tail};
use super::error::ManagerError;
use super::meeting::{Ears, Listened};
use super::wire::{Answer, Op, Request};
use crate::channel::message;
use crate::memory::segment::Segment;
use crate::memory::stream::Corrupt;
use crate::sync::{Slice, Spin};
use crate::sys::atomic::Ordering::SeqCst;
use crate::sys::doorbell::Doorbell;
use crate::sys::task::Owner;
use std::sync::Arc;

/// One connection: a desk, and a bell.
#[derive(Debug)]
pub(super) struct Road {
    hall: Segment<Hall>,
    bell: Arc<Doorbell>,
    number: u32,
    longest: u64,
    ears: Ears,
    owner: Owner,
    spin: Spin,
    outgoing: Outgoing,
    incoming: Incoming,
}

/// Why a road is of no use any more.
enum Broken {
    /// The server has let go of the bell.
    HangUp,
    Corrupt,
}

impl From<Corrupt> for Broken {
    fn from(_: Corrupt) -> Broken {
        Broken::Corrupt
    }
}

impl Road {
    /// What was found out at the meeting: with what to listen, which desk, and how long a request may be.
    pub(super) fn new(
        hall: Segment<Hall>,
        bell: Arc<Doorbell>,
        owner: Owner,
        (ears, number, longest): (Ears, u32, u64),
    ) -> Road {
        let (outgoing, incoming) = (Outgoing::default(), Incoming::default());
        Road { hall, bell, number, longest, ears, owner, spin: Spin::new(), outgoing, incoming }
    }

    #[inline]
    fn desk(&self) -> &Desk {
        self.hall.desk(self.number)
    }

    /// Sends a request and waits for its answer.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Answer, ManagerError> {
        self.write(request)?;
        let (begin, end) = (tail(&self.desk().requests), self.outgoing.len());
        let answered = self.send().and_then(|()| self.receive());
        answered.map_err(|why| self.failed(why, begin, end, request))?;
        let decoded = message::decode(self.incoming.frame());
        self.incoming.clear();
        // The server is of this very program; only a stranger's bytes cannot be read.
        decoded.map_err(|_| ManagerError::Unknown)
    }

    /// Sends a request that is not answered.
    pub(super) fn tell(&mut self, request: &Request) -> Result<(), ManagerError> {
        self.write(request)?;
        let (begin, end) = (tail(&self.desk().requests), self.outgoing.len());
        self.send().map_err(|why| self.failed(why, begin, end, request))
    }

    /// Turns a request into bytes.
    fn write(&mut self, request: &Request) -> Result<(), ManagerError> {
        let written = self.outgoing.fill(|bytes| message::encode(request, bytes));
        let len = written? as u64;
        if len > self.longest {
            self.outgoing.clear();
            return Err(ManagerError::TooLong { len, limit: self.longest });
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Broken> {
        loop {
            let mut outgoing = std::mem::take(&mut self.outgoing);
            let written = outgoing.write(&self.desk().requests);
            self.outgoing = outgoing;
            written?;
            self.call();
            if self.outgoing.is_written() {
                return Ok(());
            }
            self.wait(|desk| desk.requests.is_empty())?;
        }
    }

    fn receive(&mut self) -> Result<(), Broken> {
        loop {
            self.wait(|desk| !desk.answers.is_empty())?;
            let mut incoming = std::mem::take(&mut self.incoming);
            let read = incoming.read(&self.desk().answers, u64::MAX);
            self.incoming = incoming;
            match read {
                Ok(true) => return Ok(()),
                // There is room again.
                Ok(false) => self.call(),
                Err(Wrong::Corrupt | Wrong::TooLong(_)) => return Err(Broken::Corrupt),
            }
        }
    }

    #[inline]
    fn call(&self) {
        if self.hall.calls.call(self.number as usize) {
            self.bell.ring();
        }
    }

    #[inline]
    fn wait(&self, there: impl Fn(&Desk) -> bool) -> Result<(), Broken> {
        let desk = self.desk();
        if self.spin.until(|| there(desk)) { Ok(()) } else { self.sleep(&|| there(desk)) }
    }

    #[cold]
    fn sleep(&self, there: &dyn Fn() -> bool) -> Result<(), Broken> {
        let mut slice = Slice::first();
        let found = self.desk().client.0.until(there, || match self.ears.listen(slice.next()) {
            Listened::Rung(_) => Heard::Ring,
            Listened::Nothing => Heard::Nothing,
            Listened::HangUp => Heard::End,
        });
        if found { Ok(()) } else { Err(Broken::HangUp) }
    }

    /// What it means that the road is broken, for a request that began there and has so many bytes.
    fn failed(&self, why: Broken, begin: Option<u64>, len: usize, request: &Request) -> ManagerError {
        let ended = matches!(why, Broken::HangUp) && self.desk().end.0.load(SeqCst) != CUT;
        // The server takes a request out of the stream before it carries it out.
        let left = self.desk().requests.filled().ok().map(|filled| filled.from);
        let received = match (begin, left) {
            (Some(begin), Some(left)) => left.wrapping_sub(begin) >= len as u64,
            _ => true,
        };
        match (ended, received && changes(request)) {
            (_, true) => ManagerError::Unknown,
            (true, false) => ManagerError::Gone,
            (false, false) => ManagerError::Cut,
        }
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        // A copy of the parent's is not ours to leave.
        if self.owner.is_me() {
            self.desk().end.0.store(LEFT, SeqCst);
            self.call();
        }
    }
}

/// Whether it may have changed something that others have seen.
fn changes(request: &Request) -> bool {
    match request {
        Request::Census | Request::Stop | Request::Hold(_) | Request::Release { .. } => false,
        Request::Make(_) => true,
        Request::Ask(_, op) => !matches!(
            op,
            Op::Get(_)
                | Op::GetMany(_)
                | Op::Has(_)
                | Op::Keys
                | Op::Items
                | Op::Len
                | Op::Slice(..)
                | Op::Find(_)
                | Op::Count(_)
                | Op::IsLocked
                | Op::Lock { .. }
                | Op::Unlock { .. }
                | Op::Await { .. }
                | Op::Acquire(_)
                | Op::GiveBack { .. }
                | Op::IsRaised
                | Op::AwaitRaised(_)
                | Op::Meet(_)
                | Op::IsBroken
                | Op::Parties
                | Op::Join(_)
                | Op::IsFull
                | Op::IsClosed
        ),
    }
}
