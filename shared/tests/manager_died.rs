//! SIGKILL of a manager's clients, and of the manager, before and after each system call of each kind of request.
//!
//! The kernel stops the victim at each entry to a system call and at each exit from one (`PTRACE_SYSCALL`); it is killed at
//! the first of these stops, then another one at the second, and so on until one lives through its request. Afterwards
//! everything must be as the request had been made or not, nothing may be held, and nothing may be left in the server. KILLS
//! in the environment says how many kills there are to be of each, at least.

mod harness;

use harness::tools::{eventually, is_gone, sleep_for_ever};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use shared::manager::{
    Barrier, BarrierError, Condition, Dict, Event, JoinableQueue, List, Lock, LockError, Manager,
    ManagerError, Queue, Semaphore, Value,
};
use shared::process::{self, JoinHandle};
use shared::sync::{BrokenCause, Cause};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        mgr_26_a_killed_manager_is_gone_for_all,
        mgr_27_a_killed_holder_gives_back_what_it_held,
        a_killed_waiter_is_out_of_the_way,
        a_killed_party_breaks_the_barrier,
        a_notification_of_the_dead_goes_to_another,
        an_item_of_the_dead_goes_to_another,
        clients_are_killed_at_each_system_call within 600,
        the_manager_is_killed_at_each_system_call within 600,
        the_manager_ends_with_its_owner,
        a_stopped_client_keeps_what_it_has_and_delays_nobody,
    }
}

const LONG: Duration = Duration::from_secs(20);
/// Within this everything that a dead process held is somebody else's.
const ANSWERED: Duration = Duration::from_secs(1);
/// Within this the end of a manager is known to those who wait for it.
const KNOWN: Duration = Duration::from_millis(100);

/// One object of each kind that is used.
#[derive(Clone)]
struct World {
    dict: Dict<String, i64>,
    list: List<i64>,
    value: Value<i64>,
    lock: Lock,
    condition: Condition,
    semaphore: Semaphore,
    event: Event,
    barrier: Barrier,
    queue: Queue<i64>,
    tasks: JoinableQueue<i64>,
}

impl World {
    fn new(manager: &Manager) -> Result<World, ManagerError> {
        Ok(World {
            dict: manager.dict_of([("n".to_owned(), 0)])?,
            list: manager.list()?,
            value: manager.value(&0)?,
            lock: manager.lock()?,
            condition: manager.condition()?,
            semaphore: manager.semaphore(2)?,
            event: manager.event()?,
            barrier: manager.barrier(100)?,
            queue: manager.queue(0)?,
            tasks: manager.joinable_queue(0)?,
        })
    }

    /// As it was when it was new, whoever has died with what. Fails if something is held longer than it may be, or is not whole.
    fn settle(&self) {
        let begun = Instant::now();
        match self.lock.lock_timeout(ANSWERED) {
            Ok(guard) => drop(guard.expect("the lock of the dead is free")),
            Err(LockError::Poisoned(poisoned)) => {
                assert!(matches!(poisoned.cause(), Cause::OwnerDied { .. }));
                drop(poisoned.into_inner());
                self.lock.clear_poison().expect("clears");
            }
            Err(LockError::Failed(error)) => panic!("{error}"),
        }
        while self.semaphore.available() != Ok(2) {
            assert!(begun.elapsed() < ANSWERED, "{:?} permits", self.semaphore.available());
        }
        while self.barrier.waiting() != Ok(0) {
            assert!(begun.elapsed() < ANSWERED, "a dead party waits");
        }
        self.barrier.reset().expect("resets");
        self.event.clear().expect("clears");
        assert!([0, 1].contains(&self.value.set(&0).expect("sets")));
        assert!([0, 1].contains(&self.dict.insert("n", &0).expect("inserts").expect("it is there")));
        assert!(self.list.len().expect("a length") <= 1);
        self.list.clear().expect("clears");
        while let Some(item) = self.queue.try_get().expect("gets") {
            assert_eq!(item, 7);
        }
        while let Ok(Some(item)) = self.tasks.try_get() {
            assert_eq!(item, 7);
            self.tasks.task_done().expect("done");
        }
        assert_eq!(self.tasks.join_timeout(ANSWERED), Ok(true), "an item is with the dead");
        // Not one of two who were there is missed by a notification.
        self.condition.notify_all().expect("notifies");
    }
}

