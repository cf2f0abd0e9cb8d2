//! Where a client and the server leave bytes for one another, and how either is woken.
//!
//! The hall is one piece of shared memory, made before the server and before all clients. In it is a desk for each
//! connection: two streams, of requests and of answers. A frame is its length and its bytes; one longer than the
//! stream goes through it piece by piece, as room is made.
//!
//! # The words
//!
//! ```text
//! Hall::waiting   a bit for each desk: there may be something to read, or room, which the server has not seen yet
//! Hall::asleep    1 = the server sleeps, or is about to
//! Desk::client    AWAKE ─▶ ASLEEP ─▶ RUNG ─▶ AWAKE
//! Desk::end       0 = open, LEFT = the client has gone from it, CUT = the server has closed it
//! ```
//!
//! # The transitions
//!
//! ```text
//! call     bit 0 => 1                 by the client, after it has written or read; then it looks whether the server
//!                                     is asleep, and rings
//! hear     bits => 0                  by the server; then it looks at those desks
//! lie down AWAKE => ASLEEP            by the client; then it looks once more, and sleeps
//! ring     ASLEEP => RUNG             CAS, by the server, which then sends one ring
//! rise     ASLEEP or RUNG => AWAKE    by the client, which has then received that ring
//! ```
//!
//! # Why it is right
//!
//! *Nobody sleeps through a change.* Each side changes and then looks for the sleeper; each sleeper announces himself
//! and then looks for the change; and all four steps are in one order (`SeqCst`). So one of the two sees the other.
//!
//! *At most one ring is under way to a client*, so that to ring never blocks the server: another one takes ASLEEP, which
//! only a client writes that has received the last.
//!
//! *Whoever dies* leaves whole frames or a beginning of one. A frame counts when its last byte was published, by one
//! store; the server looks at the desk of a dead client once more, and what is only a beginning is forgotten.
//!
//! *Nothing here is believed*: the streams check their counters, a length is compared with what is allowed before a
//! byte of it is taken, and no room is made for what is only announced.
#![allow(unsafe_code)]

use crate::memory::segment::Segment;
use crate::memory::stream::{Corrupt, GRAIN, Line, Span, Stream};
use crate::sys::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use crate::sys::map::Mapping;
use nix::errno::Errno;

/// As many connections as there can be.
pub(super) const DESKS: usize = 1024;
/// Bytes under way in each direction.
const ROOM: usize = 1 << 15;

pub(super) const AWAKE: u32 = 0;
pub(super) const ASLEEP: u32 = 1;
pub(super) const RUNG: u32 = 2;

pub(super) const LEFT: u32 = 1;
pub(super) const CUT: u32 = 2;

/// All zeroes is an empty one.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Hall {
    waiting: Line<[AtomicU64; DESKS / 64]>,
    asleep: Line<AtomicU32>,
    /// How many clients have come to the meeting.
    pub(super) knocks: Line<AtomicU64>,
    desks: [Desk; DESKS],
}

#[derive(Debug)]
#[repr(C, align(4096))]
pub(super) struct Desk {
    pub(super) requests: Stream<ROOM>,
    pub(super) answers: Stream<ROOM>,
    pub(super) client: Line<AtomicU32>,
    pub(super) end: Line<AtomicU32>,
}

impl Hall {
    pub(super) fn new() -> Result<Segment<Hall>, Errno> {
        // SAFETY: all zeroes is numbers and empty streams.
        let hall: Segment<Hall> = unsafe { Segment::sparse() }?;
        hall.populate(size_of::<Hall>() - size_of::<[Desk; DESKS]>())?;
        Ok(hall)
    }

    /// The desk of this number, which may be anything.
    pub(super) fn desk(&self, number: u32) -> &Desk {
        &self.desks[number as usize % DESKS]
    }

    /// For the server: something has changed at this desk. The answer: it may be asleep, and is to be rung for.
    #[inline]
    pub(super) fn call(&self, number: u32) -> bool {
        let n = number as usize % DESKS;
        // call
        self.waiting.0[n / 64].fetch_or(1 << (n % 64), SeqCst);
        self.asleep.0.load(SeqCst) != 0
    }

    /// In the server: whether anybody has called.
    #[inline]
    pub(super) fn is_called(&self) -> bool {
        self.waiting.0.iter().any(|word| word.load(Relaxed) != 0)
    }

