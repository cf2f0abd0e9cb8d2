//! What the laws of the transcripts have in common, and a `tcp_server` to talk to.
#![allow(dead_code)] // No test uses all of it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::demo::transcript::{Started, Transcript};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) const SERVER: &str = env!("CARGO_BIN_EXE_tcp_server");
pub(crate) const CLIENT: &str = env!("CARGO_BIN_EXE_tcp_client");

/// A server on a port of its own.
pub(crate) struct Server {
    pub(crate) run: Started,
    pub(crate) port: String,
    /// The rest of its standard error.
    pub(crate) errors: Box<dyn BufRead>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::from(Started::new(SERVER, &["--port", "0"]))
    }

    pub(crate) fn from(mut run: Started) -> Server {
        let mut errors = BufReader::new(run.take_stderr());
        let mut first = String::new();
        errors.read_line(&mut first).expect("text");
        let port =
            first.trim().strip_prefix("listening on 127.0.0.1:").unwrap_or_else(|| panic!("{first:?}"));
        Server { port: port.to_owned(), run, errors: Box::new(errors) }
    }

    /// A client of our own, that has been greeted. `None`: it was turned away.
    pub(crate) fn greeted(&self) -> Option<TcpStream> {
        let mut client =
            TcpStream::connect(("127.0.0.1", self.port.parse().expect("a port"))).expect("connected");
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        greeting(&mut client).then_some(client)
    }
}

/// Waits for the greeting. `false`: there was none, and will be none.
pub(crate) fn greeting(client: &mut TcpStream) -> bool {
    let mut greeting = [0; 1024];
    match client.read(&mut greeting) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the server keeps its client waiting"),
        Ok(0) | Err(_) => false,
        Ok(len) => {
            assert_eq!(&greeting[..len], b"hello");
            true
        }
    }
}

/// Says something, and is greeted again.
pub(crate) fn say(client: &mut TcpStream, message: &[u8]) -> bool {
    client.write_all(message).is_ok() && greeting(client)
}

/// It ended well, had nothing to complain of, and told nothing but these, each between so and so many times.
#[track_caller]
pub(crate) fn expect(transcript: Transcript, lines: &[(&str, usize, usize)]) -> Transcript {
    let transcript = transcript.expect_success();
    for (line, least, most) in lines {
        assert!((*least..=*most).contains(&transcript.count(line)), "{line:?} in {transcript:#?}");
    }
    let known: usize = lines.iter().map(|(line, ..)| transcript.count(line)).sum();
    assert_eq!(known, transcript.lines.len(), "{transcript:#?}");
    assert_eq!(transcript.errors, "");
    transcript
}

/// A signal to one of a run's processes.
pub(crate) fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("it is there");
}
