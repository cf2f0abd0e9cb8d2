//! What must hold of the lock word, whoever is interrupted, killed or late.
//!
//! A model without `preemptions` is complete: all interleavings, and all that relaxed loads may return. The
//! others are complete for that many preemptions: moments at which a thread is made to wait that could have
//! gone on. A death or a sleep is no preemption.

use super::raw::{RawLock, Taken};
use crate::stage;
use crate::sys::Behaviour;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
use crate::sys::task::{self, Owner};
use loom::cell::UnsafeCell;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

laws! {
    two_take_turns_and_nobody_is_stranded,
    three_take_turns_and_nobody_is_stranded,
    it_does_not_matter_which_sleeper_is_woken,
    who_gives_up_takes_no_wake_up_along,
    signals_strand_nobody,
    who_only_tries_disturbs_nobody,
    after_any_death_the_other_gets_the_lock,
    after_any_death_both_others_get_the_lock,
    after_the_death_of_one_with_a_deadline_both_others_get_the_lock,
    of_many_who_prove_a_death_one_inherits,
    who_only_tries_inherits_too,
    the_heir_wakes_the_next,
    the_heir_may_have_the_number_of_the_dead,
    the_heir_may_die_too,
    after_any_two_deaths_the_third_gets_the_lock,
    a_kernel_that_loses_wake_ups_is_noticed,
    a_kernel_that_puts_to_sleep_without_a_look_is_noticed,
    a_proof_that_is_false_is_noticed,
    a_proof_that_never_comes_is_noticed,
}

/// More than one who sleeps once takes.
const STEPS: u32 = 12;

const MOMENT: Duration = Duration::from_millis(1);

/// What one thread of a model does.
type Role = fn(&Scene, Owner);

/// One model: who is in it and what happens to them.
#[derive(Clone, Copy)]
struct Model {
    /// One thread each.
    cast: &'static [Role],
    /// Before which step of theirs the first two of the cast die, if ever.
    deaths: [Option<u32>; 2],
    /// At the beginning the lock belongs to one who has died with it.
    from_the_dead: bool,
    /// That one had the thread id of the last of the cast.
    same_number: bool,
    /// What comes from outside meanwhile.
    meanwhile: fn(),
    /// How often time passes because all the living sleep.
    slices: u32,
    preemptions: Option<usize>,
    kernel: Behaviour,
}

const MODEL: Model = Model {
    cast: &[],
    deaths: [None; 2],
    from_the_dead: false,
    same_number: false,
    meanwhile: || {},
    slices: u32::MAX,
    preemptions: None,
    kernel: Behaviour::FirstComeFirst,
};

/// What the cast shares.
struct Scene {
    lock: RawLock,
    /// Two who touch it without an order between them are reported by loom.
    data: UnsafeCell<()>,
    /// A moment after the beginning.
    soon: Deadline,
    gave_up: Cell<u32>,
    taken: RefCell<Vec<Taken>>,
    died: RefCell<Vec<Death>>,
}

struct Death {
    who: Owner,
    with_the_lock: bool,
}

/// How often something happened in all the executions of a model.
#[derive(Default)]
struct Seen {
    /// How often the n-th of the cast died.
    died: [AtomicU32; 2],
    inherited: AtomicU32,
    gave_up: AtomicU32,
}

impl Scene {
    /// What one does with the lock.
    fn hold(&self, taken: Taken) {
        self.taken.borrow_mut().push(taken);
        task::step();
        self.data.with_mut(|_| ());
        task::step();
        self.data.with_mut(|_| ());
        self.lock.unlock();
    }

    /// Dies, and nobody knows yet.
    fn lose(&self, who: Owner) {
        let with_the_lock = self.lock.owner() == Some(who);
        self.died.borrow_mut().push(Death { who, with_the_lock });
    }

