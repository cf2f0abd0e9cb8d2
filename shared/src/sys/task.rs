//! Tasks, as the kernel calls what it schedules: forking them, counting them, telling them apart.
#![allow(unsafe_code)]

use super::call::call;
use super::clock::{self, Deadline};
use super::pidfd;
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::stat;
use nix::unistd::{ForkResult, getpid};
use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::sync::Once;
use std::time::Duration;

/// Who owns a thing in shared memory: a process, never to be taken for another.
///
/// Its pid in the low half, the time at which it started in the high half. A pid alone would not do: the
/// numbers come round, in eight seconds where `pid_max` is 32,768, and then a stranger would be taken for a
/// dead owner. The start time counts in ticks of 10 ms, far less than a round takes. A pid has at most 22 bits
/// (`PID_MAX_LIMIT`), so the bits above are free for flags of whoever stores the number. No owner is 0.
///
/// The process, and not the thread: a thread may end and leave a guard behind, leaked but in use. As long as
/// its process lives, what it owned is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u64);

/// The bits of the low half that a pid may use.
const PID_BITS: u64 = (1 << 30) - 1;

thread_local! {
    /// What [`Owner::current`] found out, 0 until it is asked on this thread.
    static PROCESS: Cell<u64> = const { Cell::new(0) };
    /// What [`thread`] found out, 0 until it is asked.
    static THREAD: Cell<u64> = const { Cell::new(0) };
    /// Both, over a fork.
    static KEPT: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// `pthread_atfork(3)`: a child is somebody else, however `fork(3)` came to be called.
///
/// So the thread that forks forgets who it is before, and remembers afterwards. That the child should forget
/// would cost each child a page of code and one of data; this costs it nothing.
fn notice_forks() {
    static NOTICED: Once = Once::new();
    extern "C" fn before() {
        KEPT.set((PROCESS.replace(0), THREAD.replace(0)));
    }
    extern "C" fn after_in_parent() {
        let (process, thread) = KEPT.get();
        PROCESS.set(process);
        THREAD.set(thread);
    }
    NOTICED.call_once(|| {
        // SAFETY: the handlers write cells without a destructor.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), None) };
    });
}

/// A number for the calling thread that no other thread has, in no process, ever: its id and start time.
/// Never 0.
#[inline]
pub(crate) fn thread() -> u64 {
    #[cold]
    fn find_out() -> u64 {
        notice_forks();
        let tid = nix::unistd::gettid().as_raw() as u32;
        // Without /proc the time of this first question will do: it is nobody else's business.
        let start = start_time("/proc/thread-self/stat").unwrap_or_else(clock::milliseconds);
        let number = number(tid, Some(start));
        THREAD.set(number);
        number
    }
    match THREAD.get() {
        0 => find_out(),
        known => known,
    }
}

fn number(id: u32, start: Option<u32>) -> u64 {
    // Without /proc there is no start time to compare; 0 says so.
    u64::from(start.unwrap_or(0)) << 32 | u64::from(id)
}

impl Owner {
    /// The calling process.
    #[inline]
    pub(crate) fn current() -> Owner {
        match PROCESS.get() {
            0 => Owner::find_out(),
            known => Owner(known),
        }
    }

    #[cold]
    fn find_out() -> Owner {
        notice_forks();
        let owner = number(std::process::id(), start_time("/proc/self/stat"));
        PROCESS.set(owner);
        Owner(owner)
    }

    /// The process of this pid, which cannot be another's: a child, say, that nobody has collected.
    pub(crate) fn of(pid: u32) -> Owner {
        Owner(number(pid, start_time_of(pid)))
    }

    /// Whether it is the calling process. Asked in a new child about another it reads no `/proc`.
    #[inline(always)]
    pub(crate) fn is_me(self) -> bool {
        match PROCESS.get() {
            // (`std::process::id` lies on a page of code that a new child has not touched.)
            0 => self.pid() == getpid().as_raw() as u32 && self == Owner::current(),
            known => self.0 == known,
        }
    }

    /// The owner whose number is in `word`, the flags left out. `None` if it holds none.
    #[inline]
    pub(crate) fn in_word(word: u64) -> Option<Owner> {
        let owner = Owner(word & (0xffff_ffff << 32 | PID_BITS));
        (owner.pid() != 0).then_some(owner)
    }

    /// The number to be stored, without flags.
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        self.0
    }

    pub(crate) fn pid(self) -> u32 {
        (self.0 & PID_BITS) as u32
    }

    fn start(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether this process has certainly ended, all its threads, so that it can never again touch memory.
    ///
    /// Proof and nothing less: no answer, no progress and old age prove nothing, for a stopped process
    /// looks like that too.
    pub(crate) fn has_ended(self) -> bool {
        Watch::default().has_ended(self)
    }

    /// Whether the number is in other hands. Where `/proc` cannot be read nobody knows: then it is not.
    fn is_another(self) -> bool {
        let start = start_time_of(self.pid());
        self.start() != 0 && start.is_some_and(|start| start != self.start())
    }
}

/// For one who asks about the same owner again and again: who has the number is found out once.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<(Owner, OwnedFd)>);

impl Watch {
    /// As [`Owner::has_ended`].
    ///
    /// `pidfd_open(2)` tells whether anybody has the number and whether its holder has ended, collected or not;
    /// `/proc/PID/stat` whether its holder is the same as then. If it is, the descriptor means the owner for ever,
    /// and is enough the next time.
    pub(crate) fn has_ended(&mut self, owner: Owner) -> bool {
        if let Some((watched, process)) = &self.0
            && *watched == owner
        {
            return pidfd::has_ended(process.as_fd());
        }
        self.0 = None;
        match pidfd::open(owner.pid()) {
            Ok(process) => {
                let ended = pidfd::has_ended(process.as_fd()) || owner.is_another();
                self.0 = (!ended).then_some((owner, process));
                ended
            }
            Err(Errno::ESRCH) => true,
            // The number of a thread (EINVAL, on newer kernels ENOENT): no process has it any more.
            Err(Errno::EINVAL | Errno::ENOENT) => true,
            // No descriptor to be had: then the calls that need none.
            Err(_) => pidfd::has_ended_by_number(owner.pid()),
        }
    }
}

/// As [`start_time`], of the process with this pid. Who asks is in the middle of a wait: it allocates nothing.
fn start_time_of(pid: u32) -> Option<u32> {
    let mut path = [0; "/proc/4294967295/stat".len()];
    let mut rest = &mut path[..];
    write!(rest, "/proc/{pid}/stat").ok()?;
    let unused = rest.len();
    start_time(str::from_utf8(path.get(..path.len() - unused)?).ok()?)
}

/// When a task started, by `proc_pid_stat(5)`: ticks since the start of the machine, the low 32 bits.
fn start_time(path: &str) -> Option<u32> {
    let mut text = [0; 1024];
    let len = File::open(path).ok()?.read(&mut text).ok()?;
    parse_start_time(text.get(..len)?)
}

/// The second field is the program's name in parentheses, and may itself contain any of these characters:
/// what follows the last parenthesis is safe to split. The next field is the third.
fn parse_start_time(text: &[u8]) -> Option<u32> {
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    let mut fields = text.get(name_end + 1..)?.split(|&byte| byte == b' ').filter(|f| !f.is_empty());
    let start = str::from_utf8(fields.nth(22 - 3)?).ok()?.parse::<u64>().ok()?;
    Some(start as u32)
}

/// How many threads this process has. `unshare(2)` of nothing but the threads does nothing, and fails where there
/// are others; then `/proc` says how many, the links of `/proc/self/task` minus two.
///
/// A thread that has just been joined is still counted for some microseconds, so a number above one is
/// looked at again for five milliseconds. Without `/proc` the count is unknown.
pub(crate) fn thread_count() -> Option<u64> {
    if unshare(CloneFlags::CLONE_THREAD).is_ok() {
        return Some(1);
    }
    let patience = Deadline::after(Duration::from_millis(5));
    loop {
        // (`std::fs::metadata` wants so much of the stack that the fork would have a page more to copy.)
        let count = stat(c"/proc/self/task").ok()?.st_nlink.checked_sub(2)?;
        if count <= 1 || patience.has_passed() {
            return Some(count);
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// `dup3(2)`, then `close(2)`: makes this the standard input. For a new child, as [`call`] is.
#[inline(always)]
pub(crate) fn read_from(file: OwnedFd) {
    let file = file.into_raw_fd();
    // The program had closed its own, and this one has its place already.
    if file == libc::STDIN_FILENO {
        return;
    }
    // SAFETY: no memory is passed. Descriptor 0 is nobody's but standard input's. It fails if there is none and
    // may be none; then there is no input either.
    unsafe { call(libc::SYS_dup3, [file as usize, libc::STDIN_FILENO as usize, 0, 0]) };
    // SAFETY: ours, and just given up.
    unsafe { call(libc::SYS_close, [file as usize, 0, 0, 0]) };
}

/// `fork(2)`: returns twice, with the child's pid here and `None` in the child.
///
/// # Safety
///
/// What the child goes on to use must be in order in a copy of this process in which only the calling
/// thread goes on. With one thread that is so of everything; with more, a lock that another thread holds
/// now stays locked for ever in the copy.
#[inline]
pub(crate) unsafe fn fork() -> Result<Option<u32>, Errno> {
    // SAFETY: the caller's promise.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child.as_raw() as u32)),
        ForkResult::Child => Ok(None),
    }
}

/// `_exit(2)`: ends the process here and now, without destructors and without exit hooks.
#[inline]
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// `atexit(3)`: `hook` runs when this process returns from `main` or calls `exit`.
pub(crate) fn at_exit(hook: extern "C" fn()) {
    // SAFETY: `hook` is a function of this program, there for as long as it runs.
    unsafe { libc::atexit(hook) };
}

/// `sched_getaffinity(2)`: on how many CPUs this thread may run.
pub(crate) fn usable_cpus() -> usize {
    let mut cpus = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the kernel writes at most the size it is given.
    let asked = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), cpus.as_mut_ptr()) };
    if Errno::result(asked).is_err() {
        // More CPUs than the set has room for: not one, in any case.
        return usize::MAX;
    }
    // SAFETY: zeroed, which is a value of this type, and then filled in by the kernel.
    let cpus = unsafe { cpus.assume_init() };
    // SAFETY: it counts the bits of a set.
    (unsafe { libc::CPU_COUNT(&cpus) }) as usize
}

