//! A manager's objects, used by living processes.
//!
//! The numbered tests are those of CONFORMANCE.md; `manager_sync.rs` has those of its locks and queues.

mod harness;

use harness::tools::{descriptors, eventually, is_gone, mappings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::manager::{Builder, Dict, List, Manager, ManagerError, StartError};
use shared::process;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        mgr_01_list_by_slices_and_in_place,
        mgr_03_every_method_of_a_sequence_and_a_mapping,
        mgr_04_iteration_is_over_one_moment,
        mgr_05_lists_in_a_list,
        mgr_06_dict_as_a_local_one,
        mgr_08_namespace_set_read_delete_print,
        mgr_10_start_use_shutdown,
        mgr_11_values_of_all_kinds_from_a_second_process_to_a_third,
        mgr_12_what_cannot_be_encoded_is_an_error_and_the_server_goes_on,
        mgr_14_an_initializer_runs_in_the_server,
        mgr_18_every_method_of_a_list,
        mgr_19_every_method_of_a_dict,
        mgr_20_value_array_namespace,
        mgr_24_nothing_is_left_when_all_handles_have_gone,
        mgr_28_nothing_is_made_after_the_end,
        counts_by_add_are_exact,
        a_handle_moved_to_a_child_keeps_the_object,
        a_handle_moved_to_a_grandchild_keeps_the_object,
        a_handle_through_a_queue_is_a_handle,
        handles_in_structs_and_enums_keep_their_objects,
        a_handle_of_another_manager_or_kind_is_refused,
        large_values_go_through,
        what_is_longer_than_allowed_is_refused,
        limits_of_connections_are_typed_refusals,
        threads_ask_at_the_same_time,
        two_managers_at_once,
        nothing_is_left_of_a_manager,
    }
}

fn manager() -> Manager {
    Manager::start().expect("a manager")
}

fn mgr_01_list_by_slices_and_in_place() {
    let manager = manager();
    let list = manager.list_of(&(0..10).collect::<Vec<i32>>()).expect("a list");
    let other = manager.list_of(&[1]).expect("a list");
    assert_eq!(list.slice(2..5), Ok(vec![2, 3, 4]));
    assert_eq!(list.slice(8..20), Ok(vec![8, 9]));
    list.extend(&[10, 11]).expect("extends");
    assert_eq!(list.get(11), Ok(Some(11)));
    assert_eq!(list.get(12), Ok(None));
    let plus = [list.to_vec().expect("a copy"), vec![12]].concat();
    assert_eq!((plus.len(), list.len()), (13, Ok(12)));
    list.splice(0..12, &[7, 8]).expect("splices");
    list.repeat(2).expect("repeats");
    assert_eq!(list.to_vec(), Ok(vec![7, 8, 7, 8]));
    assert_eq!(other.to_vec(), Ok(vec![1]));
}

fn mgr_03_every_method_of_a_sequence_and_a_mapping() {
    // Those of a list and of a dict are in 18 and 19; what both have besides is here.
    let manager = manager();
    let (list, dict) = (manager.list::<u8>().expect("a list"), manager.dict::<u8, u8>().expect("a dict"));
    assert_eq!((list.is_empty(), dict.is_empty()), (Ok(true), Ok(true)));
    list.push(&1).expect("pushes");
    dict.insert(&1, &1).expect("inserts");
    assert_eq!((list.contains(&1), list.contains(&2)), (Ok(true), Ok(false)));
    assert_eq!((dict.contains_key(&1), dict.contains_key(&2)), (Ok(true), Ok(false)));
    list.clear().expect("clears");
    dict.clear().expect("clears");
    assert_eq!((list.len(), dict.len()), (Ok(0), Ok(0)));
    assert_ne!(list.id(), 0);
    assert_eq!(format!("{list:?}"), format!("List {{ id: {}, .. }}", list.id()));
}

