//! Where a client and the server leave bytes for one another.
//!
//! The hall is one piece of shared memory, made before the server and before all clients. In it is a desk for each
//! connection: two streams, of requests and of answers. A frame is its length and its bytes; one longer than the
//! stream goes through it piece by piece, as room is made. How they call one another is told in `calls.rs`.
//!
//! # Why it is right
//!
//! A frame counts when its last byte was published, by one store. Whoever dies leaves whole frames and perhaps a beginning
//! of one; the server looks at the desk of a dead client once more, and what is only a beginning is forgotten. A
//! desk is somebody else's only when its client has said that it has left it, or has ended.
//!
//! *Nothing here is believed*: the streams check their counters, a length is compared with what is allowed before a
//! byte of it is taken, and no room is made for what is only announced.
#![allow(unsafe_code)]

use super::calls::{Calls, Nap};
use crate::memory::segment::Segment;
use crate::memory::stream::{Corrupt, GRAIN, Line, Span, Stream};
use crate::sys::atomic::{AtomicU32, AtomicU64};
use crate::sys::map::Mapping;
use nix::errno::Errno;

/// As many connections as there can be.
pub(super) const DESKS: usize = 1024;
/// Bytes under way in each direction.
const ROOM: usize = 1 << 15;

/// What [`Desk::end`] says: the client has left; the server has cut the connection.
pub(super) const LEFT: u32 = 1;
pub(super) const CUT: u32 = 2;

/// All zeroes is an empty one.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Hall {
    pub(super) calls: Calls<{ DESKS / 64 }>,
    /// How many clients have come to the meeting.
    pub(super) knocks: Line<AtomicU64>,
    desks: [Desk; DESKS],
}

#[derive(Debug)]
#[repr(C, align(4096))]
pub(super) struct Desk {
    pub(super) requests: Stream<ROOM>,
    pub(super) answers: Stream<ROOM>,
    pub(super) client: Line<Nap>,
    /// Not 0: this connection is over.
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
