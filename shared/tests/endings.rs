//! How families end: with their scope, with `main`, by a panic, by SIGKILL; and what runs last.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, is_gone, lines, next_pid, printed, sleep_for_ever, state};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process::{self, Builder, SpawnError};
use shared::sync::Lock;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    programs { returns, panics, exits, exits_by_std, waits_to_be_killed, drops_a_handle, has_things_to_drop, exits_in_a_hook }
    trials {
        proc_27_exit_hooks,
        a_hook_may_register_another_and_may_exit,
        proc_38_daemon_has_no_children,
        proc_39_daemon_is_terminated_and_child_joined_at_the_end,
        a_panic_of_main_ends_the_family_too,
        exit_ends_the_family_too,
        a_child_ends_its_family_before_itself,
        daemons_end_with_their_scope,
        a_daemon_deaf_to_sigterm_is_killed,
        daemons_die_within_100_ms_of_a_killed_parent,
        daemons_of_a_killed_child_die_too,
        a_bound_child_is_waited_for_by_a_living_parent,
        a_program_waits_for_children_whose_handles_were_dropped,
        a_child_runs_nothing_of_its_parents_end,
    }
}

/// How a child with three hooks ends, and which of them ran, in this order.
fn hooks_at(end: fn()) -> (Option<i32>, Vec<u32>) {
    let ran = Lock::new((0, [0; 3]));
    let note = |hook| {
        let ran = ran.clone();
        move || {
            let mut ran = ran.lock().unwrap();
            let turn = ran.0;
            ran.1[turn] = hook;
            ran.0 += 1;
        }
    };
    let (first, second, third) = (note(1), note(2), note(3));
    let child = process::spawn(move || {
        process::at_exit(first);
        process::at_exit(second);
        process::at_exit(|| panic!("which keeps none of the others from running"));
        process::at_exit(third);
        end();
    });
    let code = child.join().map_or_else(|failed| failed.exit_code(), |()| Some(0));
    let ran = ran.lock().unwrap();
    (code, ran.1[..ran.0].to_vec())
}

fn proc_27_exit_hooks() {
    process::at_exit(|| println!("the parent's own"));
    assert_eq!(hooks_at(|| ()), (Some(0), vec![3, 2, 1]));
    assert_eq!(hooks_at(|| process::exit(3)), (Some(3), vec![3, 2, 1]));
    assert_eq!(hooks_at(|| panic!("the end")), (Some(101), vec![3, 2, 1]));
    assert_eq!(hooks_at(|| signal::raise(Signal::SIGKILL).unwrap()), (Some(-9), vec![]));
}

fn exits_in_a_hook() {
    process::at_exit(|| println!("first"));
    process::at_exit(|| process::exit(5));
    process::at_exit(|| process::at_exit(|| println!("last")));
}

fn a_hook_may_register_another_and_may_exit() {
    let output = harness::program("exits_in_a_hook").output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "last\nfirst\n");

    let ran = Lock::new(0);
    let its = ran.clone();
    let child = process::spawn(move || {
        process::at_exit(move || *its.lock().unwrap() += 1);
        process::at_exit(|| process::exit(5));
    });
    assert_eq!(child.join().unwrap_err().exit_code(), Some(5));
    assert_eq!(*ran.lock().unwrap(), 1);
}

fn proc_38_daemon_has_no_children() {
    let daemon = Builder::new().daemon(true).spawn(|| {
        let refused = Builder::new().spawn(|| ());
        matches!(refused, Err(SpawnError::Daemon))
    });
    assert!(daemon.unwrap().join().unwrap());
}

