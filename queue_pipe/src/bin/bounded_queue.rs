//! **A queue with a bound has two ends to wait at: a put waits for room, a get waits for an item.**
//!
//! # The original
//!
//! ```python
//! q = Queue(3)  # at most three items
//! q.put('first')
//! q.put({'second': None})
//! q.put('third')
//! # q.put(4)  # would block until an item is taken
//! print(q.get())
//! print(q.get())
//! print(q.get())
//!
//! q = Queue(3)
//! q.put('first', block=False)
//! q.put('second', block=False)
//! q.put('third', block=False)
//! try:
//!     q.put('fourth', block=False)
//! except queue.Full:
//!     print('queue.Full')
//! try:
//!     q.put('fourth', block=True, timeout=3)
//! except queue.Full:
//!     print('queue.Full after 3 s')
//! print(q.get(), q.get(), q.get())
//! try:
//!     q.get(block=False)
//! except queue.Empty:
//!     print('queue.Empty')
//! try:
//!     q.get(block=True, timeout=2)
//! except queue.Empty:
//!     print('queue.Empty after 2 s')
//! ```
//!
//! # Run it
//!
//! `cargo run -p queue_pipe --bin bounded_queue`
//!
//! # You will see
//!
//! Three items; `queue.Full`, and again after three seconds; three items; `queue.Empty`, and again after two
//! seconds. Nothing varies.
//!
//! # Try breaking it
//!
//! Put a fourth item where the original has its comment: the program waits for itself, until Ctrl-C. A bound is
//! what makes a fast producer wait for a slow consumer, so there had better be one.
#![forbid(unsafe_code)]

use serde_json::{Value, json};
use shared::channel::{GetTimeoutError, PutTimeoutError, Queue, TryGetError, TryPutError};
use shared::demo::{self, Demo};

/// A queue that is full, and a queue that is empty.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // A queue takes values of one type. Python's takes anything: that type is `Value`, text or dict or number.
    let q = Queue::try_bounded(3)?;
    for item in [json!("first"), json!({"second": null}), json!("third")] {
        q.put(item)?;
    }
    for _ in 0..3 {
        match q.get()? {
            Value::String(text) => println!("{text}"),
            other => println!("{other}"),
        }
    }

    // Who must not wait tries. The item comes back in the error, so that it can be put once more.
    let q = Queue::try_bounded(3)?;
    for item in ["first", "second", "third"] {
        q.try_put(item.to_owned())?;
    }
    let fourth = match q.try_put("fourth".to_owned()) {
        Err(TryPutError::Full(fourth)) => fourth,
        unexpected => return Ok(unexpected?),
    };
    println!("queue.Full");

    // Who may wait, but not for ever. That nobody takes an item away meanwhile is no error of the queue's: it
    // cannot know that there is nobody else.
    match q.put_timeout(fourth, demo.time(3.0)) {
        Err(PutTimeoutError::Timeout(_fourth)) => println!("queue.Full after 3 s"),
        unexpected => return Ok(unexpected?),
    }

    // First in, first out. Then the same at the other end.
    println!("{} {} {}", q.get()?, q.get()?, q.get()?);
    match q.try_get() {
        Err(TryGetError::Empty) => println!("queue.Empty"),
        unexpected => drop(unexpected?),
    }
    match q.get_timeout(demo.time(2.0)) {
        Err(GetTimeoutError::Timeout) => println!("queue.Empty after 2 s"),
        unexpected => drop(unexpected?),
    }
    Ok(())
}
