//! Connections whose memory somebody has overwritten: an error, never a crash, a hang or an access outside.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::status;
use shared::channel::{Connection, Nothing, RecvError, RecvTimeoutError, SendError, pipe};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

harness::main! {
    trials {
        pipe_29_a_length_that_cannot_be_is_refused,
        pipe_30_an_absurd_length_takes_no_memory,
        overwritten_counters_are_refused,
        a_lock_overwritten_with_nobody_is_taken,
        whatever_is_overwritten_is_survived,
    }
}

/// What lies where in the memory of one direction.
const TAIL: u64 = 0;
const HEAD: u64 = 128;
const BYTES: u64 = 256;
const AFTER: u64 = BYTES + (1 << 18);
const SENDING: u64 = AFTER + 256;
const RECEIVING: u64 = AFTER + 384;

const WHOLE: u64 = 1 << 56;
const FIRST: u64 = 2 << 56;

/// The memory of a connection, reached from outside.
struct Memory {
    all: File,
    start: u64,
}

impl Memory {
    fn write(&self, at: u64, number: u64) {
        self.all.write_all_at(&number.to_ne_bytes(), self.start + at).unwrap();
    }

    fn read(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.all.read_exact_at(&mut bytes, self.start + at).unwrap();
        u64::from_ne_bytes(bytes)
    }
}

/// Where this process has shared memory.
fn shared_memory() -> BTreeSet<u64> {
    let text = fs::read_to_string("/proc/self/maps").unwrap();
    let shared = text.lines().filter(|line| line.contains("rw-s"));
    shared.map(|line| u64::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap()).collect()
}

type Ends = (Connection<(), Nothing>, Connection<Nothing, ()>);

fn overwritable() -> (Ends, Memory) {
    let before = shared_memory();
    let ends = pipe();
    let maps = shared_memory();
    // One that lies beside another is listed as one with it.
    let start = *maps.difference(&before).next().expect("a mapping");
    let all = OpenOptions::new().read(true).write(true).open("/proc/self/mem").unwrap();
    (ends, Memory { all, start })
}

fn pipe_29_a_length_that_cannot_be_is_refused() {
    for header in [u64::MAX, WHOLE | ((1 << 56) - 1), WHOLE | 9, 5, FIRST, FIRST | 7, 5 << 56 | 5] {
        let ((sender, receiver), memory) = overwritable();
        sender.send_bytes(b"hello").unwrap();
        assert_eq!(memory.read(BYTES), WHOLE | 5);
        memory.write(BYTES, header);
        for _ in 0..2 {
            assert_eq!(receiver.recv_bytes(), Err(RecvError::Corrupt), "{header:x}");
            assert_eq!(receiver.poll(Duration::ZERO), Err(RecvError::Corrupt));
        }
    }
}

fn pipe_30_an_absurd_length_takes_no_memory() {
    let peak = || status("VmPeak").trim_end_matches(" kB").parse::<u64>().unwrap();
    let ((sender, receiver), memory) = overwritable();
    sender.send_bytes(&[7; 1000]).unwrap();
    memory.write(BYTES, FIRST | 1000);
    memory.write(BYTES + 8, 64 << 40);
    drop(sender);
    let before = peak();
    assert_eq!(
        receiver.recv_bytes_at_most(1 << 30),
        Err(RecvError::TooLong { len: 64 << 40, limit: 1 << 30 })
    );
    assert_eq!(receiver.recv_bytes(), Err(RecvError::Closed));

    let ((sender, receiver), memory) = overwritable();
    sender.send_bytes(&[7; 1000]).unwrap();
    memory.write(BYTES, FIRST | 1000);
    memory.write(BYTES + 8, 64 << 40);
    drop(sender);
    assert_eq!(receiver.recv_bytes(), Err(RecvError::Torn));
    assert_eq!(receiver.recv_bytes(), Err(RecvError::Closed));
    assert!(peak() < before + (16 << 10), "{before} kB and then {} kB", peak());
}

fn overwritten_counters_are_refused() {
    for (counter, number) in
        [(TAIL, u64::MAX), (TAIL, 8 + (1 << 18)), (TAIL, 12), (HEAD, 24), (HEAD, 4), (HEAD, 1 << 63)]
    {
        let ((sender, receiver), memory) = overwritable();
        sender.send_bytes(b"hello").unwrap();
        assert_eq!(memory.read(TAIL), 16);
        memory.write(counter, number);
        assert_eq!(receiver.recv_bytes(), Err(RecvError::Corrupt), "{counter}: {number:x}");
        assert!(matches!(sender.send_bytes(b"hello"), Err(SendError::Corrupt(()))), "{counter}: {number:x}");
    }
}

fn a_lock_overwritten_with_nobody_is_taken() {
    let ((sender, receiver), memory) = overwritable();
    for number in [1 << 40, u64::MAX, 1 << 31, 3 << 30] {
        memory.write(SENDING, number);
        sender.send_bytes(b"hello").unwrap();
        assert_eq!(memory.read(SENDING), 0, "that was the lock of the senders");
        memory.write(RECEIVING, number);
        assert_eq!(receiver.recv_bytes().unwrap(), b"hello");
        assert_eq!(memory.read(RECEIVING), 0, "that was the lock of the receivers");
    }
}

/// Any of the words, by any number: what comes back may be wrong, but it comes back.
fn whatever_is_overwritten_is_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut errors = 0;
    for _ in 0..300 {
        let ((sender, receiver), memory) = overwritable();
        (0..10).for_each(|n| sender.send_bytes(&vec![n; 100 * usize::from(n)]).unwrap());
        for _ in 0..1 + random() % 4 {
            let at = [TAIL, HEAD, BYTES, BYTES + 8, AFTER, AFTER + 128, SENDING, RECEIVING, AFTER + 512]
                [(random() % 9) as usize];
            let number =
                [random(), random() % 4096 * 8, 1 << (random() % 64), u64::MAX][(random() % 4) as usize];
            // A lock may be anybody's but a living process's: who waits for that one waits.
            let nobody = if [SENDING, RECEIVING].contains(&at) { 1 << 29 } else { 0 };
            memory.write(at, number | nobody);
        }
        for _ in 0..12 {
            match receiver.recv_timeout(Duration::from_micros(100)) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(_) => errors += 1,
            }
        }
        // There may seem to be no room: then to send is to wait.
        if memory.read(TAIL).wrapping_sub(memory.read(HEAD)) < 1 << 17 {
            errors += u32::from(sender.send_bytes(b"hello").is_err());
        }
    }
    assert!(errors > 300, "only {errors}");
}
