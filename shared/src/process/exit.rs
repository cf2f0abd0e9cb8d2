//! The end of a process: its family first, then its hooks.

use super::children;
use super::identity;
use crate::sys::task;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::{Mutex, PoisonError};

/// The exit code of a process that panicked, as Rust has it.
pub(super) const FAILED: i32 = 101;

type Hook = Box<dyn FnOnce() + Send>;

/// The hooks of this process, and whose they are: a fork copies them, but they are not the child's.
static HOOKS: Mutex<(u32, Vec<Hook>)> = Mutex::new((0, Vec::new()));

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
    let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    if hooks.0 != process::id() {
        // The parent's: forgotten, not dropped, as everything that is the parent's.
        std::mem::forget(std::mem::replace(&mut *hooks, (process::id(), Vec::new())));
    }
    hooks.1.push(Box::new(hook));
}

/// Ends the calling process with this code, as `std::process::exit` does, and as Python's `sys.exit`.
///
/// In a child too: it ends its daemons, waits for its other children, runs the hooks that it registered and
/// flushes standard output; then it leaves, without running what the *program* had registered for its own
/// end. (`std::process::exit` would run that.) No destructors run.
pub fn exit(code: i32) -> ! {
    if identity::mine().get().parent.is_none() {
        process::exit(code);
    }
    leave_child(code)
}

/// The last that a child does.
pub(super) fn leave_child(code: i32) -> ! {
    finish();
    let _ = std::io::stdout().flush();
    task::exit_now(code)
}

/// Sees to it that [`finish`] runs when the program ends. Called before the first fork.
pub(super) fn hook_into_exit() {
    /// Whose exit is hooked. A child inherits the hook and this number.
    static HOOKED: Mutex<u32> = Mutex::new(0);
    extern "C" fn at_exit() {
        if *HOOKED.lock().unwrap_or_else(PoisonError::into_inner) == process::id() {
            finish();
        }
    }
    let mut hooked = HOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    if *hooked == 0 {
        *hooked = process::id();
        task::at_exit(at_exit);
    }
}

/// Ends the daemons, waits for the other children, runs the hooks.
fn finish() {
    // A panic is told by the panic hook, and must not keep the rest from being done.
    let _ = catch_unwind(children::end_all);
    loop {
        let hook = {
            let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
            if hooks.0 == process::id() { hooks.1.pop() } else { None }
        };
        let Some(hook) = hook else { break };
        let _ = catch_unwind(AssertUnwindSafe(hook));
    }
}
