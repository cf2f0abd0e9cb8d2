//! A manager's queues, used by living processes.

mod harness;
mod managed;

use harness::tools::{eventually, takes};
use managed::{child, manager};
use shared::manager::{List, ManagerError, PutError};
use shared::process::Builder;
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        mgr_17_queue,
        mgr_17_joinable_queue,
        a_put_waits_for_room_and_a_get_for_an_item,
        a_lease_that_is_dropped_goes_to_the_next,
        a_lease_is_had_at_once_or_in_time_or_not,
        a_closed_queue_refuses_to_put_and_ends_when_it_is_empty,
        who_waits_at_a_queue_that_is_closed_is_told,
        a_queue_that_is_closed_now_counts_as_done,
    }
}

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

fn mgr_17_queue() {
    let manager = manager();
    let queue = manager.queue::<u32>(3).expect("a queue");
    assert_eq!((queue.is_empty(), queue.is_full()), (Ok(true), Ok(false)));
    child(&queue, |queue| (1..=3).for_each(|n| queue.put(n).expect("room"))).join().expect("exits");
    assert_eq!((queue.len(), queue.is_full()), (Ok(3), Ok(true)));
    assert!(matches!(queue.try_put(4), Err(PutError::Full(4))));
    assert!(matches!(queue.put_timeout(4, SHORT), Err(PutError::Full(4))));
    assert_eq!([1, 2, 3].map(|_| queue.get()), [Ok(1), Ok(2), Ok(3)]);
    assert_eq!((queue.try_get(), queue.get_timeout(SHORT)), (Ok(None), Ok(None)));
}

fn mgr_17_joinable_queue() {
    let manager = manager();
    let queue = manager.joinable_queue::<u32>(0).expect("a queue");
    assert_eq!(queue.task_done(), Err(ManagerError::NothingToDo));
    let workers = [0, 1].map(|_| {
        let queue = queue.clone();
        Builder::new().daemon(true).spawn(move || {
            while queue.get().is_ok() {
                queue.task_done().expect("one to do");
            }
        })
    });
    (0..50).for_each(|n| queue.put(n).expect("room"));
    queue.join().expect("all done");
    assert_eq!(queue.len(), Ok(0));
    workers.into_iter().for_each(|worker| worker.expect("starts").kill().expect("kills"));
}

fn a_put_waits_for_room_and_a_get_for_an_item() {
    let manager = manager();
    let queue = manager.queue::<u32>(1).expect("a queue");
    let putter = child(&queue, |queue| (0..100).for_each(|n| queue.put(n).expect("room")));
    assert_eq!(
        (0..100).map(|_| queue.get().expect("an item")).collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
    putter.join().expect("exits");
}

fn a_lease_that_is_dropped_goes_to_the_next() {
    let manager = manager();
    let queue = manager.joinable_queue::<u32>(0).expect("a queue");
    (0..2).for_each(|n| queue.put(n).expect("room"));
    let lease = queue.get_lease().expect("an item");
    assert_eq!((*lease, lease.delivery(), queue.join_timeout(SHORT)), (0, 1, Ok(false)));
    drop(lease);
    let lease = queue.get_lease().expect("an item");
    assert_eq!((*lease, lease.delivery()), (0, 2));
    lease.done().expect("done");
    queue.get_lease().expect("an item").done().expect("done");
    queue.join().expect("all done");
}

fn a_lease_is_had_at_once_or_in_time_or_not() {
    let manager = manager();
    let queue = manager.joinable_queue::<u32>(0).expect("a queue");
    assert!(queue.try_get_lease().expect("an answer").is_none());
    takes(SHORT, || assert!(queue.get_lease_timeout(SHORT).expect("an answer").is_none()));
    (0..2).for_each(|n| queue.put(n).expect("room"));
    let first = queue.try_get_lease().expect("an answer").expect("an item");
    let second = queue.get_lease_timeout(LONG).expect("an answer").expect("an item");
    assert_eq!((*first, *second), (0, 1));
    first.done().expect("done");
    second.done().expect("done");
    queue.join().expect("all done");
}

fn a_closed_queue_refuses_to_put_and_ends_when_it_is_empty() {
    let manager = manager();
    let queue = manager.queue::<u32>(2).expect("a queue");
    child(&queue, |queue| (0..2).for_each(|n| queue.put(n).expect("room"))).join().expect("exits");
    assert_eq!(queue.is_closed(), Ok(false));
    queue.close().expect("closes");
    queue.close().expect("twice is fine");
    assert_eq!(queue.is_closed(), Ok(true));
    assert!(matches!(queue.put(7), Err(PutError::Failed(7, ManagerError::Closed))));
    let mut items = queue.iter();
    assert_eq!((items.next(), items.next(), items.next()), (Some(Ok(0)), Some(Ok(1)), None));
    assert_eq!((queue.get(), queue.try_get()), (Err(ManagerError::Closed), Err(ManagerError::Closed)));
    assert_eq!(queue.get_timeout(LONG), Err(ManagerError::Closed));
}

fn who_waits_at_a_queue_that_is_closed_is_told() {
    let manager = manager();
    let (empty, full) =
        (manager.queue::<u32>(1).expect("a queue"), manager.queue::<u32>(1).expect("a queue"));
    full.put(0).expect("room");
    let waiting = [
        child(&empty, |empty| assert_eq!(empty.get(), Err(ManagerError::Closed))),
        child(&full, |full| assert!(matches!(full.put(7), Err(PutError::Failed(7, ManagerError::Closed))))),
    ];
    for child in &waiting {
        eventually("it waits", || harness::tools::state(child.process().id()) == Some('S'));
    }
    thread::sleep(SHORT);
    empty.close().expect("closes");
    full.close().expect("closes");
    waiting.into_iter().for_each(|child| child.join().expect("is told"));
    assert_eq!((full.get(), full.get()), (Ok(0), Err(ManagerError::Closed)), "what was refused is not in it");
}

fn a_queue_that_is_closed_now_counts_as_done() {
    let manager = manager();
    let queue = manager.joinable_queue::<List<u8>>(0).expect("a queue");
    (0..3).for_each(|_| queue.put(manager.list().expect("a list")).expect("room"));
    let theirs = child(&queue, |queue| std::mem::forget(queue.get().expect("an item")));
    theirs.join().expect("exits");
    eventually("his item is back", || queue.len() == Ok(3));
    let mine = queue.try_get_lease().expect("an answer").expect("an item");
    queue.close_now().expect("closes");
    assert_eq!((queue.len(), queue.join_timeout(Duration::ZERO)), (Ok(0), Ok(false)), "mine is not done");
    assert_eq!(manager.count(), Ok(2), "the queue, and the list that I have");
    drop(mine);
    assert_eq!((queue.join_timeout(LONG), queue.len()), (Ok(true), Ok(0)), "what comes back is dropped");
    assert_eq!(manager.count(), Ok(1));
}
