//! Connections between living processes.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, state};
use shared::channel::{RecvError, SendError, TryRecvError, duplex, pipe};
use shared::process;
use std::time::Duration;

harness::main! {
    trials {
        pipe_01_objects_and_bytes_come_back_equal,
        pipe_04_large_messages_each_way,
        pipe_05_a_closed_peer_is_the_end,
        a_childs_end_is_closed_when_it_ends,
        the_parents_end_is_closed_though_the_child_has_a_copy,
    }
}

fn pipe_01_objects_and_bytes_come_back_equal() {
    let (ours, theirs) = duplex::<Vec<i32>, Vec<i32>>();
    let child = process::spawn(move || {
        theirs.send(theirs.recv().unwrap()).unwrap();
        theirs.send_bytes(&theirs.recv_bytes().unwrap()).unwrap();
        theirs.send_bytes(&theirs.recv_bytes().unwrap()).unwrap();
    });
    ours.send(vec![1, 2, 3]).unwrap();
    assert_eq!(ours.recv().unwrap(), [1, 2, 3]);
    ours.send_bytes(b"hello").unwrap();
    assert_eq!(ours.recv_bytes().unwrap(), b"hello");
    ours.send_bytes(b"").unwrap();
    assert_eq!(ours.recv_bytes().unwrap(), b"", "empty is not the end");
    child.join().unwrap();
    assert_eq!(ours.recv(), Err(RecvError::Closed));
    assert_eq!(ours.try_recv(), Err(TryRecvError::Failed(RecvError::Closed)));
    assert!(matches!(ours.send(vec![1]), Err(SendError::Closed(item)) if item == [1]));
}

fn pipe_04_large_messages_each_way() {
    let (ours, theirs) = duplex::<(), ()>();
    let bytes: Vec<u8> = (0..16 << 20).map(|n: u32| (n.wrapping_mul(2654435761) >> 24) as u8).collect();
    let child = process::spawn(move || {
        while let Ok(bytes) = theirs.recv_bytes() {
            theirs.send_bytes(&bytes).unwrap();
        }
    });
    ours.send_bytes(&bytes).unwrap();
    assert!(ours.recv_bytes().unwrap() == bytes);
    drop(ours);
    child.join().unwrap();
}

fn pipe_05_a_closed_peer_is_the_end() {
    let (sender, receiver) = pipe::<u32>();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(receiver.recv(), Ok(1));
    for _ in 0..3 {
        assert_eq!(receiver.recv(), Err(RecvError::Closed));
        assert_eq!(receiver.recv_bytes(), Err(RecvError::Closed));
        assert!(receiver.poll(Duration::ZERO).unwrap());
    }
}

fn a_childs_end_is_closed_when_it_ends() {
    let (sender, receiver) = pipe::<u32>();
    let child = process::spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
    assert!(receiver.iter().map(Result::unwrap).eq(0..100));
    child.join().unwrap();
}

fn the_parents_end_is_closed_though_the_child_has_a_copy() {
    let (sender, receiver) = pipe::<u32>();
    let child = process::spawn(move || receiver.iter().map(Result::unwrap).sum::<u32>());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    eventually("it sleeps", || state(child.process().id()) == Some('S'));
    drop(sender);
    assert_eq!(child.join().unwrap(), 3);
}
