//! Children that nobody joins by hand: those of a scope, and those whose handle is dropped. Nothing is left of any.

mod harness;

use harness::tools::{descriptors, eventually, sleep_for_ever, state, zombies};
use nix::sys::signal::{self, Signal};
use shared::memory::Shared;
use shared::process;
use shared::sync::Lock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

harness::main! {
    trials {
        a_dropped_handle_leaves_no_zombie,
        a_join_leaves_nothing_behind,
        scoped_children_borrow,
        a_scope_waits_for_its_children,
        a_scope_panics_if_a_child_failed_unseen,
        a_panic_in_a_scope_waits_for_its_children,
        a_scope_leaves_nothing_behind,
    }
}

fn a_dropped_handle_leaves_no_zombie() {
    // One that has ended: at once.
    let ended = process::spawn(|| 7);
    eventually("it has ended", || ended.is_finished());
    assert_eq!(zombies(), [ended.process().id()]);
    drop(ended);
    assert!(zombies().is_empty());

    // One that runs on: at the next spawn, or when somebody asks for the children.
    for collect in [|| drop(process::spawn(|| ()).join()), || drop(process::active_children())] {
        let go = Shared::new(AtomicBool::new(false));
        let its = go.clone();
        let running = process::spawn(move || eventually("the parent says go", || its.load(SeqCst)));
        let pid = running.process().id();
        drop(running);
        assert_eq!(process::active_children().iter().map(|child| child.id()).collect::<Vec<_>>(), [pid]);
        go.store(true, SeqCst);
        eventually("it has ended", || zombies() == [pid]);
        collect();
        assert!(zombies().is_empty());
    }
}

fn a_join_leaves_nothing_behind() {
    process::spawn(|| ()).join().unwrap();
    let before = (descriptors(), harness::tools::mappings());
    for _ in 0..20 {
        process::spawn(|| "text".to_owned()).join().unwrap();
        assert!(process::spawn(|| -> u8 { process::exit(9) }).join().is_err());
        drop(process::spawn(|| ()));
        process::scope(|s| {
            s.spawn(|| 7);
        });
    }
    eventually("those dropped have ended", || process::active_children().is_empty());
    assert_eq!((descriptors(), harness::tools::mappings()), before);
    assert!(zombies().is_empty());
}

fn scoped_children_borrow() {
    let words = vec!["egon".to_owned(), "yang".to_owned()];
    let mut count = 0;
    let lengths: Vec<usize> = process::scope(|s| {
        let children: Vec<_> = words.iter().map(|word| s.spawn(|| word.len())).collect();
        children.into_iter().map(|child| child.join().unwrap()).collect()
    });
    process::scope(|s| {
        s.spawn(|| count += 1);
    });
    assert_eq!((lengths, count), (vec![4, 4], 0), "what it changes is its own copy");
    drop(words);
}

fn a_scope_waits_for_its_children() {
    let (done, pids) = (Shared::new(AtomicU32::new(0)), Lock::new([0; 3]));
    let value = process::scope(|s| {
        for place in 0..3 {
            let (done, pids) = (&done, &pids);
            s.spawn(move || {
                pids.lock().unwrap()[place] = std::process::id();
                thread::sleep(Duration::from_millis(30));
                done.fetch_add(1, SeqCst);
            });
        }
        "value"
    });
    assert_eq!((value, done.load(SeqCst)), ("value", 3));
    assert!(pids.lock().unwrap().iter().all(|&pid| state(pid).is_none()), "and they are collected");
}

fn message_of(panic: Box<dyn std::any::Any + Send>) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()))
        .unwrap()
}

fn a_scope_panics_if_a_child_failed_unseen() {
    let scope_with = |end: fn()| {
        catch_unwind(|| {
            process::scope(|s| {
                s.spawn(end);
            })
        })
        .map_err(message_of)
    };
    let (panics, exits, killed): (fn(), fn(), fn()) =
        (|| panic!("unseen"), || process::exit(3), || signal::raise(Signal::SIGKILL).unwrap());
    let told = scope_with(panics).unwrap_err();
    assert!(told.contains("a scoped process failed") && told.contains("code 101"), "{told}");
    assert!(scope_with(exits).unwrap_err().contains("code 3"));
    assert!(scope_with(killed).unwrap_err().contains("signal 9"));
    assert_eq!(scope_with(|| ()), Ok(()));

    // One whose failure was seen, and a daemon, are no surprise.
    process::scope(|s| {
        assert!(s.spawn(panics).join().is_err());
        let daemon = s.spawn_daemon(panics);
        eventually("it has ended", || daemon.is_finished());
    });
}

fn a_panic_in_a_scope_waits_for_its_children() {
    let (done, daemon) = (Shared::new(AtomicBool::new(false)), Shared::new(AtomicU32::new(0)));
    let failed = catch_unwind(AssertUnwindSafe(|| {
        process::scope(|s| {
            daemon.store(s.spawn_daemon(sleep_for_ever).process().id(), SeqCst);
            s.spawn(|| {
                thread::sleep(Duration::from_millis(30));
                done.store(true, SeqCst);
            });
            panic!("the scope's own");
        })
    }));
    assert_eq!(message_of(failed.unwrap_err()), "the scope's own");
    assert!(done.load(SeqCst));
    assert_eq!(state(daemon.load(SeqCst)), None);
}

fn a_scope_leaves_nothing_behind() {
    process::spawn(|| ()).join().unwrap();
    let before = descriptors();
    process::scope(|s| {
        s.spawn(|| ());
        s.spawn_daemon(sleep_for_ever);
        let joined = s.spawn(|| ());
        joined.join().unwrap();
        let kept = s.spawn(sleep_for_ever);
        kept.kill().unwrap();
        assert!(kept.join().is_err());
    });
    assert_eq!(descriptors(), before);
    assert!(zombies().is_empty());
}
