//! The floor below the lock, as a model: atomics, clock, futex and the proof of an end.
//!
//! Whatever here is shared lies under one loom mutex, as in a kernel, so loom knows which steps depend on
//! one another. What the real kernel leaves open is open here too:
//!
//! * **Time** does not pass by itself. So without a death no slice ever ends, and a wake-up that is lost
//!   is a deadlock, which loom reports. Time passes when a test says so ([`clock::pass`]); a moment after
//!   a death; and, once somebody has died, when all the living sleep.
//! * **Sleeping** compares the low 32 bits, as a plain load under the kernel's lock, and is one step with
//!   it. Wakes go to who slept first or last, as the test chooses.
//! * **A death** comes before a step that the test chooses: steps are what others can see, so a write to
//!   the word, a futex call or a write to the data. The dead lets go of nothing.

use self::atomic::AtomicU64;
use loom::sync::{Mutex, MutexGuard};
use loom::thread::{self, Thread};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

loom::lazy_static! {
    static ref KERNEL: Mutex<Kernel> = Mutex::new(Kernel::default());
}

thread_local! {
    static BEHAVIOUR: Cell<Behaviour> = const { Cell::new(Behaviour::FirstComeFirst) };
}

/// How the kernel behaves: lawfully in two ways, and with mistakes, which a model has to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// The sleeper that came first is woken first.
    FirstComeFirst,
    /// The sleeper that came last is woken first.
    LastComeFirst,
    /// A wake-up reaches nobody.
    DeafSleepers,
    /// A sleep does not look at the word.
    BlindSleep,
    /// The living are declared dead.
    FalseProof,
    /// The dead are declared alive.
    NoProof,
    /// A `SeqCst` write and a `SeqCst` read after it may change places.
    WeakOrder,
}

/// Before a model: how its kernel behaves.
pub(crate) fn set_behaviour(behaviour: Behaviour) {
    BEHAVIOUR.set(behaviour);
}

#[derive(Default)]
struct Kernel {
    now: Duration,
    /// Bit n: thread n of the model has died.
    dead: u64,
    /// The living who do not sleep.
    awake: usize,
    /// How often time may still pass because all of them sleep.
    slices: u32,
    /// In the order in which they came.
    sleepers: Vec<Sleeper>,
}

struct Sleeper {
    /// Where the word lies on which it sleeps.
    word: *const AtomicU64,
    thread: Thread,
    until: Option<Duration>,
    ended: Rc<Cell<Option<futex::Wait>>>,
}

fn kernel() -> MutexGuard<'static, Kernel> {
    KERNEL.lock().unwrap()
}

impl Kernel {
    fn rouse(&mut self, sleeper: usize, why: futex::Wait) {
        let sleeper = self.sleepers.remove(sleeper);
        sleeper.ended.set(Some(why));
        sleeper.thread.unpark();
        self.awake += 1;
    }

    fn set_clock(&mut self, now: Duration) {
        self.now = now;
        while let Some(late) = self.sleepers.iter().position(|s| s.until.is_some_and(|until| until <= now)) {
            self.rouse(late, futex::Wait::TimedOut);
        }
    }

    /// One of the living sleeps, or has ended.
    fn one_less_awake(&mut self) {
        self.awake -= 1;
        if self.awake == 0
            && self.dead != 0
            && self.slices != 0
            && let Some(next) = self.sleepers.iter().filter_map(|s| s.until).min()
        {
            self.slices -= 1;
            self.set_clock(next);
        }
    }
}

pub(crate) mod atomic {
    //! Atomics of loom, whose every write is a step.
    //!
    //! To loom `SeqCst` is `AcqRel`. Its fences it takes at their word: one after each such write and one before
    //! each such read keep the order.

    use super::task::step;
    use super::{BEHAVIOUR, Behaviour};
    pub(crate) use loom::sync::atomic::Ordering;

    #[derive(Debug)]
    pub(crate) struct AtomicU64(loom::sync::atomic::AtomicU64);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> AtomicU64 {
            AtomicU64(loom::sync::atomic::AtomicU64::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            fence(order);
            self.0.load(if order == Ordering::SeqCst { Ordering::Acquire } else { order })
        }

        pub(crate) fn swap(&self, value: u64, order: Ordering) -> u64 {
            written(order, |order| self.0.swap(value, order))
        }

        pub(crate) fn compare_exchange(
            &self,
            seen: u64,
            value: u64,
            order: Ordering,
            failed: Ordering,
        ) -> Result<u64, u64> {
            written(order, |order| self.0.compare_exchange(seen, value, order, failed))
        }

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            written(order, |order| self.0.fetch_add(value, order))
        }

