//! Processes: starting them, waiting for them, ending them.
//!
//! A child is a **fork**: a copy of this process at this moment, which calls one closure and ends. It
//! begins with all that the parent has, by value: what it changes, it changes in its own copy. What both
//! are to see lies in [`memory`](crate::memory) or under a lock of [`sync`](crate::sync), made before the
//! fork.
//!
//! # Three forks that are refused
//!
//! `fork(2)` copies the memory and *one* thread, the one that calls it. That is the source of its two old
//! troubles, and of one that is Rust's own:
//!
//! * **Other threads are running** ([`SpawnError::Threads`]). One of them may be just inside the allocator,
//!   or hold the lock of standard output. In the child that lock is locked, and the thread that would unlock
//!   it does not exist. Out of 200 children of a parent whose threads were printing, 76 hung.
//! * **This thread holds a guard** ([`SpawnError::GuardHeld`]). A guard is a promise: whoever has it is the
//!   only one who reaches the data. The fork photocopies it, and then two processes hold the same promise
//!   over memory that is *not* copied but really shared: two `&mut` to one value, which Rust's type system
//!   promised could not be. Types keep guards from being sent anywhere, but a fork asks no type. So guards
//!   are counted, and a fork waits for none.
//! * **This process is a daemon** ([`SpawnError::Daemon`]), as in Python: a daemon may be killed at any
//!   moment, and its children would be orphans.
//!
//! # A child's life
//!
//! First it becomes somebody: its own name, its own list of children (none), a random generator
//! (`rand::rng()`) that draws what nobody else draws, standard input from `/dev/null`. (What
//! `std::io::stdin` had read ahead before the fork lies in a buffer, and is copied with it: do not read from it
//! in the child.) A daemon, and a child marked
//! [`ends_with_parent`](Builder::ends_with_parent), asks the kernel for a SIGKILL when its parent dies.
//! Then it calls the closure. What that returns goes home through memory made for it before the fork; a
//! panic goes home with its message and place. Last it ends its own daemons, waits for its other children,
//! runs the [hooks](at_exit) that were registered *in it*, flushes standard output and leaves by `_exit(2)`:
//! none of the parent's destructors and exit hooks run a second time.
//!
//! # The end of a program
//!
//! As in Python: when `main` returns or panics, and at [`exit`], daemons are terminated and the other
//! children are waited for. When a process is killed, its daemons die with it, within milliseconds; its
//! other children live on, and are their own masters.
//!
//! The parent keeps one descriptor for each child, a pidfd. A handle that is dropped leaves no zombie: the
//! child is collected at once if it has ended, else at a later spawn or at the end. An application may
//! ignore SIGCHLD; then a child's end is still noticed, but nobody knows how it came
//! ([`ExitError::StatusUnknown`]).

mod builder;
mod child;
mod children;
mod error;
mod exit;
mod handle;
mod identity;
mod null;
mod own;
mod panics;
mod report;
mod scope;
pub mod signal;

pub use builder::{Builder, spawn};
pub use children::active_children;
pub(crate) use children::children_since;
#[cfg(feature = "demo")]
pub(crate) use children::kill_all;
pub use error::{ExitError, PanicReport, SpawnError};
pub use exit::{at_exit, exit};
pub use handle::JoinHandle;
pub use identity::{Parent, Process, current, parent};
pub use scope::{Scope, scope};
