//! How an example ends: well, or with one clear line.

use crate::process::signal::Signal;
use crate::process::{self, ExitError, JoinHandle};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;

/// What `main` returns, and what a child brings home: `Err` ends the program with status 1 and one line.
pub type Outcome = Result<(), Failure>;

/// What went wrong, in one line. Any error becomes one by `?`, also in a child, from where it goes home.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure(String);

impl Failure {
    /// A failure that no error type stands for.
    pub fn new(text: impl fmt::Display) -> Failure {
        Failure(text.to_string())
    }
}

/// The text as it is: what a failing `main` shows is this.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        end_like_child(&error);
        match (&error as &dyn Error).downcast_ref() {
            Some(ExitError::Panicked { pid, name, report }) if is_of_output(&report.message) => {
                Failure(format!("process {name} (pid {pid}): {}", report.message))
            }
            _ => Failure(error.to_string()),
        }
    }
}

/// Whether a panic is that of `println!` whose line cannot be written.
pub(super) fn is_of_output(panic: &str) -> bool {
    panic.starts_with("failed printing to stdout")
}

/// A child that wrote into a closed pipe, or was reached by Ctrl-C, was ended by that. The program ends
/// likewise, and has nothing to say about it.
fn end_like_child(error: &(dyn Error + 'static)) {
    if let Some(&ExitError::Signaled { signal, .. }) = error.downcast_ref()
        && [Signal::SIGPIPE, Signal::SIGINT].contains(&signal)
    {
        process::kill_all();
        process::exit(128 + signal.number());
    }
}

/// Waits for all of these children, so that none fails unseen. The first failure is the outcome.
pub fn join_all(children: impl IntoIterator<Item = JoinHandle<Outcome>>) -> Outcome {
    let mut outcome = Ok(());
    for child in children {
        let ended = child.join().unwrap_or_else(|error| Err(error.into()));
        outcome = outcome.and(ended);
    }
    outcome
}
