//! **A pipe ends when nobody can write to it any more, and whoever inherited the writing end still can.**
//!
//! # The original
//!
//! The documents close their pipe when all has been said. Python's manual warns of what they do not run into:
//!
//! ```python
//! def listen(numbers):
//!     try:
//!         while True:
//!             print(numbers.recv())
//!     except EOFError:
//!         print('the end')
//!
//! numbers, say = Pipe(duplex=False)
//! p = Process(target=listen, args=(numbers,))
//! p.start()
//! for n in range(1, 4):
//!     say.send(n)
//! say.close()
//! p.join()  # for ever: the child inherited `say`, and waits for itself to close it
//! ```
//!
//! # Run it
//!
//! `cargo run -p queue_pipe --bin pipe_end`
//!
//! # You will see
//!
//! `1`, `2`, `3` through a bare pipe of the kernel's, and then, although main has closed it, `no end after 1 s`;
//! `1`, `2`, `3` through a connection, and at once `the end`. Nothing varies.
//!
//! # Try breaking it
//!
//! Give the second child the sending end too: `move || { let _say = &say; listen(&numbers) }`, with a
//! `say.clone()` made before for main. Now it holds the end by its own will, and waits for itself, as in Python.
#![forbid(unsafe_code)]

use shared::channel::{self, Connection, Nothing};
use shared::demo::{self, Demo};
use shared::process::Builder;
use std::io::{PipeReader, Read, Write};

/// A bare pipe whose end is never heard of, and a connection whose end is.
#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { demo } = demo::options();

    // Three numbers, before there is anybody to read them: a pipe keeps them.
    let (numbers, mut say) = std::io::pipe()?;
    say.write_all(&[1, 2, 3])?;

    // The trap. Only `numbers` is moved to the child, and there is no line in which it could use `say`. But a
    // fork copies all descriptors, asked or not. So the child is bound to its parent's life: of main's end, too,
    // the pipe would never tell it.
    let p = Builder::new().name("listener of the bare pipe").ends_with_parent(true);
    let p = p.spawn(move || listen_to_bare(numbers, demo))?;
    drop(say);
    p.join()??;

    // The cure. The ends of a connection know to whom they were given: before its closure runs, a child lets go
    // of all that were not moved into it.
    let (say, numbers) = channel::try_pipe()?;
    for n in 1..=3 {
        say.send(n)?;
    }
    let p = Builder::new().name("listener of the connection").spawn(move || listen(&numbers))?;

    // Without this line there would be no end here either: main could still say something.
    drop(say);
    p.join()?
}

fn listen_to_bare(mut numbers: PipeReader, demo: Demo) -> demo::Outcome {
    for _ in 0..3 {
        let mut n = [0];
        numbers.read_exact(&mut n)?;
        println!("bare pipe: {}", n[0]);
    }
    // Nothing is left in it. If it is readable now, that is the end; a `read` without asking would wait for ever.
    match demo::readable(&numbers, demo.time(1.0)) {
        false => println!("bare pipe: no end after 1 s"),
        true => println!("bare pipe: the end"),
    }
    Ok(())
}

fn listen(numbers: &Connection<Nothing, u32>) -> demo::Outcome {
    // Goes on until nobody is left who could send: Python's EOFError.
    for n in numbers {
        println!("connection: {}", n?);
    }
    println!("connection: the end");
    Ok(())
}
