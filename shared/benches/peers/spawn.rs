//! P1: starting a process and waiting for its end.

use crate::peers;
use crate::python::python;
use crate::round::{Effort, Series, operation, rounds};
use crate::table::{MICROSECONDS, Row, Target};
use nix::time::ClockId;
use shared::memory::Shared;
use shared::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    // A hundred in a batch, so that the first ones, with cold caches, do not weigh more than they do in life.
    let effort = Effort { batch: effort.batch * 10, ..effort };
    let word = Shared::new(AtomicU64::new(0));
    let word = &word;
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
            (0..n).for_each(|_| peers::fork_and_wait(|| ()))
        }),
        operation(effort, ClockId::CLOCK_MONOTONIC, "fork + waitpid + a shared word", |n| {
            for i in 0..n {
                peers::fork_and_wait(|| word.store(i, Relaxed));
                assert_eq!(word.load(Relaxed), i);
            }
        }),
    ];
    contestants.extend(python("Python fork", "", "p = fork.Process(target=int); p.start(); p.join()", 20));
    let series = rounds(effort, contestants);
    let peers = &series[4..];

    // Each against a bare fork that does as much: the second brings a number home too.
    let row = |case, ours: usize, limit: &Series| Row {
        id: "P1",
        case,
        unit: MICROSECONDS,
        ours: series[ours].clone(),
        limit: Some(limit.clone()),
        peers: peers.to_vec(),
        against: Some(limit.clone()),
        target: Target::AtMost(1.2),
    };
    vec![row("spawn + join, no result", 0, &series[2]), row("spawn + join, a `u64` as result", 1, &series[3])]
}
