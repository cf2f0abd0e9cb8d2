//! **A process for each connection: a slow client keeps nobody waiting but itself.**
//!
//! # The original
//!
//! ```python
//! def talk(conn):
//!     try:
//!         while True:
//!             conn.send(b'hello')
//!             print(conn.recv(1024))
//!     finally:
//!         conn.close()
//!
//! sk = socket.socket()
//! sk.bind(('127.0.0.1', 9091))
//! sk.listen()
//! try:
//!     while True:
//!         conn, addr = sk.accept()
//!         Process(target=talk, args=(conn,)).start()
//! finally:
//!     sk.close()
//! ```
//!
//! # Run it
//!
//! `cargo run -p daemon --bin tcp_server`, and in other terminals `cargo run -p daemon --bin tcp_client`
//!
//! # You will see
//!
//! The pid of each client, as often as it sends it, which is as fast as it can. With several clients the pids
//! are mixed: how, may vary. Ctrl-C ends the server and all its talkers.
//!
//! # Try breaking it
//!
//! `kill -STOP` a client, or talk to the server by hand (`nc 127.0.0.1 9091`) and say nothing: the others are
//! served. Call `talk(conn)` without a process, and they are not.
#![forbid(unsafe_code)]

use shared::demo::{self, Demo, Failure};
use shared::process::Builder;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Greets each client, and prints what it answers.
#[derive(clap::Parser)]
struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port; 0 picks a free one
    #[arg(long, default_value_t = 9091)]
    port: u16,
    #[command(flatten)]
    _demo: Demo,
}

/// How soon a talker that has ended is looked after.
const PATIENCE: Duration = Duration::from_millis(100);

fn main() -> demo::Outcome {
    let Options { host, port, .. } = demo::options();
    let failed = |why: io::Error| Failure::new(format!("{host}:{port}: {why}"));

    // Bound before anything is said: who reads "listening" may connect.
    let sk = TcpListener::bind((host.as_str(), port)).map_err(failed)?;
    eprintln!("listening on {}", sk.local_addr().map_err(failed)?);

    let mut talkers = Vec::new();
    loop {
        // `accept` alone would wait for the next client for ever, and the last one's talker lie unburied.
        if demo::readable(&sk, PATIENCE) {
            let (conn, addr) = sk.accept().map_err(failed)?;

            // The connection is *moved* to the talker. A copy left here would keep it open when the talk is
            // over, and the next talkers would inherit it. A daemon, so that no talker outlives the server.
            let talker = Builder::new().name(format!("talker of {addr}")).daemon(true);
            match talker.spawn(move || talk(conn)) {
                Ok(talker) => talkers.push(talker),
                // This client is turned away; the others need not suffer for it.
                Err(refused) => eprintln!("{addr}: {refused}"),
            }
        }

        // Without this every client would leave a zombie. One that ended badly is worth a line, and no more.
        for talker in talkers.extract_if(.., |talker| talker.is_finished()) {
            if let Err(error) = talker.join() {
                eprintln!("{}", Failure::from(error));
            }
        }
    }
}

/// In turns, greeting and answer. TCP knows no messages: it is the taking of turns that makes what one `read`
/// finds one message.
fn talk(mut conn: TcpStream) {
    let mut message = [0; 1024];
    // A client that says goodbye (0 bytes), or is torn away (an error), has ended the talk.
    while let Ok(()) = conn.write_all(b"hello")
        && let Ok(len @ 1..) = conn.read(&mut message)
    {
        // Whatever a stranger sends, it is printed as one line.
        println!("{}", message[..len].escape_ascii());
    }
}
