//! One row: set the scene, bring a victim to a boundary, kill it, see what the survivors get.

use crate::rows::{Operation, Owner, Part, Row};
use crate::victim::{Awake, Path, Victim};
use crate::world::{Kind, PATIENCE, PROMISED, World, wait_until};
use nix::unistd::alarm;
use shared::process::{Builder, JoinHandle};
use std::thread::sleep;
use std::time::{Duration, Instant};

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

    pub(crate) fn is_good(&self) -> bool {
        self.hangs + self.double_owners + self.broken == 0 && self.worst <= PROMISED
    }
}

/// Hangs cost a second each: a row is given up after so many, or broken laws.
const ENOUGH: u64 = 3;
/// How often a victim may miss a boundary, for example by sleeping to the end of its slice where it was to
/// be woken, before another path is looked for.
const ATTEMPTS: u32 = 50;
/// And how often, without a boundary reached in between, another path may be looked for.
const CHANGES: u32 = 10;
/// The time limits of the victim's `lock_timeout`: that it cannot reach, and shorter than its first slice.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(3);
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
pub(crate) fn run<K: Kind>(row: Row, extent: Extent) -> Tally {
    let mut killer = Killer::<K> { row, world: World::new(), tally: Tally::default() };
    let (mut done, mut changes) = (0, 0);
    'path: while changes < CHANGES {
        let Some(route) = killer.find_route() else { break };
        while let Some(&boundary) = extent.choose(&route.part).get(done) {
            if killer.tally.hangs + killer.tally.double_owners + killer.tally.broken >= ENOUGH {
                break 'path;
            }
            if !killer.kill_at(&route, boundary) {
                changes += 1;
                continue 'path;
            }
            (done, changes) = (done + 1, 0);
        }
        killer.world.end();
        return killer.tally;
    }
    killer.complain(&format!("given up after {done} boundaries"));
    killer.world.end();
    killer.tally
}

struct Killer<K> {
    row: Row,
    world: World<K>,
    tally: Tally,
}

impl<K: Kind> Killer<K> {
    fn find_route(&mut self) -> Option<Route> {
        if self.row.part == Part::Call {
            return Some(Route { to_sleep: None, part: self.record_twice(|_, victim| victim.record())? });
        }
        // With time enough to be stepped as far as the sleep.
        let to_sleep = self.record_twice(|_, victim| victim.record())?;
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
        (0..ATTEMPTS).any(|_| self.one_death(travel))
    }

    /// One victim, from its birth to what the survivors say of its death. Counted as a boundary if the
    /// journey led where it was to lead; the laws hold in any case.
    fn one_death(&mut self, journey: impl FnOnce(&mut Self, &Victim) -> bool) -> bool {
        alarm::set(WATCHDOG_SECONDS);
        let (victim, dead) = self.set_scene();
        let arrived = journey(self, &victim);
        self.bury(victim, dead, arrived);
        alarm::cancel();
        arrived
    }

    fn set_scene(&mut self) -> (Victim, Option<JoinHandle<()>>) {
        let Row { operation, owner, part, sleeper, .. } = self.row;
        let dead = match owner {
            Owner::VictimOrNobody => None,
            Owner::Dead => Some(self.start_owner()),
            Owner::Holder => {
                assert!(self.world.hold(), "the holder does not get a free lock: {:?}", self.world.lock);
                None
            }
        };
        let timeout = if matches!(part, Part::TimeUp | Part::WokenSlowly) { SHORT } else { LONG };
        let victim = Victim::new(&self.world.lock, &self.world.board, operation, timeout);
        if matches!(operation, Operation::Unlock | Operation::NestedLock | Operation::NestedUnlock) {
            self.world.taken += 1;
        }
        if sleeper && part == Part::Call {
            self.world.put_to_sleep();
        }
        if let Some(owner) = &dead {
            owner.kill().expect("a child of ours");
            assert!(wait_until(PATIENCE, || owner.is_finished()), "the owner does not die");
        }
        (victim, dead)
    }

