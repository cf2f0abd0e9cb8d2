//! A stream of bytes in shared memory, from who writes at its tail to who reads at its head: arithmetic and
//! copies, no waiting and no system calls.
//!
//! ```text
//!  bytes:   …free… │ head ── filled ──▶ tail │ …free…        both count for ever; the place is their rest
//! ```
//!
//! # Why it is right
//!
//! One process writes at a time and one reads; whoever calls sees to that, by a lock for each side. What lies
//! between `head` and `tail` is the reader's, all else is the writer's. `publish` hands bytes over with one
//! `Release` store, which the reader's `Acquire` load sees; `free` hands the room back likewise. So whoever
//! dies, between any two instructions, has handed over all of it or nothing.
//!
//! *Nothing here is believed.* The counters can be overwritten by a process that has gone mad. They are checked
//! wherever they are read, and the copies go by the checked values, inside the bytes: the worst are wrong bytes.
#![allow(unsafe_code)]

use super::copy::{append, copy};
use crate::sys::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::cell::UnsafeCell;

/// Whatever is written is a multiple of this long.
pub(crate) const GRAIN: usize = 8;

/// Kept apart from its neighbours: two cache lines, as the processor fetches them in pairs.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// The counters cannot be: somebody has written where nobody should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// Some part of the bytes: where it begins, by count, and its length, which is at most that of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) len: usize,
}

/// `N` bytes, a power of two. All zeroes is an empty one.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stream<const N: usize> {
    tail: Line<AtomicU64>,
    head: Line<AtomicU64>,
    bytes: Line<UnsafeCell<[u8; N]>>,
}

// SAFETY: the counters are atomics; the bytes are reached by copies only, and who may copy what when is told
// above. A process that breaks the rules makes other bytes, never another memory.
unsafe impl<const N: usize> Sync for Stream<N> {}

impl<const N: usize> Stream<N> {
    const CHECKED: () = assert!(N.is_power_of_two() && N >= 64);

    /// For the reader: what it may read.
    #[inline]
    pub(crate) fn filled(&self) -> Result<Span, Corrupt> {
        let from = self.head.0.load(Relaxed);
        let len = between(from, self.tail.0.load(Acquire), N)?;
        Ok(Span { from, len })
    }

    /// For the writer: where it may write.
    #[inline]
    pub(crate) fn vacant(&self) -> Result<Span, Corrupt> {
        let from = self.tail.0.load(Relaxed);
        let len = N - between(self.head.0.load(Acquire), from, N)?;
        Ok(Span { from, len })
    }

    /// Whether there may be something to read, for who only looks.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.0.load(Relaxed) == self.tail.0.load(Acquire)
    }

    /// Appends these bytes of the stream to `to`. `span` lies in what is [`filled`](Self::filled).
    #[inline]
    pub(crate) fn read(&self, span: Span, to: &mut Vec<u8>) {
        let len = span.len.min(N);
        to.reserve(len);
        let (place, first) = split::<N>(span.from, len);
        // SAFETY: both parts lie inside the bytes (`split`). The writer keeps away from them until they are freed.
        unsafe {
            append(self.start().add(place), first, to);
            append(self.start(), len - first, to);
        }
    }

    /// The number that was [written](Self::write_number) there.
    #[inline]
    pub(crate) fn number(&self, at: u64) -> u64 {
        let place = at as usize % N / GRAIN * GRAIN;
        // SAFETY: eight bytes inside, as `N` and `place` are multiples of eight; aligned, as the bytes are.
        unsafe { self.start().add(place).cast::<u64>().read() }
    }

    /// Writes these bytes. They fit into what is [`vacant`](Self::vacant).
    #[inline]
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(N)];
        let (place, first) = split::<N>(at, bytes.len());
        // SAFETY: both parts lie inside the bytes (`split`). The reader keeps away until they are published.
        unsafe {
            let start = self.start();
            copy(bytes.as_ptr(), start.add(place), first);
            copy(bytes[first..].as_ptr(), start, bytes.len() - first);
        }
    }

    /// Writes a number, in eight bytes.
    #[inline]
    pub(crate) fn write_number(&self, at: u64, number: u64) {
        let place = at as usize % N / GRAIN * GRAIN;
        // SAFETY: as in `number`.
        unsafe { self.start().add(place).cast::<u64>().write(number) }
    }

    /// For the writer: all up to here may be read.
    #[inline]
    pub(crate) fn publish(&self, tail: u64) {
        self.tail.0.store(tail, Release);
    }

    /// For the reader: all up to here may be written again.
    #[inline]
    pub(crate) fn free(&self, head: u64) {
        self.head.0.store(head, Release);
    }

    fn start(&self) -> *mut u8 {
        const { Self::CHECKED };
        self.bytes.0.get().cast()
    }
}

/// How much lies between two counts, if that can be.
#[inline]
fn between(head: u64, tail: u64, most: usize) -> Result<usize, Corrupt> {
    let filled = tail.wrapping_sub(head);
    let grain = GRAIN as u64;
    if filled <= most as u64 && head.is_multiple_of(grain) && tail.is_multiple_of(grain) {
        Ok(filled as usize)
    } else {
        Err(Corrupt)
    }
}

/// The place of a count, and how much of `len` comes before the end of the bytes.
#[inline]
fn split<const N: usize>(at: u64, len: usize) -> (usize, usize) {
    let place = at as usize % N;
    (place, len.min(N - place))
}