    /// In the server: the desks that have called, in no order. They are not told again.
    #[inline]
    pub(super) fn hear(&self, mut each: impl FnMut(u32)) {
        for (n, word) in self.waiting.0.iter().enumerate() {
            if word.load(Relaxed) == 0 {
                continue;
            }
            // hear
            let mut bits = word.swap(0, SeqCst);
            while bits != 0 {
                each(n as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }

    /// In the server, before it looks once more and then sleeps; and afterwards.
    pub(super) fn server_sleeps(&self, sleeps: bool) {
        self.asleep.0.store(u32::from(sleeps), SeqCst);
    }

    /// For one who has changed what a server that sleeps would have to look at.
    pub(super) fn is_server_asleep(&self) -> bool {
        self.asleep.0.load(SeqCst) != 0
    }
}

impl Desk {
    /// For the server: a desk as new, with memory, so that a lack of it is an error here.
    pub(super) fn open(&self) -> Result<(), Errno> {
        self.close();
        Mapping::fill(self.start(), size_of::<Desk>())
    }

    /// For the server, when nobody uses it any more: gives the memory back. What is read here is zeroes then.
    pub(super) fn close(&self) {
        Mapping::empty(self.start(), size_of::<Desk>());
    }

    fn start(&self) -> *mut u8 {
        let desk: *const Desk = self;
        desk.cast_mut().cast()
    }

    /// For the server, which has changed something here: `true` if it is to send the client a ring.
    #[inline]
    pub(super) fn rings(&self) -> bool {
        self.client.0.load(SeqCst) == ASLEEP
            // ring
            && self.client.0.compare_exchange(ASLEEP, RUNG, SeqCst, Relaxed).is_ok()
    }
}

/// A frame on its way out: its length, its bytes, and zeroes up to a whole number of grains.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

/// What a frame may keep of its memory for the next.
const KEPT: usize = 1 << 16;

impl Outgoing {
    /// A frame of what `write` writes. Returns its length.
    pub(super) fn fill<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<usize, E> {
        self.clear();
        self.bytes.extend_from_slice(&[0; GRAIN]);
        if let Err(error) = write(&mut self.bytes) {
            self.clear();
            return Err(error);
        }
        let len = self.bytes.len() - GRAIN;
        self.bytes[..GRAIN].copy_from_slice(&(len as u64).to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(GRAIN), 0);
        Ok(len)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.written = 0;
    }

    /// How long it is, in the stream.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_written(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Writes as much as there is room for.
    #[inline]
    pub(super) fn write(&mut self, to: &Stream<ROOM>) -> Result<(), Corrupt> {
        let vacant = to.vacant()?;
        let some = &self.bytes[self.written..];
        let some = &some[..some.len().min(vacant.len)];
        to.write(vacant.from, some);
        to.publish(vacant.from.wrapping_add(some.len() as u64));
        self.written += some.len();
        Ok(())
    }
}

/// Where a frame that is written now will have ended.
pub(super) fn tail(stream: &Stream<ROOM>) -> Option<u64> {
    stream.vacant().ok().map(|vacant| vacant.from)
}

/// A frame that comes in.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    /// Its length, once that is known.
    len: Option<usize>,
}

/// Why no more frames come from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    TooLong(u64),
    Corrupt,
}

impl From<Corrupt> for Wrong {
    fn from(_: Corrupt) -> Wrong {
        Wrong::Corrupt
    }
}

impl Incoming {
    /// Reads what is there, up to the end of a frame of at most `most` bytes. `true`: it is whole.
    #[inline]
    pub(super) fn read(&mut self, from: &Stream<ROOM>, most: u64) -> Result<bool, Wrong> {
        let mut filled = from.filled()?;
        if self.len.is_none() {
            if filled.len < GRAIN {
                return Ok(false);
            }
            let len = from.number(filled.from);
            if len > most {
                return Err(Wrong::TooLong(len));
            }
            self.bytes.clear();
            self.len = Some(usize::try_from(len).map_err(|_| Wrong::TooLong(len))?);
            filled = Span { from: filled.from.wrapping_add(GRAIN as u64), len: filled.len - GRAIN };
        }
        let len = self.len.unwrap_or(0);
        let missing = len.next_multiple_of(GRAIN) - self.bytes.len();
        let some = Span { from: filled.from, len: filled.len.min(missing) };
        from.read(some, &mut self.bytes);
        from.free(some.from.wrapping_add(some.len as u64));
        Ok(some.len == missing)
    }

    /// The whole frame.
    pub(super) fn frame(&self) -> &[u8] {
        &self.bytes[..self.len.unwrap_or(0).min(self.bytes.len())]
    }

    /// The next one may come.
    pub(super) fn clear(&mut self) {
        self.len = None;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }
}
