//! How an example ends: well, or with one clear line.

use crate::process::{ExitError, exit};
use nix::sys::signal::Signal;
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
        end_quietly_if_nobody_reads(&error);
        Failure(error.to_string())
    }
}

/// A child that wrote into a closed pipe was ended by that, and nobody reads what we would say of it.
fn end_quietly_if_nobody_reads(error: &(dyn Error + 'static)) {
    const CLOSED_PIPE: i32 = Signal::SIGPIPE as i32;
    if let Some(ExitError::Signaled { signal: CLOSED_PIPE, .. }) = error.downcast_ref() {
        exit(128 + CLOSED_PIPE);
    }
}
