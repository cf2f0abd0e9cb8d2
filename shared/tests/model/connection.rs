//! What must hold of those who sleep at an end of a connection, and of those who wake them, whoever is killed or late.
//!
//! The road is a number here: how much was sent, or how much room there is. A bell is a count of rings on which
//! they sleep, as with an edge-triggered `epoll(7)`: who has heard it sleeps on until it is rung again. As in
//! `laws.rs`, where nobody dies no slice ends, so who is not woken is stranded, and loom reports a deadlock.

use super::asleep::Asleep;
use crate::stage;
use crate::sys::Behaviour;
use crate::sys::atomic::{AtomicU64, fence};
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wait};
use crate::sys::task::{self, Owner, step};
use loom::sync::atomic::{
    AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst,
};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic;
use std::time::Duration;

laws! {
    who_sleeps_is_woken_by_who_sends,
    all_who_sleep_at_an_end_are_woken,
    the_mark_of_one_who_sleeps_again_stays,
    who_waits_for_much_room_is_woken_when_there_is_much,
    after_any_death_of_a_sender_all_it_sent_arrives_and_then_the_end,
    after_any_death_of_a_sender_another_reaches_the_receiver,
    after_any_death_of_a_receiver_the_other_is_woken,
    after_any_death_of_who_frees_another_wakes_who_waits_for_room,
    lost_rings_are_noticed,
    a_missing_fence_between_change_and_look_is_noticed,
    a_sleep_without_a_second_look_is_noticed,
    an_announcement_after_the_look_is_noticed,
    an_end_told_without_a_last_look_is_noticed,
}

/// What one thread of a model does.
type Role = fn(&Scene, Owner);

/// One model: who is in it and what happens to them.
#[derive(Clone, Copy)]
struct Model {
    cast: &'static [Role],
    /// Before which step of its own the first of the cast dies, if ever.
    death: Option<u32>,
    preemptions: Option<usize>,
    kernel: Behaviour,
}

const MODEL: Model = Model { cast: &[], death: None, preemptions: None, kernel: Behaviour::FirstComeFirst };

/// What the cast shares.
struct Scene {
    asleep: Asleep,
    /// How much was sent, or freed.
    amount: AtomicU32,
    bell: AtomicU64,
    /// How often somebody was told that it is the end.
    ended: Cell<u32>,
    died: Cell<u32>,
}

impl Scene {
    fn is_there(&self, amount: u32) -> bool {
        self.amount.load(Acquire) >= amount
    }

    fn change(&self) {
        step();
        self.amount.fetch_add(1, Release);
    }

    fn ring(&self) {
        let mut seen = self.bell.load(Relaxed);
        while let Err(now) = self.bell.compare_exchange(seen, seen + 1, Relaxed, Relaxed) {
            seen = now;
        }
        futex::wake(&self.bell, i32::MAX);
    }

    /// One sleep, of one who has heard so many rings.
    fn sleep(&self, heard: &mut u64) {
        if futex::wait(&self.bell, *heard, Deadline::after(Duration::from_millis(5))) == Wait::LookAgain {
            *heard = self.bell.load(Relaxed);
        }
    }

    /// Waits, without an end, for so much.
    fn receive(&self, amount: u32) {
        let mut heard = 0;
        let sleep = || {
            self.sleep(&mut heard);
            true
        };
        assert!(self.asleep.until(|| self.is_there(amount), sleep));
    }
}

fn receives(scene: &Scene, _: Owner) {
    scene.receive(1);
}

fn receives_two(scene: &Scene, _: Owner) {
    scene.receive(1);
    scene.receive(2);
}

fn sends(scene: &Scene, _: Owner) {
    scene.change();
    fence(SeqCst);
    scene.asleep.wake(|| scene.ring());
}

fn sends_two(scene: &Scene, me: Owner) {
    sends(scene, me);
    sends(scene, me);
}

/// Until there is something, or the first of the cast has died: then it looks once more.
fn receives_or_hears_of_the_end(scene: &Scene, _: Owner) {
    let (mut heard, sender) = (0, stage::owner(0));
    let received = scene.asleep.until(
        || scene.is_there(1),
        || {
            scene.sleep(&mut heard);
            !sender.has_ended()
        },
    );
    if !received {
        scene.ended.set(scene.ended.get() + 1);
        assert!(!scene.is_there(1), "all that was sent is received before the end is told");
    }
}

/// Wakes only when there is much room.
fn frees_two(scene: &Scene, _: Owner) {
    for _ in 0..2 {
        scene.change();
        fence(SeqCst);
        if scene.asleep.is_marked() && scene.is_there(2) {
            scene.asleep.wake(|| scene.ring());
        }
    }
}

fn waits_for_room(scene: &Scene, _: Owner) {
    scene.receive(2);
}

