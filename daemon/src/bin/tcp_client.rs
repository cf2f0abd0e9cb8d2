//! **The other side of `tcp_server`: who talks in turns must listen first if the other one begins.**
//!
//! # The original
//!
//! ```python
//! sk = socket.socket()
//! sk.connect(('127.0.0.1', 9091))
//! while True:
//!     print(sk.recv(1024))
//!     sk.send(str(os.getpid()).encode('utf-8'))
//! ```
//!
//! # Run it
//!
//! `cargo run -p daemon --bin tcp_server` in one terminal, `cargo run -p daemon --bin tcp_client` in others;
//! `-- --rounds 3` if it is to end by itself
//!
//! # You will see
//!
//! `hello`, as often as the two can manage, until the server ends or you do. Several clients do not slow one
//! another down more than the machine does: each has a process of the server to itself.
//!
//! # Try breaking it
//!
//! Write before you read: nothing happens, for the kernel keeps both messages. Read twice before you write:
//! now each waits for the other, for ever.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo, Failure};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Prints the server's greeting and answers with its own pid, again and again.
#[derive(clap::Parser)]
struct Options {
    /// Where the server is
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Its port
    #[arg(long, default_value_t = 9091, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// How many greetings to answer; 0 goes on until the server ends
    #[arg(long, value_name = "N", default_value_t = 0)]
    rounds: u64,
    #[command(flatten)]
    _demo: Demo,
}

fn main() -> demo::Outcome {
    let Options { host, port, rounds, .. } = demo::options();
    let failed = |why: io::Error| Failure::new(format!("{host}:{port}: {why}"));
    let mut sk = TcpStream::connect((host.as_str(), port)).map_err(failed)?;

    let forever = rounds == 0;
    for _ in 0..if forever { u64::MAX } else { rounds } {
        if let Err(why) = answer(&mut sk) {
            // The end of the server is no failure for a client that was to stay until then.
            return if forever { Ok(()) } else { Err(failed(why)) };
        }
    }
    Ok(())
}

/// One greeting, one answer.
fn answer(sk: &mut TcpStream) -> io::Result<()> {
    // Waited for first, because a `read` that waits takes no notice of Ctrl-C: it begins again.
    demo::readable(sk, Duration::MAX);
    let mut greeting = [0; 1024];
    match sk.read(&mut greeting)? {
        0 => Err(io::Error::other("the server has ended")),
        len => {
            println!("{}", greeting[..len].escape_ascii());
            // Until it has this, the server says no more.
            sk.write_all(std::process::id().to_string().as_bytes())
        }
    }
}
