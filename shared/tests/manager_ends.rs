//! What a manager's clients are told when it ends in the middle of something, and what it ends with.

mod harness;
mod managed;

use harness::tools::{eventually, is_gone, sleep_for_ever, sleeps_in, state};
use managed::{KNOWN, World};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::manager::{BarrierError, LockError, Manager, ManagerError, PutError};
use shared::memory::Shared;
use shared::process::{self, JoinHandle};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        mgr_26_a_killed_manager_is_gone_for_all,
        a_change_that_was_received_and_not_answered_is_unknown,
        a_change_that_was_not_received_was_not_made,
        the_manager_ends_with_its_owner,
        ctrl_c_never_ends_a_manager_not_even_when_it_starts,
    }
}

fn server_of(manager: &Manager) -> Pid {
    Pid::from_raw(manager.server_pid() as i32)
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

/// Children that have a connection each, do this, and are asleep in it now.
fn asleep_in<const N: usize>(world: &World, requests: [fn(&World) -> bool; N]) -> [JoinHandle<bool>; N] {
    requests.map(|request| {
        let (world, begins) = (world.clone(), Shared::new(AtomicU32::new(0)));
        let child = process::spawn({
            let begins = begins.clone();
            move || {
                world.value.get().expect("an answer");
                begins.store(1, SeqCst);
                request(&world)
            }
        });
        let pid = child.process().id();
        eventually("it sleeps", || begins.load(SeqCst) == 1 && sleeps_in(libc::SYS_poll, pid));
        child
    })
}

fn a_change_that_was_received_and_not_answered_is_unknown() {
    let manager = Manager::start().expect("a manager");
    let mut world = World::new(&manager).expect("objects");
    world.queue = manager.queue(1).expect("a queue");
    world.queue.put(7).expect("room");
    let children = asleep_in(
        &world,
        [
            |world| matches!(world.queue.put(8), Err(PutError::Failed(8, ManagerError::Unknown))),
            |world| matches!(world.tasks.get(), Err(ManagerError::Unknown)),
            // What only waits has changed nothing that is still there.
            |world| matches!(world.event.wait(), Err(ManagerError::Gone)),
        ],
    );
    // All that came before the first of these two is received before the second is answered.
    (0..2).for_each(|_| assert!(world.value.get().is_ok()));
    kill(server_of(&manager), Signal::SIGKILL).expect("is killed");
    for (n, child) in children.into_iter().enumerate() {
        assert!(child.join().expect("is told"), "{n}");
    }
}

fn a_change_that_was_not_received_was_not_made() {
    let manager = Manager::start().expect("a manager");
    let world = World::new(&manager).expect("objects");
    let server = server_of(&manager);
    // Those who are to ask connect before it stops, and ask when it has.
    let (begins, stopped) = (Shared::new(AtomicU32::new(0)), Shared::new(AtomicU32::new(0)));
    let child = process::spawn({
        let (begins, stopped, world) = (begins.clone(), stopped.clone(), world.clone());
        move || {
            world.value.get().expect("an answer");
            begins.store(1, SeqCst);
            while stopped.load(SeqCst) == 0 {
                thread::yield_now();
            }
            begins.store(2, SeqCst);
            world.value.add(&1) == Err(ManagerError::Gone)
        }
    });
    let pid = child.process().id();
    eventually("it is there", || begins.load(SeqCst) == 1);
    kill(server, Signal::SIGSTOP).expect("stops");
    eventually("it has stopped", || state(server.as_raw() as u32) == Some('T'));
    stopped.store(1, SeqCst);
    eventually("it sleeps", || begins.load(SeqCst) == 2 && sleeps_in(libc::SYS_poll, pid));
    kill(server, Signal::SIGKILL).expect("is killed");
    assert!(child.join().expect("is told"));
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

/// A program that handles Ctrl-C starts managers while its terminal sends nothing else.
fn ctrl_c_never_ends_a_manager_not_even_when_it_starts() {
    process::signal::handle(process::signal::Signal::SIGINT, || ()).expect("handles");
    nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).expect("a group of its own");
    let presses = process::Builder::new().daemon(true).spawn(|| {
        process::signal::ignore(process::signal::Signal::SIGINT).expect("ignores");
        // To the whole group, as the terminal does.
        while kill(Pid::from_raw(0), Signal::SIGINT).is_ok() {
            thread::sleep(Duration::from_micros(20));
        }
    });
    for n in 0..300 {
        let manager = Manager::start().unwrap_or_else(|error| panic!("{n}: {error}"));
        assert_eq!(manager.value(&n).expect("an answer").get(), Ok(n));
        assert_eq!(manager.shutdown(), Ok(()), "{n}");
    }
    assert!(presses.expect("starts").kill().is_ok());
}
