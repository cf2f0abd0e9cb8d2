//! **A semaphore is a lock with several keys: four rooms, ten people, and never more than four inside.**
//!
//! # The original
//!
//! ```python
//! def ktv(num, sem):
//!     sem.acquire()
//!     print('person %s into the KTV' % num)
//!     time.sleep(random.randint(1, 4))
//!     print('person %s out of the KTV' % num)
//!     sem.release()
//!
//! sem = Semaphore(4)
//! for i in range(10):
//!     p = Process(target=ktv, args=(i, sem))
//!     p.start()
//! ```
//!
//! # Run it
//!
//! `cargo run -p ktv_semaphore`
//!
//! # You will see
//!
//! Four people go in at once; each of the others goes in when somebody has come out. Who is next changes from
//! run to run, for a semaphore keeps no queue, and so does how long each one stays (`--seed` repeats that).
//! `--rooms 2 --min-stay 3 --max-stay 10` is the same with other numbers, from another edition of the
//! document.
//!
//! # Try breaking it
//!
//! `kill -9` somebody inside (`--time-scale 20` gives you time). In Python his room would be lost, and after
//! four such accidents the six outside would wait for ever. Here a permit knows who has it: the room comes
//! back, the others all get in, and the program tells you at its end who has died.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo, Seed};
use shared::process::{self, Builder};
use shared::sync::Semaphore;

/// Ten people want to sing, and there are four rooms.
#[derive(clap::Parser)]
struct Options {
    /// How many rooms there are
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    rooms: u32,
    /// How many people want one
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    people: u32,
    /// The shortest that anybody stays, in seconds of the story
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=86_400))]
    min_stay: u32,
    /// The longest
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(..=86_400))]
    max_stay: u32,
    #[command(flatten)]
    seed: Seed,
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { rooms, people, min_stay, max_stay, seed, demo } = demo::options();
    if min_stay > max_stay {
        demo::refuse(format!("--min-stay {min_stay} is more than --max-stay {max_stay}"));
    }

    // The semaphore before the people: one number, in memory that a fork shares. Made by each of them for
    // himself, it would let everybody in.
    let sem = &Semaphore::try_new(rooms)?;
    let dice = seed.dice();

    // All set out before anybody is waited for. Joined one by one as they start, they would not need rooms:
    // there would never be two.
    process::scope(|s| {
        let mut crowd = Vec::new();
        for num in 0..people {
            let stay = dice.of(num.into()).draw(min_stay..=max_stay);
            let person = Builder::new().name(format!("person {num}"));
            crowd.push(person.spawn_scoped(s, move || ktv(num, sem, stay, demo))?);
        }
        demo::join_all(crowd)
    })
}

fn ktv(num: u32, sem: &Semaphore, stay: u32, demo: Demo) -> demo::Outcome {
    // Whoever finds no room left waits here until somebody comes out. Without this line all ten would be
    // inside at once. The name matters: `let _ = sem.acquire()` would give the room back at once.
    let _room = sem.acquire();

    println!("person {num} into the KTV");
    demo.sleep(stay.into());
    println!("person {num} out of the KTV");

    // The room is given back behind the last line, not before it: else the next one could be told inside
    // while this one still is. It is the permit's end that does it, so nobody can forget it.
    Ok(())
}
