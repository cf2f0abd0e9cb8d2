//! Many at once, and many one after the other: under a limit of 1,024 descriptors.

mod harness;

use harness::tools::{descriptors, eventually, mappings, state, status, zombies};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shared::memory::Shared;
use shared::process;
use shared::sync::Lock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

harness::main! {
    trials {
        ten_thousand_locks_live_at_once within 60,
        a_thousand_children_live_at_once within 60,
        ten_thousand_spawns_and_joins_leave_everything_flat within 120,
    }
}

fn limit_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 1_024, hard).unwrap();
}

fn ten_thousand_locks_live_at_once() {
    limit_descriptors();
    process::spawn(|| ()).join().unwrap(); // What is made once is there then.
    let before = (descriptors(), mappings());
    let locks: Vec<_> = (0..10_000).map(Lock::new).collect();
    assert_eq!(descriptors(), before.0);
    process::scope(|s| {
        s.spawn(|| locks.iter().for_each(|lock| *lock.lock().unwrap() += 1));
        s.spawn(|| locks.iter().rev().for_each(|lock| *lock.lock().unwrap() += 1));
    });
    let guards: Vec<_> = locks.iter().map(|lock| lock.lock().unwrap()).collect();
    assert!(guards.iter().enumerate().all(|(place, guard)| **guard == place + 2), "each its own value");
    drop(guards);
    drop(locks);
    assert_eq!((descriptors(), mappings()), before);
}

fn a_thousand_children_live_at_once() {
    limit_descriptors();
    let (alive, go) = (Shared::new(AtomicU32::new(0)), Shared::new(AtomicBool::new(false)));
    let children: Vec<_> = (0..1_000)
        .map(|number| {
            let (alive, go) = (alive.clone(), go.clone());
            process::spawn(move || {
                alive.fetch_add(1, SeqCst);
                while !go.load(SeqCst) {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
                number
            })
        })
        .collect();
    eventually("all are there", || alive.load(SeqCst) == 1_000);
    assert_eq!(process::active_children().len(), 1_000);
    assert!(descriptors() <= 1_024);
    let pids: Vec<_> = children.iter().map(|child| child.process().id()).collect();
    go.store(true, SeqCst);
    for (number, child) in children.into_iter().enumerate() {
        assert_eq!(child.join().unwrap(), number);
    }
    assert!(zombies().is_empty());
    assert!(pids.into_iter().all(|pid| state(pid).is_none()));
    assert!(process::active_children().is_empty());
}

fn ten_thousand_spawns_and_joins_leave_everything_flat() {
    limit_descriptors();
    let rounds = |count| (0..count).for_each(|n: u32| assert_eq!(process::spawn(move || n).join(), Ok(n)));
    let memory = || status("VmRSS").trim_end_matches(" kB").parse::<i64>().unwrap();
    rounds(1_000); // As above.
    let (before, memory_before) = ((descriptors(), mappings()), memory());
    rounds(10_000);
    let growth = memory() - memory_before;
    println!("memory grew by {growth} kB");
    assert_eq!((descriptors(), mappings()), before);
    assert!(growth <= 64, "memory grew by {growth} kB");
    assert!(zombies().is_empty());
}
