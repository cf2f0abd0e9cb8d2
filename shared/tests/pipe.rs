//! Connections between living processes.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{descriptors, eventually, mappings, state, takes};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use serde::{Deserialize, Serialize};
use shared::channel::{
    Connection, Nothing, RecvError, RecvIntoError, RecvTimeoutError, SendError, TryRecvError, duplex, pipe,
    try_duplex,
};
use shared::process;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        pipe_01_objects_and_bytes_come_back_equal,
        pipe_02_into_a_buffer_with_an_offset_or_too_small,
        pipe_04_large_messages_each_way,
        pipe_05_a_closed_peer_is_the_end_every_time,
        pipe_06_one_way,
        pipe_07_the_child_has_its_end_though_the_parent_has_dropped_it,
        pipe_08_a_slice_by_offset_and_length,
        pipe_11_closed_at_the_end_of_its_scope,
        pipe_32_longer_than_the_limit_is_refused,
        an_empty_message_is_not_the_end,
        a_message_of_one_gibibyte within 120,
        messages_of_every_length_arrive_in_order,
        a_poll_takes_nothing,
        timeouts_are_never_early,
        absurd_timeouts_are_for_ever,
        what_cannot_be_encoded_or_decoded_is_an_error_and_the_next_arrives,
        a_sender_waits_for_room_and_no_longer,
        a_receiver_sleeps,
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
        messages_of_many_senders_stay_whole,
        many_receivers_share_an_end,
        threads_share_an_end,
        the_number_is_the_same_in_every_process,
        without_a_descriptor_to_be_had_it_works_all_the_same,
        nothing_is_left_when_both_ends_are_dropped,
    }
}

const LONG: Duration = Duration::from_secs(20);

/// Bytes that are nowhere alike.
fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Whether it sleeps in the kernel until something becomes ready.
fn sleeps(pid: u32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    state(pid) == Some('S') && call.starts_with(&format!("{} ", nix::libc::SYS_epoll_wait))
}

/// A child that sends back what it gets, bytes as they are.
fn echo() -> (Connection<Vec<u8>, Vec<u8>>, process::JoinHandle<()>) {
    let (ours, theirs) = duplex();
    let child = process::spawn(move || {
        while let Ok(bytes) = theirs.recv_bytes() {
            theirs.send_bytes(&bytes).unwrap();
        }
    });
    (ours, child)
}

fn pipe_01_objects_and_bytes_come_back_equal() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Thing {
        Nothing,
        Numbers(Vec<Option<i64>>),
        Named { what: String, more: BTreeMap<String, Box<Thing>> },
    }
    let (ours, theirs) = duplex::<Thing, Thing>();
    let child = process::spawn(move || {
        while let Ok(thing) = theirs.recv() {
            theirs.send(thing).unwrap();
            theirs.send_bytes(&theirs.recv_bytes().unwrap()).unwrap();
        }
    });
    let numbers = Thing::Numbers(vec![Some(1), None, Some(i64::MIN)]);
    let more = BTreeMap::from([("inside".to_owned(), Box::new(numbers.clone()))]);
    for thing in [Thing::Nothing, numbers, Thing::Named { what: "a text".to_owned(), more }] {
        ours.send(thing.clone()).unwrap();
        assert_eq!(ours.recv().unwrap(), thing);
        ours.send_bytes(b"hello").unwrap();
        assert_eq!(ours.recv_bytes().unwrap(), b"hello");
    }
    drop(ours);
    child.join().unwrap();
}

fn pipe_02_into_a_buffer_with_an_offset_or_too_small() {
    let (ours, child) = echo();
    let mut buffer = [0; 10];
    ours.send_bytes(b"hello").unwrap();
    assert_eq!(ours.recv_bytes_into(&mut buffer[3..]), Ok(5));
    assert_eq!(&buffer, b"\0\0\0hello\0\0");
    ours.send_bytes(b"hello").unwrap();
    ours.send_bytes(b"next").unwrap();
    let short = ours.recv_bytes_into(&mut buffer[..4]).unwrap_err();
    assert_eq!(short.to_string(), "a message of 5 bytes does not fit into a buffer of 4");
    assert_eq!(short, RecvIntoError::BufferTooShort { message: b"hello".to_vec(), room: 4 });
    assert_eq!(&buffer, b"\0\0\0hello\0\0", "untouched");
    assert_eq!(ours.recv_bytes().unwrap(), b"next", "still in step");
    drop(ours);
    child.join().unwrap();
}

fn pipe_04_large_messages_each_way() {
    let (ours, child) = echo();
    let bytes = noise(16 << 20);
    ours.send_bytes(&bytes).unwrap();
    assert!(ours.recv_bytes().unwrap() == bytes);
    drop(ours);
    child.join().unwrap();
}

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

