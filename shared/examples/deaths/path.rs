//! The way that a victim goes, instruction by instruction, and what is known of the code that it runs through.

use std::collections::{HashMap, HashSet};

/// The addresses of the instructions that a victim ran through, one for each boundary between two.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) addresses: Vec<u64>,
    /// How often the same address came before.
    pub(crate) repeats: Vec<u32>,
    /// Where to put the breakpoint on the way to each boundary.
    pub(crate) landmarks: Vec<usize>,
    /// The first boundary that belongs to the operation.
    first: usize,
}

/// An instruction, and how often it was run before.
pub(crate) type Place = (u64, u32);

impl Path {
    /// What a breakpoint costs that is passed once, in steps.
    const PASS: usize = 2;

    pub(crate) fn new(addresses: Vec<u64>, first: usize) -> Path {
        let mut seen = HashMap::new();
        let mut path = Path { addresses, repeats: Vec::new(), landmarks: Vec::new(), first };
        for (index, &address) in path.addresses.iter().enumerate() {
            let repeat = *seen.entry(address).and_modify(|n| *n += 1).or_insert(0_u32);
            let cost = |landmark: usize, repeat: u32| Path::PASS * repeat as usize + (index - landmark);
            let landmark = match path.landmarks.last() {
                Some(&last) if cost(last, path.repeats[last]) < cost(index, repeat) => last,
                _ => index,
            };
            path.repeats.push(repeat);
            path.landmarks.push(landmark);
        }
        path
    }

    /// A sleep: one boundary, reached without a step.
    pub(crate) fn sleep() -> Path {
        Path::new(vec![0], 0)
    }

    pub(crate) fn boundaries(&self) -> Vec<usize> {
        (self.first..self.addresses.len()).collect()
    }

    pub(crate) fn last(&self) -> usize {
        self.addresses.len() - 1
    }

    pub(crate) fn place(&self, boundary: usize) -> Place {
        (self.addresses[boundary], self.repeats[boundary])
    }

    /// The instruction before the boundary.
    pub(crate) fn before(&self, boundary: usize) -> Option<u64> {
        self.addresses[..boundary].last().copied()
    }

    /// Whether the instruction there has been run before: a turn of a loop.
    pub(crate) fn is_repeat(&self, boundary: usize) -> bool {
        self.repeats[boundary] > 0
    }
}

/// What is known of the program's code: which instruction follows upon which that neither branches nor calls the
/// system. A single step is dear, where the machine is a virtual one ten times as dear as a breakpoint.
#[derive(Debug, Default)]
pub(crate) struct Code {
    straight: HashMap<u64, u64>,
    atomic: HashSet<u64>,
}

impl Code {
    pub(crate) fn straight_on(&self, at: u64) -> Option<u64> {
        self.straight.get(&at).copied()
    }

    /// Whether the instruction changes a word that others read meanwhile: `lock` before it, or `xchg`.
    pub(crate) fn is_atomic(&self, at: u64) -> bool {
        self.atomic.contains(&at)
    }

    pub(crate) fn learn(&mut self, at: u64, next: u64, code: impl FnOnce() -> Option<i64>) {
        let Some(code) = code().map(i64::to_le_bytes) else { return };
        if next != at && !Code::may_leave(&code) {
            self.straight.insert(at, next);
        }
        let (prefixes, operation) = Code::parts(&code);
        if prefixes.contains(&0xf0) || matches!(operation, [0x86 | 0x87, ..]) {
            self.atomic.insert(at);
        }
    }

    /// An instruction's prefixes, and what comes behind them.
    fn parts(code: &[u8]) -> (&[u8], &[u8]) {
        let is_prefix = |byte: &&u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
        code.split_at(code.iter().take_while(is_prefix).count())
    }

    /// The length of an instruction that copies or fills many bytes. A step is one turn of it.
    pub(crate) fn repeating(code: &[u8]) -> Option<u64> {
        let (prefixes, operation) = Code::parts(code);
        let repeats = prefixes.contains(&0xf3) && matches!(operation, [0xa4 | 0xa5 | 0xaa | 0xab, ..]);
        repeats.then_some(prefixes.len() as u64 + 1)
    }

    /// Whether the instruction may go elsewhere than to the next.
    fn may_leave(code: &[u8]) -> bool {
        match Code::parts(code).1 {
            [0x0f, second, ..] => matches!(second, 0x05 | 0x0b | 0x34 | 0x80..=0x8f),
            [first, ..] => {
                matches!(first, 0x70..=0x7f | 0xc2 | 0xc3 | 0xcc..=0xcf | 0xe0..=0xe3 | 0xe8..=0xeb | 0xf4 | 0xff)
            }
            [] => true,
        }
    }
}
