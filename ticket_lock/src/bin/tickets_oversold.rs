//! **The same sale without the lock: everybody reads "three left", and everybody buys.**
//!
//! # The original
//!
//! `ticket_lock.py` without `lock.acquire()` and `lock.release()`. The document leaves it to the reader to
//! imagine what happens then.
//!
//! # Run it
//!
//! `cargo run -p ticket_lock --bin tickets_oversold`
//!
//! # You will see
//!
//! Ten people with a ticket each, out of three. And if you keep the file (`--db /tmp/db`), it will say that
//! fewer were sold than were told of: each buyer writes back the count that *he* read, less one, and the last
//! to write wins. Nothing crashes, nothing is torn, every single step is right.
//!
//! # Try breaking it
//!
//! It is broken. Try to mend it by looking a second time just before writing: with `--time-scale 0` it will
//! seem to work, until it does not.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::{self, Builder};
use ticket_lock::{Sale, TicketFile};

/// Ten people buy three tickets, without a lock.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    sale: Sale,
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { sale, demo } = demo::options();
    let tickets = &sale.open()?;

    // Here the lock was made.

    process::scope(|s| {
        let mut people = Vec::new();
        for i in 0..sale.people {
            let person = Builder::new().name(format!("Person {i}"));
            people.push(person.spawn_scoped(s, move || task(i, tickets, demo))?);
        }
        demo::join_all(people)
    })
}

fn task(i: u32, tickets: &TicketFile, demo: Demo) -> demo::Outcome {
    search(i, tickets, demo)?;
    // Here the turn began.
    buy(i, tickets, demo)
}

fn search(i: u32, tickets: &TicketFile, demo: Demo) -> demo::Outcome {
    let count = tickets.count()?;
    demo.sleep(0.2);
    println!("Person {i} remaining tickets: {count}");
    Ok(())
}

fn buy(i: u32, tickets: &TicketFile, demo: Demo) -> demo::Outcome {
    // From here ...
    let count = tickets.count()?;
    demo.sleep(0.2);
    demo.sleep(0.2);
    if count > 0 {
        tickets.save(count - 1)?;
        // ... to here the count is out of date as soon as anybody else is at the same place.
        println!("Person {i} purchased a ticket successfully");
    }
    Ok(())
}
