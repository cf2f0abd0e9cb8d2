//! **Two ways to say something to a process: a queue is for many on either side, a pipe for exactly two.**
//!
//! # The original
//!
//! ```python
//! def func1(que, n):
//!     que.put(n + 1)
//!     print("son process queue ID is %s" % id(que))
//!
//! q1 = Queue()
//! print("main process queue ID is %s" % id(q1))
//! for i in range(3):
//!     p = Process(target=func1, args=(q1, i))
//!     p.start()
//! print(q1.get())
//! print(q1.get())
//! print(q1.get())
//! ```
//!
//! and, in a program of its own:
//!
//! ```python
//! def func1(conn):
//!     conn.send("Hi daddy!")
//!     response = conn.recv()
//!     print("response: %s" % response)
//!     conn.close()
//!     print("child conn ID %s" % id(child_conn))
//!
//! parent_conn, child_conn = Pipe()
//! print("main child conn: %s" % id(child_conn))
//! p = Process(target=func1, args=(child_conn,))
//! p.start()
//! print(parent_conn.recv())
//! parent_conn.send("Hi child!")
//! p.join()
//! ```
//!
//! # Run it
//!
//! `cargo run -p queue_pipe`
//!
//! # You will see
//!
//! The number of a queue, four times the same; `1`, `2` and `3`, in the order in which the sons came to it; the
//! number of one end of a pipe, and between its two lines what went to and fro. Only the order of the sons varies.
//!
//! # Try breaking it
//!
//! Get a fourth item: `get` waits for ever, for a queue does not know that there is nobody left to put one. (Who
//! does, calls `close`.) A pipe does know: let `child` return before it sends, and main is told that nobody is at
//! the other end any more.
#![forbid(unsafe_code)]

use shared::channel::{self, Connection, Queue};
use shared::demo::{self, Demo};
use shared::process::{self, Builder};

/// Three sons put a number into a queue; then a child and its parent talk through a pipe.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    _demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { .. } = demo::options();

    // The queue before the sons: it lies in memory that a fork shares. The number is the queue's own. Python
    // prints an address, which is the same in the sons only because each has a copy of everything.
    let q1 = &Queue::try_new()?;
    println!("main process queue ID is {}", q1.id());

    process::scope(|s| {
        let mut sons = Vec::new();
        for n in 0..3 {
            sons.push(Builder::new().name(format!("son {n}")).spawn_scoped(s, move || son(q1, n))?);
        }

        // First the sons, then their numbers, so that nobody waits for the number of one who was killed. In
        // Python this order is a trap: a son ends only when somebody has taken what it put. Here an item is in
        // the queue when `put` returns, and whoever put it may go.
        demo::join_all(sons)?;
        for _ in 0..3 {
            println!("{}", q1.get()?);
        }
        demo::Outcome::Ok(())
    })?;

    // Two telephones. Each end says which type it sends and which it receives: here both are texts.
    let (parent_conn, child_conn) = channel::try_duplex::<String, String>()?;
    println!("main child conn: {}", child_conn.id());

    // The child's end is *moved* to the child. If main kept it too, main would never be told that the child has
    // gone: it would be at the other end itself.
    let p = Builder::new().name("child").spawn(move || child(&child_conn))?;
    let talk = parent(parent_conn);

    // If the talk broke off, the reason is how the child ended.
    p.join()?.and(talk)
}

fn son(que: &Queue<u32>, n: u32) -> demo::Outcome {
    que.put(n + 1)?;
    println!("son process queue ID is {}", que.id());
    Ok(())
}

/// Ends by hanging up, whichever way it went: the child is not left waiting.
fn parent(conn: Connection<String, String>) -> demo::Outcome {
    // Waits until there is a message, or nobody who could send one.
    println!("{}", conn.recv()?);
    conn.send("Hi child!".to_owned())?;
    Ok(())
}

fn child(conn: &Connection<String, String>) -> demo::Outcome {
    conn.send("Hi daddy!".to_owned())?;
    let response = conn.recv()?;
    println!("response: {response}");
    println!("child conn ID {}", conn.id());
    Ok(())
}