impl Model {
    /// Runs all executions. Returns how often the end was told, and how often the first died.
    fn check(self) -> (u32, u32) {
        type Seen = (atomic::AtomicU32, atomic::AtomicU32);
        let seen = stage::check(self.kernel, self.preemptions, move |seen: &Seen| {
            let (ended, died) = self.execute();
            seen.0.fetch_add(ended, atomic::Ordering::Relaxed);
            seen.1.fetch_add(died, atomic::Ordering::Relaxed);
        });
        (seen.0.load(atomic::Ordering::Relaxed), seen.1.load(atomic::Ordering::Relaxed))
    }

    /// Runs all executions, for each step before which the first of the cast may die.
    fn check_deaths(mut self, at_least: u32) -> u32 {
        let mut ended = 0;
        stage::each_death(at_least, |steps| {
            self.death = Some(steps);
            let (ends, deaths) = self.check();
            ended += ends;
            deaths
        });
        ended
    }

    fn execute(self) -> (u32, u32) {
        let scene = Rc::new(Scene {
            asleep: Asleep::new(),
            amount: AtomicU32::new(0),
            bell: AtomicU64::new(0),
            ended: Cell::new(0),
            died: Cell::new(0),
        });
        task::expect(self.cast.len(), u32::MAX);
        stage::play(&scene, self.cast, &[self.death], |scene, _| scene.died.set(1), || {});
        (scene.ended.get(), scene.died.get())
    }
}

fn who_sleeps_is_woken_by_who_sends() {
    Model { cast: &[receives, sends], ..MODEL }.check();
    Model { cast: &[receives_two, sends_two], preemptions: Some(3), ..MODEL }.check();
}

fn all_who_sleep_at_an_end_are_woken() {
    Model { cast: &[receives, receives, sends], preemptions: Some(2), ..MODEL }.check();
}

/// Who rings takes away no mark but the one that it saw.
fn the_mark_of_one_who_sleeps_again_stays() {
    Model { cast: &[receives_two, sends, sends], preemptions: Some(2), ..MODEL }.check();
}

fn who_waits_for_much_room_is_woken_when_there_is_much() {
    Model { cast: &[waits_for_room, frees_two], ..MODEL }.check();
}

fn after_any_death_of_a_sender_all_it_sent_arrives_and_then_the_end() {
    let cast: &[Role] = &[sends, receives_or_hears_of_the_end];
    let ended = Model { cast, preemptions: Some(3), ..MODEL }.check_deaths(3);
    assert_ne!(ended, 0, "killed before it sent");
}

fn after_any_death_of_a_sender_another_reaches_the_receiver() {
    Model { cast: &[sends, receives, sends], preemptions: Some(2), ..MODEL }.check_deaths(3);
    Model { cast: &[sends, receives_two, sends_two], preemptions: Some(1), ..MODEL }.check_deaths(3);
}

fn after_any_death_of_a_receiver_the_other_is_woken() {
    Model { cast: &[receives, receives, sends], preemptions: Some(2), ..MODEL }.check_deaths(2);
}

fn after_any_death_of_who_frees_another_wakes_who_waits_for_room() {
    Model { cast: &[frees_two, waits_for_room, frees_two], preemptions: Some(1), ..MODEL }.check_deaths(4);
}

// The models can fail.

fn lost_rings_are_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[receives, sends], kernel: Behaviour::DeafSleepers, ..MODEL }.check();
    });
}

fn a_missing_fence_between_change_and_look_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        fn sends_without_a_fence(scene: &Scene, _: Owner) {
            scene.change();
            scene.asleep.wake(|| scene.ring());
        }
        Model { cast: &[receives, sends_without_a_fence], ..MODEL }.check();
    });
}

fn a_sleep_without_a_second_look_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        fn sleeps_unasked(scene: &Scene, _: Owner) {
            let mut heard = 0;
            while !scene.is_there(1) {
                let _ = scene.asleep.announce();
                scene.sleep(&mut heard);
            }
        }
        Model { cast: &[sleeps_unasked, sends], ..MODEL }.check();
    });
}

fn an_announcement_after_the_look_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        fn announces_late(scene: &Scene, _: Owner) {
            let mut heard = 0;
            while !scene.is_there(1) {
                scene.sleep(&mut heard);
                let _ = scene.asleep.announce();
            }
        }
        Model { cast: &[announces_late, sends], ..MODEL }.check();
    });
}

/// The end told by one who does not look again.
fn an_end_told_without_a_last_look_is_noticed() {
    crate::stage::fails_with("all that was sent is received", || {
        fn believes_at_once(scene: &Scene, _: Owner) {
            let (mut heard, sender) = (0, stage::owner(0));
            let there = || scene.is_there(1);
            scene.asleep.until(there, || {
                scene.sleep(&mut heard);
                let nothing = !there();
                let ended = sender.has_ended();
                assert!(
                    !nothing || !ended || !there(),
                    "all that was sent is received before the end is told"
                );
                !ended
            });
        }
        Model { cast: &[sends, believes_at_once], preemptions: Some(3), ..MODEL }.check_deaths(3);
    });
}
