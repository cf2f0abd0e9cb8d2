//! The semaphores: `Semaphore` and `BoundedSemaphore`, with two permits.
//!
//! The laws. Who sleeps in `acquire`, and then one that comes new, get a permit within the promised time. Of
//! those alive never more have one than there are. In the end there are as many as before, counted by taking
//! all: a dead one's come back, once. But a `release(n)` that was killed has made none to `n`, and a `forget` has done
//! away with one or not; if they had returned, exactly that. And so many that there are two again can be released.

use crate::kinds::Pool;
use crate::scene::{Death, Outcome, Part, Row, Scene, Wrong, law};
use crate::survivor::{PROMISED, Survivor};
use crate::victim::Victim;
use crate::witness::Inside;
use shared::sync::Permit;
use std::fmt::{self, Debug};
use std::mem::{forget, take};
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// How many permits there are.
const BOUND: u64 = 2;
/// How many the victim's `release` makes.
const NEW: u64 = 2;

/// What the victim does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Acquire,
    TryAcquire,
    AcquireTimeout,
    GiveBack,
    Forget,
    Release,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Acquire => "acquire",
            Operation::TryAcquire => "try_acquire",
            Operation::AcquireTimeout => "acquire_timeout",
            Operation::GiveBack => "give back",
            Operation::Forget => "forget",
            Operation::Release => "release of two",
        })
    }
}

/// Who has the permits when the operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Nobody: they are free.
    Free,
    /// There are none, to be made by `release`.
    None,
    /// The victim.
    Victim,
    /// One the victim, one a survivor.
    Both,
    /// A survivor, which gives one back to wake the victim, and both once that is dead.
    Holder,
    /// A process that has died with both and that nobody has collected: the victim is the recoverer.
    Dead,
}

/// The last one says how many sleep in `acquire`: from the start, or behind the victim once that sleeps.
type Stand = (Operation, Owner, Part, usize);

pub(crate) fn rows(is_bounded: bool) -> Vec<Row> {
    use Operation::{Acquire, AcquireTimeout, Forget, GiveBack, Release, TryAcquire};
    use Owner::{Both, Dead, Free, Holder, None, Victim};
    use Part::{Call, Sleep, SliceOver, TimeUp, Woken, WokenSlowly, WokenTooLate};

    let all = [
        (&[Acquire, TryAcquire, AcquireTimeout][..], "free", Free, Call, 0),
        (&[Acquire, TryAcquire, AcquireTimeout], "contended", Holder, Call, 0),
        (&[Acquire, TryAcquire, AcquireTimeout], "contended, a sleeper", Holder, Call, 1),
        (&[Acquire, AcquireTimeout], "asleep, a sleeper", Holder, Sleep, 1),
        (&[Acquire, AcquireTimeout], "woken", Holder, Woken, 0),
        (&[Acquire, AcquireTimeout], "woken, two sleepers", Holder, Woken, 2),
        (&[Acquire, AcquireTimeout], "woken, slice or time up, a sleeper", Holder, WokenSlowly, 1),
        (&[Acquire, AcquireTimeout], "woken too late, a sleeper", Holder, WokenTooLate, 1),
        (&[Acquire, AcquireTimeout], "slice over, a sleeper", Holder, SliceOver, 1),
        (&[AcquireTimeout], "time up, a sleeper", Holder, TimeUp, 1),
        (&[Acquire, TryAcquire, AcquireTimeout], "owner dead", Dead, Call, 0),
        (&[TryAcquire], "owner dead, two sleepers", Dead, Call, 2),
        (&[Acquire, AcquireTimeout], "owner dead, slice over", Dead, SliceOver, 0),
        (&[GiveBack, Forget], "nobody waits", Victim, Call, 0),
        (&[GiveBack], "two sleepers", Victim, Call, 2),
        (&[GiveBack], "another has one, a sleeper", Both, Call, 1),
        (&[Forget], "a sleeper", Victim, Call, 1),
        (&[Release], "nobody waits", None, Call, 0),
        (&[Release], "two sleepers", None, Call, 2),
        (&[Release], "free", Free, Call, 0),
        (&[Release], "owner dead, a sleeper", Dead, Call, 1),
    ];
    let mut rows = Vec::new();
    for (operations, state, owner, part, sleepers) in all {
        rows.extend(operations.iter().map(|&operation| (state, (operation, owner, part, sleepers))));
    }
    // Time limits are the same for both.
    rows.retain(|(_, stand)| !is_bounded || !matches!(stand.0, TryAcquire | AcquireTimeout));
    rows.sort_by_key(|(_, stand)| stand.0 as u8);
    let row = |(state, stand): (&'static str, Stand)| {
        let name = if is_bounded { "BoundedSemaphore" } else { "Semaphore" };
        Row::new(format!("{name}, {}", stand.0), state, stand.2, move || Semaphores::new(is_bounded, stand))
    };
    rows.into_iter().map(row).collect()
}

