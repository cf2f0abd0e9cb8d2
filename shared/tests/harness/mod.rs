//! A test harness for code that forks. It relies on `nix` and on nothing of the library.
//!
//! libtest runs its tests on threads of one process, where the library refuses to fork, and it swallows
//! what children print. Here each trial is a process of its own with a single thread: this program again,
//! started with an internal argument. Trials run one after the other, unless their file says that some may run at
//! once: those that sleep, or only reckon. A trial fails if it
//!
//! * panics or exits with anything but 0: its output is shown then, and only then;
//! * takes longer than its limit: all that it started is killed;
//! * leaves a process behind. What loses its parent becomes a child of the harness
//!   (`PR_SET_CHILD_SUBREAPER`), so nobody gets away.
//!
//! A test may need a whole program, to see how that ends: [`program`] starts one of those named at the
//! head of [`main!`]. What it understands of libtest's arguments is what cargo and nextest pass.
#![allow(dead_code, unused_imports, unused_macros)] // No test uses all of it.

pub(crate) mod tools;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::signal::{self, SigHandler, Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getppid};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio, exit};
use std::time::{Duration, Instant};
use std::{env, fs, io, slice, thread};

/// A trial's time, unless it says otherwise.
pub(crate) const LIMIT: u64 = 30;
/// How long the dying may take to be gone after their trial.
const DYING: Duration = Duration::from_millis(200);
/// The exit code of a trial that cannot run here.
const IGNORED: i32 = 77;

#[derive(Clone, Copy)]
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
    /// In seconds.
    pub(crate) limit: u64,
}

pub(crate) type Program = (&'static str, fn());

/// `main`: the programs, if any, and the trials, each with its limit in seconds if it needs more or less. `at_once`:
/// so many trials run at once.
macro_rules! main {
    (
        $(programs { $($program:ident),* $(,)? })?
        trials $(at_once $at_once:literal)? { $($trial:ident $(within $limit:literal)?),* $(,)? }
    ) => {
        fn main() {
            let programs: &[harness::Program] = &[$($((stringify!($program), $program)),*)?];
            let trials = [$(harness::Trial {
                name: stringify!($trial),
                run: $trial,
                limit: [$($limit,)? harness::LIMIT][0],
            }),*];
            harness::run(programs, &trials, [$($at_once,)? 1][0]);
        }
    };
}
pub(crate) use main;

/// What `main` does, whichever of its parts this process plays.
pub(crate) fn run(programs: &[Program], trials: &[Trial], at_once: usize) {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--in-trial", name, harness] => {
            // If the harness is killed, so is the trial.
            prctl::set_pdeathsig(Signal::SIGKILL).expect("prctl");
            assert_eq!(getppid().to_string(), harness, "the harness has gone");
            let trial = trials.iter().find(|trial| trial.name == name).expect("a trial of this name");
            (trial.run)();
        }
        ["--as-program", name, ..] => {
            let (_, run) = programs.iter().find(|program| program.0 == name).expect("a program of this name");
            run();
        }
        // A harness of its own for each of those that run at once: who is left behind, each must know for itself.
        ["--alone", name] => {
            let trial = trials.iter().find(|trial| trial.name == name).expect("a trial of this name");
            prctl::set_pdeathsig(Signal::SIGKILL).expect("prctl");
            prctl::set_child_subreaper(true).expect("prctl");
            exit(match run_one(trial, false) {
                Outcome::Passed => 0,
                Outcome::Ignored(reason) => {
                    println!("{reason}");
                    IGNORED
                }
                Outcome::Failed(why) => {
                    println!("{why}");
                    1
                }
            });
        }
        _ => run_trials(&Options::parse(arguments), trials, at_once),
    }
}

/// One of the programs of this test, to be started.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("a path"));
    command.args(["--as-program", name]);
    command
}

/// Ends a trial that cannot show anything on this machine.
pub(crate) fn ignore(reason: &str) -> ! {
    println!("{reason}");
    exit(IGNORED)
}

enum Outcome {
    Passed,
    Ignored(String),
    Failed(String),
}

