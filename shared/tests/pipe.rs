//! Messages through connections, between living processes: whole, in order, of any length. Ends are in `pipe_ends.rs`.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, sleeps_in};
use nix::libc::SYS_epoll_wait;
use serde::{Deserialize, Serialize};
use shared::channel::{
    Connection, RecvError, RecvIntoError, RecvTimeoutError, SendError, duplex, pipe, try_duplex,
};
use shared::process;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        pipe_01_objects_and_bytes_come_back_equal,
        pipe_02_into_a_buffer_with_an_offset_or_too_small,
        pipe_04_large_messages_each_way,
        pipe_08_a_slice_by_offset_and_length,
        pipe_32_longer_than_the_limit_is_refused,
        an_empty_message_is_not_the_end,
        a_message_of_one_gibibyte within 120,
        messages_of_every_length_arrive_in_order,
        texts_of_every_length_alone_and_among_others_come_back,
        what_cannot_be_encoded_or_decoded_is_an_error_and_the_next_arrives,
        a_sender_waits_for_room_and_no_longer,
        messages_of_many_senders_stay_whole,
        many_receivers_share_an_end,
        threads_share_an_end,
        without_a_descriptor_to_be_had_it_works_all_the_same,
    }
}

const LONG: Duration = Duration::from_secs(20);

/// Bytes that are nowhere alike.
fn noise(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
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

fn texts_of_every_length_alone_and_among_others_come_back() {
    let lengths = [0, 1, 31, 1_020, 1_021, 1_024, 4_096, 65_535, 65_536, 1 << 20, 6 << 20];
    let texts = lengths.map(|len| "é".repeat(len / 2) + &"x".repeat(len % 2));
    let (alone, text) = pipe::<String>();
    let (among, page) = pipe::<(u64, String, Option<String>)>();
    process::scope(|s| {
        s.spawn(|| {
            for text in &texts {
                alone.send(text.clone()).unwrap();
                among.send((7, text.clone(), Some(text.clone()))).unwrap();
            }
        });
        for sent in &texts {
            assert!(text.recv().unwrap() == *sent);
            assert!(page.recv().unwrap() == (7, sent.clone(), Some(sent.clone())));
        }
    });
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
    eventually("it sleeps, for the road is full", || sleeps_in(SYS_epoll_wait, child.process().id()));
    for n in 0..2000_u32 {
        let bytes = receiver.recv_bytes().unwrap();
        assert!(bytes[..4] == n.to_le_bytes() && bytes[4..] == noise(1000)[4..]);
    }
    child.join().unwrap();
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
