//! The limits of those who carry messages: memory that two processes share, both awake, and nothing besides.
#![allow(unsafe_code)]

use crate::course::Message;
use crate::peers::{map, map_bytes};
use std::cell::UnsafeCell;
use std::hint;
use std::ptr;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

/// A message and its count on two neighbouring cache lines, where one writes and another looks.
#[repr(C, align(128))]
struct Slot {
    count: AtomicU64,
    message: UnsafeCell<Message>,
}

/// The least that it takes to talk: a place for what one says, and one for the answer.
#[derive(Clone, Copy)]
pub(crate) struct Slots(&'static [Slot; 2]);

// SAFETY: a message is written by one, before its count, and read by the other, after it.
unsafe impl Sync for Slots {}
// SAFETY: as above.
unsafe impl Send for Slots {}

impl Slots {
    pub(crate) fn new() -> Slots {
        // SAFETY: zeroes are numbers.
        Slots(unsafe { map() })
    }

    /// Says in the one, hears in the other. For one process each, one message at a time.
    pub(crate) fn end(self, says: usize) -> (impl FnMut(Message), impl FnMut() -> Message) {
        let (out, back) = (&self.0[says], &self.0[1 - says]);
        let (mut said, mut heard) = (0, 0);
        let say = move |message| {
            said += 1;
            // SAFETY: the other has read the one before, else there would be nothing to say.
            unsafe { out.message.get().write_volatile(message) };
            out.count.store(said, Release);
        };
        let hear = move || {
            heard += 1;
            while back.count.load(Acquire) != heard {
                hint::spin_loop();
            }
            // SAFETY: it is there, and the next one comes after the answer.
            unsafe { back.message.get().read_volatile() }
        };
        (say, hear)
    }
}

/// The least that a queue from one to one can do: a copy in and a copy out.
pub(crate) struct Ring {
    filled: &'static AtomicU64,
    emptied: &'static AtomicU64,
    slots: *mut u8,
    size: usize,
    depth: u64,
}

// SAFETY: a slot is the producer's until `filled` passes it, and then the consumer's until `emptied` does.
unsafe impl Sync for Ring {}

impl Ring {
    pub(crate) fn new(size: usize, depth: u64) -> Ring {
        assert!(size >= size_of::<u64>());
        let slots = map_bytes(size * depth as usize);
        // SAFETY: zeroes are numbers, each on a page of its own.
        unsafe { Ring { filled: map(), emptied: map(), slots, size, depth } }
    }

    /// Where the message of this position lies.
    fn slot(&self, position: u64) -> *mut u8 {
        // SAFETY: below the depth, so inside the mapping.
        unsafe { self.slots.add((position % self.depth) as usize * self.size) }
    }

    /// Puts a message that begins with the number. For one process.
    pub(crate) fn producer(&self) -> impl FnMut(u64) {
        let mut at = self.filled.load(Acquire);
        let mut free = at;
        let mut message = vec![7u8; self.size];
        move |number| {
            message[..8].copy_from_slice(&number.to_ne_bytes());
            while at == free {
                free = self.emptied.load(Acquire) + self.depth;
                hint::spin_loop();
            }
            // SAFETY: a slot that is the producer's, as large as the message.
            unsafe { ptr::copy_nonoverlapping(message.as_ptr(), self.slot(at), self.size) };
            at += 1;
            self.filled.store(at, Release);
        }
    }

    /// Gets a message, and returns its number. For one process.
    pub(crate) fn consumer(&self) -> impl FnMut() -> u64 {
        let mut at = self.emptied.load(Acquire);
        let mut filled = at;
        let mut message = vec![0u8; self.size];
        move || {
            while at == filled {
                filled = self.filled.load(Acquire);
                hint::spin_loop();
            }
            // SAFETY: a slot that is the consumer's, as large as the message.
            unsafe { ptr::copy_nonoverlapping(self.slot(at), message.as_mut_ptr(), self.size) };
            at += 1;
            self.emptied.store(at, Release);
            let message = hint::black_box(&message);
            u64::from_ne_bytes(message[..8].try_into().expect("eight bytes"))
        }
    }
}
