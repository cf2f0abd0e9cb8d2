//! The road home: memory in which a child leaves its value, or the reason why there is none.
#![allow(unsafe_code)]

use super::error::PanicReport;
use super::own::Own;
use crate::channel::message::{self, Message, MessageError};
use crate::sys::clock::Deadline;
use crate::sys::futex;
use crate::sys::map::Mapping;
use nix::errno::Errno;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::slice;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

/// A place for one child's report, in memory that was mapped before the fork.
///
/// A child that nobody asks for its value writes and leaves; nobody need be there to read. Large values
/// need no pipe that somebody would have to empty meanwhile, and no descriptor. Of `()` nothing is written:
/// an exit code of 0 says as much, and no page is touched.
///
/// The places are address space only: a page takes memory when it is written. They are mapped by the dozen
/// and used again, for a mapping more or less costs a tenth of a fork. A child could write to the places of
/// its siblings, as it could to any memory they share; this file gives it its own.
#[derive(Debug)]
pub(super) struct Report {
    head: &'static Head,
    room: usize,
}

/// The head of a place; the bytes follow. All zeroes: nothing has been said.
#[derive(Debug)]
#[repr(C, align(16))]
struct Head {
    /// Length of what was said, its kind in the top byte. Written last: what is announced is whole.
    said: AtomicU64,
    /// Not 0: the parent has its descriptor of the child.
    known: AtomicU64,
}

const VALUE: u64 = 1 << 56;
const PANIC: u64 = 2 << 56;
const UNSENDABLE: u64 = 3 << 56;
const ENDS: u64 = 4 << 56;
const LENGTH: u64 = (1 << 56) - 1;

/// What a child said before it ended.
pub(super) enum Said<T> {
    Nothing,
    Value(Result<T, MessageError>),
    Panic(PanicReport),
    Unsendable(String),
}

/// The places of this process that no child has.
static FREE: Own<Vec<Report>> = Own::new(Vec::new());

/// Places in one mapping.
const PLACES: usize = 32;
/// Room in a place, the most that a system gives: some count address space as if it were used.
const ROOM: [usize; 3] = [1 << 30, 1 << 24, 1 << 16];
/// What a place may keep of its memory for the next child.
const KEPT: usize = 1 << 16;

impl Report {
    /// A place for the next child.
    pub(super) fn new() -> Result<Report, Errno> {
        let mut free = FREE.lock();
        match free.pop() {
            Some(report) => Ok(report),
            None => {
                let (mapping, room) = map_places()?;
                free.extend((1..PLACES).rev().map(|n| Report::at(mapping, n, room)));
                Ok(Report::at(mapping, 0, room))
            }
        }
    }

    fn at(mapping: &'static Mapping, n: usize, room: usize) -> Report {
        // SAFETY: `n * room` is inside the mapping and aligned, as `room` is; the mapping is never unmapped.
        // Zeroes are a head, and atomics may be written by both sides.
        let head = unsafe { mapping.start().add(n * room).cast().as_ref() };
        Report { head, room: room - size_of::<Head>() }
    }

    /// In the parent, after the child's end: the place may be used again. `whole`: the child finished what
    /// it wrote.
    pub(super) fn give_back(&self, whole: bool) {
        let len = (self.head.said.load(Relaxed) & LENGTH) as usize;
        if !whole || len > KEPT {
            let start = self.body().wrapping_sub(size_of::<Head>());
            Mapping::empty(start, self.room + size_of::<Head>());
        }
        self.head.said.store(0, Relaxed);
        self.head.known.store(0, Relaxed);
        FREE.lock().push(Report { head: self.head, room: self.room });
    }

    /// In the child: the value goes home. `false` if it could not be encoded, which goes home instead.
    pub(super) fn say_value<T: Message>(&self, value: &T) -> bool {
        if is_nil(value) {
            return true;
        }
        self.say(VALUE, value).map_err(|error| self.say(UNSENDABLE, &error.to_string())).is_ok()
    }

    /// In the child: its panic goes home.
    pub(super) fn say_panic(&self, report: &PanicReport) {
        // There is room for a text, and a text is never refused.
        let _ = self.say(PANIC, report);
    }

    fn say<T: Message>(&self, kind: u64, what: &T) -> Result<(), MessageError> {
        let mut bytes = Bytes { report: self, len: 0 };
        message::encode(what, &mut bytes)?;
        self.head.said.store(kind | bytes.len as u64, Release);
        Ok(())
    }

