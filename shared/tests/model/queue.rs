//! What must hold of a queue's line, whoever is interrupted or killed, and wherever.
//!
//! Chunks of two places, so that they are laid out and retired within a few items. All models are for so many preemptions as
//! they say.

use super::line::{Corrupt, Hints, Line, NoClaim, NoItem};
use crate::memory::blocks::Blocks;
use crate::memory::ring::{Hold, Slot};
use crate::stage;
use crate::sync::{Awaited, Look, Spin};
use crate::sys::Behaviour;
use crate::sys::atomic::AtomicU64;
use crate::sys::clock::Deadline;
use crate::sys::task::{self, Owner};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

laws! {
    a_consumer_gets_what_a_producer_puts_in_order,
    two_producers_and_a_consumer,
    a_producer_and_two_consumers,
    a_full_queue_lets_producers_in_one_by_one,
    after_closed_nothing_comes_any_more,
    a_producer_may_die_anywhere,
    a_consumer_may_die_anywhere,
    a_scribble_is_told,
    lost_wake_ups_are_noticed,
    a_false_proof_is_noticed,
    no_proof_is_noticed,
}

/// What one thread of a model does.
type Role = fn(&Scene, Owner);

struct Scene {
    hints: Hints,
    blocks: Blocks,
    bound: u64,
    known_head: AtomicU64,
    items: Awaited,
    room: Awaited,
    /// Of these the put had returned, and these were being put.
    put: RefCell<Vec<u64>>,
    begun: RefCell<Vec<u64>>,
    /// In this order.
    got: RefCell<Vec<u64>>,
    /// Taken by somebody who died before he had given the place back.
    died: Cell<bool>,
}

