//! **Standard output is a shared resource too: with a lock, one writer finishes before the other begins.**
//!
//! # The original
//!
//! ```python
//! def writer1():
//!     lock.acquire()
//!     for i in range(5):
//!         sleep(1)
//!         sys.stdout.write("writer1 output\n")
//!     lock.release()
//!
//! def writer2():
//!     with lock:
//!         for i in range(5):
//!             sleep(1)
//!             sys.stdout.write("writer2 output\n")
//! ```
//!
//! # Run it
//!
//! `cargo run -p ticket_lock --bin two_writers`
//!
//! # You will see
//!
//! Five lines of one writer, then five of the other, a second apart. Which one is first may vary.
//!
//! # Try breaking it
//!
//! Remove one of the two guards. One writer alone that asks for a lock keeps nobody out.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process;
use shared::sync::{Lock, Poisoned};

/// Two processes write to one terminal, one after the other.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();
    let lock = Lock::new(());

    process::scope(|s| {
        let w1 = s.spawn(|| writer1(&lock, demo));
        let w2 = s.spawn(|| writer2(&lock, demo));
        demo::join_all([w1, w2])
    })
}

/// The long form: take the lock, write, give it back.
fn writer1(lock: &Lock<()>, demo: Demo) -> demo::Outcome {
    let turn = lock.lock().unwrap_or_else(Poisoned::into_inner);
    for _ in 0..5 {
        demo.sleep(1.0);
        println!("writer1 output");
    }
    drop(turn);
    Ok(())
}

/// The short form, Python's `with`: the lock is given back where the guard's life ends, here or by a panic.
fn writer2(lock: &Lock<()>, demo: Demo) -> demo::Outcome {
    let _turn = lock.lock().unwrap_or_else(Poisoned::into_inner);
    for _ in 0..5 {
        demo.sleep(1.0);
        println!("writer2 output");
    }
    Ok(())
}
