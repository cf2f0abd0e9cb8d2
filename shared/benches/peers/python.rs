//! The peer that this library answers: Python's `multiprocessing`, where there is a `python3`.

use crate::round::{Contestant, contestant};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const TIME_IT: &str = "\
import multiprocessing, statistics, sys, timeit
fork = multiprocessing.get_context('fork')
setup, statement, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
batches = timeit.repeat(statement, setup, number=count, repeat=5, globals=globals())
print(statistics.median(batches) / count)
";

/// One that measures the seconds which a Python statement takes.
pub(crate) fn python(
    name: &'static str,
    setup: impl Into<String>,
    statement: &'static str,
    count: u32,
) -> Option<Contestant<'static>> {
    one(name, TIME_IT, [setup.into(), statement.to_owned(), count.to_string()])
}

const COUNT_IT: &str = "\
import multiprocessing, sys, time
fork = multiprocessing.get_context('fork')
setup, count, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
exec(setup)
time.sleep(seconds / 4)
start, before = time.monotonic(), eval(count)
time.sleep(seconds)
print((eval(count) - before) / (time.monotonic() - start))
";

/// One that measures by how much a Python number grows in a second.
pub(crate) fn python_counts(
    name: &'static str,
    setup: String,
    count: &str,
    time: Duration,
) -> Option<Contestant<'static>> {
    one(name, COUNT_IT, [setup, count.to_owned(), time.as_secs_f64().to_string()])
}

fn one(name: &'static str, program: &'static str, args: [String; 3]) -> Option<Contestant<'static>> {
    // Asked once before, so that a machine without Python has a dash in the table.
    said("print(0)", &[])?;
    Some(contestant(name, 1, move || said(program, &args).unwrap_or(f64::NAN)))
}

/// What the program prints, if it does so in time: Python's `Condition` now and then leaves both sides asleep for ever.
fn said(program: &str, args: &[String]) -> Option<f64> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut python = Command::new("python3");
    python.args(["-c", program]).args(args).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut python = python.process_group(0).spawn().ok()?;
    let end = Instant::now() + PATIENCE;
    while python.try_wait().ok()?.is_none() {
        if Instant::now() > end {
            // With the processes that it has started.
            let _ = killpg(Pid::from_raw(python.id() as i32), Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(1));
    }
    let mut text = String::new();
    python.stdout.take()?.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
