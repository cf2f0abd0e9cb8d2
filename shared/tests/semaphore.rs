//! `Semaphore` and `BoundedSemaphore`, among the living and after deaths.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, is_gone, mappings, sleep_for_ever, state, takes};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process::{self, JoinHandle};
use shared::sync::{BoundedSemaphore, Permit, ReleaseError, Semaphore};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        sem_01_two_permits_come_and_go,
        sem_02_released_past_its_start,
        sem_03_bounded_is_not_released_past_its_bound,
        sem_04_on_none_at_once_or_not_before_the_time,
        sem_05_start_value_out_of_range,
        sem_08_default_nesting_and_failing_bodies,
        sem_09_a_killed_holder_gives_its_permit_back,
        permits_of_the_dead_come_back_exactly_once,
        a_fresh_try_recovers_too,
        a_sleeping_waiter_hears_of_the_death_within_a_second,
        every_way_to_die_gives_back,
        what_was_forgotten_or_released_belongs_to_no_dead,
        a_stopped_holder_is_not_robbed,
        a_leaked_permit_counts_as_long_as_its_process_lives,
        no_fork_while_a_permit_is_held,
        never_more_inside_than_there_are_permits,
        threads_share_them_too,
        a_gate_that_another_process_opens,
        sleepers_all_get_their_turn,
        a_release_wakes_as_many_as_it_lets_in,
        a_sleeping_waiter_is_woken_by_the_permit,
        a_timeout_takes_no_wake_up_with_it,
        a_dead_waiter_is_not_missed,
        none_is_never_said_while_one_is_free,
        all_65535_are_there_and_no_more,
        a_hole_among_65535_is_found,
        a_refused_release_changes_nothing,
        want_of_memory_is_an_error,
        ten_thousand_live_at_once within 60,
        random_kills_lose_no_permit_and_make_none within 60,
        every_clone_is_the_same_semaphore,
        debug_texts_and_errors,
    }
}

/// The promise: a death is answered within this time.
const BOUND: Duration = Duration::from_secs(1);
const MOST: u32 = 65_535;

/// A child that has so many permits, until it is ended.
fn holder_of(semaphore: &Semaphore, permits: usize) -> JoinHandle<()> {
    let (its, holding) = (semaphore.clone(), Shared::new(AtomicBool::new(false)));
    let holds = holding.clone();
    let child = process::spawn(move || {
        let _permits: Vec<_> = (0..permits).map(|_| its.acquire()).collect();
        holding.store(true, SeqCst);
        sleep_for_ever();
    });
    eventually("it has them", || holds.load(SeqCst));
    child
}

fn kill(child: JoinHandle<()>) {
    child.kill().unwrap();
    assert_eq!(child.join().unwrap_err().exit_code(), Some(-9));
}

/// Takes all that can be had, the dead's included.
fn take_all(semaphore: &Semaphore) -> Vec<Permit<'_>> {
    std::iter::from_fn(|| semaphore.try_acquire()).collect()
}

fn sem_01_two_permits_come_and_go() {
    let semaphore = Semaphore::new(2);
    assert_eq!(semaphore.available(), 2);
    let first = semaphore.acquire();
    assert_eq!(semaphore.available(), 1);
    let second = semaphore.acquire();
    assert_eq!(semaphore.available(), 0);
    assert!(semaphore.try_acquire().is_none());
    assert_eq!(semaphore.available(), 0);
    drop(second);
    assert_eq!(semaphore.available(), 1);
    drop(first);
    assert_eq!(semaphore.available(), 2);
}

fn sem_02_released_past_its_start() {
    let semaphore = Semaphore::new(2);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.available(), 3);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.available(), 4);
    assert_eq!(take_all(&semaphore).len(), 4);
    assert_eq!(semaphore.available(), 4);
}

fn sem_03_bounded_is_not_released_past_its_bound() {
    let semaphore = BoundedSemaphore::new(3);
    let refused =
        |n| matches!(semaphore.release(n), Err(ReleaseError::TooMany { permits, bound: 3 }) if permits == n);
    assert!(refused(1));
    assert_eq!(semaphore.available(), 3);
    let (first, second) = (semaphore.acquire(), semaphore.acquire());
    assert!(refused(1), "those that are held come back");
    assert_eq!(semaphore.available(), 1);
    first.forget();
    second.forget();
    assert!(refused(3), "all or none");
    assert_eq!(semaphore.available(), 1);
    semaphore.release(2).unwrap();
    assert!(refused(1));
    assert_eq!(semaphore.available(), 3);
    semaphore.release(0).unwrap();
}

