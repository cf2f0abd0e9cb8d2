//! A queue that knows what became of its items: what counts until when, and who gets it if its owner fails.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, sleep_for_ever, state, takes};
use shared::channel::{GetError, JoinableQueue, TaskDoneError, TryGetError, TryPutError};
use shared::memory::Shared;
use shared::process;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        jq_01_join_returns_after_the_last_is_done,
        jq_02_task_done_once_too_often_is_refused,
        jq_03_join_with_nothing_to_do_returns_at_once,
        jq_05_close_now_counts_what_waits_as_done,
        jq_07_what_a_dead_worker_had_goes_to_the_next,
        jq_07_a_lease_of_the_dead_goes_to_the_next,
        a_dropped_lease_goes_to_the_next_before_all_others,
        a_panic_gives_the_lease_back,
        what_is_held_takes_no_room,
        join_timeout_is_neither_early_nor_late,
        an_old_lease_holds_up_nobody,
        task_done_is_for_who_got_the_item,
        no_process_is_spawned_while_a_lease_is_held,
        large_items_come_back_whole,
        after_close_a_lease_that_comes_back_can_be_got,
    }
}

const SOON: Duration = Duration::from_millis(50);

fn jq_01_join_returns_after_the_last_is_done() {
    let (tasks, done) = (JoinableQueue::new(), Shared::new(AtomicU32::new(0)));
    process::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                while tasks.get().is_ok() {
                    done.fetch_add(1, SeqCst);
                    tasks.task_done().unwrap();
                }
            });
        }
        for round in 1..=50 {
            (0..10).for_each(|task| tasks.put(task).unwrap());
            tasks.join();
            assert_eq!(done.load(SeqCst), 10 * round);
        }
        tasks.close();
    });
}

fn jq_02_task_done_once_too_often_is_refused() {
    let tasks = JoinableQueue::new();
    assert_eq!(tasks.task_done(), Err(TaskDoneError::NothingToDo));
    tasks.put(1).unwrap();
    assert_eq!(tasks.task_done(), Err(TaskDoneError::NothingToDo), "it was not got");
    tasks.get().unwrap();
    assert_eq!(tasks.task_done(), Ok(()));
    assert_eq!(tasks.task_done(), Err(TaskDoneError::NothingToDo));
}

fn jq_03_join_with_nothing_to_do_returns_at_once() {
    let tasks = JoinableQueue::<u8>::new();
    tasks.join();
    assert!(tasks.join_timeout(Duration::ZERO));
}

fn jq_05_close_now_counts_what_waits_as_done() {
    let tasks = JoinableQueue::new();
    (0..5).for_each(|task| tasks.put(task).unwrap());
    tasks.get().unwrap();
    process::scope(|s| {
        let waits = s.spawn(|| tasks.join());
        eventually("it sleeps", || state(waits.process().id()) == Some('S'));
        tasks.close_now();
        assert!(!tasks.join_timeout(SOON), "one is in hand");
        tasks.task_done().unwrap();
        waits.join().unwrap();
    });
    assert_eq!((tasks.len(), tasks.get()), (0, Err(GetError::Closed)));
}

fn jq_07_what_a_dead_worker_had_goes_to_the_next() {
    let tasks = JoinableQueue::new();
    (1..=3).for_each(|task| tasks.put(task).unwrap());
    process::scope(|s| {
        let worker = s.spawn(|| {
            tasks.get().unwrap();
            tasks.get().unwrap();
            tasks.task_done().unwrap();
            sleep_for_ever();
        });
        eventually("it has one that is not done", || tasks.len() == 1);
        worker.kill().unwrap();
        let _ = worker.join();
        let waits = s.spawn(|| tasks.join());
        let mut rest = [tasks.get().unwrap(), tasks.get().unwrap()];
        rest.sort();
        assert_eq!(rest[1], 3);
        assert!(rest[0] < 3, "the first or the second, whichever it had not done");
        assert!(!waits.is_finished());
        tasks.task_done().unwrap();
        tasks.task_done().unwrap();
        waits.join().unwrap();
    });
}

fn jq_07_a_lease_of_the_dead_goes_to_the_next() {
    let tasks = JoinableQueue::new();
    tasks.put("task".to_owned()).unwrap();
    process::scope(|s| {
        for delivery in 1..=3 {
            let worker = s.spawn(|| {
                let lease = tasks.get_lease().unwrap();
                let delivery = lease.delivery();
                std::mem::forget(lease);
                delivery
            });
            assert_eq!(worker.join().unwrap(), delivery);
        }
        let lease = tasks.get_lease_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!((lease.as_str(), lease.delivery()), ("task", 4));
        assert!(!tasks.join_timeout(Duration::ZERO));
        lease.done();
    });
    tasks.join();
}

