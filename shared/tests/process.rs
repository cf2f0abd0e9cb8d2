//! Processes from their start to their join; how programs and families end is in `endings.rs`.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{
    descriptors, eventually, is_gone, printed, sleep_for_ever, state, status, takes, zombies,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{self, Signal};
use nix::unistd;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared::memory::Shared;
use shared::process::{self, Builder, ExitError, JoinHandle};
use shared::sync::Lock;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    programs { main_runs_once, panics_in_a_child, asks_for_input, buffers_before_a_fork }
    trials {
        proc_01_current_process,
        proc_02_arguments_arrive_equal,
        proc_03_daemon_flag,
        proc_04_builder_starts_nothing,
        proc_05_started_child,
        proc_06_join,
        proc_07_kernel_thread_ids,
        proc_08_parent_process,
        proc_09_grandchild_outlives_its_parent,
        proc_11_terminate,
        proc_12_kill,
        proc_13_interrupt,
        proc_14_cpu_count,
        proc_15_active_children,
        proc_17_sentinel,
        proc_19_many_processes,
        proc_21_descriptors_of_a_fork,
        a_child_reads_nothing_though_the_program_has_closed_all_descriptors,
        proc_22_threads_of_a_child,
        proc_23_standard_streams_closed,
        proc_25_panic_report_on_stderr,
        proc_26_exit_codes,
        proc_28_struct_with_a_service_loop,
        proc_29_signal_during_join,
        proc_32_grandchild_shares_too,
        proc_34_main_does_not_run_again,
        values_of_many_shapes_come_home,
        a_large_value_comes_home,
        a_value_nobody_fetches_does_not_hold_the_child_back,
        a_panic_comes_home_with_its_message_and_place,
        a_value_that_cannot_be_sent_is_told,
        a_value_that_cannot_be_put_together_is_told,
        exit_codes_are_those_of_python,
        signals_after_the_end_do_no_harm,
        wait_timeout_is_never_early,
        is_finished_follows_the_child,
        names_count_and_nest,
        parents_wait_is_never_early,
        a_dropped_handle_leaves_no_zombie,
        a_join_leaves_nothing_behind,
        standard_input_is_empty_in_a_child,
        standard_input_closed_in_the_parent,
        nothing_is_printed_twice,
        ignored_sigchld_still_gives_an_end,
        everybody_draws_different_numbers,
        signal_mask_is_the_parents,
        scoped_children_borrow,
        a_scope_waits_for_its_children,
        a_scope_panics_if_a_child_failed_unseen,
        a_panic_in_a_scope_waits_for_its_children,
        a_scope_leaves_nothing_behind,
        siblings_do_not_have_each_others_handles,
    }
}

fn proc_01_current_process() {
    let me = process::current();
    assert_eq!((me.id(), me.name(), me.is_daemon()), (std::process::id(), "MainProcess", false));
    assert!(process::active_children().is_empty());
    assert!(!is_gone(me.id()));
}

