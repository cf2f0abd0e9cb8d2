//! What must hold of a manager's server and of a client that sleeps, whoever is killed or late.
//!
//! Requests and answers are numbers here. The server looks at a desk only if it was called there. A bell is a count of rings;
//! the client takes them one by one, as messages. As in `laws.rs`, where nobody dies no slice ends, so who is not woken is stranded,
//! and loom reports a deadlock.

use super::calls::{Calls, Heard, Nap};
use crate::stage;
use crate::sys::Behaviour;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::futex::{self, Wait};
use crate::sys::task::{self, Owner};
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

laws! {
    who_asks_is_answered_and_who_serves_is_called,
    an_answer_is_no_answer_to_the_next_request,
    all_who_ask_are_answered,
    after_any_death_of_the_server_the_client_has_its_answer_or_hears_of_the_end,
    lost_rings_are_noticed,
    missing_fences_between_change_and_look_are_noticed,
}

/// What one thread of a model does.
type Role = fn(&Scene, Owner);

#[derive(Clone, Copy)]
struct Model {
    cast: &'static [Role],
    /// Before which step of its own the first of the cast dies, if ever.
    death: Option<u32>,
    preemptions: Option<usize>,
    kernel: Behaviour,
}

const MODEL: Model = Model { cast: &[], death: None, preemptions: None, kernel: Behaviour::FirstComeFirst };

struct Desk {
    requests: AtomicU64,
    answers: AtomicU64,
    nap: Nap,
    bell: AtomicU64,
    heard: AtomicU64,
}

struct Scene {
    calls: Calls<1>,
    bell: AtomicU64,
    desks: [Desk; 2],
    died: Cell<u32>,
}

/// What was done before it is seen by who hears it, as of all that goes through the kernel.
fn ring(bell: &AtomicU64) {
    bell.fetch_add(1, Release);
    futex::wake(bell, i32::MAX);
}

impl Scene {
    fn new() -> Scene {
        let zero = || AtomicU64::new(0);
        let desk =
            || Desk { requests: zero(), answers: zero(), nap: Nap::new(), bell: zero(), heard: zero() };
        Scene { calls: Calls::new(), bell: zero(), desks: [desk(), desk()], died: Cell::new(0) }
    }

    /// Asks so often at this desk. `false`: there was no server any more.
    fn ask(&self, n: usize, times: u64) -> bool {
        let desk = &self.desks[n];
        (1..=times).all(|request| {
            desk.requests.store(request, Release);
            if self.calls.call(n) {
                ring(&self.bell);
            }
            desk.nap.until(|| desk.answers.load(Acquire) >= request, || self.listen(desk))
        })
    }

    fn listen(&self, desk: &Desk) -> Heard {
        let heard = desk.heard.load(Relaxed);
        let waited = futex::wait(&desk.bell, heard, Deadline::after(Duration::from_millis(5)));
        if desk.bell.load(Acquire) != heard {
            desk.heard.store(heard + 1, Relaxed);
            Heard::Ring
        } else if stage::owner(0).has_ended() && waited == Wait::TimedOut {
            Heard::End
        } else {
            Heard::Nothing
        }
    }

    fn serve(&self, mut requests: u64) {
        let mut heard = 0;
        while requests != 0 {
            self.calls.hear(|n| {
                let desk = &self.desks[n];
                let request = desk.requests.load(Acquire);
                if request > desk.answers.load(Relaxed) {
                    requests -= 1;
                    desk.answers.store(request, Release);
                    if desk.nap.rings() {
                        assert_eq!(
                            desk.bell.load(Relaxed),
                            desk.heard.load(Relaxed),
                            "two rings are under way"
                        );
                        ring(&desk.bell);
                    }
                }
            });
            if requests == 0 {
                return;
            }
            self.calls.lie_down();
            if !self.calls.is_called()
                && futex::wait(&self.bell, heard, Deadline::after(Duration::from_millis(5)))
                    == Wait::LookAgain
            {
                heard = self.bell.load(Acquire);
            }
            self.calls.rise();
        }
    }
}

fn serves(scene: &Scene, _: Owner) {
    scene.serve(1);
}

fn serves_two(scene: &Scene, _: Owner) {
    scene.serve(2);
}

fn asks(scene: &Scene, _: Owner) {
    assert!(scene.ask(0, 1));
}

fn asks_twice(scene: &Scene, _: Owner) {
    assert!(scene.ask(0, 2));
}

fn asks_at_the_other(scene: &Scene, _: Owner) {
    assert!(scene.ask(1, 1));
}

/// Has its answer, or hears that there is none to come.
fn asks_or_hears_of_the_end(scene: &Scene, _: Owner) {
    if !scene.ask(0, 1) {
        assert_eq!(scene.desks[0].answers.load(Acquire), 0, "an answer that was given is had");
    }
}

impl Model {
    /// Runs all executions. Returns how often the first died.
    fn check(self) -> u32 {
        let seen = stage::check(self.kernel, self.preemptions, move |seen: &std::sync::atomic::AtomicU32| {
            let scene = Rc::new(Scene::new());
            task::expect(self.cast.len(), u32::MAX);
            stage::play(&scene, self.cast, &[self.death], |scene, _| scene.died.set(1), || {});
            seen.fetch_add(scene.died.get(), std::sync::atomic::Ordering::Relaxed);
        });
        seen.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn who_asks_is_answered_and_who_serves_is_called() {
    Model { cast: &[serves, asks], preemptions: Some(4), ..MODEL }.check();
}

fn an_answer_is_no_answer_to_the_next_request() {
    Model { cast: &[serves_two, asks_twice], preemptions: Some(3), ..MODEL }.check();
}

fn all_who_ask_are_answered() {
    Model { cast: &[serves_two, asks, asks_at_the_other], preemptions: Some(2), ..MODEL }.check();
}

fn after_any_death_of_the_server_the_client_has_its_answer_or_hears_of_the_end() {
    stage::each_death(4, |steps| {
        let cast: &[Role] = &[serves, asks_or_hears_of_the_end];
        Model { cast, death: Some(steps), preemptions: Some(3), ..MODEL }.check()
    });
}

// The models can fail.

fn lost_rings_are_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[serves, asks], kernel: Behaviour::DeafSleepers, ..MODEL }.check();
    });
}

fn missing_fences_between_change_and_look_are_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[serves, asks], kernel: Behaviour::WeakOrder, ..MODEL }.check();
    });
}
