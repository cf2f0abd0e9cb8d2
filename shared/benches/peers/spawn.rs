//! P1: starting a process and waiting for its end.

use crate::peers;
use crate::python::python;
use crate::round::{Effort, operation, rounds};
use crate::table::{MICROSECONDS, Row, Target};
use nix::time::ClockId;
use shared::process;

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    // A hundred in a batch, so that the first ones, with cold caches, do not weigh more than they do in life.
    let effort = Effort { batch: effort.batch * 10, ..effort };
    let mut contestants = vec![
        operation(effort, ClockId::CLOCK_MONOTONIC, "spawn", |n| {
            for _ in 0..n {
                process::spawn(|| ()).join().expect("a child that does nothing");
            }
        }),
        operation(effort, ClockId::CLOCK_MONOTONIC, "spawn", |n| {
            for i in 0..n {
                assert_eq!(process::spawn(move || i).join().expect("a child that returns a number"), i);
            }
        }),
        operation(effort, ClockId::CLOCK_MONOTONIC, "fork + waitpid", |n| {
            (0..n).for_each(|_| peers::fork_and_wait())
        }),
    ];
    contestants.extend(python("Python fork", "", "p = fork.Process(target=int); p.start(); p.join()", 20));
    let series = rounds(effort, contestants);
    let (limit, peers) = (&series[2], &series[3..]);

    let row = |case, ours: usize| Row {
        id: "P1",
        case,
        unit: MICROSECONDS,
        ours: series[ours].clone(),
        limit: Some(limit.clone()),
        peers: peers.to_vec(),
        against: Some(limit.clone()),
        target: Target::AtMost(1.2),
    };
    vec![row("spawn + join, no result", 0), row("spawn + join, a `u64` as result", 1)]
}
