//! SIGKILL of a consumer: what it was eating is eaten by the other, if the queue has lent it; and the end comes.
//! SIGKILL of a producer, and of the main process.

mod meals;

use meals::{CONSUMERS, Meals, PRODUCERS, meals};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::demo::laws;
use shared::demo::transcript::{Started, children};
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const JOINABLE: &str = env!("CARGO_BIN_EXE_producer_consumer");
const SENTINEL: &str = env!("CARGO_BIN_EXE_producer_consumer_sentinel");
const BOTH: [&str; 2] = [JOINABLE, SENTINEL];

/// How often each program loses its main process.
const TIMES: u32 = 18;

/// The cast in the order in which they are started.
fn cast() -> Vec<&'static str> {
    PRODUCERS.iter().map(|(name, _)| *name).chain(CONSUMERS).collect()
}

/// A run whose processes are all there, and their pids, in that order.
fn started(program: &str, arguments: &[&str]) -> (Started, Vec<u32>) {
    let started = Started::new(program, &[arguments, &["--seed", "1"]].concat());
    let (mut pids, begun) = (Vec::new(), Instant::now());
    while pids.len() < cast().len() {
        assert!(begun.elapsed() < Duration::from_secs(10), "over before all were seen");
        pids = children(started.id());
    }
    (started, pids)
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("it is there");
}

/// The run has ended, and named these dead and nobody else. What was eaten.
#[track_caller]
fn end(started: Started, dead: &str) -> Meals {
    let transcript = started.finish();
    let complaints = transcript.complaints();
    assert_eq!((transcript.status, complaints.len()), (1, 1), "{transcript:#?}");
    assert!(complaints[0].contains(dead) && complaints[0].contains("SIGKILL"), "{transcript:#?}");
    meals(&transcript.lines)
}

/// One consumer is stopped, so the other must have taken the item; and is killed in the middle of the meal.
#[test]
fn what_a_dead_consumer_was_eating_is_eaten_by_the_other() {
    thread::scope(|s| {
        for (dead, other) in [(3, 4), (4, 3)].repeat(3) {
            s.spawn(move || {
                let (mut started, pids) = started(JOINABLE, &["--time-scale", "0.5", "--items", "2"]);
                signal(pids[other], Signal::SIGSTOP);
                let mut output = BufReader::new(started.take_stdout());
                let mut told = String::new();
                // The first has been put when the second is told of.
                for _ in 0..2 {
                    output.read_line(&mut told).expect("text");
                }
                signal(pids[dead], Signal::SIGKILL);
                signal(pids[other], Signal::SIGCONT);
                let rest: Vec<_> = output.lines().map(|line| line.expect("text")).collect();
                let lines: Vec<_> = told.lines().map(str::to_owned).chain(rest).collect();
                let meals = meals(&lines);
                assert_eq!(meals.len(), 6, "{lines:#?}");
                assert!(meals.values().all(|eaters| *eaters == [cast()[other]]), "{lines:#?}");
                end(started, cast()[dead]);
            });
        }
    });
}

/// At full speed the kill finds a consumer anywhere. The one item that it was eating may be eaten twice, by it and
/// then by the other; none is lost.
#[test]
fn no_item_is_lost_at_any_moment_and_none_but_the_last_is_eaten_twice() {
    const ITEMS: usize = 5000;
    for n in 0..TIMES {
        let (dead, other) = if n % 2 == 0 { (3, 4) } else { (4, 3) };
        let (started, pids) = started(JOINABLE, &["--time-scale", "0", "--items", &ITEMS.to_string()]);
        thread::sleep(rand::random_range(Duration::ZERO..Duration::from_millis(20)));
        signal(pids[dead], Signal::SIGKILL);
        let meals = end(started, cast()[dead]);
        assert_eq!(meals.len(), 3 * ITEMS);
        let others: Vec<_> = meals.iter().filter(|(_, eaters)| eaters.len() != 1).collect();
        let twice = [cast()[dead].to_owned(), cast()[other].to_owned()];
        assert!(others.len() <= 1 && others.iter().all(|(_, eaters)| **eaters == twice), "{others:?}");
    }
}

/// The queue has given it away for good: at most that one item is missing.
#[test]
fn without_a_lease_what_a_dead_consumer_was_eating_is_lost_and_the_end_comes_all_the_same() {
    let lost = AtomicUsize::new(0);
    thread::scope(|s| {
        for dead in [3, 4].repeat(3) {
            let lost = &lost;
            s.spawn(move || {
                let (started, pids) = started(SENTINEL, &["--time-scale", "0.1"]);
                thread::sleep(rand::random_range(Duration::from_millis(350)..Duration::from_millis(450)));
                signal(pids[dead], Signal::SIGKILL);
                let meals = end(started, cast()[dead]);
                let missing = meals.values().filter(|eaters| eaters.is_empty()).count();
                assert!(meals.len() == 9 && missing <= 1, "{meals:#?}");
                lost.fetch_add(missing, Relaxed);
            });
        }
    });
    assert!(lost.into_inner() > 0, "a lease is not needed");
}

#[test]
fn when_nobody_is_left_to_eat_the_program_ends_and_says_why() {
    for program in BOTH {
        let (started, pids) = started(program, &["--time-scale", "0.1"]);
        for consumer in &pids[3..] {
            signal(*consumer, Signal::SIGKILL);
        }
        let meals = end(started, CONSUMERS[0]);
        assert_eq!(meals.len(), 9, "the producers have finished: {meals:#?}");
    }
}

/// What it has put is eaten; what it has only told of is not.
#[test]
fn a_dead_producer_is_named_and_what_the_others_make_is_eaten() {
    for program in BOTH {
        for (dead, (name, food)) in PRODUCERS.into_iter().enumerate() {
            let (started, pids) = started(program, &["--time-scale", "0.1"]);
            thread::sleep(rand::random_range(Duration::ZERO..Duration::from_millis(250)));
            signal(pids[dead], Signal::SIGKILL);
            let meals = end(started, name);
            let missing: Vec<_> = meals.iter().filter(|(_, eaters)| eaters.len() != 1).collect();
            assert!(
                missing.len() <= 1 && missing.iter().all(|(item, _)| item.starts_with(food)),
                "{meals:#?}"
            );
            assert_eq!(meals.keys().filter(|item| !item.starts_with(food)).count(), 6, "{meals:#?}");
        }
    }
}

#[test]
fn consumers_go_with_main_and_producers_finish_their_story() {
    for program in BOTH {
        for _ in 0..TIMES {
            let started = Started::new(program, &["--time-scale", "0.05"]);
            laws::ends_when_main_is_killed(started, Duration::from_millis(500), 3);
        }
    }
}
