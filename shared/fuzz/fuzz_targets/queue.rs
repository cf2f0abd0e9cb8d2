//! A queue whose memory is overwritten between its operations: items or errors, never a crash or a hang.
#![no_main]

mod memory;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use memory::{overwrite, shared_memory, word};
use shared::channel::{JoinableQueue, Lease};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// What lies where in the mapping of the blocks.
const HINTS: usize = 0;
const MAP: usize = 4096;
const WORDS: usize = MAP + (8 << 14);
const WORDS_OF_PAGES: usize = WORDS + (8 << 16);
const BLOCKS: usize = 4 << 20;
const PLACE: usize = 128;

#[derive(Arbitrary, Debug)]
enum Step {
    /// Short, or long enough for a block of either of two sizes.
    Put(Size, u8),
    Get,
    Lease,
    DropLease,
    Done,
    TaskDone,
    Join,
    Count,
    Close(bool),
    Word(Word, Number),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Size {
    Short,
    Page,
    Pages,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Word {
    /// Hints of the line, and those who sleep.
    Line(u8),
    /// Hints about free blocks.
    Hint(u8),
    Map(u8),
    Block(u8),
    Page(u8),
    /// A place's word, length, block or count.
    Place {
        at: u8,
        word: u8,
    },
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Number {
    Any(u64),
    Small(u16),
    /// As the words of places, chunks and blocks are.
    Kind {
        kind: u8,
        number: u32,
    },
    Plus(i16),
    /// The same as another one.
    Copy(Word),
}

/// Where a word is.
fn address(line: usize, blocks: usize, which: Word) -> usize {
    match which {
        Word::Line(n) => line + usize::from(n) * 8,
        Word::Hint(n) => blocks + HINTS + usize::from(n % 32) * 8,
        Word::Map(n) => blocks + MAP + usize::from(n) * 8,
        Word::Block(n) => blocks + WORDS + usize::from(n) * 8,
        Word::Page(n) => blocks + WORDS_OF_PAGES + usize::from(n) * 8,
        Word::Place { at, word } => blocks + BLOCKS + usize::from(at) * PLACE + usize::from(word % 4) * 8,
    }
}

fuzz_target!(|input: (Option<u8>, Vec<Step>)| {
    let (bound, steps) = input;
    let before = shared_memory();
    let queue = match bound {
        Some(bound) => JoinableQueue::<String>::bounded(usize::from(bound) + 1),
        None => JoinableQueue::new(),
    };
    let mut new = shared_memory();
    new.retain(|start, _| !before.contains_key(start));
    let start_of = |large| *new.iter().find(|(_, len)| (**len > 1 << 30) == large).expect("a mapping").0;
    let (line, blocks) = (start_of(false), start_of(true));
    let mut leases: Vec<Lease<'_, String>> = Vec::new();
    for step in steps {
        match step {
            Step::Put(size, len) => {
                let len = usize::from(len) * [0, 64, 1024][size as usize];
                drop(queue.try_put("x".repeat(len)));
            }
            Step::Get => drop(queue.try_get()),
            Step::Lease => leases.extend(queue.try_get_lease()),
            Step::DropLease => drop(leases.pop()),
            Step::Done => leases.pop().into_iter().for_each(Lease::done),
            Step::TaskDone => drop(queue.task_done()),
            Step::Join => drop(queue.join_timeout(Duration::ZERO)),
            Step::Count => drop((queue.len(), queue.is_full(), queue.is_empty())),
            Step::Close(true) => queue.close(),
            Step::Close(false) => queue.close_now(),
            Step::Word(which, number) => {
                let at = address(line, blocks, which);
                let before = word(at).load(SeqCst);
                let number = match number {
                    Number::Any(number) => number,
                    Number::Small(number) => number.into(),
                    Number::Kind { kind, number } => {
                        u64::from(number) >> 28 << 32
                            | u64::from(kind % 8) << 28
                            | u64::from(number) & 0xfff_ffff
                    }
                    Number::Plus(number) => before.wrapping_add_signed(number.into()),
                    Number::Copy(from) => word(address(line, blocks, from)).load(SeqCst),
                };
                overwrite(at, number);
            }
        }
    }
});
