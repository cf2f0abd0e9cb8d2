//! The queues: `Queue` and `JoinableQueue`, with room for two.
//!
//! The laws. Every item that was put for certain is got once, by those who slept or by one that comes new, whole and
//! in order, within the promised time; but a `get` that was killed may have had its item, which is then lost. Neither
//! a killed `get_lease` nor the death of its owner loses one, and one that was done does not come again. An item of a killed
//! `put` is in or not. When there is room, who sleeps in `put` goes on; after a `close` everybody is told; and when
//! all is done, who sleeps in `join` goes on. In the end the queue is empty, says so, and works.

use crate::items::{Item, Road, TORN, item};
use crate::queue_rows::{Dead, ITEM, Operation, SUCCESS, Sleepers, Stand, live};
use crate::scene::{Death, Outcome, Part, Scene, Wrong, law};
use crate::survivor::{PATIENCE, PROMISED, Survivor, wait_until};
use crate::victim::Victim;
use shared::memory::Shared;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// So many may be inside.
pub(crate) const BOUND: u64 = 2;
/// The text of an item that lies in its place, and of one that lies beside it.
pub(crate) const SHORT_TEXT: usize = 20;
pub(crate) const LONG_TEXT: usize = 1500;

pub(crate) struct Queues {
    stand: Stand,
    road: Road,
    /// Of the last item that was made, or is to be.
    last: u64,
    /// The items that are in it for certain, by their numbers.
    inside: Vec<u64>,
    /// The victim's.
    own: u64,
    /// What the victim's operation returned: 0 if it had not.
    told: Shared<AtomicU64>,
    dead: Option<Survivor<()>>,
    /// The instruction before which a producer first has a place, once it is known.
    claimed: Option<u64>,
    getters: Vec<Survivor<Option<u64>>>,
    /// With the number of its item, if that is in.
    putters: Vec<Survivor<Option<u64>>>,
    joiners: Vec<Survivor<()>>,
}

impl Queues {
    pub(crate) fn new(stand: Stand) -> Queues {
        let (road, told) = (Queues::road(stand), Shared::new(AtomicU64::new(0)));
        let (getters, putters, joiners) = (Vec::new(), Vec::new(), Vec::new());
        let (last, inside, own, dead, claimed) = (0, Vec::new(), 0, None, None);
        Queues { stand, road, last, inside, own, told, dead, claimed, getters, putters, joiners }
    }

    fn road(stand: Stand) -> Road {
        let bound = if stand.3 == Dead::Producer { stand.1 + 1 } else { BOUND };
        Road::new(stand.0.is_joinable(), bound)
    }

    fn next(&mut self) -> Item {
        self.last += 1;
        item(self.last, if self.stand.0.is_long() { LONG_TEXT } else { SHORT_TEXT })
    }

    fn put(&mut self) {
        let item = self.next();
        self.inside.push(item.0);
        assert!(self.road.try_put(item), "{:?} has no room", self.road);
    }

    fn take(&mut self) {
        let found = self.road.try_get();
        assert!(found == self.inside.first().copied(), "{found:?} came, of {:?}", self.inside);
        self.inside.remove(0);
        self.road.task_done();
    }

    fn put_to_sleep(&mut self) {
        // Behind the victim only one: the first slice of its sleep is short.
        let many = if self.stand.2 == Part::Call { 2 } else { 1 };
        for _ in 0..many {
            let road = self.road.clone();
            match self.stand.4 {
                Sleepers::Nobody => {}
                Sleepers::Getters => self.getters.push(Survivor::asleep("getter", move |line| {
                    line.tell();
                    let found = road.get();
                    road.task_done();
                    found
                })),
                Sleepers::Putters => {
                    let item = self.next();
                    self.putters.push(Survivor::asleep("putter", move |line| {
                        line.tell();
                        let number = item.0;
                        road.put(item).then_some(number)
                    }));
                }
                Sleepers::Joiners => self.joiners.push(Survivor::asleep("joiner", move |line| {
                    line.tell();
                    road.join_timeout(PATIENCE);
                })),
            }
        }
    }

