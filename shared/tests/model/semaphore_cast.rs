//! Who plays in the models of a semaphore, what each of them does with it, and how it is judged when all have ended.
//!
//! One slot is near and two are far.

use super::bell::Bell;
use super::permits::Permits;
use super::slots::{Line, Slots};
use crate::stage;
use crate::sys::Behaviour;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::task::{self, Owner};
use loom::cell::UnsafeCell;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

const SLOTS: usize = 3;

pub(super) const MOMENT: Duration = Duration::from_millis(1);

/// What one thread of a model does.
pub(super) type Role = fn(&Scene, Owner);

/// One model: who is in it and what happens to them.
#[derive(Clone, Copy)]
pub(super) struct Model {
    /// One thread each.
    pub(super) cast: &'static [Role],
    /// So many permits there are at first.
    pub(super) permits: usize,
    /// One more is held all the time, by one who lives: the near one, so that all else is about far ones.
    pub(super) near_is_taken: bool,
    /// Of those at first so many are held by one who has died long ago.
    pub(super) lost: usize,
    /// Before which step of his the first of the cast dies, if ever.
    pub(super) death: Option<u32>,
    /// What comes from outside meanwhile.
    pub(super) meanwhile: fn(),
    pub(super) preemptions: Option<usize>,
    pub(super) kernel: Behaviour,
}

pub(super) const MODEL: Model = Model {
    cast: &[],
    permits: 1,
    near_is_taken: false,
    lost: 0,
    death: None,
    meanwhile: || {},
    preemptions: None,
    kernel: Behaviour::FirstComeFirst,
};

/// What the cast shares.
pub(super) struct Scene {
    permits: Permits<1, 2, 1>,
    /// One for each slot. Two who touch one without an order between them are reported by loom.
    data: [UnsafeCell<()>; SLOTS],
    /// A moment after the beginning.
    soon: Deadline,
    /// Permits that there are, and those that there may be, as a release is under way.
    there_are: Cell<isize>,
    there_may_be: Cell<isize>,
    /// Held from the beginning to the end.
    kept: Cell<usize>,
    inside: RefCell<Vec<Owner>>,
    gave_up: Cell<u32>,
    died: Cell<bool>,
}

/// How often something happened in all the executions of a model.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) died: AtomicU32,
    pub(super) gave_up: AtomicU32,
    /// Deaths in a release: how many permits it had made.
    pub(super) made: [AtomicU32; 3],
}

impl Scene {
    fn new() -> Scene {
        let zero = || AtomicU64::new(0);
        let slots =
            Slots { extent: Line(zero()), near: [Line(zero())], map: [zero()], far: [zero(), zero()] };
        let permits = Permits { bell: Line(Bell(zero())), slots };
        Scene {
            permits,
            data: std::array::from_fn(|_| UnsafeCell::new(())),
            soon: Deadline::after(MOMENT),
            there_are: Cell::new(0),
            there_may_be: Cell::new(0),
            kept: Cell::new(0),
            inside: RefCell::default(),
            gave_up: Cell::new(0),
            died: Cell::new(false),
        }
    }

    /// What one does with a permit.
    fn hold(&self, me: Owner, slot: usize) {
        self.enter(me, slot);
        self.leave(me, slot);
        self.permits.give(slot);
    }

    fn enter(&self, me: Owner, slot: usize) {
        self.inside.borrow_mut().push(me);
        assert!(
            self.inside.borrow().len() as isize <= self.there_may_be.get(),
            "more inside than there are permits"
        );
        task::step();
        self.data[slot].with_mut(|_| ());
    }

    fn leave(&self, me: Owner, slot: usize) {
        task::step();
        self.data[slot].with_mut(|_| ());
        self.inside.borrow_mut().retain(|&other| other != me);
    }

    fn release(&self, me: Owner, n: usize, bound: usize) -> bool {
        let more = n as isize;
        self.there_may_be.set(self.there_may_be.get() + more);
        let Ok(released) = self.permits.release(me, n, bound, |_| Ok::<_, Infallible>(()));
        if released {
            self.there_are.set(self.there_are.get() + more);
        } else {
            self.there_may_be.set(self.there_may_be.get() - more);
        }
        released
    }

    /// Dies, and nobody knows yet.
    fn lose(&self, who: Owner) {
        self.inside.borrow_mut().retain(|&other| other != who);
        self.died.set(true);
    }

