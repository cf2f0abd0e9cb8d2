//! `Barrier` among living processes and after deaths.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::{BOUND, kill};
use harness::tools::{eventually, mappings, sleep_for_ever, state, takes};
use shared::memory::Shared;
use shared::process::{self, JoinHandle};
use shared::sync::{Barrier, BrokenBarrier, BrokenCause, Lock};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        barr_01_five_parties_in_step,
        barr_02_each_index_once,
        barr_03_action_runs_once_before_anyone_goes_on,
        barr_04_abort,
        barr_06_abort_and_reset,
        barr_08_time_out_breaks_it_for_all,
        barr_09_one_party_passes_at_once,
        barr_11_action_fails,
        barr_12_a_killed_party_is_named,
        a_dead_party_is_noticed_by_the_last_to_come,
        a_party_that_dies_in_the_action_is_named,
        the_dead_of_an_earlier_generation_do_not_count,
        after_a_death_and_a_reset_it_works,
        a_reset_fails_those_that_wait,
        more_processes_than_parties_take_turns,
        a_long_action_does_not_hold_up_a_time_out,
        nobody_is_no_number_of_parties,
        threads_are_parties_too,
        a_thousand_parties within 60,
        dropping_the_last_handle_unmaps,
    }
}

/// What a child brings home.
fn answer(result: Result<shared::sync::BarrierWaitResult, BrokenBarrier>) -> Option<usize> {
    result.ok().map(|passed| passed.index())
}

/// A child that waits, asleep, and brings home why it failed, as a text.
fn party(barrier: &Barrier) -> JoinHandle<String> {
    let (its, before) = (barrier.clone(), barrier.waiting());
    let child = process::spawn(move || match its.wait() {
        Ok(_) => "passed".to_owned(),
        Err(broken) => broken.cause().to_string(),
    });
    eventually("it waits", || barrier.waiting() > before);
    eventually("it sleeps", || state(child.process().id()) == Some('S'));
    child
}

#[track_caller]
fn at_rest(barrier: &Barrier) {
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, None));
}

/// Passes once more, with as many children as it takes.
#[track_caller]
fn passes(barrier: &Barrier) {
    process::scope(|s| {
        let parties: Vec<_> =
            (1..barrier.parties()).map(|_| s.spawn(|| answer(barrier.wait()).is_some())).collect();
        assert!(answer(barrier.wait()).is_some());
        assert!(parties.into_iter().all(|party| party.join().unwrap()));
    });
    at_rest(barrier);
}

fn barr_01_five_parties_in_step() {
    for passes in [1, 10] {
        let (barrier, steps) = (Barrier::new(5), Shared::new(AtomicU32::new(0)));
        process::scope(|s| {
            for _ in 0..5 {
                s.spawn(|| {
                    for pass in 1..=passes {
                        steps.fetch_add(1, SeqCst);
                        barrier.wait().unwrap();
                        let seen = steps.load(SeqCst);
                        assert!((5 * pass..=5 * pass + 4).contains(&seen), "{seen} steps in pass {pass}");
                    }
                });
            }
        });
        assert_eq!(steps.load(SeqCst), 5 * passes);
        at_rest(&barrier);
    }
}

fn barr_02_each_index_once() {
    let (barrier, counts) = (Barrier::new(5), Lock::new([0; 5]));
    let leaders = Shared::new(AtomicU32::new(0));
    process::scope(|s| {
        for _ in 0..5 {
            s.spawn(|| {
                for _ in 0..20 {
                    let passed = barrier.wait().unwrap();
                    counts.lock().unwrap()[passed.index()] += 1;
                    leaders.fetch_add(u32::from(passed.is_leader()), SeqCst);
                    assert_eq!(passed.is_leader(), passed.index() == 0);
                }
            });
        }
    });
    assert_eq!((*counts.lock().unwrap(), leaders.load(SeqCst)), ([20; 5], 20));
}