    /// One that dies between the claim and the commit of a place.
    fn producer_dies(&mut self) {
        let (road, item) = (self.road.clone(), self.next());
        let producer = Victim::new(move |marks| {
            marks.operation(|| road.try_put(item));
        });
        let has_claimed = || self.road.is_full() && self.road.len() == self.stand.1;
        let there = self.claimed.is_some_and(|claimed| producer.run_to_address(claimed) && has_claimed());
        if !there {
            self.claimed = producer.step_until(has_claimed);
        }
        assert!(self.claimed.is_some(), "the producer claims no place of {:?}", self.road);
        producer.die();
    }
}

impl Scene for Queues {
    fn set(&mut self, time_limit: Duration) -> Victim {
        let (operation, inside, part, dead, _) = self.stand;
        // What a sweep comes by depends on how many positions there have been: so each has its own.
        self.road = Queues::road(self.stand);
        self.last = 0;
        self.told.store(0, SeqCst);
        (0..inside).for_each(|_| self.put());
        if dead == Dead::Consumer {
            let road = self.road.clone();
            self.dead = Some(Survivor::arrived("consumer", move |line| {
                (0..inside).for_each(|_| assert!(road.try_get().is_some()));
                line.pause();
            }));
        }
        let own = self.next();
        self.own = own.0;
        let (road, told) = (self.road.clone(), self.told.clone());
        let victim = Victim::new(move |marks| live(&road, own, marks, &told, operation, time_limit));
        if part == Part::Call {
            self.put_to_sleep();
        }
        if dead == Dead::Producer {
            self.producer_dies();
        }
        self.dead.iter().for_each(Survivor::kill);
        victim
    }

    fn follow(&mut self) {
        self.put_to_sleep();
    }

    fn wake(&mut self) {
        match self.stand.0 {
            Operation::Get | Operation::GetTimeout | Operation::Lease => self.put(),
            _ => self.take(),
        }
    }

    fn forestall(&mut self) {
        match self.stand.0 {
            Operation::Get => self.take(),
            _ => self.put(),
        }
    }

