//! **An event says "it is ready" to those who need it: one child waits for the file, the other gives up.**
//!
//! # The original
//!
//! ```python
//! def wait_event(file):
//!     print("prepare to operate critical resources")
//!     e.wait()  # until the main process executes set
//!     print("start operation of critical resources", e.is_set())
//!     fw = open('1.jpg', 'wb')
//!     with open(file, 'rb') as f:
//!         fw.write(f.read())
//!
//! def wait_event_timeout(file):
//!     print("also want to operate critical resources")
//!     e.wait(2)  # until set, or 2 seconds
//!     if e.is_set():
//!         ...    # the same with '2.jpg'
//!     else:
//!         print("It's not going to wait")
//!
//! p1.start()
//! p2.start()
//! print("The main process is operating critical resources")
//! sleep(3)
//! fw = open(file, 'wb')
//! with open(path, 'rb') as f:
//!     fw.write(f.read())
//! fw.close()
//! e.set()
//! print("The main process has finished operation")
//! ```
//!
//! # Run it
//!
//! `cargo run -p traffic_event --bin copy_file`, or `-- PICTURE --into FOLDER`
//!
//! # You will see
//!
//! Three processes get ready, in any order; after two seconds one says `It's not going to wait`; after three
//! main has finished and the other one starts. In the folder, which is named first, lie `file.jpg` and
//! `1.jpg`, and no `2.jpg`.
//!
//! # Try breaking it
//!
//! Set the event before the copy is made: `1.jpg` may be half a picture, or there is nothing to copy yet. The
//! event orders what the two do; it does not know what they do.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo};
use shared::process::{self, Builder};
use shared::sync::Event;
use traffic_event::{Folder, Pictures};

/// Main copies a picture, one process waits to copy the copy, and one does not wait so long.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    pictures: Pictures,
    #[command(flatten)]
    demo: Demo,
}

const FILE: &str = "file.jpg";

fn main() -> demo::Outcome {
    let Options { pictures, demo } = demo::options();

    // The picture first: if there is none, nobody need wait for it.
    let folder = &pictures.open()?;
    let e = &Event::new();

    process::scope(|s| {
        // Both wait for main. Daemons, so that they end with it: when it is killed, or cannot make the copy
        // and leaves this block by a `?`, nobody will ever set the event.
        let p1 = Builder::new().name("p1").daemon(true).spawn_scoped(s, || wait_event(folder, e))?;
        let p2 = Builder::new().name("p2").daemon(true);
        let p2 = p2.spawn_scoped(s, || wait_event_timeout(folder, e, demo))?;

        println!("The main process is operating critical resources");
        demo.sleep(3.0);
        folder.bring(FILE)?;

        // Not before the file is whole. Whatever was done before `set` is seen by whoever's wait it ends.
        e.set();

        println!("The main process has finished operation");
        demo::join_all([p1, p2])
    })?;

    // All has gone well, so the pictures stay where they are.
    folder.keep();
    Ok(())
}

fn wait_event(folder: &Folder, e: &Event) -> demo::Outcome {
    println!("prepare to operate critical resources");

    // Without this there is no file to copy, or half of one.
    e.wait();

    println!("start operation of critical resources {}", e.is_set());
    folder.copy(FILE, "1.jpg")
}

fn wait_event_timeout(folder: &Folder, e: &Event, demo: Demo) -> demo::Outcome {
    println!("also want to operate critical resources");

    // Waiting and asking in one. To ask again afterwards would be another question, at another time.
    if e.wait_timeout(demo.time(2.0)) {
        println!("also started to operate critical resources");
        folder.copy(FILE, "2.jpg")
    } else {
        println!("It's not going to wait");
        Ok(())
    }
}