/// A kind of request. What it is to need is there before.
type Kind = (&'static str, fn(&World));

const KINDS: [Kind; 15] = [
    ("get", |world| assert!(world.dict.get("n").is_ok())),
    ("add", |world| assert!(world.dict.add("n", &1).is_ok())),
    ("set", |world| assert!(world.value.set(&1).is_ok())),
    ("push", |world| world.list.push(&7).expect("an answer")),
    ("items", |world| drop(world.dict.items().expect("an answer"))),
    ("lock", |world| drop(world.lock.lock().expect("a guard"))),
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
    ("lease", |world| {
        world.tasks.put(7).expect("room");
        world.tasks.get_lease().expect("an item").done().expect("it was mine");
    }),
];

/// How many kills there are to be.
fn kills() -> usize {
    std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(150)
}

fn pid_of<T>(child: &JoinHandle<T>) -> Pid {
    Pid::from_raw(child.process().id() as i32)
}

/// A child that stops, to be traced, and then does this.
fn traced(does: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let child = process::spawn(move || {
        ptrace::traceme().expect("traced");
        raise(Signal::SIGSTOP).expect("stops");
        does();
    });
    assert!(matches!(waitpid(pid_of(&child), None), Ok(WaitStatus::Stopped(..))));
    child
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
            // Once with a connection to be made, and once with one that is there.
            for connected in [false, true] {
                for stop in 1.. {
                    let its = world.clone();
                    let child = process::spawn(move || {
                        if connected {
                            its.dict.len().expect("an answer");
                        }
                        ptrace::traceme().expect("traced");
                        raise(Signal::SIGSTOP).expect("stops");
                        request(&its);
                        // What is in its hands goes with it by death, and not by its end.
                        kill(Pid::this(), Signal::SIGKILL).expect("is killed");
                    });
                    assert!(matches!(waitpid(pid_of(&child), None), Ok(WaitStatus::Stopped(..))), "{name}");
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

fn mgr_26_a_killed_manager_is_gone_for_all() {
    let manager = Manager::start().expect("a manager");
    let world = World::new(&manager).expect("objects");
    let there = manager.value(&0).expect("a value");
    let waits: [fn(&World) -> bool; 5] = [
        |world| matches!(world.event.wait(), Err(ManagerError::Gone)),
        |world| matches!(world.queue.get(), Err(error) if error.is_gone()),
        |world| matches!(world.barrier.wait(), Err(BarrierError::Failed(ManagerError::Gone))),
        |world| {
            // Some wait for the lock still.
            let waited = world.lock.lock().and_then(|guard| world.condition.wait(guard));
            matches!(waited, Err(LockError::Failed(ManagerError::Gone)))
        },
        |world| matches!(world.tasks.join(), Err(ManagerError::Gone)),
    ];
    world.tasks.put(7).expect("room");
    let children: Vec<_> = (0..50)
        .map(|n| {
            let (world, there) = (world.clone(), there.clone());
            process::spawn(move || {
                there.add(&1).expect("adds");
                let told = waits[n % waits.len()](&world);
                told && world.value.get() == Err(ManagerError::Gone)
            })
        })
        .collect();
    eventually("all are there", || there.get() == Ok(50));
    let server = manager.server_pid();
    kill(Pid::from_raw(server as i32), Signal::SIGKILL).expect("is killed");
    eventually("it ends", || is_gone(server));
    let ended = Instant::now();
    for child in children {
        assert!(child.join().expect("is not hurt"), "each is told that the manager has gone");
    }
    // Fifty of them on a few processors.
    assert!(ended.elapsed() < 10 * KNOWN, "after {:?}", ended.elapsed());
    assert!(manager.list::<u8>().is_err());
    assert!(manager.shutdown().is_err(), "it did not end by itself");
}

/// A child that does this, says so, and then sleeps until it is killed.
fn holder<T: 'static>(
    world: &World,
    there: &Value<i64>,
    holds: impl FnOnce(&World) -> T + Send + 'static,
) -> JoinHandle<()> {
    let (world, there) = (world.clone(), there.clone());
    process::spawn(move || {
        let _held = holds(&world);
        there.add(&1).expect("adds");
        sleep_for_ever();
    })
}

fn with_world(test: impl FnOnce(&World, &Value<i64>)) {
    let manager = Manager::start().expect("a manager");
    let world = World::new(&manager).expect("objects");
    test(&world, &manager.value(&0).expect("a value"));
    world.settle();
}

fn mgr_27_a_killed_holder_gives_back_what_it_held() {
    with_world(|world, there| {
        let child = holder(world, there, |world| {
            let guard = world.lock.lock().expect("free");
            (guard, world.semaphore.acquire().expect("free"), world.semaphore.acquire().expect("free"))
        });
        eventually("it holds them", || there.get() == Ok(1));
        let pid = child.process().id();
        // One waits already, awake or asleep.
        let waiting = process::spawn({
            let lock = world.lock.clone();
            move || match lock.lock_timeout(LONG) {
                Err(LockError::Poisoned(poisoned)) => poisoned.cause() == Cause::OwnerDied { pid },
                _ => false,
            }
        });
        thread::sleep(Duration::from_millis(20));
        child.kill().expect("is killed");
        let killed = Instant::now();
        assert!(waiting.join().expect("is told"));
        assert!(killed.elapsed() < ANSWERED, "after {:?}", killed.elapsed());
        assert!(child.join().is_err());
    });
}

fn a_killed_waiter_is_out_of_the_way() {
    with_world(|world, there| {
        let children: Vec<_> = (0..4)
            .map(|n| {
                let (world, there) = (world.clone(), there.clone());
                process::spawn(move || {
                    there.add(&1).expect("adds");
                    match n {
                        0 => drop(world.queue.get()),
                        1 => drop(world.tasks.get()),
                        2 => drop(world.event.wait()),
                        _ => {
                            let guard = world.lock.lock().expect("a guard");
                            drop(world.condition.wait(guard));
                        }
                    }
                })
            })
            .collect();
        eventually("all are there", || there.get() == Ok(4));
        thread::sleep(Duration::from_millis(20));
        for child in children {
            child.kill().expect("is killed");
            assert!(child.join().is_err());
        }
        // What comes now is not for them.
        eventually("they have gone", || {
            world.queue.put(7).expect("room");
            world.queue.get_timeout(Duration::from_millis(50)) == Ok(Some(7))
        });
        world.tasks.put(7).expect("room");
        assert_eq!(world.tasks.get(), Ok(7));
        world.tasks.task_done().expect("it was mine");
    });
}

fn a_killed_party_breaks_the_barrier() {
    with_world(|world, there| {
        let party = {
            let (world, there) = (world.clone(), there.clone());
            process::spawn(move || {
                there.add(&1).expect("adds");
                drop(world.barrier.wait());
            })
        };
        eventually("it waits", || world.barrier.waiting() == Ok(1));
        let pid = party.process().id();
        party.kill().expect("is killed");
        assert!(party.join().is_err());
        eventually("it is broken", || world.barrier.is_broken() == Ok(Some(BrokenCause::OwnerDied { pid })));
        let broken = world.barrier.wait();
        assert_eq!(broken, Err(BarrierError::Broken(BrokenCause::OwnerDied { pid })));
    });
}

fn a_notification_of_the_dead_goes_to_another() {
    with_world(|world, there| {
        let waiter = || {
            let (world, there) = (world.clone(), there.clone());
            process::spawn(move || {
                let guard = world.lock.lock().expect("a guard");
                there.add(&1).expect("adds");
                drop(world.condition.wait(guard).expect("is notified"));
            })
        };
        let first = waiter();
        eventually("the first waits", || there.get() == Ok(1) && world.lock.is_locked() == Ok(false));
        let second = waiter();
        eventually("the second waits", || there.get() == Ok(2) && world.lock.is_locked() == Ok(false));
        // The first is notified while somebody has the lock, and is killed before it gets it.
        let holds = holder(world, there, |world| world.lock.lock().expect("free"));
        eventually("it is held", || there.get() == Ok(3));
        world.condition.notify_one().expect("notifies");
        first.kill().expect("is killed");
        assert!(first.join().is_err());
        holds.kill().expect("is killed");
        assert!(holds.join().is_err());
        // The lock of the dead holder is poisoned, which the second is told.
        assert!(second.wait_timeout(LONG), "the notification was lost");
        assert!(second.join().is_err());
    });
}

fn an_item_of_the_dead_goes_to_another() {
    with_world(|world, there| {
        (0..2).for_each(|_| world.tasks.put(7).expect("room"));
        let children = [
            holder(world, there, |world| world.tasks.get().expect("an item")),
            holder(world, there, |world| world.tasks.get_lease().expect("an item")),
        ];
        eventually("they have them", || there.get() == Ok(2));
        assert_eq!((world.tasks.len(), world.tasks.join_timeout(Duration::ZERO)), (Ok(0), Ok(false)));
        for child in children {
            child.kill().expect("is killed");
            assert!(child.join().is_err());
        }
        for _ in 0..2 {
            let lease = world.tasks.get_lease().expect("an item");
            assert_eq!((*lease, lease.delivery()), (7, 2));
            lease.done().expect("done");
        }
        assert_eq!(world.tasks.join_timeout(Duration::ZERO), Ok(true));
    });
}

fn the_manager_ends_with_its_owner() {
    let (says, hears) = shared::channel::pipe::<u32>();
    let owner = process::spawn(move || {
        let manager = Manager::start().expect("a manager");
        says.send(manager.server_pid()).expect("says");
        sleep_for_ever();
    });
    let server = hears.recv().expect("its pid");
    assert!(!is_gone(server));
    // The terminal's Ctrl-C is not for the server.
    kill(Pid::from_raw(server as i32), Signal::SIGINT).expect("sends");
    thread::sleep(Duration::from_millis(20));
    assert!(!is_gone(server));
    owner.kill().expect("is killed");
    let killed = Instant::now();
    eventually("it ends with its owner", || is_gone(server));
    assert!(killed.elapsed() < KNOWN, "after {:?}", killed.elapsed());
    assert!(owner.join().is_err());
}

fn a_stopped_client_keeps_what_it_has_and_delays_nobody() {
    with_world(|world, there| {
        // It holds a lock; another has asked for something large, of which it reads nothing.
        let stopped = holder(world, there, |world| world.lock.lock().expect("free"));
        eventually("it holds it", || there.get() == Ok(1));
        let large = vec![1; 200_000];
        world.list.extend(&large).expect("extends");
        let reader = traced({
            let list = world.list.clone();
            move || drop(list.to_vec())
        });
        kill(pid_of(&stopped), Signal::SIGSTOP).expect("stops");
        ptrace::cont(pid_of(&reader), None).expect("goes on");
        thread::sleep(Duration::from_millis(5));
        kill(pid_of(&reader), Signal::SIGSTOP).expect("stops");
        for _ in 0..1000 {
            let begun = Instant::now();
            world.value.get().expect("an answer");
            assert!(begun.elapsed() < ANSWERED);
        }
        assert!(world.lock.lock_timeout(Duration::from_millis(20)).expect("in order").is_none());
        for child in [stopped, reader] {
            child.kill().expect("is killed");
            let _ = child.join();
        }
        world.list.clear().expect("clears");
    });
}
