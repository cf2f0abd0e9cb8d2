//! What is one request of a manager is one moment, however many keys it has, how deep it lies and how long it is.

mod harness;
mod managed;

use managed::manager;
use serde::{Deserialize, Serialize};
use shared::manager::{Builder, Dict, List, ManagerError};
use shared::process;

harness::main! {
    trials {
        what_reads_decides_and_writes_loses_nothing,
        a_snapshot_of_several_keys_is_of_one_moment,
        keys_are_whatever_has_an_order_and_can_be_encoded,
        lists_in_lists_to_any_depth_live_by_one_handle,
        two_that_have_one_another_stay_until_one_lets_go,
        what_is_longer_than_allowed_is_refused,
        a_value_that_would_get_too_long_is_left_as_it_is,
        a_message_is_64_mib_long_at_most_unless_said_otherwise,
    }
}

const CLIENTS: u32 = 4;
const EACH: u32 = 200;

/// The closed set, each by four processes at once.
fn what_reads_decides_and_writes_loses_nothing() {
    let manager = manager();
    let (sum, lists) = (manager.dict::<String, u32>().expect("a dict"), manager.dict().expect("a dict"));
    let (first, tickets) = (manager.dict::<String, u32>().expect("a dict"), manager.dict().expect("a dict"));
    tickets.update((0..EACH).map(|n| (n, n)).collect::<Vec<_>>().iter().map(|(n, m)| (n, m))).expect("sets");
    let swapped = |by: &Dict<String, u32>| {
        let before = by.get("swapped").expect("an answer");
        by.compare_and_swap("swapped", before.as_ref(), &(before.unwrap_or(0) + 1))
            .expect("an answer")
            .is_ok()
    };
    let children: Vec<_> = (0..CLIENTS)
        .map(|me| {
            let (sum, lists, first, tickets) = (sum.clone(), lists.clone(), first.clone(), tickets.clone());
            let lists: Dict<String, Vec<(u32, u32)>> = lists;
            process::spawn(move || {
                let mut got = 0;
                for n in 0..EACH {
                    sum.add("added", &1).expect("adds");
                    while !swapped(&sum) {}
                    lists.append("list", &(me, n)).expect("appends");
                    got += u32::from(tickets.pop_if(&n, &n).expect("an answer"));
                }
                (got, first.get_or_insert("first", &me).expect("an answer"))
            })
        })
        .collect();
    let ends: Vec<_> = children.into_iter().map(|child| child.join().expect("exits")).collect();
    assert_eq!(sum.get_many(["added", "swapped"]), Ok(vec![Some(CLIENTS * EACH); 2]));
    let mut list = lists.get("list").expect("an answer").expect("a list");
    assert_eq!(list.len(), (CLIENTS * EACH) as usize);
    list.sort();
    list.dedup();
    assert_eq!(list.len(), (CLIENTS * EACH) as usize, "each once");
    assert_eq!(
        ends.iter().map(|(got, _)| got).sum::<u32>(),
        EACH,
        "each ticket was somebody's, and nobody else's"
    );
    let winner = first.get("first").expect("an answer").expect("somebody");
    assert!(ends.iter().all(|(_, seen)| *seen == winner), "{ends:?}");
}

fn a_snapshot_of_several_keys_is_of_one_moment() {
    let manager = manager();
    let keys = ["a", "b", "c"].map(str::to_owned);
    let dict = manager.dict_of(keys.clone().map(|key| (key, 0))).expect("a dict");
    let list = manager.list_of(&[0; 3]).expect("a list");
    let writer = process::spawn({
        let (dict, list) = (dict.clone(), list.clone());
        move || {
            for n in 1..=2000 {
                dict.update(keys.iter().map(|key| (key, &n))).expect("updates");
                list.splice(0..3, &[n; 3]).expect("splices");
            }
        }
    });
    let (mut moments, mut last) = (0, Some(0));
    while last != Some(2000) {
        let seen = dict.get_many(["a", "b", "c"]).expect("an answer");
        assert!(seen.iter().all(|value| *value == seen[0]), "{seen:?}");
        moments += usize::from(seen[0] != last);
        last = seen[0];
        let seen = list.get_many([0, 1, 2]).expect("an answer");
        assert!(seen.iter().all(|value| *value == seen[0]), "{seen:?}");
        for seen in [dict.values(), list.to_vec(), list.slice(0..3)] {
            let seen = seen.expect("an answer");
            assert!(seen == [seen[0]; 3], "{seen:?}");
        }
    }
    assert!(moments > 1, "nothing was seen on the way");
    writer.join().expect("exits");
}

