//! What must hold of a semaphore's permits, whoever is interrupted, killed or late.
//!
//! One slot is near and two are far. As in `laws.rs`, a model without `preemptions` is complete, and the others
//! are for that many preemptions.

use super::bell::Bell;
use super::permits::Permits;
use super::slots::{Line, Slots};
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
use crate::sys::task::{self, Owner};
use crate::sys::{Behaviour, set_behaviour};
use loom::cell::UnsafeCell;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

const SLOTS: usize = 3;

const MOMENT: Duration = Duration::from_millis(1);

/// What one thread of a model does.
type Role = fn(&Scene, Owner);

/// One model: who is in it and what happens to them.
#[derive(Clone, Copy)]
struct Model {
    /// One thread each.
    cast: &'static [Role],
    /// So many permits there are at first.
    permits: usize,
    /// One more is held all the time, by one who lives: the near one, so that all else is about far ones.
    near_is_taken: bool,
    /// Of those at first so many are held by one who has died long ago.
    lost: usize,
    /// Before which step of his the first of the cast dies, if ever.
    death: Option<u32>,
    /// What comes from outside meanwhile.
    meanwhile: fn(),
    preemptions: Option<usize>,
    kernel: Behaviour,
}

const MODEL: Model = Model {
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
struct Scene {
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
struct Seen {
    died: AtomicU32,
    gave_up: AtomicU32,
    /// Deaths in a release: how many permits it had made.
    made: [AtomicU32; 3],
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

fn comes(scene: &Scene, me: Owner) {
    let slot = scene.permits.acquire(me, 0, Deadline::NEVER);
    scene.hold(me, slot.expect("a wait without an end ends with a permit"));
}

fn comes_twice(scene: &Scene, me: Owner) {
    comes(scene, me);
    comes(scene, me);
}

/// Now on the one slot, now on the other.
fn moves(scene: &Scene, me: Owner) {
    for home in [0, 1, 0, 1] {
        let slot = scene.permits.acquire(me, home, Deadline::NEVER);
        // (The other looks just now: that is no preemption.)
        loom::thread::yield_now();
        scene.permits.give(slot.expect("a wait without an end ends with a permit"));
    }
}

fn tries(scene: &Scene, me: Owner) {
    if let Some(slot) = scene.permits.try_acquire(me, 0) {
        scene.hold(me, slot);
    }
}

fn tries_and_succeeds(scene: &Scene, me: Owner) {
    let slot = scene.permits.try_acquire(me, 0);
    scene.hold(me, slot.expect("one is free all the time"));
}

fn waits_a_moment(scene: &Scene, me: Owner) {
    match scene.permits.acquire(me, 0, scene.soon) {
        Some(slot) => scene.hold(me, slot),
        None => {
            assert!(scene.soon.has_passed(), "gave up too early");
            scene.gave_up.set(scene.gave_up.get() + 1);
        }
    }
}

/// Waits for a signal.
fn receives(scene: &Scene, me: Owner) {
    let slot = scene.permits.acquire(me, 0, Deadline::NEVER).expect("a signal");
    scene.enter(me, slot);
    scene.leave(me, slot);
    scene.there_are.set(scene.there_are.get() - 1);
    scene.permits.forget(slot);
    scene.there_may_be.set(scene.there_may_be.get() - 1);
}

fn receives_twice(scene: &Scene, me: Owner) {
    receives(scene, me);
    receives(scene, me);
}

fn sends_one(scene: &Scene, me: Owner) {
    assert!(scene.release(me, 1, SLOTS), "there is room");
}

fn sends_one_twice(scene: &Scene, me: Owner) {
    sends_one(scene, me);
    sends_one(scene, me);
}

fn sends_two(scene: &Scene, me: Owner) {
    assert!(scene.release(me, 2, SLOTS), "there is room");
}

/// Where there is room for one.
fn sends_too_many(scene: &Scene, me: Owner) {
    assert!(!scene.release(me, 2, 2), "there is no room");
}

impl Model {
    /// Runs all executions. Returns what was seen in them.
    fn check(self) -> Arc<Seen> {
        set_behaviour(self.kernel);
        let seen = Arc::new(Seen::default());
        let mut loom = loom::model::Builder::new();
        loom.preemption_bound = self.preemptions;
        let sees = Arc::clone(&seen);
        loom.check(move || self.execute(&sees));
        seen
    }

    /// Runs all executions, for each step before which the first of the cast may die. Returns how often the dead had
    /// made none, one or two permits.
    fn check_deaths(mut self) -> [u32; 3] {
        let mut made = [0; 3];
        for steps in 0.. {
            self.death = Some(steps);
            let seen = self.check();
            for (sum, count) in made.iter_mut().zip(&seen.made) {
                *sum += count.load(Relaxed);
            }
            if seen.died.load(Relaxed) == 0 {
                assert!(steps > 2, "all its steps were {steps}");
                break;
            }
        }
        made
    }

    fn execute(self, seen: &Seen) {
        let scene = Rc::new(Scene::new());
        let (patient, dead) = (Owner::new(1, 1), Owner::new(2, 2));
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
        let living = (0u32..).zip(self.cast).map(|(n, &role)| {
            let me = Owner::new(n + 3, n + 3);
            let steps = if n == 0 { self.death } else { None };
            let scene = Rc::clone(&scene);
            loom::thread::spawn(move || task::live(me, steps, || role(&scene, me), || scene.lose(me)))
        });
        let living: Vec<_> = living.collect();
        (self.meanwhile)();
        for one in living {
            one.join().expect("nobody fails");
        }
        scene.judge(seen);
    }
}

// Nobody dies, so no slice ends: who is not woken is stranded, and loom reports a deadlock.

#[test]
fn two_take_turns_with_one_permit() {
    Model { cast: &[comes, comes], preemptions: Some(4), ..MODEL }.check();
    Model { cast: &[comes_twice, comes_twice], preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[comes, comes], near_is_taken: true, preemptions: Some(3), ..MODEL }.check();
}

#[test]
fn three_take_turns_with_one_or_two() {
    Model { cast: &[comes, comes, comes], preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[comes, comes, comes], permits: 2, preemptions: Some(2), ..MODEL }.check();
}

#[test]
fn it_does_not_matter_which_sleeper_is_woken() {
    let kernel = Behaviour::LastComeFirst;
    Model { cast: &[comes, comes, comes], preemptions: Some(2), kernel, ..MODEL }.check();
}

#[test]
fn a_release_wakes_all_for_whom_there_is_a_permit() {
    Model { cast: &[receives, receives, sends_two], permits: 0, preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[receives, sends_one, sends_one, receives], permits: 0, preemptions: Some(1), ..MODEL }
        .check();
}

/// Somebody has announced himself and gone; the next comes while a ring finds nobody asleep.
#[test]
fn nobody_is_taken_for_gone_who_has_just_come() {
    let cast: &[Role] = &[tries, sends_one_twice, receives_twice];
    Model { cast, permits: 0, preemptions: Some(2), ..MODEL }.check();
}

#[test]
fn who_gives_up_takes_no_wake_up_along() {
    let meanwhile = || clock::pass(MOMENT);
    let cast: &[Role] = &[waits_a_moment, comes, comes];
    let seen = Model { cast, meanwhile, preemptions: Some(2), ..MODEL }.check();
    assert_ne!(seen.gave_up.load(Relaxed), 0);
}

#[test]
fn signals_strand_nobody() {
    let meanwhile = futex::interrupt;
    Model { cast: &[comes, comes], meanwhile, preemptions: Some(3), ..MODEL }.check();
    Model { cast: &[comes, waits_a_moment, comes], meanwhile, preemptions: Some(1), ..MODEL }.check();
}

#[test]
fn who_only_tries_disturbs_nobody() {
    Model { cast: &[tries, comes, comes], preemptions: Some(2), ..MODEL }.check();
}

#[test]
fn none_is_not_said_while_one_is_free() {
    for near_is_taken in [false, true] {
        let model = Model { cast: &[tries_and_succeeds, moves], permits: 2, near_is_taken, ..MODEL };
        Model { preemptions: Some(3), ..model }.check();
    }
}

#[test]
fn a_refused_release_changes_nothing() {
    let cast: &[Role] = &[sends_too_many, comes, comes];
    Model { cast, permits: 1, preemptions: Some(2), ..MODEL }.check();
}

// One dies before a step, of all that he takes in turn.

#[test]
fn after_any_death_the_others_get_their_permits() {
    Model { cast: &[comes, comes], preemptions: Some(3), ..MODEL }.check_deaths();
    Model { cast: &[comes_twice, comes], near_is_taken: true, preemptions: Some(2), ..MODEL }.check_deaths();
    Model { cast: &[tries, comes_twice], preemptions: Some(2), ..MODEL }.check_deaths();
    Model { cast: &[comes, comes, comes], preemptions: Some(1), ..MODEL }.check_deaths();
    Model { cast: &[comes, comes, tries], permits: 2, preemptions: Some(1), ..MODEL }.check_deaths();
}

#[test]
fn after_the_death_of_one_with_a_deadline_the_others_get_theirs() {
    let meanwhile = || clock::pass(MOMENT);
    let cast: &[Role] = &[waits_a_moment, comes, comes];
    Model { cast, meanwhile, preemptions: Some(1), ..MODEL }.check_deaths();
}

#[test]
fn a_dead_releaser_has_made_some_and_never_more() {
    let made = Model { cast: &[sends_two, comes, comes], preemptions: Some(2), ..MODEL }.check_deaths();
    assert!(made.iter().all(|&times| times > 0), "none, one or two: {made:?}");
}

#[test]
fn room_that_a_dead_releaser_had_reserved_is_free_again() {
    Model { cast: &[sends_one, sends_one], preemptions: Some(3), ..MODEL }.check_deaths();
    Model { cast: &[sends_two, comes], preemptions: Some(2), ..MODEL }.check_deaths();
}

#[test]
fn a_receiver_may_die_with_its_signal() {
    let cast: &[Role] = &[receives, comes];
    Model { cast, permits: 2, preemptions: Some(3), ..MODEL }.check_deaths();
}

#[test]
fn of_many_who_prove_a_death_one_recovers() {
    Model { cast: &[comes, comes, tries], lost: 1, preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[comes, comes], permits: 2, lost: 2, preemptions: Some(3), ..MODEL }.check();
    Model { cast: &[comes, comes_twice], permits: 3, lost: 3, preemptions: Some(2), ..MODEL }.check();
}

#[test]
fn who_only_tries_recovers_too() {
    Model { cast: &[tries_and_succeeds], lost: 1, ..MODEL }.check();
    let cast: &[Role] = &[tries_and_succeeds, tries_and_succeeds];
    Model { cast, permits: 2, lost: 2, preemptions: Some(3), ..MODEL }.check();
}

#[test]
fn who_recovers_may_die_too() {
    Model { cast: &[comes, comes], lost: 1, preemptions: Some(2), ..MODEL }.check_deaths();
    Model { cast: &[tries, comes], permits: 3, lost: 3, preemptions: Some(2), ..MODEL }.check_deaths();
}

// The models can fail: each mistake in what lies below is noticed.

#[test]
#[should_panic(expected = "deadlock")]
fn a_kernel_that_loses_wake_ups_is_noticed() {
    Model { cast: &[comes, comes], kernel: Behaviour::DeafSleepers, ..MODEL }.check();
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_kernel_that_puts_to_sleep_without_a_look_is_noticed() {
    Model { cast: &[comes, comes], kernel: Behaviour::BlindSleep, ..MODEL }.check();
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_look_before_the_write_is_noticed() {
    Model { cast: &[comes, comes], kernel: Behaviour::WeakOrder, ..MODEL }.check();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_proof_that_is_false_is_noticed() {
    Model { cast: &[comes, tries], kernel: Behaviour::FalseProof, ..MODEL }.check();
}

#[test]
#[should_panic(expected = "Model exceeded maximum number of branches")]
fn a_proof_that_never_comes_is_noticed() {
    Model { cast: &[comes], lost: 1, kernel: Behaviour::NoProof, ..MODEL }.check();
}
