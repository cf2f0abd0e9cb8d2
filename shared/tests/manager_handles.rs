//! Handles to a manager's objects, in processes, threads and other objects; and connections.

mod harness;
mod managed;

use harness::tools::{descriptors, eventually, mappings};
use managed::manager;
use serde::{Deserialize, Serialize};
use shared::manager::{Builder, Dict, List, ManagerError};
use shared::process;
use shared::process::signal::{self, Signal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        counts_by_add_are_exact,
        a_handle_moved_to_a_child_keeps_the_object,
        a_handle_moved_to_a_grandchild_keeps_the_object,
        a_handle_through_a_queue_is_a_handle,
        handles_in_structs_and_enums_keep_their_objects,
        a_handle_of_another_manager_or_kind_is_refused,
        large_values_go_through,
        limits_of_connections_are_typed_refusals,
        threads_ask_at_the_same_time,
        two_managers_at_once,
        a_handler_runs_while_a_process_waits,
        a_handler_that_panics_ends_a_wait_and_nothing_is_for_it_any_more,
        proxies_go_wherever_a_thread_goes,
        nothing_is_left_of_a_manager,
    }
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

/// A child that does this with proxies of its own.
fn child<P: Send + 'static>(proxies: P, does: impl FnOnce(P) + Send + 'static) -> process::JoinHandle<()> {
    process::spawn(move || does(proxies))
}

fn a_handler_runs_while_a_process_waits() {
    let manager = manager();
    let (event, number) = (manager.event().expect("an event"), manager.value(&0).expect("a value"));
    let waiting = child((event.clone(), number.clone()), |(event, number)| {
        let (there, set) = (number.clone(), event.clone());
        // It asks the same manager, in the middle of a wait for it.
        signal::handle(Signal::SIGUSR1, move || set.set().expect("sets")).expect("handles");
        there.set(&1).expect("sets");
        event.wait().expect("waits");
    });
    eventually("it is there", || number.get() == Ok(1));
    signal::send(&waiting, Signal::SIGUSR1).expect("sends");
    waiting.join().expect("exits");
}

fn a_handler_that_panics_ends_a_wait_and_nothing_is_for_it_any_more() {
    let manager = manager();
    let (lock, queue) = (manager.lock().expect("a lock"), manager.queue::<u32>(0).expect("a queue"));
    let stopped = manager.value(&0).expect("a value");
    let waiting = child((lock.clone(), queue.clone(), stopped.clone()), |(lock, queue, stopped)| {
        signal::handle(Signal::SIGUSR1, || panic!("enough")).expect("handles");
        stopped.set(&1).expect("sets");
        assert!(catch_unwind(AssertUnwindSafe(|| queue.get())).is_err());
        stopped.set(&2).expect("sets");
        // It goes on asking, and the item is for whoever asks now.
        assert_eq!(queue.get(), Ok(7));
        drop(lock.lock().expect("free"));
    });
    eventually("it waits", || stopped.get() == Ok(1));
    thread::sleep(Duration::from_millis(20));
    signal::send(&waiting, Signal::SIGUSR1).expect("sends");
    eventually("it has stopped waiting", || stopped.get() == Ok(2));
    queue.put(7).expect("room");
    waiting.join().expect("exits");
}

fn proxies_go_wherever_a_thread_goes() {
    use shared::manager::{
        Array, Barrier, Condition, Event, Lock, Namespace, Objects, Queue, Semaphore, Value,
    };
    fn all<T: Clone + Send + Sync>() {}
    all::<(Dict, List, Namespace, Value<u8>, Array<u8>, Queue, Objects)>();
    all::<(Lock, Condition, Semaphore, Event, Barrier)>();
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
