//! The one that dies: a child under `ptrace(2)`, and the ways to bring it to a given instruction.
//!
//! To step to boundary k from the start, for each k anew, takes N²/2 steps, and waiting awake alone is some
//! 4,000 instructions. So the path is recorded once, as `path.rs` tells. Later victims run freely to a
//! breakpoint near the boundary and are stepped the rest of the way. Boundaries are never skipped by this,
//! and the arrival is checked against the recorded path.

use crate::path::{Code, Path};
use crate::survivor::{PATIENCE, state, wait_until};
use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process::{Builder, JoinHandle};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// One that goes another way than was recorded may not come by for ever.
const SOON: Duration = Duration::from_secs(1);
/// Who has not stopped after this is looked at more closely.
const MOMENT: Duration = Duration::from_millis(2);

/// How the victim's sleep in the kernel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awake {
    Woken,
    TimedOut,
    Otherwise,
}

/// How far the victim is, in a word that its tracer sees.
#[derive(Clone, Debug)]
pub(crate) struct Marks(Shared<AtomicU64>);

/// The operation has begun.
const BEGUN: u64 = 1;
/// It has returned.
const OVER: u64 = 2;

impl Marks {
    /// Stops for the tracer, and then does what is stepped through.
    #[inline(always)]
    pub(crate) fn operation<T>(&self, operation: impl FnOnce() -> T) -> T {
        raise(Signal::SIGSTOP).expect("a stop");
        self.0.store(BEGUN, SeqCst);
        let result = operation();
        self.0.store(OVER, SeqCst);
        result
    }
}

/// A traced child, stopped just before its operation at first.
#[derive(Debug)]
pub(crate) struct Victim {
    process: JoinHandle<()>,
    pid: Pid,
    marks: Marks,
}

impl Victim {
    /// `life` calls [`Marks::operation`] once, having warmed up: what is found out at the first use of an
    /// operation, who this process is for one, would have to be stepped through as well.
    pub(crate) fn new(life: impl FnOnce(&Marks) + Send + 'static) -> Victim {
        let marks = Marks(Shared::new(AtomicU64::new(0)));
        let of_victim = marks.clone();
        let process = Builder::new().name("victim").daemon(true);
        let process = process.spawn(move || {
            ptrace::traceme().expect("ptrace is permitted");
            life(&of_victim);
            // Only one that took another path than the recorded one comes here.
            raise(Signal::SIGSTOP).expect("a stop");
        });
        let process = process.expect("a process");
        let pid = Pid::from_raw(process.process().id() as i32);
        let victim = Victim { process, pid, marks };
        let stopped = victim.stop(PATIENCE);
        assert_eq!(stopped, Some(Signal::SIGSTOP), "victim {pid} is in state {:?}", state(victim.pid()));
        victim
    }

    fn phase(&self) -> u64 {
        self.marks.0.load(SeqCst)
    }

    /// Whether its operation has returned.
    pub(crate) fn is_over(&self) -> bool {
        self.phase() == OVER
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Waits until it stops.
    fn stop(&self, limit: Duration) -> Option<Signal> {
        self.stop_unless(limit, || false)
    }

    /// Waits until it stops, or this is so.
    fn stop_unless(&self, limit: Duration, otherwise: impl Fn() -> bool) -> Option<Signal> {
        let mut signal = None;
        let settled = || match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => otherwise(),
            Ok(WaitStatus::Stopped(_, by)) => {
                signal = Some(by);
                true
            }
            _ => true,
        };
        wait_until(limit, settled);
        signal
    }

    /// One instruction. It ends: even a sleep ends with its slice.
    fn step(&self) -> bool {
        let at = self.registers().rip;
        let code = ptrace::read(self.pid, address(at)).unwrap_or(0).to_le_bytes();
        if let Some(len) = Code::repeating(&code) {
            return self.run_to_address(at + len);
        }
        ptrace::step(self.pid, None).is_ok()
            && waitpid(self.pid, None) == Ok(WaitStatus::Stopped(self.pid, Signal::SIGTRAP))
    }

    fn registers(&self) -> user_regs_struct {
        ptrace::getregs(self.pid).expect("the registers of a stopped victim")
    }

    /// Goes on to the return of the operation or to its next sleep, and tells the way: in steps, and over straight
    /// code that is known already to its last instruction.
    pub(crate) fn record(&self, code: &mut Code) -> Option<Path> {
        const TOO_LONG: usize = 1_000_000;
        let mut addresses = Vec::new();
        let mut first = None;
        while addresses.len() < TOO_LONG {
            let registers = self.registers();
            if first.is_none() && self.phase() != 0 {
                first = Some(addresses.len());
            }
            let mut at = registers.rip;
            if self.is_over() || self.is_about_to_sleep(&registers) {
                addresses.push(at);
                return Some(Path::new(addresses, first?));
            }
            while let Some(next) = code.straight_on(at)
                && first.is_some()
            {
                addresses.push(at);
                at = next;
            }
            if at != registers.rip {
                if !self.run_to_address(at) {
                    return None;
                }
                continue;
            }
            addresses.push(at);
            if !self.step() {
                return None;
            }
            code.learn(at, self.registers().rip, || ptrace::read(self.pid, address(at)).ok());
        }
        None
    }

    /// Steps it until this is so, and says before which instruction it was. `None`: it never was.
    pub(crate) fn step_until(&self, so: impl Fn() -> bool) -> Option<u64> {
        while !so() {
            if self.is_over() || !self.step() {
                return None;
            }
        }
        Some(self.registers().rip)
    }

