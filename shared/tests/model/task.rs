//! Threads of the model as owners, and their deaths.

use super::{BEHAVIOUR, Behaviour, clock, kernel};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// The number of a thread in the low half, a start time in the high half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u64);

impl Owner {
    pub(crate) fn new(tid: u32, start: u32) -> Owner {
        Owner(u64::from(start) << 32 | u64::from(tid))
    }

    pub(crate) fn in_word(word: u64) -> Option<Owner> {
        let owner = Owner(word & !(3 << 30));
        (owner.0 as u32 != 0).then_some(owner)
    }

    pub(crate) fn to_word(self) -> u64 {
        self.0
    }

    pub(crate) fn pid(self) -> u32 {
        self.0 as u32
    }

    /// It differs between all threads of a model.
    pub(crate) fn start(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn bit(self) -> u64 {
        1 << self.start()
    }

    pub(crate) fn has_ended(self) -> bool {
        let dead = kernel().dead & self.bit() != 0;
        match BEHAVIOUR.get() {
            Behaviour::FalseProof => true,
            Behaviour::NoProof => false,
            _ => dead,
        }
    }
}

#[derive(Default)]
pub(crate) struct Watch(());

impl Watch {
    pub(crate) fn has_ended(&mut self, owner: Owner) -> bool {
        owner.has_ended()
    }
}

loom::thread_local! {
    /// After how many steps this thread dies.
    static STEPS_LEFT: Cell<Option<u32>> = Cell::new(None);
}

/// What a dying thread unwinds with, so that nothing of it is run any more.
struct Death;

/// Something that others can see is about to be done: the last moment before it.
pub(crate) fn step() {
    STEPS_LEFT.with(|left| match left.get() {
        Some(0) => resume_unwind(Box::new(Death)),
        some => left.set(some.map(|steps| steps - 1)),
    });
}

/// So many threads will [`live`], and so often time will pass because all of them sleep.
pub(crate) fn expect(number: usize, slices: u32) {
    let mut kernel = kernel();
    (kernel.awake, kernel.slices) = (number, slices);
}

/// Before any of them: this one has died long ago.
pub(crate) fn bury(owner: Owner) {
    kernel().dead |= owner.bit();
}

/// From now on this thread does not die.
pub(crate) fn be_immortal() {
    STEPS_LEFT.with(|left| left.set(None));
}

/// A thread's life, at most so many steps long. `at_death` is asked when it has ended and before
/// anybody can know.
pub(crate) fn live(me: Owner, steps: Option<u32>, life: impl FnOnce(), at_death: impl FnOnce()) {
    STEPS_LEFT.with(|left| left.set(steps));
    match catch_unwind(AssertUnwindSafe(life)) {
        Ok(()) => {}
        Err(death) if death.is::<Death>() => {
            at_death();
            bury(me);
            // Some slice of some waiter ends at a moment of loom's choice, not only when all sleep.
            clock::pass(Duration::from_millis(5));
        }
        Err(failure) => resume_unwind(failure),
    }
    kernel().one_less_awake();
}
