//! `Semaphore` and `BoundedSemaphore`: how many permits there are, who may have them, and what is refused.
//! Crowds are in `semaphore_waits.rs`, deaths in `semaphore_died.rs`.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::{BOUND, holder_of, kill, take_all};
use harness::tools::{mappings, shared_memory, takes};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shared::memory::Shared;
use shared::process;
use shared::sync::{BoundedSemaphore, ReleaseError, Semaphore};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

harness::main! {
    trials {
        sem_01_two_permits_come_and_go,
        sem_02_released_past_its_start,
        sem_03_bounded_is_not_released_past_its_bound,
        sem_04_on_none_at_once_or_not_before_the_time,
        sem_05_start_value_out_of_range,
        sem_08_default_nesting_and_failing_bodies,
        no_fork_while_a_permit_is_held,
        all_65535_are_there_and_no_more,
        a_hole_among_65535_is_found,
        a_refused_release_changes_nothing,
        want_of_memory_is_an_error,
        ten_thousand_live_at_once within 60,
        every_clone_is_the_same_semaphore,
        debug_texts_and_errors,
    }
}

const MOST: u32 = 65_535;

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
