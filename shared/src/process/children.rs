//! The children of this process: all of them, those whose handle was dropped included.

use super::identity::Process;
use super::own::Own;
use super::report::{Report, Said};
use crate::channel::Message;
use crate::sys::clock::{self, Deadline};
use crate::sys::pidfd::{self, Status};
use crate::sys::task::Owner;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a daemon may take to end by SIGTERM before it is killed.
const GRACE: Duration = Duration::from_millis(500);

/// A child, in the hands of the process that started it.
///
/// A fork copies this too. There it is the record of a sibling: it collects nothing and sends no signals,
/// and its descriptor has been closed.
#[derive(Debug)]
pub(super) struct Child {
    /// Its place among the children: the n-th that its parent started.
    serial: u64,
    parent: Owner,
    pub(super) process: Process,
    /// Closed by hand, since a fork closes its copy while there still are records of it.
    pidfd: ManuallyDrop<OwnedFd>,
    /// What it says before it ends.
    report: Report,
    /// Once collected, how it ended.
    status: Mutex<Option<Status>>,
    /// Somebody has joined it: its end is no surprise.
    joined: AtomicBool,
}

impl Child {
    /// Waits for its end and collects it. `None`: it runs on.
    pub(super) fn wait(&self, deadline: Deadline) -> Option<Status> {
        loop {
            if self.collected().is_none() {
                pidfd::wait(self.pidfd.as_fd(), deadline);
            }
            let status = self.collect();
            if status.is_some() || deadline.has_passed() {
                return status;
            }
            // It has ended, but may not be collected yet: a debugger that follows it comes first.
            clock::sleep_until(Deadline::after(Duration::from_millis(1)));
        }
    }

    /// Collects it if it has ended.
    pub(super) fn collect(&self) -> Option<Status> {
        if !self.is_mine() {
            return Some(Status::Unknown);
        }
        let mut status = lock(&self.status);
        if status.is_none() {
            *status = pidfd::reap(self.pidfd.as_fd());
        }
        *status
    }

    /// How it ended, if that is known already.
    fn collected(&self) -> Option<Status> {
        if self.is_mine() { *lock(&self.status) } else { Some(Status::Unknown) }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.collected().is_some() || pidfd::has_ended(self.pidfd.as_fd())
    }

    /// What it said, once it has ended.
    pub(super) fn heard<T: Message>(&self) -> Said<T> {
        self.report.heard()
    }

    /// It may begin: with these ends of connections, if it waits to hear of any.
    pub(super) fn let_go(&self, ends: Option<Vec<u64>>) {
        if let Some(ends) = ends {
            self.report.say_ends(&ends);
        }
        self.report.let_child_go();
    }