    /// A process that has the lock and will die with it.
    fn start_owner(&self) -> JoinHandle<()> {
        let lock = self.world.lock.clone();
        let owner = Builder::new().name("owner").daemon(true);
        let owner = owner.spawn(move || {
            std::mem::forget(lock.lock());
            loop {
                std::thread::park();
            }
        });
        let owner = owner.expect("a process");
        let owns = || self.world.lock.owner() == Some(owner.process().id());
        assert!(wait_until(PATIENCE, owns), "the owner does not get a free lock: {:?}", self.world.lock);
        owner
    }

    /// Takes the victim, which stands before its sleep, to where it comes back from the kernel. In the row
    /// of the sleep itself: into it.
    fn sleep_and_wake(&mut self, victim: &Victim) -> bool {
        if !victim.fall_asleep() {
            return false;
        }
        let world = &mut self.world;
        if self.row.sleeper {
            world.put_to_sleep();
        }
        match self.row.part {
            Part::Call | Part::Sleep => true,
            Part::Woken => world.release() && victim.wake_up() == Awake::Woken,
            Part::WokenTooLate => world.release() && victim.wake_up() == Awake::Woken && world.hold(),
            Part::WokenSlowly => {
                let woken = world.release() && victim.wake_up() == Awake::Woken;
                sleep(SHORT + Duration::from_millis(5));
                woken
            }
            Part::SliceOver | Part::TimeUp => victim.wake_up() == Awake::TimedOut,
        }
    }

    /// Kills the victim, and asks the survivors.
    fn bury(&mut self, victim: Victim, dead: Option<JoinHandle<()>>, arrived: bool) {
        let pid = victim.pid();
        let dead_pid = dead.as_ref().map(|owner| owner.process().id());
        // It is stopped or asleep: if the word names it, that does not change any more.
        let named = self.world.lock.owner();
        if named == Some(pid) {
            self.world.board.witness(pid);
        }
        victim.die();
        let death = Instant::now();
        let answers = if self.world.release() { self.world.answers(death) } else { None };
        let time = death.elapsed();
        let double_owners = self.world.board.take_double_owners();
        if double_owners > 0 {
            self.tally.double_owners += double_owners;
            self.tell("two owners");
        }
        self.tally.boundaries += u64::from(arrived);
        if let Some(owner) = dead {
            let _ = owner.join();
        }
        let Some(answers) = answers else {
            self.tally.hangs += 1;
            self.tell(&format!("no answer within {PROMISED:?}; at the death the word named {named:?}"));
            std::mem::replace(&mut self.world, World::new()).end();
            return;
        };

        let expected = named.filter(|&owner| owner == pid || Some(owner) == dead_pid);
        let mut reported: Vec<u32> = answers.iter().filter_map(|answer| answer.died).collect();
        // The sleeper may have been faster than the victim in recovering from the dead owner.
        reported.retain(|&owner| Some(owner) != dead_pid || named == dead_pid);
        if reported != expected.into_iter().collect::<Vec<_>>() {
            self.complain(&format!("victim {pid}, the word named {named:?}, reported were {reported:?}"));
        }
        let count = answers.last().map_or(0, |control| control.count);
        if count != self.world.taken {
            self.complain(&format!("taken {} times, counted {count}", self.world.taken));
            self.world.taken = count;
        }
        if self.world.lock.is_locked() || self.world.lock.poison().is_some() {
            self.complain("the lock is not free and sound in the end");
        }
        if arrived {
            *(if reported.is_empty() { &mut self.tally.clean } else { &mut self.tally.recovered }) += 1;
            self.tally.worst = self.tally.worst.max(time);
        }
    }

    /// A law is broken, or this program is.
    fn complain(&mut self, what: &str) {
        self.tally.broken += 1;
        self.tell(what);
    }

    fn tell(&self, what: &str) {
        let Row { operation, state, .. } = self.row;
        eprintln!("{}, {operation}, {state}: {what}; now {:?}", K::NAME, self.world.lock);
    }
}
