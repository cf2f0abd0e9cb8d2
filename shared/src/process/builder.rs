//! Starting a process.

use super::child::{self, Birth};
use super::children::{CHILDREN, Child};
use super::error::SpawnError;
use super::exit;
use super::handle::JoinHandle;
use super::identity::{self, Process};
use super::null;
use super::panics::PanicsNoted;
use super::report::Report;
use super::scope::Scope;
use crate::channel::Message;
use crate::channel::presence::{self, Given};
use crate::sync::guards_held;
use crate::sys::mask::Blocked;
use crate::sys::{pidfd, signal, task};
use nix::libc;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Once};

/// Starts a process that calls `f`, and returns a handle to it: `std::thread::spawn`, with a process.
///
/// The child has a copy of everything; what `f` returns comes home through [`JoinHandle::join`]. A value
/// moved into `f` is moved into the child, and dropped here too: a descriptor moved there is open there
/// only.
///
/// When this process ends, it waits for the child, as Python does.
///
/// # Panics
///
/// If the process cannot be started; [`Builder::spawn`] returns the [`SpawnError`].
///
/// ```
/// let child = shared::process::spawn(|| 6 * 7);
/// assert_eq!(child.join().unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Message,
{
    Builder::new().spawn(f).unwrap_or_else(|error| panic!("{error}"))
}

/// A process to be: with a name, as a daemon, or bound to its parent's life.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder starts nothing until `spawn`"]
pub struct Builder {
    name: Option<String>,
    daemon: bool,
    ends_with_parent: bool,
}

impl Builder {
    /// A plain process without a name of its own.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Its name in [`current`](super::current), [`active_children`](super::active_children) and errors.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Makes it a daemon: it is terminated when its scope, or its parent, comes to an end, is killed with
    /// its parent, and may not have children.
    pub fn daemon(mut self, daemon: bool) -> Builder {
        self.daemon = daemon;
        self
    }

    /// Binds it to its parent's life, even if it is no daemon: if the parent is killed, so is it, by the
    /// kernel (`PR_SET_PDEATHSIG`) and at once. A parent that ends by itself waits for it first.
    pub fn ends_with_parent(mut self, ends: bool) -> Builder {
        self.ends_with_parent = ends;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`SpawnError`], when the fork is refused, here or by the kernel. `f` has not been called then.
    ///
    /// ```
    /// use shared::process::{Builder, SpawnError};
    /// use shared::sync::Lock;
    ///
    /// let lock = Lock::new(());
    /// let guard = lock.lock().unwrap();
    /// let refused = Builder::new().spawn(|| ()); // the child would have the guard too
    /// assert!(matches!(refused, Err(SpawnError::GuardHeld { count: 1 })));
    /// # drop(guard);
    /// ```
    pub fn spawn<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Message,
    {
        refuse_threads()?;
        self.start(f).map(|(_, handle)| handle)
    }

    /// Starts it in a scope: it may borrow what outlives the scope, and is ended or waited for with it.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Message,
    {
        refuse_threads()?;
        let (child, handle) = self.start(f)?;
        scope.add(child);
        Ok(handle)
    }

    /// Starts it even though this process has other threads.
    ///
    /// # Safety
    ///
    /// The child has a copy of this thread only. Whatever another thread holds at this moment, the
    /// allocator's locks for instance, stays locked in the child for ever: `f` must touch nothing that
    /// another thread may hold, and no guard of another thread may be reachable for it. A child that is to
    /// end with its parent ends with the *thread* that calls this.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), without [`SpawnError::Threads`].
    #[allow(unsafe_code)]
    pub unsafe fn spawn_unchecked<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Message,
    {
        self.start(f).map(|(_, handle)| handle)
    }

    #[allow(unsafe_code)]
    fn start<F, T>(self, f: F) -> Result<(Arc<Child>, JoinHandle<T>), SpawnError>
    where
        F: FnOnce() -> T + Send,
        T: Message,
    {
        match guards_held() {
            0 => {}
            count => return Err(SpawnError::GuardHeld { count }),
        }
        if identity::mine().get().daemon {
            return Err(SpawnError::Daemon);
        }
        if exit::has_begun() {
            return Err(SpawnError::Ending);
        }
        exit::hook_into_exit();
        CHILDREN.lock().collect_abandoned();
        // The child's standard input. And when it is closed here, there is a descriptor to be had for the
        // child: better to know before than after.
        let null = null::open().map_err(|error| SpawnError::system("opening /dev/null", error))?;
        let report = Report::new().map_err(|errno| SpawnError::system("mmap", errno))?;
        make_generator();
        // What is still buffered would otherwise be printed by both.
        let _ = std::io::stdout().flush();

        let (expecting, name) = identity::mine().expect_child(self.name, self.daemon);
        let hears_which_ends = presence::holds_ends();
        let waits_to_go = hears_which_ends || signal::is_ignored(libc::SIGCHLD);
        let parent = std::process::id();
        let dies_with_parent = self.daemon || self.ends_with_parent;
        // Until the child has its bearings, and the parent its descriptor, no handler may run: in the child
        // it would believe itself in the parent, in the parent it might collect the child.
        let blocked = Blocked::all();
        let panics_noted = PanicsNoted::begin();

        // SAFETY: this process has one thread (`refuse_threads`), or the caller of `spawn_unchecked` has
        // promised what is needed.
        match unsafe { task::fork() } {
            Err(errno) => {
                report.give_back(true);
                Err(SpawnError::system("fork", errno))
            }
            Ok(None) => {
                let report = &report;
                let null = OwnedFd::from(null);
                child::live(
                    Birth {
                        expecting,
                        parent,
                        dies_with_parent,
                        waits_to_go,
                        hears_which_ends,
                        null,
                        report,
                        panics_noted,
                        blocked,
                    },
                    f,
                )
            }
            Ok(Some(pid)) => {
                drop((expecting, panics_noted, null));
                let pidfd = pidfd::open(pid).map_err(|errno| {
                    pidfd::abandon(pid);
                    report.give_back(false);
                    SpawnError::system("pidfd_open", errno)
                })?;
                let child = CHILDREN.lock().add(Process::new(pid, name, self.daemon), pidfd, report);
                leave_generator_to_child();
                if waits_to_go {
                    let _let_go = LetGo { child: &child, given: hears_which_ends.then(Given::begin) };
                    drop(f);
                }
                Ok((Arc::clone(&child), JoinHandle::new(child)))
            }
        }
    }
}

/// The child waits for this to be dropped: the parent has its descriptor, and has dropped what it gave away.
struct LetGo<'a> {
    child: &'a Child,
    given: Option<Given>,
}

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.child.let_go(self.given.take().map(Given::end));
    }
}

/// The random generator, which each child would otherwise have to make: dear there, where all memory has yet
/// to be copied.
fn make_generator() {
    static MADE: Once = Once::new();
    MADE.call_once(|| {
        let _ = rand::rng();
    });
}

/// A fork copies the random generator, and then two processes would draw the same numbers. So the parent
/// takes a new seed: the copied state is the child's alone, and no other child ever gets it. (The child
/// could as well, but there it costs a tenth of the whole fork in page faults.)
fn leave_generator_to_child() {
    // It fails when the system has no random bytes to give. Linux always has.
    let _ = rand::rng().reseed();
}

fn refuse_threads() -> Result<(), SpawnError> {
    match task::thread_count() {
        Some(1) => Ok(()),
        Some(count) => Err(SpawnError::Threads { count }),
        None => {
            Err(SpawnError::system("/proc/self/task", std::io::Error::from(std::io::ErrorKind::NotFound)))
        }
    }
}
