//! The peers of the benchmark that are crates, in a workspace of their own: who builds or tests the project need not
//! build these.
//!
//! `cargo bench -p shared` builds and starts it, and asks: a line on standard input is a question, `trip NAME CASE µs`
//! or `queue NAME MANY SIZE µs`, and the answer is a line with a number, in seconds or messages per second. So these
//! have their turn in each round, as ours have. It ends with its input, or when it is told `end`.

#[path = "../../peers/course.rs"]
mod course;
mod iceoryx;

use course::{Case, Message, by_processes, by_threads, message, number, round_trip};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use shared::sync::Lock;
use std::io::{self, BufRead, Write};
use std::sync::Mutex;
use std::time::Duration;

fn main() -> io::Result<()> {
    for question in io::stdin().lock().lines() {
        let question = question?;
        let words: Vec<_> = question.split(' ').collect();
        let figure = match words[..] {
            ["end"] => break,
            ["trip", name, case, micros] => trip(name, case, micros),
            ["queue", name, many, size, micros] => queue(name, many, size, micros),
            _ => None,
        };
        let Some(figure) = figure else {
            eprintln!("crates: what is {question}?");
            std::process::exit(2);
        };
        writeln!(io::stdout(), "{figure:e}")?;
    }
    Ok(())
}

fn time(micros: &str) -> Option<Duration> {
    micros.parse().ok().map(Duration::from_micros)
}

fn trip(name: &str, case: &str, micros: &str) -> Option<f64> {
    let case = match case {
        "Hot" => Case::Hot,
        "Sleeping" => Case::Sleeping,
        "OneCore" => Case::OneCore,
        _ => return None,
    };
    let time = time(micros)?;
    match name {
        "iceoryx2" => {
            let (ping, pong) = (&iceoryx::Topic::new(), &iceoryx::Topic::new());
            Some(round_trip(case, time, || iceoryx::ends(ping, pong), || iceoryx::ends(pong, ping)))
        }
        "ipc-channel" => {
            let (say_here, hear_there) = ipc::channel::<Message>().ok()?;
            let (say_there, hear_here) = ipc::channel::<Message>().ok()?;
            Some(round_trip(case, time, || ends(say_here, hear_here), || ends(say_there, hear_there)))
        }
        _ => None,
    }
}

/// What says and what hears.
fn ends(
    sender: IpcSender<Message>,
    receiver: IpcReceiver<Message>,
) -> (impl FnMut(Message), impl FnMut() -> Message) {
    (
        move |message| sender.send(message).expect("the other one lives"),
        move || receiver.recv().expect("the other one lives"),
    )
}

fn queue(name: &str, many: &str, size: &str, micros: &str) -> Option<f64> {
    let (many, size, time) = (many.parse().ok()?, size.parse().ok()?, time(micros)?);
    match (name, size) {
        ("iceoryx2", _) => {
            let topic = &iceoryx::Topic::new();
            Some(by_processes(many, time, || topic.producer(size), || topic.consumer(size)))
        }
        ("ipc-channel", 64) => {
            let (sender, receiver) = ipc::channel::<Message>().ok()?;
            ipc_queue(
                many,
                time,
                sender,
                receiver,
                |sender| move |n| sender.send(message(n)).expect("the other side lives"),
                |receiver| number(&receiver.recv().expect("the other side lives")),
            )
        }
        ("ipc-channel", _) => {
            let (sender, receiver) = ipc::bytes_channel().ok()?;
            ipc_queue(
                many,
                time,
                sender,
                receiver,
                |sender| {
                    let mut body = body(size);
                    move |n| {
                        body[..8].copy_from_slice(&n.to_ne_bytes());
                        sender.send(&body).expect("the other side lives");
                    }
                },
                |receiver| number_in(&receiver.recv().expect("the other side lives")),
            )
        }
        ("crossbeam", 64) => {
            let (sender, receiver) = crossbeam_channel::bounded::<Message>(1024);
            let producer = || |n| sender.send(message(n)).expect("the other side lives");
            let consumer = || || number(&receiver.recv().expect("the other side lives"));
            Some(by_threads(many, time, producer, consumer))
        }
        ("crossbeam", _) => {
            let (sender, receiver) = crossbeam_channel::bounded::<Vec<u8>>(depth(size));
            let producer = || {
                let mut body = body(size);
                let sender = &sender;
                move |n: u64| {
                    body[..8].copy_from_slice(&n.to_ne_bytes());
                    sender.send(body.clone()).expect("the other side lives");
                }
            };
            let consumer = || || number_in(&receiver.recv().expect("the other side lives"));
            Some(by_threads(many, time, producer, consumer))
        }
        _ => None,
    }
}

/// Each process has its own copy of the ends. Several consumers take the receiver in turn, behind a lock.
fn ipc_queue<S: Clone + Send, R: Send, Put: FnMut(u64)>(
    many: usize,
    time: Duration,
    sender: S,
    receiver: R,
    put: impl Fn(S) -> Put + Sync,
    get: impl Fn(&R) -> u64 + Sync,
) -> Option<f64> {
    let (sender, receiver) = (Mutex::new(sender), Mutex::new(Some(receiver)));
    let (turn, get) = (&Lock::new(0), &get);
    let producer = || put(sender.lock().expect("of this process alone").clone());
    let consumer = || {
        let receiver = receiver.lock().expect("of this process alone").take().expect("once in a process");
        move || {
            let _mine = (many > 1).then(|| turn.lock().expect("nobody dies"));
            get(&receiver)
        }
    };
    Some(by_processes(many, time, producer, consumer))
}

/// How many large messages may be under way.
fn depth(size: usize) -> usize {
    match size {
        64 => 1024,
        4096 => 64,
        _ => 4,
    }
}

fn body(size: usize) -> Vec<u8> {
    vec![7; size]
}

fn number_in(message: &[u8]) -> u64 {
    u64::from_ne_bytes(message[..8].try_into().expect("eight bytes"))
}
