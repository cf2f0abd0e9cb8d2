//! The locks: `Lock` and `ReentrantLock`, over a count of how often they were taken.
//!
//! The laws. Who sleeps in `lock`, and then one that comes new, get it within the promised time. They are told
//! of the death exactly if the lock named the dead one as its owner. Nobody gets it while another alive has
//! it: whoever gets it writes its pid into a witness word beside it, and that word must not name another alive.
//! In the end it is free and sound, and was taken as often as the count says.

use crate::kinds::{Kind, Taken, sound};
use crate::scene::{Death, Outcome, Part, Row, Scene, Wrong, law};
use crate::survivor::{Line, PROMISED, Survivor};
use crate::victim::{Marks, Victim};
use crate::witness::{Found, Witness};
use shared::sync::Lock;
use std::cell::Cell;
use std::fmt;
use std::mem::forget;
use std::time::Duration;

/// What the victim does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Lock,
    TryLock,
    LockTimeout,
    Unlock,
    NestedLock,
    NestedUnlock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Lock => "lock",
            Operation::TryLock => "try_lock",
            Operation::LockTimeout => "lock_timeout",
            Operation::Unlock => "unlock",
            Operation::NestedLock => "nested lock",
            Operation::NestedUnlock => "nested unlock",
        })
    }
}

/// Who has the lock when the operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Nobody; or, where the operation is to give it back or to take it again, the victim.
    VictimOrNobody,
    /// A survivor, which gives it back once the victim is dead.
    Holder,
    /// A process that has died with it and that nobody has collected: the victim is the recoverer.
    Dead,
}

/// How things stand in a row. The last one says whether a third process sleeps in `lock`: from the start, or
/// behind the victim once that sleeps.
type Stand = (Operation, Owner, Part, bool);

/// All rows of one kind of lock.
pub(crate) fn rows<K: Kind>() -> Vec<Row> {
    use Operation::{Lock, LockTimeout, NestedLock, NestedUnlock, TryLock, Unlock};
    use Owner::{Dead, Holder, VictimOrNobody};
    use Part::{Call, Sleep, SliceOver, TimeUp, Woken, WokenSlowly, WokenTooLate};

    let all = [
        (&[Lock, TryLock, LockTimeout][..], "free", VictimOrNobody, Call, false),
        (&[Lock, TryLock, LockTimeout], "contended", Holder, Call, false),
        (&[Lock, TryLock, LockTimeout], "contended, a sleeper", Holder, Call, true),
        (&[Lock, LockTimeout], "asleep", Holder, Sleep, false),
        (&[Lock, LockTimeout], "asleep, a sleeper", Holder, Sleep, true),
        (&[Lock, LockTimeout], "woken", Holder, Woken, false),
        (&[Lock, LockTimeout], "woken, a sleeper", Holder, Woken, true),
        (&[Lock, LockTimeout], "woken, slice or time up, a sleeper", Holder, WokenSlowly, true),
        (&[Lock, LockTimeout], "woken too late, a sleeper", Holder, WokenTooLate, true),
        (&[Lock, LockTimeout], "slice over, a sleeper", Holder, SliceOver, true),
        (&[LockTimeout], "time up, a sleeper", Holder, TimeUp, true),
        (&[Lock, TryLock, LockTimeout], "owner dead", Dead, Call, false),
        (&[TryLock], "owner dead, a sleeper", Dead, Call, true),
        (&[Lock, LockTimeout], "owner dead, slice over", Dead, SliceOver, false),
        (&[Unlock], "nobody waits", VictimOrNobody, Call, false),
        (&[Unlock], "a sleeper", VictimOrNobody, Call, true),
        (&[NestedLock, NestedUnlock], "nobody waits", VictimOrNobody, Call, false),
        (&[NestedLock, NestedUnlock], "a sleeper", VictimOrNobody, Call, true),
    ];
    let mut rows = Vec::new();
    for (operations, state, owner, part, sleeper) in all {
        rows.extend(operations.iter().map(|&operation| (state, (operation, owner, part, sleeper))));
    }
    rows.retain(|(_, stand)| K::REENTRANT || !matches!(stand.0, NestedLock | NestedUnlock));
    rows.sort_by_key(|(_, stand)| stand.0 as u8);
    rows.into_iter().map(|(state, stand)| row::<K>(state, stand)).collect()
}

fn row<K: Kind>(state: &'static str, stand: Stand) -> Row {
    Row::new(format!("{}, {}", K::NAME, stand.0), state, stand.2, move || Locks::<K>::new(stand))
}

/// Appendix to the table: the victim dies at the very moment in which a robust mutex of glibc 2.36 strands
/// the next waiter. It was woken, has not run since, and somebody else has taken the lock unmarked.
pub(crate) fn strand() -> Row {
    let stand = (Operation::Lock, Owner::Holder, Part::WokenTooLate, true);
    Row {
        first_only: true,
        ..row::<Lock<Cell<u64>>>("just woken, too late, a sleeper (glibc's strand)", stand)
    }
}

