//! Locks whose owner lives, though it sleeps, is stopped or has lost the thread that took them; and the dead whose
//! number a living stranger has.

mod cast;
mod harness;

use cast::{BOUND, kill, owner, owner_of};
use harness::tools::{eventually, sleep_for_ever, state};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process::{self, JoinHandle};
use shared::sync::{Cause, Lock, LockTimeoutError, TryLockError};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        a_thread_that_ends_with_the_lock_keeps_it_for_its_process,
        a_stopped_owner_is_not_robbed,
        a_stranger_with_the_owners_number_is_not_the_owner within 60,
        the_stranger_itself_is_not_the_owner within 60,
    }
}

/// It may have leaked the guard and given what it guards to others, who use it still.
fn a_thread_that_ends_with_the_lock_keeps_it_for_its_process() {
    let shared = Lock::new(0);
    let written = Shared::new(AtomicBool::new(false));
    let owner = {
        let (its, written) = (shared.clone(), written.clone());
        process::spawn(move || -> () {
            let its = Box::leak(Box::new(its));
            let value = thread::spawn(|| &mut **Box::leak(Box::new(its.lock().unwrap()))).join().unwrap();
            *value += 1;
            let refused = process::Builder::new().spawn(|| ());
            assert!(matches!(refused, Err(process::SpawnError::GuardHeld { count: 1 })), "{refused:?}");
            *value += 1;
            written.store(true, SeqCst);
            sleep_for_ever();
        })
    };
    let pid = owner.process().id();
    eventually("it has written", || written.load(SeqCst));
    assert!(matches!(shared.try_lock(), Err(TryLockError::WouldBlock)));
    assert!(matches!(shared.lock_timeout(Duration::from_millis(300)), Err(LockTimeoutError::Timeout)));
    owner.kill().unwrap();
    let poisoned = shared.lock().unwrap_err();
    assert_eq!((poisoned.cause(), **poisoned.get_ref()), (Cause::OwnerDied { pid }, 2));
    drop(poisoned);
    assert!(owner.join().is_err());
}

fn a_stopped_owner_is_not_robbed() {
    let lock = Lock::new(0);
    let (go, its) = (Shared::new(AtomicBool::new(false)), lock.clone());
    let may_go = go.clone();
    let owner = process::spawn(move || {
        let mut guard = its.lock().unwrap();
        eventually("go", || may_go.load(SeqCst));
        *guard += 1;
    });
    let pid = Pid::from_raw(owner.process().id() as i32);
    eventually("it has the lock", || lock.is_locked());
    signal::kill(pid, Signal::SIGSTOP).unwrap();
    eventually("it is stopped", || state(pid.as_raw() as u32) == Some('T'));

    assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
    assert!(matches!(lock.lock_timeout(BOUND), Err(LockTimeoutError::Timeout)));
    assert!(!owner.is_finished());

    go.store(true, SeqCst);
    signal::kill(pid, Signal::SIGCONT).unwrap();
    owner.join().expect("its guard is good");
    assert_eq!(*lock.lock().expect("no poison"), 1);
}

const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// Ends the trial where the kernel cannot be told which pid comes next.
fn need_a_say_in_pids() {
    let written = fs::read_to_string(LAST_PID).and_then(|last| fs::write(LAST_PID, last.trim()));
    if let Err(error) = written {
        harness::ignore(&format!("{LAST_PID}: {error}"));
    }
}

/// A lock whose owner was killed and collected, and a living stranger that has the owner's pid and runs `f`.
fn lock_and_stranger<T: shared::channel::Message>(
    f: impl Fn(&Lock<i32>) -> T + Clone + Send + 'static,
) -> (Lock<i32>, Cause, JoinHandle<T>) {
    // Others on this machine start processes as well, and may be first.
    for _ in 0..1_000 {
        let lock = Lock::new(0);
        let owner = owner_of(&lock);
        let pid = owner.process().id();
        // The kernel tells start times in hundredths of a second.
        thread::sleep(Duration::from_millis(20));
        let died = Cause::OwnerDied { pid: kill(owner) };
        fs::write(LAST_PID, (pid - 1).to_string()).unwrap();
        let (its, f) = (lock.clone(), f.clone());
        let stranger = process::spawn(move || f(&its));
        if stranger.process().id() == pid {
            return (lock, died, stranger);
        }
        stranger.kill().unwrap();
        let _ = stranger.join();
    }
    harness::ignore("pids are used up too quickly here");
}

fn a_stranger_with_the_owners_number_is_not_the_owner() {
    need_a_say_in_pids();
    for _ in 0..5 {
        let (lock, died, stranger) = lock_and_stranger(|_| sleep_for_ever());
        assert_eq!(died, Cause::OwnerDied { pid: stranger.process().id() });
        assert_eq!(owner(&lock), Some(stranger.process().id()), "the lock is still marked by the dead");
        let start = Instant::now();
        match lock.lock_timeout(BOUND * 5) {
            Err(LockTimeoutError::Poisoned(poisoned)) => assert_eq!(poisoned.cause(), died),
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        assert!(!stranger.is_finished());
        kill(stranger);
    }
}

fn the_stranger_itself_is_not_the_owner() {
    need_a_say_in_pids();
    let (lock, Cause::OwnerDied { pid: died }, stranger) =
        lock_and_stranger(|lock| match lock.lock_timeout(BOUND) {
            Err(LockTimeoutError::Poisoned(poisoned)) => match poisoned.cause() {
                Cause::OwnerDied { pid } => pid,
                Cause::Panicked { .. } => 0,
            },
            _ => 0,
        })
    else {
        panic!("killed")
    };
    assert_eq!(stranger.join().unwrap(), died);
    assert!(!lock.is_locked());
}
