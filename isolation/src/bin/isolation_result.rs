//! **What a child changes is lost with it; what it returns comes home through `join`.**
//!
//! # The original
//!
//! `isolation.py` has its function return 111, and the document asks: how does the parent get the child's
//! result? It leaves the question open, for Python has no answer in `Process` itself: one opens a pipe or a
//! queue first.
//!
//! ```python
//! def func():
//!     global n
//!     n = n - 1
//!     return 111
//!
//! p = Process(target=func)
//! p.start()
//! p.join()  # returns None
//! print(n)
//! ```
//!
//! # Run it
//!
//! `cargo run -p isolation --bin isolation_result`
//!
//! # You will see
//!
//! `100`, the parent's own number, then `111`, the child's answer. Nothing varies.
//!
//! # Try breaking it
//!
//! Let `func` panic instead of returning. Then there is no value, and `join` says so: with the message, and
//! the file and line of the panic, although it happened in another process.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::Builder;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// A process changes a global number, which is lost, and returns another, which is not.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    _demo: Demo,
}

static N: AtomicI32 = AtomicI32::new(100);

fn main() -> demo::Outcome {
    let Options { .. } = demo::options();
    let p = Builder::new().name("func").spawn(func)?;

    // The road home is a piece of memory that both had before the fork. The child writes its value there and
    // ends; `join` waits for the end, and only then reads. It is a `Result`, because a child that is killed
    // on the way has no value.
    let value = p.join()?;

    println!("{}", N.load(Relaxed));
    println!("{value}");
    Ok(())
}

fn func() -> i32 {
    N.fetch_sub(1, Relaxed);
    111
}
