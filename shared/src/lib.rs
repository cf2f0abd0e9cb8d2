//! Processes, and what they share: the Rust answer to Python's `multiprocessing`, on Linux.
#![doc(test(attr(deny(warnings))))]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("`shared` is for 64-bit Linux: it is built on fork, pidfd and futex");

pub mod channel;
#[cfg(feature = "demo")]
pub mod demo;
pub mod memory;
pub mod process;
pub mod sync;
mod sys;
