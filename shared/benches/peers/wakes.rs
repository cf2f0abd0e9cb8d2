//! P5: how long it takes to wake another process.
//!
//! Two processes hand something to and fro, by two of the same kind: a hand-over is one way. Anything that one can
//! give and the other can wait for is a [`Baton`].
//!
//! Asleep the limit is measured by the same two processes, nap by nap, and what counts is a mean: who is woken runs
//! either at once, after some 4 µs, or when who woke it goes to sleep, after some 12. The scheduler chooses, about
//! as often the one as the other, so a median would be now the one, now the other.

use crate::course::pin_to_one_cpu;
use crate::peers::{FutexWord, SpinCondition, SpinWord};
use crate::python::python;
use crate::round::{Contestant, Effort, Series, contestant, median, rounds};
use crate::table::{MICROSECONDS, Row, Target};
use nix::time::ClockId;
use shared::memory::Shared;
use shared::process;
use shared::sync::{Condition, Event, Lock};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// For so long a sleeper has slept.
const NAP: Duration = Duration::from_millis(1);
/// The limit of all who sleep.
const FUTEX: &str = "raw futex";

/// Given by one, taken by another.
pub(crate) trait Baton: Sync {
    fn new() -> Self
    where
        Self: Sized;
    fn give(&self);
    /// Waits until it was given, and makes it ready for the next time.
    fn take(&self);
}

impl Baton for Event {
    fn new() -> Event {
        Event::new()
    }

    #[inline(always)]
    fn give(&self) {
        self.set();
    }

    #[inline(always)]
    fn take(&self) {
        self.wait();
        self.clear();
    }
}

/// A flag, its lock and its condition. It is given back before the other is notified, who would only wait for it.
impl Baton for (Lock<u32>, Condition) {
    fn new() -> (Lock<u32>, Condition) {
        (Lock::new(0), Condition::new())
    }

    #[inline(always)]
    fn give(&self) {
        *self.0.lock().expect("nobody dies") = 1;
        self.1.notify_one();
    }

    #[inline(always)]
    fn take(&self) {
        let flag = self.0.lock().expect("nobody dies");
        *self.1.wait_while(flag, |flag| *flag == 0).expect("nobody dies") = 0;
    }
}

/// How those who hand it over live.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    /// Each on a CPU of its own, awake.
    Hot,
    /// Both on one CPU.
    OneCore,
    /// Two pairs at once: on two CPUs more than can run.
    TwoPairs,
}

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let titles =
        ["`Event`, hot", "`Event`, sleeping", "`Event`, both on one core", "`Event`, two pairs at once"];
    let in_python = ["fork.Event()", "baton.set()", "baton.wait(); baton.clear()"];
    let mut rows = of::<Event, SpinWord>(effort, "Event", "raw spin", titles, in_python);
    let titles = [
        "`Condition`, hot",
        "`Condition`, sleeping",
        "`Condition`, both on one core",
        "`Condition`, two pairs at once",
    ];
    let in_python = [
        "(fork.Condition(), fork.RawValue('i', 0))",
        "\n  with baton[0]: baton[1].value = 1; baton[0].notify()",
        "\n  with baton[0]: baton[0].wait_for(lambda: baton[1].value); baton[1].value = 0",
    ];
    // To be notified is not all: it must have its lock again.
    rows.extend(of::<(Lock<u32>, Condition), SpinCondition>(
        effort,
        "Condition",
        "raw spin with a lock",
        titles,
        in_python,
    ));
    rows
}