#[cfg(test)]
mod tests {
    use super::{Owner, parse_start_time, thread};

    #[test]
    fn the_start_time_is_found_behind_a_name_full_of_parentheses() {
        let text = b"42 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4294967297 20 21";
        assert_eq!(parse_start_time(text), Some(1));
    }

    #[test]
    fn text_cut_short_has_no_start_time() {
        assert_eq!(parse_start_time(b"42 (a) S 1 2 3"), None);
        assert_eq!(parse_start_time(b""), None);
    }

    #[test]
    fn the_process_lives_and_its_threads_are_one_owner() {
        assert!(!Owner::current().has_ended());
        let (owner, other) = std::thread::spawn(|| (Owner::current(), thread())).join().expect("runs");
        assert_eq!(owner, Owner::current());
        assert_ne!(other, thread());
    }

    #[test]
    fn a_stranger_with_the_same_pid_is_not_the_owner() {
        let me = Owner::current().to_word();
        let earlier = Owner::in_word(me - (1 << 32)).expect("an owner");
        assert_eq!(earlier.pid(), Owner::current().pid());
        assert!(earlier.has_ended(), "that owner has gone: its number is in other hands");
    }

    #[test]
    fn a_number_that_has_become_a_threads_is_no_living_process() {
        let tid = std::thread::spawn(|| {
            let tid = nix::unistd::gettid().as_raw() as u64;
            Owner::in_word(tid).expect("an owner").has_ended()
        });
        assert!(tid.join().expect("runs"));
    }

    #[test]
    fn flags_are_not_part_of_an_owner() {
        let me = Owner::current();
        assert_eq!(Owner::in_word(me.to_word() | 1 << 31), Some(me));
        assert_eq!(Owner::in_word(0), None);
    }
}
