//! **The end as an item: behind the last one, a sentinel for each consumer, put by whoever knows it is the last.**
//!
//! # The original
//!
//! The older form, which the document comments out:
//!
//! ```python
//! def producer(name, food, q):
//!     for i in range(3):
//!         ...
//!         q.put(res)
//!     q.put(None)  # a sentinel per consumer instead of join()
//!
//! def consumer(name, q):
//!     while True:
//!         res = q.get()
//!         if res is None:
//!             break
//!         time.sleep(random.randint(1, 3))
//!         print('\033[46m%s ate %s\033[0m' % (name, res))
//! ```
//!
//! With three producers and two consumers that goes wrong: the first producer's sentinel sends a consumer home
//! while the others are still at work. So here main puts the sentinels, when all producers have ended.
//!
//! # Run it
//!
//! `cargo run -p producer_consumer --bin producer_consumer_sentinel`
//!
//! # You will see
//!
//! What `producer_consumer` shows: nine items produced, each eaten once, and the end. But here the consumers go
//! home by themselves.
//!
//! # Try breaking it
//!
//! Put one sentinel only: one consumer waits for ever. Or `kill -9` a consumer that is eating (`--time-scale 20`
//! gives you time): its item is lost, for `get` has taken it for good. The queue of `producer_consumer` lends it.
//! And a count of consumers that must be right is a burden: `q.close()` in place of the sentinels tells all of
//! them, however many there are, and `for food in q` then ends by itself.
#![forbid(unsafe_code)]

use shared::channel::Queue;
use shared::demo::{self, Color, Demo, Draws, Seed};
use shared::process::{self, Builder};

/// Three produce, two consume until they are told that there is no more.
#[derive(clap::Parser)]
struct Options {
    /// How many items each producer makes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    items: u32,
    #[command(flatten)]
    seed: Seed,
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { items, seed, demo } = demo::options();
    let dice = seed.dice();

    // The queue before all who share it. An item is some food, or none: the sentinel.
    let q = &Queue::try_new()?;

    process::scope(|s| {
        let mut producers = Vec::new();
        for (who, name, food) in [(0, "egon", "bun"), (1, "yang", "soup"), (2, "monkey", "noodles")] {
            let work = move || producer(name, food, items, q, dice.of(who), demo);
            producers.push(Builder::new().name(name).spawn_scoped(s, work)?);
        }

        // They have an end of their own, but it is main that tells them. So they must not outlive it: daemons.
        let mut consumers = Vec::new();
        for (who, name) in [(3, "alex"), (4, "wupeiqi")] {
            let work = move || consumer(name, q, dice.of(who), demo);
            consumers.push(Builder::new().name(name).daemon(true).spawn_scoped(s, work)?);
        }

        // A sentinel put before every producer has ended would overtake the items that are still to come.
        let produced = demo::join_all(producers);

        // One each: whoever takes one goes home, and takes no other.
        for _ in &consumers {
            q.put(None)?;
        }
        produced.and(demo::join_all(consumers))
    })
}

fn producer(
    name: &str,
    food: &str,
    items: u32,
    q: &Queue<Option<String>>,
    mut draws: Draws,
    demo: Demo,
) -> demo::Outcome {
    for i in 0..items {
        let res = format!("{food}{i}");
        demo.sleep(draws.draw(1..=3).into());

        // It is told before it is put. Afterwards somebody may have eaten it before it is told of.
        println!("{}", demo.paint(Color::OnMagenta, &format!("{name} produced {res}")));
        q.put(Some(res))?;
    }
    Ok(())
}

fn consumer(name: &str, q: &Queue<Option<String>>, mut draws: Draws, demo: Demo) -> demo::Outcome {
    // Items come in the order in which they were put, so behind a sentinel there is nothing but sentinels.
    while let Some(res) = q.get()? {
        demo.sleep(draws.draw(1..=3).into());
        println!("{}", demo.paint(Color::OnCyan, &format!("{name} ate {res}")));
    }
    Ok(())
}