struct Semaphores {
    is_bounded: bool,
    stand: Stand,
    semaphore: Pool,
    inside: Inside,
    /// With one permit each.
    holders: Vec<Survivor<()>>,
    sleepers: Vec<Survivor<()>>,
    dead: Option<Survivor<()>>,
    /// When the victim died, there were permits that nobody alive had.
    recovered: bool,
}

impl Semaphores {
    fn new(is_bounded: bool, stand: Stand) -> Semaphores {
        let most = if stand.0 == Operation::Release { BOUND + NEW } else { BOUND };
        let (semaphore, inside) = (Pool::new(is_bounded, BOUND), Inside::new(most));
        let (holders, sleepers) = (Vec::new(), Vec::new());
        let recovered = false;
        Semaphores { is_bounded, stand, semaphore, inside, holders, sleepers, dead: None, recovered }
    }

    /// One that has so many permits. When it is told to go on it gives one back, and then the others.
    fn hold(&mut self, permits: u64) {
        let (semaphore, inside) = (self.semaphore.clone(), self.inside.clone());
        self.holders.push(Survivor::arrived("holder", move |line| {
            let mut permits: Vec<_> = (0..permits).map(|_| inside.hold(semaphore.acquire())).collect();
            line.pause();
            permits.pop();
            line.pause();
        }));
    }

    fn put_to_sleep(&mut self) {
        for _ in 0..self.stand.3 {
            let (semaphore, inside) = (self.semaphore.clone(), self.inside.clone());
            self.sleepers.push(Survivor::asleep("sleeper", move |line| {
                line.tell();
                drop(inside.hold(semaphore.acquire()));
            }));
        }
    }

    /// How many there must be, and may be, in the end.
    fn expected(&self, over: bool) -> RangeInclusive<u64> {
        let certainly = |yes: bool, n: u64| if yes { n } else { 0 };
        match (self.stand.0, self.stand.1) {
            (Operation::Forget, _) => BOUND - 1..=BOUND - certainly(over, 1),
            (Operation::Release, Owner::None) => certainly(over, NEW)..=NEW,
            (Operation::Release, _) if !self.is_bounded => BOUND + certainly(over, NEW)..=BOUND + NEW,
            _ => BOUND..=BOUND,
        }
    }
}