fn keys_are_whatever_has_an_order_and_can_be_encoded() {
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    enum Room {
        Cellar,
        Numbered { floor: i8, door: u16 },
    }
    let manager = manager();
    let rooms = manager.dict::<(Room, String), u32>().expect("a dict");
    let door = |door| (Room::Numbered { floor: -1, door }, "east".to_owned());
    let cellar = (Room::Cellar, String::new());
    process::scope(|s| {
        s.spawn(|| (0..300).for_each(|n| assert_eq!(rooms.insert(&door(n), &u32::from(n)), Ok(None))));
        s.spawn(|| rooms.insert(&cellar, &1).expect("inserts"));
    });
    assert_eq!(
        (rooms.len(), rooms.get(&door(299)), rooms.get(&door(300))),
        (Ok(301), Ok(Some(299)), Ok(None))
    );
    assert_eq!(
        (rooms.add(&cellar, &1), rooms.pop(&cellar), rooms.contains_key(&cellar)),
        (Ok(2), Ok(Some(1 + 1)), Ok(false))
    );
    let copy = rooms.copy().expect("a copy");
    assert!(copy.keys().cloned().eq((0..300).map(door)), "in their order");
    // Numbers of either sign, and a text that is read by a part of it.
    let signed = manager.dict_of([(i64::MIN, 1), (-1, 2), (i64::MAX, 3)]).expect("a dict");
    assert_eq!(signed.get_many(&[-1, i64::MIN, 0]), Ok(vec![Some(2), Some(1), None]));
}

fn lists_in_lists_to_any_depth_live_by_one_handle() {
    #[derive(Serialize, Deserialize)]
    enum Node {
        Next(List<Node>),
    }
    const DEPTH: usize = 5000;
    let manager = manager();
    let mut outermost = manager.list::<Node>().expect("a list");
    for _ in 1..DEPTH {
        let around = manager.list().expect("a list");
        around.push(&Node::Next(outermost)).expect("pushes");
        outermost = around;
    }
    assert_eq!(manager.count(), Ok(DEPTH));
    // A child that has only the outermost finds the way to the innermost.
    let depth = process::spawn({
        let mut list = outermost.clone();
        move || {
            let mut depth = 1;
            while let Some(Node::Next(next)) = list.get(0).expect("an answer") {
                (list, depth) = (next, depth + 1);
            }
            depth
        }
    });
    assert_eq!(depth.join().expect("exits"), DEPTH);
    drop(outermost);
    harness::tools::eventually("all go with the outermost", || manager.count() == Ok(0));
}

fn two_that_have_one_another_stay_until_one_lets_go() {
    #[derive(Serialize, Deserialize)]
    enum Node {
        Other(List<Node>),
    }
    let manager = manager();
    let (one, two) = (manager.list().expect("a list"), manager.list().expect("a list"));
    one.push(&Node::Other(two.clone())).expect("pushes");
    two.push(&Node::Other(one.clone())).expect("pushes");
    drop(two);
    assert_eq!(manager.count(), Ok(2));
    one.clear().expect("clears");
    assert_eq!(manager.count(), Ok(1), "the other went, and its handle with it");
    drop(one);
    assert_eq!(manager.count(), Ok(0));
}

fn what_is_longer_than_allowed_is_refused() {
    let manager = Builder::new().longest(10_000).start().expect("a manager");
    let list = manager.list::<String>().expect("a list");
    let refused = list.push(&"x".repeat(20_000));
    assert!(matches!(refused, Err(ManagerError::TooLong { limit: 10_000, .. })), "{refused:?}");
    for _ in 0..3 {
        list.push(&"x".repeat(9_000)).expect("pushes");
    }
    // All of it is longer than an answer may be; a part is not.
    assert!(matches!(list.to_vec(), Err(ManagerError::TooLong { .. })));
    assert_eq!(list.get(2).expect("an answer").map(|text| text.len()), Some(9_000));
}

fn a_value_that_would_get_too_long_is_left_as_it_is() {
    let manager = Builder::new().longest(10_000).start().expect("a manager");
    let dict = manager.dict::<String, Vec<String>>().expect("a dict");
    let texts = ["x".repeat(4000), "y".repeat(4000), "z".repeat(4000)];
    let key = "k".repeat(500);
    for text in &texts[..2] {
        dict.append(&key, text).expect("appends");
    }
    let refused = dict.append(&key, &texts[2]);
    assert!(matches!(refused, Err(ManagerError::TooLong { limit: 10_000, .. })), "{refused:?}");
    // What is there can be had, and taken: no answer that is too long has taken it away.
    dict.append(&key, &texts[2][..1400]).expect("appends");
    assert_eq!(dict.get(&key).expect("an answer").map(|list| list.len()), Some(3));
    let (_, value) = dict.pop_last().expect("an answer").expect("a pair");
    assert_eq!(value, [&*texts[0], &texts[1], &texts[2][..1400]]);
}

fn a_message_is_64_mib_long_at_most_unless_said_otherwise() {
    const LIMIT: usize = 64 << 20;
    let manager = manager();
    let value = manager.value(&String::new()).expect("a value");
    let refused = value.set(&"x".repeat(LIMIT));
    assert!(
        matches!(refused, Err(ManagerError::TooLong { limit, .. }) if limit == LIMIT as u64),
        "{refused:?}"
    );
    value.set(&"x".repeat(LIMIT - 100)).expect("sets");
    assert_eq!(value.get().expect("an answer").len(), LIMIT - 100);
}
