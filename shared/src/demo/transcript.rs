//! For the tests of the examples: a run of a program, what it printed, and whether it left anything behind.
//!
//! A transcript is judged by laws (counts, sets, the order of each one's lines), not by its text, which is
//! another one each time.

use crate::process::signal;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long a run may take before its watchdog ends it.
const LIMIT: Duration = Duration::from_secs(90);

/// What a run printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Standard output, line by line.
    pub lines: Vec<String>,
    /// Standard error.
    pub errors: String,
    /// The exit status, as a shell tells it: 128 and the number of a signal.
    pub status: i32,
    /// How long it took.
    pub took: Duration,
}

impl Transcript {
    /// How many lines are exactly this.
    pub fn count(&self, line: &str) -> usize {
        self.lines.iter().filter(|found| *found == line).count()
    }

    /// Where the line stands. Panics, showing the transcript, if it is not there.
    #[track_caller]
    pub fn position(&self, line: &str) -> usize {
        self.lines
            .iter()
            .position(|found| found == line)
            .unwrap_or_else(|| panic!("no line {line:?} in {self:#?}"))
    }

    /// Standard error, line by line, without the hints: the seed, and where the pictures are.
    pub fn complaints(&self) -> Vec<&str> {
        let is_hint = |line: &&str| ["seed ", "pictures in "].iter().any(|hint| line.starts_with(hint));
        self.errors.lines().filter(|line| !is_hint(line)).collect()
    }

    /// The run ended well.
    #[track_caller]
    pub fn expect_success(self) -> Transcript {
        assert_eq!(self.status, 0, "{self:#?}");
        self
    }

    /// The run was refused or failed: this status, nothing told twice, one line on standard error, no panic.
    #[track_caller]
    pub fn expect_failure(self, status: i32) -> Transcript {
        assert_eq!(self.status, status, "{self:#?}");
        assert_eq!(self.errors.lines().count(), 1, "{self:#?}");
        assert!(!self.errors.contains("panicked"), "{self:#?}");
        self
    }
}

/// Runs a program to its end, and makes sure that no process of it is left.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> Transcript {
    Started::new(program, arguments).finish()
}

/// Runs what `run` returns a few times, at the same time, and looks at each: 3 times, or as often as the
/// environment variable REPEAT says.
pub fn repeat(run: impl Fn() -> Transcript + Sync, law: impl Fn(Transcript) + Sync) {
    let times = std::env::var("REPEAT").ok().and_then(|times| times.parse().ok()).unwrap_or(3);
    thread::scope(|s| {
        for _ in 0..times {
            s.spawn(|| law(run()));
        }
    });
}

/// A program that runs.
#[derive(Debug)]
pub struct Started {
    main: Child,
    /// In the environment of all its processes, to know them by.
    mark: String,
    begun: Instant,
    program: String,
}

impl Started {
    /// Starts a program in a process group of its own, its output caught.
    pub fn new(program: &str, arguments: &[&str]) -> Started {
        Started::with_env(program, arguments, &[])
    }