    fn judge(&mut self, death: &Death) -> Result<Outcome, Wrong> {
        let (operation, _, _, dead, _) = self.stand;
        // Its time may not have come, if the victim's journey led elsewhere.
        self.dead.iter().for_each(Survivor::kill);
        let told = self.told.load(SeqCst);
        law(told > 0 || !death.over, || "it returned, and did not say what".to_owned())?;
        let (mut sure, mut doubtful) = (take(&mut self.inside), Vec::new());
        let mut missing = 0;
        match (operation, told) {
            (_, 0) if operation.is_put() => doubtful.push(self.own),
            (_, SUCCESS) if operation.is_put() => sure.push(self.own),
            (_, 0) if operation.is_plain_get() => missing = 1,
            (_, ITEM..) if operation.is_plain_get() => {
                law(sure.first() == Some(&(told - ITEM)), || format!("it got {}, of {sure:?}", told - ITEM))?;
                sure.remove(0);
            }
            (Operation::TaskDone | Operation::Done, SUCCESS) => drop(sure.remove(0)),
            (Operation::TaskDone | Operation::Done, 0) => missing = 1,
            (Operation::CloseNow, _) => doubtful.append(&mut sure),
            _ => {}
        }
        // What a dead one had is redelivered, and comes when that is found out.
        let redelivered = match (dead, operation) {
            (Dead::Consumer, _) => sure.len(),
            _ => usize::from(!operation.is_put()),
        };
        let first: Vec<u64> = sure.iter().skip(redelivered).copied().collect();
        let mut found = Vec::new();

        // Those who sleep, and need no more than what is there.
        let has_room = operation.is_plain_get() && told >= ITEM;
        let has_room = has_room && !self.putters.is_empty();
        let goes_on = || self.putters.iter().any(Survivor::is_finished);
        if has_room && !wait_until(death.deadline().saturating_duration_since(Instant::now()), goes_on) {
            return Err(Wrong::Hang("nobody goes on who sleeps in a put, and there is room".to_owned()));
        }
        if operation.is_close() && told == 0 {
            let road = self.road.clone();
            death.answer(Survivor::start("helper", move |_| road.close(operation == Operation::CloseNow)))?;
        } else if !operation.is_close() {
            for _ in sure.len().saturating_sub(missing)..self.getters.len() {
                let (road, item) = (self.road.clone(), self.next());
                sure.push(item.0);
                let put =
                    death.answer(Survivor::start("helper", move |_| road.put_timeout(item, PROMISED)))?;
                law(put, || "there is no room, and nothing inside".to_owned())?;
            }
        }
        for getter in take(&mut self.getters) {
            let got = death.answer(getter)?;
            law(got.is_some() != operation.is_close(), || format!("a getter that slept got {got:?}"))?;
            found.extend(got);
        }
        if operation.is_close() {
            for putter in take(&mut self.putters) {
                sure.extend(death.answer(putter)?);
            }
        }

        // One that comes new. It makes room for those that sleep.
        let expected = sure.len().saturating_sub(missing + found.len()) + self.putters.len();
        let len = self.road.len();
        let has_putters = !self.putters.is_empty();
        let road = self.road.clone();
        let control = Survivor::start("control", move |_| drain(&road, expected));
        let (rest, is_sound) = death.answer(control)?;
        law(is_sound, || "the queue that was emptied is not, or does not work".to_owned())?;
        let is_quiet = operation.is_put() && dead == Dead::Nobody && !has_putters;
        let (fits, count) = (len <= rest.len() as u64, rest.len());
        law(fits && (!is_quiet || len == count as u64), || format!("{count} inside, says it, {len}"))?;
        for putter in take(&mut self.putters) {
            let put = death.answer(putter)?;
            law(put.is_some(), || "a putter that slept was refused".to_owned())?;
            sure.extend(put);
        }
        for joiner in take(&mut self.joiners) {
            death.answer(joiner)?;
        }
        self.dead = None;

        let in_order: Vec<_> = rest.iter().filter(|number| first.contains(number)).collect();
        law(in_order.is_sorted(), || format!("{rest:?} came, out of order"))?;
        found.extend(&rest);
        law(!found.contains(&TORN), || format!("{found:?} came, and 0 is torn"))?;
        found.sort();
        let known = |number: &u64| sure.contains(number) || doubtful.contains(number);
        let once = found.is_sorted_by(|a, b| a < b) && found.iter().all(known);
        law(once, || format!("{found:?} came, of {sure:?} and perhaps {doubtful:?}"))?;
        let lost = sure.iter().filter(|number| !found.contains(number)).count();
        law(lost <= missing, || format!("{found:?} came, of {sure:?} without {missing}"))?;
        let recovered =
            dead != Dead::Nobody || !(operation.is_put() || death.over) || operation.is_joinable();
        Ok(if recovered { Outcome::Recovered } else { Outcome::Clean })
    }

    fn describe(&self) -> String {
        format!("{:?}", self.road)
    }
}

/// Gets so many items, and what else there is; and whether the queue is as it should be then.
fn drain(road: &Road, expected: usize) -> (Vec<u64>, bool) {
    let mut found: Vec<u64> = (0..expected).filter_map(|_| road.get_timeout(PROMISED)).collect();
    found.extend(std::iter::from_fn(|| road.try_get()));
    let mut is_sound = found.iter().all(|_| road.task_done()) && road.join_timeout(PROMISED);
    is_sound &= road.len() == 0 && !road.is_full();
    if !road.is_closed() {
        for number in 1..=BOUND {
            is_sound &= road.is_full() || road.try_put(item(number, SHORT_TEXT)) && road.len() == number;
        }
        is_sound &= road.is_full();
        while let Some(number) = road.try_get() {
            is_sound &= number != TORN && road.task_done();
        }
    }
    (found, is_sound && road.len() == 0)
}
