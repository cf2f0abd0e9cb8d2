//! One direction of a connection: messages through a stream of bytes in shared memory.
//!
//! # The pieces
//!
//! ```text
//!  63      56 55               0
//! ┌──────────┬──────────────────┐
//! │   kind   │ length in bytes  │  then the bytes, filled up to a multiple of eight
//! └──────────┴──────────────────┘
//! WHOLE   a message
//! FIRST   of a longer one: its whole length in eight bytes, then its beginning
//! NEXT    more of it
//! LAST    the end of it
//! ```
//!
//! # Why it is right
//!
//! *Whole messages.* A piece is published by one store, so it is there or not, whoever is killed. The longer ones
//! are sent piece by piece under the senders' lock, and taken under the receivers'. If a sender dies in between,
//! the next piece is the beginning of another message, or none comes and nobody alive has the senders' lock: either way
//! the receiver knows that this one was torn. If a receiver dies in between, the next receiver finds a piece without a
//! beginning, and tells that the message was torn when it has taken the rest: so it is told once. There is
//! nothing to repair, so who inherits a lock need not know what its owner was about.
//!
//! *Waking* is told in `asleep.rs`. The full fence between a change and the look for sleepers is the release of the
//! lock, where the processor gives one with it.
//!
//! *Nothing here is believed*: `stream.rs` checks the counters, [`Road::piece`] what it reads. What cannot be is
//! [`Broken::Corrupt`].
#![allow(unsafe_code)]

use super::asleep::Asleep;
use crate::memory::segment::Segment;
use crate::memory::stream::{Corrupt, GRAIN, Line, Span, Stream};
use crate::sync::RawLock;
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use nix::errno::Errno;

/// Room for messages on their way.
pub(super) const ROOM: usize = 1 << 18;
/// Up to here a message is one piece.
const WHOLE_AT_MOST: usize = ROOM / 4;
/// The pieces of longer ones: small enough to stay in the cache, while the other side copies the last one.
const PIECE: usize = 1 << 16;

const WHOLE: u64 = 1 << 56;
const FIRST: u64 = 2 << 56;
const NEXT: u64 = 3 << 56;
const LAST: u64 = 4 << 56;
const LENGTH: u64 = (1 << 56) - 1;

/// What all processes share of it. All zeroes is an empty one.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Road {
    stream: Stream<ROOM>,
    /// Who sleeps until there is something to receive, or room to send.
    pub(super) for_data: Line<Asleep>,
    pub(super) for_room: Line<Asleep>,
    /// One sends and one receives at a time.
    pub(super) sending: Line<RawLock>,
    pub(super) receiving: Line<RawLock>,
    pub(super) news: Line<News>,
}

/// What hardly ever changes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct News {
    /// How often a process has let go of the receiving end.
    pub(super) left: AtomicU64,
    /// Not 0: somebody was told that nothing comes any more.
    pub(super) over: AtomicU64,
}

/// Why no message can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Of this one only the beginning, or the end, is there. It has been passed over.
    Torn,
    /// It is longer than the receiver wants.
    TooLong(u64),
    Corrupt,
}

impl From<Corrupt> for Broken {
    fn from(_: Corrupt) -> Broken {
        Broken::Corrupt
    }
}

/// A piece that lies there.
#[derive(Debug)]
struct Piece {
    kind: u64,
    /// Its bytes.
    body: Span,
    /// Where the next one begins.
    end: u64,
}

impl Piece {
    fn is_later(&self) -> bool {
        matches!(self.kind, NEXT | LAST)
    }
}

impl Road {
    /// Maps one.
    pub(super) fn new() -> Result<Segment<Road>, Errno> {
        // SAFETY: all zeroes is an empty stream, two locks that are free, and numbers.
        unsafe { Segment::zeroed() }
    }

