//! Sleeping on a word of memory, and waking those who sleep on it.
#![allow(unsafe_code)]

use super::atomic::AtomicU64;
use super::clock::Deadline;
use super::signal;
use nix::errno::Errno;
use nix::libc;
use std::ptr;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Woken, or the word had changed already, or a signal came: look again.
    LookAgain,
    /// The deadline passed, and no wake-up was used up by this sleeper.
    TimedOut,
}

/// `futex(FUTEX_WAIT_BITSET)`: sleeps while the word's low half is that of `seen`, at most until the
/// deadline.
///
/// The kernel compares 32 bits only. Whoever lays out such a word puts what sleepers go by there.
#[inline]
pub(crate) fn wait(word: &AtomicU64, seen: u64, deadline: Deadline) -> Wait {
    // (Past the deadline the kernel has to be asked: only it knows of a wake-up.)
    let answers_signals = signal::is_any_caught();
    if answers_signals && signal::safe_point() && !deadline.has_passed() {
        return Wait::LookAgain;
    }
    let until = deadline.to_timespec();
    let until: *const libc::timespec = until.as_ref().map_or(ptr::null(), |t| t.as_ref());
    // SAFETY: the kernel reads four bytes inside `word`, which is borrowed, and `until`, which is null
    // or lives in this frame; it writes nothing.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            low_half(word),
            libc::FUTEX_WAIT_BITSET,
            seen as u32,
            until,
            ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    // What one who slept has not touched for long is far away: each page of it, code or data, costs a quarter of a
    // microsecond now. So this is inlined, down from the primitives, and looks at nothing more if it can be helped.
    if result == 0 && !answers_signals {
        return Wait::LookAgain;
    }
    let waited = match Errno::result(result) {
        Err(Errno::ETIMEDOUT) => Wait::TimedOut,
        _ => Wait::LookAgain,
    };
    // Also when no signal interrupted it: another thread may have noted one, or this one just before it slept.
    signal::safe_point();
    waited
}

/// `futex(FUTEX_WAKE)`: wakes at most `count` of those who sleep on the word. Returns how many it were.
#[inline]
pub(crate) fn wake(word: &AtomicU64, count: i32) -> u32 {
    // SAFETY: the kernel takes the address as a key and reads nothing. It fails only for an address
    // that is not mapped, and this one is borrowed.
    let woken = unsafe { libc::syscall(libc::SYS_futex, low_half(word), libc::FUTEX_WAKE, count) };
    u32::try_from(woken).unwrap_or(0)
}

/// `futex(FUTEX_WAKE_OP)`: sets bits, of the lowest eleven, and wakes all who sleep on the word. Who is killed has done
/// both or neither. It orders as `SeqCst` does.
#[inline]
pub(crate) fn set_and_wake_all(word: &AtomicU64, bits: u32) {
    const OF_ANOTHER_WORD: usize = 0;
    let set = libc::FUTEX_OP(libc::FUTEX_OP_OR, bits as libc::c_int, libc::FUTEX_OP_CMP_EQ, 0);
    let word = low_half(word);
    // SAFETY: the kernel changes four bytes by an atomic instruction, those of a word that is borrowed and an
    // atomic. It fails only where nothing is mapped.
    unsafe {
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE_OP, i32::MAX, OF_ANOTHER_WORD, word, set)
    };
}

#[inline]
fn low_half(word: &AtomicU64) -> *const u32 {
    let halves: *const u32 = word.as_ptr().cast();
    if cfg!(target_endian = "big") { halves.wrapping_add(1) } else { halves }
}
