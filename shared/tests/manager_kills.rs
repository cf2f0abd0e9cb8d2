//! SIGKILL of a manager's clients, and of the manager, before and after each system call of each kind of request.
//!
//! The kernel stops the victim at each entry to a system call and at each exit from one (`PTRACE_SYSCALL`); it is killed at
//! the first of these stops, then another one at the second, and so on until one lives through its request. Afterwards
//! everything must be as if the request had been made or not, nothing may be held, and nothing may be left in the server. KILLS
//! in the environment says how many kills there are to be of each, at least.

mod harness;
mod managed;

use harness::tools::{eventually, is_gone};
use managed::{ANSWERED, KNOWN, LONG, World, pid_of, traced};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use shared::manager::{Manager, ManagerError};
use shared::process;
use std::fs;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        clients_are_killed_at_each_system_call within 600,
        the_manager_is_killed_at_each_system_call within 600,
    }
}

/// A kind of request. What it is to need is there before.
type Kind = (&'static str, fn(&World));

const KINDS: [Kind; 38] = [
    ("get", |world| assert!(world.dict.get("n").is_ok())),
    ("add", |world| assert!(world.dict.add("n", &1).is_ok())),
    ("set", |world| assert!(world.value.set(&1).is_ok())),
    ("push", |world| world.list.push(&7).expect("an answer")),
    ("items", |world| drop(world.dict.items().expect("an answer"))),
    ("lock", |world| drop(world.lock.lock().expect("a guard"))),
    ("lock and hold", |world| std::mem::forget(world.lock.lock().expect("a guard"))),
    ("acquire and hold", |world| std::mem::forget(world.semaphore.acquire().expect("a permit"))),
    ("put, get and hold", |world| {
        world.tasks.put(7).expect("room");
        world.tasks.get().expect("an item");
    }),
    ("acquire", |world| drop(world.semaphore.acquire().expect("a permit"))),
    ("raise", |world| world.event.set().expect("an answer")),
    ("wait in vain", |world| drop(world.event.wait_timeout(Duration::from_millis(1)))),
    ("meet in vain", |world| drop(world.barrier.wait_timeout(Duration::from_millis(1)))),
    ("await in vain", |world| {
        let guard = world.lock.lock().expect("a guard");
        drop(world.condition.wait_timeout(guard, Duration::from_millis(1)).expect("in order"));
    }),
    ("put", |world| world.queue.put(7).expect("room")),
    ("put and get", |world| {
        world.queue.put(7).expect("room");
        world.queue.get().expect("an item");
    }),
    ("put, get and do", |world| {
        world.tasks.put(7).expect("room");
        world.tasks.get().expect("an item");
        world.tasks.task_done().expect("it was mine");
    }),
    ("give up", |world| {
        world.tasks.put(7).expect("room");
        drop(world.tasks.get_lease().expect("an item"));
    }),
    ("join", |world| world.tasks.join().expect("all done")),
    ("snapshot", |world| drop(world.dict.get_many(["n", "m"]).expect("an answer"))),
    ("update", |world| world.dict.update([(&"n".to_owned(), &1)]).expect("an answer")),
    ("swap", |world| assert!(world.dict.compare_and_swap("n", Some(&0), &1).is_ok())),
    ("get or insert", |world| assert!(world.grown.get_or_insert(&1, &vec![7]).is_ok())),
    ("append", |world| world.grown.append(&1, &7).expect("an answer")),
    ("append and take", |world| {
        world.grown.append(&1, &7).expect("an answer");
        world.grown.pop(&1).expect("an answer");
    }),
    ("push and pop if", |world| {
        world.list.push(&7).expect("an answer");
        world.list.pop_if(0, &7).expect("an answer");
    }),
    ("push, sort and look", |world| {
        world.list.insert(0, &7).expect("an answer");
        world.list.sort().expect("an answer");
        world.list.reverse().expect("an answer");
        world.list.splice(0..1, &[7]).expect("an answer");
        assert!(
            world.list.slice(0..9).is_ok() && world.list.position(&7).is_ok() && world.list.count(&7).is_ok()
        );
        world.list.remove_value(&7).expect("an answer");
    }),
    ("long set", |world| drop(world.texts.insert(&1, &"x".repeat(LONG)).expect("an answer"))),
    ("long set and get", |world| {
        world.texts.insert(&1, &"x".repeat(LONG)).expect("an answer");
        world.texts.get(&1).expect("an answer");
    }),
    ("make and drop", |world| drop(world.objects.list_of(&[1]).expect("a list"))),
    ("make and keep", |world| std::mem::forget(world.objects.event().expect("an event"))),
    ("nest", |world| {
        let list = world.objects.list_of(&[7]).expect("a list");
        world.nested.insert(&1, &list).expect("an answer");
    }),
    ("nest, get and take", |world| {
        let list = world.objects.list_of(&[7]).expect("a list");
        world.nested.insert(&1, &list).expect("an answer");
        world.nested.get(&1).expect("an answer").expect("a list").len().expect("a length");
        world.nested.pop(&1).expect("an answer");
    }),
    ("make, put, close and drop", |world| {
        let queue = world.objects.queue(1).expect("a queue");
        queue.put(world.objects.list_of(&[7]).expect("a list")).expect("room");
        queue.close().expect("closes");
    }),
    ("release", |world| world.signals.release(1).expect("an answer")),
    ("notify, break and lower", |world| {
        world.condition.notify_all().expect("an answer");
        world.barrier.abort().expect("an answer");
        world.event.clear().expect("an answer");
        world.lock.clear_poison().expect("an answer");
    }),
    ("questions", |world| {
        assert!(world.lock.is_locked().is_ok() && world.event.is_set().is_ok());
        assert!(world.barrier.is_broken().is_ok() && world.barrier.waiting().is_ok());
        assert!(world.semaphore.available().is_ok() && world.queue.is_full().is_ok());
        assert!(world.tasks.is_closed().is_ok() && world.objects.count().is_ok());
    }),
    ("lease", |world| {
        world.tasks.put(7).expect("room");
        world.tasks.get_lease().expect("an item").done().expect("it was mine");
    }),
];

/// How many kills there are to be.
fn kills() -> usize {
    std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(150)
}

/// Lets it go on to the `stop`th stop at a system call, and kills it there. `false`: it ended before.
fn killed_at(pid: Pid, stop: usize) -> bool {
    for _ in 0..stop {
        ptrace::syscall(pid, None).expect("goes on");
        match waitpid(pid, None).expect("stops or ends") {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            // A signal of its own, which is not for us.
            WaitStatus::Stopped(_, signal) => ptrace::syscall(pid, signal).expect("goes on"),
            _ => return false,
        }
    }
    kill(pid, Signal::SIGKILL).expect("is killed");
    true
}

/// What the server holds: descriptors, and memory in KiB.
fn held_by(server: u32) -> (usize, usize) {
    let descriptors = fs::read_dir(format!("/proc/{server}/fd")).expect("it lives").count();
    let status = fs::read_to_string(format!("/proc/{server}/status")).expect("it lives");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    (descriptors, memory.trim().trim_end_matches(" kB").parse().expect("a number"))
}

fn clients_are_killed_at_each_system_call() {
    let manager = Manager::start().expect("a manager");
    let world = World::new(&manager).expect("objects");
    world.settle();
    let objects = manager.count().expect("a count");
    let mut killed = 0;
    let mut before = None;
    while killed < kills() {
        for (name, request) in KINDS {
            println!("{name}");
            // Once with a connection to be made, and once with one that is there.
            for connected in [false, true] {
                for stop in 1.. {
                    let (before, its) = (world.clone(), world.clone());
                    let connect = move || {
                        if connected {
                            before.dict.len().expect("an answer");
                        }
                    };
                    let child = traced(connect, move || {
                        request(&its);
                        // What is in its hands goes with it by death, and not by its end.
                        kill(Pid::this(), Signal::SIGKILL).expect("is killed");
                    });
                    let in_time = killed_at(pid_of(&child), stop);
                    let _ = child.kill();
                    let _ = child.join();
                    world.settle();
                    if !in_time {
                        break;
                    }
                    killed += 1;
                }
                eventually("its handles have gone", || manager.count() == Ok(objects));
            }
        }
        // After a round everything that grows once has grown.
        let now = held_by(manager.server_pid());
        let (descriptors, memory) = *before.get_or_insert(now);
        eventually("descriptors", || held_by(manager.server_pid()).0 <= descriptors);
        assert!(now.1 <= memory + 1024, "the server's memory grew from {memory} to {} KiB", now.1);
    }
    println!("{killed} clients were killed");
}

fn the_manager_is_killed_at_each_system_call() {
    let (mut killed, mut took) = (0, Vec::new());
    while killed < kills() {
        for (name, request) in KINDS {
            for stop in 1.. {
                let manager = Manager::start().expect("a manager");
                let world = World::new(&manager).expect("objects");
                let server = Pid::from_raw(manager.server_pid() as i32);
                ptrace::attach(server).expect("is ours");
                assert!(matches!(waitpid(server, None), Ok(WaitStatus::Stopped(..))));
                // Its requests end well, or with an error that says what has become of the manager.
                let asks = process::spawn(move || {
                    std::panic::set_hook(Box::new(|_| ()));
                    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| request(&world)));
                    let begun = Instant::now();
                    while world.value.get().is_ok() {}
                    let told = world.value.get();
                    (asked.is_ok(), told == Err(ManagerError::Gone), begun.elapsed())
                });
                let in_time = killed_at(server, stop);
                let _ = kill(server, Signal::SIGKILL);
                eventually("it ends", || is_gone(server.as_raw() as u32));
                let ended = Instant::now();
                let (_, gone, _) = asks.join().unwrap_or_else(|error| panic!("{name}, {stop}: {error}"));
                assert!(gone, "{name}, {stop}");
                took.push(ended.elapsed());
                drop(manager);
                killed += usize::from(in_time);
                // It never comes to an end by itself: so many stops see a request and the look round after it.
                if stop == 12 {
                    break;
                }
            }
        }
    }
    // The time of a client that had to wait for a processor is none of ours, so: of most, and of all.
    took.sort();
    let (most, all) = (took[took.len() * 9 / 10], took[took.len() - 1]);
    assert!(most < KNOWN && all < ANSWERED, "nine of ten knew it after {most:?}, all after {all:?}");
    println!("{killed} managers were killed; all knew it after {all:?}, nine of ten after {most:?}");
}