fn a_dropped_lease_goes_to_the_next_before_all_others() {
    let tasks = JoinableQueue::new();
    (1..=5).for_each(|task| tasks.put(task).unwrap());
    let (first, second) = (tasks.get_lease().unwrap(), tasks.get_lease().unwrap());
    assert_eq!((*first, *second, tasks.len()), (1, 2, 3));
    drop(second);
    assert_eq!(tasks.len(), 4);
    drop(first);
    assert_eq!(tasks.len(), 5);
    for task in 1..=5 {
        let lease = tasks.try_get_lease().unwrap();
        assert_eq!((*lease, lease.delivery()), (task, if task < 3 { 2 } else { 1 }));
        lease.done();
    }
    assert!(tasks.is_empty());
    tasks.join();
}

fn a_panic_gives_the_lease_back() {
    let tasks = JoinableQueue::new();
    tasks.put(1).unwrap();
    let worker = process::spawn({
        let tasks = tasks.clone();
        move || {
            let lease = tasks.get_lease().unwrap();
            assert_eq!(*lease, 2, "on purpose");
        }
    });
    assert!(worker.join().is_err());
    assert_eq!(tasks.try_get_lease().unwrap().delivery(), 2);
}

fn what_is_held_takes_no_room() {
    let tasks = JoinableQueue::bounded(2);
    (1..=2).for_each(|task| tasks.put(task).unwrap());
    assert!(matches!(tasks.try_put(3), Err(TryPutError::Full(3))));
    let lease = tasks.get_lease().unwrap();
    assert!(!tasks.is_full());
    tasks.try_put(3).unwrap();
    assert!(tasks.is_full());
    drop(lease);
    assert_eq!(tasks.len(), 3, "what comes back finds room");
    assert!(matches!(tasks.try_put(4), Err(TryPutError::Full(4))));
}

fn join_timeout_is_neither_early_nor_late() {
    let tasks = JoinableQueue::new();
    tasks.put(1).unwrap();
    takes(SOON, || assert!(!tasks.join_timeout(SOON)));
}

fn an_old_lease_holds_up_nobody() {
    let tasks = JoinableQueue::bounded(4);
    tasks.put(0).unwrap();
    let old = tasks.get_lease().unwrap();
    for task in 1..5000 {
        tasks.put(task).unwrap();
        assert_eq!(tasks.get(), Ok(task));
        tasks.task_done().unwrap();
    }
    assert_eq!(tasks.try_get(), Err(TryGetError::Empty));
    drop(old);
    assert_eq!(tasks.try_get(), Ok(0));
}

fn task_done_is_for_who_got_the_item() {
    let tasks = JoinableQueue::new();
    tasks.put(1).unwrap();
    tasks.get().unwrap();
    process::scope(|s| {
        assert_eq!(s.spawn(|| tasks.task_done() == Err(TaskDoneError::NothingToDo)).join(), Ok(true));
    });
    thread::scope(|s| s.spawn(|| tasks.task_done().unwrap()).join().unwrap());
    tasks.join();
}

fn no_process_is_spawned_while_a_lease_is_held() {
    let tasks = JoinableQueue::new();
    tasks.put(1).unwrap();
    let lease = tasks.get_lease().unwrap();
    assert!(process::Builder::new().spawn(|| ()).is_err());
    lease.done();
    process::spawn(|| ()).join().unwrap();
}

fn large_items_come_back_whole() {
    let tasks = JoinableQueue::new();
    let text = "x".repeat(3 << 20);
    tasks.put(text.clone()).unwrap();
    for delivery in 1..=3 {
        let lease = tasks.get_lease().unwrap();
        assert!(*lease == text && lease.delivery() == delivery);
    }
    tasks.get_lease().unwrap().done();
    tasks.join();
}

fn after_close_a_lease_that_comes_back_can_be_got() {
    let tasks = JoinableQueue::new();
    tasks.put(1).unwrap();
    let lease = tasks.get_lease().unwrap();
    tasks.close();
    assert_eq!(tasks.get(), Err(GetError::Closed));
    drop(lease);
    assert_eq!(tasks.get(), Ok(1));
    tasks.task_done().unwrap();
    tasks.join();
}