fn run_trials(options: &Options, trials: &[Trial], at_once: usize) {
    let chosen: Vec<_> = trials.iter().filter(|trial| options.choose(trial.name)).collect();
    if options.list {
        chosen.iter().for_each(|trial| println!("{}: test", trial.name));
        return;
    }
    default_signals();
    prctl::set_child_subreaper(true).expect("prctl");
    let started = Instant::now();
    let (mut passed, mut ignored, mut failures) = (0, 0, Vec::new());
    println!("\nrunning {} test{}", chosen.len(), if chosen.len() == 1 { "" } else { "s" });
    let mut lanes = Lanes::new(at_once, &chosen);
    let alone = at_once == 1 || options.no_capture;
    for trial in &chosen {
        if !options.quiet {
            print!("test {} ... ", trial.name);
        }
        let _ = io::stdout().flush();
        let outcome = if alone { run_one(trial, options.no_capture) } else { lanes.end_of_next() };
        let (word, letter) = match &outcome {
            Outcome::Passed => ("ok".to_owned(), "."),
            Outcome::Ignored(reason) => (format!("ignored, {reason}"), "i"),
            Outcome::Failed(_) => ("FAILED".to_owned(), "F"),
        };
        if options.quiet {
            print!("{letter}")
        } else {
            println!("{word}")
        }
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Ignored(_) => ignored += 1,
            Outcome::Failed(why) => failures.push((trial.name, why)),
        }
    }
    for (name, why) in &failures {
        println!("\n---- {name} ----\n{why}");
    }
    let (word, failed) = (if failures.is_empty() { "ok" } else { "FAILED" }, failures.len());
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
         {} filtered out; finished in {:.2}s\n",
        trials.len() - chosen.len(),
        started.elapsed().as_secs_f64()
    );
    if failed > 0 {
        exit(101);
    }
}

/// Whoever started us may ignore signals that trials rely on, and that would be inherited.
#[allow(unsafe_code)]
fn default_signals() {
    for default in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD] {
        // SAFETY: the default action runs no code of ours.
        unsafe { signal::signal(default, SigHandler::SigDfl) }.expect("sigaction");
    }
}

/// Trials that run at once, each with a harness of its own, their ends told in order.
struct Lanes<'a> {
    at_once: usize,
    waiting: slice::Iter<'a, &'a Trial>,
    running: VecDeque<(Child, File)>,
}

impl<'a> Lanes<'a> {
    fn new(at_once: usize, trials: &'a [&'a Trial]) -> Lanes<'a> {
        Lanes { at_once, waiting: trials.iter(), running: VecDeque::new() }
    }

    fn end_of_next(&mut self) -> Outcome {
        let status = loop {
            let ended = |(harness, _): &mut (Child, File)| harness.try_wait().expect("a harness");
            let ends: Vec<_> = self.running.iter_mut().map(ended).collect();
            let free = self.at_once - ends.iter().filter(|end| end.is_none()).count();
            self.running.extend(self.waiting.by_ref().take(free).map(|trial| start_alone(trial)));
            match ends.first() {
                Some(Some(status)) => break *status,
                _ => thread::sleep(Duration::from_millis(5)),
            }
        };
        let (_, output) = self.running.pop_front().expect("the one that has ended");
        let text = text_of(output);
        match status.code() {
            Some(0) => Outcome::Passed,
            Some(IGNORED) => Outcome::Ignored(text),
            _ => Outcome::Failed(text),
        }
    }
}

fn start_alone(trial: &Trial) -> (Child, File) {
    let output = output();
    let mut command = Command::new(env::current_exe().expect("a path"));
    command.args(["--alone", trial.name]).stdin(Stdio::null());
    command.stdout(output.try_clone().expect("dup"));
    (command.spawn().expect("starts"), output)
}

fn output() -> File {
    File::from(memfd_create("output", MFdFlags::MFD_CLOEXEC).expect("memfd_create"))
}

