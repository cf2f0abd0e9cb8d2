//! One row: set the scene, bring a victim to a boundary, kill it, see what the survivors get.

use crate::path::{Code, Path, Place};
use crate::scene::{Death, Outcome, Part, Row, SHORT, Scene, Wrong};
use crate::survivor::PROMISED;
use crate::victim::{Awake, Victim};
use nix::unistd::alarm;
use std::collections::HashSet;
use std::thread::sleep as pause;
use std::time::{Duration, Instant};

/// How many of the boundaries are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Each.
    All,
    /// Turns of a loop left out, and of the rest about so many: those behind an atomic instruction, where something
    /// has just become true for all, and others, evenly strided.
    About(usize),
    /// The first one, so often.
    First(usize),
}

impl Extent {
    /// Boundaries of the path at which nobody has died yet, some having been met in this row.
    fn choose(self, path: &Path, met: &HashSet<Place>, code: &Code) -> Vec<usize> {
        let mut all = path.boundaries();
        if let Extent::First(times) = self {
            return vec![all[0]; times];
        }
        all.retain(|&boundary| !met.contains(&path.place(boundary)));
        if let Extent::About(limit) = self {
            let last = path.last();
            all.retain(|&boundary| boundary == last || !path.is_repeat(boundary));
            let is_vital = |&boundary: &usize| path.before(boundary).is_some_and(|at| code.is_atomic(at));
            let (vital, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_vital);
            let wanted = limit.saturating_sub(met.len() + vital.len()).max(1);
            let stride = others.len().div_ceil(wanted).max(1);
            all = vital;
            all.extend(others.into_iter().rev().step_by(stride));
        }
        all
    }
}

/// What came of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) boundaries: u64,
    /// Boundaries to which none of the victims came that were sent there.
    pub(crate) missed: u64,
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
        self.missed += other.missed;
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
/// A victim may miss its boundary: the path depends on the clock here and there, on who is faster, on the length of
/// a text in `/proc` when it is asked whether the owner lives. So many are sent to one boundary.
const ATTEMPTS: u32 = 5;
/// And so many until one has shown a path.
const RECORDINGS: u32 = 5;
/// So many boundaries missed one after the other: it is another path now that the victims take.
const ASTRAY: u32 = 3;
/// So many paths are looked for in a row of the table.
const PATHS: u32 = 10;
/// Nothing takes so long: the kernel then ends this program, and with it its children.
const WATCHDOG_SECONDS: u32 = 60;

/// Kills a victim at each chosen boundary of a row. The path is that of a victim that went before. Who takes another
/// and comes past the boundary dies all the same, and the laws must hold; then another victim shows its path.
pub(crate) fn run(row: &Row, extent: Extent, code: &mut Code) -> Tally {
    let mut killer = Killer { row, scene: (row.scene)(), code, sleep: None, tally: Tally::default() };
    let (mut met, mut wanted) = (HashSet::new(), 1_u64);
    for _ in 0..PATHS {
        let Some(path) = killer.find_path() else { continue };
        let chosen = extent.choose(&path, &met, killer.code);
        wanted = wanted.max(chosen.len() as u64);
        let mut astray = 0;
        for boundary in chosen {
            if killer.kill_at(&path, boundary) {
                met.insert(path.place(boundary));
                astray = 0;
            } else {
                astray += 1;
            }
            if astray == ASTRAY || killer.has_enough() {
                break;
            }
        }
        if killer.has_enough() || (astray < ASTRAY && !met.is_empty()) {
            break;
        }
    }
    let boundaries = killer.tally.boundaries;
    killer.tally.missed = wanted.saturating_sub(boundaries);
    if 2 * boundaries < wanted && !killer.has_enough() {
        killer.tell(&format!("of {wanted} boundaries, {boundaries} were met"));
    }
    killer.tally
}

struct Killer<'a> {
    row: &'a Row,
    scene: Box<dyn Scene>,
    code: &'a mut Code,
    /// The system call in which the victim sleeps, once it is known.
    sleep: Option<u64>,
    tally: Tally,
}

impl Killer<'_> {
    fn has_enough(&self) -> bool {
        self.tally.wrong() >= ENOUGH
    }

    fn find_path(&mut self) -> Option<Path> {
        if self.row.part == Part::Call {
            return self.record(|killer, victim| victim.record(killer.code));
        }
        // Found anew for each path: the first victim may have slept where the others do not, for a lock that was taken.
        self.sleep = self.record(|_, victim| victim.find_sleep());
        self.sleep?;
        if self.row.part == Part::Sleep {
            return Some(Path::sleep());
        }
        self.record(|killer, victim| {
            killer.sleep_and_wake(victim).then(|| victim.record(killer.code)).flatten()
        })
    }

    /// What one victim was seen to do, before it dies too.
    fn record<T>(&mut self, record: impl Fn(&mut Self, &Victim) -> Option<T>) -> Option<T> {
        let mut seen = None;
        for _ in 0..RECORDINGS {
            if seen.is_some() || self.has_enough() {
                break;
            }
            self.one_death(|killer, victim| {
                seen = record(killer, victim);
                false
            });
        }
        seen
    }

    fn kill_at(&mut self, path: &Path, boundary: usize) -> bool {
        let go = |killer: &mut Self, victim: &Victim| {
            let part = killer.row.part;
            (part == Part::Call || killer.sleep_and_wake(victim))
                && (part == Part::Sleep || victim.run_to(path, boundary))
        };
        (0..ATTEMPTS).any(|_| !self.has_enough() && self.one_death(go))
    }

    /// One victim, from its birth to what the survivors say of its death. Counted as a boundary if the
    /// journey led where it was to lead; the laws hold in any case.
    fn one_death(&mut self, journey: impl FnOnce(&mut Self, &Victim) -> bool) -> bool {
        alarm::set(WATCHDOG_SECONDS);
        let victim = self.scene.set(self.row.part.time_limit());
        let arrived = journey(self, &victim);
        self.bury(victim, arrived);
        alarm::cancel();
        arrived
    }

    /// Takes the victim into its sleep, and to where it comes back from the kernel. In the row of the sleep itself:
    /// into it.
    fn sleep_and_wake(&mut self, victim: &Victim) -> bool {
        let (Some(sleep), began) = (self.sleep, Instant::now()) else { return false };
        if !victim.fall_asleep(sleep) {
            return false;
        }
        self.scene.follow();
        let part = self.row.part;
        match part {
            Part::Call | Part::Sleep => true,
            Part::SliceOver => victim.wake_up() == Awake::TimedOut,
            Part::TimeUp => loop {
                let timed_out = victim.wake_up() == Awake::TimedOut;
                if !timed_out || began.elapsed() >= SHORT {
                    return timed_out;
                }
                if !victim.fall_asleep(sleep) {
                    return false;
                }
            },
            Part::Woken | Part::WokenSlowly | Part::WokenTooLate => {
                // While the others followed its slice may have ended. The next is twice as long.
                while victim.is_awake() {
                    if !victim.fall_asleep(sleep) {
                        return false;
                    }
                }
                self.scene.wake();
                let woken = victim.wake_up() == Awake::Woken;
                match part {
                    Part::WokenTooLate if woken => self.scene.forestall(),
                    Part::WokenSlowly => pause(SHORT + Duration::from_millis(5)),
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
