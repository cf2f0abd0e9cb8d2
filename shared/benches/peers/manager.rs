//! P11: how long a request to a manager takes, and how many it answers.

use crate::course::pin_to_one_cpu;
use crate::python::{python, python_counts};
use crate::round::{Contestant, Effort, Series, contestant, median, rounds};
use crate::table::{MICROSECONDS, MILLIONS, Row, Target, Unit};
use nix::sys::signal::Signal;
use shared::manager::{Dict, Manager};
use shared::process;
use shared::sync::Barrier;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often each has its turn in a round.
const TURNS: usize = 5;
const CLIENTS: usize = 4;

/// How client and server live.
#[derive(Clone, Copy, PartialEq)]
enum Case {
    /// One client, which asks again and again.
    Hot,
    /// The same, with the server on its own CPU.
    OneCore,
    /// So many at once.
    Many,
}

/// What is asked in turn: to set a value of 64 bytes, and to get it.
trait Client {
    fn set(&mut self);
    fn get(&mut self);
}

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    [Case::Hot, Case::Many, Case::OneCore].into_iter().map(|case| of(case, effort)).collect()
}

fn of(case: Case, effort: Effort) -> Row {
    let time = effort.contest / 4;
    let mut contestants = vec![contestant("Manager", TURNS, move || {
        // A child of its own: it may pin itself, and its manager with it.
        let measured = process::spawn(move || {
            pin(case);
            let manager = Manager::start().expect("a manager");
            let dict = manager.dict().expect("a dict");
            measure(case, time, || Ours(dict.clone()))
        });
        measured.join().expect("it measures")
    })];
    if Command::new("redis-server").arg("--version").output().is_ok() {
        contestants.push(contestant("Redis", TURNS, move || {
            let measured = process::spawn(move || {
                pin(case);
                let redis = Redis::start();
                measure(case, time, || redis.connect())
            });
            measured.join().expect("it measures")
        }));
    }
    contestants.extend(in_python(case, time));
    let series = rounds(effort, contestants);
    let (case, unit, target): (_, Unit, _) = match case {
        Case::Hot => ("`Manager`, get and set, one client, hot", MICROSECONDS, Target::AtMost(0.1)),
        Case::Many => ("`Manager`, get and set, 4 clients", MILLIONS, Target::AtLeast(2.0)),
        Case::OneCore => ("`Manager`, get and set, both on one core", MICROSECONDS, Target::AtMost(1.0)),
    };
    let (ours, peers) = (series[0].clone(), series[1..].to_vec());
    Row {
        id: "P11",
        case,
        unit,
        ours,
        limit: None,
        peers,
        against: Some(Series::find(&series, "Redis")),
        target,
    }
}

fn pin(case: Case) {
    if case == Case::OneCore {
        pin_to_one_cpu();
    }
}

/// Seconds a request, or with many clients requests a second.
fn measure<C: Client>(case: Case, time: Duration, connect: impl Fn() -> C + Sync) -> f64 {
    if case != Case::Many {
        let mut client = connect();
        ask(&mut client, time / 4);
        // The median of short batches: another program's turn on the CPU is none of ours.
        let (start, mut took) = (Instant::now(), Vec::new());
        while start.elapsed() < time {
            let start = Instant::now();
            let asked = ask(&mut client, Duration::ZERO);
            took.push(start.elapsed().as_secs_f64() / asked as f64);
        }
        return median(took);
    }
    let (connect, together) = (&connect, &Barrier::new(CLIENTS));
    process::scope(|s| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                s.spawn(move || {
                    let mut client = connect();
                    together.wait_timeout(Duration::from_secs(10)).expect("the others live");
                    ask(&mut client, time / 4);
                    let start = Instant::now();
                    ask(&mut client, time) as f64 / start.elapsed().as_secs_f64()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("it asks")).sum()
    })
}

/// Asks for as long as this. How often?
fn ask(client: &mut impl Client, time: Duration) -> u64 {
    let (start, mut asked) = (Instant::now(), 0);
    loop {
        for _ in 0..16 {
            client.set();
            client.get();
        }
        asked += 32;
        if start.elapsed() >= time {
            return asked;
        }
    }
}

struct Ours(Dict<String, String>);

/// 64 bytes.
const VALUE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl Client for Ours {
    fn set(&mut self) {
        self.0.insert("key", &VALUE.to_owned()).expect("the manager lives");
    }

    fn get(&mut self) {
        assert_eq!(self.0.get("key").expect("the manager lives").as_deref(), Some(VALUE));
    }
}

/// A server that keeps nothing on disk, behind a socket in a folder of its own.
struct Redis {
    server: Child,
    folder: PathBuf,
}

impl Redis {
    fn start() -> Redis {
        let folder = std::env::temp_dir().join(format!("peers-redis-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(folder.join("socket"));
        let server = command.stdout(Stdio::null()).process_group(0).spawn().expect("it starts");
        let redis = Redis { server, folder };
        let end = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(redis.folder.join("socket")).is_err() {
            assert!(Instant::now() < end, "redis-server does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        redis
    }

    fn connect(&self) -> RedisClient {
        let stream = UnixStream::connect(self.folder.join("socket")).expect("it listens");
        RedisClient(BufReader::new(stream))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.server.id() as i32), Signal::SIGKILL);
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

struct RedisClient(BufReader<UnixStream>);

impl RedisClient {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        line
    }
}

impl Client for RedisClient {
    fn set(&mut self) {
        let request = format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$64\r\n{VALUE}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).expect("it listens");
        assert_eq!(self.line(), "+OK\r\n");
    }

    fn get(&mut self) {
        self.0.get_mut().write_all(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n").expect("it listens");
        assert_eq!(self.line(), "$64\r\n");
        let mut value = [0; 66];
        self.0.read_exact(&mut value).expect("an answer");
        assert_eq!(&value[..64], VALUE.as_bytes());
    }
}

fn in_python(case: Case, time: Duration) -> Option<Contestant<'static>> {
    let one = "\
import os
manager = fork.Manager()
d = manager.dict()
value = '0123456789abcdef' * 4
d['key'] = value
";
    match case {
        Case::Hot => python("Python", one, "d['key'] = value; d['key']", 500).map(half),
        Case::OneCore => {
            let pinned = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n";
            let setup = one.replacen("manager =", &format!("{pinned}manager ="), 1);
            python("Python", setup, "d['key'] = value; d['key']", 500).map(half)
        }
        Case::Many => {
            let setup = format!(
                "{one}
counts = fork.Array('Q', {CLIENTS}, lock=False)
def client(i):
    while True:
        d['key'] = value; d['key']
        counts[i] += 2
for i in range({CLIENTS}): fork.Process(target=client, args=(i,), daemon=True).start()
"
            );
            python_counts("Python", setup, "sum(counts)", time)
        }
    }
}

/// A get and a set are two requests.
fn half(both: Contestant<'static>) -> Contestant<'static> {
    both.scaled(0.5)
}
