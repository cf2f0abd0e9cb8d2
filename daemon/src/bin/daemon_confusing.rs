//! **How much of a daemon is seen is a matter of luck; that it does not get to its end is not.**
//!
//! # The original
//!
//! ```python
//! def foo():
//!     print(123)
//!     time.sleep(1)
//!     print("end123")
//!
//! def bar():
//!     print(456)
//!     time.sleep(3)
//!     print("end456")
//!
//! p1 = Process(target=foo)
//! p2 = Process(target=bar)
//! p1.daemon = True
//! p1.start()
//! p2.start()
//! print("main-------")
//! ```
//!
//! # Run it
//!
//! `cargo run -p daemon --bin daemon_confusing`, several times
//!
//! # You will see
//!
//! `main-------`, `456` and, three seconds later, `end456`. The document lists three outputs: without `123`,
//! and with `123` before or after `main-------`. There are more, since nothing keeps `456` from being the
//! first. What is certain: `456` comes before `end456`, and `end123` never comes.
//!
//! # Try breaking it
//!
//! `--time-scale 0` takes the pauses away, and with them the certainty: `foo` may now get to `end123` before
//! it is ended. "Never" rested on a second's sleep, which is no synchronisation.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo, Failure};
use shared::process::{self, Builder};

/// A daemon and a child of which more or less is seen.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    let p2 = process::scope(|s| {
        // Three processes run from here on, and the kernel alone decides who is first to print.
        Builder::new().name("foo").daemon(true).spawn_scoped(s, || foo(demo))?;
        let p2 = Builder::new().name("bar").spawn(move || bar(demo))?;
        println!("main-------");

        // Where the scope closes, the daemon is told to end, and has ended before the program goes on. It may
        // have printed `123` or not. It is in its sleep or before it, so it has not printed `end123`.
        Ok::<_, Failure>(p2)
    })?;

    p2.join()?;
    Ok(())
}

fn foo(demo: Demo) {
    println!("123");
    demo.sleep(1.0);
    println!("end123");
}

fn bar(demo: Demo) {
    println!("456");
    demo.sleep(3.0);
    println!("end456");
}
