//! What a new child does first, and what it does last.

use super::children::close_siblings;
use super::exit::{FAILED, leave};
use super::identity::Expecting;
use super::panics::{self, PanicsNoted};
use super::report::Report;
use crate::channel::{Message, presence};
use crate::sys::mask::Blocked;
use crate::sys::task;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use std::mem::{self, ManuallyDrop};
use std::os::fd::OwnedFd;
use std::panic::{self, AssertUnwindSafe};

/// What a child is born with.
pub(super) struct Birth<'a> {
    /// It finds out who it is when it asks.
    pub(super) expecting: Expecting,
    /// The pid of its parent, when that forked.
    pub(super) parent: u32,
    pub(super) dies_with_parent: bool,
    /// It must not end before its parent has a descriptor of it: with SIGCHLD ignored nothing of it would
    /// be left, and its pid might be another's.
    /// Or its parent has still to say which ends of connections are its own.
    pub(super) waits_to_go: bool,
    pub(super) hears_which_ends: bool,
    /// `/dev/null`, to read from.
    pub(super) null: OwnedFd,
    /// Where it leaves what it has to say.
    pub(super) report: &'a Report,
    /// The hook that notes its panics, which it keeps.
    pub(super) panics_noted: PanicsNoted,
    /// No handler runs before it has its bearings.
    pub(super) blocked: Blocked,
}

/// The whole life of a child, from the fork to its end.
///
/// Each page of code or data that it is the first to touch costs it a page fault, with what it takes to unmap that
/// again 4 µs or so. Therefore it writes next to nothing, and what every child runs through is inlined into the one
/// function in which it is born.
#[inline(always)]
pub(super) fn live<F, T>(birth: Birth<'_>, f: F) -> !
where
    F: FnOnce() -> T,
    T: Message,
{
    // Below this frame lie the parent's frames. Nothing may ever unwind into them.
    let _never_unwind = LeaveOnUnwind;
    if birth.dies_with_parent || birth.waits_to_go {
        bind_to_parent(&birth);
    }
    mem::forget((birth.expecting, birth.panics_noted));
    close_siblings();
    // Standard input is one stream, and it is the parent's: as in Python, a child reads from /dev/null. (What
    // the parent has read ahead lies in a buffer that cannot be emptied here: the parent may hold its lock.)
    task::read_from(birth.null);
    let report = birth.report;
    drop(birth.blocked);

    // The value is not dropped: its destructor might panic, and nobody needs its room any more.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| report.say_value(&*ManuallyDrop::new(f()))));
    let well = outcome.unwrap_or_else(|payload| {
        report.say_panic(&panics::describe(&*payload));
        mem::forget(payload);
        false
    });
    leave(if well { 0 } else { FAILED })
}

/// `prctl(PR_SET_PDEATHSIG)`, and a look whether it came too late.
fn bind_to_parent(birth: &Birth<'_>) {
    let orphaned = || getppid().as_raw() as u32 != birth.parent;
    if birth.dies_with_parent && (prctl::set_pdeathsig(Signal::SIGKILL).is_err() || orphaned()) {
        task::exit_now(FAILED);
    }
    let let_go = birth.waits_to_go && birth.report.wait_to_go(orphaned);
    if birth.hears_which_ends {
        if !let_go {
            // The parent has died in the middle of `spawn`. Nobody knows what this child was given.
            task::exit_now(FAILED);
        }
        presence::keep(&birth.report.heard_ends());
    }
}

struct LeaveOnUnwind;

impl Drop for LeaveOnUnwind {
    fn drop(&mut self) {
        task::exit_now(FAILED);
    }
}
