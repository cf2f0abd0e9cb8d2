//! The barrier, for three parties, with an action.
//!
//! The laws. Those that wait have one fate: all pass, each with another index, or all get the same
//! `BrokenBarrier`, within the promised time. If the victim had arrived and not all were there, that names it. If
//! it had not, or had begun to abort or to reset and not done it, the others still wait, and pass together with
//! those that come instead. Whatever happened, after a reset three pass again, and the action runs once.

use crate::scene::{Death, Outcome, Part, Row, SHORT, Scene, Wrong, law};
use crate::survivor::{PROMISED, Survivor, wait_until};
use crate::victim::Victim;
use shared::memory::Shared;
use shared::sync::{Barrier, BrokenCause};
use std::collections::BTreeSet;
use std::fmt;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// What the victim does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Wait,
    WaitTimeout,
    Abort,
    Reset,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Wait => "wait",
            Operation::WaitTimeout => "wait_timeout",
            Operation::Abort => "abort",
            Operation::Reset => "reset",
        })
    }
}

/// What happened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// It was aborted.
    Broken,
    /// One that waited has died: the victim is the one to notice.
    Died,
}

/// How many wait besides: from the start, or behind the victim once that sleeps.
type Stand = (Operation, Part, Before, usize);

pub(crate) fn rows() -> Vec<Row> {
    use Before::{Broken, Died, Nothing};
    use Operation::{Abort, Reset, Wait, WaitTimeout};
    use Part::{Call, Sleep, SliceOver, TimeUp, Woken, WokenSlowly, WokenTooLate};

    let all = [
        (&[Wait, WaitTimeout][..], "nobody waits", Call, Nothing, 0),
        (&[Wait, WaitTimeout], "another waits", Call, Nothing, 1),
        (&[Wait, WaitTimeout], "two others wait", Call, Nothing, 2),
        (&[Wait, WaitTimeout], "asleep, another waits", Sleep, Nothing, 1),
        (&[Wait, WaitTimeout], "woken, all are there", Woken, Nothing, 1),
        (&[Wait, WaitTimeout], "woken, slice or time up, all are there", WokenSlowly, Nothing, 1),
        (&[Wait], "woken, broken again", WokenTooLate, Nothing, 1),
        (&[Wait, WaitTimeout], "slice over, another waits", SliceOver, Nothing, 1),
        (&[WaitTimeout], "time up, another waits", TimeUp, Nothing, 1),
        (&[Wait], "a party dead, another waits", Call, Died, 1),
        (&[Wait], "a party dead, slice over, another waits", SliceOver, Died, 1),
        (&[Wait, Abort, Reset], "broken", Call, Broken, 0),
        (&[Abort, Reset], "two wait", Call, Nothing, 2),
    ];
    let mut rows = Vec::new();
    for (operations, state, part, before, others) in all {
        rows.extend(operations.iter().map(|&operation| (state, (operation, part, before, others))));
    }
    rows.sort_by_key(|(_, stand)| stand.0 as u8);
    let row = |(state, stand): (&'static str, Stand)| {
        let row = Row::new(format!("Barrier, {}", stand.0), state, stand.1, move || Barriers::new(stand));
        Row { slow: stand.1 == SliceOver, ..row }
    };
    rows.into_iter().map(row).collect()
}

/// What a party found: its index, or why not.
type Found = Result<usize, String>;

struct Barriers {
    stand: Stand,
    parties: usize,
    barrier: Barrier,
    /// How often the action has run.
    acted: Shared<AtomicU64>,
    waiters: Vec<Survivor<Found>>,
    dead: Option<Survivor<Found>>,
    /// How many had arrived when the victim died.
    arrived: usize,
}

impl Barriers {
    fn new(stand: Stand) -> Barriers {
        let acted = Shared::new(AtomicU64::new(0));
        // One more where neither the victim nor another is to be the last.
        let parties = if stand.1 == Part::SliceOver && stand.2 == Before::Died { 4 } else { 3 };
        let barrier = Barriers::barrier(parties, &acted);
        Barriers { stand, parties, barrier, acted, waiters: Vec::new(), dead: None, arrived: 0 }
    }

    fn barrier(parties: usize, acted: &Shared<AtomicU64>) -> Barrier {
        let acted = acted.clone();
        Barrier::with_action(parties, move || {
            acted.fetch_add(1, SeqCst);
        })
    }