fn proc_02_arguments_arrive_equal() {
    let arguments = (
        (1_u8, -2_i64, 0.1_f64, 'ß', true, ()),
        (
            "text".to_owned(),
            vec![1, 2, 3],
            [Some(1), None],
            BTreeMap::from([("a".to_owned(), vec![(1, 2.5)])]),
        ),
        Arc::new(vec!["shared".to_owned(); 3]),
    );
    let expected = (arguments.0, arguments.1.clone(), arguments.2.to_vec());
    let child = process::spawn(move || (arguments.0, arguments.1, arguments.2.to_vec()));
    assert_eq!(child.join().unwrap(), expected);
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

/// How a sleeping child ends that `end` puts an end to, and that this takes no second.
fn ended_by(end: impl FnOnce(&JoinHandle<()>)) -> Option<i32> {
    let child = process::spawn(sleep_for_ever);
    eventually("it sleeps", || state(child.process().id()) == Some('S'));
    let start = Instant::now();
    end(&child);
    let ended = child.join().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(process::active_children().is_empty());
    ended.exit_code()
}

fn proc_11_terminate() {
    assert_eq!(ended_by(|child| child.terminate().unwrap()), Some(-15));
}

fn proc_12_kill() {
    assert_eq!(ended_by(|child| child.kill().unwrap()), Some(-9));
}

fn proc_13_interrupt() {
    assert_eq!(ended_by(|child| child.interrupt().unwrap()), Some(-2));

    let ready = Shared::new(AtomicBool::new(false));
    let is_ready = ready.clone();
    let child = process::spawn(move || -> () {
        process::signal::handle(process::signal::Signal::SIGINT, || panic!("interrupted")).unwrap();
        ready.store(true, SeqCst);
        loop {
            process::signal::pause();
        }
    });
    eventually("its handler is there", || is_ready.load(SeqCst));
    child.interrupt().unwrap();
    let failed = child.join().unwrap_err();
    assert_eq!(failed.exit_code(), Some(101));
    assert!(matches!(failed, ExitError::Panicked { report, .. } if report.message == "interrupted"));
}

fn proc_14_cpu_count() {
    let cpus = || thread::available_parallelism().unwrap().get();
    assert_eq!(process::spawn(cpus).join().unwrap(), cpus());
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

fn proc_21_descriptors_of_a_fork() {
    let (mut from, mut to) = std::io::pipe().unwrap();
    let stays = File::open("/dev/null").unwrap();
    let (moved, kept) = (to.as_raw_fd(), stays.as_raw_fd());
    let child = process::spawn(move || {
        to.write_all(b"by the child").unwrap();
        let open = |fd: i32| std::fs::exists(format!("/proc/self/fd/{fd}")).unwrap();
        (open(moved), open(kept))
    });
    assert!(!std::fs::exists(format!("/proc/self/fd/{moved}")).unwrap(), "what was moved is open there only");
    let mut said = String::new();
    from.read_to_string(&mut said).unwrap();
    assert_eq!((child.join().unwrap(), said), ((true, true), "by the child".to_owned()));
    drop(stays);
}

/// As in a Rust program: who is to be waited for is joined, or in a scope.
fn proc_22_threads_of_a_child() {
    let done = Shared::new(AtomicBool::new(false));
    let in_child = done.clone();
    let child = process::spawn(move || {
        thread::spawn(sleep_for_ever);
        thread::scope(|s| {
            s.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                in_child.store(true, SeqCst);
            });
        });
    });
    assert!(child.wait_timeout(Duration::from_secs(10)), "a detached thread does not hold it");
    child.join().unwrap();
    assert!(done.load(SeqCst));
}

fn proc_23_standard_streams_closed() {
    fn prints() -> i32 {
        println!("a line");
        print!("and no line");
        eprintln!("an error");
        7
    }
    for stream in [1, 2] {
        let child = process::spawn(move || {
            unistd::close(stream).unwrap();
            prints()
        });
        assert_eq!(child.join().unwrap(), 7, "closed in the child: {stream}");
    }
    // Something buffered, and nobody who reads any more.
    let (from, to) = std::io::pipe().unwrap();
    drop(from);
    let child = process::spawn(move || {
        unistd::dup2_stdout(&to).unwrap();
        print!("lost");
        7
    });
    assert_eq!(child.join().unwrap(), 7);

    let told = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    for stream in [1, 2] {
        unistd::close(stream).unwrap();
    }
    let codes = [process::spawn(prints), process::spawn(prints)].map(|child| child.join().unwrap());
    unistd::dup2_stderr(told).unwrap(); // For what a failure has to say.
    assert_eq!(codes, [7, 7], "closed in the parent");
}

fn panics_in_a_child() {
    let child = process::spawn(|| -> () { panic!("it went wrong") });
    // The report is there before the child has gone: nothing is left to be printed by this process.
    let failed = child.join().unwrap_err();
    std::process::exit(failed.exit_code().unwrap());
}

fn proc_25_panic_report_on_stderr() {
    let output = harness::program("panics_in_a_child").output().unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(101));
    assert_eq!(report.matches("it went wrong").count(), 1, "{report}");
    assert!(report.contains(file!()), "{report}");
}

fn proc_26_exit_codes() {
    let exits_with = |code: i32| process::spawn(move || -> u32 { process::exit(code) }).join();
    for code in [8, 1, 0, 101, 255] {
        let failed = exits_with(code).unwrap_err();
        assert!(matches!(failed, ExitError::Exited { code: told, .. } if told == code), "{failed}");
        assert_eq!(failed.exit_code(), Some(code));
    }
    // Where there is no value to miss, 0 is all that was to be said.
    let nothing_with = |end: fn()| process::spawn(end).join().map_err(|failed| failed.exit_code());
    assert_eq!(nothing_with(|| process::exit(0)), Ok(()));
    assert_eq!(nothing_with(|| process::exit(1)), Err(Some(1)));
    assert_eq!(nothing_with(|| std::process::exit(3)), Err(Some(3)));
    assert_eq!(nothing_with(|| ()), Ok(()));
}

