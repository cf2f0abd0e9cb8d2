//! Who this process is, and whose child.

use crate::sys::clock::Deadline;
use crate::sys::pidfd;
use crate::sys::task::Owner;
use nix::unistd::getppid;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A process: this one, or one of its children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    id: u32,
    name: String,
    daemon: bool,
}

impl Process {
    pub(super) fn new(id: u32, name: String, daemon: bool) -> Process {
        Process { id, name, daemon }
    }

    /// Its pid.
    #[doc(alias = "pid")]
    #[doc(alias = "ident")]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its name: what its [`Builder`](super::Builder) said, else `Process-N` (its own children `Process-N:M`),
    /// as in Python. The program itself is `MainProcess`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it ends with its parent, by being terminated.
    pub fn is_daemon(&self) -> bool {
        self.daemon
    }
}

/// What a process knows of itself.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) daemon: bool,
    /// `1:2` for the second child of the first child of the program, nothing for the program.
    pub(super) number: String,
    /// Pid and name.
    pub(super) parent: Option<(u32, String)>,
    /// How many children it has started.
    started: u32,
}

/// This process, and the child that it is forking.
///
/// The child does not write down who it is: to do so would copy a page for every child, and most never ask.
/// It finds out when it does: where `whose` is not itself, it is the `next` of that process. (One that was
/// forked by other means finds nobody there, and goes on as a copy.)
struct Identities {
    whose: u64,
    me: Option<Identity>,
    next: Option<Identity>,
}

static IDENTITIES: Mutex<Identities> = Mutex::new(Identities { whose: 0, me: None, next: None });

fn lock() -> MutexGuard<'static, Identities> {
    IDENTITIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The identity of this process, locked.
pub(super) struct Mine(MutexGuard<'static, Identities>);

pub(super) fn mine() -> Mine {
    let mut all = lock();
    if !Owner::in_word(all.whose).is_some_and(Owner::is_me) {
        all.whose = Owner::current().to_word();
        all.me = all.next.take().or_else(|| all.me.take());
    }
    Mine(all)
}

impl Mine {
    pub(super) fn get(&mut self) -> &mut Identity {
        self.0.me.get_or_insert_with(|| Identity {
            name: "MainProcess".to_owned(),
            daemon: false,
            number: String::new(),
            parent: None,
            started: 0,
        })
    }

    /// Gives this process's next child its identity, for the fork that follows. Returns its name.
    pub(super) fn expect_child(mut self, name: Option<String>, daemon: bool) -> (Expecting, String) {
        let me = self.get();
        me.started += 1;
        let colon = if me.number.is_empty() { "" } else { ":" };
        let number = format!("{}{colon}{}", me.number, me.started);
        let name = name.unwrap_or_else(|| format!("Process-{number}"));
        let parent = Some((process::id(), me.name.clone()));
        self.0.next = Some(Identity { name: name.clone(), daemon, number, parent, started: 0 });
        (Expecting, name)
    }
}

/// The fork is still to come. Dropped in the parent, forgotten in the child, which then is the one expected.
#[derive(Debug)]
pub(super) struct Expecting;

impl Drop for Expecting {
    fn drop(&mut self) {
        lock().next = None;
    }
}

/// The calling process: Python's `current_process`.
///
/// ```
/// let me = shared::process::current();
/// assert_eq!((me.id(), me.name(), me.is_daemon()), (std::process::id(), "MainProcess", false));
/// ```
#[doc(alias = "current_process")]
pub fn current() -> Process {
    let mut mine = mine();
    let me = mine.get();
    Process::new(process::id(), me.name.clone(), me.daemon)
}

/// The process that started this one: Python's `parent_process`. `None` in the program itself.
///
/// ```
/// use shared::process;
///
/// assert!(process::parent().is_none());
/// let me = process::current().id();
/// let child = process::spawn(|| process::parent().map(|parent| (parent.id(), parent.is_alive())));
/// assert_eq!(child.join().unwrap(), Some((me, true)));
/// ```
#[doc(alias = "parent_process")]
pub fn parent() -> Option<Parent> {
    let (id, name) = mine().get().parent.clone()?;
    let is_parent = || getppid().as_raw() as u32 == id;
    // The pid may be in other hands; the parent of a process changes only by the old one's death. If that
    // is still the same after the descriptor was opened, the descriptor is the right one.
    let pidfd = if is_parent() { pidfd::open(id).ok().filter(|_| is_parent()) } else { None };
    Some(Parent { id, name, pidfd })
}

/// The process that started this one, dead or alive.
#[derive(Debug)]
pub struct Parent {
    id: u32,
    name: String,
    /// `None`: it had ended when we asked.
    pidfd: Option<OwnedFd>,
}

impl Parent {
    /// Its pid; once it has ended, that number may come to belong to another.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        self.pidfd.as_ref().is_some_and(|pidfd| !pidfd::has_ended(pidfd.as_fd()))
    }

    /// Waits for its end: Python's `parent_process().join()`. What it leaves behind is not for its child.
    #[doc(alias = "join")]
    pub fn wait(&self) {
        if let Some(pidfd) = &self.pidfd {
            pidfd::wait(pidfd.as_fd(), Deadline::NEVER);
        }
    }

    /// Waits for its end, at most `timeout`. `true` if it has ended.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.pidfd.as_ref().is_none_or(|pidfd| pidfd::wait(pidfd.as_fd(), Deadline::after(timeout)))
    }
}
