//! A manager's objects, used by living processes.
//!
//! The numbered tests are those of CONFORMANCE.md; `manager_sync.rs` has those of its locks, `manager_queue.rs` those of its queues.
//! `manager_requests.rs` is about what one request is, `manager_handles.rs` about handles and connections.

mod harness;
mod managed;

use harness::tools::is_gone;
use managed::manager;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::manager::{Builder, List, ManagerError, StartError};
use shared::process;
use std::collections::BTreeMap;

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
    }
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