/// Python's subclass with a `run` of its own.
struct UpperCaser {
    from: std::io::PipeReader,
    to: std::io::PipeWriter,
}

impl UpperCaser {
    fn run(mut self) {
        let lines = BufReader::new(self.from).lines().map(Result::unwrap);
        for line in lines.take_while(|line| line != "stop") {
            writeln!(self.to, "{}", line.to_uppercase()).unwrap();
        }
    }
}

fn proc_28_struct_with_a_service_loop() {
    let ((from, mut requests), (answers, to)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let service = UpperCaser { from, to };
    let child = process::spawn(|| service.run());
    let mut answers = BufReader::new(answers).lines();
    for (request, answer) in [("hello", "HELLO"), ("world", "WORLD")] {
        writeln!(requests, "{request}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), answer);
    }
    writeln!(requests, "stop").unwrap();
    child.join().unwrap();
    assert!(answers.next().is_none());
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

fn proc_32_grandchild_shares_too() {
    let items = Lock::new([0; 2]);
    let in_child = items.clone();
    let child = process::spawn(move || {
        in_child.lock().unwrap()[0] = 1;
        process::spawn(move || in_child.lock().unwrap()[1] = 2).join().unwrap();
    });
    child.join().unwrap();
    assert_eq!(*items.lock().unwrap(), [1, 2]);
}

fn main_runs_once() {
    println!("main begins");
    process::spawn(|| println!("the child reaches its closure")).join().unwrap();
    println!("main ends");
}

fn proc_34_main_does_not_run_again() {
    let output = printed(harness::program("main_runs_once").output().unwrap());
    assert_eq!(output, "main begins\nthe child reaches its closure\nmain ends\n");
}

fn values_of_many_shapes_come_home() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Nothing,
        Named { width: f64, tags: Vec<String> },
        Wrapped(Box<Shape>),
    }
    let shape = Shape::Wrapped(Box::new(Shape::Named { width: 0.1, tags: vec!["a".to_owned()] }));
    let its = shape.clone();
    assert_eq!(process::spawn(move || its).join().unwrap(), shape);
    assert_eq!(process::spawn(|| Shape::Nothing).join().unwrap(), Shape::Nothing);
    assert_eq!(process::spawn(|| None::<u8>).join().unwrap(), None);
    assert_eq!(process::spawn(|| Err::<u8, _>("no".to_owned())).join().unwrap(), Err("no".to_owned()));
    assert_eq!(process::spawn(String::new).join().unwrap(), "");
    assert_eq!(process::spawn(|| [(); 3]).join().unwrap(), [(); 3]);
}

const LARGE: usize = 64 << 20;

fn a_large_value_comes_home() {
    let value = process::spawn(|| "x".repeat(LARGE)).join().unwrap();
    assert_eq!(value.len(), LARGE);
    assert!(value.bytes().all(|byte| byte == b'x'));
}

fn a_value_nobody_fetches_does_not_hold_the_child_back() {
    let (waited_for, dropped) = (process::spawn(|| "x".repeat(LARGE)), process::spawn(|| "x".repeat(LARGE)));
    let pid = dropped.process().id();
    drop(dropped);
    eventually("both have ended", || waited_for.is_finished() && is_gone(pid));
    assert!(process::active_children().is_empty());
}

fn a_panic_comes_home_with_its_message_and_place() {
    let line = line!() + 1;
    let child = Builder::new().name("worker").spawn(|| -> u8 { panic!("number {}", 7) }).unwrap();
    let pid = child.process().id();
    let failed = child.join().unwrap_err();
    assert_eq!(failed.exit_code(), Some(101));
    assert_eq!(
        failed.to_string(),
        format!("process worker (pid {pid}) panicked: number 7 ({}:{line})", file!())
    );

    let silent = process::spawn(|| -> u8 { std::panic::panic_any(7) }).join();
    assert!(matches!(silent, Err(ExitError::Panicked { report, .. }) if report.message.is_empty()));
    // The one that ended it, and not one that it caught before.
    let second = process::spawn(|| -> u8 {
        let _ = catch_unwind(|| panic!("caught"));
        panic!("not caught")
    });
    assert!(second.join().unwrap_err().to_string().contains("not caught"));
    let caught = process::spawn(|| catch_unwind(|| panic!("caught")).is_err());
    assert!(caught.join().unwrap());
}

#[derive(Debug)]
struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it stays here"))
    }
}