    /// Whether the next instruction is a system call that sleeps: `futex(FUTEX_WAIT_BITSET)` or `epoll_wait`.
    fn is_about_to_sleep(&self, registers: &user_regs_struct) -> bool {
        const SYSCALL: i64 = 0x050f;
        let sleeps = match registers.rax as i64 {
            libc::SYS_futex => registers.rsi == libc::FUTEX_WAIT_BITSET as u64,
            libc::SYS_epoll_wait | libc::SYS_epoll_pwait => registers.r10 as i32 != 0,
            _ => false,
        };
        sleeps && ptrace::read(self.pid, address(registers.rip)).is_ok_and(|code| code & 0xffff == SYSCALL)
    }

    /// Brings it to a boundary of the path at whose beginning it is. `false`: this time it went elsewhere.
    pub(crate) fn run_to(&self, path: &Path, boundary: usize) -> bool {
        let landmark = path.landmarks[boundary];
        let there = landmark == 0 || self.run_to_landmark(path, landmark);
        there && (landmark..boundary).all(|_| self.step()) && self.registers().rip == path.addresses[boundary]
    }

    fn run_to_landmark(&self, path: &Path, landmark: usize) -> bool {
        let at = path.addresses[landmark];
        (0..=path.repeats[landmark]).all(|turn| (turn == 0 || self.step()) && self.run_to_address(at))
    }

    /// Runs until it is about to make the system call in which it sleeps.
    fn run_to_sleep(&self, at: u64) -> bool {
        while self.run_to_address(at) {
            if self.is_about_to_sleep(&self.registers()) {
                return true;
            }
            if !self.step() {
                return false;
            }
        }
        false
    }

    /// Runs to a breakpoint. One that stands there already stays; who goes to sleep instead came past.
    pub(crate) fn run_to_address(&self, at: u64) -> bool {
        const TRAP: i64 = 0xcc;
        if self.registers().rip == at {
            return true;
        }
        let Ok(code) = ptrace::read(self.pid, address(at)) else { return false };
        let write = |code| ptrace::write(self.pid, address(at), code).is_ok();
        let start = Instant::now();
        let asleep = || start.elapsed() > MOMENT && state(self.pid()) == Some('S');
        let stopped = write(code & !0xff | TRAP)
            && ptrace::cont(self.pid, None).is_ok()
            && self.stop_unless(SOON, asleep) == Some(Signal::SIGTRAP);
        stopped
            && write(code)
            && ptrace::setregs(self.pid, user_regs_struct { rip: at, ..self.registers() }).is_ok()
    }

    /// Lets it run into its first sleep, and says where the system call is: by `/proc`, since one that is stepped there
    /// is so slow that its time may be up before.
    pub(crate) fn find_sleep(&self) -> Option<u64> {
        const LEN_OF_SYSCALL: u64 = 2;
        ptrace::cont(self.pid, None).ok()?;
        let mut next = None;
        let settled = || {
            next = next_if_asleep(self.pid());
            next.is_some() || self.is_awake()
        };
        wait_until(SOON, settled);
        Some(next? - LEN_OF_SYSCALL)
    }

    /// Lets it run into its sleep. `false`: it did not sleep.
    pub(crate) fn fall_asleep(&self, at: u64) -> bool {
        let mut asleep = false;
        let settled = || {
            asleep = state(self.pid()) == Some('S');
            asleep || state(self.pid()) == Some('t')
        };
        self.run_to_sleep(at) && ptrace::step(self.pid, None).is_ok() && wait_until(SOON, settled) && asleep
    }

    /// Whether its sleep has ended: it is stopped, and has been waited for.
    pub(crate) fn is_awake(&self) -> bool {
        !matches!(waitpid(self.pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive))
    }

    /// Waits for the end of its sleep: it stops when it comes back from the kernel.
    pub(crate) fn wake_up(&self) -> Awake {
        if self.stop(SOON) != Some(Signal::SIGTRAP) {
            return Awake::Otherwise;
        }
        const TIMED_OUT: i64 = -(libc::ETIMEDOUT as i64);
        let registers = self.registers();
        match (registers.orig_rax as i64, registers.rax as i64) {
            (libc::SYS_futex, 0) => Awake::Woken,
            (libc::SYS_futex, TIMED_OUT) => Awake::TimedOut,
            (libc::SYS_epoll_wait | libc::SYS_epoll_pwait, 1..) => Awake::Woken,
            (libc::SYS_epoll_wait | libc::SYS_epoll_pwait, 0) => Awake::TimedOut,
            _ => Awake::Otherwise,
        }
    }

    /// SIGKILL, and its end.
    pub(crate) fn die(self) {
        self.process.kill().expect("a child of ours");
        let _ = self.process.join();
    }
}

/// The instruction behind the system call in which a process sleeps, by `/proc`, if it is one for that.
fn next_if_asleep(pid: u32) -> Option<u64> {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let mut words = call.split_whitespace();
    let sleeps =
        matches!(words.next()?.parse().ok()?, libc::SYS_futex | libc::SYS_epoll_wait | libc::SYS_epoll_pwait);
    let next = words.next_back()?.strip_prefix("0x")?;
    u64::from_str_radix(next, 16).ok().filter(|_| sleeps)
}

fn address(of: u64) -> *mut libc::c_void {
    ptr::without_provenance_mut(of as usize)
}
