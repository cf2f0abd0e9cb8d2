//! What must hold of the word of an event, whoever is interrupted, killed or late.
//!
//! As in `laws.rs`: without `preemptions` a model is complete, and where nobody dies no slice ends, so who is
//! not woken is stranded, and loom reports a deadlock.

use super::flag::Flag;
use super::spin::Spin;
use crate::stage;
use crate::sys::Behaviour;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
use crate::sys::task::{self, Owner};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic;
use std::time::Duration;

laws! {
    a_set_releases_who_waits,
    a_set_and_a_clear_release_all_whose_wait_had_begun,
    another_who_clears_strands_nobody,
    who_has_waited_sees_what_was_written_before_the_set,
    who_clears_and_finds_no_work_is_told_of_it,
    who_gives_up_does_so_in_time_and_strands_nobody,
    signals_strand_nobody_and_release_nobody,
    after_any_death_of_a_setter_all_are_released_if_it_is_set,
    after_any_death_of_a_setter_another_may_set,
    after_any_death_of_a_waiter_the_other_is_released,
    after_any_death_of_one_who_clears_nobody_is_stranded,
    lost_wake_ups_are_noticed,
    a_sleep_without_a_look_is_noticed,
    a_wait_that_asks_for_the_flag_alone_is_noticed,
}

const MOMENT: Duration = Duration::from_millis(1);

/// What one thread of a model does.
type Role = fn(&Scene, Owner);

/// One model: who is in it and what happens to them.
#[derive(Clone, Copy)]
struct Model {
    cast: &'static [Role],
    /// Before which step of its own the first of the cast dies, if ever.
    death: Option<u32>,
    /// Whether the event is set at the beginning.
    set: bool,
    /// What comes from outside meanwhile.
    meanwhile: fn(),
    /// And when the first of the cast has ended.
    after_the_first: fn(&Scene),
    preemptions: Option<usize>,
    kernel: Behaviour,
}

const MODEL: Model = Model {
    cast: &[],
    death: None,
    set: false,
    meanwhile: || {},
    after_the_first: |_| {},
    preemptions: None,
    kernel: Behaviour::FirstComeFirst,
};

/// What the cast shares.
struct Scene {
    flag: Flag,
    /// One for each of the cast. It says when the wait of this one has begun.
    spins: [Spin; 3],
    /// Written before a set and read after a wait; loom reports it if there is no order between the two.
    data: UnsafeCell<()>,
    /// Some work, in a place where orders do not matter.
    work: AtomicU32,
    /// A moment after the beginning.
    soon: Deadline,
    gave_up: Cell<u32>,
    died: Cell<u32>,
}

impl Scene {
    fn spin(&self, me: Owner) -> &Spin {
        &self.spins[stage::place(me)]
    }
}

fn waits(scene: &Scene, me: Owner) {
    assert!(scene.flag.wait(scene.spin(me), Deadline::NEVER));
    // The wait may have been over before it had to look twice.
    scene.spin(me).begin();
}

fn waits_and_reads(scene: &Scene, me: Owner) {
    waits(scene, me);
    scene.data.with(|_| ());
}

fn waits_a_moment(scene: &Scene, me: Owner) {
    if !scene.flag.wait(scene.spin(me), scene.soon) {
        assert!(scene.soon.has_passed(), "gave up too early");
        scene.gave_up.set(scene.gave_up.get() + 1);
    }
    scene.spin(me).begin();
}

/// When the wait of the first has begun: another clears.
fn writes_and_sets_in_time(scene: &Scene, me: Owner) {
    scene.spins[0].await_beginning();
    writes_and_sets(scene, me);
}

fn sets(scene: &Scene, _: Owner) {
    scene.flag.set();
}

fn clears(scene: &Scene, _: Owner) {
    scene.flag.clear();
}

fn writes_and_sets(scene: &Scene, _: Owner) {
    scene.data.with_mut(|_| ());
    scene.flag.set();
}

/// Sets and clears when the waits of all others have begun.
fn sets_and_clears_in_time(scene: &Scene, me: Owner) {
    scene.spins[..stage::place(me)].iter().for_each(Spin::await_beginning);
    scene.flag.set();
    scene.flag.clear();
}

/// Sets when the wait of the second has begun.
fn sets_in_time(scene: &Scene, _: Owner) {
    scene.spins[1].await_beginning();
    scene.flag.set();
}

fn works_and_sets(scene: &Scene, _: Owner) {
    scene.work.store(1, Relaxed);
    scene.flag.set();
}

/// Sleeps only when there is nothing to do.
fn clears_and_looks_for_work(scene: &Scene, me: Owner) {
    scene.flag.clear();
    if scene.work.load(Relaxed) == 0 {
        waits(scene, me);
        assert_eq!(scene.work.load(Relaxed), 1, "nobody sets it without work");
    }
}

impl Model {
    /// Runs all executions. Returns how often somebody gave up, and how often the first died.
    fn check(self) -> (u32, u32) {
        type Seen = (atomic::AtomicU32, atomic::AtomicU32);
        let seen = stage::check(self.kernel, self.preemptions, move |seen: &Seen| {
            let (gave_up, died) = self.execute();
            seen.0.fetch_add(gave_up, atomic::Ordering::Relaxed);
            seen.1.fetch_add(died, atomic::Ordering::Relaxed);
        });
        (seen.0.load(atomic::Ordering::Relaxed), seen.1.load(atomic::Ordering::Relaxed))
    }

