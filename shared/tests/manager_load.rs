//! Many clients at once, each of whose answers is compared with a model.
//!
//! Every client has a dict and a list of its own, beside a local map and a local vector that it changes alike, and all share a
//! number, a queue and a lock. REQUESTS in the environment says how many requests each makes.

mod harness;

use harness::tools::eventually;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use shared::manager::{List, Lock, Manager, Queue, Value};
use shared::process;
use std::collections::BTreeMap;
use std::fs;

harness::main! {
    trials {
        sixty_four_clients_get_right_answers within 3600,
        objects_that_come_and_go_leave_nothing,
    }
}

const CLIENTS: u64 = 64;

fn requests() -> u64 {
    std::env::var("REQUESTS").ok().and_then(|requests| requests.parse().ok()).unwrap_or(400)
}

/// What all share.
#[derive(Clone)]
struct Shared {
    sum: Value<u64>,
    queue: Queue<u64>,
    lock: Lock,
    /// What is changed under the lock in two steps, and must not differ outside.
    pair: List<u64>,
}

fn memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    memory.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn sixty_four_clients_get_right_answers() {
    let manager = Manager::start().expect("a manager");
    let shared = Shared {
        sum: manager.value(&0).expect("a value"),
        queue: manager.queue(0).expect("a queue"),
        lock: manager.lock().expect("a lock"),
        pair: manager.list_of(&[0, 0]).expect("a list"),
    };
    let round = |requests| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let (objects, shared) = (manager.clone(), shared.clone());
                process::spawn(move || client(&objects, &shared, n, requests))
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("every answer is right")).collect::<Vec<_>>()
    };
    let warm = round(requests() / 4);
    let before = memory(manager.server_pid());
    let done = round(requests());

    let total = |of: fn(&(u64, u64, u64)) -> u64| warm.iter().chain(&done).map(of).sum::<u64>();
    assert_eq!(shared.sum.get(), Ok(total(|done| done.0)));
    let mut got = total(|done| done.2);
    while let Some(item) = shared.queue.try_get().expect("an answer") {
        got += item;
    }
    assert_eq!(got, total(|done| done.1), "items were lost, or came twice");
    eventually("the clients' objects have gone with them", || manager.count() == Ok(4));
    let after = memory(manager.server_pid());
    assert!(after <= before + 8 * 1024, "the server's memory grew from {before} to {after} KiB");
}

/// Makes its requests, and returns what it added to the sum, what it put and what it got.
fn client(objects: &shared::manager::Objects, shared: &Shared, n: u64, requests: u64) -> (u64, u64, u64) {
    let mut random = StdRng::seed_from_u64(n);
    let dict = objects.dict::<u32, Vec<u8>>().expect("a dict");
    let list = objects.list::<i64>().expect("a list");
    let (mut map, mut vector) = (BTreeMap::new(), Vec::new());
    let (mut added, mut put, mut got) = (0, 0, 0);
    for _ in 0..requests {
        let key = random.random_range(0..50_u32);
        match random.random_range(0..14) {
            0 | 1 => {
                let len = if random.random_ratio(1, 100) { 40_000 } else { random.random_range(0..100) };
                let value = vec![random.random_range(0..128_u8); len];
                assert_eq!(dict.insert(&key, &value), Ok(map.insert(key, value)));
            }
            2 | 3 => assert_eq!(dict.get(&key), Ok(map.get(&key).cloned())),
            4 => assert_eq!(dict.pop(&key), Ok(map.remove(&key))),
            5 => assert_eq!(dict.len(), Ok(map.len())),
            6 => {
                let number = random.random_range(-5..5);
                list.push(&number).expect("pushes");
                vector.push(number);
            }
            7 => assert_eq!(list.pop(), Ok(vector.pop())),
            8 => assert_eq!(list.position(&3), Ok(vector.iter().position(|number| *number == 3))),
            9 => {
                list.sort().expect("sorts");
                vector.sort();
                assert_eq!(list.to_vec().as_ref(), Ok(&vector));
            }
            10 => {
                shared.sum.add(&u64::from(key)).expect("adds");
                added += u64::from(key);
            }
            11 => {
                shared.queue.put(u64::from(key)).expect("puts");
                put += u64::from(key);
            }
            12 => got += shared.queue.try_get().expect("an answer").unwrap_or(0),
            _ => {
                let _guard = shared.lock.lock().expect("in order");
                let pair = shared.pair.to_vec().expect("a pair");
                assert_eq!(pair[0], pair[1], "somebody came between");
                shared.pair.add(0, &1).expect("adds");
                shared.pair.add(1, &1).expect("adds");
            }
        }
    }
    let all: BTreeMap<_, _> = dict.copy().expect("a copy");
    assert_eq!((all, list.to_vec()), (map, Ok(vector)));
    (added, put, got)
}

fn objects_that_come_and_go_leave_nothing() {
    let manager = Manager::start().expect("a manager");
    let come_and_go = || {
        for n in 0..2000 {
            let outer = manager.dict::<u32, List<u32>>().expect("a dict");
            let inner = manager.list_of(&[n; 100]).expect("a list");
            outer.insert(&n, &inner).expect("inserts");
        }
    };
    come_and_go();
    let before = memory(manager.server_pid());
    (0..3).for_each(|_| come_and_go());
    assert_eq!(manager.count(), Ok(0));
    let after = memory(manager.server_pid());
    assert!(after <= before + 1024, "the server's memory grew from {before} to {after} KiB");
}