fn pipe_08_a_slice_by_offset_and_length() {
    let (ours, child) = echo();
    let text = b"abcdefghijklmnopqrstuvwxyz";
    for range in [0..26, 5..26, 7..15, 26..26, 0..0] {
        ours.send_bytes(&text[range.clone()]).unwrap();
        assert_eq!(ours.recv_bytes().unwrap(), text[range]);
    }
    for (from, to) in [(27, 27), (22, 27), (4, 3)] {
        assert_eq!(text.get(from..to), None, "there is no such slice to be sent");
    }
    assert!(!ours.poll(Duration::ZERO).unwrap());
    drop(ours);
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

fn pipe_32_longer_than_the_limit_is_refused() {
    for len in [101, 1 << 20] {
        let (ours, theirs) = duplex::<u32, u32>();
        let child = process::spawn(move || {
            theirs.send_bytes(&noise(100)).unwrap();
            // A long one is refused while it is sent.
            let _ = theirs.send_bytes(&noise(len));
            theirs.recv().unwrap()
        });
        assert_eq!(ours.recv_bytes_at_most(100).unwrap(), noise(100));
        let refused = ours.recv_bytes_at_most(100);
        assert_eq!(refused, Err(RecvError::TooLong { len: len as u64, limit: 100 }));
        assert_eq!(ours.recv_bytes(), Err(RecvError::Closed), "nothing comes after it");
        ours.send(7).unwrap();
        assert_eq!(child.join().unwrap(), 7, "the other way is open");
    }
}

fn an_empty_message_is_not_the_end() {
    let (sender, receiver) = pipe::<()>();
    sender.send_bytes(b"").unwrap();
    sender.send(()).unwrap();
    drop(sender);
    assert!(receiver.poll(Duration::ZERO).unwrap());
    assert_eq!(receiver.recv_bytes(), Ok(Vec::new()));
    assert_eq!(receiver.recv(), Ok(()));
    assert_eq!(receiver.recv(), Err(RecvError::Closed));
}

fn a_message_of_one_gibibyte() {
    const LEN: usize = 1 << 30;
    let (sender, receiver) = pipe::<Vec<u8>>();
    let child = process::spawn(move || {
        let mut bytes = vec![7; LEN];
        (bytes[0], bytes[LEN / 2 + 1], bytes[LEN - 1]) = (1, 2, 3);
        sender.send_bytes(&bytes).unwrap();
        sender.send_bytes(b"next").unwrap();
    });
    let mut bytes = receiver.recv_bytes().unwrap();
    assert_eq!((bytes.len(), bytes[0], bytes[LEN / 2 + 1], bytes[LEN - 1]), (LEN, 1, 2, 3));
    (bytes[0], bytes[LEN / 2 + 1], bytes[LEN - 1]) = (7, 7, 7);
    assert!(bytes.iter().all(|byte| *byte == 7));
    assert_eq!(receiver.recv_bytes().unwrap(), b"next");
    child.join().unwrap();
}

/// Lengths around every edge: of the grain, of one piece, of the room.
fn messages_of_every_length_arrive_in_order() {
    let edges = [0, 1, 7, 8, 9, 4096, 1 << 15, 1 << 16, 1 << 17, 1 << 18, 3 << 17, 1 << 20];
    let around = |edge: usize| edge.saturating_sub(33)..edge + 34;
    let lengths = || edges.into_iter().flat_map(around).chain(edges).chain(0..700);
    let all = noise((2 << 20) + 1000);
    let (sender, receiver) = pipe::<()>();
    let bytes = &all;
    process::scope(|s| {
        s.spawn(move || lengths().for_each(|len| sender.send_bytes(&bytes[len..2 * len]).unwrap()));
        for len in lengths() {
            let message = receiver.recv_bytes().unwrap();
            assert!(message == all[len..2 * len], "{len}: {} bytes came", message.len());
        }
        assert_eq!(receiver.recv_bytes(), Err(RecvError::Closed));
    });
}

fn a_poll_takes_nothing() {
    let (ours, theirs) = duplex::<u32, u32>();
    assert!(!ours.poll(Duration::ZERO).unwrap());
    let child = process::spawn(move || {
        theirs.recv().unwrap();
        theirs.send(7).unwrap();
        theirs.recv().unwrap();
    });
    ours.send(0).unwrap();
    for _ in 0..3 {
        assert!(ours.poll(LONG).unwrap());
    }
    assert_eq!(ours.try_recv(), Ok(7));
    assert!(!ours.poll(Duration::from_millis(1)).unwrap());
    ours.send(0).unwrap();
    child.join().unwrap();
}

fn timeouts_are_never_early() {
    let (ours, _theirs) = duplex::<u32, u32>();
    for time in [0, 1, 300, 7_000, 40_000].map(Duration::from_micros) {
        takes(time, || assert!(!ours.poll(time).unwrap()));
        takes(time, || assert_eq!(ours.recv_timeout(time), Err(RecvTimeoutError::Timeout)));
    }
    let start = Instant::now();
    assert_eq!(ours.try_recv(), Err(TryRecvError::Empty));
    assert!(start.elapsed() < LONG / 2);
}

fn absurd_timeouts_are_for_ever() {
    for time in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)] {
        let (ours, theirs) = duplex::<u32, u32>();
        let child = process::spawn(move || {
            let polled = theirs.poll(time).unwrap();
            (polled, theirs.recv_timeout(time).unwrap(), theirs.recv_timeout(time).unwrap())
        });
        eventually("it sleeps", || sleeps(child.process().id()));
        ours.send(1).unwrap();
        ours.send(2).unwrap();
        assert_eq!(child.join().unwrap(), (true, 1, 2));
    }
}