    /// Runs all executions, for each step before which the first of the cast may die.
    fn check_deaths(mut self, at_least: u32) {
        stage::each_death(at_least, |steps| {
            self.death = Some(steps);
            self.check().1
        });
    }

    fn execute(self) -> (u32, u32) {
        let scene = Rc::new(Scene {
            flag: Flag::new(),
            spins: [Spin::new(), Spin::new(), Spin::new()],
            data: UnsafeCell::new(()),
            work: AtomicU32::new(0),
            soon: Deadline::after(MOMENT),
            gave_up: Cell::new(0),
            died: Cell::new(0),
        });
        if self.set {
            scene.flag.set();
        }
        // No time passes by itself: nobody looks round.
        task::expect(self.cast.len(), 0);
        let mut living =
            stage::begin(&scene, self.cast, &[self.death], |scene, _| scene.died.set(1)).into_iter();
        (self.meanwhile)();
        stage::end(living.by_ref().take(1));
        (self.after_the_first)(&scene);
        stage::end(living);
        (scene.gave_up.get(), scene.died.get())
    }
}

fn a_set_releases_who_waits() {
    Model { cast: &[waits, sets], ..MODEL }.check();
    Model { cast: &[waits, waits, sets], preemptions: Some(2), ..MODEL }.check();
}

fn a_set_and_a_clear_release_all_whose_wait_had_begun() {
    Model { cast: &[waits, sets_and_clears_in_time], ..MODEL }.check();
    Model { cast: &[waits, waits, sets_and_clears_in_time], preemptions: Some(2), ..MODEL }.check();
}

fn another_who_clears_strands_nobody() {
    Model { cast: &[clears, waits, sets_in_time], preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[clears, waits, sets_in_time], set: true, preemptions: Some(2), ..MODEL }.check();
}

fn who_has_waited_sees_what_was_written_before_the_set() {
    Model { cast: &[waits_and_reads, writes_and_sets], ..MODEL }.check();
    // Also if he learns of it by the clear that followed.
    Model { cast: &[waits_and_reads, clears, writes_and_sets_in_time], preemptions: Some(2), ..MODEL }
        .check();
}

fn who_clears_and_finds_no_work_is_told_of_it() {
    Model { cast: &[clears_and_looks_for_work, works_and_sets], set: true, ..MODEL }.check();
    Model { cast: &[clears_and_looks_for_work, works_and_sets], ..MODEL }.check();
}

fn who_gives_up_does_so_in_time_and_strands_nobody() {
    let meanwhile = || clock::pass(MOMENT);
    let cast: &[Role] = &[waits_a_moment, waits, sets_in_time];
    let (gave_up, _) = Model { cast, meanwhile, preemptions: Some(2), ..MODEL }.check();
    assert_ne!(gave_up, 0);
}

fn signals_strand_nobody_and_release_nobody() {
    let meanwhile = futex::interrupt;
    Model { cast: &[waits_and_reads, writes_and_sets], meanwhile, ..MODEL }.check();
    Model { cast: &[waits_a_moment, waits, sets_in_time], meanwhile, preemptions: Some(2), ..MODEL }.check();
}

// One dies before a step, of all that it takes in turn.

/// No slice is needed: who sets, wakes in the same step. Where it died before that, the survivors are helped.
fn after_any_death_of_a_setter_all_are_released_if_it_is_set() {
    fn set_unless_it_is(scene: &Scene) {
        if !scene.flag.is_set() {
            scene.flag.set();
        }
    }
    let model = Model { after_the_first: set_unless_it_is, preemptions: Some(2), ..MODEL };
    Model { cast: &[sets, waits, waits], ..model }.check_deaths(1);
}

fn after_any_death_of_a_setter_another_may_set() {
    Model { cast: &[sets, waits, sets], preemptions: Some(2), ..MODEL }.check_deaths(2);
    Model { cast: &[sets, waits, sets_in_time], preemptions: Some(2), ..MODEL }.check_deaths(2);
}

fn after_any_death_of_a_waiter_the_other_is_released() {
    Model { cast: &[waits, waits, sets_in_time], preemptions: Some(2), ..MODEL }.check_deaths(2);
}

fn after_any_death_of_one_who_clears_nobody_is_stranded() {
    let model = Model { cast: &[clears, waits, sets_in_time], preemptions: Some(2), ..MODEL };
    Model { set: true, ..model }.check_deaths(1);
}

// The models can fail.

fn lost_wake_ups_are_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[waits, sets], kernel: Behaviour::DeafSleepers, ..MODEL }.check();
    });
}

fn a_sleep_without_a_look_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[waits, sets], kernel: Behaviour::BlindSleep, ..MODEL }.check();
    });
}

/// The mistake that this word is made against: to ask whether the event *is* set.
fn a_wait_that_asks_for_the_flag_alone_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        fn waits_for_the_flag(scene: &Scene, me: Owner) {
            while !scene.flag.is_set() {
                waits(scene, me);
            }
        }
        Model { cast: &[waits_for_the_flag, sets_and_clears_in_time], ..MODEL }.check();
    });
}
