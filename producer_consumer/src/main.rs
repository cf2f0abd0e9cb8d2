//! **The queue knows when all work is done: each item counts until the one who took it says so.**
//!
//! # The original
//!
//! ```python
//! def producer(name, food, q):
//!     for i in range(3):
//!         res = '%s%s' % (food, i)
//!         time.sleep(random.randint(1, 3))
//!         q.put(res)
//!         print('\033[45m%s produced %s\033[0m' % (name, res))
//!
//! def consumer(name, q):
//!     while True:
//!         res = q.get()
//!         time.sleep(random.randint(1, 3))
//!         print('\033[46m%s ate %s\033[0m' % (name, res))
//!         q.task_done()
//!
//! q = JoinableQueue()
//! p1 = Process(target=producer, args=('egon', 'bun', q))
//! p2 = Process(target=producer, args=('yang', 'soup', q))
//! p3 = Process(target=producer, args=('monkey', 'noodles', q))
//! c1 = Process(target=consumer, args=('alex', q))
//! c2 = Process(target=consumer, args=('wupeiqi', q))
//! c1.daemon = True
//! c2.daemon = True
//! ...  # start all of them
//! p1.join()
//! p2.join()
//! p3.join()
//! q.join()  # returns when every item put has been taken and marked done
//! ```
//!
//! # Run it
//!
//! `cargo run -p producer_consumer`, or with `-- --items 100000 --time-scale 0`
//!
//! # You will see
//!
//! Nine items are produced, and each is eaten once, and not before. Then the program ends, although the consumers
//! would go on for ever. Who eats what and when varies (`--seed` repeats how long each one takes).
//!
//! # Try breaking it
//!
//! `kill -9` a consumer that is eating (`--time-scale 20` gives you time). In Python its item would be gone, and
//! `q.join()` wait for ever for a `task_done` that cannot come. Here the other consumer is given the item, `join`
//! returns, and the program tells you who has died. (Killed between its line and its `done`, the item is eaten
//! twice: that is the price, and `Lease::delivery` would tell.)
#![forbid(unsafe_code)]

use shared::channel::JoinableQueue;
use shared::demo::{self, Color, Demo, Draws, Seed};
use shared::process::{self, Builder, JoinHandle};
use std::time::Duration;

/// Three produce, two consume, and nothing is left over.
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

/// How soon it is noticed that nobody is left to eat.
const PATIENCE: Duration = Duration::from_millis(10);

fn main() -> demo::Outcome {
    let Options { items, seed, demo } = demo::options();
    let dice = seed.dice();

    // The queue before all who share it.
    let q = &JoinableQueue::try_new()?;

    process::scope(|s| {
        let mut producers = Vec::new();
        for (who, name, food) in [(0, "egon", "bun"), (1, "yang", "soup"), (2, "monkey", "noodles")] {
            let work = move || producer(name, food, items, q, dice.of(who), demo);
            producers.push(Builder::new().name(name).spawn_scoped(s, work)?);
        }

        // A consumer has no end of its own, for it cannot know that no more will come. So it is a daemon, which
        // the end of this block ends.
        let mut consumers = Vec::new();
        for (who, name) in [(3, "alex"), (4, "wupeiqi")] {
            let work = move || consumer(name, q, dice.of(who), demo);
            consumers.push(Builder::new().name(name).daemon(true).spawn_scoped(s, work)?);
        }

        // First the producers: before they have ended, "all done" may only mean "nothing new yet".
        let produced = demo::join_all(producers);

        // Without this the scope would end the consumers at once, in the middle of their meals. It looks up now
        // and then, because a queue cannot know whether anybody is left to eat.
        while !q.join_timeout(PATIENCE) && !consumers.iter().all(JoinHandle::is_finished) {}

        // No consumer ends by itself. Whoever has ended all the same has a reason.
        let ended = consumers.into_iter().filter(JoinHandle::is_finished);
        produced.and(demo::join_all(ended))
    })
}

fn producer(
    name: &str,
    food: &str,
    items: u32,
    q: &JoinableQueue<String>,
    mut draws: Draws,
    demo: Demo,
) -> demo::Outcome {
    for i in 0..items {
        let res = format!("{food}{i}");
        demo.sleep(draws.draw(1..=3).into());

        // It is told before it is put. Afterwards somebody may have eaten it before it is told of.
        println!("{}", demo.paint(Color::OnMagenta, &format!("{name} produced {res}")));
        q.put(res)?;
    }
    Ok(())
}

fn consumer(name: &str, q: &JoinableQueue<String>, mut draws: Draws, demo: Demo) -> demo::Outcome {
    loop {
        // On loan, not for good: if this process dies with it, the next one gets it.
        let res = q.get_lease()?;
        demo.sleep(draws.draw(1..=3).into());
        println!("{}", demo.paint(Color::OnCyan, &format!("{name} ate {}", *res)));

        // Python's `task_done`, which in Python is about any item; this is about this one. Without it the lease
        // would end here all the same, but as one given back: the item would be eaten again and again.
        res.done();
    }
}
