//! One row: set the scene, bring a victim to a boundary, kill it, see what the survivors get.

use crate::scene::{Death, LONG, Outcome, Part, Row, SHORT, Scene, Wrong};
use crate::survivor::PROMISED;
use crate::victim::{Awake, Path, Victim};
use nix::unistd::alarm;
use std::thread::sleep;
use std::time::Duration;

/// How many of the boundaries are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Each.
    All,
    /// Turns of a loop left out, and of the rest at most so many, evenly strided.
    AtMost(usize),
    /// The first one, so often.
    First(usize),
}

impl Extent {
    fn choose(self, path: &Path) -> Vec<usize> {
        let mut all = path.boundaries();
        match self {
            Extent::All => all,
            Extent::First(times) => vec![all[0]; times],
            Extent::AtMost(limit) => {
                let last = path.last();
                all.retain(|&boundary| boundary == last || !path.is_repeat(boundary));
                let stride = all.len().div_ceil(limit);
                all.into_iter().rev().step_by(stride).collect()
            }
        }
    }
}

/// What came of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) boundaries: u64,
    pub(crate) clean: u64,
    pub(crate) recovered: u64,
    pub(crate) hangs: u64,
    pub(crate) double_owners: u64,
    /// Other laws broken.
    pub(crate) broken: u64,
    /// From a death to the last answer.
    pub(crate) worst: Duration,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.boundaries += other.boundaries;
        self.clean += other.clean;
        self.recovered += other.recovered;
        self.hangs += other.hangs;
        self.double_owners += other.double_owners;
        self.broken += other.broken;
        self.worst = self.worst.max(other.worst);
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.hangs + self.double_owners + self.broken
    }

    pub(crate) fn is_good(&self) -> bool {
        self.wrong() == 0 && self.worst <= PROMISED
    }
}

/// Hangs cost a second each: a row is given up after so many, or broken laws.
const ENOUGH: u64 = 3;
/// How often a victim may miss a boundary, for example by sleeping to the end of its slice where it was to
/// be woken, before another path is looked for.
const ATTEMPTS: u32 = 50;
/// And how often, without a boundary reached in between, another path may be looked for.
const CHANGES: u32 = 10;
/// Nothing takes so long: the kernel then ends this program, and with it its children.
const WATCHDOG_SECONDS: u32 = 60;

/// The way to the part that is stepped through, and the part.
struct Route {
    to_sleep: Option<Path>,
    part: Path,
}

/// Kills a victim at each chosen boundary of a row.
///
/// A path may change meanwhile: it depends on the clock here and there, and on the length of a text in
/// `/proc` when it is asked whether the owner lives. Then it is recorded anew, from where it changed.
pub(crate) fn run(row: &Row, extent: Extent) -> Tally {
    let (scene, time_limit) = ((row.scene)(), row.part.time_limit());
    let mut killer = Killer { row, scene, time_limit, tally: Tally::default() };
    let (mut done, mut changes) = (0, 0);
    'path: while changes < CHANGES {
        let Some(route) = killer.find_route() else { break };
        while let Some(&boundary) = extent.choose(&route.part).get(done) {
            if killer.tally.wrong() >= ENOUGH {
                break 'path;
            }
            if !killer.kill_at(&route, boundary) {
                changes += 1;
                continue 'path;
            }
            (done, changes) = (done + 1, 0);
        }
        return killer.tally;
    }
    killer.tally.broken += 1;
    killer.tell(&format!("given up after {done} boundaries"));
    killer.tally
}

struct Killer<'a> {
    row: &'a Row,
    scene: Box<dyn Scene>,
    /// Of the victim's operation, if it has one.
    time_limit: Duration,
    tally: Tally,
}

