//! **Whether or not the parent waits, what a child does to `N` is never seen.**
//!
//! # The original
//!
//! ```python
//! n = 100
//!
//! def fun():
//!     global n
//!     n -= 1
//!     return n
//!
//! p = Process(target=fun)
//! p.start()
//! print(n)
//! ```
//!
//! # Run it
//!
//! `cargo run -p isolation --bin isolation_one_child`
//!
//! # You will see
//!
//! `100`. The child may be done before the print, or begin after it: there is a race here, over nothing.
//!
//! # Try breaking it
//!
//! Move the `join` above the `println!`. With a thread this would turn a "100 or 99" into a sure 99; with a
//! process both orders print the same.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::Builder;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// One process takes one from a global number, and the parent looks at its own without waiting.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    _demo: Demo,
}

static N: AtomicI32 = AtomicI32::new(100);

fn main() -> demo::Outcome {
    let Options { .. } = demo::options();
    let p = Builder::new().name("fun").spawn(fun)?;

    // Before the child has ended, on purpose.
    println!("{}", N.load(Relaxed));

    // Python joins its children at exit, unasked. So does this library; asking tells us if it failed.
    p.join()?;
    Ok(())
}

fn fun() -> i32 {
    N.fetch_sub(1, Relaxed) - 1
}
