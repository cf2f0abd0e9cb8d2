//! The laws of a queue: what is put is got once, in order, by anybody.

mod harness;

use harness::tools::takes;
use shared::channel::{
    GetError, GetTimeoutError, PutError, PutTimeoutError, Queue, TryGetError, TryPutError,
};
use shared::process;
use std::time::Duration;

harness::main! {
    trials {
        que_01_a_bounded_queue_is_full_after_every_variant_of_put,
        que_04_every_variant_of_get_returns_the_items_in_order,
        que_05_an_empty_queue_says_so_at_once_or_after_the_timeout,
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