fn mgr_04_iteration_is_over_one_moment() {
    let manager = manager();
    let list = manager.list_of(&[1, 2, 3]).expect("a list");
    let mut seen = Vec::new();
    for n in list.to_vec().expect("a moment") {
        list.push(&(n + 10)).expect("pushes");
        seen.push(n);
    }
    assert_eq!((seen, list.len()), (vec![1, 2, 3], Ok(6)));
    let dict = manager.dict_of([(1, 1), (2, 2)]).expect("a dict");
    for (key, value) in dict.items().expect("a moment") {
        dict.insert(&(key + 10), &value).expect("inserts");
    }
    assert_eq!(dict.keys(), Ok(vec![1, 2, 11, 12]));
}

fn mgr_05_lists_in_a_list() {
    let manager = manager();
    let inner = |n| manager.list_of(&[n, n, n]).expect("a list");
    let rows: List<List<i32>> = manager.list_of(&[inner(1), inner(2), inner(3)]).expect("a list");
    process::spawn({
        let rows = rows.clone();
        move || {
            let row = rows.get(1).expect("an answer").expect("a row");
            row.set(0, &20).expect("sets");
            row.pop().expect("pops");
        }
    })
    .join()
    .expect("it lives");
    let all = |rows: &List<List<i32>>| -> Vec<Vec<i32>> {
        rows.to_vec().expect("rows").iter().map(|row| row.to_vec().expect("a row")).collect()
    };
    assert_eq!(all(&rows), [vec![1, 1, 1], vec![20, 2], vec![3, 3, 3]]);

    // One that contains itself is harmless.
    #[derive(Clone, Serialize, Deserialize)]
    enum Node {
        Itself(List<Node>),
    }
    let ring: List<Node> = manager.list().expect("a list");
    ring.push(&Node::Itself(ring.clone())).expect("pushes");
    let Node::Itself(again) = ring.get(0).expect("an answer").expect("itself");
    let Node::Itself(again) = again.get(0).expect("an answer").expect("itself");
    assert_eq!(again.id(), ring.id());
}

fn mgr_06_dict_as_a_local_one() {
    let manager = manager();
    let (dict, mut local) = (manager.dict::<String, u32>().expect("a dict"), BTreeMap::new());
    for n in 65..70 {
        let key = char::from(n as u8).to_string();
        assert_eq!(dict.insert(key.as_str(), &n), Ok(local.insert(key, n)));
    }
    assert_eq!(dict.copy().as_ref(), Ok(&local));
    assert_eq!(dict.keys(), Ok(local.keys().cloned().collect()));
    assert_eq!(dict.values(), Ok(local.values().copied().collect()));
    assert_eq!(dict.items(), Ok(local.into_iter().collect()));
}

fn mgr_08_namespace_set_read_delete_print() {
    let manager = manager();
    let space = manager.namespace().expect("a namespace");
    space.set("name", "Bob").expect("sets");
    space.set("job", &["Builder"]).expect("sets");
    space.set("_hidden", &true).expect("sets");
    assert_eq!(space.get::<String>("name"), Ok(Some("Bob".to_owned())));
    assert_eq!(space.remove("job"), Ok(true));
    assert_eq!(space.remove("job"), Ok(false));
    assert_eq!(space.get::<Value>("job"), Ok(None));
    assert_eq!(space.get::<bool>("_hidden"), Ok(Some(true)));
    assert_eq!(json!(space.visible().expect("visible")), json!({"name": "Bob"}));
    // Another type than before is no matter.
    space.set("name", &1).expect("sets");
    assert_eq!(space.add("name", &1), Ok(2));
}

fn mgr_10_start_use_shutdown() {
    let before = manager();
    let list = before.list_of(&[1]).expect("a list");
    assert_eq!(list.len(), Ok(1));
    let pid = before.server_pid();
    assert_eq!(before.shutdown(), Ok(()), "an exit code of 0");
    assert!(is_gone(pid));
    assert_eq!(list.len(), Err(ManagerError::Gone));
    {
        let guard = manager();
        assert_eq!(guard.list::<u8>().expect("a list").len(), Ok(0));
    }
    assert_eq!(process::active_children(), []);
}

