//! Measuring in turn: all contestants in each round, in the opposite order every other time.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// How much time is spent on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Effort {
    /// An odd number, so that one of them is the median.
    pub(crate) rounds: usize,
    /// How long a batch of one operation lasts.
    pub(crate) batch: Duration,
    /// How long a lock is contended.
    pub(crate) contest: Duration,
}

impl Effort {
    pub(crate) const FULL: Effort =
        Effort { rounds: 5, batch: Duration::from_millis(1), contest: Duration::from_millis(200) };
    pub(crate) const QUICK: Effort =
        Effort { rounds: 3, batch: Duration::from_micros(200), contest: Duration::from_millis(20) };
}

/// How many batches of an operation make a round. Short ones and many: what disturbs the machine for a
/// while then disturbs all contestants alike.
const BATCHES: usize = 51;

/// One that is measured: ours, a limit or a peer.
pub(crate) struct Contestant<'a> {
    name: &'static str,
    /// How often it has its turn in a round.
    turns: usize,
    measure: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    /// The same, with another unit: so many times what was measured.
    pub(crate) fn scaled(self, factor: f64) -> Contestant<'a> {
        let mut measure = self.measure;
        Contestant { measure: Box::new(move || measure() * factor), ..self }
    }
}

/// One that has few turns in each round, and long ones.
pub(crate) fn contestant<'a>(
    name: &'static str,
    turns: usize,
    measure: impl FnMut() -> f64 + 'a,
) -> Contestant<'a> {
    Contestant { name, turns, measure: Box::new(measure) }
}

/// One of which the seconds are measured that one of `operations(n)` takes: by `CLOCK_MONOTONIC`, or by
/// `CLOCK_THREAD_CPUTIME_ID` if it never waits, so that other programs' turns on the CPU do not count.
pub(crate) fn operation<'a>(
    effort: Effort,
    clock: ClockId,
    name: &'static str,
    mut operations: impl FnMut(u64) + 'a,
) -> Contestant<'a> {
    let mut time = move |n| {
        let now = || Duration::from(clock_gettime(clock).expect("a clock"));
        let start = now();
        operations(n);
        (now() - start).as_secs_f64()
    };
    let batch = effort.batch.as_secs_f64();
    // Doubled until it lasts long enough for the clock. The better of two: the first time of all finds things
    // out that it need not again, and any time may be interrupted.
    let mut better = |n| f64::min(time(n), time(n));
    let (mut n, mut took) = (1, better(1));
    while took < batch / 8.0 {
        n *= 2;
        took = better(n);
    }
    let count = (n as f64 * batch / took).ceil();
    Contestant { name, turns: BATCHES, measure: Box::new(move || time(count as u64) / count) }
}

/// What one contestant reached, round by round.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<f64>,
}

impl Series {
    /// The one of this name; with no values if there is none, because it could not be measured.
    pub(crate) fn find(all: &[Series], name: &'static str) -> Series {
        let found = all.iter().find(|series| series.name == name);
        found.cloned().unwrap_or(Series { name, values: Vec::new() })
    }
}

/// Measures all of them, round by round: of each the median of its turns.
pub(crate) fn rounds(effort: Effort, mut contestants: Vec<Contestant<'_>>) -> Vec<Series> {
    let mut all: Vec<_> = contestants.iter().map(|c| Series { name: c.name, values: Vec::new() }).collect();
    for round in 0..effort.rounds {
        let mut seen = vec![Vec::new(); contestants.len()];
        for turn in 0..BATCHES {
            let mut order: Vec<_> = (0..contestants.len()).filter(|&i| turn < contestants[i].turns).collect();
            if (round + turn) % 2 == 1 {
                order.reverse();
            }
            for i in order {
                seen[i].push((contestants[i].measure)());
            }
        }
        for (series, seen) in all.iter_mut().zip(seen) {
            series.values.push(median(seen));
        }
    }
    all
}

/// Of those that could be measured. Of nothing: not a number.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
