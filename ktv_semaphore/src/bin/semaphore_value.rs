//! **A semaphore is a number: `acquire` takes one, `release` gives one, and at 0 you wait.**
//!
//! # The original
//!
//! ```python
//! sem = Semaphore(3)
//! print(sem.get_value())
//! sem.acquire()
//! sem.acquire()
//! print(sem.get_value())
//! sem.acquire()
//! print(sem.get_value())      # 0: the next acquire would block
//! print(sem.acquire(block=False))
//! sem.release()
//! print(sem.get_value())
//! ```
//!
//! # Run it
//!
//! `cargo run -p ktv_semaphore --bin semaphore_value`
//!
//! # You will see
//!
//! `3`, `1`, `0`, `false`, `1`. Nothing varies.
//!
//! # Try breaking it
//!
//! Use `acquire` where it says `try_acquire`: the program waits for itself, until Ctrl-C. Or write `let _ =`
//! where it says `let _second =`, and count again.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::sync::Semaphore;

/// The number in a semaphore, while permits are taken and given back.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    _demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { .. } = demo::options();

    // Three permits, and all are there.
    let sem = Semaphore::try_new(3)?;
    println!("{}", sem.available());

    // Each permit is a value. As long as it lives, it is taken.
    let first = sem.acquire();
    let _second = sem.acquire();
    println!("{}", sem.available());
    let _third = sem.acquire();
    println!("{}", sem.available());

    // None is left. Who must not wait asks; the number itself would be no answer, for with other processes
    // about it may have changed as soon as it is read.
    let fourth = sem.try_acquire();
    println!("{}", fourth.is_some());

    // Python's `release`. Here it is a permit that goes back, so nobody gives back what he has not got.
    drop(first);
    println!("{}", sem.available());
    Ok(())
}
