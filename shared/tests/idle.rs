//! Who waits costs nothing: a hundred who wait for ten seconds use less than a hundredth of one CPU together.

mod harness;

use harness::tools::{eventually, state};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use shared::channel::Queue;
use shared::memory::Shared;
use shared::process;
use shared::sync::{Barrier, Condition, Event, Lock, Semaphore};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

harness::main! {
    trials at_once 6 {
        waiters_for_an_event_cost_nothing within 60,
        waiters_for_a_lock_cost_nothing within 60,
        waiters_for_a_permit_cost_nothing within 60,
        waiters_at_a_condition_cost_nothing within 60,
        waiters_at_a_barrier_cost_nothing within 60,
        waiters_for_an_item_cost_nothing within 60,
    }
}

const WAITERS: usize = 100;
const TIME: Duration = Duration::from_secs(10);

/// What the waiters use in all that time, when they have come to rest.
fn used(wait: impl Fn() + Sync, release: impl FnOnce()) -> Duration {
    process::scope(|s| {
        let waiters: Vec<_> = (0..WAITERS).map(|_| s.spawn(&wait)).collect();
        let pids: Vec<_> = waiters.iter().map(|waiter| waiter.process().id()).collect();
        let sleep = || pids.iter().all(|&pid| state(pid) == Some('S'));
        eventually("all have slept for a second", || {
            (0..10).all(|_| {
                thread::sleep(Duration::from_millis(100));
                sleep()
            })
        });
        let before: Duration = pids.iter().map(|&pid| cpu_time(pid)).sum();
        thread::sleep(TIME);
        let after: Duration = pids.iter().map(|&pid| cpu_time(pid)).sum();
        release();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        after - before
    })
}

/// What a process has used so far, by its own clock.
fn cpu_time(pid: u32) -> Duration {
    let clock = clock_getcpuclockid(Pid::from_raw(pid as i32)).unwrap();
    clock_gettime(clock).unwrap().into()
}

#[track_caller]
fn next_to_nothing(used: Duration) {
    println!("{WAITERS} waiters used {used:?} in {TIME:?}");
    assert!(used < TIME / 100, "{WAITERS} waiters used {used:?} in {TIME:?}");
}

fn waiters_for_an_event_cost_nothing() {
    let event = Event::new();
    next_to_nothing(used(|| event.wait(), || event.set()));
}

fn waiters_for_a_lock_cost_nothing() {
    let (lock, done) = (Lock::new(()), Shared::new(AtomicBool::new(false)));
    process::scope(|s| {
        s.spawn(|| {
            let _guard = lock.lock().unwrap();
            while !done.load(SeqCst) {
                thread::sleep(Duration::from_millis(10));
            }
        });
        eventually("it is held", || lock.is_locked());
        next_to_nothing(used(|| drop(lock.lock().unwrap()), || done.store(true, SeqCst)));
    });
}

fn waiters_for_a_permit_cost_nothing() {
    let none = Semaphore::new(0);
    next_to_nothing(used(|| none.acquire().forget(), || none.release(WAITERS as u32).unwrap()));
}

fn waiters_at_a_condition_cost_nothing() {
    let (lock, condition) = (Lock::new(()), Condition::new());
    next_to_nothing(used(|| drop(condition.wait(lock.lock().unwrap())), || condition.notify_all()));
}

fn waiters_at_a_barrier_cost_nothing() {
    let barrier = Barrier::new(WAITERS + 1);
    let meet = || assert!(barrier.wait().is_ok());
    next_to_nothing(used(meet, meet));
}

fn waiters_for_an_item_cost_nothing() {
    let queue = Queue::<u32>::new();
    next_to_nothing(used(|| drop(queue.get()), || queue.close()));
}
