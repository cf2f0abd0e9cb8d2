//! **A process works on its own copy: a hundred children take one from `N`, and the parent still has 100.**
//!
//! # The original
//!
//! ```python
//! n = 100
//!
//! def func():
//!     global n
//!     n = n - 1
//!     return 111
//!
//! n_l = []
//! for i in range(100):
//!     p = Process(target=func)
//!     p.start()
//!     n_l.append(p)
//! for p in n_l:
//!     p.join()
//! print(n)
//! ```
//!
//! # Run it
//!
//! `cargo run -p isolation`
//!
//! # You will see
//!
//! `100`, with however many `--processes`. Nothing varies.
//!
//! # Try breaking it
//!
//! `cargo run -p isolation --bin isolation_threads` is this program with threads. To have processes share a
//! number as threads do, it must lie in memory that a fork shares: make `N` a
//! `shared::memory::Shared<AtomicI32>` in `main`, and let the children borrow it from a `process::scope`.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::Builder;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// A hundred processes each take one from a global number. It stays what it was.
#[derive(clap::Parser)]
struct Options {
    /// How many processes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    processes: u32,
    #[command(flatten)]
    _demo: Demo,
}

// The global. Atomic, because Rust lets nobody write to a plain one without `unsafe`; and a static, because a
// local moved into each closure would be a copy from the start, fork or no fork. This is one number for the
// whole program: as far as the compiler knows, everybody who names it means the same.
static N: AtomicI32 = AtomicI32::new(100);

fn main() -> demo::Outcome {
    let Options { processes, .. } = demo::options();

    // All are started before any is waited for. Each fork copies the memory as it is at that moment, and each
    // time it says 100: nobody has written to this copy.
    let mut n_l = Vec::new();
    for _ in 0..processes {
        n_l.push(Builder::new().spawn(func)?);
    }

    // Looked at sooner, 100 would prove nothing: the children might not have come to it yet. Now they have.
    for p in n_l {
        p.join()?;
    }
    println!("{}", N.load(Relaxed));
    Ok(())
}

fn func() -> i32 {
    // The kernel copies the page when it is written to. The 99 is in this child's copy, and goes with it.
    N.fetch_sub(1, Relaxed);

    // It does come home, through `join`; here nobody looks at it. `isolation_result` does.
    111
}
