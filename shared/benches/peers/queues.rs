//! P7 to P10: how many messages a second come through a queue.
//!
//! All have room for as much: 1,024 messages of 64 bytes, 64 of 4 KiB, 4 of 1 MiB.

use crate::course::{Message, by_processes, message, number};
use crate::crates::Crates;
use crate::locks::CONTESTS;
use crate::python::python_counts;
use crate::ring::Ring;
use crate::round::{Contestant, Effort, Series, contestant, rounds};
use crate::table::{GIGABYTES, MILLIONS, Row, Target, Unit};
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::{pipe, read, write};
use shared::channel::Queue;
use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

const KIB_4: usize = 4 << 10;
const MIB: usize = 1 << 20;

/// P7.
pub(crate) fn one_to_one(effort: Effort, crates: &Crates) -> Vec<Row> {
    let time = effort.contest;
    let ring = Ring::new(64, 1024);
    let mut contestants = vec![numbers(1, time), bytes(64, time), ring_of(&ring, time), pipe_of_64(1, time)];
    contestants.extend(of_crates(crates, &["crossbeam (threads)", "iceoryx2", "ipc-channel"], 1, 64, time));
    contestants.extend(python_queue(1, 64, time));
    let row = rows_of("P7", MILLIONS, Some("bare ring"), rounds(effort, contestants));
    vec![
        row("`Queue`, 64 bytes, 1 to 1", "Queue", "crossbeam (threads)", 1.0),
        row("the same, beside a crate", "Queue", "iceoryx2", 4.0),
        row("the same, beside Python", "Queue", "Python", 60.0),
        row("the same as bytes, without the codec", "bytes", "Queue", 1.0),
    ]
}

/// P8.
pub(crate) fn pages(effort: Effort, crates: &Crates) -> Vec<Row> {
    let time = effort.contest;
    let ring = Ring::new(KIB_4, 64);
    let mut contestants = vec![bytes(KIB_4, time), texts(KIB_4, time), ring_of(&ring, time)];
    contestants.push(pipe_of_bytes(KIB_4, time));
    contestants.extend(of_crates(
        crates,
        &["iceoryx2", "crossbeam (threads)", "ipc-channel"],
        1,
        KIB_4,
        time,
    ));
    contestants.extend(python_queue(1, KIB_4, time));
    let row = rows_of("P8", MILLIONS, Some("bare ring"), rounds(effort, contestants));
    vec![
        row("`Queue`, 4 KiB, 1 to 1, bytes", "bytes", "iceoryx2", 1.0),
        row("`Queue`, 4 KiB, 1 to 1, a `String`", "String", "iceoryx2", 1.0),
    ]
}

/// P9.
pub(crate) fn large(effort: Effort, crates: &Crates) -> Vec<Row> {
    let time = effort.contest;
    let ring = Ring::new(MIB, 4);
    let mut contestants = vec![bytes(MIB, time), texts(MIB, time), ring_of(&ring, time)];
    contestants.push(pipe_of_bytes(MIB, time));
    contestants.extend(of_crates(crates, &["crossbeam (threads)", "iceoryx2", "ipc-channel"], 1, MIB, time));
    contestants.extend(python_queue(1, MIB, time));
    let row = rows_of("P9", GIGABYTES, Some("bare ring"), rounds(effort, contestants));
    vec![
        row("`Queue`, 1 MiB, 1 to 1, bytes", "bytes", "bare ring", 0.7),
        row("`Queue`, 1 MiB, 1 to 1, a `String`", "String", "bare ring", 0.4),
    ]
}

/// P10.
pub(crate) fn four_to_four(effort: Effort, crates: &Crates) -> Vec<Row> {
    let time = effort.contest;
    let mut contestants = vec![numbers(4, time), pipe_of_64(4, time)];
    contestants.extend(of_crates(crates, &["crossbeam (threads)", "ipc-channel"], 4, 64, time));
    contestants.extend(python_queue(4, 64, time));
    let row = rows_of("P10", MILLIONS, None, rounds(effort, contestants));
    vec![
        row("`Queue`, 64 bytes, 4 to 4", "Queue", "crossbeam (threads)", 1.0),
        row("the same, beside a pipe", "Queue", "raw pipe", 3.5),
        row("the same, beside Python", "Queue", "Python", 50.0),
    ]
}

/// What makes the rows of one series: a case, one of ours, what it is divided by, and the target.
fn rows_of(
    id: &'static str,
    unit: Unit,
    limit: Option<&'static str>,
    series: Vec<Series>,
) -> impl Fn(&'static str, &'static str, &'static str, f64) -> Row {
    const OURS: [&str; 3] = ["Queue", "bytes", "String"];
    let peers: Vec<_> =
        series.iter().filter(|one| !OURS.contains(&one.name) && Some(one.name) != limit).cloned().collect();
    move |case, ours, against, least| Row {
        id,
        case,
        unit,
        ours: Series::find(&series, ours),
        limit: limit.map(|limit| Series::find(&series, limit)),
        peers: peers.clone(),
        against: Some(Series::find(&series, against)),
        target: Target::AtLeast(least),
    }
}

