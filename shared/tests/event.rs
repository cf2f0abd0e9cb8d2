//! `Event` among living processes.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{clock, eventually, sleeps_in, takes};
use nix::errno::Errno;
use nix::libc::SYS_futex;
use nix::sys::signal::{self, SaFlags, SigAction, SigHandler, SigSet, Signal, raise};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process;
use shared::sync::Event;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        evt_01_new_event_is_not_set,
        evt_02_a_set_event_is_there_at_once,
        evt_03_another_process_sets_it_later,
        evt_04_set_and_clear_are_idempotent,
        evt_05_one_set_releases_all,
        evt_07_debug_text,
        a_set_and_clear_releases_all_who_waited,
        sleeping_waiters_are_woken_by_the_set,
        a_waiter_sleeps,
        a_waiter_of_the_next_round_is_not_released_by_the_last,
        what_was_written_before_the_set_is_seen_after_the_wait,
        a_timeout_loses_nothing,
        absurd_timeouts_are_for_ever,
        a_signal_does_not_end_a_wait_early,
        a_handler_may_set_it,
        a_killed_waiter_is_not_missed,
        events_are_independent,
        dropping_the_last_handle_unmaps,
    }
}

const LONG: Duration = Duration::from_secs(20);

/// At once, by a clock that a loaded machine may hold up.
#[track_caller]
fn at_once(f: impl FnOnce()) {
    let start = Instant::now();
    f();
    assert!(start.elapsed() < LONG / 2, "it took {:?}", start.elapsed());
}

/// So many children wait for the event and say so; `f` runs when all of them sleep, and must release them.
fn while_children_wait(event: &Event, many: usize, f: impl FnOnce()) {
    process::scope(|s| {
        let children: Vec<_> = (0..many).map(|_| s.spawn(|| event.wait_timeout(LONG))).collect();
        for child in &children {
            eventually("it sleeps", || sleeps_in(SYS_futex, child.process().id()));
        }
        f();
        at_once(|| children.into_iter().for_each(|child| assert!(child.join().unwrap(), "released")));
    });
}

fn evt_01_new_event_is_not_set() {
    let event = Event::new();
    assert!(!event.is_set());
    at_once(|| assert!(!event.wait_timeout(Duration::ZERO)));
    for micros in [0, 1, 300, 7_000, 40_000] {
        let time = Duration::from_micros(micros);
        takes(time, || assert!(!event.wait_timeout(time)));
    }
    assert!(!event.is_set());
    assert!(!Event::default().is_set() && !Event::try_new().unwrap().is_set());
}

fn evt_02_a_set_event_is_there_at_once() {
    let event = Event::new();
    event.set();
    assert!(event.is_set());
    at_once(|| {
        event.wait();
        assert!(event.wait_timeout(LONG));
        assert!(event.wait_timeout(Duration::ZERO));
    });
    assert!(event.is_set());
}

fn evt_03_another_process_sets_it_later() {
    let (event, waiting) = (Event::new(), Shared::new(AtomicBool::new(false)));
    event.set();
    event.clear();
    process::scope(|s| {
        s.spawn(|| {
            eventually("the other waits", || waiting.load(SeqCst));
            thread::sleep(Duration::from_millis(20)); // so that it waits awake, and then asleep
            event.set();
        });
        assert!(!event.is_set());
        waiting.store(true, SeqCst);
        event.wait();
        assert!(event.is_set());
    });
}

fn evt_04_set_and_clear_are_idempotent() {
    let event = Event::new();
    for _ in 0..3 {
        event.set();
        assert!(event.is_set());
        event.set();
        assert!(event.is_set() && event.wait_timeout(Duration::ZERO));
        event.clear();
        assert!(!event.is_set());
        event.clear();
        assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
    }
}

fn evt_05_one_set_releases_all() {
    let event = Event::new();
    process::scope(|s| {
        let twice = || event.wait_timeout(LONG) && event.wait_timeout(LONG);
        let children: Vec<_> = (0..5).map(|_| s.spawn(twice)).collect();
        for child in &children {
            eventually("it sleeps", || sleeps_in(SYS_futex, child.process().id()));
        }
        event.set();
        at_once(|| children.into_iter().for_each(|child| assert!(child.join().unwrap())));
    });
    assert!(event.is_set());
}

fn evt_07_debug_text() {
    let event = Event::new();
    assert!(format!("{event:?}").starts_with("Event { set: false"), "{event:?}");
    event.set();
    assert!(format!("{event:?}").starts_with("Event { set: true"), "{event:?}");
}

/// In CPython too; but there the one who sets waits for all of them.
fn a_set_and_clear_releases_all_who_waited() {
    let event = Event::new();
    for _ in 0..5 {
        while_children_wait(&event, 5, || {
            event.set();
            event.clear();
        });
        assert!(!event.is_set());
    }
}

/// By the set, and not by the ends of their slices: those are 800 ms long after a while.
fn sleeping_waiters_are_woken_by_the_set() {
    let (event, last) = (Event::new(), Shared::new(AtomicU64::new(0)));
    let best = (0..3).map(|_| {
        process::scope(|s| {
            let wait = || {
                event.wait();
                last.fetch_max(clock(), SeqCst);
            };
            let children: Vec<_> = (0..3).map(|_| s.spawn(wait)).collect();
            for child in &children {
                eventually("it sleeps", || sleeps_in(SYS_futex, child.process().id()));
            }
            thread::sleep(Duration::from_millis(700)); // so that they are asleep in long slices
            let set_at = clock();
            event.set();
            event.clear();
            children.into_iter().for_each(|child| child.join().unwrap());
            last.load(SeqCst) - set_at
        })
    });
    let best = Duration::from_nanos(best.min().unwrap());
    assert!(best < Duration::from_millis(20), "the last was woken after {best:?}");
}

