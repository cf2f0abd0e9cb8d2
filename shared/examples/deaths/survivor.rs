//! Those who live on: processes that use the primitive, and say what they found.

use crate::scene::Wrong;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shared::channel::Message;
use shared::process::{Builder, JoinHandle};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Within this time every survivor must have its answer.
pub(crate) const PROMISED: Duration = Duration::from_secs(1);
/// For what must happen, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A process that does what it was made for, and returns what it found. At drop it ends.
#[derive(Debug)]
pub(crate) struct Survivor<T> {
    name: &'static str,
    process: Option<JoinHandle<T>>,
    line: UnixStream,
}

/// A survivor's end of the line to the killer.
#[derive(Debug)]
pub(crate) struct Line(UnixStream);

impl Line {
    /// Tells the killer that it is there.
    pub(crate) fn tell(&mut self) {
        self.0.write_all(&[0]).expect("a killer that listens");
    }

    /// Tells it, and waits until it is told to go on.
    pub(crate) fn pause(&mut self) {
        self.tell();
        self.0.read_exact(&mut [0]).expect("a killer that tells");
    }
}

impl<T: Message + 'static> Survivor<T> {
    pub(crate) fn start(
        name: &'static str,
        act: impl FnOnce(&mut Line) -> T + Send + 'static,
    ) -> Survivor<T> {
        let (line, other_end) = UnixStream::pair().expect("a socket pair");
        let process = Builder::new().name(name).daemon(true);
        let process = process.spawn(move || act(&mut Line(other_end))).expect("a process");
        Survivor { name, process: Some(process), line }
    }

    /// One that has something and keeps it: started, and arrived at its pause.
    pub(crate) fn arrived(
        name: &'static str,
        act: impl FnOnce(&mut Line) -> T + Send + 'static,
    ) -> Survivor<T> {
        let mut survivor = Survivor::start(name, act);
        survivor.hear();
        survivor
    }

    /// One that sleeps: it has told that it is about to, and does. Or else it has its answer already.
    pub(crate) fn asleep(
        name: &'static str,
        act: impl FnOnce(&mut Line) -> T + Send + 'static,
    ) -> Survivor<T> {
        let survivor = Survivor::arrived(name, act);
        assert!(
            wait_until(PATIENCE, || state(survivor.pid()) == Some('S')),
            "the {name} does not go to sleep"
        );
        survivor
    }

    fn process(&self) -> &JoinHandle<T> {
        self.process.as_ref().expect("not joined yet")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process().process().id()
    }

    /// Whether it has its answer.
    pub(crate) fn is_finished(&self) -> bool {
        self.process().is_finished()
    }

    /// Waits until it tells.
    pub(crate) fn hear(&mut self) {
        self.line.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let heard = self.line.read_exact(&mut [0]);
        assert!(heard.is_ok(), "the {} does not arrive", self.name);
    }

    /// Ends its pause. One that has ended needs no telling.
    pub(crate) fn go_on(&mut self) {
        let _ = self.line.write_all(&[0]);
    }

    /// It does nothing for a while.
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        assert!(wait_until(PATIENCE, || state(self.pid()) == Some('T')), "the {} does not stop", self.name);
    }

    /// Ends that, if it was so.
    pub(crate) fn go_on_living(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        // Not collected yet, so the number is its own.
        kill(Pid::from_raw(self.pid() as i32), signal).expect("a child of ours");
    }

    /// Ends it by a signal. It is not collected: its pid stays its own.
    pub(crate) fn kill(&self) {
        self.process().kill().expect("a child of ours");
        assert!(wait_until(PATIENCE, || self.process().is_finished()), "the {} does not die", self.name);
    }

    /// What it found, with all the time in the world: nothing can be in its way.
    pub(crate) fn ends(self) -> Result<T, Wrong> {
        self.answer(Instant::now() + PATIENCE)
    }

    /// What it found, if it has by then.
    pub(crate) fn answer(mut self, deadline: Instant) -> Result<T, Wrong> {
        let left = deadline.saturating_duration_since(Instant::now());
        if !self.process().wait_timeout(left) {
            return Err(Wrong::Hang(format!("the {} has no answer within {PROMISED:?}", self.name)));
        }
        let process = self.process.take().expect("not joined yet");
        process.join().map_err(|error| Wrong::Law(format!("the {} failed: {error}", self.name)))
    }
}

impl<T> Drop for Survivor<T> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let _ = process.kill();
            process.wait_timeout(PATIENCE);
        }
    }
}

/// Looks again and again, for so long.
pub(crate) fn wait_until(limit: Duration, mut there: impl FnMut() -> bool) -> bool {
    const IMPATIENT: Duration = Duration::from_micros(100);
    let start = Instant::now();
    while !there() {
        match start.elapsed() {
            elapsed if elapsed > limit => return false,
            elapsed if elapsed < IMPATIENT => std::thread::yield_now(),
            _ => std::thread::sleep(Duration::from_micros(20)),
        }
    }
    true
}

/// The state of a process by `/proc`: `S` is asleep.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

pub(crate) fn is_alive(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}
