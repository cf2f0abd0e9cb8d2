//! The condition, with a lock of either kind.
//!
//! The laws. A notification reaches one that lives: if the victim was notified and died before it had its lock
//! again, then one of those who waited behind it is let go within the promised time, and without that nobody. If
//! it had its lock, the notification was its own. A `notify` that has returned has reached as many as it was to;
//! one that was killed no more than that, and whom it left asleep the next ones reach. What is notified while
//! nobody waits is not kept. The lock tells of the death exactly if it named the dead one as its owner, has one
//! owner at a time, and is free and sound in the end.

use crate::kinds::{Kind, sound};
use crate::scene::{Death, Outcome, Part, Row, Scene, Wrong, law};
use crate::survivor::{PROMISED, Survivor, wait_until};
use crate::victim::{Marks, Victim};
use crate::witness::{Found, Witness};
use shared::sync::Condition;
use std::fmt;
use std::mem::take;
use std::time::{Duration, Instant};

/// What the victim does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Wait,
    WaitTimeout,
    NotifyOne,
    NotifyTwo,
    NotifyAll,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Wait => "wait",
            Operation::WaitTimeout => "wait_timeout",
            Operation::NotifyOne => "notify_one",
            Operation::NotifyTwo => "notify of two",
            Operation::NotifyAll => "notify_all",
        })
    }
}

/// Who has died before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dead {
    Nobody,
    /// One that waited, longer than anybody else.
    Waiter,
    /// One that waited longest and was notified, while another had the lock: the victim is the recoverer.
    Receiver,
}

/// The last one says how many wait besides: before the victim comes, or behind it once that sleeps.
type Stand = (Operation, Part, Dead, usize);

pub(crate) fn rows<K: Kind>() -> Vec<Row> {
    use Operation::{NotifyAll, NotifyOne, NotifyTwo, Wait, WaitTimeout};
    use Part::{Call, Sleep, SliceOver, TimeUp, Woken, WokenSlowly, WokenTooLate};

    let all = [
        (&[Wait, WaitTimeout][..], "nobody else waits", Call, Dead::Nobody, 0),
        (&[Wait, WaitTimeout], "two others wait", Call, Dead::Nobody, 2),
        (&[Wait, WaitTimeout], "asleep, two others wait", Sleep, Dead::Nobody, 2),
        (&[Wait, WaitTimeout], "notified, two others wait", Woken, Dead::Nobody, 2),
        (&[Wait, WaitTimeout], "notified, slice or time up, two others wait", WokenSlowly, Dead::Nobody, 2),
        (&[Wait, WaitTimeout], "notified, the lock taken, two others wait", WokenTooLate, Dead::Nobody, 2),
        (&[Wait, WaitTimeout], "slice over, behind two others", SliceOver, Dead::Nobody, 2),
        (&[WaitTimeout], "time up, two others wait", TimeUp, Dead::Nobody, 2),
        (&[Wait], "a receiver dead, slice over, another waits", SliceOver, Dead::Receiver, 1),
        (&[NotifyOne, NotifyTwo, NotifyAll], "nobody waits", Call, Dead::Nobody, 0),
        (&[NotifyOne, NotifyTwo, NotifyAll], "two wait", Call, Dead::Nobody, 2),
        (&[NotifyOne, NotifyTwo, NotifyAll], "a waiter dead, two wait", Call, Dead::Waiter, 2),
    ];
    let mut rows = Vec::new();
    for (operations, state, part, dead, others) in all {
        rows.extend(operations.iter().map(|&operation| (state, (operation, part, dead, others))));
    }
    // With a nested lock the wait differs where the lock is given up and taken back.
    rows.retain(|(_, (operation, part, ..))| {
        !K::REENTRANT || *operation == Wait && matches!(part, Call | Woken | WokenTooLate)
    });
    rows.sort_by_key(|(_, stand)| stand.0 as u8);
    let row = |(state, stand): (&'static str, Stand)| {
        let name = if K::REENTRANT { "Condition, nested " } else { "Condition, " };
        let row = Row::new(format!("{name}{}", stand.0), state, stand.1, move || Conditions::<K>::new(stand));
        let (operation, part, dead, others) = stand;
        let passed_on = matches!(part, Call | Woken | WokenSlowly | WokenTooLate) || dead == Dead::Receiver;
        Row { slow: matches!(operation, Wait | WaitTimeout) && others > 0 && passed_on, ..row }
    };
    rows.into_iter().map(row).collect()
}

