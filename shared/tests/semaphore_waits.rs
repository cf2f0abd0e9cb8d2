//! Crowds at a semaphore: never too many inside, nobody left waiting, whoever is woken or gives up.

mod cast;
mod harness;

use cast::{holder_of, kill, take_all};
use harness::tools::{clock, eventually, state};
use shared::memory::Shared;
use shared::process;
use shared::sync::Semaphore;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        never_more_inside_than_there_are_permits,
        threads_share_them_too,
        a_gate_that_another_process_opens,
        sleepers_all_get_their_turn,
        a_release_wakes_as_many_as_it_lets_in,
        a_sleeping_waiter_is_woken_by_the_permit,
        a_timeout_takes_no_wake_up_with_it,
        none_is_never_said_while_one_is_free,
    }
}

/// Everybody counts himself in and out: four processes, on near slots and, while another has the near ones, on
/// far slots.
fn never_more_inside_than_there_are_permits() {
    const TURNS: u32 = 20_000;
    for (few, others) in [(1, 0), (2, 0), (3, 0), (4, 0), (1, 64), (2, 64), (3, 63), (4, 100)] {
        let semaphore = Semaphore::new(few + others);
        let holder = holder_of(&semaphore, others as usize);
        let inside = Shared::new(AtomicU32::new(0));
        process::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..TURNS).for_each(|_| go_in_and_out(&semaphore, few, &inside)));
            }
        });
        assert_eq!(semaphore.available(), few);
        kill(holder);
        assert_eq!(take_all(&semaphore).len() as u32, few + others);
    }
}

fn go_in_and_out(semaphore: &Semaphore, few: u32, inside: &AtomicU32) {
    let permit = semaphore.acquire();
    assert!(inside.fetch_add(1, SeqCst) < few, "too many inside");
    inside.fetch_sub(1, SeqCst);
    drop(permit);
}

fn threads_share_them_too() {
    let (semaphore, inside) = (Semaphore::new(2), AtomicU32::new(0));
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..20_000).for_each(|_| go_in_and_out(&semaphore, 2, &inside)));
        }
    });
    assert_eq!(semaphore.available(), 2);
}

fn a_gate_that_another_process_opens() {
    let (gate, passed) = (Semaphore::new(0), Shared::new(AtomicU32::new(0)));
    process::scope(|s| {
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                s.spawn(|| {
                    gate.acquire().forget();
                    passed.fetch_add(1, SeqCst);
                })
            })
            .collect();
        for waiter in &waiters {
            eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
        }
        assert_eq!(passed.load(SeqCst), 0);
        for open in 1..=3 {
            s.spawn(|| gate.release(1).unwrap()).join().unwrap();
            eventually("one passes", || passed.load(SeqCst) == open);
        }
    });
    assert_eq!((gate.available(), passed.load(SeqCst)), (0, 3));
}

fn sleepers_all_get_their_turn() {
    let semaphore = Semaphore::new(2);
    let (arrived, served) = (Shared::new(AtomicU32::new(0)), Shared::new(AtomicU32::new(0)));
    let waiters = 20;
    process::scope(|s| {
        s.spawn(|| {
            let _both = (semaphore.acquire(), semaphore.acquire());
            eventually("all are there", || arrived.load(SeqCst) == waiters);
        });
        eventually("the first has both", || semaphore.available() == 0);
        for _ in 0..waiters {
            s.spawn(|| {
                arrived.fetch_add(1, SeqCst);
                let _permit = semaphore.acquire();
                served.fetch_add(1, SeqCst);
            });
        }
    });
    assert_eq!((served.load(SeqCst), semaphore.available()), (waiters, 2));
}