    fn party(&self) -> impl FnOnce() -> Found + Send + 'static {
        let barrier = self.barrier.clone();
        move || barrier.wait().map(|passed| passed.index()).map_err(|broken| format!("{:?}", broken.cause()))
    }

    fn waiter(&self, name: &'static str) -> Survivor<Found> {
        let party = self.party();
        Survivor::asleep(name, move |line| {
            line.tell();
            party()
        })
    }

    fn put_to_sleep(&mut self) {
        for _ in 0..self.stand.3 {
            self.waiters.push(self.waiter("waiter"));
        }
        if let [waiter] = &self.waiters[..] {
            // It is not to notice, until the victim has had its time.
            waiter.stop();
        }
    }

    /// So many that come new.
    fn newcomers(&self, count: usize) -> Vec<Survivor<Found>> {
        let newcomer = || {
            let party = self.party();
            Survivor::start("newcomer", move |_| party())
        };
        (0..count).map(|_| newcomer()).collect()
    }

    /// Whether something has happened to those that wait.
    fn is_decided(&self) -> bool {
        let waiting = self.waiters.len();
        let let_go = || self.waiters.iter().any(Survivor::is_finished);
        // With two there is a moment at which one is let go and the other is not: it may be the last of the dead.
        waiting > 0
            && (self.arrived != waiting || waiting > 1 && wait_until(Duration::from_millis(50), let_go))
    }

    /// Those that wait have one fate.
    fn judge_fates(&self, death: &Death, found: &[Found]) -> Result<(), Wrong> {
        let (operation, part, ..) = self.stand;
        let Some(Err(cause)) = found.first() else {
            let indices: BTreeSet<_> =
                found.iter().flatten().filter(|&&index| index < self.parties).collect();
            return law(indices.len() == found.len(), || format!("they did not all pass: {found:?}"));
        };
        law(found.iter().all(|one| one == &found[0]), || format!("they fared differently: {found:?}"))?;
        let died = |pid| format!("{:?}", BrokenCause::OwnerDied { pid });
        let of_operation = match operation {
            Operation::Abort => Some(BrokenCause::Aborted),
            Operation::Reset => Some(BrokenCause::Reset),
            Operation::WaitTimeout if part.time_limit() == SHORT => Some(BrokenCause::TimedOut),
            _ => None,
        };
        let dead = self.dead.as_ref().map(Survivor::pid);
        let is_party = matches!(operation, Operation::Wait | Operation::WaitTimeout);
        let is_explained = of_operation.is_some_and(|known| *cause == format!("{known:?}"))
            || is_party && *cause == died(death.pid)
            || dead.is_some_and(|pid| *cause == died(pid))
            || self.stand.2 == Before::Broken && *cause == format!("{:?}", BrokenCause::Aborted);
        law(is_explained, || format!("broken by {cause}"))
    }
}

impl Scene for Barriers {
    fn set(&mut self, time_limit: Duration) -> Victim {
        let (operation, part, before, _) = self.stand;
        // A new one each time: those that wait look for the dead in turn, and the turn is to be the victim's.
        self.barrier = Barriers::barrier(self.parties, &self.acted);
        match before {
            Before::Nothing => {}
            Before::Broken => self.barrier.abort(),
            Before::Died => self.dead = Some(self.waiter("dead one")),
        }
        if part == Part::Call {
            self.put_to_sleep();
        }
        let barrier = self.barrier.clone();
        let victim = Victim::new(move |marks| {
            let warm = Barrier::with_action(2, || ());
            assert!(warm.wait_timeout(Duration::from_millis(1)).is_err());
            warm.reset();
            warm.abort();
            match operation {
                Operation::Wait => {
                    let _ = marks.operation(|| barrier.wait());
                }
                Operation::WaitTimeout => {
                    let _ =
                        marks.operation(|| barrier.wait_timeout(time_limit.max(Duration::from_millis(20))));
                }
                Operation::Abort => marks.operation(|| barrier.abort()),
                Operation::Reset => marks.operation(|| barrier.reset()),
            }
        });
        if part == Part::Call {
            self.dead.iter().for_each(Survivor::kill);
        }
        victim
    }

    fn follow(&mut self) {
        self.put_to_sleep();
        self.dead.iter().for_each(Survivor::kill);
    }

    fn wake(&mut self) {
        self.waiters.extend(self.newcomers(1));
    }

    fn forestall(&mut self) {
        self.barrier.abort();
    }

    fn look(&mut self, _victim: &Victim) {
        self.arrived = self.barrier.waiting();
    }

    fn judge(&mut self, death: &Death) -> Result<Outcome, Wrong> {
        self.dead.iter().for_each(Survivor::kill);
        self.waiters.iter().for_each(Survivor::go_on_living);
        let mut found = Vec::new();
        // They would wait for ever: for these.
        let missing = if self.is_decided() { 0 } else { self.parties - self.waiters.len() };
        let newcomers = self.newcomers(missing);
        for waiter in take(&mut self.waiters) {
            found.push(death.answer(waiter)?);
        }
        let was_reset = found.iter().any(|one| *one == Err(format!("{:?}", BrokenCause::Reset)));
        if was_reset {
            // Then it is they who wait for ever.
            self.barrier.abort();
        }
        for newcomer in newcomers {
            let one = newcomer.answer(Instant::now() + PROMISED)?;
            if !was_reset {
                found.push(one);
            }
        }
        self.judge_fates(death, &found)?;
        self.dead = None;

        self.barrier.reset();
        let acted = self.acted.load(SeqCst);
        let again: Result<Vec<Found>, Wrong> = self
            .newcomers(self.parties)
            .into_iter()
            .map(|one| one.answer(Instant::now() + PROMISED))
            .collect();
        let again = again?;
        let indices: BTreeSet<_> = again.iter().flatten().collect();
        law(indices.len() == self.parties, || format!("after a reset they did not all pass: {again:?}"))?;
        law(self.acted.load(SeqCst) == acted + 1, || "the action did not run once".to_owned())?;
        law(self.barrier.is_broken().is_none(), || "it is broken in the end".to_owned())?;
        Ok(if found.iter().any(Result::is_err) { Outcome::Recovered } else { Outcome::Clean })
    }

    fn describe(&self) -> String {
        format!("{:?}", self.barrier)
    }
}