struct Conditions<K> {
    stand: Stand,
    lock: K,
    condition: Condition,
    witness: Witness,
    /// Of the lock.
    holder: Option<Survivor<()>>,
    waiters: Vec<Survivor<Found>>,
    dead: Option<Survivor<Found>>,
    /// One that waited was notified, the victim or the one that died before.
    notified: bool,
    /// Whom the lock named when the victim died.
    named: Option<u32>,
    /// How often the lock must have been taken.
    taken: u64,
}

impl<K: Kind> Conditions<K> {
    fn new(stand: Stand) -> Conditions<K> {
        let (lock, condition, witness) = (K::new(), Condition::new(), Witness::new());
        let (holder, waiters, dead, notified, named, taken) = (None, Vec::new(), None, false, None, 0);
        Conditions { stand, lock, condition, witness, holder, waiters, dead, notified, named, taken }
    }

    /// One that has the lock, until it is told to go on.
    fn hold(&mut self) {
        let (lock, witness) = (self.lock.clone(), self.witness.clone());
        self.taken += 1;
        self.holder = Some(Survivor::arrived("holder", move |line| {
            let (_hold, _) = witness.hold(&lock, lock.lock());
            line.pause();
        }));
    }

    fn release(&mut self) -> Result<(), Wrong> {
        let Some(mut holder) = self.holder.take() else { return Ok(()) };
        holder.go_on();
        holder.ends()
    }

    fn waiter(&self, name: &'static str) -> Survivor<Found> {
        let (lock, condition, witness) = (self.lock.clone(), self.condition.clone(), self.witness.clone());
        Survivor::asleep(name, move |line| {
            let guard = sound(lock.lock());
            line.tell();
            witness.hold(&lock, K::wait(&condition, guard)).1
        })
    }

    fn put_to_sleep(&mut self) {
        for _ in 0..self.stand.3 {
            self.waiters.push(self.waiter("waiter"));
            self.taken += 1;
        }
    }

    /// Whether the others wait before the victim comes: who comes first sleeps without a slice.
    fn is_last(&self) -> bool {
        let (_, part, dead, _) = self.stand;
        part == Part::Call || part == Part::SliceOver && dead == Dead::Nobody
    }

    fn let_go(&self) -> usize {
        self.waiters.iter().filter(|waiter| waiter.is_finished()).count()
    }

    /// How many notifications must have reached somebody alive, and may have.
    fn owed(&self, death: &Death) -> (usize, usize) {
        let (operation, _, _, others) = self.stand;
        let had_lock = self.named == Some(death.pid);
        let notified = match operation {
            Operation::Wait | Operation::WaitTimeout => {
                let given = usize::from(self.notified);
                return (if had_lock { 0 } else { given }, given);
            }
            Operation::NotifyOne => others.min(1),
            Operation::NotifyTwo | Operation::NotifyAll => others,
        };
        (if death.over { notified } else { 0 }, notified)
    }
}

impl<K: Kind> Scene for Conditions<K> {
    fn set(&mut self, time_limit: Duration) -> Victim {
        let (operation, part, dead, _) = self.stand;
        self.notified = false;
        if matches!(part, Part::SliceOver | Part::TimeUp) {
            // Those who wait look round in turn: the turn is the victim's.
            self.condition = Condition::new();
        }
        if dead != Dead::Nobody {
            self.dead = Some(self.waiter("dead one"));
        }
        if self.is_last() {
            self.put_to_sleep();
        }
        let (lock, condition) = (self.lock.clone(), self.condition.clone());
        let victim = Victim::new(move |marks| live(&lock, &condition, marks, operation, time_limit));
        if let (Dead::Waiter, Some(waiter)) = (dead, &self.dead) {
            waiter.kill();
        }
        victim
    }

