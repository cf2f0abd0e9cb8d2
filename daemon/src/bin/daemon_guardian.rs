//! **A daemon has no right to be heard: main may end before the guardian has drawn breath.**
//!
//! # The original
//!
//! ```python
//! def task(name):
//!     print('%s is running' % name)
//!     time.sleep(3)
//!
//! p1 = Process(target=task, args=('Guardian process',))
//! p2 = Process(target=task, args=('normal sub-process',))
//! p1.daemon = True  # be sure to put it before p.start()
//! p1.start()
//! p2.start()
//! print('master')
//! ```
//!
//! # Run it
//!
//! `cargo run -p daemon --bin daemon_guardian`
//!
//! # You will see
//!
//! `master` and `normal sub-process is running`, in either order; three seconds later the program ends.
//! Perhaps also `Guardian process is running`, anywhere before those or between: it depends on whether the
//! guardian gets a turn before main is through. On a machine with several cores it often does.
//!
//! # Try breaking it
//!
//! Put a `demo.sleep(0.1)` before `master`, and the guardian is always heard, or nearly. That is how bugs of
//! this kind hide: whoever needs the guardian's line must wait for it, not hope.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo, Failure};
use shared::process::{self, Builder};

/// A guardian that may be ended before it has begun, and a child that may not.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // Main's code: two starts and a line, no pause. The scope's end is the guardian's.
    let p2 = process::scope(|s| {
        let p1 = Builder::new().name("Guardian process").daemon(true);
        p1.spawn_scoped(s, || task("Guardian process", demo))?;

        // No child of the scope: it is handed on to who waits for it.
        let p2 = Builder::new().name("normal sub-process");
        let p2 = p2.spawn(move || task("normal sub-process", demo))?;

        println!("master");
        Ok::<_, Failure>(p2)
    })?;

    // From here on nobody is guarded, and main only waits.
    p2.join()?;
    Ok(())
}

fn task(name: &str, demo: Demo) {
    println!("{name} is running");
    demo.sleep(3.0);
}
