//! For the tests of the examples: the laws that all of them keep, to be called with a program and its
//! arguments. They panic where a law is broken.

use super::transcript::{Started, run, sleeps};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{BufRead, BufReader};
use std::thread;
use std::time::{Duration, Instant};

/// How soon those must have ended who end with main.
const AT_ONCE: Duration = Duration::from_millis(100);

/// What no example takes is refused before anything starts, and `--help` tells of what it takes.
#[track_caller]
pub fn refuses_nonsense(program: &str) {
    refuses(program, "--time-scale", &["-1", "NaN", "inf", "1e300", "soon"]);
    let negative = run(program, &["--time-scale", "-1"]).expect_failure(2);
    assert!(negative.errors.contains("--time-scale"), "{negative:#?}");
    refuses(program, "--no-such-option", &["1"]);
    let help = run(program, &["--help"]).expect_success();
    assert!(help.lines.iter().any(|line| line.contains("--time-scale")), "{help:#?}");
    assert_eq!(help.errors, "");
}

/// These values of an option are refused before anything starts.
#[track_caller]
pub fn refuses(program: &str, option: &str, values: &[&str]) {
    for value in values {
        let refused = run(program, &[&format!("{option}={value}")]).expect_failure(2);
        assert_eq!(refused.lines, [""; 0], "{program} {option}={value}");
    }
}

/// A reader who closes the pipe, at once or after a line, ends it quietly.
#[track_caller]
pub fn ends_quietly_without_reader(program: &str, arguments: &[&str]) {
    for lines in [0, 1] {
        let mut started = Started::new(program, arguments);
        let mut reader = BufReader::new(started.take_stdout());
        for _ in 0..lines {
            expect_line(&mut reader);
        }
        drop(reader);
        let transcript = started.finish();
        assert_eq!(transcript.complaints(), [""; 0], "{program}, closed after {lines} lines");
    }
}

/// Where nothing can be written, in main or in a child, that is one clear line, and nobody is left waiting.
#[track_caller]
pub fn tells_of_a_full_disk(program: &str, arguments: &str) {
    let told = run("sh", &["-c", &format!("exec {program} {arguments} > /dev/full")]).expect_failure(1);
    assert!(told.errors.contains("No space left on device"), "{told:#?}");
}

/// Ctrl-C after the first line ends all of it, and no file is left. For programs that have more to tell then.
#[track_caller]
pub fn ends_at_ctrl_c(program: &str, arguments: &[&str]) {
    for to_all in [true, false] {
        // A folder for temporary files of its own: what is left in it was left by this run.
        let folder = std::env::temp_dir().join(format!("transcript-{:016x}", rand::random::<u64>()));
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let variables = [("TMPDIR", folder.to_str().unwrap_or_default())];
        let mut started = Started::with_env(program, arguments, &variables);
        let mut reader = BufReader::new(started.take_stdout());
        expect_line(&mut reader);
        ends_when_interrupted(started, to_all);
        fs::remove_dir(&folder).unwrap_or_else(|error| panic!("{program} left {folder:?}: {error}"));
    }
}

/// SIGINT, to all processes of a run or to the main one alone: it ends by that, soon, and has nothing to say
/// about it.
#[track_caller]
pub fn ends_when_interrupted(started: Started, to_all: bool) {
    let sent = Instant::now();
    interrupt(&started, to_all);
    let transcript = started.finish();
    assert_eq!((transcript.status, transcript.complaints()), (130, vec![]), "{transcript:#?}");
    assert!(sent.elapsed() < Duration::from_secs(3), "{transcript:#?}");
}

fn interrupt(started: &Started, to_all: bool) {
    if to_all { started.signal_all(Signal::SIGINT) } else { started.signal(Signal::SIGINT) }
}

/// Ctrl-C at some moment `within` that time, before the first line too, ends it by
/// that, unless it was at its end already.
#[track_caller]
pub fn ends_at_ctrl_c_at_any_moment(program: &str, arguments: &[&str], within: Duration) {
    for to_all in [true, false] {
        for _ in 0..10 {
            let started = Started::new(program, arguments);
            thread::sleep(rand::random_range(Duration::ZERO..within));
            interrupt(&started, to_all);
            let transcript = started.finish();
            assert!([0, 130].contains(&transcript.status), "{program}: {transcript:#?}");
            assert_eq!(transcript.complaints(), [""; 0], "{program}");
        }
    }
}

/// A refused fork is one clear line, and nobody is left waiting. With
/// every limit the descriptors run out at another place, in main or in a child.
#[track_caller]
pub fn tells_of_a_refused_fork(program: &str, arguments: &str) {
    let mut refusals = 0;
    for limit in 4..10 {
        let limited = format!("ulimit -n {limit} && exec {program} {arguments}");
        let transcript = run("sh", &["-c", &limited]);
        if transcript.status != 0 {
            transcript.expect_failure(1);
            refusals += 1;
        }
    }
    assert!(refusals > 0, "{program} was never refused anything");
}

/// SIGKILL of the main process at some moment `within` that time. All that are bound to it have ended at once;
/// `others` at most go on for a while, and end by themselves.
#[track_caller]
pub fn ends_when_main_is_killed(started: Started, within: Duration, others: usize) {
    let moment = rand::random_range(Duration::ZERO..within);
    thread::sleep(moment);
    started.signal(Signal::SIGKILL);
    let killed = Instant::now();
    // Only those who sleep are counted: their story goes on. On a busy machine one that is to end may have
    // to wait for a processor first, above all a newborn, which has not yet had any.
    let asleep = || started.processes().into_iter().filter(|pid| sleeps(*pid)).count();
    while asleep() > others {
        assert!(killed.elapsed() < AT_ONCE, "killed after {moment:?}: {:?}", started.processes());
        thread::sleep(Duration::from_millis(1));
    }
    // A story is over in less than a second, here.
    assert!(started.wait_until_left(0, Duration::from_secs(3)), "killed after {moment:?}");
    let transcript = started.finish();
    assert!(!transcript.errors.contains("panicked"), "killed after {moment:?}: {transcript:#?}");
}

#[track_caller]
fn expect_line(reader: &mut impl BufRead) {
    let mut line = String::new();
    let read = reader.read_line(&mut line);
    assert!(line.ends_with('\n'), "{line:?} is no line: {read:?}");
}