/// A daemon, a child that sees it go, and a hook.
fn start_family() {
    let ready = Shared::new(AtomicBool::new(false));
    let is_ready = ready.clone();
    let daemon = Builder::new().daemon(true).spawn(move || {
        let asked = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGTERM, asked.clone()).unwrap();
        ready.store(true, SeqCst);
        eventually("it is asked to end", || asked.load(SeqCst));
        println!("the daemon was asked to end");
    });
    eventually("the daemon is ready", || is_ready.load(SeqCst));
    let pid = daemon.unwrap().process().id();
    println!("{pid}");
    process::spawn(move || {
        eventually("the daemon has gone", || is_gone(pid));
        println!("the child is done");
    });
    process::at_exit(|| println!("the hook"));
}

fn returns() {
    start_family();
}

fn panics() {
    start_family();
    panic!("on purpose");
}

fn exits() {
    start_family();
    process::exit(3);
}

fn exits_by_std() {
    start_family();
    std::process::exit(4);
}

#[track_caller]
fn family_ends(program: &str, code: i32) {
    let output = harness::program(program).output().unwrap();
    assert_eq!(output.status.code(), Some(code));
    let text = String::from_utf8(output.stdout).unwrap();
    let (pid, rest) = text.split_once('\n').expect("a line");
    assert_eq!(rest, "the daemon was asked to end\nthe child is done\nthe hook\n");
    assert!(is_gone(pid.parse().unwrap()));
}

fn proc_39_daemon_is_terminated_and_child_joined_at_the_end() {
    family_ends("returns", 0);
}

fn a_panic_of_main_ends_the_family_too() {
    family_ends("panics", 101);
}

fn exit_ends_the_family_too() {
    family_ends("exits", 3);
    family_ends("exits_by_std", 4);
}

fn a_child_ends_its_family_before_itself() {
    let ends: [(fn(), _); 3] = [(|| (), 0), (|| process::exit(3), 3), (|| panic!("on purpose"), 101)];
    for (end, code) in ends {
        let (daemon, done) = (Shared::new(AtomicU32::new(0)), Shared::new(AtomicBool::new(false)));
        let (its_daemon, is_done) = (daemon.clone(), done.clone());
        let child = process::spawn(move || {
            let daemon = Builder::new().daemon(true).spawn(sleep_for_ever).unwrap().process().id();
            its_daemon.store(daemon, SeqCst);
            process::spawn(move || {
                eventually("the daemon has gone", || is_gone(daemon));
                is_done.store(true, SeqCst);
            });
            end();
        });
        assert_eq!(child.join().map_or_else(|failed| failed.exit_code(), |()| Some(0)), Some(code));
        assert!(done.load(SeqCst));
        assert_eq!(state(daemon.load(SeqCst)), None);
    }
}

fn daemons_end_with_their_scope() {
    let daemon = process::scope(|s| {
        let daemon = s.spawn_daemon(sleep_for_ever).process().id();
        s.spawn(move || eventually("the daemon has gone", || is_gone(daemon)));
        daemon
    });
    assert_eq!(state(daemon), None);
    assert!(process::active_children().is_empty());
}

fn a_daemon_deaf_to_sigterm_is_killed() {
    let ready = Shared::new(AtomicBool::new(false));
    let (daemon, start) = process::scope(|s| {
        let daemon = s.spawn_daemon(|| {
            let deaf = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal_hook::consts::SIGTERM, deaf).unwrap();
            ready.store(true, SeqCst);
            sleep_for_ever();
        });
        eventually("it is deaf", || ready.load(SeqCst));
        (daemon.process().id(), Instant::now())
    });
    assert_eq!(state(daemon), None);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// A daemon, a child bound to its parent, one bound to nobody.
fn waits_to_be_killed() {
    let daemon = Builder::new().daemon(true).spawn(sleep_for_ever).unwrap();
    let bound = Builder::new().ends_with_parent(true).spawn(sleep_for_ever).unwrap();
    let plain = process::spawn(sleep_for_ever);
    for pid in [daemon.process(), bound.process(), plain.process()].map(process::Process::id) {
        println!("{pid}");
    }
    sleep_for_ever();
}

