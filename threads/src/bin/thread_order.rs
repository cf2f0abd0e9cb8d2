//! **A gate keeps the order: whoever is to come second waits for it, and the first opens it when done.**
//!
//! # The original
//!
//! ```python
//! gate = Lock()
//! gate.acquire()
//!
//! def a():
//!     sleep(1)
//!     print("A done")
//!     gate.release()
//!
//! def b():
//!     with gate:
//!         print("B after A")
//!
//! tb = Thread(target=b)
//! ta = Thread(target=a)
//! tb.start()
//! ta.start()
//! ```
//!
//! # Run it
//!
//! `cargo run -p threads --bin thread_order`
//!
//! # You will see
//!
//! `A done`, and then `B after A`, although B was started first. Nothing varies, with `--time-scale 0` neither.
//!
//! # Try breaking it
//!
//! Make the gate `Semaphore::new(1)`, and B comes first. Or take the `release` away, and B waits for ever: press
//! Ctrl-C.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::sync::Semaphore;
use threads::MyThread;

/// B is started first, and comes second.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // Python closes the gate by taking a lock in one thread, and opens it by giving that back in another. Here a
    // lock is released by its holder alone: else nobody could rely on it that what he holds is his. A gate is
    // a semaphore of 0. Nobody has the permit for which B waits, until A makes one.
    let gate = Semaphore::new(0);
    let (gate_of_a, gate_of_b) = (gate.clone(), gate);

    let mut tb = MyThread::new(move || b(&gate_of_b));
    let mut ta = MyThread::new(move || a(&gate_of_a, demo));

    // The wrong way round, on purpose: the order of the starts means nothing.
    tb.start()?;
    ta.start()?;
    ta.join();
    tb.join();
    Ok(())
}

fn a(gate: &Semaphore, demo: Demo) {
    demo.sleep(1.0);
    println!("A done");

    // The gate opens after the line is told. The other way round, B's could come first.
    let opened = gate.release(1);
    opened.expect("one permit is not too many");
}

fn b(gate: &Semaphore) {
    let _through = gate.acquire();
    println!("B after A");
}
