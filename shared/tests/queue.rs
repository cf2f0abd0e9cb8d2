//! The laws of a queue: what is put is got once, in order, by anybody.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, shared_memory, state, takes};
use shared::channel::{
    GetError, GetTimeoutError, PutError, PutTimeoutError, Queue, TryGetError, TryPutError,
};
use shared::process;
use std::time::Duration;

harness::main! {
    trials {
        que_01_a_bounded_queue_is_full_after_every_variant_of_put,
        que_03_another_process_drains_it,
        que_04_every_variant_of_get_returns_the_items_in_order,
        que_05_an_empty_queue_says_so_at_once_or_after_the_timeout,
        que_06_before_and_after_a_fork,
        que_08_what_cannot_be_encoded_is_refused,
        que_10_a_closed_queue_says_whether_it_is_empty,
        que_11_closing_an_empty_queue_is_seen_everywhere,
        que_14_a_process_may_exit_after_the_put,
        que_16_empty_two_items_empty,
        que_17_closing_twice_is_fine,
        que_19_a_queue_among_other_values,
        what_cannot_be_decoded_is_an_error_of_that_get_alone,
        a_burst_gives_its_memory_back,
        the_lengths_are_exact_in_a_quiet_queue,
        a_blocked_producer_goes_on_when_there_is_room,
        a_lack_of_memory_is_an_error_of_that_put,
        everything_arrives_once_in_the_order_of_each_producer,
        items_of_every_size,
        que_09_a_closed_queue_refuses_to_put_and_ends_when_it_is_empty,
        que_13_close_now_drops_what_is_inside,
    }
}

const SOON: Duration = Duration::from_millis(50);

fn que_01_a_bounded_queue_is_full_after_every_variant_of_put() {
    let queue = Queue::bounded(6);
    assert!(queue.is_empty() && !queue.is_full());
    queue.put(1).unwrap();
    queue.put_timeout(2, SOON).unwrap();
    queue.try_put(3).unwrap();
    for item in 4..=6 {
        assert!(!queue.is_full());
        queue.put(item).unwrap();
    }
    assert!(!queue.is_empty() && queue.is_full());
    assert_eq!((queue.len(), queue.capacity()), (6, Some(6)));
    assert!(matches!(queue.try_put(7), Err(TryPutError::Full(7))));
    takes(SOON, || assert!(matches!(queue.put_timeout(7, SOON), Err(PutTimeoutError::Timeout(7)))));
    assert_eq!(queue.try_put(7).unwrap_err().into_inner(), 7);
}

fn que_04_every_variant_of_get_returns_the_items_in_order() {
    let queue = Queue::new();
    process::scope(|s| {
        s.spawn(|| (2..=5).for_each(|item| queue.put(item).unwrap()));
        assert_eq!(queue.get(), Ok(2));
        assert_eq!(queue.get_timeout(Duration::from_secs(10)), Ok(3));
        assert_eq!(queue.get(), Ok(4));
    });
    assert_eq!(queue.try_get(), Ok(5));
    assert!(queue.is_empty());
}

fn que_05_an_empty_queue_says_so_at_once_or_after_the_timeout() {
    let queue = Queue::<u8>::new();
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    takes(SOON, || assert_eq!(queue.get_timeout(SOON), Err(GetTimeoutError::Timeout)));
}

fn everything_arrives_once_in_the_order_of_each_producer() {
    const EACH: u64 = 50_000;
    for queue in [Queue::bounded(1), Queue::bounded(7), Queue::bounded(1000), Queue::new()] {
        let each = if queue.capacity() == Some(1) { EACH / 10 } else { EACH };
        let got: Vec<Vec<(u64, u64)>> = process::scope(|s| {
            let producers: Vec<_> = (0..4)
                .map(|who| {
                    let queue = &queue;
                    s.spawn(move || (0..each).for_each(|n| queue.put((who, n)).unwrap()))
                })
                .collect();
            let consumers: Vec<_> =
                (0..4).map(|_| s.spawn(|| queue.iter().map(Result::unwrap).collect::<Vec<_>>())).collect();
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            queue.close();
            consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect()
        });
        for seen in &got {
            for who in 0..4 {
                let of_one: Vec<_> = seen.iter().filter(|item| item.0 == who).collect();
                assert!(of_one.is_sorted(), "producer {who}");
            }
        }
        let mut all: Vec<_> = got.concat();
        all.sort();
        let put: Vec<_> = (0..4).flat_map(|who| (0..each).map(move |n| (who, n))).collect();
        assert!(all == put, "{} instead of {}", all.len(), put.len());
    }
}

