//! P2, P3 and P12: locks alone and contended, and counters.
//!
//! Every lock guards a number, and the critical section is everywhere the same: [`add_one`].

use crate::peers::{CasAndSwap, Pthread, Semaphore, bare_atomic};
use crate::python::python;
use crate::round::{Contestant, Effort, Series, contestant, operation, rounds};
use crate::table::{MILLIONS, NANOSECONDS, PLAIN, Row, Target};
use nix::time::ClockId;
use shared::memory::Shared;
use shared::process;
use shared::sync::{Lock, ReentrantLock};
use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence};
use std::thread;
use std::time::{Duration, Instant};

/// Nobody waits for a lock that is free.
pub(crate) const OWN_TIME: ClockId = ClockId::CLOCK_THREAD_CPUTIME_ID;

/// A number behind a lock.
pub(crate) trait Counter: Sync {
    fn increment(&self);
    /// What it has come to, if that is known.
    fn total(&self) -> Option<u64>;
}

/// The compiler must not add them up: one load, one store. (By a fence, which is no instruction. `black_box` of the
/// address puts that into memory, and a processor that cannot tell where the store goes may hold back the next loads.)
#[inline(always)]
pub(crate) fn add_one(value: &mut u64) {
    *value += 1;
    compiler_fence(SeqCst);
}

impl Counter for Lock<u64> {
    #[inline(always)]
    fn increment(&self) {
        add_one(&mut self.lock().expect("no owner has died"));
    }

    fn total(&self) -> Option<u64> {
        Some(*self.lock().expect("no owner has died"))
    }
}

impl Counter for Mutex<u64> {
    #[inline(always)]
    fn increment(&self) {
        add_one(&mut self.lock().expect("no owner has panicked"));
    }

    fn total(&self) -> Option<u64> {
        Some(*self.lock().expect("no owner has panicked"))
    }
}

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let mut rows = alone(effort);
    rows.extend(contended(effort));
    rows.extend(counters(effort));
    rows
}

/// P2: nobody else wants the lock.
fn alone(effort: Effort) -> Vec<Row> {
    let mut contestants = vec![
        incremented(effort, "Lock", Lock::new(0u64)),
        nested(effort),
        incremented(effort, "CAS + swap", CasAndSwap::new()),
        incremented(effort, "std Mutex (threads)", Mutex::new(0)),
        incremented(effort, "pthread", Pthread::new(false)),
        incremented(effort, "robust pthread", Pthread::new(true)),
    ];
    contestants.extend(python("Python", "lock = fork.Lock()", "with lock: pass", 100_000));
    let series = rounds(effort, contestants);
    let limit = &series[2];
    let row = |case, ours: usize, target| Row {
        id: "P2",
        case,
        unit: NANOSECONDS,
        ours: series[ours].clone(),
        limit: Some(limit.clone()),
        peers: series[3..].to_vec(),
        against: Some(limit.clone()),
        target: Target::AtMost(target),
    };
    vec![row("`Lock`, uncontended", 0, 1.15), row("`ReentrantLock`, nested", 1, 0.5)]
}

fn incremented<'a>(effort: Effort, name: &'static str, counter: impl Counter + 'a) -> Contestant<'a> {
    let mut wanted = 0;
    operation(effort, OWN_TIME, name, move |n| {
        (0..n).for_each(|_| counter.increment());
        wanted += n;
        assert_eq!(counter.total(), Some(wanted));
    })
}

/// Taken again by its owner.
fn nested(effort: Effort) -> Contestant<'static> {
    let lock = ReentrantLock::new(Cell::new(0u64));
    operation(effort, OWN_TIME, "ReentrantLock", move |n| {
        let outer = lock.lock().expect("no owner has died");
        let before = outer.get();
        for _ in 0..n {
            let inner = lock.lock().expect("no owner has died");
            inner.set(inner.get() + 1);
            compiler_fence(SeqCst);
        }
        assert_eq!(outer.get(), before + n);
    })
}

/// P3: several processes want it all the time.
fn contended(effort: Effort) -> Vec<Row> {
    let shares = [RefCell::new(Vec::new()), RefCell::new(Vec::new())];
    let ours = |processes, shares: &RefCell<Vec<f64>>| {
        let Contest { per_second, share } = by_processes(effort, processes, &Lock::new(0u64));
        shares.borrow_mut().push(share);
        per_second
    };
    let mut contestants = Vec::new();
    for (processes, shares) in [2, 4].into_iter().zip(&shares) {
        let peer = |name, counter: Box<dyn Fn() -> Contest>| {
            contestant(name, CONTESTS, move || counter().per_second)
        };
        let name = if processes == 2 { "own 2" } else { "own 4" };
        contestants.extend([
            contestant(name, CONTESTS, move || ours(processes, shares)),
            peer("pthread", Box::new(move || by_processes(effort, processes, &Pthread::new(false)))),
            peer("robust pthread", Box::new(move || by_processes(effort, processes, &Pthread::new(true)))),
            peer("sem_t", Box::new(move || by_processes(effort, processes, &Semaphore::new(1)))),
            peer("std Mutex (threads)", Box::new(move || by_threads(effort, processes, &Mutex::new(0)))),
        ]);
    }
    let series = rounds(effort, contestants);
    let [two, four] = [&series[..5], &series[5..]];
    let row = |case, ours: &Series, peers: &[Series], against: &Series, least| Row {
        id: "P3",
        case,
        unit: MILLIONS,
        ours: ours.clone(),
        limit: None,
        peers: peers.to_vec(),
        against: Some(against.clone()),
        target: Target::AtLeast(least),
    };
    let [share_of_2, share_of_4] = shares.map(|shares| Row {
        id: "P3",
        case: "",
        unit: PLAIN,
        ours: Series { name: "most / least", values: shares.into_inner() },
        limit: None,
        peers: Vec::new(),
        against: None,
        target: Target::AtMost(1.5),
    });
    vec![
        row("`Lock`, contended by 2 processes", &two[0], &two[1..], &two[1], 1.1),
        row("`Lock`, contended by 4 processes", &four[0], &four[1..], &four[1], 1.1),
        row("the same, beside 2 processes", &four[0], &[], &two[0], 0.85),
        Row { case: "most / least served of 2", ..share_of_2 },
        Row { case: "most / least served of 4", ..share_of_4 },
    ]
}

