//! Signals: noted when they come, answered at safe points.
//!
//! Hardly anything may be done inside a handler. So the kernel's handler sets a bit, and the function that
//! answers runs later, on a thread that waits in this library, wherever it looks round: every wait does,
//! before it sleeps and after.
//!
//! The kernel's handler is `signal-hook`'s, which lives beside those of others: what was there before is
//! called as well. Its registry asks the kernel for a signal once, the first time, and never looks again. So
//! whenever a signal has been given another disposition since, its handler is put back here.
//!
//! A forked child inherits the kernel's handlers, but not its parent's obligations: there each signal that
//! was caught does what it does by default, and what was noted is forgotten ([`in_child`]).
#![allow(unsafe_code)]

use super::mask::Blocked;
use super::task::Owner;
use nix::errno::Errno;
use nix::libc::{self, c_int};
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};

/// A set of signals as the kernel has it: bit n - 1 for signal n, of which there are 64.
pub(crate) type Set = u64;

pub(crate) fn set_of(number: c_int) -> Set {
    1 << (number - 1)
}

/// Those that this process answers.
static CAUGHT: AtomicU64 = AtomicU64::new(0);
/// Of those, the ones for which somebody else had a handler before, which is called as well.
static SHARED: AtomicU64 = AtomicU64::new(0);
/// Those that have come, and nobody has answered yet.
static PENDING: AtomicU64 = AtomicU64::new(0);
/// Those that are being answered now: no answer begins anew before it has ended.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// The kernel's handler: `signal-hook`'s, the same for every signal.
static HOOK: OnceLock<KernelAction> = OnceLock::new();

static ANSWERS: Mutex<Answers> = Mutex::new(Answers { owner: None, registered: 0, by_number: Vec::new() });

struct Answers {
    /// The process whose answers these are.
    owner: Option<Owner>,
    /// Those that `signal-hook` knows, in this process and in its ancestors.
    registered: Set,
    by_number: Vec<(c_int, Handler)>,
}

/// What a process does when a signal comes: `signal(7)` calls it the signal's disposition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// What the system does by default: end the process, stop it, or nothing.
    Default,
    /// Nothing.
    Ignore,
    /// Call this at the next safe point.
    Handle(Handler),
    /// Call something that was not set through this library.
    Foreign(Foreign),
}

/// A function that was set as handler.
#[derive(Clone)]
pub struct Handler(Arc<dyn Fn() + Send + Sync>);

impl Handler {
    pub(crate) fn new(f: impl Fn() + Send + Sync + 'static) -> Handler {
        Handler(Arc::new(f))
    }
}

/// The same if they were set by the same call.
impl PartialEq for Handler {
    fn eq(&self, other: &Handler) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Handler {}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// A handler of somebody else, as the kernel knows it. It can be put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign(KernelAction);

#[derive(Clone, Copy)]
struct KernelAction(libc::sigaction);

impl PartialEq for KernelAction {
    fn eq(&self, other: &KernelAction) -> bool {
        self.0.sa_sigaction == other.0.sa_sigaction
    }
}

impl Eq for KernelAction {}

impl fmt::Debug for KernelAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0.sa_sigaction)
    }
}

impl KernelAction {
    /// `SIG_DFL` or `SIG_IGN`.
    fn without_handler(which: libc::sighandler_t) -> KernelAction {
        // SAFETY: a `sigaction` is numbers, and a pointer that may be null.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = which;
        KernelAction(action)
    }
}

/// `sigaction(2)`: what the kernel does now.
fn ask(number: c_int) -> Result<KernelAction, Errno> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the null pointer leaves the action as it is; the kernel's answer has room.
    Errno::result(unsafe { libc::sigaction(number, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: zeroed, which is a value of this type, and then filled in by the kernel.
    Ok(KernelAction(unsafe { action.assume_init() }))
}

/// `sigaction(2)`: what the kernel is to do from now on.
fn put(number: c_int, action: KernelAction) -> Result<(), Errno> {
    // SAFETY: the action runs no code, or the code of a handler that was set before.
    Errno::result(unsafe { libc::sigaction(number, &action.0, ptr::null_mut()) }).map(drop)
}

/// The table of this process, locked.
fn answers() -> MutexGuard<'static, Answers> {
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    if answers.owner != Some(Owner::current()) {
        answers.owner = Some(Owner::current());
        // The parent's are forgotten, not dropped: what they have captured is not ours to end.
        mem::forget(mem::take(&mut answers.by_number));
    }
    answers
}

impl Answers {
    fn of(&self, number: c_int) -> Option<Handler> {
        self.by_number.iter().find(|(its, _)| *its == number).map(|(_, handler)| handler.clone())
    }

    fn disposition(&self, number: c_int) -> Result<Disposition, Errno> {
        let now = ask(number)?;
        let caught = CAUGHT.load(Relaxed) & set_of(number) != 0 && HOOK.get() == Some(&now);
        Ok(match (now.0.sa_sigaction, self.of(number)) {
            (libc::SIG_DFL, _) => Disposition::Default,
            (libc::SIG_IGN, _) => Disposition::Ignore,
            (_, Some(handler)) if caught => Disposition::Handle(handler),
            _ => Disposition::Foreign(Foreign(now)),
        })
    }

    /// Sees to it that the kernel calls `note`.
    fn hook(&mut self, number: c_int) -> Result<(), Errno> {
        if self.registered & set_of(number) != 0 {
            return HOOK.get().map_or(Ok(()), |hook| put(number, *hook));
        }
        let note = move || {
            // In a child, in the moment before it has forgotten its parent's: see `in_child`.
            if CAUGHT.load(Relaxed) & set_of(number) != 0 {
                PENDING.fetch_or(set_of(number), Relaxed);
            }
        };
        // The registry asks the kernel for the signal before it knows whom to call: one that came in between would
        // be nobody's. Held back, it comes when all is in place.
        let _in_between = Blocked::all();
        // SAFETY: `note` does only what a handler may: atomic loads and stores.
        let registered = unsafe { signal_hook::low_level::register(number, note) };
        registered.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EINVAL)))?;
        self.registered |= set_of(number);
        let hook = ask(number)?;
        HOOK.get_or_init(|| hook);
        Ok(())
    }
}

