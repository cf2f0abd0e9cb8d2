//! What must hold of those who meet at a barrier, whoever is interrupted, killed or late.
//!
//! As in `laws.rs`: a model is complete for so many preemptions, and where nobody dies no slice ends, so who is
//! not released is stranded, and loom reports it.

use super::meeting::{self, Fate, Meeting, Slot};
use super::raw::RawLock;
use super::spin::Spin;
use crate::stage;
use crate::sys::Behaviour;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::task::{self, Owner};
use loom::cell::UnsafeCell;
use std::array;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

laws! {
    two_meet_and_go_on,
    three_meet_and_see_what_each_did_before,
    a_slow_one_is_told_of_its_own_generation,
    an_abort_releases_all,
    an_action_that_fails_releases_all,
    a_reset_releases_who_waits,
    after_any_death_the_other_is_released,
    after_any_death_both_others_are_released,
    after_any_death_of_one_that_aborts_or_resets_others_can,
    a_kernel_that_loses_wake_ups_is_noticed,
    a_proof_that_is_false_is_noticed,
}

/// Two slices and more.
const SOON: Duration = Duration::from_millis(20);

/// What one thread of a model does.
type Role = fn(&Scene, Owner);

/// One model: who is in it and what happens to them.
#[derive(Clone, Copy)]
struct Model {
    /// One thread each.
    cast: &'static [Role],
    parties: usize,
    /// Before which step of its own the first of the cast dies, if ever.
    death: Option<u32>,
    preemptions: usize,
    kernel: Behaviour,
}

const MODEL: Model =
    Model { cast: &[], parties: 2, death: None, preemptions: 2, kernel: Behaviour::FirstComeFirst };

/// What the cast shares.
struct Scene {
    meeting: Meeting<4>,
    parties: usize,
    soon: Deadline,
    /// One for each: written before it comes, read by all after they passed.
    data: [UnsafeCell<()>; 4],
    actions: Cell<u32>,
    /// Who arrived how, in the order of their leaving.
    left: RefCell<Vec<(Owner, usize, Fate)>>,
    /// Whether the first of the cast did.
    died: Cell<bool>,
}

/// How often something happened in all the executions of a model.
#[derive(Default)]
struct Seen {
    died: AtomicU32,
    passed: AtomicU32,
    found_dead: AtomicU32,
    timed_out: AtomicU32,
    reset: AtomicU32,
}

impl Scene {
    fn wait(&self, me: Owner, deadline: Deadline) -> Fate {
        self.wait_and_act(me, deadline, meeting::PASSED)
    }

    /// `action`: what comes of it, if this is the last one.
    fn wait_and_act(&self, me: Owner, deadline: Deadline, action: Fate) -> Fate {
        self.data[stage::place(me)].with_mut(|_| ());
        let party = match self.meeting.arrive(me, self.parties, deadline) {
            Ok(party) => party,
            Err(fate) => {
                self.left.borrow_mut().push((me, usize::MAX, fate));
                return fate;
            }
        };
        if party.last {
            self.meeting.look_for_the_dead(me);
            if self.meeting.fate(party).is_none() {
                self.actions.set(self.actions.get() + 1);
            }
            self.meeting.decide_for(party, action);
        }
        let fate = self.meeting.wait(party, &Spin::new(), deadline);
        self.left.borrow_mut().push((me, party.index, fate));
        fate
    }

    /// All have ended.
    fn judge(&self, seen: &Seen) {
        let left = self.left.borrow();
        let with = |fate| left.iter().filter(|(_, _, its)| *its == fate).count() as u32;
        seen.passed.fetch_add(with(meeting::PASSED), Relaxed);
        seen.timed_out.fetch_add(with(meeting::TIMED_OUT), Relaxed);
        seen.reset.fetch_add(with(meeting::RESET), Relaxed);
        let dead = with(meeting::DIED | u64::from(stage::owner(0).pid()));
        seen.found_dead.fetch_add(dead, Relaxed);
        seen.died.fetch_add(u32::from(self.died.get()), Relaxed);
        assert!(dead == 0 || self.died.get(), "the living are dead");
        // Of one generation all pass or nobody: only the dead cannot tell.
        let (passed, actions) = (with(meeting::PASSED), self.actions.get());
        assert!(passed <= actions * self.parties as u32, "passed without an action");
        let told = passed + u32::from(self.died.get());
        assert!(passed == 0 || told >= self.parties as u32, "some passed and others did not");
        // Afterwards it can be used as if nothing had been.
        task::expect(1, u32::MAX);
        let late = Owner::new(7, 7);
        self.meeting.reset(late);
        assert_eq!((self.meeting.arrived(), self.meeting.failure()), (0, None));
        let party = self.meeting.arrive(late, 1, Deadline::NEVER).expect("there is room");
        assert!(party.last && party.index == 0);
        self.meeting.look_for_the_dead(late);
        self.meeting.decide_for(party, meeting::PASSED);
        assert_eq!(self.meeting.wait(party, &Spin::new(), Deadline::NEVER), meeting::PASSED);
    }
}

fn passes(scene: &Scene, me: Owner) {
    assert_eq!(scene.wait(me, Deadline::NEVER), meeting::PASSED);
    if scene.parties == 3 {
        scene.data.iter().for_each(|data| data.with(|_| ()));
    }
}

