//! **The end of the main thread does not touch the others, unless they are daemons.**
//!
//! # The original
//!
//! The document states the rule and gives no program. In Python it would be:
//!
//! ```python
//! def task(name, sec):
//!     print(name, "begins")
//!     sleep(sec)
//!     print(name, "ends")
//!
//! Thread(target=task, args=("worker", 3)).start()
//! sleep(0.5)
//! Thread(target=task, args=("daemon", 10), daemon=True).start()
//! sleep(0.5)
//! print("main ends")
//! ```
//!
//! # Run it
//!
//! `cargo run -p threads --bin thread_daemon`
//!
//! # You will see
//!
//! `worker begins`, `daemon begins`, after a second `main ends`, and after two more `worker ends`, with which the
//! program ends. Never `daemon ends`. (With `--time-scale 0` there is nothing to keep the order, and the daemon
//! may be the faster one.)
//!
//! # Try breaking it
//!
//! Use `std::thread::spawn` in the place of `MyThread`: then both are daemons, for a Rust program ends with its
//! `main`, whoever else is at work. It is the struct that waits.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use threads::MyThread;

/// A worker outlives main, a daemon does not.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    let mut worker = MyThread::new(move || task("worker", 3.0, demo));
    worker.start()?;
    demo.sleep(0.5);

    // Said before the end of `main` at the latest: that is when it makes a difference.
    let mut daemon = MyThread::new(move || task("daemon", 10.0, demo));
    daemon.set_daemon(true);
    daemon.start()?;
    demo.sleep(0.5);

    println!("main ends");

    // Here `daemon` and `worker` are dropped. The worker is waited for. Nobody asks the daemon, as nobody does in
    // Python: its thread stops in the middle of a word, when the process ends.
    Ok(())
}

fn task(name: &str, sec: f64, demo: Demo) {
    println!("{name} begins");
    demo.sleep(sec);
    println!("{name} ends");
}