        pub(crate) fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            written(order, |order| self.0.fetch_sub(value, order))
        }

        pub(crate) fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
            written(order, |order| self.0.fetch_or(value, order))
        }

        pub(crate) fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            written(order, |order| self.0.fetch_and(value, order))
        }

        pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
            written(order, |order| self.0.fetch_max(value, order))
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            step();
            self.0.store(value, order);
        }
    }

    fn written<T>(order: Ordering, write: impl FnOnce(Ordering) -> T) -> T {
        step();
        let result = write(if order == Ordering::SeqCst { Ordering::AcqRel } else { order });
        fence(order);
        result
    }

    pub(crate) fn fence(order: Ordering) {
        if order == Ordering::SeqCst && BEHAVIOUR.get() != Behaviour::WeakOrder {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }
}

pub(crate) mod clock {
    //! Time that passes when it is told to.

    use super::kernel;
    use std::time::Duration;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Deadline(pub(super) Option<Duration>);

    impl Deadline {
        pub(crate) const NEVER: Deadline = Deadline(None);

        pub(crate) fn after(timeout: Duration) -> Deadline {
            Deadline(Some(kernel().now + timeout))
        }

        pub(crate) fn at_most(self, slice: Duration) -> Deadline {
            let end = kernel().now + slice;
            Deadline(Some(self.0.map_or(end, |own| own.min(end))))
        }

        pub(crate) fn has_passed(self) -> bool {
            self.0.is_some_and(|moment| kernel().now >= moment)
        }
    }

    /// A second and more after the machine's start.
    pub(crate) fn milliseconds() -> u32 {
        1_000 + kernel().now.as_millis() as u32
    }

    /// So much time passes, at a moment of loom's choice.
    pub(crate) fn pass(time: Duration) {
        let mut kernel = kernel();
        let now = kernel.now + time;
        kernel.set_clock(now);
    }
}

pub(crate) mod signal {
    //! Nobody answers any.

    pub(crate) fn is_any_caught() -> bool {
        false
    }
}

pub(crate) mod futex {
    //! Sleepers, each on its word.

    use super::atomic::{AtomicU64, Ordering};
    use super::clock::Deadline;
    use super::task::step;
    use super::{BEHAVIOUR, Behaviour, Sleeper, kernel, thread};
    use std::cell::Cell;
    use std::ptr;
    use std::rc::Rc;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Wait {
        LookAgain,
        TimedOut,
    }

    pub(crate) fn wait(word: &AtomicU64, seen: u64, deadline: Deadline) -> Wait {
        step();
        let mut kernel = kernel();
        if word.load(Ordering::Relaxed) as u32 != seen as u32 && BEHAVIOUR.get() != Behaviour::BlindSleep {
            return Wait::LookAgain;
        }
        if deadline.0.is_some_and(|until| until <= kernel.now) {
            return Wait::TimedOut;
        }
        let ended = Rc::new(Cell::new(None));
        let (thread, mine) = (thread::current(), Rc::clone(&ended));
        kernel.sleepers.push(Sleeper { word, thread, until: deadline.0, ended: mine });
        kernel.one_less_awake();
        drop(kernel);
        while ended.get().is_none() {
            thread::park();
        }
        ended.get().expect("nobody is roused without a reason")
    }

    pub(crate) fn wake(word: &AtomicU64, count: i32) -> u32 {
        step();
        wake_now(word, count)
    }

    /// One step.
    pub(crate) fn set_and_wake_all(word: &AtomicU64, bits: u32) {
        word.fetch_or(bits.into(), Ordering::SeqCst);
        wake_now(word, i32::MAX);
    }

    fn wake_now(word: &AtomicU64, count: i32) -> u32 {
        let mut kernel = kernel();
        let mut woken = 0;
        while woken < count as u32 {
            let mut here = (0..kernel.sleepers.len()).filter(|&n| ptr::eq(kernel.sleepers[n].word, word));
            let chosen = match BEHAVIOUR.get() {
                Behaviour::DeafSleepers => None,
                Behaviour::LastComeFirst => here.next_back(),
                _ => here.next(),
            };
            let Some(sleeper) = chosen else { break };
            kernel.rouse(sleeper, Wait::LookAgain);
            woken += 1;
        }
        woken
    }

    /// A signal for each who sleeps now, at a moment of loom's choice.
    pub(crate) fn interrupt() {
        let mut kernel = kernel();
        while !kernel.sleepers.is_empty() {
            kernel.rouse(0, Wait::LookAgain);
        }
    }
}

#[path = "task.rs"]
pub(crate) mod task;