fn text_of(mut output: File) -> String {
    let mut text = Vec::new();
    output.rewind().and_then(|()| output.read_to_end(&mut text)).expect("read");
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

fn run_one(trial: &Trial, no_capture: bool) -> Outcome {
    let mut command = Command::new(env::current_exe().expect("a path"));
    command.args(["--in-trial", trial.name, &std::process::id().to_string()]);
    command.process_group(0).stdin(Stdio::null());
    let output = output();
    if !no_capture {
        let another = || output.try_clone().expect("dup");
        command.stdout(another()).stderr(another());
    }
    let pid = Pid::from_raw(command.spawn().expect("starts").id() as i32);
    let status = wait_for(pid, Duration::from_secs(trial.limit));
    let left = kill_leftovers();

    let text = text_of(output);
    let why = match status {
        None => format!("it took more than {} s and was killed", trial.limit),
        _ if !left.is_empty() => format!("it left behind: {}", left.join(", ")),
        Some(WaitStatus::Exited(_, 0)) => return Outcome::Passed,
        Some(WaitStatus::Exited(_, IGNORED)) => {
            return Outcome::Ignored(text.lines().last().unwrap_or_default().to_owned());
        }
        Some(how) => format!("{how:?}"),
    };
    Outcome::Failed(format!("{text}\n{why}"))
}

/// Waits for the trial's end, and collects those who lose their parents meanwhile. `None`: it took too long,
/// and was killed with its process group.
fn wait_for(trial: Pid, limit: Duration) -> Option<WaitStatus> {
    let end = Instant::now() + limit;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)).expect("the trial is there to wait for") {
            WaitStatus::StillAlive if Instant::now() > end => {
                let _ = killpg(trial, Signal::SIGKILL);
                return None;
            }
            WaitStatus::StillAlive => thread::sleep(Duration::from_millis(1)),
            status if status.pid() == Some(trial) => return Some(status),
            _ => {}
        }
    }
}

/// Gives the dying a moment, kills who is left after it, and returns who that was.
fn kill_leftovers() -> Vec<String> {
    let mut left = Vec::new();
    let patience = Instant::now() + DYING;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return left,
            Ok(WaitStatus::StillAlive) if Instant::now() > patience => {
                // Their children become ours in turn, and are here in the next round.
                for (pid, name) in children_of_mine() {
                    let _ = kill(pid, Signal::SIGKILL);
                    if !left.contains(&name) {
                        left.push(name);
                    }
                }
            }
            _ => {}
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn children_of_mine() -> Vec<(Pid, String)> {
    let me = std::process::id();
    let pids =
        fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let stats = pids.filter_map(|pid| tools::Stat::of(pid.parse().ok()?));
    stats
        .filter(|stat| stat.parent == me && stat.state != 'Z')
        .map(|stat| {
            (
                Pid::from_raw(stat.pid as i32),
                format!("{} (pid {}, state {})", stat.name, stat.pid, stat.state),
            )
        })
        .collect()
}

/// What libtest would be told.
#[derive(Default)]
struct Options {
    list: bool,
    exact: bool,
    quiet: bool,
    no_capture: bool,
    only_ignored: bool,
    filters: Vec<String>,
    skipped: Vec<String>,
}

impl Options {
    fn parse(arguments: Vec<String>) -> Options {
        let mut options = Options::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (flag, mut value) = match argument.split_once('=') {
                Some((flag, value)) if flag.starts_with('-') => (flag.to_owned(), Some(value.to_owned())),
                _ => (argument, None),
            };
            match flag.as_str() {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "-q" | "--quiet" => options.quiet = true,
                "--nocapture" | "--no-capture" => options.no_capture = true,
                "--ignored" => options.only_ignored = true,
                "--skip" => options.skipped.extend(value.take().or_else(|| arguments.next())),
                // These have a value, which is no filter. Trials run one after the other in any case.
                "--test-threads" | "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => {
                    value.take().or_else(|| arguments.next());
                }
                _ if flag.starts_with('-') => {}
                _ => options.filters.push(flag),
            }
        }
        options
    }

    fn choose(&self, name: &str) -> bool {
        let matches =
            |filter: &String| if self.exact { name == filter } else { name.contains(filter.as_str()) };
        // No trial is marked as ignored: one that cannot run finds that out by itself.
        !self.only_ignored
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skipped.iter().any(matches)
    }
}