/// The rows of one kind, with the least that it takes when hot, and how Python makes, gives and takes its own.
fn of<B: Baton, Least: Baton>(
    effort: Effort,
    name: &'static str,
    least: &'static str,
    titles: [&'static str; 4],
    in_python: [&str; 3],
) -> Vec<Row> {
    const CASES: [Case; 3] = [Case::Hot, Case::OneCore, Case::TwoPairs];
    let mut contestants = vec![one::<Least>(least, Case::Hot, effort)];
    for case in CASES {
        contestants.extend([one::<B>(name, case, effort), one::<FutexWord>(FUTEX, case, effort)]);
    }
    let peers = contestants.len();
    contestants.extend(python_hands_over(in_python, ""));
    contestants
        .extend(python_hands_over(in_python, "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"));
    let series = rounds(effort, contestants);
    let [asleep, asleep_at_least] = asleep::<B>(name, effort);
    let row = |case, ours: &Series, limit: &Series, peer: Option<&Series>, most| Row {
        id: "P5",
        case,
        unit: MICROSECONDS,
        ours: ours.clone(),
        limit: Some(limit.clone()),
        peers: peer.into_iter().cloned().collect(),
        against: Some(limit.clone()),
        target: Target::AtMost(most),
    };
    let (anywhere, on_one_core) = (series.get(peers), series.get(peers + 1));
    let [hot, sleeping, one_core, two_pairs] = titles;
    vec![
        row(hot, &series[1], &series[0], anywhere, 1.5),
        row(sleeping, &asleep, &asleep_at_least, anywhere, 1.1),
        row(one_core, &series[3], &series[4], on_one_core, 1.15),
        row(two_pairs, &series[5], &series[6], None, 1.0),
    ]
}

fn one<B: Baton>(name: &'static str, case: Case, effort: Effort) -> Contestant<'static> {
    // Some thousand hand-overs through the kernel.
    let time = effort.contest / 10;
    let measure = move || match case {
        Case::Hot => median(run::<B>(1, false, time)),
        Case::OneCore => median(run::<B>(1, true, time)),
        Case::TwoPairs => mean(run::<B>(2, false, time * 5)),
    };
    contestant(name, 5, measure)
}

fn mean(values: Vec<f64>) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Without the slowest tenth, in which somebody else had the CPU.
fn mean_of_most(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.truncate((values.len() * 9).div_ceil(10));
    mean(values)
}

/// Seconds for one hand-over, of each pair.
fn run<B: Baton>(pairs: usize, on_one_core: bool, time: Duration) -> Vec<f64> {
    let batons: Vec<_> = (0..pairs).map(|_| (B::new(), B::new(), Shared::new(AtomicU64::new(0)))).collect();
    process::scope(|s| {
        let mut clients = Vec::new();
        for (there, back, last) in &batons {
            let pin = move || {
                if on_one_core {
                    pin_to_one_cpu();
                }
            };
            // Daemons, so that a failure here would not leave them waiting for one another.
            s.spawn_daemon(move || {
                pin();
                loop {
                    there.take();
                    let end = last.load(Relaxed) == 1;
                    back.give();
                    if end {
                        return;
                    }
                }
            });
            clients.push(s.spawn_daemon(move || {
                pin();
                let turn = || {
                    there.give();
                    back.take();
                };
                let go_on = |time: Duration| {
                    let (start, mut turns) = (Instant::now(), 0);
                    while start.elapsed() < time {
                        // Several, so that looking at the clock is not what is measured.
                        (0..64).for_each(|_| turn());
                        turns += 64;
                    }
                    start.elapsed().as_secs_f64() / f64::from(turns) / 2.0
                };
                go_on(time / 4); // Warms up, and learns.
                let one_way = go_on(time);
                last.store(1, Relaxed);
                turn();
                one_way
            }));
        }
        clients.into_iter().map(|client| client.join().expect("hands over until the time is up")).collect()
    })
}

/// Ours, and a bare futex: seconds from before the giving to after the taking, by one who has slept.
fn asleep<B: Baton>(name: &'static str, effort: Effort) -> [Series; 2] {
    let mut series = [name, FUTEX].map(|name| Series { name, values: Vec::new() });
    // Some hundred naps for each.
    let turns = (effort.contest.as_secs_f64() / NAP.as_secs_f64() * 3.0) as usize;
    for _ in 0..effort.rounds {
        for (series, took) in series.iter_mut().zip(asleep_in_turn(&B::new(), &FutexWord::new(), turns)) {
            series.values.push(mean_of_most(took));
        }
    }
    series
}

/// Each as often; first the one, then the other, and the other way round every other time.
fn asleep_in_turn(one: &dyn Baton, other: &dyn Baton, turns: usize) -> [Vec<f64>; 2] {
    let batons = [one, other];
    let order = || (0..turns).flat_map(|turn| if turn % 2 == 0 { [0, 1] } else { [1, 0] });
    let taken_at = Shared::new(AtomicU64::new(0));
    process::scope(|s| {
        s.spawn_daemon(|| {
            for i in order() {
                batons[i].take();
                taken_at.store(now(), Relaxed);
            }
        });
        let giver = s.spawn_daemon(|| {
            let mut took = [Vec::new(), Vec::new()];
            for i in order() {
                thread::sleep(NAP);
                let given_at = now();
                batons[i].give();
                while taken_at.load(Relaxed) < given_at {
                    thread::sleep(NAP / 10);
                }
                took[i].push((taken_at.load(Relaxed) - given_at) as f64 / 1e9);
            }
            took
        });
        giver.join().expect("gives until all is taken")
    })
}

/// `CLOCK_MONOTONIC` in nanoseconds, the same in all processes.
fn now() -> u64 {
    Duration::from(ClockId::CLOCK_MONOTONIC.now().expect("a clock")).as_nanos() as u64
}

/// Python's, where each `next` is one hand-over. `pin` is said while there is one process.
fn python_hands_over([new, give, take]: [&str; 3], pin: &str) -> Option<Contestant<'static>> {
    let setup = format!(
        "\
import os
{pin}
there, back = {new}, {new}
def give(baton): {give}
def take(baton): {take}
def answer():
    while True: take(there); give(back)
fork.Process(target=answer, daemon=True).start()
def hand_over():
    while True: give(there); yield; take(back); yield
turns = hand_over()
"
    );
    python("Python", setup, "next(turns)", 1_000)
}
