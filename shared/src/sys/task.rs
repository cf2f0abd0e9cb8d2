//! Tasks, as the kernel calls what it schedules: forking them, counting them, telling them apart.
#![allow(unsafe_code)]

use super::pidfd;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{ForkResult, Pid};
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::linux::fs::MetadataExt;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

/// Who owns a thing in shared memory: one thread of one process, never another.
///
/// The thread's id in the low half, the time at which it started in the high half. A thread id alone
/// would not do: the numbers come round, in eight seconds where `pid_max` is 32,768, and then a
/// stranger would be taken for a dead owner. The start time counts in ticks of 10 ms, far less than a
/// round takes. A thread id has at most 22 bits (`PID_MAX_LIMIT`), so the bits above are free for flags
/// of whoever stores the number. No owner is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u64);

/// The bits of the low half that a thread id may use.
const TID_BITS: u64 = (1 << 30) - 1;

thread_local! {
    /// What [`Owner::current`] found out, 0 until it is asked.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

impl Owner {
    /// The calling thread.
    #[inline]
    pub(crate) fn current() -> Owner {
        match CURRENT.get() {
            0 => Owner::find_out(),
            known => Owner(known),
        }
    }

    #[cold]
    fn find_out() -> Owner {
        static FORGET_AT_FORK: Once = Once::new();
        extern "C" fn forget() {
            CURRENT.set(0);
        }
        // A child is somebody else. The handler runs there, on the thread that forked, in whichever
        // way `fork(3)` was called.
        FORGET_AT_FORK.call_once(|| {
            // SAFETY: the handler writes one thread-local cell.
            unsafe { libc::pthread_atfork(None, None, Some(forget)) };
        });
        let tid = nix::unistd::gettid().as_raw() as u64;
        // Without /proc there is no start time to compare; 0 says so.
        let start = Stat::read("/proc/thread-self/stat").map_or(0, |stat| stat.start);
        let owner = u64::from(start) << 32 | tid;
        CURRENT.set(owner);
        Owner(owner)
    }

    /// The owner whose number is in `word`, the flags left out. `None` if it holds none.
    #[inline]
    pub(crate) fn in_word(word: u64) -> Option<Owner> {
        let owner = Owner(word & (0xffff_ffff << 32 | TID_BITS));
        (owner.tid() != 0).then_some(owner)
    }

    /// The number to be stored, without flags.
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        self.0
    }

    /// The thread's id; that of a process's first thread is its pid.
    pub(crate) fn tid(self) -> u32 {
        (self.0 & TID_BITS) as u32
    }

    fn start(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether this owner has certainly ended, so that it can never again touch the memory.
    ///
    /// Proof and nothing less: no answer, no progress and old age prove nothing, for a stopped process
    /// looks like that too. `pidfd_open(2)` tells whether anybody has the number and whether its holder
    /// is a zombie, `/proc/TID/stat` whether its holder is the same as then.
    pub(crate) fn has_ended(self) -> bool {
        match pidfd::open(self.tid()) {
            Ok(process) if pidfd::has_ended(process.as_fd()) => true,
            // Somebody with this number lives. Without a readable file we do not know who, and wait on.
            Ok(_) => self.lives_no_more_by_proc().unwrap_or(false),
            Err(Errno::ESRCH) => true,
            // A thread that does not lead its process (EINVAL, on newer kernels ENOENT), or no
            // descriptor to be had.
            Err(_) => self.lives_no_more_by_proc().unwrap_or_else(|| no_such_task(self.tid())),
        }
    }

    fn lives_no_more_by_proc(self) -> Option<bool> {
        let stat = Stat::read(&format!("/proc/{}/stat", self.tid()))?;
        let another = self.start() != 0 && stat.start != self.start();
        Some(another || matches!(stat.state, b'Z' | b'X' | b'x'))
    }
}

/// `kill(2)` with signal 0: whether nobody has this number.
fn no_such_task(tid: u32) -> bool {
    nix::sys::signal::kill(Pid::from_raw(tid as i32), None) == Err(Errno::ESRCH)
}

/// What `proc_pid_stat(5)` says of a task.
struct Stat {
    state: u8,
    /// Ticks from the start of the machine to that of the task, the low 32 bits.
    start: u32,
}

impl Stat {
    fn read(path: &str) -> Option<Stat> {
        let mut text = [0; 1024];
        let len = File::open(path).ok()?.read(&mut text).ok()?;
        Stat::parse(text.get(..len)?)
    }

    /// The second field is the program's name in parentheses, and may itself contain any of these
    /// characters: what follows the last parenthesis is safe to split.
    fn parse(text: &[u8]) -> Option<Stat> {
        let name_end = text.iter().rposition(|&byte| byte == b')')?;
        let mut fields = text.get(name_end + 1..)?.split(|&byte| byte == b' ').filter(|f| !f.is_empty());
        let state = *fields.next()?.first()?;
        // The state is field 3, the start time field 22.
        let start = std::str::from_utf8(fields.nth(22 - 4)?).ok()?.parse::<u64>().ok()?;
        Some(Stat { state, start: start as u32 })
    }
}

/// How many threads this process has, by the kernel's count: the links of `/proc/self/task` minus two.
///
/// A thread that has just been joined is still counted for some microseconds, so a number above one is
/// looked at again for five milliseconds. Without `/proc` the count is unknown.
pub(crate) fn thread_count() -> Option<u64> {
    let patience = Instant::now() + Duration::from_millis(5);
    loop {
        let count = std::fs::metadata("/proc/self/task").ok()?.st_nlink().checked_sub(2)?;
        if count <= 1 || Instant::now() > patience {
            return Some(count);
        }
        thread::sleep(Duration::from_micros(50));
    }
}

/// `fork(2)`: returns twice, with the child's pid here and `None` in the child.
///
/// # Safety
///
/// What the child goes on to use must be in order in a copy of this process in which only the calling
/// thread goes on. With one thread that is so of everything; with more, a lock that another thread holds
/// now stays locked for ever in the copy.
pub(crate) unsafe fn fork() -> Result<Option<u32>, Errno> {
    // SAFETY: the caller's promise.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child.as_raw() as u32)),
        ForkResult::Child => Ok(None),
    }
}