fn what_cannot_be_encoded_or_decoded_is_an_error_and_the_next_arrives() {
    #[derive(Debug, Deserialize)]
    struct Stubborn;
    impl Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not me"))
        }
    }
    let (sender, receiver) = pipe::<Stubborn>();
    let refused = sender.send(Stubborn).unwrap_err();
    assert!(matches!(refused, SendError::Encode(Stubborn, _)) && refused.to_string().ends_with("not me"));
    assert!(!receiver.poll(Duration::ZERO).unwrap());

    let (sender, receiver) = pipe::<String>();
    sender.send_bytes(&[0xc1]).unwrap();
    sender.send("next".to_owned()).unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Decode(_))));
    assert_eq!(receiver.recv().unwrap(), "next");
}

fn a_sender_waits_for_room_and_no_longer() {
    let (sender, receiver) = pipe::<()>();
    let child = process::spawn(move || {
        for n in 0..2000_u32 {
            let mut bytes = noise(1000);
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            sender.send_bytes(&bytes).unwrap();
        }
    });
    eventually("it sleeps, for the road is full", || sleeps(child.process().id()));
    for n in 0..2000_u32 {
        let bytes = receiver.recv_bytes().unwrap();
        assert!(bytes[..4] == n.to_le_bytes() && bytes[4..] == noise(1000)[4..]);
    }
    child.join().unwrap();
}

fn a_receiver_sleeps() {
    let (sender, receiver) = pipe::<u32>();
    let child = process::spawn(move || receiver.recv().unwrap());
    eventually("it sleeps", || sleeps(child.process().id()));
    let start = Instant::now();
    sender.send(5).unwrap();
    assert_eq!(child.join().unwrap(), 5);
    assert!(start.elapsed() < Duration::from_secs(5));
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
    eventually("it sleeps", || sleeps(child.process().id()));
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
            sleeps(sibling.process().id()) || state(sibling.process().id()) == Some('S')
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

/// Each of them fills its message with its own number, and counts.
fn messages_of_many_senders_stay_whole() {
    const EACH: u32 = 300;
    let (sender, receiver) = pipe::<()>();
    let senders: Vec<_> = (0..4_u32)
        .map(|who| {
            let sender = sender.clone();
            process::spawn(move || {
                for n in 0..EACH {
                    let len = if n % 10 == 0 { 300_000 } else { 1 + n as usize * 7 % 3000 };
                    sender.send_bytes(&as_bytes(&vec![who << 16 | n; len])).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let mut next = [0; 4];
    while let Ok(bytes) = receiver.recv_bytes() {
        let first = u32::from_ne_bytes(bytes[..4].try_into().unwrap());
        let (who, n) = ((first >> 16) as usize, first & 0xffff);
        assert!(bytes.chunks(4).all(|number| number == first.to_ne_bytes()), "whole");
        assert_eq!(n, next[who], "in the order in which it was sent");
        next[who] += 1;
    }
    assert_eq!(next, [EACH; 4]);
    senders.into_iter().for_each(|child| child.join().unwrap());
}

fn as_bytes(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

fn many_receivers_share_an_end() {
    let (sender, receiver) = pipe::<u64>();
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let receiver = receiver.clone();
            process::spawn(move || receiver.iter().map(Result::unwrap).collect::<Vec<_>>())
        })
        .collect();
    drop(receiver);
    (0..5000).for_each(|n| sender.send(n).unwrap());
    drop(sender);
    let mut all = Vec::new();
    for child in receivers {
        let got = child.join().unwrap();
        assert!(got.is_sorted(), "each in the order in which it was sent");
        all.extend(got);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..5000), "each to one of them");
}

fn threads_share_an_end() {
    let (ours, child) = echo();
    let total = thread::scope(|s| {
        let receivers: Vec<_> = (0..2)
            .map(|_| s.spawn(|| (0..500).map(|_| ours.recv_bytes().unwrap().len()).sum::<usize>()))
            .collect();
        for _ in 0..2 {
            s.spawn(|| (0..500).for_each(|n| ours.send_bytes(&noise(n)).unwrap()));
        }
        receivers.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!(total, 2 * (0..500).sum::<usize>());
    drop(ours);
    child.join().unwrap();
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

fn without_a_descriptor_to_be_had_it_works_all_the_same() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (ours, child) = echo();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 3, most).unwrap();
    assert_eq!(try_duplex::<(), ()>().unwrap_err().raw_os_error(), Some(nix::libc::EMFILE));
    for _ in 0..3 {
        ours.send_bytes(b"a message").unwrap();
        assert!(ours.poll(LONG).unwrap());
        assert_eq!(ours.recv_bytes().unwrap(), b"a message");
        assert_eq!(ours.recv_timeout(Duration::from_millis(5)), Err(RecvTimeoutError::Timeout));
    }
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    drop(ours);
    child.join().unwrap();
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