impl Killer<'_> {
    fn find_route(&mut self) -> Option<Route> {
        if self.row.part == Part::Call {
            return Some(Route { to_sleep: None, part: self.record_twice(|_, victim| victim.record())? });
        }
        // With time enough to be stepped as far as the sleep.
        self.time_limit = LONG;
        let to_sleep = self.record_twice(|_, victim| victim.record())?;
        self.time_limit = self.row.part.time_limit();
        let part = match self.row.part {
            Part::Sleep => Path::sleep(),
            _ => self.record_twice(|killer, victim| {
                let there = victim.run_to(&to_sleep, to_sleep.last()) && killer.sleep_and_wake(victim);
                there.then(|| victim.record()).flatten()
            })?,
        };
        Some(Route { to_sleep: Some(to_sleep), part })
    }

    /// The first path to be taken twice. Time passes fast for those who are stepped, so that reading the
    /// clock, for one, is interrupted by the clock now and then and begins again: such a path is not seen
    /// twice.
    fn record_twice(&mut self, record: impl Fn(&mut Self, &Victim) -> Option<Path>) -> Option<Path> {
        let mut paths = Vec::new();
        for _ in 0..ATTEMPTS {
            if self.tally.wrong() >= ENOUGH {
                break;
            }
            let mut path = None;
            self.one_death(|killer, victim| {
                path = record(killer, victim);
                false
            });
            if path.is_some() && paths.contains(&path) {
                return path;
            }
            paths.push(path);
        }
        None
    }

    fn kill_at(&mut self, route: &Route, boundary: usize) -> bool {
        let travel = |killer: &mut Self, victim: &Victim| match &route.to_sleep {
            None => victim.run_to(&route.part, boundary),
            Some(way) => {
                victim.run_to(way, way.last())
                    && killer.sleep_and_wake(victim)
                    && (killer.row.part == Part::Sleep || victim.run_to(&route.part, boundary))
            }
        };
        (0..ATTEMPTS).any(|_| self.tally.wrong() < ENOUGH && self.one_death(travel))
    }

    /// One victim, from its birth to what the survivors say of its death. Counted as a boundary if the
    /// journey led where it was to lead; the laws hold in any case.
    fn one_death(&mut self, journey: impl FnOnce(&mut Self, &Victim) -> bool) -> bool {
        alarm::set(WATCHDOG_SECONDS);
        let victim = self.scene.set(self.time_limit);
        let arrived = journey(self, &victim);
        self.bury(victim, arrived);
        alarm::cancel();
        arrived
    }

    /// Takes the victim, which stands before its sleep, to where it comes back from the kernel. In the row
    /// of the sleep itself: into it.
    fn sleep_and_wake(&mut self, victim: &Victim) -> bool {
        if !victim.fall_asleep() {
            return false;
        }
        self.scene.follow();
        let part = self.row.part;
        match part {
            Part::Call | Part::Sleep => true,
            Part::SliceOver | Part::TimeUp => victim.wake_up() == Awake::TimedOut,
            Part::Woken | Part::WokenSlowly | Part::WokenTooLate => {
                self.scene.wake();
                let woken = victim.wake_up() == Awake::Woken;
                match part {
                    Part::WokenTooLate if woken => self.scene.forestall(),
                    Part::WokenSlowly => sleep(SHORT + Duration::from_millis(5)),
                    _ => {}
                }
                woken
            }
        }
    }

    /// Kills the victim, and asks the survivors.
    fn bury(&mut self, victim: Victim, arrived: bool) {
        self.scene.look(&victim);
        let death = Death::of(victim);
        let judgement = self.scene.judge(&death);
        self.tally.boundaries += u64::from(arrived);
        match judgement {
            Ok(outcome) if arrived => {
                let count = match outcome {
                    Outcome::Clean => &mut self.tally.clean,
                    Outcome::Recovered => &mut self.tally.recovered,
                };
                *count += 1;
                self.tally.worst = self.tally.worst.max(death.answered.get());
            }
            Ok(_) => {}
            Err(wrong) => {
                let (count, what) = match wrong {
                    Wrong::Hang(what) => (&mut self.tally.hangs, what),
                    Wrong::DoubleOwner(what) => (&mut self.tally.double_owners, what),
                    Wrong::Law(what) => (&mut self.tally.broken, what),
                };
                *count += 1;
                self.tell(&format!("victim {}: {what}", death.pid));
                self.scene = (self.row.scene)();
            }
        }
    }

    fn tell(&self, what: &str) {
        let Row { operation, state, .. } = self.row;
        eprintln!("{operation}, {state}: {what}; now {}", self.scene.describe());
    }
}
