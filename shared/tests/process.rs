//! Processes from their start to their join: who they are, who their family is, and that a wait is a wait.
//!
//! What a child has from its parent is in `inherited.rs`, what comes home of it in `outcomes.rs`, scopes are in
//! `scope.rs`, and how programs and families end is in `endings.rs`.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, is_gone, sleep_for_ever, state, takes, zombies};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{self, Signal};
use nix::unistd;
use shared::memory::Shared;
use shared::process::{self, Builder};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

harness::main! {
    trials {
        proc_01_current_process,
        proc_03_daemon_flag,
        proc_04_builder_starts_nothing,
        proc_05_started_child,
        proc_06_join,
        proc_07_kernel_thread_ids,
        proc_08_parent_process,
        proc_09_grandchild_outlives_its_parent,
        proc_15_active_children,
        proc_17_sentinel,
        proc_19_many_processes,
        proc_29_signal_during_join,
        wait_timeout_is_never_early,
        is_finished_follows_the_child,
        names_count_and_nest,
        parents_wait_is_never_early,
        siblings_do_not_have_each_others_handles,
    }
}

fn proc_01_current_process() {
    let me = process::current();
    assert_eq!((me.id(), me.name(), me.is_daemon()), (std::process::id(), "MainProcess", false));
    assert!(process::active_children().is_empty());
    assert!(!is_gone(me.id()));
}

fn proc_03_daemon_flag() {
    let builders = [Builder::new(), Builder::new().daemon(false), Builder::new().daemon(true)];
    for (builder, expected) in builders.into_iter().zip([false, false, true]) {
        let child = builder.spawn(|| process::current().is_daemon()).unwrap();
        assert_eq!(child.process().is_daemon(), expected);
        assert_eq!(child.join().unwrap(), expected);
    }
}

fn proc_04_builder_starts_nothing() {
    let _builder = Builder::new().name("never");
    assert!(process::active_children().is_empty());
}

/// A child that stays until it is told to go.
fn until(go: &Shared<AtomicBool>) -> impl FnOnce() + Send + use<> {
    let go = go.clone();
    move || eventually("the parent says go", || go.load(SeqCst))
}

fn proc_05_started_child() {
    let go = Shared::new(AtomicBool::new(false));
    let (wait, argument) = (until(&go), "argument".to_owned());
    let work = move || {
        wait();
        let (me, parent) = (process::current(), process::parent().unwrap());
        (me.id(), me.name().to_owned(), argument, parent.id())
    };
    let child = Builder::new().name("worker").spawn(work).unwrap();
    assert!(!child.is_finished());
    assert_eq!(process::active_children(), [child.process().clone()]);
    let pid = child.process().id();
    assert_ne!(pid, std::process::id());
    go.store(true, SeqCst);
    assert_eq!(child.join().unwrap(), (pid, "worker".to_owned(), "argument".to_owned(), std::process::id()));
}

fn proc_06_join() {
    let child = process::spawn(|| ());
    assert!(child.wait_timeout(Duration::MAX));
    assert!(child.wait_timeout(Duration::ZERO), "a second wait is harmless");
    assert!(child.is_finished());
    assert!(process::active_children().is_empty());
    child.join().expect("exit code 0");
    assert!(process::active_children().is_empty());
}

fn proc_07_kernel_thread_ids() {
    let mine = unistd::gettid().as_raw();
    let its = process::spawn(|| unistd::gettid().as_raw()).join().unwrap();
    assert_ne!(its, mine);
}

fn proc_08_parent_process() {
    assert!(process::parent().is_none());
    let told = Builder::new().name("middle").spawn(|| {
        let parent = process::parent().unwrap();
        let below = process::spawn(|| {
            let parent = process::parent().unwrap();
            (parent.id(), parent.name().to_owned())
        });
        (parent.id(), parent.name().to_owned(), std::process::id(), below.join().unwrap())
    });
    let (id, name, middle, below) = told.unwrap().join().unwrap();
    assert_eq!((id, &*name), (std::process::id(), "MainProcess"));
    assert_eq!(below, (middle, "middle".to_owned()));
}

fn proc_09_grandchild_outlives_its_parent() {
    let saw_it_alive = Shared::new(AtomicU32::new(0));
    let saw_its_end = Shared::new(AtomicBool::new(false));
    let (alive, end) = (saw_it_alive.clone(), saw_its_end.clone());
    let child = process::spawn(move || {
        process::spawn(move || {
            let parent = process::parent().unwrap();
            if parent.is_alive() && !parent.wait_timeout(Duration::ZERO) {
                alive.store(std::process::id(), SeqCst);
            }
            parent.wait();
            end.store(!parent.is_alive() && parent.wait_timeout(Duration::ZERO), SeqCst);
        });
        sleep_for_ever();
    });
    eventually("the grandchild saw its parent", || saw_it_alive.load(SeqCst) != 0);
    child.terminate().unwrap();
    assert_eq!(child.join().unwrap_err().exit_code(), Some(-15));
    eventually("the grandchild saw its parent's end", || saw_its_end.load(SeqCst));
    eventually("the grandchild ends", || is_gone(saw_it_alive.load(SeqCst)));
}