fn depth(size: usize) -> usize {
    match size {
        64 => 1024,
        KIB_4 => 64,
        _ => 4,
    }
}

fn numbers(many: usize, time: Duration) -> Contestant<'static> {
    contestant("Queue", CONTESTS, move || {
        let queue = Queue::<Message>::bounded(depth(64));
        let producer = || |n| queue.put(message(n)).expect("it is open");
        let consumer = || || number(&queue.get().expect("it is open"));
        by_processes(many, time, producer, consumer)
    })
}

/// As bytes, which need no codec.
fn bytes(size: usize, time: Duration) -> Contestant<'static> {
    contestant("bytes", CONTESTS, move || {
        let queue = Queue::<()>::bounded(depth(size));
        let producer = || writer(size, |message| queue.put_bytes(message).expect("it is open"));
        let consumer = || || number_in(&queue.get_bytes().expect("it is open"));
        by_processes(1, time, producer, consumer)
    })
}

/// As values: each made for its message, and one's own when it is got. (The number comes last: behind 16 bytes of it the
/// copy of the rest would be one of the slow ones that `memory/copy.rs` of the library is about.)
fn texts(size: usize, time: Duration) -> Contestant<'static> {
    contestant("String", CONTESTS, move || {
        let queue = Queue::<String>::bounded(depth(size));
        let producer = || {
            let (queue, rest) = (&queue, "x".repeat(size - 16));
            move |n: u64| {
                let mut text = String::with_capacity(size);
                text.push_str(&rest);
                write!(text, "{n:016x}").expect("a text takes all");
                queue.put(text).expect("it is open");
            }
        };
        let consumer = || {
            || {
                let text = queue.get().expect("it is open");
                u64::from_str_radix(&text[size - 16..], 16).expect("sixteen digits")
            }
        };
        by_processes(1, time, producer, consumer)
    })
}

/// Puts messages that begin with their number.
fn writer(size: usize, put: impl Fn(&[u8])) -> impl FnMut(u64) {
    let mut message = vec![7; size];
    move |n| {
        message[..8].copy_from_slice(&n.to_ne_bytes());
        put(&message);
    }
}

fn number_in(message: &[u8]) -> u64 {
    u64::from_ne_bytes(message[..8].try_into().expect("eight bytes"))
}

fn ring_of<'a>(ring: &'a Ring, time: Duration) -> Contestant<'a> {
    contestant("bare ring", CONTESTS, move || by_processes(1, time, || ring.producer(), || ring.consumer()))
}

fn pipe_of_64(many: usize, time: Duration) -> Contestant<'static> {
    contestant("raw pipe", CONTESTS, move || {
        let (out, into) = &pipe().expect("a pipe");
        let producer = || |n| write_message(into, &message(n));
        by_processes(many, time, producer, || || number(&read_message(out)))
    })
}

/// Whole, as the kernel writes as little as this.
pub(crate) fn write_message(to: &OwnedFd, message: &Message) {
    assert_eq!(write(to, &bytes_of(message)), Ok(64));
}

pub(crate) fn read_message(from: &OwnedFd) -> Message {
    let mut bytes = [0; 64];
    assert_eq!(read(from, &mut bytes), Ok(64));
    message_in(&bytes)
}

pub(crate) fn bytes_of(message: &Message) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(message) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

pub(crate) fn message_in(bytes: &[u8; 64]) -> Message {
    let mut words =
        bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")));
    std::array::from_fn(|_| words.next().expect("eight words"))
}

fn pipe_of_bytes(size: usize, time: Duration) -> Contestant<'static> {
    contestant("raw pipe", CONTESTS, move || {
        let (out, into) = &pipe().expect("a pipe");
        // As much room as an ordinary user may have.
        let _ = fcntl(into, FcntlArg::F_SETPIPE_SZ(MIB as i32));
        let producer = || {
            writer(size, |mut rest| {
                while !rest.is_empty() {
                    rest = &rest[write(into, rest).expect("a reader")..];
                }
            })
        };
        let consumer = || {
            let mut message = vec![0; size];
            move || {
                let mut there = 0;
                while there < size {
                    there += read(out, &mut message[there..]).expect("a writer");
                }
                number_in(&message)
            }
        };
        by_processes(1, time, producer, consumer)
    })
}

fn of_crates<'a>(
    crates: &'a Crates,
    names: &'static [&'static str],
    many: usize,
    size: usize,
    time: Duration,
) -> impl Iterator<Item = Contestant<'a>> {
    names.iter().filter_map(move |name| crates.queue(name, CONTESTS, many, size, time))
}

fn python_queue(many: usize, size: usize, time: Duration) -> Option<Contestant<'static>> {
    let depth = depth(size);
    let setup = format!(
        "\
queue, message, got = fork.Queue({depth}), bytes({size}), fork.RawArray('q', {many})
def put():
    while True: queue.put(message)
def get(i):
    while True:
        assert len(queue.get()) == {size}
        got[i] += 1
for i in range({many}):
    fork.Process(target=get, args=(i,), daemon=True).start()
    fork.Process(target=put, daemon=True).start()
"
    );
    python_counts("Python", setup, "sum(got)", time)
}
