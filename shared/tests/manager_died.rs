//! What survives when a manager's client is killed. (The manager's own end is in `manager_ends.rs`.)

mod harness;
mod managed;

use harness::tools::{eventually, sleep_for_ever};
use managed::{ANSWERED, World, pid_of, traced};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use shared::manager::{BarrierError, LockError, Manager, Value};
use shared::process::{self, JoinHandle};
use shared::sync::{BrokenCause, Cause};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        mgr_27_a_killed_holder_gives_back_what_it_held,
        a_killed_waiter_is_out_of_the_way,
        a_killed_party_breaks_the_barrier,
        a_notification_of_the_dead_goes_to_another,
        an_item_of_the_dead_goes_to_another,
        a_stopped_client_keeps_what_it_has_and_delays_nobody,
        what_the_dead_never_heard_of_was_not_given,
    }
}

const LONG: Duration = Duration::from_secs(20);

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

fn a_stopped_client_keeps_what_it_has_and_delays_nobody() {
    with_world(|world, there| {
        // It holds a lock; another has asked for something large, of which it reads nothing.
        let stopped = holder(world, there, |world| world.lock.lock().expect("free"));
        eventually("it holds it", || there.get() == Ok(1));
        let large = vec![1; 200_000];
        world.list.extend(&large).expect("extends");
        let list = world.list.clone();
        let reader = traced(|| (), move || while list.to_vec().is_ok() {});
        kill(pid_of(&stopped), Signal::SIGSTOP).expect("stops");
        ptrace::cont(pid_of(&reader), None).expect("goes on");
        thread::sleep(Duration::from_millis(5));
        kill(pid_of(&reader), Signal::SIGSTOP).expect("stops");
        eventually("it has stopped", || harness::tools::state(reader.process().id()) == Some('t'));
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

/// They sleep in their requests and are stopped there; what they wait for is given to them; then they are killed.
fn what_the_dead_never_heard_of_was_not_given() {
    with_world(|world, there| {
        let permits = [0, 1].map(|_| holder(world, there, |world| world.semaphore.acquire().expect("free")));
        // What it has beside the lock can be seen to come back, and it comes back with it.
        let holds = holder(world, there, |world| {
            world.signals.release(1).expect("releases");
            (world.lock.lock().expect("free"), world.signals.acquire().expect("free"))
        });
        eventually("all is held", || there.get() == Ok(3));
        let waits: [fn(&World); 4] = [
            |world| drop(world.queue.get()),
            |world| drop(world.tasks.get_lease()),
            |world| drop(world.lock.lock()),
            |world| drop(world.semaphore.acquire()),
        ];
        let waiting = waits.map(|waits| {
            let (world, there) = (world.clone(), there.clone());
            process::spawn(move || {
                there.add(&1).expect("adds");
                waits(&world);
                there.add(&100).expect("adds");
            })
        });
        eventually("all have come", || there.get() == Ok(7));
        for child in &waiting {
            eventually("it sleeps", || harness::tools::state(child.process().id()) == Some('S'));
        }
        thread::sleep(Duration::from_millis(20));
        for child in &waiting {
            kill(pid_of(child), Signal::SIGSTOP).expect("stops");
            eventually("it has stopped", || harness::tools::state(child.process().id()) == Some('T'));
        }
        world.queue.put(7).expect("room");
        world.tasks.put(7).expect("room");
        for child in permits.into_iter().chain([holds]) {
            child.kill().expect("is killed");
            assert!(child.join().is_err());
        }
        eventually("all was given", || {
            world.signals.available() == Ok(1)
                && world.queue.is_empty() == Ok(true)
                && world.semaphore.available() == Ok(1)
        });
        // The dead holder's poison is not the matter here.
        world.lock.clear_poison().expect("clears");
        for child in waiting {
            child.kill().expect("is killed");
            assert!(child.join().is_err());
        }
        assert_eq!((there.get(), world.queue.get_timeout(LONG)), (Ok(7), Ok(Some(7))));
        let lease = world.tasks.get_lease().expect("an item");
        assert_eq!((*lease, lease.delivery()), (7, 1), "it was never had");
        lease.done().expect("done");
        assert!(world.lock.lock_timeout(LONG).expect("no poison, for nobody had it").is_some());
        eventually("both permits are back", || world.semaphore.available() == Ok(2));
    });
}
