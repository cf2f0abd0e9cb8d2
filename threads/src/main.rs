//! **A thread can be an object of one's own: made with a target and a name, started later, then joined.**
//!
//! # The original
//!
//! ```python
//! class MyThread(Thread):
//!     def __init__(self, target, name="tedu", args=(), kwargs={}):
//!         super().__init__()
//!         self.target, self.name, self.args, self.kwargs = target, name, args, kwargs
//!
//!     def run(self):
//!         self.target(*self.args, **self.kwargs)
//!
//! def player(song, sec):
//!     for i in range(2):
//!         print("Playing %s: %s" % (song, ctime()))
//!         sleep(sec)
//!
//! t = MyThread(target=player, args=("calories", 3))
//! t.start()
//! t.join()
//! ```
//!
//! # Run it
//!
//! `cargo run -p threads`
//!
//! # You will see
//!
//! `Playing calories: ` and the date, twice, three seconds apart. After three more it ends.
//!
//! # Try breaking it
//!
//! Remove the `join`, and nothing changes: who owns a `MyThread` that is no daemon waits for it at the end.
//! Then add `t.set_daemon(true)`: now `main` is gone before the song begins, or nearly.
#![forbid(unsafe_code)]

use jiff::Zoned;
use shared::demo::{self, Demo};
use threads::MyThread;

/// A thread plays a song, twice.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // The closure takes the place of `args` and `kwargs`: it has what it was made with.
    let mut t = MyThread::new(move || player("calories", 3.0, demo));
    t.set_name("tedu");

    // Only now is there a thread. It has this program's memory, where a process would have a copy.
    t.start()?;

    // Without this line `main` would be through at once, while the first three seconds have just begun.
    t.join();
    Ok(())
}

fn player(song: &str, sec: f64, demo: Demo) {
    for _ in 0..2 {
        // As `ctime` has it: local time, the day of the month in two places.
        println!("Playing {song}: {}", Zoned::now().strftime("%a %b %e %H:%M:%S %Y"));
        demo.sleep(sec);
    }
}