impl<'de> Deserialize<'de> for Unsendable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Unsendable, D::Error> {
        Ok(Unsendable)
    }
}

fn a_value_that_cannot_be_sent_is_told() {
    let failed = process::spawn(|| Unsendable).join().unwrap_err();
    assert_eq!(failed.exit_code(), Some(101));
    assert!(
        matches!(&failed, ExitError::Unsendable { reason, .. } if reason.contains("it stays here")),
        "{failed}"
    );
}

#[derive(Debug, Serialize)]
struct Undecodable(u8);

impl<'de> Deserialize<'de> for Undecodable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Undecodable, D::Error> {
        Err(serde::de::Error::custom("not here"))
    }
}

fn a_value_that_cannot_be_put_together_is_told() {
    let failed = process::spawn(|| Undecodable(1)).join().unwrap_err();
    assert!(failed.to_string().contains("not here"), "{failed}");
    assert!(matches!(failed, ExitError::Undecodable { .. }));
}

fn exit_codes_are_those_of_python() {
    for ended_by in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGABRT, Signal::SIGALRM] {
        let failed = process::spawn(move || signal::raise(ended_by).unwrap()).join().unwrap_err();
        assert!(matches!(failed, ExitError::Signaled { signal, .. } if signal.number() == ended_by as i32));
        assert_eq!(failed.exit_code(), Some(-(ended_by as i32)));
        assert!(failed.to_string().ends_with(&format!("was ended by {}", ended_by.as_str())), "{failed}");
    }
    // Ended by a signal after it had a value, but before that was home: no value.
    let failed = process::spawn(|| -> u64 {
        process::at_exit(|| signal::raise(Signal::SIGKILL).unwrap());
        7
    });
    assert_eq!(failed.join().unwrap_err().exit_code(), Some(-9));
}

fn signals_after_the_end_do_no_harm() {
    let child = process::spawn(|| 7);
    let signals = || {
        child.terminate().unwrap();
        child.interrupt().unwrap();
        child.kill().unwrap();
    };
    eventually("it has ended", || child.is_finished());
    signals(); // to a zombie
    assert!(child.wait_timeout(Duration::ZERO));
    signals(); // to nobody, or worse, to who has its pid now
    assert_eq!(child.join().unwrap(), 7);
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
        let running = process::spawn(until(&go));
        let pid = running.process().id();
        drop(running);
        assert_eq!(process::active_children().iter().map(|child| child.id()).collect::<Vec<_>>(), [pid]);
        go.store(true, SeqCst);
        eventually("it has ended", || zombies() == [pid]);
        collect();
        assert!(zombies().is_empty());
    }
}

/// As programs do that make a daemon of themselves, and then open files of their own under the same numbers.
fn a_child_reads_nothing_though_the_program_has_closed_all_descriptors() {
    process::spawn(|| ()).join().unwrap();
    let kept = (3..100).find(|&fd| is_null(fd)).expect("the library keeps one");
    unistd::close(kept).unwrap();
    let mut own = File::open("/proc/self/comm").unwrap();
    assert_eq!(own.as_raw_fd(), kept, "it has the number now");
    let reads = || std::io::read_to_string(std::io::stdin()).unwrap();
    assert_eq!(process::spawn(reads).join().unwrap(), "");
    assert_ne!(own.read_to_string(&mut String::new()).unwrap(), 0, "nobody has closed it");
}