fn sem_04_on_none_at_once_or_not_before_the_time() {
    let (semaphore, bounded) = (Semaphore::new(0), BoundedSemaphore::new(0));
    takes(Duration::ZERO, || assert!(semaphore.try_acquire().is_none()));
    for micros in [0, 1, 300, 7_000, 40_000] {
        let time = Duration::from_micros(micros);
        takes(time, || assert!(semaphore.acquire_timeout(time).is_none()));
        takes(time, || assert!(bounded.acquire_timeout(time).is_none()));
    }
    semaphore.release(1).unwrap();
    for time in [Duration::ZERO, Duration::from_secs(20), Duration::MAX] {
        let start = Instant::now();
        drop(semaphore.acquire_timeout(time).unwrap());
        assert!(start.elapsed() < Duration::from_secs(10), "a free one is there at once");
    }
}

/// A negative one is ruled out by type; what is too much is refused.
fn sem_05_start_value_out_of_range() {
    for permits in [MOST + 1, u32::MAX] {
        let refused = [Semaphore::try_new(permits).err(), BoundedSemaphore::try_new(permits).err()];
        for error in refused {
            assert_eq!(error.unwrap().kind(), io::ErrorKind::InvalidInput);
        }
        assert!(catch_unwind(|| Semaphore::new(permits)).is_err());
        assert!(catch_unwind(|| BoundedSemaphore::new(permits)).is_err());
    }
}

fn sem_08_default_nesting_and_failing_bodies() {
    let (semaphore, bounded) = (Semaphore::default(), BoundedSemaphore::default());
    assert_eq!((semaphore.available(), bounded.available()), (1, 1));
    assert!(bounded.release(1).is_err());

    let semaphore = Semaphore::new(2);
    {
        let _outer = semaphore.acquire();
        assert!(semaphore.try_acquire().is_some());
        {
            let _inner = semaphore.acquire();
            assert!(semaphore.try_acquire().is_none());
        }
        assert!(semaphore.try_acquire().is_some());
    }
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let _permits = (semaphore.acquire(), semaphore.acquire());
        panic!("the body fails");
    }));
    assert!(failed.is_err());
    assert_eq!(semaphore.available(), 2);
}

fn sem_09_a_killed_holder_gives_its_permit_back() {
    let semaphore = Semaphore::new(1);
    kill(holder_of(&semaphore, 1));
    assert_eq!(semaphore.available(), 0, "nobody has looked yet");
    let start = Instant::now();
    let permit = semaphore.acquire();
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert!(semaphore.try_acquire().is_none(), "it came back once");
    drop(permit);
    assert_eq!(semaphore.available(), 1);
}

/// Near ones and far ones, whoever is first to look.
fn permits_of_the_dead_come_back_exactly_once() {
    for (permits, dead) in [(3, 3), (3, 2), (200, 150), (1_000, 1_000)] {
        let semaphore = Semaphore::new(permits);
        for _ in 0..3 {
            kill(holder_of(&semaphore, dead));
            let rivals: Vec<_> = (0..3)
                .map(|_| {
                    let its = semaphore.clone();
                    process::spawn(move || (0..200).filter(|_| its.try_acquire().is_some()).count())
                })
                .collect();
            let got = rivals.into_iter().map(|rival| rival.join().unwrap());
            assert!(got.sum::<usize>() >= 400, "at least one was free at any time");
            // Those that nobody needed so far come back now.
            assert_eq!(take_all(&semaphore).len(), permits as usize);
            assert_eq!(semaphore.available(), permits);
        }
    }
}

fn a_fresh_try_recovers_too() {
    let semaphore = Semaphore::new(2);
    let living = holder_of(&semaphore, 1);
    for time in [None, Some(Duration::ZERO), Some(Duration::from_millis(20))] {
        kill(holder_of(&semaphore, 1));
        let permit = match time {
            None => semaphore.try_acquire(),
            Some(time) => semaphore.acquire_timeout(time),
        };
        assert!(permit.is_some());
        assert!(semaphore.try_acquire().is_none(), "the other is a living one's");
    }
    kill(living);
    assert_eq!(take_all(&semaphore).len(), 2);
}