    /// Whether a receiver would find anything.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.stream.is_empty()
    }

    /// Whether a sender that sleeps is to be woken: not for every little room.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.stream.vacant().map_or(true, |vacant| vacant.len >= ROOM / 2)
    }

    /// Sends, under the lock of the senders. `wait_for_room` returns when there may be more of it, with the answer
    /// whether to go on; `after_piece` is called when a piece was sent that is not the last.
    #[inline]
    pub(super) fn send<E: From<Corrupt>>(
        &self,
        message: &[u8],
        wait_for_room: impl FnMut() -> Result<(), E>,
        after_piece: impl FnMut(),
    ) -> Result<(), E> {
        if message.len() <= WHOLE_AT_MOST {
            let at = self.make_room(padded(message.len()) + GRAIN, wait_for_room)?;
            self.put(at, WHOLE, message, &[]);
            Ok(())
        } else {
            self.send_long(message, wait_for_room, after_piece)
        }
    }

    #[cold]
    fn send_long<E: From<Corrupt>>(
        &self,
        message: &[u8],
        mut wait_for_room: impl FnMut() -> Result<(), E>,
        mut after_piece: impl FnMut(),
    ) -> Result<(), E> {
        let mut len = (message.len() as u64).to_ne_bytes().to_vec();
        let (mut is_first, mut rest) = (true, message);
        loop {
            let at = self.make_room(PIECE, &mut wait_for_room)?;
            let (now, later) = rest.split_at(rest.len().min(PIECE - 2 * GRAIN));
            let kind = match (is_first, later.is_empty()) {
                (true, _) => FIRST,
                (false, false) => NEXT,
                (false, true) => LAST,
            };
            self.put(at, kind, &len, now);
            if later.is_empty() {
                return Ok(());
            }
            fence(SeqCst);
            after_piece();
            (is_first, rest) = (false, later);
            len.clear();
        }
    }

    /// Where so many bytes can be written.
    #[inline]
    fn make_room<E: From<Corrupt>>(
        &self,
        len: usize,
        mut wait_for_room: impl FnMut() -> Result<(), E>,
    ) -> Result<u64, E> {
        loop {
            let vacant = self.stream.vacant()?;
            if vacant.len >= len {
                return Ok(vacant.from);
            }
            wait_for_room()?;
        }
    }

    #[inline]
    fn put(&self, at: u64, kind: u64, first: &[u8], then: &[u8]) {
        let (len, body) = (first.len() + then.len(), at.wrapping_add(GRAIN as u64));
        if cfg!(feature = "sabotage-connection") {
            // The mistake that the killer must find: the piece may be taken before it is written.
            self.stream.publish(body.wrapping_add(padded(len) as u64));
        }
        self.stream.write_number(at, kind | len as u64);
        self.stream.write(body, first);
        self.stream.write(body.wrapping_add(first.len() as u64), then);
        self.stream.publish(body.wrapping_add(padded(len) as u64));
    }

    /// Receives, under the lock of the receivers: appends a message of at most `most` bytes. `wait_for_data` returns
    /// when there may be more, with the answer whether to go on; it is told whether a message has begun.
    /// `after_piece` is called when a piece was taken that is not the last.
    #[inline]
    pub(super) fn receive<E: From<Broken>>(
        &self,
        message: &mut Vec<u8>,
        most: u64,
        mut wait_for_data: impl FnMut(bool) -> Result<(), E>,
        after_piece: impl FnMut(),
    ) -> Result<(), E> {
        let piece = loop {
            match self.piece()? {
                Some(piece) if piece.is_later() => return self.pass_over(piece, wait_for_data, after_piece),
                Some(piece) => break piece,
                None => wait_for_data(false)?,
            }
        };
        let len = piece.body.len as u64;
        match piece.kind {
            WHOLE if len > most => Err(Broken::TooLong(len))?,
            WHOLE => {
                self.stream.read(piece.body, message);
                self.stream.free(piece.end);
                Ok(())
            }
            _ => self.receive_long(piece, message, most, wait_for_data, after_piece),
        }
    }

    /// The rest of a message whose beginning went with another receiver. Told when all of it has been taken: so nothing
    /// is left for which a `poll` would say that there is something to receive.
    #[cold]
    fn pass_over<E: From<Broken>>(
        &self,
        mut piece: Piece,
        mut wait_for_data: impl FnMut(bool) -> Result<(), E>,
        mut after_piece: impl FnMut(),
    ) -> Result<(), E> {
        while piece.is_later() {
            self.stream.free(piece.end);
            if piece.kind == LAST {
                break;
            }
            fence(SeqCst);
            after_piece();
            piece = self.next_piece(&mut wait_for_data)?;
        }
        Err(Broken::Torn)?
    }

    /// Of a message that has begun.
    fn next_piece<E: From<Broken>>(
        &self,
        mut wait_for_data: impl FnMut(bool) -> Result<(), E>,
    ) -> Result<Piece, E> {
        loop {
            match self.piece()? {
                Some(piece) => return Ok(piece),
                None => wait_for_data(true)?,
            }
        }
    }

    #[cold]
    fn receive_long<E: From<Broken>>(
        &self,
        first: Piece,
        message: &mut Vec<u8>,
        most: u64,
        mut wait_for_data: impl FnMut(bool) -> Result<(), E>,
        mut after_piece: impl FnMut(),
    ) -> Result<(), E> {
        let total = self.stream.number(first.body.from);
        if total > most {
            Err(Broken::TooLong(total))?;
        }
        let begin = first.body.from.wrapping_add(GRAIN as u64);
        let mut body = Span { from: begin, len: first.body.len.saturating_sub(GRAIN) };
        let (mut end, mut left) = (first.end, total);
        loop {
            // No room is made for what is only announced.
            self.stream.read(body, message);
            self.stream.free(end);
            left = left.checked_sub(body.len as u64).ok_or(Broken::Corrupt)?;
            if left == 0 {
                return Ok(());
            }
            fence(SeqCst);
            after_piece();
            let next = self.next_piece(&mut wait_for_data)?;
            if !next.is_later() {
                Err(Broken::Torn)?;
            }
            (body, end) = (next.body, next.end);
        }
    }

    /// The piece that comes next, if it is there.
    #[inline]
    fn piece(&self) -> Result<Option<Piece>, Broken> {
        let filled = self.stream.filled()?;
        if filled.len == 0 {
            return Ok(None);
        }
        let number = self.stream.number(filled.from);
        let (kind, len) = (number & !LENGTH, number & LENGTH);
        let possible = matches!(kind, WHOLE | FIRST | NEXT | LAST) && len <= (filled.len - GRAIN) as u64;
        if !possible || (kind == FIRST && len < GRAIN as u64) {
            return Err(Broken::Corrupt);
        }
        let body = Span { from: filled.from.wrapping_add(GRAIN as u64), len: len as usize };
        Ok(Some(Piece { kind, body, end: body.from.wrapping_add(padded(body.len) as u64) }))
    }

    /// Whether a sender that lives is in the middle of something. If not, what it has sent can be seen from now on.
    #[cold]
    pub(super) fn is_being_sent(&self) -> bool {
        let is_sent = self.sending.0.owner().is_some_and(|owner| !owner.has_ended());
        fence(SeqCst);
        is_sent
    }

    pub(super) fn is_corrupt(&self) -> bool {
        self.piece().is_err()
    }

    /// Somebody is told that nothing comes any more: then nobody may get anything any more.
    pub(super) fn end(&self) {
        self.news.0.over.store(1, Relaxed);
        fence(SeqCst);
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.news.0.over.load(Relaxed) != 0
    }
}

/// Up to a multiple of the grain.
#[inline]
fn padded(len: usize) -> usize {
    len.next_multiple_of(GRAIN)
}