fn is_null(fd: RawFd) -> bool {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok_and(|path| path == Path::new("/dev/null"))
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

/// It starts children before it reads, and while it reads with the buffer's lock in its hands.
fn asks_for_input() {
    let whole = || std::io::read_to_string(std::io::stdin()).unwrap();
    print!("child {:?} ", process::spawn(whole).join().unwrap());
    println!(
        "grandchild {:?}",
        process::spawn(move || process::spawn(whole).join().unwrap()).join().unwrap()
    );
    let from_descriptor = || std::io::read_to_string(std::fs::File::open("/dev/stdin").unwrap()).unwrap();
    for line in std::io::stdin().lock().lines().take(2) {
        println!("parent {:?} child {:?}", line.unwrap(), process::spawn(from_descriptor).join().unwrap());
    }
    println!("and {} lines", whole().lines().count());
}

fn standard_input_is_empty_in_a_child() {
    let mut program = harness::program("asks_for_input");
    let mut program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = program.stdin.take().unwrap();
    let lines = "a line that fills buffers\n".repeat(1_000); // 26 kB: more than a buffer, less than a pipe
    input.write_all(format!("one\ntwo\n{lines}").as_bytes()).unwrap();
    drop(input);
    let output = printed(program.wait_with_output().unwrap());
    let expected =
        "child \"\" grandchild \"\"\nparent \"one\" child \"\"\nparent \"two\" child \"\"\nand 1000 lines\n";
    assert_eq!(output, expected);
}

fn standard_input_closed_in_the_parent() {
    unistd::close(0).unwrap();
    let child = process::spawn(|| std::fs::read_link("/proc/self/fd/0").unwrap());
    assert_eq!(child.join().unwrap().to_str(), Some("/dev/null"));
}

fn buffers_before_a_fork() {
    print!("buffered ");
    process::spawn(|| print!("one ")).join().unwrap();
    print!("more ");
    process::scope(|s| {
        s.spawn(|| -> () { process::exit(0) });
    });
    let last = process::spawn(|| -> () {
        print!("two ");
        process::spawn(|| print!("three ")).join().unwrap();
        print!("four ");
        process::exit(0);
    });
    last.join().unwrap();
    println!("done");
}

fn nothing_is_printed_twice() {
    let output = printed(harness::program("buffers_before_a_fork").output().unwrap());
    assert_eq!(output, "buffered one more two three four done\n");
}

#[allow(unsafe_code)]
fn ignore_sigchld() {
    // SAFETY: to ignore a signal runs no code of ours.
    unsafe { signal::signal(Signal::SIGCHLD, signal::SigHandler::SigIgn) }.unwrap();
}

fn ignored_sigchld_still_gives_an_end() {
    ignore_sigchld();
    for _ in 0..20 {
        assert_eq!(process::spawn(|| 7).join().unwrap(), 7, "a value is home, whatever the status");
    }
    let unknown =
        |ended: ExitError| matches!(ended, ExitError::StatusUnknown { .. }) && ended.exit_code().is_none();
    assert!(unknown(process::spawn(|| ()).join().unwrap_err()));
    assert!(unknown(process::spawn(|| -> u8 { process::exit(3) }).join().unwrap_err()));
    let panicked = process::spawn(|| -> u8 { panic!("told all the same") }).join();
    assert!(
        matches!(panicked, Err(ExitError::Panicked { report, .. }) if report.message == "told all the same")
    );

    let child = process::spawn(sleep_for_ever);
    assert!(!child.is_finished() && !child.wait_timeout(Duration::from_millis(1)));
    child.kill().unwrap();
    assert!(child.wait_timeout(Duration::from_secs(10)) && child.is_finished());
    assert!(unknown(child.join().unwrap_err()));
    assert!(zombies().is_empty() && process::active_children().is_empty());
    process::scope(|s| {
        s.spawn(|| ());
    });
}

fn everybody_draws_different_numbers() {
    fn draws() -> Vec<u64> {
        (0..4).map(|_| rand::random()).collect()
    }
    let mut all = draws();
    let children: Vec<_> = (0..8)
        .map(|_| {
            process::spawn(|| {
                let below = process::spawn(draws);
                let mine = draws();
                [mine, below.join().unwrap()].concat()
            })
        })
        .collect();
    all.extend(draws());
    all.extend(children.into_iter().flat_map(|child| child.join().unwrap()));
    all.extend(draws());
    assert_eq!(all.len(), 3 * 4 + 8 * 8);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
}

fn signal_mask_is_the_parents() {
    let mask = || status("SigBlk");
    let before = mask();
    assert_eq!(process::spawn(mask).join().unwrap(), before);
    assert_eq!(mask(), before);
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

fn siblings_do_not_have_each_others_handles() {
    let go = Shared::new(AtomicBool::new(false));
    let first = process::spawn(until(&go));
    let its_pidfd = first.as_fd().as_raw_fd();
    let second = process::spawn(move || std::fs::read_link(format!("/proc/self/fd/{its_pidfd}")).is_ok());
    assert!(!second.join().unwrap());
    go.store(true, SeqCst);
    first.join().unwrap();
}