fn barr_03_action_runs_once_before_anyone_goes_on() {
    let runs = Shared::new(AtomicU32::new(0));
    let its = runs.clone();
    let barrier = Barrier::with_action(5, move || {
        thread::sleep(Duration::from_millis(5));
        its.fetch_add(1, SeqCst);
    });
    let all_have_looked = Barrier::new(5);
    process::scope(|s| {
        for _ in 0..5 {
            s.spawn(|| {
                for pass in 1..=10 {
                    barrier.wait().unwrap();
                    assert_eq!(runs.load(SeqCst), pass);
                    all_have_looked.wait().unwrap();
                }
            });
        }
    });
}

fn barr_04_abort() {
    let barrier = Barrier::new(4);
    let waiting: Vec<_> = (0..3).map(|_| party(&barrier)).collect();
    assert_eq!((barrier.waiting(), barrier.is_broken()), (3, None));
    barrier.abort();
    for child in waiting {
        assert_eq!(child.join().unwrap(), "it was aborted");
    }
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, Some(BrokenCause::Aborted)));
    let broken = barrier.wait().unwrap_err();
    assert_eq!(broken.to_string(), "broken barrier: it was aborted");
    assert_eq!(barrier.wait_timeout(Duration::ZERO), Err(broken), "the first cause stays");
}

fn barr_06_abort_and_reset() {
    let barrier = Barrier::new(3);
    let waiting: Vec<_> = (0..2).map(|_| party(&barrier)).collect();
    barrier.abort();
    waiting.into_iter().for_each(|child| assert_eq!(child.join().unwrap(), "it was aborted"));
    barrier.reset();
    at_rest(&barrier);
    passes(&barrier);
}

fn barr_08_time_out_breaks_it_for_all() {
    let barrier = Barrier::new(3);
    let other = party(&barrier);
    takes(Duration::from_millis(40), || {
        barrier.reset();
        assert_eq!(
            barrier.wait_timeout(Duration::from_millis(40)).map_err(|broken| broken.cause()),
            Err(BrokenCause::TimedOut)
        );
    });
    assert_eq!(other.join().unwrap(), "it was reset meanwhile");
    assert_eq!(barrier.is_broken(), Some(BrokenCause::TimedOut));
    barrier.reset();
    let other = party(&barrier);
    assert!(barrier.wait_timeout(Duration::ZERO).is_err());
    assert_eq!(other.join().unwrap(), "the time of one that waited was up");
    barrier.reset();
    passes(&barrier);
}

fn barr_09_one_party_passes_at_once() {
    let barrier = Barrier::new(1);
    for _ in 0..1_000 {
        assert!(barrier.wait().unwrap().is_leader());
        assert_eq!(barrier.wait_timeout(Duration::ZERO).map(|passed| passed.index()), Ok(0));
    }
    at_rest(&barrier);
}

fn barr_11_action_fails() {
    let fails = Shared::new(AtomicBool::new(true));
    let its = fails.clone();
    let barrier = Barrier::with_action(2, move || assert!(!its.load(SeqCst), "the action fails"));
    let other = party(&barrier);
    let failed = catch_unwind(AssertUnwindSafe(|| barrier.wait())).unwrap_err();
    assert_eq!(failed.downcast_ref::<&str>(), Some(&"the action fails"));
    let pid = std::process::id();
    assert_eq!(other.join().unwrap(), format!("the action panicked in process {pid}"));
    assert_eq!(barrier.is_broken(), Some(BrokenCause::ActionPanicked { pid }));
    fails.store(false, SeqCst);
    barrier.reset();
    passes(&barrier);
}

fn barr_12_a_killed_party_is_named() {
    for asleep_for in [0, 700] {
        let barrier = Barrier::new(4);
        let (dead, others) = (party(&barrier), [party(&barrier), party(&barrier)]);
        thread::sleep(Duration::from_millis(asleep_for));
        let start = Instant::now();
        let pid = kill(dead);
        for child in others {
            assert_eq!(child.join().unwrap(), format!("process {pid} died while it waited"));
        }
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        assert_eq!(barrier.is_broken(), Some(BrokenCause::OwnerDied { pid }));
    }
}

fn a_dead_party_is_noticed_by_the_last_to_come() {
    let barrier = Barrier::with_action(2, || panic!("not all are there"));
    let pid = kill(party(&barrier));
    assert_eq!(barrier.wait().unwrap_err().cause(), BrokenCause::OwnerDied { pid });
}

