//! What a row of the table is: a primitive, those around the victim, and the laws that hold after its death.
//!
//! Each primitive has a file of its own with its rows and its scene; all else is the same for all.

use crate::survivor::{PROMISED, Survivor};
use crate::victim::Victim;
use shared::channel::Message;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Which part of the operation is stepped through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// From the call to the return, or to the first sleep.
    Call,
    /// The first sleep itself.
    Sleep,
    /// From the end of the sleep to the return or to the next sleep, [`Scene::wake`] having ended it.
    Woken,
    /// The same, so slowly that its slice is over, and its own time too if it has a limit.
    WokenSlowly,
    /// The same as `Woken`, but somebody was faster: [`Scene::forestall`].
    WokenTooLate,
    /// From the end of the sleep, nobody having woken it: it sleeps in slices.
    SliceOver,
    /// The same, and its time is up.
    TimeUp,
}

impl Part {
    /// The time limit of the victim's operation, if it has one.
    pub(crate) fn time_limit(self) -> Duration {
        if matches!(self, Part::TimeUp | Part::WokenSlowly) { SHORT } else { LONG }
    }
}

/// A time limit that is over soon, but not before the victim has come to its sleep.
pub(crate) const SHORT: Duration = Duration::from_millis(12);
/// One that is not reached.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// A line of the table.
pub(crate) struct Row {
    /// The primitive, and the operation in which the victim dies.
    pub(crate) operation: String,
    /// How things stand meanwhile.
    pub(crate) state: &'static str,
    pub(crate) part: Part,
    /// Only the first boundary matters, but that one is tried often.
    pub(crate) first_only: bool,
    /// The survivors have to find out by themselves, at the end of a slice: a death takes a tenth of a second
    /// and more.
    pub(crate) slow: bool,
    /// A new primitive, and nobody there yet.
    pub(crate) scene: Box<dyn Fn() -> Box<dyn Scene>>,
}

impl Row {
    pub(crate) fn new<S: Scene + 'static>(
        operation: String,
        state: &'static str,
        part: Part,
        scene: impl Fn() -> S + 'static,
    ) -> Row {
        Row {
            operation,
            state,
            part,
            first_only: false,
            slow: false,
            scene: Box::new(move || Box::new(scene())),
        }
    }
}

/// A primitive, and those who use it. It is set anew for each victim, but the primitive stays the same: what
/// one death leaves behind, the next must live with.
pub(crate) trait Scene {
    /// Brings everybody to where the row wants them, and then the victim to its operation.
    fn set(&mut self, time_limit: Duration) -> Victim;

    /// The victim sleeps: this is for those who are to sleep behind it.
    fn follow(&mut self) {}

    /// Does that by which the victim's sleep ends.
    fn wake(&mut self) {}

    /// The victim is awake, but has not run: takes from it what it was woken for.
    fn forestall(&mut self) {}

    /// A last look: the victim is stopped or asleep, and dies next.
    fn look(&mut self, _victim: &Victim) {}

    /// Asks the survivors. After an error neither primitive nor survivors are used again.
    fn judge(&mut self, death: &Death) -> Result<Outcome, Wrong>;

    /// The primitive, for messages.
    fn describe(&self) -> String;
}

/// How the survivors fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As if nothing had happened.
    Clean,
    /// With the news of the death, or with what the dead one had.
    Recovered,
}

/// What must not be.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// Somebody waits for ever.
    Hang(String),
    /// More have it than may.
    DoubleOwner(String),
    /// Another law.
    Law(String),
}

pub(crate) fn law(holds: bool, text: impl FnOnce() -> String) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong::Law(text())) }
}

/// The victim's.
#[derive(Debug)]
pub(crate) struct Death {
    pub(crate) pid: u32,
    /// Its operation had returned.
    pub(crate) over: bool,
    time: Instant,
    /// From then to the last answer.
    pub(crate) answered: Cell<Duration>,
}

impl Death {
    /// Kills it.
    pub(crate) fn of(victim: Victim) -> Death {
        let (pid, over) = (victim.pid(), victim.is_over());
        victim.die();
        Death { pid, over, time: Instant::now(), answered: Cell::new(Duration::ZERO) }
    }

    /// By then every survivor must have its answer.
    pub(crate) fn deadline(&self) -> Instant {
        self.time + PROMISED
    }

    /// Somebody has.
    pub(crate) fn note(&self) {
        self.answered.set(self.time.elapsed());
    }

    /// What a survivor found, which it must have within the promised time.
    pub(crate) fn answer<T: Message + 'static>(&self, survivor: Survivor<T>) -> Result<T, Wrong> {
        let answer = survivor.answer(self.deadline());
        self.note();
        answer
    }
}
