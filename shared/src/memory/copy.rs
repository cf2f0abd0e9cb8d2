//! Copying to and from memory that several processes see.
//!
//! The C library copies what is longer than some 2 KiB by one instruction, `rep movsb`. On AMD's Zen 4 and 5 that is
//! twenty to thirty times slower where the distance from source to destination, but for whole pages, is below a cache
//! line: 4 KiB then take 1.4 to 2.2 µs instead of 50 to 90 ns. Here this is the rule and not bad luck: blocks and large
//! allocations begin on a page, and a few bytes of head stand before what is in them. Such a copy is made in pieces too
//! short for that instruction.
#![allow(unsafe_code)]

use std::ptr;

const PAGE: usize = 4096;
const CACHE_LINE: usize = 64;
/// The longest that glibc copies by ordinary instructions, whatever the length of its registers.
const PIECE: usize = 2048;

/// # Safety
///
/// As [`ptr::copy_nonoverlapping`]: so many bytes must be there and there, apart, and nobody may write them meanwhile.
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    let is_slow = to.addr().wrapping_sub(from.addr()) % PAGE < CACHE_LINE;
    if len > PIECE && is_slow {
        // SAFETY: the caller's promise.
        unsafe { copy_in_pieces(from, to, len) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { ptr::copy_nonoverlapping(from, to, len) }
    }
}

/// # Safety
///
/// As [`copy`].
#[cold]
unsafe fn copy_in_pieces(from: *const u8, to: *mut u8, len: usize) {
    for at in (0..len).step_by(PIECE) {
        // SAFETY: a part of what the caller promised.
        unsafe { ptr::copy_nonoverlapping(from.add(at), to.add(at), PIECE.min(len - at)) }
    }
}

/// # Safety
///
/// So many bytes must lie there, which nobody writes meanwhile.
#[inline]
pub(super) unsafe fn append(from: *const u8, len: usize, to: &mut Vec<u8>) {
    to.reserve(len);
    let end = to.len();
    // SAFETY: the caller's promise; there is room for them, and they are all bytes.
    unsafe {
        copy(from, to.as_mut_ptr().add(end), len);
        to.set_len(end + len);
    }
}

/// Appends these bytes.
#[inline]
pub(crate) fn append_all(bytes: &[u8], to: &mut Vec<u8>) {
    // SAFETY: they are borrowed.
    unsafe { append(bytes.as_ptr(), bytes.len(), to) }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, PIECE, append_all, copy};

    #[test]
    fn every_byte_arrives_and_no_other_is_touched_at_any_distance() {
        let from: Vec<u8> = (0..4 * PAGE).map(|i| (i % 251) as u8).collect();
        for distance in [0, 1, 5, 63, 64, PAGE - 1] {
            for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 7] {
                let mut to = vec![255; 6 * PAGE];
                // As if both began on a page.
                let start = from.as_ptr().addr().wrapping_sub(to.as_ptr().addr()) % PAGE + distance;
                // SAFETY: at most 3 * PIECE + 7 bytes from 2 * PAGE on, of 4 and 6 pages.
                unsafe { copy(from.as_ptr(), to[start..].as_mut_ptr(), len) };
                assert_eq!(to[start..start + len], from[..len], "{len} bytes, {distance} further");
                assert!(to[..start].iter().chain(&to[start + len..]).all(|byte| *byte == 255));
            }
        }
    }

    #[test]
    fn what_is_appended_stands_behind_what_was_there() {
        let mut to = vec![7];
        append_all(&[1, 2, 3], &mut to);
        assert_eq!(to, [7, 1, 2, 3]);
    }
}
