//! **At the end of main's code daemons are ended, and the other children are waited for.**
//!
//! # The original
//!
//! ```python
//! def func1():
//!     print("begin")
//!     time.sleep(3)
//!     print("Wahaha")
//!
//! def func2():
//!     while True:
//!         print("in func2")
//!         time.sleep(0.5)
//!
//! Process(target=func1).start()
//! p = Process(target=func2)
//! p.daemon = True
//! p.start()
//! time.sleep(1)
//! print("Main program")
//! ```
//!
//! # Run it
//!
//! `cargo run -p daemon --bin daemon_and_worker`
//!
//! # You will see
//!
//! `in func2` twice, `begin` beside the first of them, `Main program` after a second. Then two seconds of
//! silence, for the daemon has stopped, and at last `Wahaha`. Its third beat falls on the very moment of its
//! end: sometimes it is still heard.
//!
//! # Try breaking it
//!
//! Make `func2` no daemon: the program never ends, since a parent waits for its children and this one has no
//! end. Or make `func1` a daemon too: no `Wahaha`.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::{self, Builder};

/// A daemon stops with main's code; a worker goes on to its last line.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // The ordinary child, outside the scope: it is to outlast main's code.
    let worker = Builder::new().name("func1").spawn(move || func1(demo))?;

    // Main's code. In Python it is the rest of the file, and what happens to the children happens behind it,
    // in the interpreter's exit. Here it may end sooner: a scope ends its daemons where it closes.
    process::scope(|s| {
        Builder::new().name("func2").daemon(true).spawn_scoped(s, || func2(demo))?;
        demo.sleep(1.0);
        println!("Main program");
        demo::Outcome::Ok(())
    })?;

    // The daemon is no more. Its parent goes on waiting, for the one whose work matters.
    worker.join()?;
    Ok(())
}

fn func1(demo: Demo) {
    println!("begin");
    demo.sleep(3.0);
    println!("Wahaha");
}

/// Without an end of its own: only a daemon may be like that.
fn func2(demo: Demo) {
    loop {
        println!("in func2");
        demo.sleep(0.5);
    }
}
