//! The shared memory of an object, reached from outside: what a process could do to it that has gone mad.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The shared memory of this process: where each mapping begins, and its length.
pub fn shared_memory() -> BTreeMap<usize, usize> {
    let text = fs::read_to_string("/proc/self/maps").expect("maps");
    let shared = text.lines().filter(|line| line.contains("rw-s"));
    let range = |line: &str| {
        let (start, rest) = line.split_once('-')?;
        let (end, _) = rest.split_once(' ')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        Some((start, usize::from_str_radix(end, 16).ok()? - start))
    };
    shared.filter_map(range).collect()
}

/// The word at an address.
pub fn word(address: usize) -> &'static AtomicU64 {
    assert!(address.is_multiple_of(8));
    // SAFETY: the caller names memory of an object that it keeps, where there are words, or bytes that are only copied.
    unsafe { &*(address as *const AtomicU64) }
}

/// Overwrites a word.
pub fn overwrite(address: usize, number: u64) {
    word(address).store(number, SeqCst);
}