    /// All have ended: every permit can be had, those of the dead too, and no other; and there is room for as many
    /// as there are not.
    fn judge(&self, seen: &Seen) {
        let late = Owner::new(20, 20);
        let all = std::iter::from_fn(|| self.permits.try_acquire(late, 0)).count() as isize;
        assert_eq!(self.permits.available(), 0);
        let (least, most) = (self.there_are.get(), self.there_may_be.get());
        assert!((least..=most).contains(&all), "{all} instead of {least} to {most}");
        let room = SLOTS - all as usize - self.kept.get();
        assert!(!self.release(late, room + 1, SLOTS), "room for one too many");
        assert!(self.release(late, room, SLOTS), "room is lost");
        seen.gave_up.fetch_add(self.gave_up.get(), Relaxed);
        seen.died.fetch_add(u32::from(self.died.get()), Relaxed);
        if least != most {
            seen.made[(all - least) as usize].fetch_add(1, Relaxed);
        }
    }
}

pub(super) fn comes(scene: &Scene, me: Owner) {
    let slot = scene.permits.acquire(me, 0, Deadline::NEVER);
    scene.hold(me, slot.expect("a wait without an end ends with a permit"));
}

pub(super) fn comes_twice(scene: &Scene, me: Owner) {
    comes(scene, me);
    comes(scene, me);
}

/// Now on the one slot, now on the other.
pub(super) fn moves(scene: &Scene, me: Owner) {
    for home in [0, 1, 0, 1] {
        let slot = scene.permits.acquire(me, home, Deadline::NEVER);
        // (The other looks just now: that is no preemption.)
        loom::thread::yield_now();
        scene.permits.give(slot.expect("a wait without an end ends with a permit"));
    }
}

pub(super) fn tries(scene: &Scene, me: Owner) {
    if let Some(slot) = scene.permits.try_acquire(me, 0) {
        scene.hold(me, slot);
    }
}

pub(super) fn tries_and_succeeds(scene: &Scene, me: Owner) {
    let slot = scene.permits.try_acquire(me, 0);
    scene.hold(me, slot.expect("one is free all the time"));
}

pub(super) fn waits_a_moment(scene: &Scene, me: Owner) {
    match scene.permits.acquire(me, 0, scene.soon) {
        Some(slot) => scene.hold(me, slot),
        None => {
            assert!(scene.soon.has_passed(), "gave up too early");
            scene.gave_up.set(scene.gave_up.get() + 1);
        }
    }
}

/// Waits for a signal.
pub(super) fn receives(scene: &Scene, me: Owner) {
    let slot = scene.permits.acquire(me, 0, Deadline::NEVER).expect("a signal");
    scene.enter(me, slot);
    scene.leave(me, slot);
    scene.there_are.set(scene.there_are.get() - 1);
    scene.permits.forget(slot);
    scene.there_may_be.set(scene.there_may_be.get() - 1);
}

pub(super) fn receives_twice(scene: &Scene, me: Owner) {
    receives(scene, me);
    receives(scene, me);
}

pub(super) fn sends_one(scene: &Scene, me: Owner) {
    assert!(scene.release(me, 1, SLOTS), "there is room");
}

pub(super) fn sends_one_twice(scene: &Scene, me: Owner) {
    sends_one(scene, me);
    sends_one(scene, me);
}

pub(super) fn sends_two(scene: &Scene, me: Owner) {
    assert!(scene.release(me, 2, SLOTS), "there is room");
}

/// Where there is room for one.
pub(super) fn sends_too_many(scene: &Scene, me: Owner) {
    assert!(!scene.release(me, 2, 2), "there is no room");
}

impl Model {
    /// Runs all executions. Returns what was seen in them.
    pub(super) fn check(self) -> Arc<Seen> {
        stage::check(self.kernel, self.preemptions, move |seen| self.execute(seen))
    }

    /// Runs all executions, for each step before which the first of the cast may die. Returns how often the dead had
    /// made none, one or two permits.
    pub(super) fn check_deaths(mut self) -> [u32; 3] {
        let mut made = [0; 3];
        stage::each_death(3, |steps| {
            self.death = Some(steps);
            let seen = self.check();
            for (sum, count) in made.iter_mut().zip(&seen.made) {
                *sum += count.load(Relaxed);
            }
            seen.died.load(Relaxed)
        });
        made
    }

    fn execute(self, seen: &Seen) {
        let scene = Rc::new(Scene::new());
        let (patient, dead) = (Owner::new(18, 18), Owner::new(19, 19));
        assert!(scene.release(patient, self.permits + usize::from(self.near_is_taken), SLOTS));
        for slot in 0..self.lost {
            assert_eq!(scene.permits.try_acquire(dead, slot), Some(slot));
        }
        if self.near_is_taken {
            assert_eq!(scene.permits.try_acquire(patient, 0), Some(0));
            scene.kept.set(1);
            scene.there_are.set(self.permits as isize);
            scene.there_may_be.set(self.permits as isize);
        }
        if self.lost != 0 {
            task::bury(dead);
        }
        task::expect(self.cast.len(), u32::MAX);
        stage::play(&scene, self.cast, &[self.death], Scene::lose, self.meanwhile);
        scene.judge(seen);
    }
}
