//! A manager's locks, conditions, semaphores, events and barriers, used by living processes.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;
mod managed;

use harness::tools::{eventually, takes};
use managed::{child, manager};
use shared::manager::{Barrier, BarrierError, List, LockError, ManagerError};
use shared::process::{self, Builder, SpawnError};
use shared::sync::{BrokenCause, Cause};
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        mgr_15_a_worker_exits_with_the_lock,
        mgr_16_locks,
        mgr_16_semaphores,
        mgr_16_condition,
        mgr_16_event,
        mgr_16_barrier,
        a_lock_excludes,
        a_panic_poisons_a_lock,
        a_fork_is_refused_while_a_guard_or_a_permit_is_held,
        timeouts_are_never_early,
        absurd_timeouts_are_for_ever,
        who_waits_longest_is_first,
        a_notification_wakes_exactly_so_many,
        a_wait_gives_a_reentrant_lock_up_from_any_depth,
        a_barrier_is_used_again_and_breaks_and_is_reset,
    }
}

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn mgr_15_a_worker_exits_with_the_lock() {
    let manager = manager();
    let lock = manager.lock().expect("a lock");
    let worker = child(&lock, |lock| std::mem::forget(lock.lock().expect("free")));
    let pid = worker.process().id();
    worker.join().expect("exits");
    // In Python the parent may release it, or wait for ever. Here it has been given back, and the next is told.
    let Err(LockError::Poisoned(poisoned)) = lock.lock_timeout(LONG) else { panic!("not poisoned") };
    assert_eq!(poisoned.cause(), Cause::OwnerDied { pid });
    drop(poisoned.into_inner());
    lock.clear_poison().expect("clears");
    drop(lock.lock().expect("in order"));
}

fn mgr_16_locks() {
    let manager = manager();
    let lock = manager.lock().expect("a lock");
    let guard = lock.lock().expect("free");
    assert_eq!((lock.is_locked(), lock.try_lock().expect("no poison").is_none()), (Ok(true), true));
    drop(guard);
    assert_eq!(lock.is_locked(), Ok(false));
    child(&lock, |lock| drop(lock.lock().expect("free"))).join().expect("exits");

    let again = manager.reentrant_lock().expect("a lock");
    let (once, twice) = (again.lock().expect("free"), again.lock().expect("mine"));
    drop(once);
    thread::scope(|s| {
        let other = s.spawn(|| again.try_lock().expect("no poison").is_none());
        assert!(other.join().expect("runs"), "another thread is another owner");
    });
    drop(twice);
    child(&again, |again| drop(again.lock().expect("free"))).join().expect("exits");
}

fn mgr_16_semaphores() {
    let manager = manager();
    let semaphore = manager.semaphore(2).expect("a semaphore");
    let one = semaphore.acquire().expect("a permit");
    let two = semaphore.try_acquire().expect("an answer").expect("a permit");
    assert!(semaphore.try_acquire().expect("an answer").is_none());
    drop((one, two));
    child(&semaphore, |semaphore| semaphore.release(1).expect("releases")).join().expect("exits");
    assert_eq!(semaphore.available(), Ok(3));
    semaphore.acquire().expect("a permit").forget().expect("forgets");
    assert_eq!(semaphore.available(), Ok(2));

    let bounded = manager.bounded_semaphore(2).expect("a semaphore");
    let permit = bounded.acquire().expect("a permit");
    assert_eq!(bounded.release(1), Err(ManagerError::TooManyPermits { bound: 2 }), "one is held");
    drop(permit);
    assert_eq!(bounded.available(), Ok(2));
}

fn mgr_16_condition() {
    let manager = manager();
    let (lock, condition) = (manager.lock().expect("a lock"), manager.condition().expect("a condition"));
    let ready = manager.value(&false).expect("a value");
    let waiting = child(&(lock.clone(), condition.clone(), ready.clone()), |(lock, condition, ready)| {
        let not_ready = || Ok(!ready.get()?);
        drop(condition.wait_while(lock.lock().expect("a guard"), not_ready).expect("notified"));
    });
    let guard = lock.lock().expect("a guard");
    ready.set(&true).expect("sets");
    condition.notify_all().expect("notifies");
    drop(guard);
    waiting.join().expect("exits");
    // It is not notified: the time is up, and the lock is held again.
    let (guard, notified) = condition.wait_timeout(lock.lock().expect("a guard"), SHORT).expect("in order");
    assert!(!notified && lock.is_locked().expect("an answer"));
    let waited = condition.wait_timeout_while(guard, SHORT, || Ok(true)).expect("in order");
    assert!(!waited.1);
}