/// Also one that has waited for so long that it looks round every quarter of a second only.
fn a_sleeping_waiter_hears_of_the_death_within_a_second() {
    for asleep_for in [0, 30, 700] {
        let semaphore = Semaphore::new(2);
        let holder = holder_of(&semaphore, 2);
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let its = semaphore.clone();
                process::spawn(move || drop(its.acquire()))
            })
            .collect();
        for waiter in &waiters {
            eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
        }
        thread::sleep(Duration::from_millis(asleep_for));
        let start = Instant::now();
        kill(holder);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        assert_eq!(semaphore.available(), 2);
    }
}

fn every_way_to_die_gives_back() {
    let ends: [(fn(), i32); 6] = [
        (|| signal::raise(Signal::SIGKILL).unwrap(), -9),
        (|| signal::raise(Signal::SIGTERM).unwrap(), -15),
        (|| std::process::abort(), -6),
        (|| process::exit(0), 0), // Its destructors do not run.
        (|| std::process::exit(3), 3),
        (|| panic!("while it holds a permit"), 101),
    ];
    let semaphore = Semaphore::new(1);
    for (end, code) in ends {
        let its = semaphore.clone();
        let child = process::spawn(move || {
            let _permit = its.acquire();
            end();
        });
        let ended = child.join().map_or_else(|failed| failed.exit_code(), |()| Some(0));
        assert_eq!(ended, Some(code));
        assert!(semaphore.try_acquire().is_some(), "{code}");
        assert_eq!(semaphore.available(), 1);
    }
}

fn what_was_forgotten_or_released_belongs_to_no_dead() {
    let semaphore = Semaphore::new(3);
    let its = semaphore.clone();
    let child = process::spawn(move || {
        its.acquire().forget();
        its.acquire().forget();
        let _held = its.acquire();
        its.release(2).unwrap();
        let _of_those = its.acquire();
        signal::raise(Signal::SIGKILL).unwrap();
    });
    assert!(child.join().is_err());
    // Three there were, two of them are gone, two were made; the two that were held have come back.
    assert_eq!(take_all(&semaphore).len(), 3);
    assert_eq!(semaphore.available(), 3);
}

fn a_stopped_holder_is_not_robbed() {
    let semaphore = Semaphore::new(1);
    let holder = holder_of(&semaphore, 1);
    let pid = Pid::from_raw(holder.process().id() as i32);
    signal::kill(pid, Signal::SIGSTOP).unwrap();
    eventually("it is stopped", || state(pid.as_raw() as u32) == Some('T'));
    assert!(semaphore.try_acquire().is_none());
    assert!(semaphore.acquire_timeout(BOUND).is_none());
    kill(holder);
    assert!(semaphore.try_acquire().is_some());
}

/// Its thread may have ended: somebody else in the process may rely on it.
fn a_leaked_permit_counts_as_long_as_its_process_lives() {
    let semaphore = Semaphore::new(1);
    let (its, leaked) = (semaphore.clone(), Shared::new(AtomicBool::new(false)));
    let has_leaked = leaked.clone();
    let holder = process::spawn(move || {
        thread::scope(|s| {
            s.spawn(|| std::mem::forget(its.acquire()));
        });
        let refused = process::Builder::new().spawn(|| ());
        assert!(matches!(refused, Err(process::SpawnError::GuardHeld { count: 1 })), "{refused:?}");
        leaked.store(true, SeqCst);
        sleep_for_ever();
    });
    eventually("it has leaked", || has_leaked.load(SeqCst));
    assert!(semaphore.try_acquire().is_none());
    kill(holder);
    assert!(semaphore.try_acquire().is_some());
}

