//! The peers that are crates. They are in a program of their own, `../crates`, which is asked for figures, so that
//! the project is built and tested without them.

use crate::course::Case;
use crate::round::{Contestant, Effort, contestant};
use std::cell::RefCell;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/crates");

/// The program, if it runs. It ends when its input does.
pub(crate) struct Crates(Option<RefCell<Talk>>);

struct Talk {
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
    child: Child,
}

impl Crates {
    /// Builds it, unless this is a quick run, and starts it.
    pub(crate) fn start(effort: Effort) -> Crates {
        let built = effort == Effort::QUICK || build();
        let talk = if built { Talk::start() } else { None };
        if talk.is_none() {
            let command = format!("cargo build --release --manifest-path {FOLDER}/Cargo.toml");
            println!("Without the peers that are crates, which are built by: {command}\n");
        }
        Crates(talk.map(RefCell::new))
    }

    /// One that measures the seconds of a round trip of 64 bytes.
    pub(crate) fn round_trip(
        &self,
        name: &'static str,
        turns: usize,
        case: Case,
        time: Duration,
    ) -> Option<Contestant<'_>> {
        self.contestant(name, turns, format!("trip {} {case:?}", word(name)), time)
    }

    /// One that measures the messages per second, from `many` to as many.
    pub(crate) fn queue(
        &self,
        name: &'static str,
        turns: usize,
        many: usize,
        size: usize,
        time: Duration,
    ) -> Option<Contestant<'_>> {
        self.contestant(name, turns, format!("queue {} {many} {size}", word(name)), time)
    }

    fn contestant(
        &self,
        name: &'static str,
        turns: usize,
        what: String,
        time: Duration,
    ) -> Option<Contestant<'_>> {
        let talk = self.0.as_ref()?;
        let question = format!("{what} {}", time.as_micros());
        Some(contestant(name, turns, move || talk.borrow_mut().ask(&question).unwrap_or(f64::NAN)))
    }
}

/// A name without what is said about it.
fn word(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

fn build() -> bool {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--release", "--manifest-path", &format!("{FOLDER}/Cargo.toml")]);
    cargo.args(["--target-dir", &format!("{FOLDER}/target")]);
    cargo.status().is_ok_and(|status| status.success())
}

impl Talk {
    fn start() -> Option<Talk> {
        let mut program = Command::new(format!("{FOLDER}/target/release/crates"));
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let (ask, answer) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        Some(Talk { ask, answer, child })
    }

    /// A figure; none if the program has failed, which it says itself.
    fn ask(&mut self, question: &str) -> Option<f64> {
        writeln!(self.ask, "{question}").ok()?;
        let mut answer = String::new();
        self.answer.read_line(&mut answer).ok()?;
        answer.trim().parse().ok()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = writeln!(self.ask, "end");
        let _ = self.child.wait();
    }
}