fn daemons_die_within_100_ms_of_a_killed_parent() {
    let after_kill = |_| {
        let mut program = harness::program("waits_to_be_killed").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = lines(program.stdout.take());
        let [daemon, bound, plain] = [(); 3].map(|()| next_pid(&mut lines));
        assert!(![daemon, bound, plain].into_iter().any(is_gone));
        let start = Instant::now();
        program.kill().unwrap();
        eventually("both have gone", || is_gone(daemon) && is_gone(bound));
        let taken = start.elapsed();
        program.wait().unwrap();
        assert!(!is_gone(plain), "a plain child is its own master now");
        signal::kill(Pid::from_raw(plain as i32), Signal::SIGKILL).unwrap();
        eventually("it has gone", || is_gone(plain));
        taken
    };
    at_once((0..20).map(after_kill).collect());
}

/// The promise is 100 ms on a machine that is not overloaded: half of the times may be unlucky, but no more.
#[track_caller]
fn at_once(mut times: Vec<Duration>) {
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("median {median:?}, worst {worst:?}");
    assert!(median < Duration::from_millis(100), "median {median:?}");
    assert!(worst < Duration::from_secs(1), "worst {worst:?}");
}

fn daemons_of_a_killed_child_die_too() {
    let after_kill = |_| {
        let daemon = Shared::new(AtomicU32::new(0));
        let its_daemon = daemon.clone();
        let child = process::spawn(move || {
            let daemon = Builder::new().daemon(true).spawn(sleep_for_ever).unwrap();
            its_daemon.store(daemon.process().id(), SeqCst);
            sleep_for_ever();
        });
        eventually("the daemon is there", || daemon.load(SeqCst) != 0);
        let start = Instant::now();
        child.kill().unwrap();
        eventually("the daemon has gone", || is_gone(daemon.load(SeqCst)));
        let taken = start.elapsed();
        assert!(child.join().is_err());
        taken
    };
    at_once((0..10).map(after_kill).collect());
}

fn a_bound_child_is_waited_for_by_a_living_parent() {
    let done = Shared::new(AtomicBool::new(false));
    let is_done = done.clone();
    let child = process::spawn(move || {
        let work = move || {
            thread::sleep(Duration::from_millis(50));
            is_done.store(true, SeqCst);
        };
        drop(Builder::new().ends_with_parent(true).spawn(work).unwrap());
    });
    child.join().unwrap();
    assert!(done.load(SeqCst));
}

fn drops_a_handle() {
    process::spawn(|| {
        thread::sleep(Duration::from_millis(100));
        println!("late");
    });
}

fn a_program_waits_for_children_whose_handles_were_dropped() {
    assert_eq!(printed(harness::program("drops_a_handle").output().unwrap()), "late\n");
}

/// Says when it is dropped.
struct Told(&'static str);

impl Drop for Told {
    fn drop(&mut self) {
        println!("{} dropped", self.0);
    }
}

fn has_things_to_drop() {
    thread_local! {
        static OF_THE_THREAD: Told = const { Told("of the thread") };
    }
    let _local = Told("local");
    process::at_exit(|| println!("hook"));
    // The way round this library: it runs what C and the thread have for the end, but not the hooks.
    process::spawn(|| -> () { std::process::exit(0) }).join().unwrap();
    OF_THE_THREAD.with(|_| ());
    let captured = Arc::new(Told("captured"));
    let in_child = captured.clone();
    let ends: [fn(); 3] = [|| (), || panic!("on purpose"), || process::exit(0)];
    for end in ends {
        let _ = process::spawn(end).join();
    }
    let child = process::spawn(move || println!("child has {} of two", Arc::strong_count(&in_child)));
    child.join().unwrap();
    assert_eq!(Arc::strong_count(&captured), 1, "what was moved to the child is dropped here");
}

fn a_child_runs_nothing_of_its_parents_end() {
    let output = printed(harness::program("has_things_to_drop").output().unwrap());
    assert_eq!(
        output, "child has 2 of two\ncaptured dropped\nlocal dropped\nof the thread dropped\nhook\n",
        "each once, and in the parent"
    );
}