impl Scene {
    fn line(&self) -> Line<'_> {
        Line { hints: &self.hints, blocks: &self.blocks, bound: self.bound, known_head: &self.known_head }
    }

    /// As `road.rs` does it. `false`: the queue is closed.
    fn put(&self, me: Owner, item: u64) -> bool {
        self.begun.borrow_mut().push(item);
        let line = self.line();
        let look = |how| {
            if how == Look::Round {
                line.sweep().expect("no scribbles");
            }
            match line.claim(me) {
                Err(NoClaim::Full) => None,
                other => Some(other),
            }
        };
        let spin = Spin::new();
        let claimed = match line.claim(me) {
            Err(NoClaim::Full) => {
                self.room.wait(&spin, Deadline::NEVER, look, || line.about() < line.bound).expect("for ever")
            }
            other => other,
        };
        match claimed {
            Ok(mine) => {
                line.write_and_commit(mine, |place| place.len.store(item, Relaxed));
                self.items.ring();
                self.put.borrow_mut().push(item);
                true
            }
            Err(NoClaim::Closed) => {
                self.items.alarm();
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    /// `None`: closed.
    fn get(&self, me: Owner, hold: Hold) -> Option<u64> {
        let line = self.line();
        let look = |how| {
            if how == Look::Round {
                line.sweep().expect("no scribbles");
            }
            match line.take(me, hold) {
                Err(NoItem::Empty | NoItem::Writing(_)) => None,
                Err(NoItem::Corrupt) => panic!("no scribbles"),
                other => Some(other.ok()),
            }
        };
        let mine = match line.take(me, hold) {
            Ok(mine) => mine,
            Err(_) => {
                self.items.wait(&Spin::new(), Deadline::NEVER, look, || line.has_more()).expect("for ever")?
            }
        };
        let item = mine.place.len.load(Relaxed);
        assert_ne!(item, 0, "taken before it was written");
        assert!(
            line.finish(mine, Slot::Held(me, hold).to_word(), None, 0),
            "it was taken away from its holder"
        );
        // No step between: what is handed over is told.
        self.got.borrow_mut().push(item);
        self.room.ring();
        Some(item)
    }
}

/// One model: who is in it and what happens to them.
#[derive(Clone, Copy)]
struct Model {
    cast: &'static [Role],
    bound: u64,
    /// Before which step of his the first of the cast dies, if ever.
    death: Option<u32>,
    /// So many are put before.
    before: u64,
    preemptions: usize,
    kernel: Behaviour,
}

const MODEL: Model =
    Model { cast: &[], bound: 9, death: None, before: 0, preemptions: 2, kernel: Behaviour::FirstComeFirst };

impl Model {
    /// Runs it, and asks `law` at each end.
    fn holds(self, law: fn(&Scene)) -> u32 {
        let died = stage::check(self.kernel, Some(self.preemptions), move |died: &AtomicU32| {
            task::expect(self.cast.len(), 6);
            let scene = Rc::new(Scene {
                hints: Hints::new(),
                blocks: Blocks::new(),
                bound: self.bound,
                known_head: AtomicU64::new(0),
                items: Awaited::new(),
                room: Awaited::new(),
                put: RefCell::default(),
                begun: RefCell::default(),
                got: RefCell::default(),
                died: Cell::new(false),
            });
            let first = Owner::new(100, 20);
            (1..=self.before).for_each(|item| assert!(scene.put(first, item)));
            stage::play(&scene, self.cast, &[self.death], |scene, _| scene.died.set(true), || {});
            died.fetch_add(u32::from(scene.died.get()), Relaxed);
            law(&scene);
        });
        died.load(Relaxed)
    }

    /// For each step at which the first of the cast may die.
    fn holds_at_each_death(self, law: fn(&Scene)) {
        stage::each_death(4, |steps| Model { death: Some(steps), ..self }.holds(law));
    }

    fn fails(self, law: fn(&Scene)) {
        let failed = catch_unwind(AssertUnwindSafe(|| self.holds(law))).is_err();
        assert!(failed, "the mistake went unnoticed");
    }

    fn fails_at_some_death(self, law: fn(&Scene)) {
        let failed = (0..30).any(|steps| {
            let model = Model { death: Some(steps), ..self };
            catch_unwind(AssertUnwindSafe(|| model.holds(law))).is_err()
        });
        assert!(failed, "the mistake went unnoticed");
    }
}

/// All that was put was got, once; nothing else was, but what may have been put by one who died.
fn each_once(scene: &Scene) {
    let mut got = scene.got.borrow().clone();
    got.sort();
    let once = got.len();
    got.dedup();
    assert_eq!(once, got.len(), "twice");
    assert!(got.iter().all(|item| scene.begun.borrow().contains(item)), "from nowhere");
}

fn each_once_and_all(scene: &Scene) {
    each_once(scene);
    let got = scene.got.borrow();
    assert!(scene.put.borrow().iter().all(|item| got.contains(item)), "lost");
    assert_eq!(scene.line().len(), Ok(0));
}

fn put_1_and_2(scene: &Scene, me: Owner) {
    scene.put(me, 1);
    scene.put(me, 2);
}

fn put_1(scene: &Scene, me: Owner) {
    scene.put(me, 1);
}

fn put_3(scene: &Scene, me: Owner) {
    scene.put(me, 3);
}

fn get(scene: &Scene, me: Owner) {
    scene.get(me, Hold::Taken);
}

fn take_and_die(scene: &Scene, me: Owner) {
    let _ = scene.line().take(me, Hold::Leased);
    loop {
        task::step();
    }
}

fn get_two(scene: &Scene, me: Owner) {
    scene.get(me, Hold::Taken);
    scene.get(me, Hold::Taken);
}

fn get_all(scene: &Scene, me: Owner) {
    while scene.get(me, Hold::Taken).is_some() {}
}

fn get_until_3(scene: &Scene, me: Owner) {
    while scene.get(me, Hold::Taken) != Some(3) {}
}

fn close(scene: &Scene, _: Owner) {
    scene.line().close(false);
    scene.items.alarm();
}

fn in_order(scene: &Scene) {
    each_once_and_all(scene);
    assert!(scene.got.borrow().is_sorted(), "out of order");
}

fn a_consumer_gets_what_a_producer_puts_in_order() {
    Model { cast: &[put_1_and_2, get_two], ..MODEL }.holds(in_order);
}

fn two_producers_and_a_consumer() {
    Model { cast: &[put_1, put_3, get_two], ..MODEL }.holds(each_once_and_all);
}

fn a_producer_and_two_consumers() {
    Model { cast: &[put_1_and_2, get, get], ..MODEL }.holds(each_once_and_all);
    Model { cast: &[put_1_and_2, get, get], kernel: Behaviour::LastComeFirst, ..MODEL }
        .holds(each_once_and_all);
}

fn a_full_queue_lets_producers_in_one_by_one() {
    fn never_more_than_one(scene: &Scene) {
        each_once_and_all(scene);
    }
    Model { cast: &[put_1_and_2, get_two], bound: 1, ..MODEL }.holds(never_more_than_one);
    Model { cast: &[put_1, put_3, get_two], bound: 1, ..MODEL }.holds(never_more_than_one);
}

fn after_closed_nothing_comes_any_more() {
    Model { cast: &[put_1, close, get_all], ..MODEL }.holds(each_once_and_all);
}

fn a_producer_may_die_anywhere() {
    Model { cast: &[put_1_and_2, put_3, get_until_3], preemptions: 1, ..MODEL }
        .holds_at_each_death(each_once);
}

fn a_consumer_may_die_anywhere() {
    // What it had taken goes to the other, unless the place was given back already: then it died with the item.
    Model { cast: &[get, get_all, close], before: 2, ..MODEL }.holds_at_each_death(|scene| {
        each_once(scene);
        let left = scene.line().sweep().and_then(|()| scene.line().len()).expect("no scribbles");
        let (got, died) = (scene.got.borrow().len() as u64, scene.died.get());
        assert!(left + got == 2 || died && left + got == 1, "lost");
    });
    // Before its first step in the finish nothing was given back, and the other gets both.
    Model { cast: &[take_and_die, get_two], before: 2, death: Some(9), ..MODEL }.holds(each_once_and_all);
}

fn a_scribble_is_told() {
    loom::model(|| {
        let (hints, blocks, known_head) = (Hints::new(), Blocks::new(), AtomicU64::new(0));
        let (line, me) =
            (Line { hints: &hints, blocks: &blocks, bound: 9, known_head: &known_head }, Owner::new(1, 1));
        let Ok(mine) = line.claim(me) else { panic!("it is free") };
        mine.place.word.store(!0, Relaxed);
        assert!(matches!(line.take(me, Hold::Taken), Err(NoItem::Corrupt)));
        assert_eq!(line.len(), Err(Corrupt));
    });
}

fn lost_wake_ups_are_noticed() {
    Model { cast: &[put_1, get], kernel: Behaviour::DeafSleepers, ..MODEL }.fails(each_once_and_all);
    Model { cast: &[put_1, get], kernel: Behaviour::BlindSleep, ..MODEL }.fails(each_once_and_all);
}

fn a_false_proof_is_noticed() {
    Model { cast: &[get, get_all, close], before: 2, kernel: Behaviour::FalseProof, ..MODEL }
        .fails_at_some_death(each_once_and_all);
}

fn no_proof_is_noticed() {
    Model { cast: &[put_1_and_2, put_3, get_until_3], preemptions: 1, kernel: Behaviour::NoProof, ..MODEL }
        .fails_at_some_death(each_once);
}