    /// All have ended: the lock is free or a dead one's, and each who died with it has at most one heir,
    /// who was told so.
    fn judge(&self, seen: &Seen) {
        let (owner, died, taken) = (self.lock.owner(), self.died.borrow(), self.taken.borrow());
        let mut inherited = 0;
        for dead in died.iter() {
            let heirs = taken.iter().filter(|&&taken| taken == Taken::From(dead.who)).count();
            let lost = dead.with_the_lock && owner != Some(dead.who);
            assert_eq!(heirs, usize::from(lost), "heirs of {:?}", dead.who);
            inherited += heirs;
        }
        assert_eq!(taken.iter().filter(|&&taken| taken != Taken::Clean).count(), inherited);
        assert!(owner.is_none_or(|owner| died.iter().any(|dead| dead.who == owner && dead.with_the_lock)));
        for (n, count) in seen.died.iter().enumerate() {
            count.fetch_add(died.iter().filter(|dead| dead.who == stage::owner(n)).count() as u32, Relaxed);
        }
        seen.inherited.fetch_add(inherited as u32, Relaxed);
        seen.gave_up.fetch_add(self.gave_up.get(), Relaxed);
    }
}

fn locks(scene: &Scene, me: Owner) {
    let taken = scene.lock.lock(me, Deadline::NEVER).expect("a wait without an end ends with the lock");
    scene.hold(taken);
}

fn locks_twice(scene: &Scene, me: Owner) {
    locks(scene, me);
    locks(scene, me);
}

fn tries(scene: &Scene, me: Owner) {
    match scene.lock.try_lock(me) {
        Some(taken) => scene.hold(taken),
        None => assert!(!scene.taken.borrow().is_empty(), "refused, though nobody alive ever had it"),
    }
}

fn waits_a_moment(scene: &Scene, me: Owner) {
    match scene.lock.lock(me, scene.soon) {
        Some(taken) => scene.hold(taken),
        None => {
            assert!(scene.soon.has_passed(), "gave up too early");
            scene.gave_up.set(scene.gave_up.get() + 1);
        }
    }
}

impl Model {
    /// Runs all executions. Returns what was seen in them.
    fn check(self) -> Arc<Seen> {
        stage::check(self.kernel, self.preemptions, move |seen| self.execute(seen))
    }

    /// Runs all executions, for each step before which the n-th of the cast may die.
    fn check_deaths(mut self, n: usize) {
        let mut inherited = 0;
        stage::each_death(3, |steps| {
            self.deaths[n] = Some(steps);
            let seen = self.check();
            inherited += seen.inherited.load(Relaxed);
            seen.died[n].load(Relaxed)
        });
        assert_ne!(inherited, 0, "nobody inherited");
    }

    fn execute(self, seen: &Seen) {
        let scene = Rc::new(Scene {
            lock: RawLock::new(),
            data: UnsafeCell::new(()),
            soon: Deadline::after(MOMENT),
            gave_up: Cell::new(0),
            taken: RefCell::default(),
            died: RefCell::default(),
        });
        if self.from_the_dead {
            let number = if self.same_number { stage::owner(self.cast.len() - 1).pid() } else { 1 };
            let late = Owner::new(number, 1);
            assert_eq!(scene.lock.try_lock(late), Some(Taken::Clean));
            scene.died.borrow_mut().push(Death { who: late, with_the_lock: true });
            task::bury(late);
        }
        task::expect(self.cast.len(), self.slices);
        stage::play(&scene, self.cast, &self.deaths, Scene::lose, self.meanwhile);
        scene.judge(seen);
    }
}

// Nobody dies, so no slice ends: who is not woken is stranded, and loom reports a deadlock.

fn two_take_turns_and_nobody_is_stranded() {
    Model { cast: &[locks, locks], ..MODEL }.check();
    Model { cast: &[locks_twice, locks_twice], preemptions: Some(4), ..MODEL }.check();
}

fn three_take_turns_and_nobody_is_stranded() {
    Model { cast: &[locks_twice, locks, locks], preemptions: Some(3), ..MODEL }.check();
}

fn it_does_not_matter_which_sleeper_is_woken() {
    let kernel = Behaviour::LastComeFirst;
    Model { cast: &[locks, locks, locks], preemptions: Some(3), kernel, ..MODEL }.check();
}