fn mgr_16_event() {
    let manager = manager();
    let event = manager.event().expect("an event");
    assert_eq!((event.is_set(), event.wait_timeout(Duration::ZERO)), (Ok(false), Ok(false)));
    let waiting = child(&event, |event| event.wait().expect("waits"));
    child(&event, |event| event.set().expect("sets")).join().expect("exits");
    waiting.join().expect("exits");
    assert_eq!((event.is_set(), event.wait_timeout(LONG)), (Ok(true), Ok(true)));
    event.clear().expect("clears");
    assert_eq!(event.is_set(), Ok(false));
}

fn mgr_16_barrier() {
    let manager = manager();
    let barrier = manager.barrier(3).expect("a barrier");
    let met = manager.list::<(usize, bool)>().expect("a list");
    let both = (barrier.clone(), met.clone());
    let meets = |(barrier, met): (Barrier, List<(usize, bool)>)| {
        let result = barrier.wait().expect("meets");
        met.push(&(result.index(), result.is_leader())).expect("pushes");
    };
    let children = [0, 1].map(|_| child(&both, meets));
    meets(both);
    children.into_iter().for_each(|child| child.join().expect("exits"));
    let mut met = met.to_vec().expect("all");
    met.sort();
    assert_eq!(met, [(0, true), (1, false), (2, false)], "each has a number, and one leads");
    assert_eq!((barrier.parties(), barrier.waiting()), (Ok(3), Ok(0)));
}

fn a_lock_excludes() {
    let manager = manager();
    let (lock, number) = (manager.lock().expect("a lock"), manager.value(&0).expect("a value"));
    process::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..50 {
                    let _guard = lock.lock().expect("in order");
                    let before = number.get().expect("a number");
                    number.set(&(before + 1)).expect("sets");
                }
            });
        }
    });
    assert_eq!(number.get(), Ok(200));
}

fn a_panic_poisons_a_lock() {
    let manager = manager();
    let lock = manager.lock().expect("a lock");
    let panics = child(&lock, |lock| {
        let _guard = lock.lock().expect("free");
        panic!("on purpose");
    });
    let pid = panics.process().id();
    assert!(panics.join().is_err());
    let Err(LockError::Poisoned(poisoned)) = lock.try_lock() else { panic!("not poisoned") };
    assert_eq!(poisoned.cause(), Cause::Panicked { pid });
}

fn a_fork_is_refused_while_a_guard_or_a_permit_is_held() {
    let manager = manager();
    let (lock, semaphore) = (manager.lock().expect("a lock"), manager.semaphore(1).expect("a semaphore"));
    let refused = || matches!(Builder::new().spawn(|| ()), Err(SpawnError::GuardHeld { count: 1 }));
    let guard = lock.lock().expect("free");
    assert!(refused());
    drop(guard);
    let permit = semaphore.acquire().expect("a permit");
    assert!(refused());
    permit.forget().expect("forgets");
    process::spawn(|| ()).join().expect("is not refused");
}

fn timeouts_are_never_early() {
    let manager = manager();
    let (lock, semaphore) = (manager.lock().expect("a lock"), manager.semaphore(0).expect("a semaphore"));
    let (event, queue) = (manager.event().expect("an event"), manager.queue::<u8>(0).expect("a queue"));
    let _guard = lock.lock().expect("free");
    takes(SHORT, || assert!(lock.lock_timeout(SHORT).expect("in order").is_none()));
    takes(SHORT, || assert!(semaphore.acquire_timeout(SHORT).expect("an answer").is_none()));
    takes(SHORT, || assert_eq!(event.wait_timeout(SHORT), Ok(false)));
    takes(SHORT, || assert_eq!(queue.get_timeout(SHORT), Ok(None)));
}

fn absurd_timeouts_are_for_ever() {
    let manager = manager();
    let event = manager.event().expect("an event");
    let waiting = child(&event, |event| assert_eq!(event.wait_timeout(Duration::MAX), Ok(true)));
    thread::sleep(SHORT);
    event.set().expect("sets");
    waiting.join().expect("exits");
}

