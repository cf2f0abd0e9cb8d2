//! P4: semaphores alone and contended.
//!
//! Several may be inside at once, so the critical section is the one of the locks, but over a number of one's own.

use crate::locks::{CONTESTS, Counter, OWN_TIME, add_one, by_processes};
use crate::peers;
use crate::python::python;
use crate::round::{Contestant, Effort, contestant, operation, rounds};
use crate::table::{MILLIONS, NANOSECONDS, Row, Target};
use shared::sync::Semaphore;

/// A semaphore, whoever made it.
pub(crate) trait Rooms: Sync {
    fn enter_and_leave(&self, inside: impl FnOnce());
}

impl Rooms for Semaphore {
    #[inline(always)]
    fn enter_and_leave(&self, inside: impl FnOnce()) {
        let _permit = self.acquire();
        inside();
    }
}

struct Visits<R>(R);

impl<R: Rooms> Counter for Visits<R> {
    #[inline(always)]
    fn increment(&self) {
        self.0.enter_and_leave(|| add_one(&mut 0));
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let mut rows = vec![alone(effort)];
    rows.extend(contended(effort));
    rows
}

/// There is always one free.
fn alone(effort: Effort) -> Row {
    let mut contestants = vec![
        visited(effort, "Semaphore", Visits(Semaphore::new(4))),
        visited(effort, "CAS + swap", peers::CasAndSwap::new()),
        visited(effort, "sem_t", Visits(peers::Semaphore::new(4))),
    ];
    contestants.extend(python("Python", "rooms = fork.Semaphore(4)", "with rooms: pass", 100_000));
    let series = rounds(effort, contestants);
    Row {
        id: "P4",
        case: "`Semaphore`, uncontended",
        unit: NANOSECONDS,
        ours: series[0].clone(),
        limit: Some(series[1].clone()),
        peers: series[2..].to_vec(),
        against: Some(series[1].clone()),
        target: Target::AtMost(1.2),
    }
}

fn visited<'a>(effort: Effort, name: &'static str, rooms: impl Counter + 'a) -> Contestant<'a> {
    operation(effort, OWN_TIME, name, move |n| (0..n).for_each(|_| rooms.increment()))
}

/// Four processes want a permit all the time.
fn contended(effort: Effort) -> Vec<Row> {
    let cases = [
        (1, "`Semaphore` of 1, contended by 4 processes"),
        (2, "`Semaphore` of 2, contended by 4 processes"),
        (4, "`Semaphore` of 4, contended by 4 processes"),
    ];
    let contestants = cases.iter().flat_map(|&(permits, _)| {
        let ours = move || by_processes(effort, 4, &Visits(Semaphore::new(permits))).per_second;
        let peer = move || by_processes(effort, 4, &Visits(peers::Semaphore::new(permits))).per_second;
        [contestant("Semaphore", CONTESTS, ours), contestant("sem_t", CONTESTS, peer)]
    });
    let series = rounds(effort, contestants.collect());
    let row = |place: usize, case| Row {
        id: "P4",
        case,
        unit: MILLIONS,
        ours: series[2 * place].clone(),
        limit: None,
        peers: vec![series[2 * place + 1].clone()],
        against: Some(series[2 * place + 1].clone()),
        target: Target::AtLeast(3.0),
    };
    cases.iter().enumerate().map(|(place, &(_, case))| row(place, case)).collect()
}
