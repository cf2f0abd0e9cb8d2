//! Tests of a live server with a client that asks and does not read.

use super::world::{World, bytes_of};
use crate::manager::wire::{Bytes, Kind, Op, Packed, Place, Reply, Request};

const ITEMS: usize = 300;
const LONG: usize = 1000;

fn packed(value: &impl serde::Serialize) -> Packed {
    Packed { bytes: Bytes::from(&bytes_of(value)[..]), handles: Vec::new() }
}

#[test]
fn a_client_that_does_not_read_delays_nobody_and_costs_one_answer() {
    let mut world = World::new();
    let (good, deaf) = (world.client(), world.client());
    let mut make = |kind| match world.ask(&good, &Request::Make(kind)) {
        Some(Ok(Reply::Made(id))) => id,
        other => panic!("{other:?}"),
    };
    let list = make(Kind::List(vec![packed(&"x".repeat(LONG)); ITEMS]));
    let number = make(Kind::Value(packed(&0)));

    // An answer of ten times the stream, and nine more like it.
    let all = bytes_of(&Request::Ask(list, Op::Items));
    (0..10).for_each(|_| world.write(&deaf, &all));
    for n in 1..=1000 {
        // Answered at the first look at this desk, or not at all.
        let sum = world.ask(&good, &Request::Ask(number, Op::Add(Place::Here, packed(&1))));
        assert!(matches!(&sum, Some(Ok(Reply::Value(Some(sum)))) if *sum == packed(&n)), "{sum:?}");
        world.server.serve_desk(deaf.desk);
    }
    let kept = world.server.roads[deaf.desk as usize].as_ref().map(|road| road.outgoing.len());
    assert!(kept.is_some_and(|kept| kept < 2 * ITEMS * LONG), "{kept:?} bytes are kept for it");
    assert!(!world.hall.desk(deaf.desk).requests.is_empty(), "what it asks for meanwhile stays where it is");

    // It can have them all still.
    for n in 0..10 {
        let answer = world.read(&deaf);
        assert!(matches!(&answer, Some(Ok(Reply::Values(items))) if items.len() == ITEMS), "{n}");
    }
    assert!(world.read(&deaf).is_none());
}
