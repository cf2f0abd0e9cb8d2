//! **A daemon ends with its parent's code: what it had still to say is never said.**
//!
//! # The original
//!
//! ```python
//! def func1():
//!     print("begin")
//!     time.sleep(3)
//!     print("Wahaha")
//!
//! p = Process(target=func1)
//! p.daemon = True  # must be set before start()
//! p.start()
//! time.sleep(1)
//! print("Main program")
//! ```
//!
//! # Run it
//!
//! `cargo run -p daemon`
//!
//! # You will see
//!
//! `begin`, and a second later `Main program` and the end, not after three. Never `Wahaha`.
//! (With `--time-scale 0` all that comes at once, and the daemon may be the faster one.)
//!
//! # Try breaking it
//!
//! Take the `.daemon(true)` away: then `main` waits for its child like every good parent, and `Wahaha` comes.
//! Or put it back, and kill the main process while it sleeps (`--time-scale 20`, then `kill -9`). Python's
//! daemon would live on as an orphan. This one ends at once: the kernel does it, and needs nobody's help.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::Builder;

/// A daemon is ended before it gets to its last line.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // A daemon from birth: this cannot be changed later, since the child arranges its own end at its start.
    // Without it, the end of `main` would wait three seconds for `Wahaha`.
    Builder::new().name("func1").daemon(true).spawn(move || func1(demo))?;

    demo.sleep(1.0);
    println!("Main program");

    // Here main's code ends, and with it the daemon: it gets a SIGTERM, and the program waits until it has
    // gone.
    Ok(())
}

fn func1(demo: Demo) {
    println!("begin");
    demo.sleep(3.0);
    println!("Wahaha");
}
