//! The killer: SIGKILL at every instruction of every operation of the primitives, and what the survivors get.
//!
//! ```text
//! cargo run --release -p shared --example deaths -- --quick | --full [--only TEXT]
//! ```
//!
//! A child calls an operation under `ptrace(2)` and is killed at one boundary between two instructions; then
//! the next child at the next. `--full` takes every boundary, `--quick` every row with some of them, `--only`
//! the rows whose operation and state contain the text. An operation that sleeps is stepped up to its first
//! sleep, killed once in it, and stepped from its end to the return or the next sleep. After each death the
//! survivors, those that sleep and one that comes new, must get what they are owed within a second, and the
//! laws of the primitive must hold. The exit status is 1 if not.
//!
//! What is killed and what must hold is told in a file for each primitive: `locks.rs`, `semaphores.rs`, `event.rs`,
//! `condition.rs`, `barrier.rs`, `queues.rs`, `connections.rs`. The rest is the same for all: `scene.rs` is what such a file provides,
//! `killer.rs` goes through a row of it, `victim.rs` is the traced child, `path.rs` its way, and `survivor.rs` those who live on.
//!
//! It relies on x86-64, for single steps and breakpoints.

#[cfg(target_arch = "x86_64")]
mod barrier;
#[cfg(target_arch = "x86_64")]
mod condition;
#[cfg(target_arch = "x86_64")]
mod connection_rows;
#[cfg(target_arch = "x86_64")]
mod connections;
#[cfg(target_arch = "x86_64")]
mod event;
#[cfg(target_arch = "x86_64")]
mod items;
#[cfg(target_arch = "x86_64")]
mod killer;
#[cfg(target_arch = "x86_64")]
mod kinds;
#[cfg(target_arch = "x86_64")]
mod locks;
#[cfg(target_arch = "x86_64")]
mod path;
#[cfg(target_arch = "x86_64")]
mod queue_rows;
#[cfg(target_arch = "x86_64")]
mod queues;
#[cfg(target_arch = "x86_64")]
mod scene;
#[cfg(target_arch = "x86_64")]
mod semaphores;
#[cfg(target_arch = "x86_64")]
mod survivor;
#[cfg(target_arch = "x86_64")]
mod victim;
#[cfg(target_arch = "x86_64")]
mod wires;
#[cfg(target_arch = "x86_64")]
mod witness;

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("the killer is for x86-64: it is not available here");
}

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    table::main()
}

#[cfg(target_arch = "x86_64")]
mod table {
    use crate::killer::{Extent, Tally, run};
    use crate::path::Code;
    use crate::scene::Row;
    use crate::{barrier, condition, connection_rows, event, locks, queue_rows, semaphores};
    use shared::sync::{Lock, ReentrantLock};
    use std::cell::Cell;
    use std::process::ExitCode;
    use std::time::{Duration, Instant};

    /// So many boundaries a row in the quick run, and where a death takes its time.
    const QUICK: usize = 24;
    const QUICK_IF_SLOW: usize = 8;
    /// What is broken this thoroughly needs no further rows: each hang costs a second.
    const TOO_MANY: u64 = 12;

    struct Options {
        full: bool,
        only: String,
    }

    impl Options {
        fn extent(&self, row: &Row) -> Extent {
            match (row.first_only, self.full) {
                (true, full) => Extent::First(if full { 1000 } else { 50 }),
                (false, true) => Extent::All,
                (false, false) => Extent::About(if row.slow { QUICK_IF_SLOW } else { QUICK }),
            }
        }
    }

    fn options() -> Option<Options> {
        let (mut full, mut only) = (None, String::new());
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => full = Some(false),
                "--full" => full = Some(true),
                "--only" => only = words.next()?,
                _ => return None,
            }
        }
        Some(Options { full: full?, only })
    }

    pub(crate) fn main() -> ExitCode {
        let Some(options) = options() else {
            eprintln!("usage: deaths --quick | --full [--only TEXT]");
            return ExitCode::from(2);
        };
        let start = Instant::now();
        println!(
            "| operation | state | boundaries | clean | recovered | hangs | double owners | worst, death to answer |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|");
        let (mut total, mut code) = (Tally::default(), Code::default());
        for row in rows() {
            let wanted = format!("{}, {}", row.operation, row.state).contains(&options.only);
            if wanted && total.wrong() < TOO_MANY {
                let tally = run(&row, options.extent(&row), &mut code);
                println!("{}", line(&row.operation, row.state, &tally));
                total.add(&tally);
            }
        }
        if total.boundaries + total.wrong() == 0 {
            eprintln!("no row has this text: {}", options.only);
            return ExitCode::from(2);
        }
        println!("{}", line("**all**", "", &total));
        let Tally { boundaries, missed, broken, .. } = total;
        let seconds = start.elapsed().as_secs();
        println!("\n{boundaries} deaths, {broken} broken laws, {missed} boundaries missed, in {seconds} s.");
        // A check that is seldom made is none.
        let is_thorough = missed * 10 <= boundaries;
        if total.is_good() && is_thorough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn rows() -> Vec<Row> {
        let mut rows = locks::rows::<Lock<Cell<u64>>>();
        rows.extend(locks::rows::<ReentrantLock<Cell<u64>>>());
        rows.push(locks::strand());
        rows.extend(semaphores::rows(false));
        rows.extend(semaphores::rows(true));
        rows.extend(event::rows());
        rows.extend(condition::rows::<Lock<Cell<u64>>>());
        rows.extend(condition::rows::<ReentrantLock<Cell<u64>>>());
        rows.extend(barrier::rows());
        rows.extend(queue_rows::rows());
        rows.extend(connection_rows::rows());
        rows
    }

    fn line(operation: &str, state: &str, tally: &Tally) -> String {
        let Tally { boundaries, clean, recovered, hangs, double_owners, worst, .. } = *tally;
        let worst = milliseconds(worst);
        format!(
            "| {operation} | {state} | {boundaries} | {clean} | {recovered} | {hangs} | {double_owners} | {worst} |"
        )
    }

    fn milliseconds(time: Duration) -> String {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    }
}
