//! **A flag stays as it is until somebody changes it: a wait uses nothing up, and a time-out sets nothing.**
//!
//! # The original
//!
//! ```python
//! e = Event()
//! print(e.is_set())   # False by default
//! e.set()
//! print(e.is_set())   # True
//! e.wait()            # passes at once
//! e.clear()
//! e.wait(timeout=10)  # waits for at most 10 s, then goes on
//! print(e.is_set())   # a timed-out wait does not change the flag
//! ```
//!
//! # Run it
//!
//! `cargo run -p traffic_event --bin event_flags`
//!
//! # You will see
//!
//! `false`, `true`, ten seconds of nothing, `false`. Nothing varies.
//!
//! # Try breaking it
//!
//! Take the time-out away: `e.wait()` after `e.clear()` waits for ever, since there is nobody who could set
//! the event. No library can know that; Ctrl-C ends it.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::sync::Event;

/// What an event says before, while and after it is set.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // Nothing has happened yet.
    let e = Event::new();
    println!("{}", e.is_set());

    // Now it has. It stays so for everybody who looks, now or later: a wait does not use it up, as an
    // `acquire` uses up a permit.
    e.set();
    println!("{}", e.is_set());
    e.wait();

    // Taken back. Who waits from here on waits for the next time.
    e.clear();

    // Ten seconds go by, and nobody sets it. The wait returns that too; who goes on without asking takes
    // silence for consent.
    let _set_in_time = e.wait_timeout(demo.time(10.0));
    println!("{}", e.is_set());
    Ok(())
}
