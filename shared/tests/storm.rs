//! Ten thousand signals a second over every call of the library that waits: none ends early, none drifts, none
//! fails.
//!
//! A call is given a time, and must use it up: because nothing happens until its deadline, or because what
//! it waits for happens then. [`CALLS`] has them all; a new one is a line there.

mod harness;

use harness::tools::{eventually, sleep_for_ever};
use nix::libc;
use shared::memory::Shared;
use shared::process::signal::{self, Signal};
use shared::process::{self, JoinHandle};
use shared::sync::{
    Barrier, BrokenCause, Condition, Event, Lock, LockTimeoutError, ReentrantLock, Semaphore,
};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        thirty_seconds_of_ten_thousand_signals_each within 90,
        handlers_slower_than_their_signals_starve_no_wait within 60,
    }
}

/// What the calls wait for in vain: a process that holds it all, and runs.
struct World {
    lock: Lock<()>,
    reentrant: ReentrantLock<()>,
    holder: JoinHandle<()>,
    free: Lock<()>,
    none: Semaphore,
    never: Event,
    nobody_notifies: Condition,
}

/// A call that is to take the whole time. `false`: it ended otherwise than it should.
type Call = fn(&World, Duration) -> bool;

const CALLS: &[(&str, Call)] = &[
    ("Lock::lock_timeout", |world, time| {
        matches!(world.lock.lock_timeout(time), Err(LockTimeoutError::Timeout))
    }),
    ("ReentrantLock::lock_timeout", |world, time| {
        matches!(world.reentrant.lock_timeout(time), Err(LockTimeoutError::Timeout))
    }),
    ("Lock::lock", |world, time| {
        let (lock, held) = (&world.free, Shared::new(AtomicBool::new(false)));
        process::scope(|s| {
            s.spawn(|| {
                let _guard = lock.lock().unwrap();
                held.store(true, SeqCst);
                thread::sleep(time);
            });
            eventually("the child holds it", || held.load(SeqCst));
            lock.lock().is_ok()
        })
    }),
    ("Semaphore::acquire_timeout", |world, time| world.none.acquire_timeout(time).is_none()),
    ("Semaphore::acquire", |world, time| {
        let none = &world.none;
        process::scope(|s| {
            s.spawn(|| {
                thread::sleep(time);
                none.release(1).unwrap();
            });
            none.acquire().forget();
        });
        none.available() == 0
    }),
    ("Event::wait_timeout", |world, time| !world.never.wait_timeout(time)),
    ("Event::wait", |_, time| {
        let event = Event::new();
        process::scope(|s| {
            s.spawn(|| {
                thread::sleep(time);
                event.set();
            });
            event.wait();
        });
        event.is_set()
    }),
    ("Condition::wait_timeout", |world, time| {
        let guard = world.free.lock().unwrap();
        world.nobody_notifies.wait_timeout(guard, time).unwrap().1.timed_out()
    }),
    ("Condition::wait, with a ReentrantLock", |_, time| {
        let (lock, condition, done) =
            (ReentrantLock::new(()), Condition::new(), Shared::new(AtomicBool::new(false)));
        process::scope(|s| {
            s.spawn(|| {
                thread::sleep(time);
                let _guard = lock.lock().unwrap();
                done.store(true, SeqCst);
                condition.notify_one();
            });
            condition.wait_while(lock.lock().unwrap(), |()| !done.load(SeqCst)).is_ok()
        })
    }),
    ("Barrier::wait_timeout", |_, time| {
        let two = Barrier::new(2);
        matches!(two.wait_timeout(time), Err(broken) if broken.cause() == BrokenCause::TimedOut)
    }),
    ("Barrier::wait", |_, time| {
        let two = Barrier::new(2);
        process::scope(|s| {
            s.spawn(|| {
                thread::sleep(time);
                two.wait().unwrap();
            });
            two.wait().is_ok()
        })
    }),
    ("JoinHandle::wait_timeout", |world, time| !world.holder.wait_timeout(time)),
    ("JoinHandle::join", |_, time| process::spawn(move || thread::sleep(time)).join() == Ok(())),
    ("the end of a scope", |_, time| {
        process::scope(|s| {
            s.spawn_daemon(sleep_for_ever);
            s.spawn(move || thread::sleep(time));
        });
        true
    }),
    ("Parent::wait_timeout", |_, time| {
        // In a child, which has a storm of its own.
        let child = process::spawn(move || {
            let _storm = Storm::begin(|| ());
            let parent = process::parent().unwrap();
            let begun = Instant::now();
            !parent.wait_timeout(time) && begun.elapsed() >= time
        });
        child.join() == Ok(true)
    }),
    ("signal::wait", |_, time| signal::wait(&[Signal::SIGUSR1], Some(time)).is_none()),
    ("signal::pause", |_, time| {
        let end = Instant::now() + time;
        while Instant::now() < end {
            signal::pause();
        }
        true
    }),
    #[cfg(feature = "demo")]
    ("demo::pause", |_, time| {
        shared::demo::pause(time);
        true
    }),
    #[cfg(feature = "demo")]
    ("demo::readable", |world, time| !shared::demo::readable(&world.holder, time)),
];

impl World {
    /// Calls `f` in a world of which a child has all there is to have.
    fn with(f: impl FnOnce(&World)) {
        let (lock, reentrant) = (Lock::new(()), ReentrantLock::new(()));
        let (ready, done) = (Shared::new(AtomicBool::new(false)), Shared::new(AtomicBool::new(false)));
        let holder = {
            let (lock, reentrant) = (lock.clone(), reentrant.clone());
            let (ready, done) = (ready.clone(), done.clone());
            process::spawn(move || {
                let _all = (lock.lock().unwrap(), reentrant.lock().unwrap());
                ready.store(true, SeqCst);
                while !done.load(SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
            })
        };
        eventually("it is all taken", || ready.load(SeqCst));
        let world = World {
            lock,
            reentrant,
            holder,
            free: Lock::new(()),
            none: Semaphore::new(0),
            never: Event::new(),
            nobody_notifies: Condition::new(),
        };
        f(&world);
        done.store(true, SeqCst);
        assert_eq!(world.holder.join(), Ok(()));
    }
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
    let mut late = vec![Vec::new(); CALLS.len()];
    let begun = Instant::now();
    let mut time = TIMES.iter().copied().map(Duration::from_millis).cycle();
    World::with(|world| {
        while begun.elapsed() < duration || late[0].len() < TIMES.len() {
            let time = time.next().unwrap();
            for ((name, call), late) in CALLS.iter().zip(&mut late) {
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
    for ((name, _), late) in CALLS.iter().zip(&mut late) {
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
