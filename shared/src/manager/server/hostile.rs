//! Tests of a live server with requests that are none: random bytes, requests cut short, requests with a byte changed;
//! and of answers like these.

use super::world::{World, bytes_of};
use crate::channel::message;
use crate::manager::desk::Outgoing;
use crate::manager::error::ManagerError;
use crate::manager::wire::{Answer, Bytes, Fault, Kind, Op, Packed, Place, Poison, Reply, Request};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::io::Write;

fn packed(number: u64) -> Packed {
    Packed { bytes: Bytes::from(&bytes_of(&number)[..]), handles: vec![1] }
}

/// One of each, nearly.
fn requests() -> Vec<Request> {
    let key = || Place::Key(Bytes::from(&b"key"[..]));
    let ops = vec![
        Op::Get(key()),
        Op::GetMany(vec![key(), Place::Last, Place::Index(3)]),
        Op::Set(key(), packed(1)),
        Op::Update(vec![(Bytes::from(&b"key"[..]), packed(2))]),
        Op::Take(Place::Last),
        Op::Items,
        Op::Add(Place::Here, packed(3)),
        Op::Append(key(), packed(4)),
        Op::Swap { at: key(), from: None, to: Some(packed(5)) },
        Op::Extend(vec![packed(6), packed(7)]),
        Op::Splice(0, u64::MAX, vec![packed(8)]),
        Op::Slice(u64::MAX, 1),
        Op::Insert(u64::MAX, packed(9)),
        Op::Repeat(u64::MAX),
        Op::Sort,
        Op::Lock { thread: 1, wait: Some(0) },
        Op::Unlock { thread: 1, panicked: true },
        Op::Await { lock: 5, thread: 1, wait: Some(0) },
        Op::Notify(u32::MAX),
        Op::Acquire(Some(0)),
        Op::GiveBack { forget: false },
        Op::Permit(u32::MAX),
        Op::Raise,
        Op::Meet(Some(0)),
        Op::Put(packed(1), Some(0)),
        Op::GetItem { wait: Some(0), lease: true },
        Op::Done(Some(u64::MAX)),
        Op::GiveUp(1),
        Op::Join(Some(0)),
    ];
    let mut all: Vec<_> = (1..12).flat_map(|id| ops_of(id, &ops)).collect();
    all.extend([
        Request::Census,
        Request::Hold(vec![1, 1, u64::MAX]),
        Request::Make(Kind::Barrier { parties: 0 }),
    ]);
    all.push(Request::Release { children: vec![0, u64::MAX], handles: vec![1, 2, 3, 1] });
    all
}

fn ops_of(id: u64, ops: &[Op]) -> Vec<Request> {
    let copy = |op: &Op| message::decode(&bytes_of(op)).expect("decodes");
    ops.iter().map(|op| Request::Ask(id, copy(op))).collect()
}

fn make_one_of_each(world: &mut World, client: &super::world::Client) {
    let kinds = [
        Kind::Dict,
        Kind::List(vec![packed(1)]),
        Kind::Value(packed(1)),
        Kind::Lock { reentrant: false },
        Kind::Lock { reentrant: true },
        Kind::Condition,
        Kind::Semaphore { permits: u32::MAX, bounded: true },
        Kind::Event,
        Kind::Barrier { parties: u32::MAX },
        Kind::Queue { bound: 1, joinable: true },
        Kind::Queue { bound: 0, joinable: false },
    ];
    for kind in kinds {
        assert!(matches!(world.ask(client, &Request::Make(kind)), Some(Ok(Reply::Made(_)))));
    }
}

