//! Deaths in queues: producers and consumers are killed wherever they are, and every item arrives once.
//!
//! What a process has told of itself lies in shared memory and outlives it: what it has put for certain, what it has
//! got, and whether it was inside an operation when it died.

mod harness;

use harness::tools::{eventually, sleep_for_ever, state};
use shared::channel::{JoinableQueue, Queue, TryGetError};
use shared::memory::Shared;
use shared::process::{self, JoinHandle};
use std::array;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        que_18_a_consumer_killed_while_it_waits_takes_nothing_with_it,
        a_storm_of_kills_on_a_bounded_queue within 120,
        a_storm_of_kills_on_a_queue_without_a_bound within 120,
        a_storm_of_kills_with_large_items within 120,
        a_storm_of_kills_with_leases within 120,
        a_killed_producer_leaves_room,
        the_memory_of_the_dead_comes_back within 60,
    }
}

const SLOTS: usize = 3;
/// Items for each producer; a storm ends before.
const MOST: usize = 200_000;
const STORM: Duration = Duration::from_secs(4);

/// What is told, by slot: a slot has one producer and one consumer at a time.
struct Told {
    /// Producer: so many were put for certain.
    put: Shared<[AtomicU64; SLOTS]>,
    /// How often each item was got.
    got: [Shared<[AtomicU8; MOST]>; SLOTS],
    /// 1: inside an operation. Producers, then consumers.
    inside: Shared<[AtomicU64; 2 * SLOTS]>,
    /// Stop.
    enough: Shared<AtomicU64>,
}

impl Told {
    fn new() -> Told {
        Told {
            put: Shared::new(array::from_fn(|_| AtomicU64::new(0))),
            got: array::from_fn(|_| Shared::new([const { AtomicU8::new(0) }; MOST])),
            inside: Shared::new(array::from_fn(|_| AtomicU64::new(0))),
            enough: Shared::new(AtomicU64::new(0)),
        }
    }

    fn inside<R>(&self, who: usize, f: impl FnOnce() -> R) -> R {
        self.inside[who].store(1, SeqCst);
        let result = f();
        self.inside[who].store(0, SeqCst);
        result
    }
}

/// Producer, number, and bytes that follow from both.
type Item = (usize, u64, Vec<u8>);

fn item(slot: usize, n: u64, len: usize) -> Item {
    (slot, n, vec![(n % 251) as u8; len])
}

#[track_caller]
fn note(told: &Told, (slot, n, bytes): &Item) {
    assert!(bytes.iter().all(|byte| u64::from(*byte) == n % 251), "torn");
    told.got[*slot][*n as usize].fetch_add(1, SeqCst);
}

/// What the storm found.
#[derive(Debug, Default)]
struct Sum {
    kills: u64,
    in_put: u64,
    in_get: u64,
    put: u64,
    lost: u64,
    twice: u64,
}

/// Kills and replaces producers and consumers, and adds up. `get` returns when the queue is closed.
fn storm(
    told: &Told,
    put: impl Fn(Item) -> bool + Sync,
    get: impl Fn(usize) + Sync,
    len: impl Fn(u64) -> usize + Sync,
    close: impl Fn(),
) -> Sum {
    let (put, get, len) = (&put, &get, &len);
    let mut sum = Sum::default();
    process::scope(|s| {
        let produce = |slot: usize| {
            s.spawn(move || {
                // The one that was being put when its producer died may be in or not. So it is not put again.
                for n in told.put[slot].load(SeqCst) + 1..MOST as u64 {
                    told.put[slot].store(n, SeqCst);
                    if told.enough.load(SeqCst) == 1 || !told.inside(slot, || put(item(slot, n, len(n)))) {
                        told.put[slot].store(n - 1, SeqCst);
                        return;
                    }
                }
            })
        };
        let consume = |slot: usize| s.spawn(move || get(slot));
        let mut producers: Vec<JoinHandle<()>> = (0..SLOTS).map(produce).collect();
        let mut consumers: Vec<JoinHandle<()>> = (0..SLOTS).map(consume).collect();
        // (Item 0 is not used; those that were being put at a death are in `doubtful`.)
        let mut doubtful = vec![Vec::new(); SLOTS];
        let end = Instant::now() + STORM;
        let mut random = 1_u64;
        // Until there was enough of each. How long that takes is the machine's affair: it may have others to serve.
        let all_put = || told.put.iter().map(|put| put.load(SeqCst)).sum::<u64>();
        while Instant::now() < end
            || sum.kills < 200
            || sum.in_put < 20
            || sum.in_get < 20
            || all_put() < 1000
        {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            thread::sleep(Duration::from_micros(random >> 54));
            let slot = (random >> 40) as usize % SLOTS;
            let is_producer = random >> 33 & 1 == 0;
            let (all, who) =
                if is_producer { (&mut producers, slot) } else { (&mut consumers, SLOTS + slot) };
            if all[slot].is_finished() {
                continue;
            }
            all[slot].kill().unwrap();
            let _ = all.remove(slot).join();
            sum.kills += 1;
            let was_inside = told.inside[who].swap(0, SeqCst);
            if is_producer {
                sum.in_put += was_inside;
                doubtful[slot].push(told.put[slot].load(SeqCst));
                producers.insert(slot, produce(slot));
            } else {
                sum.in_get += was_inside;
                consumers.insert(slot, consume(slot));
            }
        }
        told.enough.store(1, SeqCst);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        close();
        consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
        for (slot, doubtful) in doubtful.iter().enumerate() {
            let last = told.put[slot].load(SeqCst);
            sum.put += last;
            for n in 1..=last {
                let times = told.got[slot][n as usize].load(SeqCst);
                sum.lost += u64::from(times == 0 && !doubtful.contains(&n));
                sum.twice += u64::from(times > 1);
            }
            assert!((last + 1..MOST as u64).all(|n| told.got[slot][n as usize].load(SeqCst) == 0));
        }
    });
    println!("{sum:?}");
    sum
}