    fn follow(&mut self) {
        if !self.is_last() {
            self.put_to_sleep();
        }
        if self.stand.2 == Dead::Receiver {
            // The others are to leave it to the victim.
            self.waiters.iter().for_each(Survivor::stop);
            self.hold();
            self.wake();
            self.dead.as_ref().expect("a receiver").kill();
            self.release().expect("a holder that gives back");
        }
    }

    fn wake(&mut self) {
        self.notified = true;
        self.condition.notify_one();
    }

    fn forestall(&mut self) {
        self.hold();
    }

    fn look(&mut self, victim: &Victim) {
        // It is stopped or asleep: if the word names it, that does not change any more.
        self.named = self.lock.owner();
        if self.named == Some(victim.pid()) {
            self.witness.comes(victim.pid());
        }
    }

    fn judge(&mut self, death: &Death) -> Result<Outcome, Wrong> {
        self.release()?;
        // Its time may not have come, if the victim's journey led elsewhere.
        self.dead.iter().for_each(Survivor::kill);
        self.waiters.iter().for_each(Survivor::go_on_living);
        let (owed, most) = self.owed(death);
        let deadline = death.deadline();
        let reached =
            wait_until(deadline.saturating_duration_since(Instant::now()), || self.let_go() >= owed);
        death.note();
        if !reached {
            return Err(Wrong::Hang(format!("{} let go of {owed} that were notified", self.let_go())));
        }
        law(self.let_go() <= most, || format!("{} let go, by {most} notifications", self.let_go()))?;

        // The next notifications, one for each that is left.
        let mut found = Vec::new();
        let notified = Instant::now();
        (self.let_go()..self.waiters.len()).for_each(|_| self.condition.notify_one());
        for waiter in take(&mut self.waiters) {
            found.push(waiter.answer(notified + PROMISED)?);
        }
        // Nothing of all that is kept for one that comes new.
        let control = self.waiter("control");
        self.taken += 1;
        law(!control.is_finished(), || "one that was not notified is let go".to_owned())?;
        self.condition.notify_one();
        found.push(control.answer(Instant::now() + PROMISED)?);
        death.note();
        self.dead = None;

        self.witness.testify()?;
        let expected = self.named.filter(|&owner| owner == death.pid);
        let reported: Vec<u32> = found.iter().filter_map(|(died, _)| *died).collect();
        law(reported == expected.into_iter().collect::<Vec<_>>(), || {
            format!("the word named {:?}, reported were {reported:?}", self.named)
        })?;
        let count = found.last().map_or(0, |(_, count)| *count);
        law(count == self.taken, || format!("taken {} times, counted {count}", self.taken))?;
        let is_sound = !self.lock.is_locked() && self.lock.poison().is_none();
        law(is_sound, || "the lock is not free and sound in the end".to_owned())?;
        let recovered = !reported.is_empty() || most > 0 && owed == most && !death.over;
        Ok(if recovered { Outcome::Recovered } else { Outcome::Clean })
    }

    fn describe(&self) -> String {
        format!("{:?}, {:?}", self.condition, self.lock)
    }
}

/// What the victim does as long as it is let.
fn live<K: Kind>(lock: &K, condition: &Condition, marks: &Marks, operation: Operation, time_limit: Duration) {
    let (warm, elsewhere) = (K::new(), Condition::new());
    elsewhere.notify(2);
    elsewhere.notify_all();
    K::wait_timeout(&elsewhere, sound(warm.lock()), Duration::from_millis(1));
    match operation {
        Operation::Wait => {
            let outer = K::REENTRANT.then(|| sound(lock.lock()));
            let guard = sound(lock.lock());
            std::mem::forget(marks.operation(|| K::wait(condition, guard)));
            drop(outer);
        }
        Operation::WaitTimeout => {
            let guard = sound(lock.lock());
            marks.operation(|| K::wait_timeout(condition, guard, time_limit));
        }
        Operation::NotifyOne => marks.operation(|| condition.notify_one()),
        Operation::NotifyTwo => marks.operation(|| condition.notify(2)),
        Operation::NotifyAll => marks.operation(|| condition.notify_all()),
    }
}
