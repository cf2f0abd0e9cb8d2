//! **Threads share what processes do not: the same program with threads ends at 0.**
//!
//! # The original
//!
//! The text of `isolation.py`, with the one word changed:
//!
//! ```python
//! for i in range(100):
//!     p = Thread(target=func)
//! ```
//!
//! # Run it
//!
//! `cargo run -p isolation --bin isolation_threads`
//!
//! # You will see
//!
//! `0`, or 100 less the number of `--threads`. Nothing varies.
//!
//! # Try breaking it
//!
//! Replace the `fetch_sub` by a `load`, a `std::thread::yield_now()` and a `store` of one less. Now and then
//! it will print more than 0: what is shared can be lost between the reading and the writing. Processes that
//! share nothing cannot even make this mistake.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo, Failure};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::thread;

/// A hundred threads each take one from a global number. Nothing is left.
#[derive(clap::Parser)]
struct Options {
    /// How many threads
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    threads: u32,
    #[command(flatten)]
    _demo: Demo,
}

static N: AtomicI32 = AtomicI32::new(100);

fn main() -> demo::Outcome {
    let Options { threads, .. } = demo::options();

    // The scope joins them all. Without that the print would race with the subtraction.
    thread::scope(|s| {
        for i in 0..threads {
            let p = thread::Builder::new().spawn_scoped(s, func);
            p.map_err(|why| Failure::new(format!("cannot start thread {i}: {why}")))?;
        }
        demo::Outcome::Ok(())
    })?;

    println!("{}", N.load(Relaxed));
    Ok(())
}

fn func() {
    // One memory, one number. It must be taken and put back in one step: here atomicity is no formality.
    N.fetch_sub(1, Relaxed);
}
