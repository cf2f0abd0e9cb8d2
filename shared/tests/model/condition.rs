//! What must hold of those who wait at a condition, whoever is interrupted, killed or late.
//!
//! As in `laws.rs`: a model is complete for so many preemptions, and where nobody dies no slice ends, so who is
//! not notified is stranded, and loom reports it. The lock that is given up is `raw.rs`, too.
//!
//! The story is always the same: there are things, each of which one may take. Who finds none waits. It ends
//! well if all that live get theirs, and if nobody was woken whom nobody notified.

use super::raw::{RawLock, Taken};
use super::spin::Spin;
use super::waiter::Slot;
use super::waiters::Waiters;
use crate::stage;
use crate::sys::Behaviour;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::{self, Deadline};
use crate::sys::futex;
use crate::sys::task::{self, Owner};
use loom::cell::UnsafeCell;
use std::array;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

laws! {
    who_waits_is_notified,
    two_are_notified_one_by_one_at_once_or_all,
    two_notify_at_once,
    who_gives_up_takes_no_notification_along,
    who_turns_back_takes_no_notification_along,
    signals_strand_nobody,
    after_any_death_of_a_waiter_another_is_notified,
    who_dies_before_it_has_a_ticket_takes_no_notification_along,
    after_any_death_of_a_notifier_others_notify,
    after_the_death_of_one_with_a_deadline_another_is_notified,
    a_kernel_that_loses_wake_ups_is_noticed,
    a_proof_that_never_comes_is_noticed,
}

const MOMENT: Duration = Duration::from_millis(1);
/// More than a slice.
const LONG: Duration = Duration::from_millis(6);

/// What one thread of a model does.
type Role = fn(&Scene, Owner);

/// One model: who is in it and what happens to them.
#[derive(Clone, Copy)]
struct Model {
    /// One thread each.
    cast: &'static [Role],
    /// Before which step of its own the first of the cast dies, if ever.
    death: Option<u32>,
    /// What comes from outside meanwhile.
    meanwhile: fn(),
    preemptions: usize,
    kernel: Behaviour,
}

const MODEL: Model =
    Model { cast: &[], death: None, meanwhile: || {}, preemptions: 2, kernel: Behaviour::FirstComeFirst };

/// What the cast shares.
struct Scene {
    waiters: Waiters<3>,
    lock: RawLock,
    things: Cell<u32>,
    /// Two who touch the things without an order between them are reported by loom.
    touched: UnsafeCell<()>,
    /// A moment after the beginning.
    soon: Deadline,
    notified: Cell<usize>,
    woken: Cell<usize>,
    gave_up: Cell<u32>,
    died: Cell<u32>,
}

/// How often something happened in all the executions of a model.
#[derive(Default)]
struct Seen {
    died: AtomicU32,
    gave_up: AtomicU32,
    /// Somebody was notified, and its notification reached another.
    woken: AtomicU32,
}

impl Scene {
    fn lock(&self, me: Owner) -> Taken {
        self.lock.lock(me, Deadline::NEVER).expect("a wait without an end ends with the lock")
    }

    /// With the lock.
    fn things(&self) -> u32 {
        self.touched.with(|_| ());
        self.things.get()
    }

    fn change_things(&self, by: i32) {
        self.touched.with_mut(|_| ());
        self.things.set(self.things.get().strict_add_signed(by));
    }

    /// What a wait is: with the lock, without it, and with it again. Whether it was notified.
    fn wait(&self, me: Owner, deadline: Deadline) -> bool {
        let place = self.waiters.enter(me).expect("there is room");
        self.lock.unlock();
        let notified = self.waiters.wait(place, &Spin::new(), deadline);
        self.lock(me);
        if notified {
            self.waiters.settle(place);
            self.woken.set(self.woken.get() + 1);
        }
        notified
    }

    fn notify(&self, count: usize) {
        self.notified.set(self.notified.get() + count);
        self.waiters.notify(count);
    }