impl Scene for Semaphores {
    fn set(&mut self, time_limit: Duration) -> Victim {
        let (operation, owner, part, _) = self.stand;
        let is_bounded = self.is_bounded;
        match owner {
            Owner::Free | Owner::Victim => {}
            Owner::Both => self.hold(1),
            Owner::Holder => self.hold(BOUND),
            Owner::None => {
                while let Some(permit) = self.semaphore.try_acquire() {
                    permit.forget();
                }
            }
            Owner::Dead => {
                let semaphore = self.semaphore.clone();
                self.dead = Some(Survivor::arrived("owner", move |line| {
                    let _permits = [(); BOUND as usize].map(|()| semaphore.acquire());
                    line.pause();
                }));
            }
        }
        let semaphore = self.semaphore.clone();
        let victim = Victim::new(move |marks| {
            let warm = Pool::new(is_bounded, BOUND);
            warm.acquire().forget();
            drop(warm.acquire_timeout(Duration::from_secs(1)));
            assert!(warm.release(1));
            match operation {
                Operation::Acquire => forget(marks.operation(|| semaphore.acquire())),
                Operation::TryAcquire => forget(marks.operation(|| semaphore.try_acquire())),
                Operation::AcquireTimeout => {
                    forget(marks.operation(|| semaphore.acquire_timeout(time_limit)));
                }
                Operation::GiveBack | Operation::Forget => {
                    let permit = semaphore.acquire();
                    if owner == Owner::Victim {
                        forget(semaphore.acquire());
                    }
                    if operation == Operation::GiveBack {
                        marks.operation(|| drop(permit));
                    } else {
                        marks.operation(|| permit.forget());
                    }
                }
                Operation::Release => {
                    marks.operation(|| semaphore.release(NEW));
                }
            }
        });
        if part == Part::Call {
            self.put_to_sleep();
        }
        if let Some(owner) = &self.dead {
            owner.kill();
        }
        victim
    }

    fn follow(&mut self) {
        self.put_to_sleep();
    }

    fn wake(&mut self) {
        self.holders[0].go_on();
        self.holders[0].hear();
    }

    fn forestall(&mut self) {
        self.hold(1);
    }

    fn look(&mut self, _victim: &Victim) {
        let alive = self.semaphore.available() + self.inside.count.load(SeqCst);
        self.recovered = alive < *self.expected(false).start();
    }

    fn judge(&mut self, death: &Death) -> Result<Outcome, Wrong> {
        for mut holder in take(&mut self.holders) {
            holder.go_on();
            holder.go_on();
            holder.ends()?;
        }
        let mut added = 0;
        let served = |sleeper: &Survivor<()>| sleeper.is_finished();
        if self.stand.1 == Owner::None && self.semaphore.available() == 0 && !self.sleepers.iter().any(served)
        {
            // It made none, and so nobody is owed one; or else the count will tell.
            let semaphore = self.semaphore.clone();
            let released = death.answer(Survivor::start("helper", move |_| semaphore.release(NEW)))?;
            added = if released { NEW } else { 0 };
        }
        for sleeper in take(&mut self.sleepers) {
            death.answer(sleeper)?;
        }
        let (semaphore, inside) = (self.semaphore.clone(), self.inside.clone());
        let is_bounded = self.is_bounded;
        let some_are_free = *self.expected(death.over).start() + added > 0;
        let control = Survivor::start("control", move |_| {
            let first =
                if some_are_free { semaphore.acquire_timeout(PROMISED) } else { semaphore.try_acquire() };
            let mut permits: Vec<Permit<'_>> = first.into_iter().collect();
            while let Some(permit) = semaphore.try_acquire() {
                permits.push(permit);
            }
            let total = permits.len() as u64;
            // From now on there are two again.
            permits.drain(total.min(BOUND) as usize..).for_each(Permit::forget);
            let released = semaphore.release(BOUND.saturating_sub(total));
            drop(inside.hold(permits));
            (total, released, is_bounded && semaphore.release(1), semaphore.available())
        });
        let found = death.answer(control)?;
        self.dead = None;
        self.inside.testify()?;
        let expected = self.expected(death.over);
        let expected = expected.start() + added..=expected.end() + added;
        law(expected.contains(&found.0), || format!("there are {} permits, not {expected:?}", found.0))?;
        let must_have = death.over && self.stand.1 == Owner::Free && self.stand.0 != Operation::Release;
        law(self.recovered || !must_have, || "the dead one had a permit, says it, and had none".to_owned())?;
        law((found.1, found.2, found.3) == (true, false, BOUND), || {
            format!("missing ones released {}, too many released {}, free {}", found.1, found.2, found.3)
        })?;
        Ok(if self.recovered { Outcome::Recovered } else { Outcome::Clean })
    }

    fn describe(&self) -> String {
        format!("{:?}", self.semaphore)
    }
}
