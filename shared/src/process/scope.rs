//! Processes that do not outlive the block in which they were started.

use super::builder::Builder;
use super::children::{CHILDREN, Child, end_daemons};
use super::handle::JoinHandle;
use crate::channel::Message;
use crate::sys::clock::Deadline;
use crate::sys::pidfd::Status;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Calls `f` with a scope, in which it may start processes that borrow from the caller: `std::thread::scope`,
/// with processes. When `f` has returned, the scope's daemons are terminated and its other children are
/// waited for.
///
/// What a child borrows it has in its own copy, as all memory: a change stays with it.
///
/// # Panics
///
/// If `f` panics, after the scope's children have ended. And as in `std`, if a child whose handle was not
/// joined ended badly, daemons excepted.
///
/// ```
/// use shared::process;
///
/// let names = vec!["egon", "yang"];
/// let lengths = process::scope(|s| {
///     let children: Vec<_> = names.iter().map(|name| s.spawn(|| name.len())).collect();
///     children.into_iter().map(|child| child.join().unwrap()).collect::<Vec<_>>()
/// });
/// assert_eq!(lengths, [4, 4]);
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope { children: RefCell::new(Vec::new()), scope: PhantomData, env: PhantomData };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    let failed = scope.end();
    match (result, failed) {
        (Err(panic), _) => resume_unwind(panic),
        (Ok(_), Some(failed)) => panic!("a scoped process failed: {failed}"),
        (Ok(value), None) => value,
    }
}

/// Where scoped processes are started. See [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    children: RefCell<Vec<Arc<Child>>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Starts a process that the end of the scope waits for.
    ///
    /// # Panics
    ///
    /// If it cannot be started; [`Builder::spawn_scoped`] returns the error.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Message,
    {
        Builder::new().spawn_scoped(self, f).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts a daemon: a process that the end of the scope terminates.
    ///
    /// # Panics
    ///
    /// If it cannot be started; [`Builder::spawn_scoped`] returns the error.
    #[track_caller]
    pub fn spawn_daemon<F, T>(&'scope self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Message,
    {
        Builder::new().daemon(true).spawn_scoped(self, f).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn add(&self, child: Arc<Child>) {
        self.children.borrow_mut().push(child);
    }

    /// Terminates the daemons, waits for the others. Returns who failed unseen, if anybody.
    fn end(&self) -> Option<String> {
        let (daemons, others): (Vec<_>, Vec<_>) =
            self.children.take().into_iter().partition(|child| child.process.is_daemon());
        end_daemons(&daemons);
        let mut failed = None;
        for child in others {
            let status = child.wait(Deadline::NEVER);
            if !child.is_joined() {
                failed = failed.or_else(|| describe_failure(&child, status));
            }
        }
        CHILDREN.lock().collect_abandoned(); // Their descriptors need not wait for the next spawn.
        failed
    }
}

fn describe_failure(child: &Child, status: Option<Status>) -> Option<String> {
    let how = match status? {
        Status::Exited(0) | Status::Unknown => return None,
        Status::Exited(code) => format!("exited with code {code}"),
        Status::Signaled(signal) => format!("was ended by signal {signal}"),
    };
    Some(format!("{} (pid {}) {how}", child.process.name(), child.process.id()))
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("children", &self.children.borrow().len()).finish_non_exhaustive()
    }
}