/// Goes to the manager and back through two processes.
fn mgr_11_values_of_all_kinds_from_a_second_process_to_a_third() {
    let manager = manager();
    let queue = manager.queue::<Value>(0).expect("a queue");
    let values =
        [json!("hello"), json!("häß 字"), json!(1.5), json!(null), json!(true), json!([1, {"a": -1}])];
    let (putter, getter) = (queue.clone(), queue.clone());
    let put = values.clone();
    process::spawn(move || put.into_iter().for_each(|value| putter.put(value).expect("puts")))
        .join()
        .expect("lives");
    let got = process::spawn(move || (0..6).map(|_| getter.get().expect("gets")).collect::<Vec<_>>());
    assert_eq!(got.join().expect("lives"), values);
    // Bytes, as they are.
    let bytes = manager.value(&vec![0_u8, 255, 128]).expect("a value");
    assert_eq!(bytes.get(), Ok(vec![0, 255, 128]));
}

#[derive(Debug, PartialEq)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

impl<'de> Deserialize<'de> for Stubborn {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Stubborn, D::Error> {
        Err(serde::de::Error::custom("no"))
    }
}

fn mgr_12_what_cannot_be_encoded_is_an_error_and_the_server_goes_on() {
    let manager = manager();
    let list = manager.list::<Stubborn>().expect("a list");
    assert!(matches!(list.push(&Stubborn), Err(ManagerError::Message(_))));
    assert_eq!(list.len(), Ok(0));
    // What is there is of another type than who reads expects.
    let space = manager.namespace().expect("a namespace");
    space.set("text", "text").expect("sets");
    assert!(matches!(space.get::<u32>("text"), Err(ManagerError::Message(_))));
    assert_eq!(space.get::<String>("text"), Ok(Some("text".to_owned())));
}

fn mgr_14_an_initializer_runs_in_the_server() {
    let (says, hears) = shared::channel::pipe::<u32>();
    let manager = Builder::new().initializer(move || says.send(std::process::id()).expect("says")).start();
    let manager = manager.expect("a manager");
    assert_eq!(hears.recv(), Ok(manager.server_pid()));
    // One that fails is no manager.
    let failed = Builder::new().initializer(|| panic!("not today")).start();
    let Err(StartError::Ended(error)) = failed else { panic!("{failed:?}") };
    assert!(error.to_string().contains("not today"), "{error}");
}

fn mgr_18_every_method_of_a_list() {
    let manager = manager();
    let list = manager.list_of(&[3, 1, 2]).expect("a list");
    list.push(&1).expect("pushes");
    list.insert(1, &9).expect("inserts");
    list.insert(99, &8).expect("inserts at the end");
    assert_eq!(list.to_vec(), Ok(vec![3, 9, 1, 2, 1, 8]));
    assert_eq!((list.count(&1), list.position(&1), list.position(&7)), (Ok(2), Ok(Some(2)), Ok(None)));
    assert_eq!((list.remove_value(&1), list.remove_value(&7)), (Ok(true), Ok(false)));
    assert_eq!((list.pop(), list.remove(0), list.remove(9)), (Ok(Some(8)), Ok(Some(3)), Ok(None)));
    assert_eq!(list.to_vec(), Ok(vec![9, 2, 1]));
    list.reverse().expect("reverses");
    assert_eq!(list.get_many([0, 2, 3]), Ok(vec![Some(1), Some(9), None]));
    list.push(&5).expect("pushes");
    list.sort().expect("sorts");
    assert_eq!(list.to_vec(), Ok(vec![1, 2, 5, 9]));
    assert_eq!((list.set(0, &4), list.set(9, &4)), (Ok(1), Err(ManagerError::NoSuchIndex)));
    assert_eq!((list.add(0, &-1), list.add(9, &1)), (Ok(3), Err(ManagerError::NoSuchIndex)));
    assert_eq!(list.compare_and_swap(0, &3, &30), Ok(Ok(())));
    assert_eq!(list.compare_and_swap(0, &3, &31), Ok(Err(Some(30))));
    assert_eq!((list.pop_if(0, &3), list.pop_if(0, &30)), (Ok(false), Ok(true)));
    list.repeat(0).expect("clears");
    assert_eq!((list.pop(), list.is_empty()), (Ok(None), Ok(true)));
    let mixed = manager.list_of(&[json!(1), json!("a")]).expect("a list");
    assert_eq!(mixed.sort(), Err(ManagerError::NoOrder));
}