/// What this process does about a signal.
pub(crate) fn disposition(number: c_int) -> Result<Disposition, Errno> {
    answers().disposition(number)
}

/// `sigaction(2)`: from now on the process does this about a signal. Returns what it did before.
///
/// What had come before is still answered: by the old handler, or by the new one if there is one.
pub(crate) fn set(number: c_int, new: Disposition) -> Result<Disposition, Errno> {
    let this = set_of(number);
    let mut answers = answers();
    let old = answers.disposition(number)?;
    if let Disposition::Handle(handler) = new {
        notice_forks();
        match old {
            Disposition::Foreign(_) => SHARED.fetch_or(this, Relaxed),
            Disposition::Handle(_) => 0, // As it was.
            Disposition::Default | Disposition::Ignore => SHARED.fetch_and(!this, Relaxed),
        };
        answers.by_number.retain(|(its, _)| *its != number);
        answers.by_number.push((number, handler));
        CAUGHT.fetch_or(this, Relaxed);
        return answers.hook(number).map(|()| old);
    }
    put(
        number,
        match new {
            Disposition::Foreign(Foreign(action)) => action,
            Disposition::Ignore => KernelAction::without_handler(libc::SIG_IGN),
            _ => KernelAction::without_handler(libc::SIG_DFL),
        },
    )?;
    CAUGHT.fetch_and(!this, Relaxed);
    answers.by_number.retain(|(its, _)| *its != number);
    drop(answers);
    if let (true, Disposition::Handle(handler)) = (take_pending(this).is_some(), &old) {
        (handler.0)();
    }
    Ok(old)
}

/// Whether a signal waits for an answer that could begin now.
pub(crate) fn is_pending() -> bool {
    PENDING.load(Relaxed) & !RUNNING.load(Relaxed) != 0
}

/// Runs the answers to the signals that have come, each once, in the order of their numbers. `true` if
/// there was one.
///
/// An answer may wait in this library itself, where others are answered meanwhile. The same one is not begun
/// again before it has ended, or signals that come faster than they are answered would pile up the stack.
#[inline]
pub(crate) fn safe_point() -> bool {
    is_pending() && run_answers()
}

/// Whether any signal is answered by a handler of this library.
#[inline]
pub(crate) fn is_any_caught() -> bool {
    CAUGHT.load(Relaxed) != 0
}

#[cold]
fn run_answers() -> bool {
    /// Ended, by a panic too.
    struct Running(Set);
    impl Drop for Running {
        fn drop(&mut self) {
            RUNNING.fetch_and(!self.0, Relaxed);
        }
    }

    let mut ran = false;
    // Those that have come by now, and no more: whoever waits here has a deadline to look after.
    let mut left = PENDING.load(Relaxed);
    while left != 0 {
        let number = left.trailing_zeros() as c_int + 1;
        let this = set_of(number);
        left &= !this;
        if RUNNING.fetch_or(this, Relaxed) & this != 0 {
            continue;
        }
        let _running = Running(this);
        // Copied out, so that it may set others.
        if let Some(handler) = take_pending(this).and_then(|_| answers().of(number)) {
            (handler.0)();
            ran = true;
        }
    }
    ran
}

/// Takes one of these signals, if it has come and was not answered yet: it will not be answered.
pub(crate) fn take_pending(set: Set) -> Option<c_int> {
    loop {
        let found = PENDING.load(Relaxed) & set;
        if found == 0 {
            return None;
        }
        let number = found.trailing_zeros() as c_int + 1;
        if PENDING.fetch_and(!set_of(number), Relaxed) & set_of(number) != 0 {
            return Some(number);
        }
    }
}

/// `pthread_atfork(3)`: in each child, however `fork(3)` came to be called, [`in_child`] runs first. Without a
/// handler there is nothing to undo, and children pay nothing.
fn notice_forks() {
    static NOTICED: Once = Once::new();
    NOTICED.call_once(|| {
        // SAFETY: the handler does atomic operations, and calls sigaction(2).
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

/// In a new child, on its only thread: nothing is caught here, and nothing has come.
///
/// A signal that somebody else handles as well is left to him.
extern "C" fn in_child() {
    let mut left = CAUGHT.load(Relaxed);
    // Looked at first: after a fork, to write is dear.
    if left == 0 {
        return;
    }
    CAUGHT.store(0, Relaxed);
    PENDING.store(0, Relaxed);
    RUNNING.store(0, Relaxed);
    left &= !SHARED.load(Relaxed);
    while left != 0 {
        let number = left.trailing_zeros() as c_int + 1;
        left &= !set_of(number);
        if ask(number).ok().as_ref() == HOOK.get() {
            let _ = put(number, KernelAction::without_handler(libc::SIG_DFL));
        }
    }
}

/// `sigaction(2)`: whether the process ignores this signal, or, of SIGCHLD, wants no status kept.
pub(crate) fn is_ignored(number: c_int) -> bool {
    ask(number).is_ok_and(|KernelAction(action)| {
        let no_status = number == libc::SIGCHLD && action.sa_flags & libc::SA_NOCLDWAIT != 0;
        action.sa_sigaction == libc::SIG_IGN || no_status
    })
}