fn items_of_every_size() {
    let queue = Queue::<()>::bounded(3);
    let sizes =
        [0, 1, 95, 96, 97, 4095, 4096, 8192, 8193, 32 << 10, 1 << 18, 1 << 20, 3 << 20, 20 << 20, 200 << 20];
    process::scope(|s| {
        s.spawn(|| {
            for (i, size) in sizes.into_iter().enumerate() {
                queue.put_bytes(&vec![i as u8; size]).unwrap();
            }
        });
        for (i, size) in sizes.into_iter().enumerate() {
            let bytes = queue.get_bytes().unwrap();
            assert!(bytes.len() == size && bytes.iter().all(|byte| *byte == i as u8), "{size}");
        }
    });
}

fn que_09_a_closed_queue_refuses_to_put_and_ends_when_it_is_empty() {
    let queue = Queue::new();
    queue.put(1).unwrap();
    queue.close();
    queue.close();
    assert!(matches!(queue.put(2), Err(PutError::Closed(2))));
    assert!(matches!(queue.try_put(2), Err(TryPutError::Closed(2))));
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.get(), Err(GetError::Closed));
    assert_eq!(queue.try_get(), Err(TryGetError::Closed));
}

fn que_13_close_now_drops_what_is_inside() {
    let queue = Queue::bounded(3);
    (0..3).for_each(|item| queue.put(item).unwrap());
    process::scope(|s| {
        let blocked = s.spawn(|| queue.put(3).is_err());
        queue.close_now();
        assert!(blocked.join().unwrap());
    });
    assert_eq!(queue.len(), 0);
    assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    assert!(queue.put(1).is_err());
}

fn que_03_another_process_drains_it() {
    let queue = Queue::bounded(6);
    (0..6).for_each(|item| queue.put(item).unwrap());
    process::scope(|s| {
        let got = s.spawn(|| (0..6).map(|_| queue.get().unwrap()).collect::<Vec<i32>>());
        assert_eq!(got.join().unwrap(), [0, 1, 2, 3, 4, 5]);
    });
    assert!(queue.is_empty() && !queue.is_full());
}

fn que_06_before_and_after_a_fork() {
    let queue = Queue::new();
    (0..10).for_each(|item| queue.put(item).unwrap());
    process::scope(|s| s.spawn(|| (10..20).for_each(|item| queue.put(item).unwrap())).join().unwrap());
    (0..20).for_each(|item| assert_eq!(queue.get(), Ok(item)));
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
}

/// Refuses to be encoded, or to be decoded.
#[derive(Debug, PartialEq)]
struct Shy(u8);

impl serde::Serialize for Shy {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 == 1 { Err(serde::ser::Error::custom("not this one")) } else { to.serialize_u8(self.0) }
    }
}

impl<'a> serde::Deserialize<'a> for Shy {
    fn deserialize<D: serde::Deserializer<'a>>(from: D) -> Result<Shy, D::Error> {
        match u8::deserialize(from)? {
            2 => Err(serde::de::Error::custom("not that one")),
            other => Ok(Shy(other)),
        }
    }
}

fn que_08_what_cannot_be_encoded_is_refused() {
    let queue = Queue::bounded(1);
    for _ in 0..3 {
        assert!(matches!(queue.put(Shy(1)), Err(PutError::Encode(Shy(1), _))));
        assert!(matches!(queue.try_put(Shy(1)), Err(TryPutError::Encode(Shy(1), _))));
        assert_eq!(queue.len(), 0);
    }
    queue.put(Shy(3)).unwrap();
    assert!(queue.is_full());
    assert_eq!(queue.get(), Ok(Shy(3)));
}

fn what_cannot_be_decoded_is_an_error_of_that_get_alone() {
    let queue = Queue::new();
    [3, 2, 4].into_iter().for_each(|item| queue.put(Shy(item)).unwrap());
    assert_eq!(queue.get(), Ok(Shy(3)));
    assert!(matches!(queue.get(), Err(GetError::Decode(_))));
    assert_eq!(queue.get(), Ok(Shy(4)));
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
}

fn que_10_a_closed_queue_says_whether_it_is_empty() {
    let (used, unused) = (Queue::new(), Queue::<u8>::new());
    used.put(1).unwrap();
    used.close();
    unused.close();
    assert_eq!((used.is_empty(), unused.is_empty()), (false, true));
}