    /// Takes a thing, with the lock. From then on it is not this file's business if it dies.
    fn take(&self) {
        task::be_immortal();
        self.change_things(-1);
    }

    /// All have ended.
    fn judge(&self, seen: &Seen) {
        assert!(self.woken.get() <= self.notified.get(), "woken without having been notified");
        seen.woken.fetch_add(self.woken.get() as u32, Relaxed);
        seen.gave_up.fetch_add(self.gave_up.get(), Relaxed);
        seen.died.fetch_add(self.died.get(), Relaxed);
        assert!(self.waiters.waiting() <= self.died.get() as usize, "somebody is still counted");
        // Nothing is left over for one who comes later, though it looks for what the dead left.
        task::expect(1, u32::MAX);
        task::bury(Owner::new(9, 9));
        let late = Owner::new(7, 7);
        let place = self.waiters.enter(late).expect("there is room");
        let notified = self.waiters.wait(place, &Spin::new(), Deadline::after(LONG));
        assert!(!notified, "a notification was kept");
    }
}

fn takes_one(scene: &Scene, me: Owner) {
    scene.lock(me);
    while scene.things() == 0 {
        scene.wait(me, Deadline::NEVER);
    }
    scene.take();
    scene.lock.unlock();
}

/// Takes one, and puts one there for the next: so the next gets one, if this one dies or not.
fn takes_one_and_puts_one(scene: &Scene, me: Owner) {
    takes_one(scene, me);
    puts_one(scene, me);
}

fn waits_a_moment_and_puts_one(scene: &Scene, me: Owner) {
    scene.lock(me);
    if scene.things() != 0 || scene.wait(me, scene.soon) {
        scene.lock.unlock();
        // What it was notified of it leaves to the next.
        task::be_immortal();
        scene.notify(1);
        return;
    }
    assert!(scene.soon.has_passed(), "gave up too early");
    scene.gave_up.set(scene.gave_up.get() + 1);
    scene.lock.unlock();
}

/// Begins to wait, and thinks better of it.
fn turns_back(scene: &Scene, me: Owner) {
    scene.lock(me);
    if scene.things() == 0 {
        let place = scene.waiters.enter(me).expect("there is room");
        scene.lock.unlock();
        scene.waiters.abandon(place);
    } else {
        scene.lock.unlock();
    }
}

/// The second time its slot has been in use before.
fn turns_back_twice(scene: &Scene, me: Owner) {
    turns_back(scene, me);
    turns_back(scene, me);
}

fn puts_one(scene: &Scene, me: Owner) {
    scene.lock(me);
    scene.change_things(1);
    scene.lock.unlock();
    scene.notify(1);
}

fn puts_one_and_notifies_with_the_lock(scene: &Scene, me: Owner) {
    scene.lock(me);
    scene.change_things(1);
    scene.notify(1);
    scene.lock.unlock();
}

fn puts_two(scene: &Scene, me: Owner) {
    scene.lock(me);
    scene.change_things(2);
    scene.lock.unlock();
    scene.notify(2);
}

fn puts_two_one_by_one(scene: &Scene, me: Owner) {
    puts_one(scene, me);
    puts_one(scene, me);
}

fn puts_two_and_notifies_all(scene: &Scene, me: Owner) {
    scene.lock(me);
    scene.change_things(2);
    scene.lock.unlock();
    scene.notified.set(scene.notified.get() + 2);
    scene.waiters.notify_all();
}

fn nobody() -> Waiters<3> {
    let slots = array::from_fn(|_| {
        let [word, ticket, given, woken, line, looked] = array::from_fn(|_| AtomicU64::new(0));
        Slot { word, ticket, given, woken, line, looked }
    });
    Waiters { slots }
}

impl Model {
    /// Runs all executions. Returns what was seen in them.
    fn check(self) -> Arc<Seen> {
        stage::check(self.kernel, Some(self.preemptions), move |seen| self.execute(seen))
    }

    /// Runs all executions, for each step before which the first of the cast may die.
    fn check_deaths(mut self) {
        stage::each_death(7, |steps| {
            self.death = Some(steps);
            self.check().died.load(Relaxed)
        });
    }

