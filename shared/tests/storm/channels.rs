//! The waits for items, messages, and room for them.

use crate::{Call, after};
use shared::channel::{
    GetTimeoutError, JoinableQueue, PutTimeoutError, Queue, RecvTimeoutError, duplex, pipe, wait,
};
use std::time::Duration;

/// More than there is room for, so that a sender waits for its receiver.
const LONG: usize = 4 << 20;

pub(crate) const CALLS: &[(&str, Call)] = &[
    ("Queue::get_timeout", |_, time| {
        matches!(Queue::<u8>::new().get_timeout(time), Err(GetTimeoutError::Timeout))
    }),
    ("Queue::get", |_, time| {
        let queue = Queue::new();
        after(time, || queue.put(7).unwrap(), || queue.get() == Ok(7))
    }),
    ("Queue::put_timeout", |_, time| {
        let full = full();
        matches!(full.put_timeout(2, time), Err(PutTimeoutError::Timeout(2)))
    }),
    ("Queue::put", |_, time| {
        let full = full();
        after(time, || assert_eq!(full.get(), Ok(1)), || full.put(2).is_ok() && full.get() == Ok(2))
    }),
    ("JoinableQueue::get_lease_timeout", |_, time| {
        matches!(JoinableQueue::<u8>::new().get_lease_timeout(time), Err(GetTimeoutError::Timeout))
    }),
    ("JoinableQueue::join_timeout", |_, time| {
        let tasks = JoinableQueue::new();
        tasks.put(1).unwrap();
        !tasks.join_timeout(time)
    }),
    ("JoinableQueue::join", |_, time| {
        let tasks = JoinableQueue::new();
        tasks.put(1).unwrap();
        let work = || tasks.get_lease().unwrap().done();
        after(time, work, || {
            tasks.join();
            tasks.join_timeout(Duration::ZERO)
        })
    }),
    ("Connection::recv_timeout", |_, time| {
        let (_open, receiver) = pipe::<u8>();
        matches!(receiver.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }),
    ("Connection::recv", |_, time| {
        let (sender, receiver) = pipe();
        after(time, || sender.send(7).unwrap(), || receiver.recv() == Ok(7))
    }),
    ("Connection::send of a long message", |_, time| {
        let (sender, receiver) = pipe::<()>();
        let receive = || assert_eq!(receiver.recv_bytes().unwrap().len(), LONG);
        after(time, receive, || sender.send_bytes(&[7; LONG]).is_ok())
    }),
    ("Connection::poll", |_, time| {
        let (here, _there) = duplex::<u8, u8>();
        here.poll(time) == Ok(false)
    }),
    ("channel::wait, in vain", |world, time| {
        let (_open, receiver) = pipe::<u8>();
        wait(&[&receiver, &world.holder], Some(time)).is_empty()
    }),
    ("channel::wait", |_, time| {
        let (sender, receiver) = pipe();
        after(time, || sender.send(7).unwrap(), || wait(&[&receiver], None) == [0])
    }),
];

fn full() -> Queue<i32> {
    let queue = Queue::bounded(1);
    queue.put(1).unwrap();
    queue
}
