//! The forks that are refused, and that a refusal leaves everything as it was.

mod harness;

use harness::tools::{descriptors, eventually, mappings, sleep_for_ever};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shared::memory::Shared;
use shared::process::signal::{self, Signal};
use shared::process::{self, Builder, SpawnError};
use shared::sync::{Condition, Lock, ReentrantLock};
use std::cell::Cell;
use std::fs::File;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        a_fork_beside_other_threads_is_refused,
        a_thread_just_joined_is_no_thread,
        the_unsafe_door_is_open,
        a_fork_under_a_guard_is_refused,
        every_way_to_a_guard_counts,
        nested_guards_count_until_the_last_is_dropped,
        while_it_waits_a_thread_may_fork_unless_it_has_more_guards,
        a_forgotten_guard_counts_for_ever,
        a_poisoned_guard_counts,
        guards_of_a_failed_body_do_not_count,
        a_child_begins_without_guards_and_counts_its_own,
        a_daemon_may_not_fork,
        spawn_and_scope_panic_with_the_reason,
        a_refusal_of_the_kernel_is_told,
    }
}

/// What a spawn is refused with. Its closure is called nowhere, and it leaves nothing.
#[track_caller]
fn refusal() -> SpawnError {
    let called = Shared::new(AtomicBool::new(false));
    let in_child = called.clone();
    let before = (descriptors(), process::active_children());
    let refused = Builder::new().spawn(move || in_child.store(true, SeqCst)).expect_err("a refusal");
    assert_eq!((descriptors(), process::active_children()), before);
    assert!(!called.load(SeqCst));
    refused
}

#[track_caller]
fn allowed() {
    assert_eq!(Builder::new().spawn(|| 7).expect("allowed").join(), Ok(7));
}

fn a_fork_beside_other_threads_is_refused() {
    let (end, ended) = mpsc::channel::<()>();
    let other = thread::spawn(move || ended.recv().is_err());
    let refused = refusal();
    assert!(matches!(refused, SpawnError::Threads { count: 2 }), "{refused}");
    assert!(refused.to_string().contains("2 threads"), "{refused}");
    process::scope(|s| {
        let refused = Builder::new().spawn_scoped(s, || ());
        assert!(matches!(refused, Err(SpawnError::Threads { count: 2 })));
    });
    drop(end);
    assert!(other.join().unwrap());
    allowed();
}

/// The kernel counts it for some microseconds more.
fn a_thread_just_joined_is_no_thread() {
    for _ in 0..100 {
        thread::spawn(|| ()).join().unwrap();
        allowed();
        thread::scope(|s| {
            s.spawn(|| ());
        });
        allowed();
    }
}

#[allow(unsafe_code)]
fn the_unsafe_door_is_open() {
    let called = Shared::new(AtomicBool::new(false));
    let in_child = called.clone();
    let (end, ended) = mpsc::channel::<()>();
    let other = thread::spawn(move || ended.recv().is_err());
    // SAFETY: the other thread sleeps in `recv` and holds nothing, and the child stores one atomic.
    let child = unsafe { Builder::new().spawn_unchecked(move || in_child.store(true, SeqCst)) };
    child.unwrap().join().unwrap();
    assert!(called.load(SeqCst));
    drop(end);
    assert!(other.join().unwrap());
}

fn a_fork_under_a_guard_is_refused() {
    let (lock, reentrant) = (Lock::new(1), ReentrantLock::new(1));
    {
        let guard = lock.lock().unwrap();
        let refused = refusal();
        assert!(matches!(refused, SpawnError::GuardHeld { count: 1 }), "{refused}");
        process::scope(|s| {
            let refused = Builder::new().spawn_scoped(s, || ());
            assert!(matches!(refused, Err(SpawnError::GuardHeld { count: 1 })));
        });
        assert_eq!(*guard, 1);
    }
    allowed();
    {
        let _guard = reentrant.lock().unwrap();
        assert!(matches!(refusal(), SpawnError::GuardHeld { count: 1 }));
    }
    allowed();
}

fn every_way_to_a_guard_counts() {
    let (lock, reentrant) = (Lock::new(()), ReentrantLock::new(()));
    let counted = || matches!(refusal(), SpawnError::GuardHeld { count: 2 });
    {
        let _guards = (lock.try_lock().unwrap(), reentrant.try_lock().unwrap());
        assert!(counted());
    }
    {
        let time = Duration::from_secs(1);
        let _guards = (lock.lock_timeout(time).unwrap(), reentrant.lock_timeout(time).unwrap());
        assert!(counted());
        assert!(lock.try_lock().is_err(), "a guard not given is none");
        assert!(counted());
    }
    allowed();
}

fn nested_guards_count_until_the_last_is_dropped() {
    let lock = ReentrantLock::new(Cell::new(0));
    let counted = || assert!(matches!(refusal(), SpawnError::GuardHeld { count: 1 }));
    let mut guards = Vec::new();
    for _ in 1..=5 {
        guards.push(lock.lock().unwrap());
        counted();
    }
    for _ in 1..5 {
        // The first one first: whichever is dropped last gives the lock back.
        drop(guards.remove(0));
        counted();
    }
    drop(guards);
    allowed();
}

