//! The ends of a connection: who has them, in which process, and what the others see when the last of them is closed.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{descriptors, eventually, mappings, sleeps_in, state};
use nix::libc::SYS_epoll_wait;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use shared::channel::{
    Connection, Nothing, RecvError, RecvTimeoutError, SendError, TryRecvError, duplex, pipe,
};
use shared::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        pipe_05_a_closed_peer_is_the_end_every_time,
        pipe_06_one_way,
        pipe_07_the_child_has_its_end_though_the_parent_has_dropped_it,
        pipe_11_closed_at_the_end_of_its_scope,
        a_child_that_ends_closes_its_end,
        a_child_that_drops_its_end_closes_it_and_lives_on,
        the_end_of_the_parents_end_is_seen_by_a_child_that_has_a_copy,
        siblings_do_not_hold_an_end_open,
        a_grandchild_gets_what_its_parent_got,
        clones_hold_the_end_open_until_the_last_has_gone,
        a_borrowed_end_works_and_is_the_lenders,
        a_raw_fork_copies_ends_until_it_drops_them,
        a_closure_that_moves_a_clone_leaves_the_parents_own,
        a_dropped_receiver_is_noticed_by_the_next_send,
        the_number_is_the_same_in_every_process,
        nothing_is_left_when_both_ends_are_dropped,
    }
}

const LONG: Duration = Duration::from_secs(20);

fn pipe_05_a_closed_peer_is_the_end_every_time() {
    let (sender, receiver) = pipe::<u32>();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(receiver.recv(), Ok(1));
    for _ in 0..3 {
        assert_eq!(receiver.recv(), Err(RecvError::Closed));
        assert_eq!(receiver.recv_bytes(), Err(RecvError::Closed));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Failed(RecvError::Closed)));
        assert_eq!(receiver.recv_timeout(LONG), Err(RecvTimeoutError::Failed(RecvError::Closed)));
        assert!(receiver.poll(LONG).unwrap(), "nobody need wait for the end");
    }
    assert_eq!(receiver.iter().next(), None);
}

fn pipe_06_one_way() {
    // The wrong way there is no `send`, and no `recv`: a `compile_fail` example of `pipe` shows it.
    let (sender, receiver): (Connection<u8, Nothing>, Connection<Nothing, u8>) = pipe();
    sender.send(1).unwrap();
    assert!(receiver.poll(LONG).unwrap());
    assert_eq!(receiver.recv(), Ok(1));
}

fn pipe_07_the_child_has_its_end_though_the_parent_has_dropped_it() {
    let (ours, theirs) = duplex::<u32, u32>();
    let child = process::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        theirs.send(theirs.recv().unwrap() + 1).unwrap();
    });
    // The parent dropped its copy when it moved it.
    assert_eq!(ours.try_recv(), Err(TryRecvError::Empty));
    ours.send(1).unwrap();
    assert_eq!(ours.recv(), Ok(2));
    child.join().unwrap();
}

fn pipe_11_closed_at_the_end_of_its_scope() {
    let (outer, inner) = duplex::<u32, u32>();
    {
        let inner = inner;
        inner.send(1).unwrap();
    }
    assert_eq!(outer.recv(), Ok(1));
    assert_eq!(outer.recv(), Err(RecvError::Closed));
}

fn a_child_that_ends_closes_its_end() {
    let (sender, receiver) = pipe::<u32>();
    let child = process::spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
    assert!(receiver.iter().map(Result::unwrap).eq(0..100));
    child.join().unwrap();
}

fn a_child_that_drops_its_end_closes_it_and_lives_on() {
    let (ours, theirs) = duplex::<(), u32>();
    let (go, wait) = pipe::<()>();
    let child = process::spawn(move || {
        theirs.send(1).unwrap();
        drop(theirs);
        wait.recv().unwrap();
    });
    assert_eq!(ours.recv(), Ok(1));
    assert_eq!(ours.recv(), Err(RecvError::Closed));
    assert!(matches!(ours.send(()), Err(SendError::Closed(()))));
    go.send(()).unwrap();
    child.join().unwrap();
}

fn the_end_of_the_parents_end_is_seen_by_a_child_that_has_a_copy() {
    let (sender, receiver) = pipe::<u32>();
    let child = process::spawn(move || receiver.iter().map(Result::unwrap).sum::<u32>());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    eventually("it sleeps", || sleeps_in(SYS_epoll_wait, child.process().id()));
    drop(sender);
    assert_eq!(child.join().unwrap(), 3);
}

