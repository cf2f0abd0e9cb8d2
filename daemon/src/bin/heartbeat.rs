//! **What daemons are for: one that reports its process alive dies with it, so a monitor sees the death.**
//!
//! # The original
//!
//! The documents name the use and give no program: a daemon tells others that the main process is alive, so
//! that they notice when it is not. In Python it would begin so:
//!
//! ```python
//! def report(pulse):
//!     while True:
//!         pulse.send('alive')
//!         time.sleep(1)
//!
//! p = Process(target=report, args=(pulse,))
//! p.daemon = True
//! p.start()
//! ```
//!
//! and fail: killed by SIGKILL, a Python process leaves its daemon behind, which reports it alive for ever.
//!
//! # Run it
//!
//! `cargo run -p daemon --bin heartbeat`
//!
//! # You will see
//!
//! `alive 1` to `alive 5`, a second apart; then the application is killed, and at once the monitor says
//! `gone`, and why it knows. Nothing varies.
//!
//! # Try breaking it
//!
//! With `--beats 60`, `kill -9` the application yourself: the monitor needs no warning. Or `kill -STOP` it
//! and its reporter: there are no more beats, but the monitor is not deceived. It suspects, and waits for
//! proof.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::{self, Builder};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::time::Duration;

/// A monitor hears that an application is alive, and then that it is not.
#[derive(clap::Parser)]
struct Options {
    /// Seconds from beat to beat, of the story; never less than 10 ms
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    interval: f64,
    /// The application is killed after so many
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    beats: u32,
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { interval, beats, demo } = demo::options();
    if !(interval > 0.0 && interval <= 86400.0) {
        demo::refuse("--interval is a time of more than 0 and at most 86400 seconds");
    }
    let interval = demo.time(interval).max(Duration::from_millis(10));

    // The pipe before the processes, so that they have it. The writing end is *moved* into the application:
    // a copy of it here would keep the pipe open for ever, and the monitor would wait for itself.
    let (mut pulse, pulse_of_app) = pipe()?;
    let app = Builder::new().name("application").ends_with_parent(true);
    let app = app.spawn(move || application(&pulse_of_app, interval))?;

    // From here on this process is the monitor.
    for n in 1..=beats {
        if !beat(&mut pulse, interval) {
            break;
        }
        println!("alive {n}");
    }

    // The accident. SIGKILL lets nobody say goodbye, nor tidy up, nor end a daemon.
    app.kill()?;

    // A beat that was sent before may still be in the pipe. It is old news, and no sign of life.
    while beat(&mut pulse, interval) {}
    println!("gone: the pipe is closed, so the application and its daemon have both ended");

    // Whoever was killed has no more to say. Whoever could not even begin has.
    app.join().unwrap_or(Ok(()))
}

/// The application starts its daemon and goes about its work.
fn application(pulse: &PipeWriter, interval: Duration) -> demo::Outcome {
    process::scope(|s| {
        // A daemon, so that it never outlives this process, whichever way that ends. Without it the reporter
        // would go on telling that the application is alive.
        Builder::new().name("reporter").daemon(true).spawn_scoped(s, || report(pulse, interval))?;
        loop {
            demo::pause(interval);
        }
    })
}

fn report(mut pulse: &PipeWriter, interval: Duration) {
    while pulse.write_all(b"!").is_ok() {
        demo::pause(interval);
    }
}

/// Waits for the next beat. `false`: there will never be one again.
fn beat(pulse: &mut PipeReader, interval: Duration) -> bool {
    // Silence proves nothing: a process that is stopped, or on a busy machine, is silent too. The end of the
    // pipe proves it, for the kernel closes it when the last process that could write has ended.
    while !demo::readable(pulse, 2 * interval) {
        eprintln!("no beat for two intervals, but the pipe is open: somebody is alive");
    }
    pulse.read(&mut [0]).is_ok_and(|beats| beats > 0)
}
