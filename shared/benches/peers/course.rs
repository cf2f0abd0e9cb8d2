//! The course that whoever carries messages has to run: to and fro (P6), or all one way (P7 to P10).
//!
//! The same text is in the program of the crates (`../crates`), so ours, the limits and the peers do the same. It
//! relies on nothing but the library's public API and the CPU mask.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use shared::memory::Shared;
use shared::process;
use shared::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// 64 bytes.
pub(crate) type Message = [u64; 8];

/// Numbers so large that no codec makes them shorter.
#[inline]
pub(crate) fn message(number: u64) -> Message {
    [!number; 8]
}

#[inline]
pub(crate) fn number(message: &Message) -> u64 {
    assert_eq!(message[0], message[7], "half a message");
    !message[7]
}

/// The number of the last message of all.
const END: u64 = u64::MAX;

/// How those who talk live.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Case {
    /// Each on a CPU of its own, awake.
    Hot,
    /// Whoever is asked has slept for a millisecond.
    Sleeping,
    /// Both on one CPU.
    OneCore,
}

/// Seconds from a question to its answer. Each makes its end in its own process: what says, and what hears.
pub(crate) fn round_trip<SayHere, HearHere, SayThere, HearThere>(
    case: Case,
    time: Duration,
    here: impl FnOnce() -> (SayHere, HearHere) + Send,
    there: impl FnOnce() -> (SayThere, HearThere) + Send,
) -> f64
where
    SayHere: FnMut(Message),
    HearHere: FnMut() -> Message,
    SayThere: FnMut(Message),
    HearThere: FnMut() -> Message,
{
    let together = &Barrier::new(2);
    // Nobody talks before both are there, and nobody leaves before both have heard everything.
    let meet = move || meet(together);
    let pin = move || {
        if case == Case::OneCore {
            pin_to_one_cpu();
        }
    };
    process::scope(|s| {
        // Daemons, so that a failure here would not leave them waiting for one another.
        let answerer = s.spawn_daemon(move || {
            pin();
            let (mut say, mut hear) = there();
            meet();
            loop {
                let message = hear();
                say(message);
                if number(&message) == END {
                    return meet();
                }
            }
        });
        let asker = s.spawn_daemon(move || {
            pin();
            let (mut say, mut hear) = here();
            meet();
            let mut ask = |question| {
                say(message(question));
                assert_eq!(number(&hear()), question);
            };
            let seconds = match case {
                Case::Sleeping => asleep(time, &mut ask),
                Case::Hot | Case::OneCore => {
                    awake(time / 4, &mut ask); // Warms up, and learns.
                    awake(time, &mut ask)
                }
            };
            ask(END);
            meet();
            seconds
        });
        let seconds = asker.join().expect("asks until the time is up");
        answerer.join().expect("answers until it is told to end");
        seconds
    })
}

/// Waits for the others: for so long that nobody waits for ever for one who has failed.
fn meet(together: &Barrier) {
    together.wait_timeout(Duration::from_secs(10)).expect("the others live");
}

fn awake(time: Duration, mut ask: impl FnMut(u64)) -> f64 {
    // Several at once, so that looking at the clock is not what is measured; and the median, as another program's
    // turn on the CPU is not either.
    const BATCH: u64 = 64;
    let (start, mut asked, mut took) = (Instant::now(), 0, Vec::new());
    while start.elapsed() < time {
        let start = Instant::now();
        (asked..asked + BATCH).for_each(&mut ask);
        took.push(start.elapsed());
        asked += BATCH;
    }
    median(took) / BATCH as f64
}

