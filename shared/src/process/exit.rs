//! The end of a process: its family first, then its hooks.

use super::children::{self, CHILDREN};
use super::identity;
use super::own::Own;
use crate::sys::task;
use std::cell::Cell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The exit code of a process that panicked, as Rust has it.
pub(super) const FAILED: i32 = 101;

type Hook = Box<dyn FnOnce() + Send>;

/// The hooks of this process.
static HOOKS: Own<Vec<Hook>> = Own::new(Vec::new());

thread_local! {
    /// This thread is at the end of its process.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Registers `hook` to run when this process ends by itself: Python's `atexit.register`.
///
/// It runs when `main` returns or panics, at [`exit`], and in a child when its closure has returned or
/// panicked; after the process's own children have ended, the last registered first. It runs in the process
/// that registered it and in no other: a child does not have its parent's hooks. A process that is killed
/// runs none.
///
/// ```
/// use shared::process;
///
/// let child = process::spawn(|| process::at_exit(|| println!("the child says goodbye")));
/// child.join().unwrap();
/// ```
#[doc(alias = "atexit")]
pub fn at_exit(hook: impl FnOnce() + Send + 'static) {
    hook_into_exit();
    HOOKS.lock().push(Box::new(hook));
}

/// Ends the calling process with this code, as `std::process::exit` does, and as Python's `sys.exit`.
///
/// In a child too: it ends its daemons, waits for its other children, runs the hooks that it registered and
/// flushes standard output; then it leaves, without running what the *program* had registered for its own
/// end. (`std::process::exit` would run that.) No destructors run.
pub fn exit(code: i32) -> ! {
    // In the midst of its end, from a hook or from the answer to a signal, a program cannot begin another:
    // `std` aborts it then. What is left to be done is done here.
    if identity::mine().get().parent.is_none() && !ENDING.get() {
        process::exit(code);
    }
    leave(code)
}

/// The last that a child does.
#[inline(always)]
pub(super) fn leave(code: i32) -> ! {
    if CHILDREN.is_used() || HOOKS.is_used() {
        finish();
    }
    // Forgotten, not dropped: that would be one function more.
    std::mem::forget(std::io::stdout().flush());
    task::exit_now(code)
}

/// Whether this thread is ending its process.
pub(super) fn has_begun() -> bool {
    ENDING.get()
}

/// Sees to it that [`finish`] runs when the program ends. Called before the first fork.
pub(super) fn hook_into_exit() {
    /// Whose exit is hooked, 0 for nobody's. A child inherits the hook and this number.
    static HOOKED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn at_exit() {
        if HOOKED.load(Relaxed) == process::id() {
            finish();
        }
    }
    // Looked at first: after a fork, to write is dear.
    if HOOKED.load(Relaxed) == 0 && HOOKED.swap(process::id(), Relaxed) == 0 {
        task::at_exit(at_exit);
    }
}

/// Ends the daemons, waits for the other children, runs the hooks.
fn finish() {
    ENDING.set(true);
    // A panic is told by the panic hook, and must not keep the rest from being done.
    let _ = catch_unwind(children::end_all);
    // Taken one by one, with the table unlocked while each runs: a hook may register another.
    while let Some(hook) = HOOKS.lock_if_used().and_then(|mut hooks| hooks.pop()) {
        let _ = catch_unwind(AssertUnwindSafe(hook));
    }
}