fn a_party_that_dies_in_the_action_is_named() {
    let barrier = Barrier::with_action(2, sleep_for_ever);
    let (first, last) = (party(&barrier), party(&barrier));
    let start = Instant::now();
    let pid = kill(last);
    assert_eq!(first.join().unwrap(), format!("process {pid} died while it waited"));
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
}

fn the_dead_of_an_earlier_generation_do_not_count() {
    let barrier = Barrier::new(2);
    for _ in 0..20 {
        let first = party(&barrier);
        let its = barrier.clone();
        let last = process::spawn(move || {
            its.wait().unwrap();
            sleep_for_ever();
        });
        assert_eq!(first.join().unwrap(), "passed");
        kill(last);
        at_rest(&barrier);
    }
}

fn after_a_death_and_a_reset_it_works() {
    let barrier = Barrier::new(3);
    for _ in 0..5 {
        kill(party(&barrier));
        assert!(barrier.wait().is_err());
        barrier.reset();
        passes(&barrier);
    }
}

fn a_reset_fails_those_that_wait() {
    let barrier = Barrier::new(3);
    let waiting = [party(&barrier), party(&barrier)];
    barrier.reset();
    waiting.into_iter().for_each(|child| assert_eq!(child.join().unwrap(), "it was reset meanwhile"));
    at_rest(&barrier);
    passes(&barrier);
}

fn more_processes_than_parties_take_turns() {
    const PASSES: u32 = 1_000;
    let (runs, passed) = (Shared::new(AtomicU32::new(0)), Shared::new(AtomicU32::new(0)));
    let its = runs.clone();
    let barrier = Barrier::with_action(3, move || {
        its.fetch_add(1, SeqCst);
    });
    process::scope(|s| {
        for _ in 0..5 {
            s.spawn(|| {
                while runs.load(SeqCst) < PASSES && barrier.wait().is_ok() {
                    passed.fetch_add(1, SeqCst);
                }
                // Some would wait for parties that come no more.
                barrier.abort();
            });
        }
    });
    assert!(runs.load(SeqCst) >= PASSES);
    assert!(passed.load(SeqCst) <= 3 * runs.load(SeqCst) && passed.load(SeqCst) >= 3 * (PASSES - 2));
}

fn a_long_action_does_not_hold_up_a_time_out() {
    let barrier = Barrier::with_action(2, sleep_for_ever);
    let last = Shared::new(AtomicBool::new(false));
    let (its, go) = (barrier.clone(), last.clone());
    let acts = process::spawn(move || {
        eventually("the other waits", || its.waiting() == 1);
        go.store(true, SeqCst);
        let _ = its.wait();
    });
    let start = Instant::now();
    let broken = barrier.wait_timeout(Duration::from_millis(200)).unwrap_err();
    assert_eq!(broken.cause(), BrokenCause::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(200) && last.load(SeqCst));
    kill(acts);
}

fn nobody_is_no_number_of_parties() {
    for parties in [0, 65_536, usize::MAX] {
        let refused = Barrier::try_new(parties).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput, "{refused}");
        assert!(catch_unwind(|| Barrier::new(parties)).is_err());
    }
    assert_eq!(Barrier::new(65_535).parties(), 65_535);
}

fn threads_are_parties_too() {
    let barrier = Barrier::new(4);
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..1_000).for_each(|_| assert!(barrier.wait().is_ok())));
        }
    });
    at_rest(&barrier);
}

fn a_thousand_parties() {
    let barrier = Barrier::new(1_000);
    process::scope(|s| {
        for _ in 0..1_000 {
            s.spawn(|| (0..3).for_each(|_| assert!(barrier.wait().is_ok())));
        }
    });
    at_rest(&barrier);
}

fn dropping_the_last_handle_unmaps() {
    let before = mappings();
    let barrier = Barrier::try_new(2).unwrap();
    let another = barrier.clone();
    drop(barrier);
    assert!(mappings() > before);
    drop(another);
    assert_eq!(mappings(), before);
}
