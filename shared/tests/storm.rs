//! Ten thousand signals a second over every call of the library that waits: none ends early, none drifts, none
//! fails.
//!
//! A call is given a time, and must use it up: because nothing happens until its deadline, or because what
//! it waits for happens then. A file in `storm/` has those of each part of the library; a new one is a line there.

#[path = "storm/channels.rs"]
mod channels;
mod harness;
#[path = "storm/managers.rs"]
mod managers;
#[path = "storm/processes.rs"]
mod processes;
#[path = "storm/sync.rs"]
mod sync;

use harness::tools::{eventually, sleep_for_ever};
use nix::libc;
use shared::manager::{self, Manager};
use shared::memory::Shared;
use shared::process::signal::{self, Signal};
use shared::process::{self, Builder, JoinHandle};
use shared::sync::{Lock, ReentrantLock};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        thirty_seconds_of_ten_thousand_signals_each within 120,
        handlers_slower_than_their_signals_starve_no_wait within 90,
    }
}

/// A call that is to take the whole time. `false`: it ended otherwise than it should.
type Call = fn(&World, Duration) -> bool;

const CALLS: [&[(&str, Call)]; 4] = [sync::CALLS, processes::CALLS, channels::CALLS, managers::CALLS];

/// What the calls wait for in vain: a process that runs, and has these.
struct World {
    holder: JoinHandle<()>,
    lock: Lock<()>,
    reentrant: ReentrantLock<()>,
    manager: Manager,
    managed: manager::Lock,
}

impl World {
    /// Calls `f` in a world of which a child has all there is to have.
    fn with(f: impl FnOnce(&World)) {
        let (lock, reentrant) = (Lock::new(()), ReentrantLock::new(()));
        let manager = Manager::start().unwrap();
        let managed = manager.lock().unwrap();
        let ready = Shared::new(AtomicBool::new(false));
        let holder = {
            let (lock, reentrant, managed) = (lock.clone(), reentrant.clone(), managed.clone());
            let ready = ready.clone();
            let holder = Builder::new().daemon(true).spawn(move || {
                let _all = (lock.lock().unwrap(), reentrant.lock().unwrap(), managed.lock().unwrap());
                ready.store(true, SeqCst);
                sleep_for_ever();
            });
            holder.unwrap()
        };
        eventually("it is all taken", || ready.load(SeqCst));
        f(&World { holder, lock, reentrant, manager, managed });
    }
}

/// Waits for what a child does after this time.
fn after(time: Duration, act: impl FnOnce() + Send, wait: impl FnOnce() -> bool) -> bool {
    process::scope(|s| {
        s.spawn(|| {
            thread::sleep(time);
            act();
        });
        wait()
    })
}

/// Waits for what a child takes, and has for so long.
fn taken<G>(time: Duration, take: impl Fn() -> G + Send + Sync) -> G {
    let held = Shared::new(AtomicBool::new(false));
    process::scope(|s| {
        s.spawn(|| {
            let _guard = take();
            held.store(true, SeqCst);
            thread::sleep(time);
        });
        eventually("the child has it", || held.load(SeqCst));
        take()
    })
}

/// A timer that rings ten thousand times a second, and a handler.
struct Storm {
    answered: Arc<AtomicU64>,
}

impl Storm {
    fn begin(handler: impl Fn() + Send + Sync + 'static) -> Storm {
        let answered = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&answered);
        signal::handle(Signal::SIGALRM, move || {
            counter.fetch_add(1, SeqCst);
            handler();
        })
        .unwrap();
        ring_every(100);
        Storm { answered }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        ring_every(0);
    }
}

#[allow(unsafe_code)]
fn ring_every(micros: i64) {
    let period = libc::timeval { tv_sec: 0, tv_usec: micros };
    let timer = libc::itimerval { it_interval: period, it_value: period };
    // SAFETY: the kernel reads one value.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) }, 0);
}

/// Goes through all calls, as often as there is time. How late each was is judged by the middle of its runs: a
/// drift is there every time, and the machine's load is not. Returns how many signals were answered a second.
fn weather(storm: &Storm, duration: Duration) -> f64 {
    const TIMES: [u64; 5] = [1, 5, 20, 60, 300];
    let calls = CALLS.concat();
    let mut late = vec![Vec::new(); calls.len()];
    let begun = Instant::now();
    let mut time = TIMES.iter().copied().map(Duration::from_millis).cycle();
    World::with(|world| {
        while begun.elapsed() < duration || late[0].len() < TIMES.len() {
            let time = time.next().unwrap();
            for ((name, call), late) in calls.iter().zip(&mut late) {
                let begun = Instant::now();
                assert!(call(world, time), "{name}, with {time:?}: not what it should be");
                let taken = begun.elapsed();
                assert!(taken >= time, "{name}: early, after {taken:?} instead of {time:?}");
                late.push(taken - time);
            }
        }
    });
    let rate = storm.answered.load(SeqCst) as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} signals answered a second");
    for ((name, _), late) in calls.iter().zip(&mut late) {
        late.sort();
        let (median, worst) = (late[late.len() / 2], late[late.len() - 1]);
        println!("{name}: {} calls, late by {median:?}, at worst {worst:?}", late.len());
        assert!(median <= Duration::from_millis(100), "{name}: late by {median:?}");
    }
    rate
}

fn thirty_seconds_of_ten_thousand_signals_each() {
    let rate = weather(&Storm::begin(|| ()), Duration::from_secs(30));
    assert!(rate > 1000.0, "no storm: {rate}");
}

/// There is always one to be answered.
fn handlers_slower_than_their_signals_starve_no_wait() {
    let slow = || {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros(300) {
            std::hint::spin_loop();
        }
    };
    weather(&Storm::begin(slow), Duration::from_secs(3));
}