fn no_fork_while_a_permit_is_held() {
    let semaphore = Semaphore::new(2);
    let (kept, signalled) = (semaphore.acquire(), semaphore.try_acquire().unwrap());
    let start = || process::Builder::new().spawn(|| ());
    assert!(matches!(start(), Err(process::SpawnError::GuardHeld { count: 2 })));
    signalled.forget();
    assert!(matches!(start(), Err(process::SpawnError::GuardHeld { count: 1 })));
    drop(kept);
    start().unwrap().join().unwrap();
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

/// By the release, and not by the end of a slice: those are 250 ms long after half a second.
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

/// `CLOCK_MONOTONIC` in nanoseconds, the same in all processes.
fn clock() -> u64 {
    let now = nix::time::ClockId::CLOCK_MONOTONIC.now().unwrap();
    Duration::from(now).as_nanos() as u64
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

fn a_dead_waiter_is_not_missed() {
    let semaphore = Semaphore::new(0);
    process::scope(|s| {
        let waiters: Vec<_> = (0..6).map(|_| s.spawn(|| semaphore.acquire().forget())).collect();
        for waiter in &waiters {
            eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
        }
        let (dead, living): (Vec<_>, Vec<_>) =
            waiters.into_iter().enumerate().partition(|(place, _)| place % 2 == 0);
        for (_, waiter) in dead {
            waiter.kill().unwrap();
            assert!(waiter.join().is_err());
        }
        let start = Instant::now();
        semaphore.release(3).unwrap();
        living.into_iter().for_each(|(_, waiter)| waiter.join().unwrap());
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    });
    assert_eq!(semaphore.available(), 0);
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

fn all_65535_are_there_and_no_more() {
    for semaphore in [Semaphore::new(MOST), Semaphore::new(0), Semaphore::new(100)] {
        semaphore.release(MOST - semaphore.available()).unwrap();
        assert_eq!(semaphore.available(), MOST);
        assert!(matches!(semaphore.release(1), Err(ReleaseError::TooMany { permits: 1, bound: MOST })));
        let mut permits = take_all(&semaphore);
        assert_eq!((permits.len(), semaphore.available()), (MOST as usize, 0));
        assert!(semaphore.release(1).is_err());
        permits.pop().unwrap().forget();
        semaphore.release(1).unwrap();
        assert_eq!(semaphore.available(), 1);
        drop(permits);
        assert_eq!(semaphore.available(), MOST);

        kill(holder_of(&semaphore, MOST as usize));
        let start = Instant::now();
        let first = semaphore.acquire();
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        drop(first);
        assert_eq!(semaphore.available(), MOST);
    }
    let bounded = BoundedSemaphore::new(MOST);
    assert!(bounded.release(1).is_err());
    assert_eq!(bounded.available(), MOST);
}

/// Wherever it is.
fn a_hole_among_65535_is_found() {
    let semaphore = Semaphore::new(MOST);
    let mut permits: Vec<_> = take_all(&semaphore).into_iter().map(Some).collect();
    for place in [0, 63, 64, 65, 127, 128, 30_000, MOST as usize - 1] {
        permits[place] = None;
        assert_eq!(semaphore.available(), 1);
        permits[place] = semaphore.try_acquire();
        assert!(permits[place].is_some());
        assert!(semaphore.try_acquire().is_none());
        permits[place] = None;
        permits[place] = Some(semaphore.acquire());
    }
}

/// Of those who release one each time where there is room for one, one succeeds; of those who want more than there
/// is room for, none, whatever happens meanwhile.
fn a_refused_release_changes_nothing() {
    let semaphore = BoundedSemaphore::new(100);
    (0..50).for_each(|_| semaphore.acquire().forget());
    let made = Shared::new(AtomicU32::new(0));
    process::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for n in (1..60).rev().cycle().take(3_000) {
                    if semaphore.release(n).is_ok() {
                        made.fetch_add(n, SeqCst);
                    }
                }
            });
            s.spawn(|| {
                for _ in 0..3_000 {
                    assert!(semaphore.release(51).is_err());
                    drop(semaphore.acquire());
                }
            });
        }
    });
    assert_eq!(made.load(SeqCst), 50);
    assert_eq!(semaphore.available(), 100);
}

fn want_of_memory_is_an_error() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, 1 << 20, hard).unwrap();
    let refused = (Semaphore::try_new(1).map(drop), BoundedSemaphore::try_new(0).map(drop));
    setrlimit(Resource::RLIMIT_AS, soft, hard).unwrap();
    let kind = |refused: io::Result<()>| refused.unwrap_err().kind();
    assert_eq!((kind(refused.0), kind(refused.1)), (io::ErrorKind::OutOfMemory, io::ErrorKind::OutOfMemory));
    drop(Semaphore::new(1));
}

fn ten_thousand_live_at_once() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 1_024, hard).unwrap();
    process::spawn(|| ()).join().unwrap(); // What is made once is there then.
    let (mappings_before, memory_before) = (mappings(), shared_memory());
    let semaphores: Vec<_> = (0..10_000).map(|_| Semaphore::new(4)).collect();
    let each = (shared_memory() - memory_before) / 10_000;
    assert!(each <= 4_096, "{each} bytes for each");
    process::scope(|s| {
        s.spawn(|| semaphores.iter().for_each(|semaphore| semaphore.acquire().forget()));
        s.spawn(|| semaphores.iter().for_each(|semaphore| semaphore.release(1).unwrap()));
    });
    assert!(semaphores.iter().all(|semaphore| semaphore.available() == 4));
    drop(semaphores);
    assert_eq!(mappings(), mappings_before);
    assert!(shared_memory() < memory_before + 100_000, "nearly all of it is given back");
}