fn mgr_19_every_method_of_a_dict() {
    let manager = manager();
    let dict = manager.dict_of([("a".to_owned(), json!(1))]).expect("a dict");
    dict.update([(&"b".to_owned(), &json!([1])), (&"c".to_owned(), &json!("x"))]).expect("updates");
    assert_eq!(dict.get("b"), Ok(Some(json!([1]))));
    assert_eq!(dict.get_many(["a", "z"]), Ok(vec![Some(json!(1)), None]));
    assert_eq!(dict.get_or_insert("a", &json!(9)), Ok(json!(1)));
    assert_eq!(dict.get_or_insert("d", &json!(9)), Ok(json!(9)));
    assert_eq!(dict.add("a", &json!(0.5)), Ok(json!(1.5)));
    assert_eq!(dict.add("e", &json!(7)), Ok(json!(7)));
    assert_eq!(dict.add("c", &json!(1)), Err(ManagerError::NotANumber));
    dict.append("b", &2).expect("appends");
    dict.append("f", "first").expect("makes a list");
    assert_eq!(dict.append("c", &1), Err(ManagerError::NotAList));
    assert_eq!(dict.get_many(["b", "f"]), Ok(vec![Some(json!([1, 2])), Some(json!(["first"]))]));
    assert_eq!(dict.pop_last(), Ok(Some(("f".to_owned(), json!(["first"])))));
    assert_eq!((dict.pop("e"), dict.pop("e")), (Ok(Some(json!(7))), Ok(None)));
    assert_eq!((dict.pop_if("d", &json!(8)), dict.pop_if("d", &json!(9))), (Ok(false), Ok(true)));
    assert_eq!(dict.compare_and_swap("g", None, &json!(1)), Ok(Ok(())));
    assert_eq!(dict.compare_and_swap("g", None, &json!(2)), Ok(Err(Some(json!(1)))));
    assert_eq!(dict.compare_and_swap("h", Some(&json!(1)), &json!(2)), Ok(Err(None)));
    assert_eq!(dict.keys(), Ok(["a", "b", "c", "g"].map(str::to_owned).to_vec()));
    // A key that is set again keeps its place; one that comes again has a new one.
    dict.insert("a", &json!(0)).expect("inserts");
    dict.pop("b").expect("pops");
    dict.insert("b", &json!(0)).expect("inserts");
    assert_eq!(dict.keys(), Ok(["a", "c", "g", "b"].map(str::to_owned).to_vec()));
}

fn mgr_20_value_array_namespace() {
    let manager = manager();
    let (value, array) = (manager.value(&5).expect("a value"), manager.array(&[1.5, 2.5]).expect("an array"));
    process::spawn({
        let (value, array) = (value.clone(), array.clone());
        move || {
            value.set(&6).expect("sets");
            array.set(1, &-2.5).expect("sets");
        }
    })
    .join()
    .expect("lives");
    assert_eq!((value.get(), value.add(&1), value.set(&0)), (Ok(6), Ok(7), Ok(7)));
    assert_eq!(value.compare_and_swap(&1, &2), Ok(Err(0)));
    assert_eq!(array.to_vec(), Ok(vec![1.5, -2.5]));
    assert_eq!((array.get(2), array.len()), (Err(ManagerError::NoSuchIndex), Ok(2)));
    assert_eq!((array.slice(1..2), array.add(0, &1.0)), (Ok(vec![-2.5]), Ok(2.5)));
    assert_eq!(array.compare_and_swap(0, &2.5, &0.0), Ok(Ok(())));
}