struct Locks<K> {
    stand: Stand,
    lock: K,
    witness: Witness,
    holder: Option<Survivor<()>>,
    sleeper: Option<Survivor<Found>>,
    dead: Option<Survivor<()>>,
    /// Whom the lock named when the victim died.
    named: Option<u32>,
    /// How often the lock must have been taken.
    taken: u64,
}

impl<K: Kind> Locks<K> {
    fn new(stand: Stand) -> Locks<K> {
        let (lock, witness) = (K::new(), Witness::new());
        Locks { stand, lock, witness, holder: None, sleeper: None, dead: None, named: None, taken: 0 }
    }

    /// A process that has the lock, and gives it back when it is told to.
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

    fn put_to_sleep(&mut self) {
        let (lock, witness) = (self.lock.clone(), self.witness.clone());
        self.taken += 1;
        self.sleeper = Some(Survivor::asleep("sleeper", move |line| {
            line.tell();
            witness.hold(&lock, lock.lock()).1
        }));
    }

    /// What the sleeper has to say, if there is one, and then one that comes new.
    fn ask(&mut self, death: &Death) -> Result<Vec<Found>, Wrong> {
        let mut found = Vec::new();
        if let Some(sleeper) = self.sleeper.take() {
            found.push(death.answer(sleeper)?);
        }
        let (lock, witness) = (self.lock.clone(), self.witness.clone());
        self.taken += 1;
        let control = move |_: &mut Line| Some(witness.hold(&lock, lock.lock_timeout(PROMISED)?).1);
        let taken = death.answer(Survivor::start("control", control))?;
        found.push(taken.ok_or_else(|| Wrong::Hang(format!("no lock within {PROMISED:?}")))?);
        Ok(found)
    }
}

impl<K: Kind> Scene for Locks<K> {
    fn set(&mut self, time_limit: Duration) -> Victim {
        let (operation, owner, part, sleeper) = self.stand;
        match owner {
            Owner::VictimOrNobody => {}
            Owner::Holder => self.hold(),
            Owner::Dead => {
                let lock = self.lock.clone();
                self.dead = Some(Survivor::arrived("owner", move |line| {
                    let _guard = lock.lock();
                    line.pause();
                }));
            }
        }
        let lock = self.lock.clone();
        let victim = Victim::new(move |marks| live(&lock, marks, operation, time_limit));
        if matches!(operation, Operation::Unlock | Operation::NestedLock | Operation::NestedUnlock) {
            self.taken += 1;
        }
        if sleeper && part == Part::Call {
            self.put_to_sleep();
        }
        if let Some(owner) = &self.dead {
            owner.kill();
        }
        victim
    }

    fn follow(&mut self) {
        if self.stand.3 {
            self.put_to_sleep();
        }
    }

    fn wake(&mut self) {
        self.release().expect("a holder that gives back");
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
        let found = self.ask(death);
        self.witness.testify()?;
        let found = found?;
        let dead = self.dead.take().map(|owner| owner.pid());
        let named = self.named;
        let expected = named.filter(|&owner| owner == death.pid || Some(owner) == dead);
        let mut reported: Vec<u32> = found.iter().filter_map(|(died, _)| *died).collect();
        // The sleeper may have been faster than the victim in recovering from the dead owner.
        reported.retain(|&owner| Some(owner) != dead || named == dead);
        law(reported == expected.into_iter().collect::<Vec<_>>(), || {
            format!("the word named {named:?}, reported were {reported:?}")
        })?;
        let count = found.last().map_or(0, |(_, count)| *count);
        law(count == self.taken, || format!("taken {} times, counted {count}", self.taken))?;
        let sound = !self.lock.is_locked() && self.lock.poison().is_none();
        law(sound, || "the lock is not free and sound in the end".to_owned())?;
        Ok(if reported.is_empty() { Outcome::Clean } else { Outcome::Recovered })
    }

    fn describe(&self) -> String {
        format!("{:?}", self.lock)
    }
}

/// What the victim does as long as it is let.
fn live<K: Kind>(lock: &K, marks: &Marks, operation: Operation, time_limit: Duration) {
    let warm = K::new();
    drop(sound(warm.lock()));
    drop(warm.try_lock().map(sound));
    drop(warm.lock_timeout(Duration::from_secs(1)).map(sound));
    match operation {
        Operation::Lock => forget(marks.operation(|| lock.lock())),
        Operation::TryLock => forget(marks.operation(|| lock.try_lock())),
        Operation::LockTimeout => forget(marks.operation(|| lock.lock_timeout(time_limit))),
        Operation::Unlock => {
            let guard = counted::<K>(lock.lock());
            marks.operation(|| drop(guard));
        }
        Operation::NestedLock => {
            let _outer = counted::<K>(lock.lock());
            forget(marks.operation(|| lock.lock()));
        }
        Operation::NestedUnlock => {
            let _outer = counted::<K>(lock.lock());
            let inner = sound(lock.lock());
            marks.operation(|| drop(inner));
        }
    }
}

fn counted<K: Kind>(taken: Taken<K::Guard<'_>>) -> K::Guard<'_> {
    let guard = sound(taken);
    guard.set(guard.get() + 1);
    guard
}
