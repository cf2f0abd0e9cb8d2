//! How fast this library is, beside what a user would pick instead and what the hardware allows.
//!
//! `cargo bench -p shared` prints one Markdown table. Machines drift, so a figure alone says little:
//! ours, the limit and the peers are measured in turn in each of five rounds, and what counts is the
//! median over the rounds of the ratio in each. The exit status is 1 if a row misses its target.
//!
//! `cargo bench -p shared -- --quick` only shows that all of it works: its rounds are too short to judge
//! by, and its exit status does not. `cargo bench -p shared -- P7 P10` measures those alone.
//!
//! It relies on nothing but the library's public API; Python is measured where there is a `python3`, and the crates
//! that are peers where they can be built: `../crates`.

mod course;
mod crates;
mod locks;
mod manager;
mod peers;
mod python;
mod queues;
mod ring;
mod round;
mod semaphores;
mod spawn;
mod table;
mod trips;
mod wakes;

use round::Effort;
use std::process::{Command, ExitCode};
use std::thread;
use table::Row;

fn main() -> ExitCode {
    let (mut effort, mut wanted) = (Effort::FULL, Vec::new());
    for option in std::env::args().skip(1) {
        match option.as_str() {
            "--bench" => {} // What cargo says to every benchmark.
            "--quick" => effort = Effort::QUICK,
            row if row.starts_with('P') => wanted.push(option),
            unknown => {
                eprintln!("unknown option {unknown}: there is --quick, and P1 to P12");
                return ExitCode::from(2);
            }
        }
    }
    println!("{}\n", machine());
    let crates = crates::Crates::start(effort);
    let all: [(&[&str], &dyn Fn() -> Vec<Row>); 10] = [
        (&["P1"], &|| spawn::rows(effort)),
        (&["P2", "P3", "P12"], &|| locks::rows(effort)),
        (&["P4"], &|| semaphores::rows(effort)),
        (&["P5"], &|| wakes::rows(effort)),
        (&["P6"], &|| trips::rows(effort, &crates)),
        (&["P7"], &|| queues::one_to_one(effort, &crates)),
        (&["P8"], &|| queues::pages(effort, &crates)),
        (&["P9"], &|| queues::large(effort, &crates)),
        (&["P10"], &|| queues::four_to_four(effort, &crates)),
        (&["P11"], &|| manager::rows(effort)),
    ];
    let is_wanted = |ids: &[&str]| wanted.is_empty() || wanted.iter().any(|id| ids.contains(&id.as_str()));
    let rows: Vec<_> = all.iter().filter(|(ids, _)| is_wanted(ids)).flat_map(|(_, rows)| rows()).collect();
    table::print(&rows);
    let judged = effort == Effort::FULL;
    if !judged {
        println!("\nA quick run: it shows that the benchmark works, not how fast anything is.");
    }
    ExitCode::from(u8::from(judged && rows.iter().any(Row::is_missed)))
}

/// Where and when this was measured.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = said_by("uname", &["-sr"]);
    let rustc = said_by("rustc", &["--version"]);
    let date = said_by("date", &["-u", "+%F"]);
    // With others at work on all cores no lock is contended, and no figure means much.
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    format!("{model}, {cores} cores, load {load}; {kernel}; {rustc}; {date}")
}

fn said_by(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| format!("{program} unknown"))
}