    /// Sends it a signal; one that has ended takes none.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.collected().is_none() {
            pidfd::send(self.pidfd.as_fd(), signal as i32)?;
        }
        Ok(())
    }

    /// Its descriptor, in the process that started it.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        assert!(self.is_mine(), "process {} is a child of another process", self.process.name());
        self.pidfd.as_fd()
    }

    pub(super) fn is_joined(&self) -> bool {
        self.joined.load(Relaxed)
    }

    fn is_mine(&self) -> bool {
        self.parent.is_me()
    }

    fn close(&self) {
        let _ = nix::unistd::close(self.pidfd.as_raw_fd());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.is_mine() {
            self.close();
            // Only one that was collected will certainly write no more.
            if let Some(status) = *lock(&self.status) {
                self.report.give_back(status == Status::Exited(0));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The list itself.
#[derive(Debug)]
pub(super) struct Children {
    started: u64,
    /// In the order in which they were started.
    by_serial: BTreeMap<u64, Arc<Child>>,
    /// Those whose handle was dropped while they ran: to be collected when they have ended.
    abandoned: Vec<Arc<Child>>,
}

/// The children of this process.
pub(super) static CHILDREN: Own<Children> = Own::new(Children::none());

/// How many are in the list.
static LISTED: AtomicUsize = AtomicUsize::new(0);

/// In a new child, first of all: closes the descriptors of its siblings. The records stay as they are, for
/// to write to them would copy their pages.
#[inline(always)]
pub(super) fn close_siblings() {
    // To lock the list would copy its page: not where there is nothing in it.
    if LISTED.load(Relaxed) > 0 {
        close_listed();
    }
}

fn close_listed() {
    if let Some(siblings) = CHILDREN.of_parent() {
        pidfd::close_all(siblings.by_serial.values().map(|sibling| sibling.pidfd.as_raw_fd()));
    }
}

impl Default for Children {
    fn default() -> Children {
        Children::none()
    }
}

impl Children {
    const fn none() -> Children {
        Children { started: 0, by_serial: BTreeMap::new(), abandoned: Vec::new() }
    }

    pub(super) fn add(&mut self, process: Process, pidfd: OwnedFd, report: Report) -> Arc<Child> {
        self.started += 1;
        let child = Arc::new(Child {
            serial: self.started,
            parent: Owner::current(),
            process,
            pidfd: ManuallyDrop::new(pidfd),
            report,
            status: Mutex::new(None),
            joined: AtomicBool::new(false),
        });
        self.by_serial.insert(child.serial, Arc::clone(&child));
        LISTED.store(self.by_serial.len(), Relaxed);
        child
    }

    pub(super) fn remove(&mut self, child: &Child) {
        if child.is_mine() {
            self.by_serial.remove(&child.serial);
            LISTED.store(self.by_serial.len(), Relaxed);
        }
    }

    /// Its handle has gone. If it runs on, it is collected later.
    pub(super) fn abandon(&mut self, child: &Arc<Child>) {
        if child.collect().is_some() {
            self.remove(child);
        } else {
            self.abandoned.push(Arc::clone(child));
        }
    }

    /// Collects those that were abandoned and have ended.
    pub(super) fn collect_abandoned(&mut self) {
        if self.abandoned.is_empty() {
            return;
        }
        let ended = pidfd::ended(&self.abandoned.iter().map(|child| &*child.pidfd).collect::<Vec<_>>());
        let mut ended = ended.into_iter();
        let (gone, left) = std::mem::take(&mut self.abandoned)
            .into_iter()
            .partition::<Vec<_>, _>(|_| ended.next() == Some(true));
        self.abandoned = left;
        for child in gone {
            child.collect();
            self.remove(&child);
        }
    }
}

/// The children of this process that have not ended: Python's `active_children`. Those whose handle was
/// dropped are among them, and are collected here if they have ended.
///
/// ```
/// use shared::process;
///
/// let child = process::Builder::new().name("sleeper").spawn(|| std::thread::park()).unwrap();
/// assert_eq!(process::active_children(), [child.process().clone()]);
/// child.kill().unwrap();
/// assert!(child.join().is_err());
/// assert!(process::active_children().is_empty());
/// ```
pub fn active_children() -> Vec<Process> {
    let mut children = CHILDREN.lock();
    children.collect_abandoned();
    let alive = children.by_serial.values().filter(|child| !child.has_ended());
    alive.map(|child| child.process.clone()).collect()
}

/// Of the children that this process has started after the one of that number, those that have not been collected;
/// without some. The number is then that of the last.
pub(crate) fn children_since(number: &mut u64, without: &[u32]) -> Vec<u64> {
    let Some(children) = CHILDREN.lock_if_used() else { return Vec::new() };
    let new = children.by_serial.range(*number + 1..).map(|(_, child)| child);
    let new = new.filter(|child| child.collected().is_none() && !without.contains(&child.process.id()));
    let owners = new.map(|child| Owner::of(child.process.id()).to_word()).collect();
    *number = children.started;
    owners
}

/// All that this process has listed.
fn list() -> Vec<Arc<Child>> {
    CHILDREN.lock_if_used().map_or_else(Vec::new, |children| children.by_serial.values().cloned().collect())
}

/// Ends these daemons: asks them by SIGTERM, and after a moment kills who is left.
pub(super) fn end_daemons(daemons: &[Arc<Child>]) {
    if daemons.is_empty() {
        return;
    }
    for daemon in daemons {
        // It fails only for a child that has become another user; that one ends by its parent's death.
        let _ = daemon.signal(Signal::SIGTERM);
    }
    let patience = Deadline::after(GRACE);
    for daemon in daemons {
        if daemon.wait(patience).is_none() && daemon.signal(Signal::SIGKILL).is_ok() {
            daemon.wait(Deadline::NEVER);
        }
    }
}

/// The end of this process's family, in Python's order: daemons are terminated, the others waited for.
pub(super) fn end_all() {
    let (daemons, others): (Vec<_>, Vec<_>) = list().into_iter().partition(|child| child.process.is_daemon());
    end_daemons(&daemons);
    for child in others {
        child.wait(Deadline::NEVER);
    }
}

/// Kills all children and waits for their end.
#[cfg(feature = "demo")]
pub(crate) fn kill_all() {
    let all = list();
    for child in &all {
        let _ = child.signal(Signal::SIGKILL);
    }
    for child in all {
        child.wait(Deadline::NEVER);
    }
}

/// Marks a child as joined and takes it off the list.
pub(super) fn joined(child: &Child) {
    child.joined.store(true, Relaxed);
    CHILDREN.lock().remove(child);
}
