//! Semaphores whose holders or waiters die: every permit comes back, and comes back once.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::{BOUND, holder_of, kill, kill_every_other, take_all};
use harness::tools::{eventually, is_gone, sleep_for_ever, state};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process;
use shared::sync::Semaphore;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        sem_09_a_killed_holder_gives_its_permit_back,
        permits_of_the_dead_come_back_exactly_once,
        a_fresh_try_recovers_too,
        a_sleeping_waiter_hears_of_the_death_within_a_second,
        every_way_to_die_gives_back,
        what_was_forgotten_or_released_belongs_to_no_dead,
        a_stopped_holder_is_not_robbed,
        a_leaked_permit_counts_as_long_as_its_process_lives,
        a_dead_waiter_is_not_missed,
        random_kills_lose_no_permit_and_make_none within 60,
    }
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

fn a_dead_waiter_is_not_missed() {
    let semaphore = Semaphore::new(0);
    process::scope(|s| {
        let waiters: Vec<_> = (0..6).map(|_| s.spawn(|| semaphore.acquire().forget())).collect();
        let living = kill_every_other(waiters);
        let start = Instant::now();
        semaphore.release(3).unwrap();
        living.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    });
    assert_eq!(semaphore.available(), 0);
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
        for worker in workers.into_iter().flatten() {
            kill(worker);
        }
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
