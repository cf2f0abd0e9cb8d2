//! What a child has from its parent, and what it has not: descriptors, standard streams, buffers, threads, signals,
//! random numbers.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{printed, sleep_for_ever, status};
use nix::unistd;
use shared::memory::Shared;
use shared::process;
use shared::sync::Lock;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

harness::main! {
    programs { main_runs_once, asks_for_input, buffers_before_a_fork }
    trials {
        proc_14_cpu_count,
        proc_21_descriptors_of_a_fork,
        a_child_reads_nothing_though_the_program_has_closed_all_descriptors,
        proc_22_threads_of_a_child,
        proc_23_standard_streams_closed,
        proc_28_struct_with_a_service_loop,
        proc_32_grandchild_shares_too,
        proc_34_main_does_not_run_again,
        standard_input_is_empty_in_a_child,
        standard_input_closed_in_the_parent,
        nothing_is_printed_twice,
        everybody_draws_different_numbers,
        signal_mask_is_the_parents,
    }
}

fn proc_14_cpu_count() {
    let cpus = || thread::available_parallelism().unwrap().get();
    assert_eq!(process::spawn(cpus).join().unwrap(), cpus());
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