fn who_waits_longest_is_first() {
    let manager = manager();
    let (lock, order) = (manager.lock().expect("a lock"), manager.list::<u32>().expect("a list"));
    let come = manager.value(&0).expect("a value");
    let (gate, all) = (manager.event().expect("an event"), (lock.clone(), order.clone(), come.clone()));
    let holder = child(&(lock.clone(), gate.clone(), come.clone()), |(lock, gate, come)| {
        let _guard = lock.lock().expect("free");
        come.add(&1).expect("adds");
        gate.wait().expect("waits");
    });
    eventually("it is held", || come.get() == Ok(1));
    let mut children = vec![holder];
    for n in 0..5 {
        children.push(child(&all, move |(lock, order, come)| {
            come.add(&1).expect("adds");
            let _guard = lock.lock().expect("in order");
            order.push(&n).expect("pushes");
        }));
        let pid = children[n as usize + 1].process().id();
        eventually("it waits", || come.get() == Ok(n + 2) && harness::tools::state(pid) == Some('S'));
        // From the sum to the lock it is a step, awake; then it sleeps.
        thread::sleep(SHORT);
    }
    gate.set().expect("sets");
    children.into_iter().for_each(|child| child.join().expect("exits"));
    assert_eq!(order.to_vec(), Ok((0..5).collect()));
}

fn a_notification_wakes_exactly_so_many() {
    let manager = manager();
    let (lock, condition) = (manager.lock().expect("a lock"), manager.condition().expect("a condition"));
    let (waiting, woken) = (manager.value(&0).expect("a value"), manager.value(&0).expect("a value"));
    let all = (lock.clone(), condition.clone(), waiting.clone(), woken.clone());
    let children: Vec<_> = (0..5)
        .map(|_| {
            child(&all, |(lock, condition, waiting, woken)| {
                let guard = lock.lock().expect("in order");
                waiting.add(&1).expect("adds");
                let _guard = condition.wait(guard).expect("in order");
                woken.add(&1).expect("adds");
            })
        })
        .collect();
    // Who has counted itself gives the lock up in the very request in which it begins to wait.
    eventually("all wait", || {
        let _guard = lock.lock().expect("in order");
        waiting.get() == Ok(5)
    });
    condition.notify(2).expect("notifies");
    eventually("two woke", || woken.get() == Ok(2));
    thread::sleep(SHORT);
    assert_eq!(woken.get(), Ok(2));
    condition.notify_one().expect("notifies");
    condition.notify_all().expect("notifies");
    children.into_iter().for_each(|child| child.join().expect("exits"));
}

fn a_wait_gives_a_reentrant_lock_up_from_any_depth() {
    let manager = manager();
    let (lock, condition) =
        (manager.reentrant_lock().expect("a lock"), manager.condition().expect("a condition"));
    let (once, twice) = (lock.lock().expect("free"), lock.lock().expect("mine"));
    thread::scope(|s| {
        s.spawn(|| {
            let guard = lock.lock().expect("given up");
            condition.notify_one().expect("notifies");
            drop(guard);
        });
        let (twice, notified) = condition.wait_timeout(twice, LONG).expect("in order");
        assert!(notified);
        drop(twice);
        assert_eq!(lock.is_locked(), Ok(true), "once it is still held");
    });
    drop(once);
    assert_eq!(lock.is_locked(), Ok(false));
}

fn a_barrier_is_used_again_and_breaks_and_is_reset() {
    let manager = manager();
    let barrier = manager.barrier(2).expect("a barrier");
    let ten = |barrier: &Barrier| (0..10).filter(|_| barrier.wait().expect("meets").is_leader()).count();
    let theirs = process::spawn({
        let barrier = barrier.clone();
        move || ten(&barrier)
    });
    assert_eq!(ten(&barrier) + theirs.join().expect("exits"), 10, "one of two was the leader, each time");
    let alone = barrier;
    assert_eq!(alone.wait_timeout(SHORT), Err(BarrierError::Broken(BrokenCause::TimedOut)));
    assert_eq!(alone.is_broken(), Ok(Some(BrokenCause::TimedOut)));
    alone.reset().expect("resets");
    assert_eq!(alone.is_broken(), Ok(None));
    alone.abort().expect("aborts");
    assert_eq!(alone.wait(), Err(BarrierError::Broken(BrokenCause::Aborted)));
}