fn que_11_closing_an_empty_queue_is_seen_everywhere() {
    let queue = Queue::<u8>::bounded(1);
    process::scope(|s| {
        let waits = s.spawn(|| queue.get() == Err(GetError::Closed));
        eventually("it sleeps", || state(waits.process().id()) == Some('S'));
        queue.close();
        assert!(waits.join().unwrap());
        assert!(
            s.spawn(|| queue.put(1).is_err() && queue.try_get() == Err(TryGetError::Closed)).join().unwrap()
        );
    });
    assert!(queue.is_closed() && queue.put(1).is_err() && queue.is_empty());
}

fn que_14_a_process_may_exit_after_the_put() {
    let queue = Queue::new();
    for round in 0..20 {
        let child = process::spawn({
            let queue = queue.clone();
            move || {
                (0..100).for_each(|item| queue.put(vec![item; 100 * item]).unwrap());
                process::exit(3);
                #[allow(unreachable_code)]
                ()
            }
        });
        assert!(child.join().is_err());
        assert_eq!(queue.len(), 100, "round {round}");
        (0..100).for_each(|item| assert_eq!(queue.get().unwrap(), vec![item; 100 * item]));
    }
}

fn que_16_empty_two_items_empty() {
    let queue = Queue::new();
    process::scope(|s| {
        assert!(queue.is_empty());
        s.spawn(|| [true, false].map(|item| queue.put(item).unwrap()).len()).join().unwrap();
        assert!(!queue.is_empty());
        assert_eq!([queue.get(), queue.get()], [Ok(true), Ok(false)]);
        assert!(queue.is_empty());
    });
}

fn que_17_closing_twice_is_fine() {
    let queue = Queue::<u8>::new();
    queue.close();
    queue.close();
    queue.close_now();
    queue.close();
    assert!(queue.is_closed() && queue.is_empty());
}

fn que_19_a_queue_among_other_values() {
    let nested = [("first", Queue::new()), ("second", Queue::new())];
    process::scope(|s| s.spawn(|| nested[1].1.put(7).unwrap()).join().unwrap());
    assert_eq!((nested[0].1.try_get(), nested[1].1.get()), (Err(TryGetError::Empty), Ok(7)));
    assert_ne!(nested[0].1.id(), nested[1].1.id());
}

fn a_burst_gives_its_memory_back() {
    let queue = Queue::<()>::new();
    let before = shared_memory();
    for (size, count) in [(10, 100_000), (1000, 30_000), (100_000, 500), (1 << 20, 100), (300 << 20, 1)] {
        let bytes = vec![7; size];
        (0..count).for_each(|_| queue.put_bytes(&bytes).unwrap());
        let full = shared_memory();
        assert!(full - before > size * count, "{size}: {full}");
        (0..count).for_each(|_| assert_eq!(queue.get_bytes().unwrap().len(), size));
        let after = shared_memory();
        assert!(after < before + (1 << 20), "{size}: {before} before, {full} in between, {after} after");
    }
}

fn the_lengths_are_exact_in_a_quiet_queue() {
    let queue = Queue::bounded(300);
    for n in 1..=300 {
        queue.put(n).unwrap();
        assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (n, false, n == 300));
    }
    for n in (0..300).rev() {
        queue.get().unwrap();
        assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (n, n == 0, false));
    }
}

fn a_blocked_producer_goes_on_when_there_is_room() {
    for bound in [1, 2, 100] {
        let queue = Queue::bounded(bound);
        (0..bound).for_each(|item| queue.put(item).unwrap());
        process::scope(|s| {
            let waits = s.spawn(|| queue.put(bound).unwrap());
            eventually("it sleeps", || state(waits.process().id()) == Some('S'));
            assert_eq!(queue.get(), Ok(0));
            waits.join().unwrap();
        });
        assert_eq!(queue.len(), bound);
    }
}

fn a_lack_of_memory_is_an_error_of_that_put() {
    let queue = Queue::<()>::new();
    queue.put_bytes(b"small").unwrap();
    let large = vec![7; 130 << 20];
    (0..3).for_each(|_| queue.put_bytes(&large).unwrap());
    assert!(
        matches!(queue.put_bytes(&large), Err(PutError::NoMemory((), _))),
        "there are three places for so large a one"
    );
    assert_eq!(queue.len(), 4);
    queue.put_bytes(b"goes on").unwrap();
    assert_eq!(queue.get_bytes().unwrap(), b"small");
    (0..3).for_each(|_| assert!(queue.get_bytes().unwrap() == large));
    assert_eq!(queue.get_bytes().unwrap(), b"goes on");
}
