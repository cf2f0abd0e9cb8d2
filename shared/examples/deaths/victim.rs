//! The one that dies: a child under `ptrace(2)`, and the ways to bring it to a given instruction.
//!
//! To step to boundary k from the start, for each k anew, takes N²/2 steps, and waiting awake alone is some
//! 4,000 instructions. So the path is recorded once, one step at a time. Later victims run freely to a
//! breakpoint near the boundary and are stepped the rest of the way. Boundaries are never skipped by this,
//! and the arrival is checked against the recorded path.

use crate::survivor::{PATIENCE, state, wait_until};
use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process::{Builder, JoinHandle};
use std::collections::HashMap;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// One that goes another way than was recorded may not come by for ever.
const SOON: Duration = Duration::from_secs(1);

/// The addresses of the instructions that a victim ran through, one for each boundary between two.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    addresses: Vec<u64>,
    /// How often the same address came before.
    repeats: Vec<u32>,
    /// Where to put the breakpoint on the way to each boundary.
    landmarks: Vec<usize>,
    /// The first boundary that belongs to the operation.
    first: usize,
}

impl Path {
    /// What a breakpoint costs that is passed once, in steps.
    const PASS: usize = 4;

    fn new(addresses: Vec<u64>, first: usize) -> Path {
        let mut seen = HashMap::new();
        let mut path = Path { addresses, repeats: Vec::new(), landmarks: Vec::new(), first };
        for (index, &address) in path.addresses.iter().enumerate() {
            let repeat = *seen.entry(address).and_modify(|n| *n += 1).or_insert(0_u32);
            let cost = |landmark: usize, repeat: u32| Path::PASS * repeat as usize + (index - landmark);
            let landmark = match path.landmarks.last() {
                Some(&last) if cost(last, path.repeats[last]) < cost(index, repeat) => last,
                _ => index,
            };
            path.repeats.push(repeat);
            path.landmarks.push(landmark);
        }
        path
    }

    /// A sleep: one boundary, reached without a step.
    pub(crate) fn sleep() -> Path {
        Path::new(vec![0], 0)
    }

    pub(crate) fn boundaries(&self) -> Vec<usize> {
        (self.first..self.addresses.len()).collect()
    }

    pub(crate) fn last(&self) -> usize {
        self.addresses.len() - 1
    }

    /// Whether the instruction there has been run before: a turn of a loop.
    pub(crate) fn is_repeat(&self, boundary: usize) -> bool {
        self.repeats[boundary] > 0
    }
}

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
        let mut signal = None;
        let stopped = || match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => false,
            Ok(WaitStatus::Stopped(_, by)) => {
                signal = Some(by);
                true
            }
            _ => true,
        };
        wait_until(limit, stopped);
        signal
    }

    /// One instruction. It ends: even a sleep ends with its slice.
    fn step(&self) -> bool {
        ptrace::step(self.pid, None).is_ok()
            && waitpid(self.pid, None) == Ok(WaitStatus::Stopped(self.pid, Signal::SIGTRAP))
    }

    fn registers(&self) -> user_regs_struct {
        ptrace::getregs(self.pid).expect("the registers of a stopped victim")
    }

    /// Steps to the return of the operation or to its next sleep.
    pub(crate) fn record(&self) -> Option<Path> {
        const TOO_LONG: usize = 1_000_000;
        let mut addresses = Vec::new();
        let mut first = None;
        loop {
            let registers = self.registers();
            if first.is_none() && self.phase() != 0 {
                first = Some(addresses.len());
            }
            addresses.push(registers.rip);
            if self.is_over() || self.is_about_to_sleep(&registers) {
                return Some(Path::new(addresses, first?));
            }
            if addresses.len() > TOO_LONG || !self.step() {
                return None;
            }
        }
    }

    /// Steps it until this is so. `false`: it never was.
    pub(crate) fn run_until(&self, so: impl Fn() -> bool) -> bool {
        while !so() {
            if self.is_over() || !self.step() {
                return false;
            }
        }
        true
    }

    /// Whether the next instruction is the system call `futex(FUTEX_WAIT_BITSET)`.
    fn is_about_to_sleep(&self, registers: &user_regs_struct) -> bool {
        const SYSCALL: i64 = 0x050f;
        registers.rax == libc::SYS_futex as u64
            && registers.rsi == libc::FUTEX_WAIT_BITSET as u64
            && ptrace::read(self.pid, address(registers.rip)).is_ok_and(|code| code & 0xffff == SYSCALL)
    }

    /// Brings it to a boundary of the path at whose beginning it is. `false`: this time it went elsewhere.
    pub(crate) fn run_to(&self, path: &Path, boundary: usize) -> bool {
        let landmark = path.landmarks[boundary];
        let there = landmark == 0 || self.run_to_landmark(path, landmark);
        there && (landmark..boundary).all(|_| self.step()) && self.registers().rip == path.addresses[boundary]
    }

    fn run_to_landmark(&self, path: &Path, landmark: usize) -> bool {
        const TRAP: i64 = 0xcc;
        let at = path.addresses[landmark];
        let Ok(code) = ptrace::read(self.pid, address(at)) else { return false };
        let write = |code| ptrace::write(self.pid, address(at), code).is_ok();
        for left in (0..=path.repeats[landmark]).rev() {
            let stopped = write(code & !0xff | TRAP)
                && ptrace::cont(self.pid, None).is_ok()
                && self.stop(SOON) == Some(Signal::SIGTRAP);
            if !stopped || !write(code) {
                return false;
            }
            let registers = user_regs_struct { rip: at, ..self.registers() };
            if ptrace::setregs(self.pid, registers).is_err() || (left > 0 && !self.step()) {
                return false;
            }
        }
        true
    }

    /// Lets it go into the sleep before which it stands. `false`: it did not sleep.
    pub(crate) fn fall_asleep(&self) -> bool {
        let mut asleep = false;
        let settled = || {
            asleep = state(self.pid()) == Some('S');
            asleep || state(self.pid()) == Some('t')
        };
        ptrace::step(self.pid, None).is_ok() && wait_until(SOON, settled) && asleep
    }

    /// Waits for the end of its sleep: it stops when it comes back from the kernel.
    pub(crate) fn wake_up(&self) -> Awake {
        if self.stop(SOON) != Some(Signal::SIGTRAP) {
            return Awake::Otherwise;
        }
        match self.registers().rax as i64 {
            0 => Awake::Woken,
            code if code == -i64::from(libc::ETIMEDOUT) => Awake::TimedOut,
            _ => Awake::Otherwise,
        }
    }

    /// SIGKILL, and its end.
    pub(crate) fn die(self) {
        self.process.kill().expect("a child of ours");
        let _ = self.process.join();
    }
}

fn address(of: u64) -> *mut libc::c_void {
    ptr::without_provenance_mut(of as usize)
}
