//! **A thread's name is set before its start, its life begins with it, and its object outlives both.**
//!
//! # The original
//!
//! ```python
//! def work():
//!     print("running in", current_thread().name)
//!     sleep(1)
//!
//! t = Thread(target=work)
//! print(t.name)                # Thread-1
//! t.name = "worker"            # setName
//! t.daemon = False             # setDaemon; isDaemon reads it
//! print(t.name, t.is_alive(), t.daemon)
//! t.start()
//! print(t.name, t.is_alive(), current_thread().name)
//! t.join()
//! print(t.name, t.is_alive())
//! ```
//!
//! # Run it
//!
//! `cargo run -p threads --bin thread_attributes`
//!
//! # You will see
//!
//! `Thread-1`, then `worker false false`; then `running in worker` and `worker true main`, in either order, for
//! two threads are at work; a second later `worker false`. (With `--time-scale 0` the worker may be through
//! before it is asked whether it is alive.)
//!
//! # Try breaking it
//!
//! Set the name after the `start`: the object has it then, but the thread says `running in Thread-1`. The system
//! asks for the name once.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use std::thread;
use threads::MyThread;

/// A thread's name, whether it lives, and whether it is a daemon, before, during and after its life.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // Before its life. There is an object, and no thread.
    let mut t = MyThread::new(move || work(demo));
    println!("{}", t.name());
    t.set_name("worker");
    t.set_daemon(false);
    println!("{} {} {}", t.name(), t.is_alive(), t.is_daemon());

    // During its life. From here on there are two who print.
    t.start()?;
    println!("{} {} {}", t.name(), t.is_alive(), current_name());

    // After it. Without the join the answer would be `true` once more.
    t.join();
    println!("{} {}", t.name(), t.is_alive());
    Ok(())
}

fn work(demo: Demo) {
    println!("running in {}", current_name());
    demo.sleep(1.0);
}

/// Everybody can ask for his own name. Rust's main thread is called `main`, Python's `MainThread`.
fn current_name() -> String {
    thread::current().name().unwrap_or("?").to_owned()
}
