//! What trials have in common: waiting for a condition, and looking at processes from outside.

use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdout, Output};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Polls until the condition holds; a panic names it if it does not within ten seconds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "not within 10 s: {what}");
        thread::sleep(Duration::from_micros(500));
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds, the same in all processes.
pub(crate) fn clock() -> u64 {
    let now = nix::time::ClockId::CLOCK_MONOTONIC.now().expect("a clock");
    Duration::from(now).as_nanos() as u64
}

/// What a child does that is to be there until somebody ends it.
pub(crate) fn sleep_for_ever() {
    loop {
        nix::unistd::pause();
    }
}

/// Runs `timed` five times. Not once may it end before `time` has passed; the best of them, which shows the
/// code and not the machine's load, may be late by 100 ms at most.
#[track_caller]
pub(crate) fn takes(time: Duration, mut timed: impl FnMut()) {
    let late = |_| {
        let start = Instant::now();
        timed();
        let taken = start.elapsed();
        assert!(taken >= time, "early: {taken:?} instead of {time:?}");
        taken - time
    };
    let least = (0..5).map(late).min().expect("five");
    assert!(least <= Duration::from_millis(100), "late by {least:?}");
}

/// What `/proc/PID/stat` says.
#[derive(Debug)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) state: char,
    pub(crate) parent: u32,
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Stat> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
        let mut rest = rest.split_whitespace();
        let (state, parent) = (rest.next()?.chars().next()?, rest.next()?.parse().ok()?);
        Some(Stat { pid, name: name.to_owned(), state, parent })
    }
}

/// Its state as `proc(5)` has it (`R`, `S`, `T`, `Z`, …); `None` if nobody has this pid.
pub(crate) fn state(pid: u32) -> Option<char> {
    Stat::of(pid).map(|stat| stat.state)
}

/// Whether it sleeps in this system call; it may sleep for other reasons before it gets there.
pub(crate) fn sleeps_in(call: i64, pid: u32) -> bool {
    let calls = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    state(pid) == Some('S') && calls.starts_with(&format!("{call} "))
}

/// Whether the process has ended, collected or not.
pub(crate) fn is_gone(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// The children of this process that have ended and were not collected.
pub(crate) fn zombies() -> Vec<u32> {
    let me = std::process::id();
    let pids =
        fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let stats = pids.filter_map(|pid| Stat::of(pid.parse().ok()?));
    stats.filter(|stat| stat.parent == me && stat.state == 'Z').map(|stat| stat.pid).collect()
}

/// How many descriptors this process has open, the one with which it looks included.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// How many mappings this process has.
pub(crate) fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").expect("/proc").lines().count()
}

/// One of the numbers of `/proc/self/status`.
pub(crate) fn status(field: &str) -> String {
    let text = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("the field");
    line.trim().to_owned()
}

/// What a program printed, if it ended well.
#[track_caller]
pub(crate) fn printed(output: Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "code {:?}, signal {:?}\n{out}{err}",
        output.status.code(),
        output.status.signal()
    );
    out.into_owned()
}

/// The next line that a program prints: a pid.
#[track_caller]
pub(crate) fn next_pid(from: &mut impl std::io::BufRead) -> u32 {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line");
    line.trim().parse().unwrap_or_else(|_| panic!("no pid: {line:?}"))
}

/// A reader of what a running program prints.
pub(crate) fn lines(stdout: Option<ChildStdout>) -> std::io::BufReader<ChildStdout> {
    std::io::BufReader::new(stdout.expect("piped"))
}

/// The pages of this process's shared mappings without a file that have memory, whoever touched them: `mincore(2)`
/// says so of each.
#[allow(unsafe_code)]
pub(crate) fn shared_pages() -> Vec<usize> {
    use nix::libc;
    const PAGE: usize = 4096;
    let text = fs::read_to_string("/proc/self/maps").expect("/proc");
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.contains("/dev/zero")) {
        let (from, to) =
            line.split_whitespace().next().and_then(|range| range.split_once('-')).expect("a range");
        let address = |text| usize::from_str_radix(text, 16).expect("hexadecimal");
        let (from, len) = (address(from), address(to) - address(from));
        let mut pages = vec![0_u8; len.div_ceil(PAGE)];
        // SAFETY: the kernel writes a byte for each page of the range, and there are so many.
        let asked = unsafe { libc::mincore(from as *mut libc::c_void, len, pages.as_mut_ptr()) };
        assert_eq!(asked, 0, "mincore");
        let there = pages.iter().enumerate().filter(|(_, page)| **page & 1 == 1);
        found.extend(there.map(|(n, _)| from + n * PAGE));
    }
    found
}

/// How many bytes they are.
pub(crate) fn shared_memory() -> usize {
    shared_pages().len() * 4096
}
