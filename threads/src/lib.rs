//! A thread as the document has it: an object that is made first and started later, with a name and a target.
//!
//! `std::thread::spawn` starts at once, and what it returns knows neither a target nor whether anybody cares for
//! its end. So the document's class is written here, over `std`'s thread as Python's is written over
//! the system's.
#![forbid(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

/// A thread of one's own.
///
/// At its drop it is waited for, unless it is a daemon: so one that `main` has made ends before the program does.
pub struct MyThread {
    name: String,
    daemon: bool,
    /// What it is to do, until it does it. (Python's `args` and `kwargs` are what the closure has captured.)
    target: Option<Box<dyn FnOnce() + Send>>,
    /// Once it is started, until it is joined.
    running: Option<JoinHandle<()>>,
}

impl MyThread {
    /// A thread to be, named `Thread-1`, `Thread-2` and so on.
    pub fn new(target: impl FnOnce() + Send + 'static) -> MyThread {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("Thread-{}", MADE.fetch_add(1, Relaxed) + 1);
        MyThread { name, daemon: false, target: Some(Box::new(target)), running: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names it. The system's thread gets its name when it is started.
    pub fn set_name(&mut self, name: &str) {
        self.name = name.to_owned();
    }

    /// Whether the end of the program may come before its own.
    pub fn is_daemon(&self) -> bool {
        self.daemon
    }

    /// Makes it a daemon, or no daemon.
    pub fn set_daemon(&mut self, daemon: bool) {
        self.daemon = daemon;
    }

    /// Whether it runs: it was started, and has not come to its end.
    pub fn is_alive(&self) -> bool {
        self.running.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Starts it. A thread is started once: the second time there is nothing left to do.
    pub fn start(&mut self) -> io::Result<()> {
        if let Some(target) = self.target.take() {
            self.running = Some(thread::Builder::new().name(self.name.clone()).spawn(target)?);
        }
        Ok(())
    }

    /// Waits for its end. As in Python, a panic in it has been told by then, and is its own affair.
    pub fn join(&mut self) {
        if let Some(thread) = self.running.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for MyThread {
    fn drop(&mut self) {
        if !self.daemon {
            self.join();
        }
    }
}

impl std::fmt::Debug for MyThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MyThread({}, {})", self.name, if self.is_alive() { "alive" } else { "not alive" })
    }
}
