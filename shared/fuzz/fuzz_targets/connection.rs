//! A connection whose memory is overwritten between its operations: messages or errors, never a crash or a hang.
#![no_main]

mod memory;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use memory::{overwrite, shared_memory, word};
use shared::channel::pipe;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// What lies where in the memory of one direction.
const TAIL: usize = 0;
const HEAD: usize = 128;
const BYTES: usize = 256;
const ROOM: usize = 1 << 18;
const AFTER: usize = BYTES + ROOM;
const SENDING: usize = AFTER + 256;
const RECEIVING: usize = AFTER + 384;
const NEWS: usize = AFTER + 512;

#[derive(Arbitrary, Debug)]
enum Step {
    Send(u16),
    SendNumber(u32),
    TryReceive,
    Receive,
    Poll,
    LetGo,
    /// What is at the head, or that many words behind.
    Header(u8, Number),
    Word(Word, Number),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Word {
    Tail,
    Head,
    Bytes(u16),
    Data,
    Room,
    Sending,
    Receiving,
    News(u8),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Number {
    Any(u64),
    Small(u16),
    Piece { kind: u8, len: u32 },
    Plus(i16),
}

impl Number {
    fn of(self, before: u64) -> u64 {
        match self {
            Number::Any(number) => number,
            Number::Small(number) => number.into(),
            Number::Piece { kind, len } => u64::from(kind % 8) << 56 | u64::from(len % (1 << 18)),
            Number::Plus(number) => before.wrapping_add_signed(number.into()),
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let before = shared_memory();
    let (sender, receiver) = pipe::<u32>();
    let new = shared_memory();
    let start = *new.keys().find(|start| !before.contains_key(start)).expect("a mapping");
    let mut sender = Some(sender);
    let at = |offset| word(start + offset).load(SeqCst);
    let header = || at(BYTES + at(HEAD) as usize % ROOM / 8 * 8);
    for step in steps {
        // Who sends waits for room, and there may seem to be none. With a long one that is not all there it is the same
        // for who receives, unless nobody sends any more.
        let filled = at(TAIL).wrapping_sub(at(HEAD));
        let has_room = filled < ROOM as u64 / 2 || filled > ROOM as u64;
        if header() >> 56 == 2 {
            sender = None;
        }
        match (step, &sender) {
            (Step::Send(len), Some(sender)) if has_room => drop(sender.send_bytes(&vec![7; len.into()])),
            (Step::SendNumber(number), Some(sender)) if has_room => drop(sender.send(number)),
            (Step::TryReceive, _) => drop(receiver.try_recv()),
            (Step::Receive, None) => drop(receiver.recv_bytes_at_most(1 << 20)),
            (Step::Receive, _) => drop(receiver.recv_timeout(Duration::from_micros(10))),
            (Step::Poll, _) => drop(receiver.poll(Duration::ZERO)),
            (Step::LetGo, _) => sender = None,
            (Step::Header(behind, number), _) => {
                let place = BYTES + (at(HEAD) as usize % ROOM + usize::from(behind) * 8) % ROOM / 8 * 8;
                overwrite(start + place, number.of(at(place)));
            }
            (Step::Word(which, number), _) => {
                let place = match which {
                    Word::Tail => TAIL,
                    Word::Head => HEAD,
                    Word::Bytes(n) => BYTES + usize::from(n) * 8 % ROOM,
                    Word::Data => AFTER,
                    Word::Room => AFTER + 128,
                    Word::Sending => SENDING,
                    Word::Receiving => RECEIVING,
                    Word::News(n) => NEWS + usize::from(n % 3) * 8,
                };
                // A lock may be anybody's but a living process's: who waits for that one waits.
                let nobody = if [SENDING, RECEIVING].contains(&place) { 1 << 29 } else { 0 };
                overwrite(start + place, number.of(at(place)) | nobody);
            }
            _ => {}
        }
    }
});