fn mgr_24_nothing_is_left_when_all_handles_have_gone() {
    let manager = manager();
    let lists: Vec<_> = (0..100).map(|n| manager.list_of(&[n]).expect("a list")).collect();
    let dict = manager.dict::<u8, List<i32>>().expect("a dict");
    dict.insert(&1, &lists[0]).expect("inserts");
    assert_eq!(manager.count(), Ok(101));
    drop(lists);
    assert_eq!(manager.count(), Ok(2), "the dict, and the list in it");
    let inner = dict.pop(&1).expect("an answer").expect("a list");
    assert_eq!((manager.count(), inner.to_vec()), (Ok(2), Ok(vec![0])));
    drop((dict, inner));
    assert_eq!(manager.count(), Ok(0));
    // What goes through a value that is not what was expected is given back as well.
    let space = manager.namespace().expect("a namespace");
    space.set("list", &manager.list::<u8>().expect("a list")).expect("sets");
    assert!(space.get::<u8>("list").is_err());
    space.remove("list").expect("removes");
    drop(space);
    assert_eq!(manager.count(), Ok(0));
}

fn mgr_28_nothing_is_made_after_the_end() {
    let manager = manager();
    let objects = manager.clone();
    manager.shutdown().expect("ends");
    assert!(matches!(objects.list::<u8>(), Err(ManagerError::Gone)));
    assert!(matches!(objects.dict::<u8, u8>(), Err(ManagerError::Gone)));
    let child = process::spawn(move || objects.count() == Err(ManagerError::Gone));
    assert!(child.join().expect("lives"));
}

fn counts_by_add_are_exact() {
    let manager = manager();
    let dict = manager.dict::<String, u64>().expect("a dict");
    process::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..500).for_each(|_| assert!(dict.add("n", &1).is_ok())));
        }
    });
    assert_eq!(dict.get("n"), Ok(Some(2000)));
}

fn a_handle_moved_to_a_child_keeps_the_object() {
    let manager = manager();
    for _ in 0..20 {
        let list = manager.list_of(&[1]).expect("a list");
        // The only handle, which main drops while the child has not asked for anything yet.
        let child = process::spawn(move || {
            thread::sleep(Duration::from_millis(1));
            list.push(&2).expect("pushes");
            list.len().expect("a length")
        });
        assert_eq!(child.join().expect("lives"), 2);
    }
    eventually("with the children the lists have gone", || manager.count() == Ok(0));
}

fn a_handle_moved_to_a_grandchild_keeps_the_object() {
    let manager = manager();
    let list = manager.list_of(&[1]).expect("a list");
    let child = process::spawn(move || {
        let grandchild = process::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            list.push(&2).expect("pushes");
            list.len().expect("a length")
        });
        grandchild.join().expect("lives")
    });
    assert_eq!(child.join().expect("lives"), 2);
    eventually("with the children the list has gone", || manager.count() == Ok(0));
}

fn a_handle_through_a_queue_is_a_handle() {
    let manager = manager();
    let (here, there) = (shared::channel::Queue::new(), manager.queue::<List<i32>>(0).expect("a queue"));
    let list = manager.list_of(&[1]).expect("a list");
    here.put(list.clone()).expect("puts");
    there.put(list.clone()).expect("puts");
    process::scope(|s| {
        s.spawn(|| {
            here.get().expect("gets").push(&2).expect("pushes");
            there.get().expect("gets").push(&3).expect("pushes");
        });
    });
    assert_eq!(list.to_vec(), Ok(vec![1, 2, 3]));
    // In the manager's own queue it keeps the object; in the other it is a number, and that of nothing.
    here.put(list.clone()).expect("puts");
    there.put(list.clone()).expect("puts");
    drop(list);
    assert_eq!(there.get().expect("gets").len(), Ok(3));
    eventually("it has gone", || manager.count() == Ok(1));
    assert!(here.get().is_err());
}

