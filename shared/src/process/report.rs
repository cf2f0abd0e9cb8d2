//! The road home: memory in which a child leaves its value, or the reason why there is none.
#![allow(unsafe_code)]

use super::error::PanicReport;
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
    Ordering::{Acquire, Release},
};
use std::time::Duration;

/// Room for the largest value. It is address space only: a page takes memory when it is written.
const ROOM: NonZeroUsize = NonZeroUsize::new(1 << 30).unwrap();

/// Made by the parent before the fork, written by the child once, read by the parent after the child's end.
///
/// A child that nobody asks for its value writes and leaves; nobody need be there to read. Large values
/// need no pipe that somebody would have to empty meanwhile, and no descriptor.
///
/// `()` is not written at all: an exit code of 0 says as much, and no page is touched on either side.
#[derive(Debug)]
pub(super) struct Report {
    mapping: Mapping,
}

/// The head of the mapping; the bytes follow. All zeroes: nothing has been said.
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
const LENGTH: u64 = (1 << 56) - 1;

/// What a child said before it ended.
pub(super) enum Said<T> {
    Nothing,
    Value(Result<T, MessageError>),
    Panic(PanicReport),
    Unsendable(String),
}

impl Report {
    pub(super) fn new() -> Result<Report, Errno> {
        Ok(Report { mapping: Mapping::sparse(ROOM)? })
    }

    /// In the parent, after the fork: later children have no part in this.
    pub(super) fn keep_from_children(&self) {
        self.mapping.keep_from_children();
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
        self.head().said.store(kind | bytes.len as u64, Release);
        Ok(())
    }

    /// In the parent, after the child's end: nobody writes any more.
    pub(super) fn heard<T: Message>(&self) -> Said<T> {
        let said = self.head().said.load(Acquire);
        let len = usize::try_from(said & LENGTH).unwrap_or(usize::MAX).min(self.room());
        // SAFETY: inside the mapping. The child, the only one who writes here, has ended.
        let bytes = unsafe { slice::from_raw_parts(self.body(), len) };
        match said & !LENGTH {
            VALUE => Said::Value(message::decode(bytes)),
            PANIC => message::decode(bytes).map_or(Said::Nothing, Said::Panic),
            UNSENDABLE => message::decode(bytes).map_or(Said::Nothing, Said::Unsendable),
            _ if size_of::<T>() == 0 => {
                message::decode(NIL).map_or(Said::Nothing, |unit| Said::Value(Ok(unit)))
            }
            _ => Said::Nothing,
        }
    }

    /// In the parent: the child may go on.
    pub(super) fn let_child_go(&self) {
        self.head().known.store(1, Release);
        futex::wake(&self.head().known, 1);
    }

    /// In the child: waits for [`let_child_go`](Self::let_child_go), unless `orphaned` says that nobody will.
    pub(super) fn wait_to_go(&self, orphaned: impl Fn() -> bool) {
        while self.head().known.load(Acquire) == 0 && !orphaned() {
            futex::wait(&self.head().known, 0, Deadline::after(Duration::from_millis(50)));
        }
    }

    fn head(&self) -> &Head {
        // SAFETY: the mapping begins with a head, and zeroes are one. Atomics may be written by both sides.
        unsafe { self.mapping.start().cast().as_ref() }
    }

    /// The bytes behind the head.
    fn body(&self) -> *mut u8 {
        self.mapping.start().as_ptr().wrapping_add(size_of::<Head>())
    }

    fn room(&self) -> usize {
        self.mapping.len() - size_of::<Head>()
    }
}

/// `()` as bytes.
const NIL: &[u8] = &[0xc0];

/// Whether the value is `()` or a struct like it.
fn is_nil<T: Message>(value: &T) -> bool {
    let mut bytes = Vec::new();
    size_of::<T>() == 0 && message::encode(value, &mut bytes).is_ok() && bytes == NIL
}

/// Writes behind the head, in the child.
struct Bytes<'a> {
    report: &'a Report,
    len: usize,
}

impl Write for Bytes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.report.room() - self.len {
            return Err(io::Error::other("it is larger than 1 GiB"));
        }
        // SAFETY: inside the mapping, as just checked. Until `said` is stored the parent reads nothing
        // here, and no other process has this mapping.
        unsafe { self.report.body().add(self.len).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.len += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