#[test]
fn requests_that_are_none_cost_their_client_its_connection_and_nobody_else_anything() {
    let mut world = World::new();
    let mut random = StdRng::seed_from_u64(1);
    let good = world.client();
    let mut bad = world.client();
    // Those of the first numbers are asked for; what nobody asks for by chance comes far behind.
    (0..30).for_each(|_| make_one_of_each(&mut world, &bad));
    let made = world.ask(&good, &Request::Make(Kind::Value(packed(0))));
    let Some(Ok(Reply::Made(mine))) = made else { panic!("{made:?}") };
    let valid: Vec<_> = requests().iter().map(bytes_of).collect();
    let (mut cut, mut sums) = (0, 0);
    for turn in 0..8_000_usize {
        let mut bytes = valid[turn % valid.len()].clone();
        match random.random_range(0..4) {
            0 => {}
            1 => bytes.truncate(random.random_range(0..=bytes.len())),
            2 => {
                let place = random.random_range(0..bytes.len());
                bytes[place] = random.random();
            }
            _ => bytes = (0..random.random_range(0..60)).map(|_| random.random()).collect(),
        }
        world.write(&bad, &bytes);
        let _ = world.read(&bad);
        world.server.serve_timers();
        if world.is_cut(&bad) || random.random_ratio(1, 200) {
            cut += usize::from(world.is_cut(&bad));
            world.leave(bad);
            bad = world.client();
            make_one_of_each(&mut world, &bad);
        }
        if turn % 16 == 0 {
            sums += 1;
            let sum = world.ask(&good, &Request::Ask(mine, Op::Add(Place::Here, packed(1))));
            assert!(matches!(&sum, Some(Ok(Reply::Value(Some(sum)))) if *sum == packed(sums)), "{sum:?}");
        }
    }
    assert!(cut > 500, "{cut} connections were cut");
    world.leave(bad);
    assert!(matches!(world.ask(&good, &Request::Census), Some(Ok(Reply::Count(_)))));
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_a_byte_of_it_is_taken() {
    let mut world = World::new();
    let (good, bad) = (world.client(), world.client());
    let hall = world.hall.clone();
    {
        let len = 1 << 46;
        let requests = &hall.desk(bad.desk).requests;
        let vacant = requests.vacant().expect("in order");
        requests.write_number(vacant.from, len);
        requests.publish(vacant.from + 8);
        world.server.serve_desk(bad.desk);
        assert!(world.is_cut(&bad));
    }
    assert!(matches!(world.ask(&good, &Request::Census), Some(Ok(Reply::Count(0)))));
}

#[test]
fn half_a_request_is_none() {
    let mut world = World::new();
    let client = world.client();
    let whole = bytes_of(&Request::Make(Kind::List(vec![packed(1); 100])));
    let desk = client.desk;
    let hall = world.hall.clone();
    let mut outgoing = Outgoing::default();
    outgoing.fill(|to| to.write_all(&whole)).expect("never fails");
    // All but its last grain.
    let requests = &hall.desk(desk).requests;
    outgoing.write(requests).expect("in order");
    let end = requests.vacant().expect("in order").from;
    requests.publish(end - 8);
    world.server.serve_desk(desk);
    world.leave(client);
    let next = world.client();
    assert!(matches!(world.ask(&next, &Request::Census), Some(Ok(Reply::Count(0)))));
}

#[test]
fn a_client_that_was_cut_is_told_so_and_may_come_again() {
    let mut world = World::new();
    let client = world.client();
    let desk = client.desk;
    world.write(&client, &[0xc1]);
    assert!(world.is_cut(&client));
    let mut road = world.road(client);
    let told = road.ask(&Request::Make(Kind::Event));
    assert!(matches!(told, Err(ManagerError::Cut)), "nobody has received it: {told:?}");
    drop(road);
    world.server.serve_desk(desk);
    let again = world.client();
    assert_eq!(again.desk, desk, "it has left, and somebody else may come");
    assert!(matches!(world.ask(&again, &Request::Census), Some(Ok(Reply::Count(0)))));
}

#[test]
fn answers_that_are_none_are_errors() {
    let mut random = StdRng::seed_from_u64(2);
    let answers: [Answer; 8] = [
        Ok(Reply::Value(Some(packed(1)))),
        Ok(Reply::Values(vec![Some(packed(300)), None])),
        Ok(Reply::Items(vec![(Bytes::from(&b"key"[..]), packed(70_000))])),
        Ok(Reply::Keys(vec![Bytes::from(&b"key"[..])])),
        Ok(Reply::Locked(Some(Poison::Died(1)))),
        Ok(Reply::Item { item: packed(1), serial: u64::MAX, delivery: 1 }),
        Ok(Reply::Made(1)),
        Err(Fault::TooLong { len: 1, limit: 2 }),
    ];
    let valid = answers.map(|answer| bytes_of(&answer));
    let mut refused = 0;
    for turn in 0..100_000_usize {
        let mut bytes = valid[turn % valid.len()].clone();
        match random.random_range(0..3) {
            0 => bytes.truncate(random.random_range(0..bytes.len())),
            1 => {
                let place = random.random_range(0..bytes.len());
                bytes[place] = random.random();
            }
            _ => bytes = (0..random.random_range(0..60)).map(|_| random.random()).collect(),
        }
        refused += usize::from(message::decode::<Answer>(&bytes).is_err());
    }
    assert!(refused > 50_000, "{refused} were refused");
}
