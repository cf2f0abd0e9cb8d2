//! The peer that this library answers: Python's `multiprocessing`, where there is a `python3`.

use crate::round::{Contestant, contestant};
use std::process::{Command, Stdio};

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
    let setup = setup.into();
    let measure = move || seconds(&setup, statement, count);
    // Asked once before, so that a machine without Python has a dash in the table.
    seconds("", "pass", 1).map(|_| contestant(name, 1, move || measure().unwrap_or(f64::NAN)))
}

fn seconds(setup: &str, statement: &str, count: u32) -> Option<f64> {
    let mut python = Command::new("python3");
    python.args(["-c", TIME_IT, setup, statement, &count.to_string()]).stderr(Stdio::null());
    String::from_utf8(python.output().ok()?.stdout).ok()?.trim().parse().ok()
}
