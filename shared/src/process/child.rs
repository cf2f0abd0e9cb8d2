//! What a new child does first, and what it does last.

use super::children::close_siblings;
use super::error::PanicReport;
use super::exit::{FAILED, leave};
use super::identity::{self, Identity};
use super::report::Report;
use crate::channel::Message;
use crate::sys::signal::Blocked;
use crate::sys::task;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stdin, getppid};
use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::mem::{self, ManuallyDrop};
use std::os::fd::AsRawFd;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::OnceLock;
use std::thread;

/// What a child is born with.
pub(super) struct Birth<'a> {
    pub(super) who: Identity,
    /// The pid of its parent, when that forked.
    pub(super) parent: u32,
    pub(super) dies_with_parent: bool,
    /// It must not end before its parent has a descriptor of it: with SIGCHLD ignored nothing of it would
    /// be left, and its pid might be another's.
    pub(super) waits_to_go: bool,
    /// `/dev/null`, to read from.
    pub(super) null: File,
    /// Where it leaves what it has to say.
    pub(super) report: &'a Report,
    /// No handler runs before it has its bearings.
    pub(super) blocked: Blocked,
}

/// The whole life of a child, from the fork to its end.
pub(super) fn live<F, T>(birth: Birth<'_>, f: F) -> !
where
    F: FnOnce() -> T,
    T: Message,
{
    // Below this frame lie the parent's frames. Nothing may ever unwind into them.
    let _never_unwind = LeaveOnUnwind;
    bind_to_parent(&birth);
    close_siblings();
    identity::mine().become_child(birth.who);
    read_from(birth.null);
    record_panics();
    let report = birth.report;
    drop(birth.blocked);

    // The value is not dropped: its destructor might panic, and nobody needs its room any more.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| report.say_value(&*ManuallyDrop::new(f()))));
    let well = outcome.unwrap_or_else(|payload| {
        report.say_panic(&describe(&*payload));
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
    if birth.waits_to_go {
        birth.report.wait_to_go(orphaned);
    }
}

/// Standard input is one stream, and it is the parent's: as in Python, a child reads from `/dev/null`.
fn read_from(null: File) {
    if null.as_raw_fd() == 0 {
        mem::forget(null); // The parent had closed its own, and this one has that place already.
    } else {
        // It fails if there is no descriptor 0 and can be none. Then there is no input either. (What the parent
        // has read ahead lies in a buffer that nobody can empty here: the parent may hold its lock.)
        let _ = dup2_stdin(null);
    }
}

thread_local! {
    /// What the last panic of this thread said, and where.
    static LAST_PANIC: Cell<Option<PanicReport>> = const { Cell::new(None) };
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Has each panic noted, besides what the program's own hook does with it.
fn record_panics() {
    // The program's own hook; from then on it is called from here.
    static PROGRAMS: OnceLock<Hook> = OnceLock::new();
    // The hook cannot be changed by a thread that is panicking, which a fork in a destructor may be.
    if thread::panicking() {
        return;
    }
    panic::set_hook(match PROGRAMS.set(panic::take_hook()) {
        // It captures nothing, and so takes no memory: a page of the heap less to copy.
        Ok(()) => Box::new(|panic| {
            note(panic);
            PROGRAMS.get().inspect(|hook| hook(panic));
        }),
        // A child of a child: what it inherited may be the hook above, or one that calls it.
        Err(inherited) => Box::new(move |panic| {
            note(panic);
            inherited(panic);
        }),
    });
}

fn note(panic: &PanicHookInfo<'_>) {
    let (file, line) = panic.location().map_or(("unknown", 0), |place| (place.file(), place.line()));
    LAST_PANIC.set(Some(PanicReport { message: text_of(panic.payload()), file: file.to_owned(), line }));
}

/// What a panic has said, and the place if it was noted: a payload that was thrown again has none.
fn describe(payload: &(dyn Any + Send)) -> PanicReport {
    let message = text_of(payload);
    match LAST_PANIC.take() {
        Some(noted) if noted.message == message => noted,
        _ => PanicReport { message, file: "unknown".to_owned(), line: 0 },
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default().to_owned()
}

struct LeaveOnUnwind;

impl Drop for LeaveOnUnwind {
    fn drop(&mut self) {
        task::exit_now(FAILED);
    }
}