    /// As [`new`](Self::new), with these environment variables besides.
    pub fn with_env(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Started {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let mark = format!("TRANSCRIPT={}.{}", std::process::id(), RUNS.fetch_add(1, Relaxed));
        let (name, value) = mark.split_once('=').unwrap_or_default();
        // A shell that starts the tests in the background, or `nohup`, has them ignore these, and so would the program.
        for ends in [signal::Signal::SIGINT, signal::Signal::SIGHUP, signal::Signal::SIGTERM] {
            signal::default(ends).expect("it has a default");
        }
        // Before the start: begun later, on a busy machine a run would seem shorter than its pauses.
        let begun = Instant::now();
        let main = Command::new(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .env(name, value)
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        Started { main, mark, begun, program: program.to_owned() }
    }

    /// The pid of its main process.
    pub fn id(&self) -> u32 {
        self.main.id()
    }

    /// Its standard output, to be read while it runs. The transcript will have none of it then.
    pub fn take_stdout(&mut self) -> impl Read + use<> {
        self.main.stdout.take().unwrap_or_else(|| panic!("{}: its output is taken already", self.program))
    }

    /// Its standard error, to be read while it runs.
    pub fn take_stderr(&mut self) -> impl Read + use<> {
        self.main.stderr.take().unwrap_or_else(|| panic!("{}: its errors are taken already", self.program))
    }

    /// Sends a signal to its main process alone.
    pub fn signal(&self, signal: Signal) {
        // It is not collected yet, so the pid is its own.
        let _ = kill(Pid::from_raw(self.main.id() as i32), signal);
    }

    /// Sends a signal to all its processes, as the terminal does at Ctrl-C.
    pub fn signal_all(&self, signal: Signal) {
        let _ = killpg(Pid::from_raw(self.main.id() as i32), signal);
    }

    /// Its processes, by pid, that still run.
    pub fn processes(&self) -> Vec<u32> {
        all_pids().filter(|pid| is_marked(*pid, &self.mark)).collect()
    }

    /// Waits until no more than `count` of its processes run. `false` if that took longer than `patience`.
    pub fn wait_until_left(&self, count: usize, patience: Duration) -> bool {
        let begun = Instant::now();
        while self.processes().len() > count {
            if begun.elapsed() > patience {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Waits for its end, reads what it said, and makes sure that no process of it is left.
    #[track_caller]
    pub fn finish(mut self) -> Transcript {
        let mut stdout = self.main.stdout.take();
        let mut stderr = self.main.stderr.take();
        let mark = self.mark.clone();
        let (out, errors, ended) = thread::scope(|s| {
            let out = s.spawn(|| text(stdout.as_mut()));
            let errors = s.spawn(|| text(stderr.as_mut()));
            // The watchdog: when the time is up everything with the mark is ended, and with it the pipes.
            let begun = Instant::now();
            let ended = loop {
                match self.main.try_wait() {
                    Ok(Some(status)) => break Some(status),
                    Ok(None) if begun.elapsed() < LIMIT => thread::sleep(Duration::from_millis(2)),
                    _ => break None,
                }
            };
            let took = self.begun.elapsed();
            let left = !self.wait_until_left(0, Duration::from_millis(300));
            let names = if left { self.describe() } else { Vec::new() };
            end_marked(&mark);
            let (out, errors) = (out.join().unwrap_or_default(), errors.join().unwrap_or_default());
            let status = ended.map(|status| status.code().unwrap_or(128 + status.signal().unwrap_or(0)));
            (out, errors, status.map(|status| (status, took, names)))
        });
        let lines = out.lines().map(str::to_owned).collect();
        let Some((status, took, left)) = ended else {
            panic!("{} did not end within {LIMIT:?}; it printed\n{out}{errors}", self.program);
        };
        assert!(
            left.is_empty(),
            "{} left processes behind: {left:?}; it printed\n{out}{errors}",
            self.program
        );
        Transcript { lines, errors, status, took }
    }

    fn describe(&self) -> Vec<String> {
        let describe = |pid| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        self.processes().into_iter().map(describe).collect()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        end_marked(&self.mark);
        let _ = self.main.wait();
    }
}

fn text(stream: Option<&mut impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error is worth having.
        let _ = stream.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The children of a process, the eldest first; those that have ended and lie about included.
pub fn children(pid: u32) -> Vec<u32> {
    let mut children: Vec<_> = all_pids().filter(|child| parent(*child) == Some(pid)).collect();
    // Pids are given in ascending order, and then from the beginning again.
    children.sort_by_key(|child| child.wrapping_sub(pid));
    children
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.nth(1)?.parse().ok()
}

/// Whether it waits for something else than a processor.
pub fn sleeps(pid: u32) -> bool {
    stat(pid).and_then(|mut fields| fields.next()).is_some_and(|state| ["S", "T"].contains(&&*state))
}

/// What `proc_pid_stat(5)` says behind the name in parentheses: the state, the parent, and more.
fn stat(pid: u32) -> Option<impl Iterator<Item = String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
    Some(fields.into_iter())
}

fn all_pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether the process runs (a zombie has no environment) and has the mark.
fn is_marked(pid: u32, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
}

fn end_marked(mark: &str) {
    for pid in all_pids().filter(|pid| is_marked(*pid, mark)) {
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
    }
}
