//! P6: how long an answer takes over a connection.

use crate::course::{Case, Message, round_trip};
use crate::crates::Crates;
use crate::python::python;
use crate::queues::{bytes_of, message_in, read_message, write_message};
use crate::ring::Slots;
use crate::round::{Contestant, Effort, Series, contestant, rounds};
use crate::table::{MICROSECONDS, Row, Target};
use nix::unistd::pipe;
use shared::channel::{Connection, duplex};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How often each has its turn in a round.
const TURNS: usize = 5;

const OURS: [&str; 2] = ["Connection", "bytes"];

pub(crate) fn rows(effort: Effort, crates: &Crates) -> Vec<Row> {
    const CASES: [Case; 3] = [Case::Hot, Case::Sleeping, Case::OneCore];
    CASES.into_iter().flat_map(|case| of(case, effort, crates)).collect()
}

fn of(case: Case, effort: Effort, crates: &Crates) -> Vec<Row> {
    // Some thousand round trips through the kernel, or a hundred naps.
    let time = if case == Case::Sleeping { effort.contest / 2 } else { effort.contest / 10 };
    let mut contestants = vec![ours(case, time), raw_pipe(case, time)];
    if case == Case::Hot {
        contestants.push(bytes(case, time));
        contestants.push(contestant("raw spin", TURNS, move || {
            let slots = Slots::new();
            round_trip(case, time, || slots.end(0), || slots.end(1))
        }));
        // It waits awake: asleep and on one core it has nothing to say.
        contestants.extend(crates.round_trip("iceoryx2", TURNS, case, time));
    }
    contestants.extend(crates.round_trip("ipc-channel", TURNS, case, time));
    contestants.extend(python_answers(case));
    let series = rounds(effort, contestants);
    let row_of = |ours: &'static str, case, limit: &'static str, against: &'static str, most| Row {
        id: "P6",
        case,
        unit: MICROSECONDS,
        ours: Series::find(&series, ours),
        limit: Some(Series::find(&series, limit)),
        peers: series.iter().filter(|one| !OURS.contains(&one.name) && one.name != limit).cloned().collect(),
        against: Some(Series::find(&series, against)),
        target: Target::AtMost(most),
    };
    let row = |case, limit, against, most| row_of(OURS[0], case, limit, against, most);
    match case {
        Case::Hot => vec![
            row("`Connection`, 64 bytes to and fro, hot", "raw spin", "raw spin", 2.0),
            row("the same, beside a crate", "raw spin", "iceoryx2", 1.0),
            row_of(OURS[1], "the same as bytes, without the codec", "raw spin", OURS[0], 1.0),
        ],
        Case::Sleeping => {
            vec![row("`Connection`, 64 bytes to and fro, sleeping", "raw pipe", "raw pipe", 1.1)]
        }
        Case::OneCore => {
            vec![row("`Connection`, 64 bytes to and fro, both on one core", "raw pipe", "raw pipe", 1.2)]
        }
    }
}

fn ours(case: Case, time: Duration) -> Contestant<'static> {
    fn ends(end: Connection<Message, Message>) -> (impl FnMut(Message), impl FnMut() -> Message) {
        let other = end.clone();
        let say = move |message| other.send(message).expect("the other one lives");
        (say, move || end.recv().expect("the other one lives"))
    }
    contestant(OURS[0], TURNS, move || {
        let (here, there) = duplex::<Message, Message>();
        round_trip(case, time, || ends(here), || ends(there))
    })
}

/// The same, less the codec.
fn bytes(case: Case, time: Duration) -> Contestant<'static> {
    fn ends(end: Connection<Message, Message>) -> (impl FnMut(Message), impl FnMut() -> Message) {
        let other = end.clone();
        let say = move |message| other.send_bytes(&bytes_of(&message)).expect("the other one lives");
        let hear = move || {
            message_in(
                end.recv_bytes().expect("the other one lives").as_slice().try_into().expect("64 bytes"),
            )
        };
        (say, hear)
    }
    contestant(OURS[1], TURNS, move || {
        let (here, there) = duplex::<Message, Message>();
        round_trip(case, time, || ends(here), || ends(there))
    })
}

fn raw_pipe(case: Case, time: Duration) -> Contestant<'static> {
    fn ends(says: OwnedFd, hears: OwnedFd) -> (impl FnMut(Message), impl FnMut() -> Message) {
        (move |message| write_message(&says, &message), move || read_message(&hears))
    }
    contestant("raw pipe", TURNS, move || {
        let ((hear_there, say_here), (hear_here, say_there)) =
            (pipe().expect("a pipe"), pipe().expect("a pipe"));
        round_trip(case, time, || ends(say_here, hear_here), || ends(say_there, hear_there))
    })
}

fn python_answers(case: Case) -> Option<Contestant<'static>> {
    let pin =
        if case == Case::OneCore { "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})" } else { "" };
    let setup = format!(
        "\
import os
{pin}
here, there = fork.Pipe()
def answer():
    while True: there.send(there.recv())
fork.Process(target=answer, daemon=True).start()
message = bytes(64)
"
    );
    python("Python", setup, "here.send(message); here.recv()", 1_000)
}
