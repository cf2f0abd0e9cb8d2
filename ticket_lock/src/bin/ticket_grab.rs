//! **A lock makes only the purchase serial; `join` makes everything serial.**
//!
//! # The original
//!
//! ```python
//! def task(mutex):
//!     check()
//!     mutex.acquire()  # cannot be acquired twice in a row: release first
//!     get()
//!     mutex.release()
//!
//! mutex = Lock()
//! for i in range(10):
//!     p = Process(target=task, args=(mutex,))
//!     p.start()
//!     # p.join()
//! ```
//!
//! # Run it
//!
//! `cargo run -p ticket_lock --bin ticket_grab`, and again with `-- --join`
//!
//! # You will see
//!
//! Ten checks at the same moment, then one purchase after the other, in whatever order the lock was got. With
//! `--join` each process checks and buys before the next one starts: in the order written, with no need of a
//! lock, and ten seconds slower. The pids differ each time, and so do the seconds that a purchase takes
//! (`--seed` repeats them).
//!
//! # Try breaking it
//!
//! `--time-scale 10`, and SIGSTOP the process that is buying: the others wait, for a stopped owner still has
//! the lock. SIGKILL it: they go on.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo, Draws, Seed};
use shared::process::{self, Builder};
use shared::sync::{Lock, Poisoned};
use ticket_lock::{Sale, TicketFile};

/// Ten processes grab three tickets: all at once, or one after the other.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    sale: Sale,
    /// Wait for each process before the next one starts
    #[arg(long)]
    join: bool,
    #[command(flatten)]
    seed: Seed,
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { sale, join, seed, demo } = demo::options();
    let tickets = &sale.open()?;
    let mutex = &Lock::new(());
    // The seed is settled here, once. Each process draws from a stream of its own: after a fork they would
    // otherwise all go on from the same place and draw the same numbers.
    let dice = seed.dice();

    process::scope(|s| {
        let mut running = Vec::new();
        for i in 0..sale.people {
            let name = format!("grabber {i}");
            let draws = dice.of(i.into());
            let child =
                Builder::new().name(name).spawn_scoped(s, move || task(tickets, mutex, draws, demo))?;
            if join {
                child.join()??; // the whole task, check and purchase, before anybody else begins
            } else {
                running.push(child);
            }
        }
        demo::join_all(running)
    })
}

fn task(tickets: &TicketFile, mutex: &Lock<()>, draws: Draws, demo: Demo) -> demo::Outcome {
    check(tickets, demo)?;

    // Only this is serial. A second `lock` before the guard is dropped would wait for itself.
    let _turn = mutex.lock().unwrap_or_else(Poisoned::into_inner);
    get(tickets, draws, demo)
}

fn check(tickets: &TicketFile, demo: Demo) -> demo::Outcome {
    demo.sleep(1.0); // the network
    let count = tickets.count()?;
    println!("{} checks the remaining tickets [{count}]", process::current().id());
    Ok(())
}

fn get(tickets: &TicketFile, mut draws: Draws, demo: Demo) -> demo::Outcome {
    let me = process::current().id();
    let count = tickets.count()?;
    demo.sleep(2.0);
    if count > 0 {
        demo.sleep(draws.draw(1..=3).into());
        tickets.save(count - 1)?;
        println!("{me} successfully purchased");
    } else {
        println!("{me} no more tickets");
    }
    Ok(())
}