fn asleep(time: Duration, mut ask: impl FnMut(u64)) -> f64 {
    const NAP: Duration = Duration::from_millis(1);
    let turns = (time.as_secs_f64() / NAP.as_secs_f64()).ceil() as u64;
    let took = (0..turns).map(|question| {
        thread::sleep(NAP);
        let start = Instant::now();
        ask(question);
        start.elapsed()
    });
    median(took.collect())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

pub(crate) fn pin_to_one_cpu() {
    let all = sched_getaffinity(Pid::from_raw(0)).expect("the CPUs of this process");
    let first = (0..CpuSet::count()).find(|&cpu| all.is_set(cpu) == Ok(true)).expect("one at least");
    let mut one = CpuSet::new();
    one.set(first).expect("a CPU");
    sched_setaffinity(Pid::from_raw(0), &one).expect("one of ours");
}

/// What producers and consumers share besides what they measure, each word on a page of its own.
struct Flow {
    together: Barrier,
    stop: Shared<AtomicU32>,
    got: Vec<Shared<AtomicU64>>,
}

/// How many messages, and the sum of their numbers.
type Tally = (u64, u64);

impl Flow {
    fn new(many: usize) -> Flow {
        Flow {
            together: Barrier::new(2 * many + 1),
            stop: Shared::new(AtomicU32::new(0)),
            got: (0..many).map(|_| Shared::new(AtomicU64::new(0))).collect(),
        }
    }

    fn produce(&self, mut put: impl FnMut(u64)) -> Tally {
        meet(&self.together);
        let (mut count, mut sum) = (0, 0u64);
        while self.stop.load(Relaxed) == 0 {
            put(count);
            sum = sum.wrapping_add(count);
            count += 1;
        }
        put(END); // As many producers as consumers: one for each.
        meet(&self.together);
        (count, sum)
    }

    fn consume(&self, i: usize, mut get: impl FnMut() -> u64) -> Tally {
        meet(&self.together);
        let (alone, mut count, mut sum) = (self.got.len() == 1, 0, 0u64);
        loop {
            let number = get();
            if number == END {
                break;
            }
            assert!(!alone || number == count, "message {count} came as {number}");
            sum = sum.wrapping_add(number);
            count += 1;
            self.got[i].store(count, Relaxed);
        }
        meet(&self.together);
        (count, sum)
    }

    /// How many were got in a second, once all were warm.
    fn conduct(&self, time: Duration) -> f64 {
        let got = || self.got.iter().map(|got| got.load(Relaxed)).sum::<u64>();
        meet(&self.together);
        thread::sleep(time / 4);
        let (start, before) = (Instant::now(), got());
        thread::sleep(time);
        let (took, after) = (start.elapsed(), got());
        self.stop.store(1, Relaxed);
        meet(&self.together);
        (after - before) as f64 / took.as_secs_f64()
    }
}

fn total(tallies: impl Iterator<Item = Tally>) -> Tally {
    tallies.fold((0, 0), |all, one| (all.0 + one.0, all.1.wrapping_add(one.1)))
}

/// Messages per second from `many` producers to as many consumers, all of them processes. Each makes its end in its
/// own process: what puts the message of a number, and what gets one and returns its number.
pub(crate) fn by_processes<Put: FnMut(u64), Get: FnMut() -> u64>(
    many: usize,
    time: Duration,
    producer: impl Fn() -> Put + Sync,
    consumer: impl Fn() -> Get + Sync,
) -> f64 {
    let (flow, producer, consumer) = (&Flow::new(many), &producer, &consumer);
    process::scope(|s| {
        let consumers: Vec<_> =
            (0..many).map(|i| s.spawn_daemon(move || flow.consume(i, consumer()))).collect();
        let producers: Vec<_> = (0..many).map(|_| s.spawn_daemon(move || flow.produce(producer()))).collect();
        let per_second = flow.conduct(time);
        let put = total(producers.into_iter().map(|child| child.join().expect("puts until it is stopped")));
        let got =
            total(consumers.into_iter().map(|child| child.join().expect("gets until there is no more")));
        assert_eq!(put, got, "messages were lost");
        per_second
    })
}

/// The same by threads, for those who know nothing of processes.
#[allow(dead_code, reason = "in the program of the crates alone")]
pub(crate) fn by_threads<Put: FnMut(u64), Get: FnMut() -> u64>(
    many: usize,
    time: Duration,
    producer: impl Fn() -> Put + Sync,
    consumer: impl Fn() -> Get + Sync,
) -> f64 {
    let (flow, producer, consumer) = (&Flow::new(many), &producer, &consumer);
    thread::scope(|s| {
        let consumers: Vec<_> = (0..many).map(|i| s.spawn(move || flow.consume(i, consumer()))).collect();
        let producers: Vec<_> = (0..many).map(|_| s.spawn(move || flow.produce(producer()))).collect();
        let per_second = flow.conduct(time);
        let put = total(producers.into_iter().map(|thread| thread.join().expect("puts until it is stopped")));
        let got =
            total(consumers.into_iter().map(|thread| thread.join().expect("gets until there is no more")));
        assert_eq!(put, got, "messages were lost");
        per_second
    })
}
