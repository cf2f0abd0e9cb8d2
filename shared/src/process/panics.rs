//! What a child's panic said, and where: noted when it happens, for it cannot be asked afterwards.

use super::error::PanicReport;
use std::any::Any;
use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Over a fork: panics are noted, besides what the program's own hook does with them.
///
/// The parent sets this hook before the fork and gives the program its own back afterwards; the child has it
/// then, and need not touch a page for it. Dropped in the parent, forgotten in the child.
#[derive(Debug)]
pub(super) struct PanicsNoted {
    /// `None`: this thread is panicking itself (a fork in a destructor), and then no hook can be changed.
    programs: Option<Arc<ProgramsHook>>,
}

struct ProgramsHook(Hook);

impl std::fmt::Debug for ProgramsHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProgramsHook")
    }
}

impl PanicsNoted {
    pub(super) fn begin() -> PanicsNoted {
        if thread::panicking() {
            return PanicsNoted { programs: None };
        }
        let programs = Arc::new(ProgramsHook(panic::take_hook()));
        let called = Arc::clone(&programs);
        panic::set_hook(Box::new(move |panic| {
            note(panic);
            (called.0)(panic);
        }));
        PanicsNoted { programs: Some(programs) }
    }
}

impl Drop for PanicsNoted {
    fn drop(&mut self) {
        let Some(programs) = self.programs.take() else { return };
        drop(panic::take_hook());
        // Ours was the other reference. Had another thread changed the hook meanwhile, its choice would stand.
        if let Some(programs) = Arc::into_inner(programs) {
            panic::set_hook(programs.0);
        }
    }
}

thread_local! {
    /// What the last panic of this thread said, and where.
    static LAST: Cell<Option<PanicReport>> = const { Cell::new(None) };
}

fn note(panic: &PanicHookInfo<'_>) {
    let (file, line) = panic.location().map_or(("unknown", 0), |place| (place.file(), place.line()));
    LAST.set(Some(PanicReport { message: text_of(panic.payload()), file: file.to_owned(), line }));
}

/// What a panic has said, and the place if it was noted: a payload that was thrown again has none.
pub(super) fn describe(payload: &(dyn Any + Send)) -> PanicReport {
    let message = text_of(payload);
    match LAST.take() {
        Some(noted) if noted.message == message => noted,
        _ => PanicReport { message, file: "unknown".to_owned(), line: 0 },
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default().to_owned()
}