/// One is forked while its parent has both ends, one when the parent has one left.
fn siblings_do_not_hold_an_end_open() {
    let (stay, until) = pipe::<()>();
    let until = Arc::new(until);
    let stays = || {
        let until = Arc::clone(&until);
        process::spawn(move || until.iter().count())
    };
    let (ours, theirs) = duplex::<u32, u32>();
    let earlier = stays();
    let child = process::spawn(move || theirs.recv().map_err(|error| error == RecvError::Closed));
    let later = stays();
    // They run, and have copies of whatever they were to have.
    for sibling in [&earlier, &later] {
        eventually("it sleeps", || {
            sleeps_in(SYS_epoll_wait, sibling.process().id()) || state(sibling.process().id()) == Some('S')
        });
    }
    drop(ours);
    assert_eq!(child.join().unwrap(), Err(true), "the parent's end has gone");

    let (ours, theirs) = duplex::<u32, u32>();
    let between = stays();
    let child = process::spawn(move || theirs.send(1).unwrap());
    assert_eq!(ours.recv(), Ok(1));
    assert_eq!(ours.recv(), Err(RecvError::Closed), "the child's end has gone");
    child.join().unwrap();
    drop(stay);
    for sibling in [earlier, later, between] {
        sibling.join().unwrap();
    }
}

fn a_grandchild_gets_what_its_parent_got() {
    let (ours, theirs) = duplex::<u32, u32>();
    let child = process::spawn(move || {
        let grandchild =
            process::spawn(move || theirs.iter().for_each(|n| theirs.send(n.unwrap() + 1).unwrap()));
        grandchild.process().id()
    });
    for n in 0..10 {
        ours.send(n).unwrap();
        assert_eq!(ours.recv(), Ok(n + 1));
    }
    drop(ours);
    child.join().unwrap();
}

fn clones_hold_the_end_open_until_the_last_has_gone() {
    let (sender, receiver) = pipe::<u32>();
    let gates: Vec<_> = (0..3)
        .map(|n| {
            let (gate, closed) = pipe::<()>();
            let sender = sender.clone();
            (
                gate,
                process::spawn(move || {
                    closed.recv().unwrap_err();
                    sender.send(n).unwrap();
                }),
            )
        })
        .collect();
    drop(sender);
    for (n, (gate, child)) in gates.into_iter().enumerate() {
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "some have it");
        drop(gate);
        assert_eq!(receiver.recv(), Ok(n as u32));
        child.join().unwrap();
    }
    assert_eq!(receiver.recv(), Err(RecvError::Closed));
}

fn a_borrowed_end_works_and_is_the_lenders() {
    let (ours, theirs) = duplex::<u32, u32>();
    process::scope(|s| {
        for n in 0..4 {
            let theirs = &theirs;
            s.spawn(move || {
                let clone = theirs.clone();
                clone.send(n).unwrap();
                drop(clone);
                theirs.send(n + 4).unwrap();
                theirs.recv().unwrap();
            });
        }
        (0..4).for_each(|_| ours.send(0).unwrap());
    });
    let mut got: Vec<_> = (0..8).map(|_| ours.recv().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ours.try_recv(), Err(TryRecvError::Empty), "the lender has it still");
    drop(theirs);
    assert_eq!(ours.recv(), Err(RecvError::Closed));
}

/// What this library did not fork is as in Python: every copy counts, and is to be dropped.
#[allow(unsafe_code)]
fn a_raw_fork_copies_ends_until_it_drops_them() {
    let (ours, theirs) = duplex::<u32, u32>();
    // SAFETY: one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            drop(ours);
            theirs.send(1).unwrap();
            let closed = theirs.recv() == Err(RecvError::Closed);
            std::process::exit(i32::from(!closed));
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            assert_eq!(ours.recv(), Ok(1));
            drop(ours);
            let status = waitpid(child, None).unwrap();
            assert_eq!(status, nix::sys::wait::WaitStatus::Exited(Pid::from_raw(child.as_raw()), 0));
        }
    }
}

fn a_closure_that_moves_a_clone_leaves_the_parents_own() {
    let (sender, receiver) = pipe::<u32>();
    let its = sender.clone();
    process::spawn(move || its.send(1).unwrap()).join().unwrap();
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.send(2).unwrap();
    assert_eq!(receiver.recv(), Ok(2));
}

fn a_dropped_receiver_is_noticed_by_the_next_send() {
    let (sender, receiver) = pipe::<String>();
    let another = receiver.clone();
    sender.send("one".to_owned()).unwrap();
    drop(receiver);
    sender.send("two".to_owned()).unwrap();
    drop(another);
    let refused = sender.send("three".to_owned()).unwrap_err();
    assert_eq!(refused.to_string(), "nobody has the other end of the connection any more");
    assert_eq!(refused.into_inner(), "three");
}

fn the_number_is_the_same_in_every_process() {
    let (ours, theirs) = duplex::<(), u64>();
    let (mine, its) = (ours.id(), theirs.id());
    assert_ne!(mine, its);
    let child = process::spawn(move || theirs.send(theirs.id()).unwrap());
    assert_eq!(ours.recv(), Ok(its));
    child.join().unwrap();
    assert!(format!("{ours:?}").contains(&mine.to_string()));
}

fn nothing_is_left_when_both_ends_are_dropped() {
    let used = || {
        let (ours, theirs) = duplex::<u32, u32>();
        assert_eq!(ours.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        theirs.clone().send(1).unwrap();
        ours.recv().unwrap();
    };
    used();
    let before = (descriptors(), mappings());
    (0..20).for_each(|_| used());
    assert_eq!((descriptors(), mappings()), before);
}