/// How a contest ended.
pub(crate) struct Contest {
    pub(crate) per_second: f64,
    /// What the one served most had, beside the one served least.
    share: f64,
}

const MOST: usize = 4;

/// How often each contends in a round: who is served most is often the scheduler's choice.
pub(crate) const CONTESTS: usize = 3;

/// What the contestants of one contest share besides the lock, each word on a page of its own.
struct Ring {
    ready: Shared<AtomicU32>,
    go: Shared<AtomicU32>,
    stop: Shared<AtomicU32>,
    served: Shared<[AtomicU64; MOST]>,
}

impl Ring {
    fn new() -> Ring {
        Ring {
            ready: Shared::new(AtomicU32::new(0)),
            go: Shared::new(AtomicU32::new(0)),
            stop: Shared::new(AtomicU32::new(0)),
            served: Shared::new([const { AtomicU64::new(0) }; MOST]),
        }
    }

    fn contend(&self, i: usize, counter: &impl Counter) {
        self.ready.fetch_add(1, Relaxed);
        wait_until(|| self.go.load(Relaxed) == 1);
        let mut served = 0;
        while self.stop.load(Relaxed) == 0 {
            // Several, so that looking at `stop` is not what is measured.
            (0..16).for_each(|_| counter.increment());
            served += 16;
        }
        self.served[i].store(served, Relaxed);
    }

    /// Lets all of them begin, and stops them. Returns for how long they went on.
    fn conduct(&self, effort: Effort, many: usize) -> Duration {
        wait_until(|| self.ready.load(Relaxed) == many as u32);
        let start = Instant::now();
        self.go.store(1, Relaxed);
        thread::sleep(effort.contest);
        self.stop.store(1, Relaxed);
        start.elapsed()
    }

    fn result(&self, many: usize, time: Duration, counter: &impl Counter) -> Contest {
        let served: Vec<_> = self.served[..many].iter().map(|served| served.load(Relaxed)).collect();
        let total: u64 = served.iter().sum();
        assert!(counter.total().is_none_or(|counted| counted == total), "increments were lost");
        let least = served.iter().min().map_or(0, |&least| least.max(1));
        let most = served.iter().max().map_or(0, |&most| most);
        Contest { per_second: total as f64 / time.as_secs_f64(), share: most as f64 / least as f64 }
    }
}

pub(crate) fn by_processes(effort: Effort, many: usize, counter: &impl Counter) -> Contest {
    let ring = &Ring::new();
    let time = process::scope(|s| {
        // Daemons, so that a failure here would not leave them waiting for the start.
        let children: Vec<_> = (0..many).map(|i| s.spawn_daemon(move || ring.contend(i, counter))).collect();
        let time = ring.conduct(effort, many);
        children.into_iter().for_each(|child| child.join().expect("contends until it is stopped"));
        time
    });
    ring.result(many, time, counter)
}

fn by_threads(effort: Effort, many: usize, counter: &impl Counter) -> Contest {
    let ring = &Ring::new();
    let time = thread::scope(|s| {
        for i in 0..many {
            s.spawn(move || ring.contend(i, counter));
        }
        ring.conduct(effort, many)
    });
    ring.result(many, time, counter)
}

fn wait_until(there: impl Fn() -> bool) {
    while !there() {
        thread::sleep(Duration::from_micros(200));
    }
}

/// P12: a number that several processes count with.
fn counters(effort: Effort) -> Vec<Row> {
    let ours = Shared::new(AtomicU64::new(0));
    let bare = bare_atomic();
    let lock = Lock::new(0i64);
    let mut contestants = vec![
        operation(effort, OWN_TIME, "Shared", |n| (0..n).for_each(|_| count(&ours))),
        operation(effort, OWN_TIME, "bare atomic", |n| (0..n).for_each(|_| count(bare))),
        operation(effort, OWN_TIME, "Lock", |n| {
            (0..n).for_each(|_| {
                *lock.lock().expect("no owner has died") += 1;
                compiler_fence(SeqCst);
            });
        }),
        incremented(effort, "CAS + swap", CasAndSwap::new()),
    ];
    let (setup, statement) = ("v = fork.Value('q')", "with v.get_lock(): v.value += 1");
    contestants.extend(python("Python Value", setup, statement, 30_000));
    let series = rounds(effort, contestants);
    let row = |case, ours: usize, limit: usize, most| Row {
        id: "P12",
        case,
        unit: NANOSECONDS,
        ours: series[ours].clone(),
        limit: Some(series[limit].clone()),
        peers: series[4..].to_vec(),
        against: Some(series[limit].clone()),
        target: Target::AtMost(most),
    };
    vec![row("`Shared<AtomicU64>`, fetch_add", 0, 1, 1.05), row("`Lock<i64>`, increment", 2, 3, 1.2)]
}

#[inline]
fn count(number: &AtomicU64) {
    number.fetch_add(1, Relaxed);
}