fn handles_in_structs_and_enums_keep_their_objects() {
    #[derive(Serialize, Deserialize)]
    struct Room {
        name: String,
        guests: Option<List<String>>,
        more: Vec<Dict<String, List<u8>>>,
    }
    let manager = manager();
    let rooms = manager.dict::<u32, Room>().expect("a dict");
    let deep = manager.list_of(&[7]).expect("a list");
    let dict = manager.dict_of([("deep".to_owned(), deep)]).expect("a dict");
    let room =
        Room { name: "blue".to_owned(), guests: Some(manager.list().expect("a list")), more: vec![dict] };
    rooms.insert(&1, &room).expect("inserts");
    drop(room);
    assert_eq!(manager.count(), Ok(4));
    let room = process::spawn({
        let rooms = rooms.clone();
        move || {
            let room = rooms.get(&1).expect("an answer").expect("a room");
            room.guests.expect("guests").push(&room.name).expect("pushes");
            let deep = room.more[0].get("deep").expect("an answer").expect("a list");
            deep.add(0, &1).expect("adds");
        }
    });
    room.join().expect("lives");
    let room = rooms.get(&1).expect("an answer").expect("a room");
    assert_eq!(room.guests.as_ref().expect("guests").to_vec(), Ok(vec!["blue".to_owned()]));
    assert_eq!(room.more[0].get("deep").expect("an answer").expect("a list").to_vec(), Ok(vec![8]));
    drop((room, rooms));
    eventually("all have gone", || manager.count() == Ok(0));
}

fn a_handle_of_another_manager_or_kind_is_refused() {
    let (one, two) = (manager(), manager());
    let (list, theirs) = (one.list::<List<u8>>().expect("a list"), two.list::<u8>().expect("a list"));
    assert!(matches!(list.push(&theirs), Err(ManagerError::Message(_))));
    let space = one.namespace().expect("a namespace");
    space.set("list", &list).expect("sets");
    assert!(matches!(space.get::<Dict>("list"), Err(ManagerError::Message(_))));
    assert_eq!(space.get::<List<u8>>("list").expect("an answer").expect("a list").id(), list.id());
}

fn large_values_go_through() {
    let manager = manager();
    let dict = manager.dict::<u32, Vec<u8>>().expect("a dict");
    for (key, len) in [0, 1, 8, 1 << 14, (1 << 15) - 24, 1 << 15, 100_000, 5_000_000].into_iter().enumerate()
    {
        let bytes: Vec<u8> = (0..len).map(|n: usize| n as u8 & 127).collect();
        dict.insert(&(key as u32), &bytes).expect("inserts");
        assert_eq!(dict.get(&(key as u32)), Ok(Some(bytes)), "{len}");
    }
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

fn limits_of_connections_are_typed_refusals() {
    let manager = Builder::new().connections(2).start().expect("a manager");
    let list = manager.list::<u32>().expect("a list");
    process::scope(|s| {
        let child = s.spawn(|| {
            list.push(&1).expect("the second connection");
            let third = process::spawn({
                let list = list.clone();
                move || list.push(&1) == Err(ManagerError::TooManyConnections { limit: 2 })
            });
            third.join().expect("lives")
        });
        assert!(child.join().expect("lives"), "the third was not refused");
    });
    // With who had it the connection has gone.
    eventually("there is one to be had", || {
        let list = list.clone();
        process::spawn(move || list.push(&2).is_ok()).join().expect("lives")
    });
}

fn threads_ask_at_the_same_time() {
    let manager = manager();
    let (event, list) = (manager.event().expect("an event"), manager.list::<u32>().expect("a list"));
    thread::scope(|s| {
        // One waits; the others have connections of their own.
        s.spawn(|| event.wait().expect("waits"));
        for n in 0..4 {
            let list = &list;
            s.spawn(move || (0..100).for_each(|_| list.push(&n).expect("pushes")));
        }
        eventually("all have pushed", || list.len() == Ok(400));
        event.set().expect("sets");
    });
}

fn two_managers_at_once() {
    let (one, two) = (manager(), manager());
    let (list, dict) = (one.list::<u32>().expect("a list"), two.dict::<u32, u32>().expect("a dict"));
    list.push(&1).expect("pushes");
    dict.insert(&1, &2).expect("inserts");
    drop(one);
    assert_eq!((list.len(), dict.get(&1)), (Err(ManagerError::Gone), Ok(Some(2))));
}

fn nothing_is_left_of_a_manager() {
    // Once for what is made for ever.
    drop(manager());
    let before = (descriptors(), mappings());
    for _ in 0..10 {
        let manager = manager();
        let list = manager.list::<u32>().expect("a list");
        process::spawn(move || list.push(&1).expect("pushes")).join().expect("lives");
    }
    assert_eq!((descriptors(), mappings()), before);
    assert_eq!(process::active_children(), []);
}