fn proc_15_active_children() {
    assert!(process::active_children().is_empty());
    let go = Shared::new(AtomicBool::new(false));
    let children: Vec<_> = (0..3).map(|_| process::spawn(until(&go))).collect();
    let expected: Vec<_> = children.iter().map(|child| child.process().clone()).collect();
    assert_eq!(process::active_children(), expected);
    assert_eq!(
        process::spawn(|| process::active_children().len()).join().unwrap(),
        0,
        "they are not its children"
    );
    assert_eq!(process::active_children(), expected);
    go.store(true, SeqCst);
    children.into_iter().for_each(|child| child.join().unwrap());
    assert!(process::active_children().is_empty());
}

fn readable(fd: &impl AsFd) -> bool {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
}

fn proc_17_sentinel() {
    let go = Shared::new(AtomicBool::new(false));
    let child = process::spawn(until(&go));
    assert!(!readable(&child));
    go.store(true, SeqCst);
    let ended = poll(&mut [PollFd::new(child.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000_u16));
    assert_eq!(ended, Ok(1));
    assert!(readable(&child) && child.wait_timeout(Duration::ZERO) && readable(&child), "it stays readable");
    child.join().unwrap();
}

fn proc_19_many_processes() {
    let short: Vec<_> = (0..100).map(|_| process::spawn(|| ())).collect();
    short.into_iter().for_each(|child| child.join().unwrap());
    let sleepers: Vec<_> = (0..100).map(|_| process::spawn(sleep_for_ever)).collect();
    assert_eq!(process::active_children().len(), 100);
    sleepers.iter().for_each(|child| child.terminate().unwrap());
    for child in sleepers {
        assert_eq!(child.join().unwrap_err().exit_code(), Some(-15));
    }
    assert!(zombies().is_empty());
}

fn proc_29_signal_during_join() {
    let came = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&came);
    let handler = move || {
        counted.fetch_add(1, SeqCst);
    };
    process::signal::handle(process::signal::Signal::SIGUSR1, handler).unwrap();
    let child = process::spawn(|| {
        let parent = unistd::getppid();
        for _ in 0..5 {
            eventually("the parent waits", || state(parent.as_raw() as u32) == Some('S'));
            signal::kill(parent, Signal::SIGUSR1).unwrap();
        }
    });
    child.join().expect("the join goes on");
    assert!((1..=5).contains(&came.load(SeqCst)));
}

fn wait_timeout_is_never_early() {
    let child = process::spawn(sleep_for_ever);
    for micros in [0, 1, 900, 20_000, 60_500] {
        let time = Duration::from_micros(micros);
        takes(time, || assert!(!child.wait_timeout(time)));
    }
    child.kill().unwrap();
    assert!(child.wait_timeout(Duration::MAX), "too long a time is for ever, and no overflow");
    assert_eq!(child.join().unwrap_err().exit_code(), Some(-9));
}

fn is_finished_follows_the_child() {
    let go = Shared::new(AtomicBool::new(false));
    let child = process::spawn(until(&go));
    assert!(!child.is_finished());
    go.store(true, SeqCst);
    eventually("it has ended", || child.is_finished());
    assert!(child.wait_timeout(Duration::ZERO) && child.is_finished());
    child.join().unwrap();
}

fn names_count_and_nest() {
    let name = || process::current().name().to_owned();
    assert_eq!(process::spawn(name).join().unwrap(), "Process-1");
    assert_eq!(Builder::new().name("named").spawn(name).unwrap().join().unwrap(), "named");
    let third = process::spawn(move || {
        let below = [process::spawn(name), process::spawn(name)].map(|child| child.join().unwrap());
        (name(), below)
    });
    assert_eq!(third.process().name(), "Process-3");
    let (third, below) = third.join().unwrap();
    assert_eq!((&*third, below), ("Process-3", ["Process-3:1".to_owned(), "Process-3:2".to_owned()]));
}

fn parents_wait_is_never_early() {
    let child = process::spawn(|| {
        let parent = process::parent().unwrap();
        for micros in [0, 1, 900, 20_000] {
            let time = Duration::from_micros(micros);
            takes(time, || assert!(!parent.wait_timeout(time)));
        }
        parent.is_alive()
    });
    assert!(child.join().unwrap());
}

fn siblings_do_not_have_each_others_handles() {
    let go = Shared::new(AtomicBool::new(false));
    let first = process::spawn(until(&go));
    let its_pidfd = first.as_fd().as_raw_fd();
    let second = process::spawn(move || std::fs::read_link(format!("/proc/self/fd/{its_pidfd}")).is_ok());
    assert!(!second.join().unwrap());
    go.store(true, SeqCst);
    first.join().unwrap();
}
