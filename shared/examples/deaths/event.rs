//! The event: set, clear and wait.
//!
//! The laws. A `set` or `clear` that was killed has happened or not, and one that has returned has happened. If
//! the event is set, or was while they slept, all who sleep are let go within the promised time; if not, none
//! is, until the next `set` lets all go. Afterwards set, clear and wait do what they always do.

use crate::scene::{Death, Outcome, Part, Row, Scene, Wrong, law};
use crate::survivor::{PROMISED, Survivor};
use crate::victim::Victim;
use shared::sync::Event;
use std::time::Duration;

/// What the victim does when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Set,
    Clear,
    Wait,
    WaitTimeout,
}

/// What is stepped through, whether the event is set before, and how many survivors sleep: from the start, or
/// behind the victim once that sleeps.
type Stand = (Operation, Part, bool, usize);

pub(crate) fn rows() -> Vec<Row> {
    use Operation::{Clear, Set, Wait, WaitTimeout};
    use Part::{Call, Sleep, TimeUp, Woken, WokenSlowly, WokenTooLate};

    let all = [
        (&[Set][..], "nobody waits", Call, false, 0),
        (&[Set], "two sleepers", Call, false, 2),
        (&[Set], "set already", Call, true, 0),
        (&[Clear], "set", Call, true, 0),
        (&[Clear], "not set, two sleepers", Call, false, 2),
        (&[Wait, WaitTimeout], "set", Call, true, 0),
        (&[Wait, WaitTimeout], "not set", Call, false, 0),
        (&[Wait, WaitTimeout], "not set, two sleepers", Call, false, 2),
        (&[Wait, WaitTimeout], "asleep, two sleepers", Sleep, false, 2),
        (&[Wait, WaitTimeout], "woken, two sleepers", Woken, false, 2),
        (&[WaitTimeout], "woken, time up, two sleepers", WokenSlowly, false, 2),
        (&[Wait, WaitTimeout], "woken, cleared again, two sleepers", WokenTooLate, false, 2),
        (&[WaitTimeout], "time up, two sleepers", TimeUp, false, 2),
    ];
    let mut rows = Vec::new();
    for (operations, state, part, set, sleepers) in all {
        rows.extend(operations.iter().map(|&operation| (state, (operation, part, set, sleepers))));
    }
    rows.sort_by_key(|(_, stand)| stand.0 as u8);
    let row = |(state, stand): (&'static str, Stand)| {
        let name = match stand.0 {
            Set => "set",
            Clear => "clear",
            Wait => "wait",
            WaitTimeout => "wait_timeout",
        };
        Row::new(format!("Event, {name}"), state, stand.1, move || Events::new(stand))
    };
    rows.into_iter().map(row).collect()
}

struct Events {
    stand: Stand,
    event: Event,
    sleepers: Vec<Survivor<bool>>,
    /// The event was set while they slept.
    was_set: bool,
}

impl Events {
    fn new(stand: Stand) -> Events {
        Events { stand, event: Event::new(), sleepers: Vec::new(), was_set: false }
    }

    fn put_to_sleep(&mut self) {
        for _ in 0..self.stand.3 {
            let event = self.event.clone();
            self.sleepers.push(Survivor::asleep("sleeper", move |line| {
                line.tell();
                event.wait();
                true
            }));
        }
    }
}

impl Scene for Events {
    fn set(&mut self, time_limit: Duration) -> Victim {
        let (operation, part, set, _) = self.stand;
        self.was_set = false;
        if set {
            self.event.set();
        }
        if part == Part::Call {
            self.put_to_sleep();
        }
        let event = self.event.clone();
        Victim::new(move |marks| {
            let warm = Event::new();
            assert!(!warm.wait_timeout(Duration::from_millis(1)));
            warm.set();
            warm.wait();
            warm.clear();
            match operation {
                Operation::Set => marks.operation(|| event.set()),
                Operation::Clear => marks.operation(|| event.clear()),
                Operation::Wait => marks.operation(|| event.wait()),
                Operation::WaitTimeout => {
                    let _ = marks.operation(|| event.wait_timeout(time_limit));
                }
            }
        })
    }

    fn follow(&mut self) {
        self.put_to_sleep();
    }

    fn wake(&mut self) {
        self.event.set();
        self.was_set = true;
    }

    fn forestall(&mut self) {
        self.event.clear();
    }

    fn judge(&mut self, death: &Death) -> Result<Outcome, Wrong> {
        let (operation, _, set_before, _) = self.stand;
        let set = self.event.is_set();
        match operation {
            Operation::Set => law(set || !death.over && !set_before, || "set, and not set".to_owned())?,
            Operation::Clear => law(!set || !death.over && set_before, || "cleared, and set".to_owned())?,
            Operation::Wait | Operation::WaitTimeout => {}
        }
        if !set && !self.was_set {
            law(self.sleepers.iter().all(|sleeper| !sleeper.is_finished()), || "let go, not set".to_owned())?;
        }
        // First those who are owed it: the control's `set` would let them go as well.
        if set || self.was_set {
            for sleeper in self.sleepers.drain(..) {
                death.answer(sleeper)?;
            }
        }
        let event = self.event.clone();
        let control = Survivor::start("control", move |_| {
            event.set();
            let (set, waited) = (event.is_set(), event.wait_timeout(PROMISED));
            event.clear();
            (set, waited, event.is_set(), event.wait_timeout(Duration::from_micros(100)))
        });
        let found = death.answer(control)?;
        law(found == (true, true, false, false), || format!("set, waited, cleared and waited: {found:?}"))?;
        for sleeper in self.sleepers.drain(..) {
            death.answer(sleeper)?;
        }
        Ok(Outcome::Clean)
    }

    fn describe(&self) -> String {
        format!("{:?}", self.event)
    }
}
