//! What the examples have in common, so that each can keep to its story: their options, pauses, draws and
//! colours, and how they end.
//!
//! Behind the feature `demo`. Nothing of the library depends on it.
//!
//! ```no_run
//! use shared::demo::{self, Demo};
//!
//! /// Says hello, slowly.
//! #[derive(clap::Parser)]
//! struct Options {
//!     #[command(flatten)]
//!     demo: Demo,
//! }
//!
//! fn main() -> demo::Outcome {
//!     let Options { demo } = demo::options();
//!     demo.sleep(1.0);
//!     println!("hello");
//!     Ok(())
//! }
//! ```

mod color;
mod dice;
pub mod laws;
mod outcome;
pub mod transcript;

pub use color::Color;
pub use dice::{Dice, Draws, Seed};
pub use outcome::{Failure, Outcome, join_all};

use crate::process;
use crate::process::signal::{self, Disposition, Signal};
use crate::sys::clock::{self, Deadline};
use crate::sys::pidfd;
use clap::Parser;
use nix::errno::Errno;
use std::io;
use std::os::fd::AsFd;
use std::sync::Once;
use std::time::Duration;

/// The options that every example takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Demo {
    /// Every pause and time-out of the story times X; 0 leaves no pauses at all
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = time_scale)]
    time_scale: f64,

    /// When to use colours: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: color::When,
}

/// The longest that a story may be stretched.
const LARGEST_SCALE: f64 = 1000.0;

fn time_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.0..=LARGEST_SCALE).contains(&scale) => Ok(scale),
        _ => Err(format!("a number from 0 to {LARGEST_SCALE} is needed")),
    }
}

impl Demo {
    /// A pause of the story, in its own seconds.
    pub fn sleep(&self, seconds: f64) {
        clock::sleep_until(Deadline::after(self.time(seconds)));
    }

    /// A time of the story, in its own seconds, as it really is.
    pub fn time(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds * self.time_scale).unwrap_or(Duration::MAX)
    }

    /// The text, in colour where colours are wanted.
    pub fn paint(&self, color: Color, text: &str) -> String {
        color::paint(self.color, color, text)
    }
}

/// Reads the command line, and settles how the program ends.
///
/// Options that make no sense end it here, with one line and exit status 2. From here on a reader who
/// closes the pipe ends it quietly, as it ends `cat`. Ctrl-C ends its children first and then it, with
/// status 130, and what was to be done [at exit](process::at_exit) is done.
pub fn options<T: Parser>() -> T {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGPIPE] {
        // What was ignored when the program began (by `nohup`, say) stays so. But for SIGPIPE: all Rust programs
        // begin with that ignored.
        if signal == Signal::SIGPIPE || signal::disposition(signal) != Ok(Disposition::Ignore) {
            // If it cannot be handled it ends the program all the same, a little less tidily.
            let _ = signal::handle(signal, move || end_by(signal));
        }
    }
    look_round_before_panics();
    parsed().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit(); // --help and --version
        }
        eprintln!("{}", one_line(&error.to_string()));
        std::process::exit(2)
    })
}

/// The command line. A negative number is a number, which its option may refuse, and no option of its own.
fn parsed<T: Parser>() -> clap::error::Result<T> {
    let mut command = T::command().mut_args(|arg| {
        let takes_values = arg.get_action().takes_values();
        if takes_values { arg.allow_negative_numbers(true) } else { arg }
    });
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// When its line cannot be written `println!` panics, for it has no other way to say so. Into a closed pipe: just
/// after the signal that says so, and the signal is answered first. Onto a full disk: the program ends with one line,
/// and so does a child, whose panic goes home, where it becomes that line.
fn look_round_before_panics() {
    let told_by_program = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        signal::run_pending();
        match panic.payload_as_str().filter(|why| outcome::is_of_output(why)) {
            None => told_by_program(panic),
            Some(_) if process::parent().is_some() => {}
            // The signal may have found another thread, which is still about to answer it.
            Some(why) if why.ends_with(&io::Error::from(Errno::EPIPE).to_string()) => end_by(Signal::SIGPIPE),
            Some(why) => end_for_want_of_output(why),
        }
    }));
}

/// One line, however many threads have something to print.
fn end_for_want_of_output(why: &str) -> ! {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| eprintln!("Error: {why}"));
    process::kill_all();
    process::exit(1)
}

fn end_by(signal: Signal) -> ! {
    process::kill_all();
    process::exit(128 + signal.number())
}

/// Refuses options that make no sense together, as [`options`] refuses those that make none alone.
pub fn refuse(why: impl std::fmt::Display) -> ! {
    eprintln!("error: {why}");
    std::process::exit(2)
}

/// Clap's message without its advice: what is wrong, in one line.
fn one_line(message: &str) -> String {
    let told = message.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let told: Vec<_> = told.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    format!("{} (--help tells more)", told.join(" "))
}

/// A pause that is no part of the story, and the same at every scale.
pub fn pause(time: Duration) {
    clock::sleep_until(Deadline::after(time));
}

/// Waits until there is something to read, or somebody to accept, at most for `patience`.
pub fn readable(source: &impl AsFd, patience: Duration) -> bool {
    pidfd::wait(source.as_fd(), Deadline::after(patience))
}

#[cfg(test)]
mod tests {
    use super::{one_line, time_scale};

    #[test]
    fn a_scale_is_a_finite_number_that_is_not_negative() {
        assert_eq!(time_scale("0.01"), Ok(0.01));
        assert_eq!(time_scale("0"), Ok(0.0));
        for wrong in ["-1", "NaN", "inf", "1e300", "1001", "", "fast"] {
            assert!(time_scale(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_is_one_line() {
        let clap = "error: invalid value 'x' for '--n <N>'\n  tip: a number\n\nUsage: a [OPTIONS]\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(clap),
            "error: invalid value 'x' for '--n <N>' tip: a number (--help tells more)"
        );
    }
}