fn storm_on(queue: &Queue<Item>, len: impl Fn(u64) -> usize + Sync) {
    let told = Told::new();
    let get = |slot: usize| {
        while let Ok(item) = told.inside(SLOTS + slot, || queue.get()) {
            note(&told, &item);
        }
    };
    let sum = storm(&told, |item| queue.put(item).is_ok(), get, len, || queue.close());
    assert_eq!(sum.twice, 0, "{sum:?}");
    // Handed over to one who died before he could tell.
    assert!(sum.lost <= sum.kills, "{sum:?}");
    assert_eq!((queue.len(), queue.try_get().is_err()), (0, true));
}

fn a_storm_of_kills_on_a_bounded_queue() {
    storm_on(&Queue::bounded(10), |_| 8);
}

fn a_storm_of_kills_on_a_queue_without_a_bound() {
    storm_on(&Queue::new(), |_| 8);
}

fn a_storm_of_kills_with_large_items() {
    storm_on(&Queue::bounded(20), |n| [10, 5_000, 100_000, 600_000][n as usize % 4]);
}

fn a_storm_of_kills_with_leases() {
    let (queue, told) = (JoinableQueue::<Item>::bounded(10), Told::new());
    let get = |slot: usize| {
        while let Ok(lease) = told.inside(SLOTS + slot, || queue.get_lease()) {
            note(&told, &lease);
            lease.done();
        }
    };
    // Who joins cannot hang, for all that is put is done by somebody; so nothing is left behind the end.
    let close = || {
        queue.join();
        queue.close();
    };
    let sum = storm(&told, |item| queue.put(item).is_ok(), get, |_| 8, close);
    assert_eq!(sum.lost, 0, "{sum:?}");
    assert!(sum.twice <= sum.kills, "{sum:?}");
    queue.join();
}

fn que_18_a_consumer_killed_while_it_waits_takes_nothing_with_it() {
    let queue = Queue::new();
    process::scope(|s| {
        for item in 0..20 {
            let waits = s.spawn(|| queue.get().unwrap());
            eventually("it sleeps", || state(waits.process().id()) == Some('S'));
            waits.kill().unwrap();
            let _ = waits.join();
            queue.put(item).unwrap();
            assert_eq!(queue.len(), 1);
            assert_eq!(queue.get(), Ok(item));
            assert_eq!(queue.try_get(), Err(TryGetError::Empty));
        }
    });
}

fn a_killed_producer_leaves_room() {
    let queue = Queue::bounded(1);
    queue.put(1).unwrap();
    process::scope(|s| {
        let waits = s.spawn(|| queue.put(2).is_ok());
        eventually("it sleeps", || state(waits.process().id()) == Some('S'));
        waits.kill().unwrap();
        let _ = waits.join();
    });
    assert_eq!(queue.get(), Ok(1));
    queue.put(3).unwrap();
    assert_eq!(queue.get(), Ok(3));
}

/// Consumers are killed with large items leased, and producers while they put such: nothing of that may stay.
fn the_memory_of_the_dead_comes_back() {
    let queue = JoinableQueue::<Vec<u8>>::bounded(4);
    for _ in 0..40 {
        process::scope(|s| {
            let producer = s.spawn(|| while queue.put(vec![7; 8 << 20]).is_ok() {});
            let holder = s.spawn(|| {
                let _lease = queue.get_lease().unwrap();
                sleep_for_ever();
            });
            thread::sleep(Duration::from_millis(20));
            producer.kill().unwrap();
            holder.kill().unwrap();
            let _ = (producer.join(), holder.join());
        });
    }
    while let Ok(lease) = queue.try_get_lease() {
        assert!(lease.len() == 8 << 20 && lease.iter().all(|byte| *byte == 7));
        lease.done();
    }
    queue.join();
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    let left = harness::tools::shared_memory();
    assert!(left < 2 << 20, "{left} bytes");
}
