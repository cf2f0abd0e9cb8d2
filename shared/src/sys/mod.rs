//! The ground floor: the kernel, and nothing else.
//!
//! One file for each kernel facility, each function's text beginning with the system call that it
//! stands for. Nothing here knows of locks or of handles. Most of the crate's `unsafe` lives here,
//! behind safe functions.

pub(crate) mod call;
pub(crate) mod clock;
pub(crate) mod doorbell;
pub(crate) mod futex;
pub(crate) mod map;
pub(crate) mod mask;
pub(crate) mod pidfd;
pub(crate) mod signal;
pub(crate) mod task;

/// The atomics that the algorithms above use. They take them from here, so that the models in
/// `tests/` can run the same source over atomics of their own.
pub(crate) use std::sync::atomic;