/// `_exit(2)`: ends the process here and now, without destructors and without exit hooks.
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
    use super::{Owner, Stat};

    #[test]
    fn the_start_time_is_found_behind_a_name_full_of_parentheses() {
        let text = b"42 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4294967297 20 21";
        let stat = Stat::parse(text).expect("parses");
        assert_eq!((stat.state, stat.start), (b'S', 1));
    }

    #[test]
    fn text_cut_short_has_no_start_time() {
        assert!(Stat::parse(b"42 (a) S 1 2 3").is_none());
        assert!(Stat::parse(b"").is_none());
    }

    #[test]
    fn a_running_thread_has_not_ended_and_an_ended_one_has() {
        assert!(!Owner::current().has_ended());
        let other = std::thread::spawn(Owner::current).join().expect("runs");
        assert_ne!(other, Owner::current());
        while super::thread_count() != Some(1) && !other.has_ended() {
            std::thread::yield_now();
        }
        assert!(other.has_ended());
    }

    #[test]
    fn a_stranger_with_the_same_thread_id_is_not_the_owner() {
        let me = Owner::current().to_word();
        let earlier = Owner::in_word(me - (1 << 32)).expect("an owner");
        assert_eq!(earlier.tid(), Owner::current().tid());
        assert!(earlier.has_ended(), "that owner has gone: its number is in other hands");
    }

    #[test]
    fn flags_are_not_part_of_an_owner() {
        let me = Owner::current();
        assert_eq!(Owner::in_word(me.to_word() | 1 << 31), Some(me));
        assert_eq!(Owner::in_word(0), None);
    }
}