fn a_waiter_sleeps() {
    let event = Event::new();
    while_children_wait(&event, 1, || event.set()); // which looks at its state
}

fn a_waiter_of_the_next_round_is_not_released_by_the_last() {
    let event = Event::new();
    while_children_wait(&event, 3, || {
        event.set();
        event.clear();
        assert!(!event.wait_timeout(Duration::from_millis(50)), "that was another round");
    });
}

/// Two that take turns by two events, for long: no wait may end early, none be missed.
fn what_was_written_before_the_set_is_seen_after_the_wait() {
    const TURNS: u64 = 20_000;
    let (ping, pong) = (Event::new(), Event::new());
    let number = Shared::new(AtomicU64::new(0));
    process::scope(|s| {
        s.spawn(|| {
            for turn in 0..TURNS {
                ping.wait();
                ping.clear();
                assert_eq!(number.load(Relaxed), 2 * turn + 1);
                number.store(2 * turn + 2, Relaxed);
                pong.set();
            }
        });
        for turn in 0..TURNS {
            assert_eq!(number.load(Relaxed), 2 * turn);
            number.store(2 * turn + 1, Relaxed);
            ping.set();
            pong.wait();
            pong.clear();
        }
    });
    assert_eq!(number.load(Relaxed), 2 * TURNS);
}

/// Waits that end by themselves at about the time of the set: each is told the truth, and nobody is missed.
fn a_timeout_loses_nothing() {
    let (event, stop) = (Event::new(), Shared::new(AtomicBool::new(false)));
    let rounds = Shared::new(AtomicU32::new(0));
    process::scope(|s| {
        for micros in [1, 40, 150, 1_000] {
            let (event, stop) = (&event, &stop);
            s.spawn(move || {
                while !stop.load(SeqCst) {
                    let _ = event.wait_timeout(Duration::from_micros(micros));
                }
            });
        }
        let patient = s.spawn(|| {
            for round in 0..500 {
                event.wait();
                event.clear();
                rounds.store(round + 1, SeqCst);
            }
        });
        for round in 0..500 {
            event.set();
            at_once(|| eventually("the patient one was released", || rounds.load(SeqCst) > round));
        }
        patient.join().unwrap();
        stop.store(true, SeqCst);
    });
}

fn absurd_timeouts_are_for_ever() {
    let event = Event::new();
    for forever in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(i64::MAX as u64)] {
        process::scope(|s| {
            let child = s.spawn(|| event.wait_timeout(forever));
            eventually("it sleeps", || sleeps_in(SYS_futex, child.process().id()));
            event.set();
            assert!(child.join().unwrap());
        });
        event.clear();
    }
}

fn a_signal_does_not_end_a_wait_early() {
    let came = std::sync::Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, came.clone()).unwrap();
    let (event, done) = (Event::new(), Shared::new(AtomicBool::new(false)));
    process::scope(|s| {
        s.spawn(|| {
            let parent = nix::unistd::getppid();
            while !done.load(SeqCst) {
                signal::kill(parent, Signal::SIGUSR1).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let time = Duration::from_millis(100);
        takes(time, || assert!(!event.wait_timeout(time)));
        done.store(true, SeqCst);
    });
    assert!(came.load(SeqCst));
}

/// What the handler of the next test sets.
static HANDLED: OnceLock<Event> = OnceLock::new();

extern "C" fn set_it(_: nix::libc::c_int) {
    if let Some(event) = HANDLED.get() {
        event.set();
    }
}

#[allow(unsafe_code)]
fn a_handler_may_set_it() {
    let event = HANDLED.get_or_init(Event::new);
    let action = SigAction::new(SigHandler::Handler(set_it), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler calls `set`, which may be called there.
    unsafe { signal::sigaction(Signal::SIGUSR1, &action) }.unwrap();

    // With a sleeper, so that there is somebody to wake.
    while_children_wait(event, 1, || {
        Errno::set_raw(77);
        raise(Signal::SIGUSR1).unwrap();
        assert_eq!(Errno::last_raw(), 77, "errno is the interrupted code's");
    });
    assert!(event.is_set());
    event.clear();

    // And while the one who is interrupted waits for it: awake at first, then asleep.
    process::scope(|s| {
        let child = s.spawn(|| event.wait_timeout(LONG));
        eventually("it sleeps", || sleeps_in(SYS_futex, child.process().id()));
        signal::kill(Pid::from_raw(child.process().id() as i32), Signal::SIGUSR1).unwrap();
        at_once(|| assert!(child.join().unwrap()));
    });
}

fn a_killed_waiter_is_not_missed() {
    let event = Event::new();
    for _ in 0..3 {
        while_children_wait(&event, 2, || {
            let victim = process::spawn({
                let event = event.clone();
                move || event.wait()
            });
            eventually("it sleeps", || sleeps_in(SYS_futex, victim.process().id()));
            victim.kill().unwrap();
            assert!(victim.join().is_err());
            event.set();
        });
        event.clear();
        assert!(!event.wait_timeout(Duration::ZERO));
    }
}

fn events_are_independent() {
    let events: Vec<_> = (0..50).map(|_| Event::new()).collect();
    events.iter().step_by(2).for_each(Event::set);
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event.clone().wait_timeout(Duration::ZERO), place % 2 == 0);
    }
}

fn dropping_the_last_handle_unmaps() {
    let warm_up = Event::new();
    let before = harness::tools::mappings();
    let event = Event::new();
    let clone = event.clone();
    assert_eq!(harness::tools::mappings(), before + 1);
    drop(event);
    assert_eq!(harness::tools::mappings(), before + 1);
    drop(clone);
    assert_eq!(harness::tools::mappings(), before);
    drop(warm_up);
}