fn while_it_waits_a_thread_may_fork_unless_it_has_more_guards() {
    // The answer to a signal runs inside the wait.
    static COUNT: AtomicU64 = AtomicU64::new(u64::MAX);
    let (lock, condition) = (ReentrantLock::new(()), Condition::new());
    let of_answer = condition.clone();
    let answer = move || {
        match Builder::new().spawn(|| ()) {
            Ok(child) => child.join().map(|()| COUNT.store(0, SeqCst)).unwrap(),
            Err(SpawnError::GuardHeld { count }) => COUNT.store(count, SeqCst),
            Err(other) => panic!("{other}"),
        }
        of_answer.notify_all();
    };
    signal::handle(Signal::SIGALRM, answer).unwrap();
    for (others, counted) in [(0, 0), (1, 1), (3, 1), (0, 0)] {
        let others: Vec<_> = (0..others).map(|_| lock.lock().unwrap()).collect();
        COUNT.store(u64::MAX, SeqCst);
        signal::alarm(Duration::from_millis(5));
        let guard = lock.lock().unwrap();
        let patience = Duration::from_secs(20);
        let asked = |_: &()| COUNT.load(SeqCst) != u64::MAX;
        let (guard, waited) = condition.wait_timeout_while(guard, patience, |inside| !asked(inside)).unwrap();
        assert!(!waited.timed_out());
        assert_eq!(COUNT.load(SeqCst), counted);
        assert!(matches!(refusal(), SpawnError::GuardHeld { count: 1 }));
        drop(others);
        assert!(matches!(refusal(), SpawnError::GuardHeld { count: 1 }));
        drop(guard);
        allowed();
    }
}

fn a_forgotten_guard_counts_for_ever() {
    let (lock, reentrant) = (Lock::new(()), ReentrantLock::new(()));
    mem::forget(lock.lock().unwrap());
    assert!(matches!(refusal(), SpawnError::GuardHeld { count: 1 }));
    drop(lock);
    assert!(matches!(refusal(), SpawnError::GuardHeld { count: 1 }));
    mem::forget(reentrant.lock().unwrap());
    drop(reentrant.lock().unwrap());
    assert!(matches!(refusal(), SpawnError::GuardHeld { count: 2 }));
}

fn a_poisoned_guard_counts() {
    let lock = Lock::new(());
    process::scope(|s| {
        let child = s.spawn(|| -> () {
            let _guard = lock.lock().unwrap();
            process::exit(0);
        });
        child.join().unwrap();
    });
    let poisoned = lock.lock().unwrap_err();
    assert!(matches!(refusal(), SpawnError::GuardHeld { count: 1 }));
    drop(poisoned);
    allowed();
}

fn guards_of_a_failed_body_do_not_count() {
    let (lock, reentrant) = (Lock::new(()), ReentrantLock::new(()));
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let _guards = (lock.lock().unwrap(), reentrant.lock().unwrap(), reentrant.lock().unwrap());
        panic!("the body fails");
    }));
    assert!(failed.is_err());
    allowed();
}

fn a_child_begins_without_guards_and_counts_its_own() {
    let lock = Lock::new(());
    let child = process::spawn(move || {
        allowed();
        let guard = lock.lock().unwrap();
        assert!(matches!(refusal(), SpawnError::GuardHeld { count: 1 }));
        drop(guard);
        allowed();
    });
    child.join().unwrap();
}

fn a_daemon_may_not_fork() {
    process::scope(|s| {
        let told = s.spawn_daemon(|| {
            let refused = refusal();
            (matches!(refused, SpawnError::Daemon), refused.to_string())
        });
        let (is_daemon, text) = told.join().unwrap();
        assert!(is_daemon && text.contains("daemons have no children"), "{text}");
    });
    // Not so its siblings.
    process::spawn(allowed).join().unwrap();
}

fn spawn_and_scope_panic_with_the_reason() {
    let lock = Lock::new(());
    let _guard = lock.lock().unwrap();
    let told = |panic: Box<dyn std::any::Any + Send>| panic.downcast_ref::<String>().unwrap().clone();
    let plain = catch_unwind(|| drop(process::spawn(|| ()))).map_err(told).unwrap_err();
    assert!(plain.contains("1 guard"), "{plain}");
    let scoped = catch_unwind(|| {
        process::scope(|s| {
            s.spawn(|| ());
        })
    });
    assert_eq!(scoped.map_err(told).unwrap_err(), plain);
}

/// No descriptor to be had for the child.
fn a_refusal_of_the_kernel_is_told() {
    process::spawn(|| ()).join().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let before = mappings();
    let mut files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    for _ in 0..100 {
        let refused = Builder::new().spawn(sleep_for_ever).expect_err("a refusal");
        let SpawnError::System { source, .. } = refused else { panic!("{refused}") };
        assert_eq!(source.raw_os_error(), Some(nix::libc::EMFILE));
    }
    assert!(process::active_children().is_empty());
    files.pop(); // One will do.
    assert_eq!(mappings(), before, "a hundred refusals leave nothing");
    allowed();
    eventually("nothing is left", || process::active_children().is_empty());
}