/// By the release, and not by the end of a slice: those get longer and longer, up to 800 ms.
fn a_release_wakes_as_many_as_it_lets_in() {
    let gate = Semaphore::new(0);
    let best = (0..3).map(|_| {
        let passed = Shared::new(AtomicU32::new(0));
        process::scope(|s| {
            let waiters: Vec<_> = (0..6)
                .map(|_| {
                    s.spawn(|| {
                        gate.acquire().forget();
                        passed.fetch_add(1, SeqCst);
                    })
                })
                .collect();
            for waiter in &waiters {
                eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
            }
            thread::sleep(Duration::from_millis(700)); // so that all are in long slices
            let start = Instant::now();
            gate.release(4).unwrap();
            eventually("four pass", || passed.load(SeqCst) == 4);
            let taken = start.elapsed();
            assert_eq!(gate.available(), 0);
            gate.release(2).unwrap();
            taken
        })
    });
    let best = best.min().unwrap();
    assert!(best < Duration::from_millis(20), "woken after {best:?}");
}

/// As above, and by a permit that is given back.
fn a_sleeping_waiter_is_woken_by_the_permit() {
    let semaphore = Semaphore::new(1);
    let best = (0..3).map(|_| {
        let given_back_at = Shared::new(AtomicU64::new(0));
        process::scope(|s| {
            let (held, waiting) = (Shared::new(AtomicBool::new(false)), Shared::new(AtomicBool::new(false)));
            let (its, holder_waits, since) = (semaphore.clone(), waiting.clone(), given_back_at.clone());
            let holds = held.clone();
            s.spawn(move || {
                let permit = its.acquire();
                holds.store(true, SeqCst);
                eventually("the waiter comes", || holder_waits.load(SeqCst));
                thread::sleep(Duration::from_millis(700)); // so that it is asleep in a long slice
                since.store(clock(), SeqCst);
                drop(permit);
            });
            eventually("the holder has it", || held.load(SeqCst));
            waiting.store(true, SeqCst);
            drop(semaphore.acquire());
            clock() - given_back_at.load(SeqCst)
        })
    });
    let best = Duration::from_nanos(best.min().unwrap());
    assert!(best < Duration::from_millis(20), "woken after {best:?}");
}

/// Waiters whose time is up leave among others who go on waiting: nobody's wake-up is lost with them.
fn a_timeout_takes_no_wake_up_with_it() {
    let semaphore = Semaphore::new(2);
    process::scope(|s| {
        for worker in 0..5 {
            let semaphore = &semaphore;
            s.spawn(move || {
                let mut turns = 0_u32;
                while turns < 2_000 {
                    let time = Duration::from_micros(u64::from(turns % 7) * 20);
                    let permit =
                        if worker < 2 { semaphore.acquire_timeout(time) } else { Some(semaphore.acquire()) };
                    turns += u32::from(permit.is_some());
                }
            });
        }
    });
    assert_eq!(semaphore.available(), 2);
}

/// One fewer than there are permits move about, so one is free at any time: and which one changes all the time.
fn none_is_never_said_while_one_is_free() {
    const TURNS: u32 = 100_000;
    for (permits, others) in [(3, 0), (2, 64)] {
        let semaphore = Semaphore::new(permits + others);
        let holder = holder_of(&semaphore, others as usize);
        let done = Shared::new(AtomicBool::new(false));
        process::scope(|s| {
            let triers: Vec<_> = (1..permits)
                .map(|trier| {
                    let (semaphore, done) = (semaphore.clone(), &done);
                    s.spawn(move || {
                        let mut kept = None;
                        let mut turn = 0;
                        while if trier == 1 { turn < TURNS } else { !done.load(SeqCst) } {
                            // It gives back the old one only when it has the new one, at times: so it moves.
                            if turn % 2 == 0 {
                                kept = None;
                            }
                            let permit = semaphore.try_acquire();
                            assert!(permit.is_some() || kept.is_some(), "turn {turn}: one was free");
                            kept = permit.or(kept);
                            turn += 1;
                        }
                        drop(kept);
                        done.store(true, SeqCst);
                    })
                })
                .collect();
            triers.into_iter().for_each(|trier| trier.join().unwrap());
        });
        kill(holder);
        assert_eq!(take_all(&semaphore).len() as u32, permits + others);
    }
}
