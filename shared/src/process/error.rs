//! Why a process could not be started, and how one ended that did not end well.

use super::signal::Signal;
use crate::channel::MessageError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// Why no process was started. Nothing has happened then: the closure was not called anywhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The program has other threads: what they hold would be held for ever in the child.
    #[error(
        "cannot fork: this process has {count} threads, and only one would go on in the child; start processes first, threads afterwards"
    )]
    Threads {
        /// Threads of this process, the calling one included.
        count: u64,
    },
    /// This thread holds guards, which the child would hold as well.
    #[error(
        "cannot fork: this thread holds {count} guard(s), of which the child would have a copy; drop them first"
    )]
    GuardHeld {
        /// How many; all that it has of one reentrant lock are one.
        count: u64,
    },
    /// The calling process is a daemon.
    #[error("cannot fork: this process is a daemon, and daemons have no children")]
    Daemon,
    /// The calling process is at its end, in a hook of [`at_exit`](super::at_exit): nobody would wait for a child.
    #[error("cannot fork: this process is ending")]
    Ending,
    /// The kernel refused.
    #[error("cannot fork: {call} failed: {source}")]
    System {
        /// The system call, or the file, at which it failed.
        call: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

impl SpawnError {
    pub(super) fn system(call: &'static str, source: impl Into<io::Error>) -> SpawnError {
        SpawnError::System { call, source: source.into() }
    }
}

/// Why a child brought no value home.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExitError {
    /// Its closure panicked.
    #[error("process {name} (pid {pid}) panicked: {report}")]
    Panicked {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
        /// What it said, and where.
        report: PanicReport,
    },
    /// It ended by itself, by [`exit`](super::exit) for example, before its closure had returned a value.
    #[error("process {name} (pid {pid}) exited with code {code}")]
    Exited {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
        /// Its exit code, 0 included.
        code: i32,
    },
    /// A signal ended it.
    #[error("process {name} (pid {pid}) was ended by {signal}")]
    Signaled {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
        /// The signal.
        signal: Signal,
    },
    /// It has ended, but nobody knows how: this program ignores SIGCHLD, or has collected the child by
    /// itself.
    #[error(
        "process {name} (pid {pid}) has ended, its status unknown: this program ignores SIGCHLD or collects children by itself"
    )]
    StatusUnknown {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// Its closure returned a value that could not be sent.
    #[error("process {name} (pid {pid}) could not send its value: {reason}")]
    Unsendable {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
        /// What the codec says, in the child.
        reason: String,
    },
    /// Its value came, but could not be put together here.
    #[error("the value of process {name} (pid {pid}): {source}")]
    Undecodable {
        /// Its pid.
        pid: u32,
        /// Its name.
        name: String,
        /// What the codec says, here.
        source: MessageError,
    },
}

impl ExitError {
    /// The code by which Python's `Process.exitcode` would tell: minus the number of a signal. `None` if
    /// the status is unknown.
    #[doc(alias = "exitcode")]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            ExitError::Panicked { .. } | ExitError::Unsendable { .. } => Some(super::exit::FAILED),
            ExitError::Exited { code, .. } => Some(*code),
            ExitError::Signaled { signal, .. } => Some(-signal.number()),
            ExitError::Undecodable { .. } => Some(0),
            ExitError::StatusUnknown { .. } => None,
        }
    }
}

/// What a panic said, and where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicReport {
    /// The message. Empty if it panicked with something else than a text.
    pub message: String,
    /// The source file.
    pub file: String,
    /// The line in it.
    pub line: u32,
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.message, self.file, self.line)
    }
}