/// What this process has of it, in bytes.
fn shared_memory() -> u64 {
    harness::tools::status("RssShmem").trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Four processes come and go; one after the other is killed wherever it is.
fn random_kills_lose_no_permit_and_make_none() {
    const KILLS: u32 = 300;
    for (permits, others) in [(1, 0), (3, 0), (3, 63)] {
        let semaphore = Semaphore::new(permits + others);
        let holder = holder_of(&semaphore, others as usize);
        let inside = Inside::default();
        let turns = Shared::new(AtomicU64::new(0));
        let start = |place: usize| {
            let (its, inside, turns) = (semaphore.clone(), inside.clone(), turns.clone());
            process::spawn(move || -> () {
                inside.pids[place].store(std::process::id(), SeqCst);
                loop {
                    let _one = its.acquire();
                    let _perhaps_another = its.try_acquire();
                    inside.enter(place, permits);
                    turns.fetch_add(1, SeqCst);
                    inside.leave(place);
                }
            })
        };
        let mut workers: Vec<_> = (0..4).map(|place| Some(start(place))).collect();
        for kills in 0..KILLS {
            let (seen, place) = (turns.load(SeqCst), kills as usize % 4);
            // After so many turns of all, and then wherever it is.
            eventually("they go on", || turns.load(SeqCst) > seen + u64::from(kills % 97));
            kill(workers[place].take().unwrap());
            inside.leave(place);
            workers[place] = Some(start(place));
        }
        workers.into_iter().flatten().for_each(kill);
        kill(holder);
        assert_eq!(take_all(&semaphore).len() as u32, permits + others);
        assert_eq!(semaphore.available(), permits + others);
    }
}

/// Who is inside, some of whom may be dead.
#[derive(Clone)]
struct Inside {
    /// A bit for each place.
    mask: Shared<AtomicU32>,
    /// Who has the place.
    pids: Shared<[AtomicU32; 4]>,
}

impl Default for Inside {
    fn default() -> Inside {
        Inside { mask: Shared::new(AtomicU32::new(0)), pids: Shared::new(Default::default()) }
    }
}

impl Inside {
    fn pids(&self) -> [u32; 4] {
        std::array::from_fn(|place| self.pids[place].load(SeqCst))
    }

    /// All who were inside when this one came and are alive afterwards were inside at the same time.
    fn enter(&self, place: usize, most: u32) {
        let before = self.pids();
        let mask = self.mask.fetch_or(1 << place, SeqCst) | 1 << place;
        if mask.count_ones() > most {
            let alive = (0..4).filter(|&other| mask & 1 << other != 0 && !is_gone(before[other]));
            let alive: Vec<_> = alive.collect();
            let after = self.pids();
            let inside = alive.into_iter().filter(|&other| before[other] == after[other]).count();
            assert!(inside as u32 <= most, "{inside} inside");
        }
    }

    fn leave(&self, place: usize) {
        self.mask.fetch_and(!(1 << place), SeqCst);
    }
}

fn every_clone_is_the_same_semaphore() {
    let before = mappings();
    let semaphore = Semaphore::new(2);
    let (clone, in_child) = (semaphore.clone(), semaphore.clone());
    process::spawn(move || in_child.acquire().forget()).join().unwrap();
    let permit = semaphore.acquire();
    assert_eq!(clone.available(), 0);
    drop(permit);
    drop(semaphore);
    assert_eq!(clone.available(), 1, "the last handle keeps it");
    drop(clone);
    assert!(mappings() <= before + 1, "what a first spawn leaves");
}

fn debug_texts_and_errors() {
    let (semaphore, bounded) = (Semaphore::new(3), BoundedSemaphore::new(2));
    let permit = semaphore.acquire();
    assert_eq!(format!("{semaphore:?} {permit:?}"), "Semaphore { available: 2, .. } Permit { .. }");
    assert_eq!(format!("{bounded:?}"), "BoundedSemaphore { available: 2, bound: 2, .. }");
    assert_eq!(
        bounded.release(5).unwrap_err().to_string(),
        "cannot release 5 permit(s): the semaphore has 2 at most, those that are held included"
    );
    assert_eq!(Semaphore::try_new(70_000).unwrap_err().to_string(), "70000 permits, where 65535 is the most");
}