    /// In the parent, after the child's end: nobody writes any more.
    pub(super) fn heard<T: Message>(&self) -> Said<T> {
        let (said, len) = self.said();
        // SAFETY: inside the place. The child, the only one who writes here, has ended.
        let bytes = unsafe { slice::from_raw_parts(self.body(), len) };
        match said {
            VALUE => Said::Value(message::decode(bytes)),
            PANIC => message::decode(bytes).map_or(Said::Nothing, Said::Panic),
            UNSENDABLE => message::decode(bytes).map_or(Said::Nothing, Said::Unsendable),
            _ => Said::Nothing,
        }
    }

    /// The kind and the length of what was said, inside the place.
    fn said(&self) -> (u64, usize) {
        let said = self.head.said.load(Acquire);
        (said & !LENGTH, usize::try_from(said & LENGTH).unwrap_or(usize::MAX).min(self.room))
    }

    /// In the parent, which says it before the child says anything: the ends of connections that are the child's.
    pub(super) fn say_ends(&self, ends: &Vec<u64>) {
        // Numbers are never refused; if there were more of them than there is room, the child would have none.
        let _ = self.say(ENDS, ends);
    }

    /// In the child, which has been let go: what [`say_ends`](Self::say_ends) said.
    pub(super) fn heard_ends(&self) -> Vec<u64> {
        let (said, len) = self.said();
        // SAFETY: inside the place. The parent has written it and writes no more.
        let bytes = unsafe { slice::from_raw_parts(self.body(), len) };
        let ends = if said == ENDS { message::decode(bytes).unwrap_or_default() } else { Vec::new() };
        self.head.said.store(0, Relaxed);
        ends
    }

    /// In the parent: the child may go on.
    pub(super) fn let_child_go(&self) {
        self.head.known.store(1, Release);
        futex::wake(&self.head.known, 1);
    }

    /// In the child: waits for [`let_child_go`](Self::let_child_go). `false`: `orphaned` says that nobody will.
    pub(super) fn wait_to_go(&self, orphaned: impl Fn() -> bool) -> bool {
        while self.head.known.load(Acquire) == 0 && !orphaned() {
            futex::wait(&self.head.known, 0, Deadline::after(Duration::from_millis(50)));
        }
        self.head.known.load(Acquire) != 0
    }

    /// The bytes behind the head.
    fn body(&self) -> *mut u8 {
        let head: *const Head = self.head;
        head.cast_mut().cast::<u8>().wrapping_add(size_of::<Head>())
    }
}

fn map_places() -> Result<(&'static Mapping, usize), Errno> {
    let mut refused = Errno::ENOMEM;
    for room in ROOM {
        match NonZeroUsize::new(room * PLACES).map(Mapping::sparse) {
            Some(Ok(mapping)) => return Ok((Box::leak(Box::new(mapping)), room)),
            Some(Err(errno)) => refused = errno,
            None => {}
        }
    }
    Err(refused)
}

/// `()` as a byte.
const NIL: u8 = 0xc0;

/// Whether the value is `()` or a struct like it.
#[inline]
fn is_nil<T: Message>(value: &T) -> bool {
    let mut bytes = Summary { len: 0, last: 0 };
    size_of::<T>() == 0 && message::encode(value, &mut bytes).is_ok() && (bytes.len, bytes.last) == (1, NIL)
}

/// The value that needs not be said, if `T` is such a type.
pub(super) fn nil<T: Message>() -> Option<T> {
    if size_of::<T>() == 0 { message::decode(&[NIL]).ok() } else { None }
}

/// What was written, as far as it is of interest: a child that brings nothing home need not touch memory.
struct Summary {
    len: usize,
    last: u8,
}

impl Write for Summary {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.len += bytes.len();
        self.last = bytes.last().copied().unwrap_or(self.last);
        Ok(bytes.len())
    }

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The pieces of which small values are made.
const SHORT: usize = 16;

/// Writes behind the head, in the child.
struct Bytes<'a> {
    report: &'a Report,
    len: usize,
}

impl Write for Bytes<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.report.room - self.len {
            return Err(io::Error::other(format!("it is larger than {} bytes", self.report.room)));
        }
        let end = self.report.body().wrapping_add(self.len);
        // SAFETY: both loops and copies stay inside the place, as just checked. Until `said` is stored the
        // parent reads nothing here, and no other process writes here.
        unsafe {
            if bytes.len() <= SHORT {
                // Byte by byte, and not by `memcpy`, whose page of code a new child has not touched yet.
                bytes.iter().enumerate().for_each(|(n, &byte)| end.add(n).write_volatile(byte));
            } else {
                end.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
        }
        self.len += bytes.len();
        Ok(bytes.len())
    }

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