    fn execute(self, seen: &Seen) {
        let scene = Rc::new(Scene {
            waiters: nobody(),
            lock: RawLock::new(),
            things: Cell::new(0),
            touched: UnsafeCell::new(()),
            soon: Deadline::after(MOMENT),
            notified: Cell::new(0),
            woken: Cell::new(0),
            gave_up: Cell::new(0),
            died: Cell::new(0),
        });
        task::expect(self.cast.len(), u32::MAX);
        stage::play(&scene, self.cast, &[self.death], |scene, _| scene.died.set(1), self.meanwhile);
        clock::pass(MOMENT);
        scene.judge(seen);
    }
}

// Nobody dies, so no slice ends: who is not notified is stranded.

fn who_waits_is_notified() {
    Model { cast: &[takes_one, puts_one], preemptions: 4, ..MODEL }.check();
    Model { cast: &[takes_one, puts_one_and_notifies_with_the_lock], preemptions: 4, ..MODEL }.check();
}

fn two_are_notified_one_by_one_at_once_or_all() {
    for puts in [puts_two_one_by_one as Role, puts_two, puts_two_and_notifies_all] {
        let cast: &'static [Role] = Box::leak(Box::new([takes_one, takes_one, puts]));
        Model { cast, ..MODEL }.check();
    }
}

fn two_notify_at_once() {
    Model { cast: &[takes_one, takes_one, puts_one, puts_one], preemptions: 1, ..MODEL }.check();
}

fn who_gives_up_takes_no_notification_along() {
    let meanwhile = || clock::pass(MOMENT);
    let cast: &[Role] = &[waits_a_moment_and_puts_one, takes_one, puts_one];
    let seen = Model { cast, meanwhile, ..MODEL }.check();
    assert_ne!(seen.gave_up.load(Relaxed), 0);
}

fn who_turns_back_takes_no_notification_along() {
    Model { cast: &[turns_back, takes_one, puts_one], ..MODEL }.check();
    Model { cast: &[takes_one, turns_back, puts_one], ..MODEL }.check();
}

fn signals_strand_nobody() {
    Model { cast: &[takes_one, puts_one], meanwhile: futex::interrupt, preemptions: 3, ..MODEL }.check();
}

// One dies before a step, of all that it takes in turn.

fn after_any_death_of_a_waiter_another_is_notified() {
    let cast: &[Role] = &[takes_one_and_puts_one, takes_one_and_puts_one, puts_one];
    Model { cast, preemptions: 1, ..MODEL }.check_deaths();
}

fn who_dies_before_it_has_a_ticket_takes_no_notification_along() {
    Model { cast: &[turns_back_twice, takes_one, puts_one], preemptions: 1, ..MODEL }.check_deaths();
    let cast: &[Role] = &[turns_back_twice, takes_one, puts_two_one_by_one];
    Model { cast, preemptions: 1, ..MODEL }.check_deaths();
}

fn after_any_death_of_a_notifier_others_notify() {
    Model { cast: &[puts_one, takes_one, puts_one], preemptions: 1, ..MODEL }.check_deaths();
}

fn after_the_death_of_one_with_a_deadline_another_is_notified() {
    let meanwhile = || clock::pass(MOMENT);
    let cast: &[Role] = &[waits_a_moment_and_puts_one, takes_one, puts_one];
    Model { cast, meanwhile, preemptions: 1, ..MODEL }.check_deaths();
}

// The models can fail.

fn a_kernel_that_loses_wake_ups_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[takes_one, puts_one], kernel: Behaviour::DeafSleepers, ..MODEL }.check();
    });
}

fn a_proof_that_never_comes_is_noticed() {
    crate::stage::fails_with("Model exceeded maximum number of branches", || {
        let cast: &[Role] = &[takes_one_and_puts_one, takes_one_and_puts_one, puts_one];
        Model { cast, kernel: Behaviour::NoProof, preemptions: 1, ..MODEL }.check_deaths();
    });
}
