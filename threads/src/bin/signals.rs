//! **A signal is an interruption that the program answers as it likes: Ctrl-C need not end it.**
//!
//! # The original
//!
//! ```python
//! def handler(sig, frame):
//!     if sig == SIGALRM:
//!         print("Receive clock signal")
//!     elif sig == SIGINT:
//!         print("It doesn't end a little bit ~")
//!
//! alarm(5)  # set the 5-second clock signal
//! signal(SIGALRM, handler)
//! signal(SIGINT, handler)
//! while True:
//!     print("waiting for a signal")
//!     time.sleep(2)
//! ```
//!
//! # Run it
//!
//! `cargo run -p threads --bin signals`, and press Ctrl-C as often as you like. It ends by SIGTERM
//! (`killall signals`), or after as many `--rounds` as you say.
//!
//! # You will see
//!
//! `waiting for a signal` every two seconds, `Receive clock signal` once, five seconds after the start, and
//! `It doesn't end a little bit ~` for each Ctrl-C, at once: the pause goes on afterwards for what is left of it.
//!
//! # Try breaking it
//!
//! Call `signal::alarm` a second time, with ten seconds: the clock comes once all the same, after ten. A process
//! has one clock. Or ask for `Signal::SIGKILL` in the place of `Signal::SIGINT`: it is refused, for somebody must
//! be able to end every program.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::signal::{self, Signal};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A program that Ctrl-C does not end.
#[derive(clap::Parser)]
struct Options {
    /// How often it says that it is waiting; 0 goes on until SIGTERM
    #[arg(long, value_name = "N", default_value_t = 0)]
    rounds: u64,
    #[command(flatten)]
    demo: Demo,
}

static RUNG: AtomicBool = AtomicBool::new(false);

fn main() -> demo::Outcome {
    let Options { rounds, demo } = demo::options();

    // A handler does not run in the instant of the signal, when the program may be in the midst of anything, but
    // a little later on this thread, where it waits: so it may print. Set before the clock, which without a
    // handler would end the program.
    signal::handle(Signal::SIGALRM, || {
        println!("Receive clock signal");
        RUNG.store(true, Relaxed);
    })?;
    signal::handle(Signal::SIGINT, || println!("It doesn't end a little bit ~"))?;

    // No time at all would be no clock.
    signal::alarm(demo.time(5.0).max(Duration::from_millis(1)));

    let mut round = 0;
    while rounds == 0 || round < rounds {
        println!("waiting for a signal");
        demo.sleep(2.0);
        round += 1;
    }

    // Few rounds may be over before the clock has come. It was set, so it is waited for.
    while !RUNG.load(Relaxed) {
        signal::pause();
    }
    Ok(())
}