fn who_gives_up_takes_no_wake_up_along() {
    let meanwhile = || clock::pass(MOMENT);
    let seen =
        Model { cast: &[waits_a_moment, locks, locks], meanwhile, preemptions: Some(3), ..MODEL }.check();
    assert_ne!(seen.gave_up.load(Relaxed), 0);
}

fn signals_strand_nobody() {
    let meanwhile = futex::interrupt;
    Model { cast: &[locks, locks], meanwhile, ..MODEL }.check();
    Model { cast: &[locks, waits_a_moment, locks], meanwhile, preemptions: Some(2), ..MODEL }.check();
}

fn who_only_tries_disturbs_nobody() {
    Model { cast: &[tries, locks, locks], preemptions: Some(3), ..MODEL }.check();
}

// One dies before a step, of all that it takes in turn.

fn after_any_death_the_other_gets_the_lock() {
    Model { cast: &[locks, locks], preemptions: Some(5), ..MODEL }.check_deaths(0);
    Model { cast: &[tries, locks_twice], preemptions: Some(3), ..MODEL }.check_deaths(0);
}

fn after_any_death_both_others_get_the_lock() {
    Model { cast: &[locks, locks, locks], preemptions: Some(2), ..MODEL }.check_deaths(0);
    Model { cast: &[locks_twice, locks, tries], preemptions: Some(2), ..MODEL }.check_deaths(0);
}

fn after_the_death_of_one_with_a_deadline_both_others_get_the_lock() {
    let meanwhile = || clock::pass(MOMENT);
    let model = Model { cast: &[waits_a_moment, locks, locks], meanwhile, preemptions: Some(2), ..MODEL };
    model.check_deaths(0);
}

fn of_many_who_prove_a_death_one_inherits() {
    let from_the_dead = true;
    let seen = Model { cast: &[locks, locks, tries], from_the_dead, preemptions: Some(2), ..MODEL }.check();
    assert_ne!(seen.inherited.load(Relaxed), 0);
}

fn who_only_tries_inherits_too() {
    let seen = Model { cast: &[tries], from_the_dead: true, slices: 0, ..MODEL }.check();
    assert_ne!(seen.inherited.load(Relaxed), 0);
}

/// Their slices end one after the other, and only the first has to.
fn the_heir_wakes_the_next() {
    let (from_the_dead, slices, meanwhile) = (true, 1, (|| clock::pass(MOMENT)) as fn());
    Model { cast: &[locks, locks], from_the_dead, slices, meanwhile, preemptions: Some(3), ..MODEL }.check();
}

fn the_heir_may_have_the_number_of_the_dead() {
    let (from_the_dead, same_number) = (true, true);
    Model { cast: &[locks, locks, locks], from_the_dead, same_number, preemptions: Some(2), ..MODEL }.check();
}

fn the_heir_may_die_too() {
    let from_the_dead = true;
    Model { cast: &[locks, locks], from_the_dead, preemptions: Some(3), ..MODEL }.check_deaths(0);
    Model { cast: &[locks, locks, locks], from_the_dead, preemptions: Some(1), ..MODEL }.check_deaths(0);
}

fn after_any_two_deaths_the_third_gets_the_lock() {
    for steps in 0..STEPS {
        let deaths = [None, Some(steps)];
        Model { cast: &[locks, locks, locks], deaths, preemptions: Some(1), ..MODEL }.check_deaths(0);
    }
}

// The models can fail: each mistake in the kernel below the lock is noticed.

fn a_kernel_that_loses_wake_ups_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[locks, locks], kernel: Behaviour::DeafSleepers, ..MODEL }.check();
    });
}

fn a_kernel_that_puts_to_sleep_without_a_look_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[locks, locks], kernel: Behaviour::BlindSleep, ..MODEL }.check();
    });
}

fn a_proof_that_is_false_is_noticed() {
    crate::stage::fails_with("Causality violation", || {
        Model { cast: &[locks, tries], kernel: Behaviour::FalseProof, ..MODEL }.check();
    });
}

fn a_proof_that_never_comes_is_noticed() {
    crate::stage::fails_with("Model exceeded maximum number of branches", || {
        Model { cast: &[locks], from_the_dead: true, kernel: Behaviour::NoProof, ..MODEL }.check();
    });
}