fn passes_twice(scene: &Scene, me: Owner) {
    passes(scene, me);
    passes(scene, me);
}

fn waits(scene: &Scene, me: Owner) {
    scene.wait(me, Deadline::NEVER);
}

fn waits_a_moment(scene: &Scene, me: Owner) {
    if scene.wait(me, scene.soon) == meeting::TIMED_OUT {
        assert!(scene.soon.has_passed(), "gave up too early");
    }
}

/// Whoever decided, dead or alive, the others hear of it with their next look and not at their end.
fn is_told_in_time(scene: &Scene, me: Owner) {
    if scene.wait(me, scene.soon) == meeting::ABORTED {
        assert!(!scene.soon.has_passed(), "told too late");
    }
}

fn fails_to_act(scene: &Scene, me: Owner) {
    assert_eq!(scene.wait_and_act(me, Deadline::NEVER, meeting::PANICKED), meeting::PANICKED);
}

fn aborts(scene: &Scene, me: Owner) {
    scene.meeting.fail(me, meeting::ABORTED);
}

/// Who comes before the reset is released by it, and who comes after it by the abort.
fn resets_and_aborts(scene: &Scene, me: Owner) {
    scene.meeting.reset(me);
    aborts(scene, me);
}

fn nobody() -> Meeting<4> {
    let zero = || AtomicU64::new(0);
    let slots = array::from_fn(|_| Slot { word: zero(), fate: zero() });
    let (door, state, verdict, failure) = (RawLock::new(), zero(), zero(), zero());
    Meeting { door, state, verdict, failure, mark: zero(), looked: zero(), slots }
}

impl Model {
    /// Runs all executions. Returns what was seen in them.
    fn check(self) -> Arc<Seen> {
        stage::check(self.kernel, Some(self.preemptions), move |seen| self.execute(seen))
    }

    /// Runs all executions, for each step before which the first of the cast may die. Returns how often in all
    /// of them somebody was told of it.
    fn check_deaths(mut self) -> u32 {
        let mut found_dead = 0;
        stage::each_death(5, |steps| {
            self.death = Some(steps);
            let seen = self.check();
            found_dead += seen.found_dead.load(Relaxed);
            seen.died.load(Relaxed)
        });
        found_dead
    }

    fn execute(self, seen: &Seen) {
        let scene = Rc::new(Scene {
            meeting: nobody(),
            parties: self.parties,
            soon: Deadline::after(SOON),
            data: array::from_fn(|_| UnsafeCell::new(())),
            actions: Cell::new(0),
            left: RefCell::default(),
            died: Cell::new(false),
        });
        task::expect(self.cast.len(), u32::MAX);
        stage::play(&scene, self.cast, &[self.death], |scene, _| scene.died.set(true), || {});
        scene.judge(seen);
    }
}

// Nobody dies, so no slice ends: who is not released is stranded.

fn two_meet_and_go_on() {
    Model { cast: &[passes, passes], preemptions: 4, ..MODEL }.check();
    Model { cast: &[passes_twice, passes_twice], preemptions: 3, ..MODEL }.check();
}

fn three_meet_and_see_what_each_did_before() {
    let seen = Model { cast: &[passes, passes, passes], parties: 3, ..MODEL }.check();
    assert_eq!(seen.passed.load(Relaxed) % 3, 0);
}

fn a_slow_one_is_told_of_its_own_generation() {
    Model { cast: &[passes, passes, passes, passes], preemptions: 1, ..MODEL }.check();
}

fn an_abort_releases_all() {
    Model { cast: &[waits, aborts], preemptions: 4, ..MODEL }.check();
    Model { cast: &[waits, waits, aborts], parties: 3, ..MODEL }.check();
}

fn an_action_that_fails_releases_all() {
    Model { cast: &[fails_to_act, fails_to_act, fails_to_act], parties: 3, ..MODEL }.check();
}

fn a_reset_releases_who_waits() {
    let seen = Model { cast: &[waits, resets_and_aborts], preemptions: 4, ..MODEL }.check();
    assert_ne!(seen.reset.load(Relaxed), 0);
}

// The first dies before a step, of all that it takes in turn.

fn after_any_death_the_other_is_released() {
    let model = Model { cast: &[waits, waits_a_moment], preemptions: 2, ..MODEL };
    assert_ne!(model.check_deaths(), 0);
}

fn after_any_death_both_others_are_released() {
    let cast: &[Role] = &[waits, waits_a_moment, waits_a_moment];
    assert_ne!(Model { cast, parties: 3, preemptions: 1, ..MODEL }.check_deaths(), 0);
}

fn after_any_death_of_one_that_aborts_or_resets_others_can() {
    Model { cast: &[aborts, waits, aborts], preemptions: 1, ..MODEL }.check_deaths();
    Model { cast: &[aborts, is_told_in_time], ..MODEL }.check_deaths();
    Model { cast: &[resets_and_aborts, waits_a_moment, aborts], preemptions: 1, ..MODEL }.check_deaths();
}

// The models can fail.

fn a_kernel_that_loses_wake_ups_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[passes, passes], kernel: Behaviour::DeafSleepers, ..MODEL }.check();
    });
}

fn a_proof_that_is_false_is_noticed() {
    crate::stage::fails_with("the living are dead", || {
        Model { cast: &[waits, waits], kernel: Behaviour::FalseProof, ..MODEL }.check();
    });
}
