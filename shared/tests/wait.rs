//! Waiting: for one connection, and for several connections and processes at once.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::{eventually, sleeps_in, state, takes};
use nix::libc::SYS_epoll_wait;
use shared::channel::{RecvError, RecvTimeoutError, TryRecvError, Waitable, duplex, pipe, wait};
use shared::process;
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        pipe_26_four_pipes_from_four_writers_fast_and_slow,
        pipe_27_a_timeout_is_never_early,
        pipe_28_connections_and_a_process_together,
        a_sleeper_is_woken_by_each_of_them,
        nothing_to_wait_for_takes_the_whole_time,
        the_same_twice_is_ready_twice,
        two_processes_wait_for_the_same,
        the_death_of_a_sleeping_peer_is_ready,
        a_poll_takes_nothing,
        timeouts_are_never_early,
        absurd_timeouts_are_for_ever,
        a_receiver_sleeps,
    }
}

const LONG: Duration = Duration::from_secs(20);

fn pipe_26_four_pipes_from_four_writers_fast_and_slow() {
    for slow in [false, true] {
        let mut receivers = Vec::new();
        let writers: Vec<_> = (0..4_u32)
            .map(|who| {
                let (sender, receiver) = pipe::<(u32, u32)>();
                receivers.push(receiver);
                process::spawn(move || {
                    for n in 0..10 {
                        if slow {
                            thread::sleep(Duration::from_millis(u64::from(who + n) % 4));
                        }
                        sender.send((who, n)).unwrap();
                    }
                })
            })
            .collect();
        let (mut got, mut ends) = (Vec::new(), 0);
        while !receivers.is_empty() {
            let all: Vec<&dyn Waitable> = receivers.iter().map(|one| one as _).collect();
            let ready = wait(&all, None);
            assert!(!ready.is_empty() && ready.is_sorted());
            for n in ready.into_iter().rev() {
                match receivers[n].recv() {
                    Ok(message) => got.push(message),
                    Err(RecvError::Closed) => {
                        ends += 1;
                        receivers.remove(n);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert_eq!(ends, 4, "each once");
        for who in 0..4 {
            assert!(got.iter().filter(|(from, _)| *from == who).map(|(_, n)| *n).eq(0..10));
        }
        writers.into_iter().for_each(|child| child.join().unwrap());
    }
}

fn pipe_27_a_timeout_is_never_early() {
    let (ours, theirs) = duplex::<u32, u32>();
    for time in [0, 1, 300, 7_000, 40_000].map(Duration::from_micros) {
        takes(time, || assert!(wait(&[&ours, &theirs], Some(time)).is_empty()));
    }
    theirs.send(1).unwrap();
    assert_eq!(wait(&[&ours, &theirs], Some(Duration::ZERO)), [0]);
    assert_eq!(wait(&[&theirs, &ours], Some(Duration::MAX)), [1], "for ever");
}

fn pipe_28_connections_and_a_process_together() {
    let (ours, theirs) = duplex::<u32, u32>();
    let (gate, closed) = pipe::<()>();
    let child = process::spawn(move || closed.recv().is_err());
    assert_eq!(wait(&[&child, &ours], Some(Duration::from_millis(20))), [0; 0]);
    theirs.send(1).unwrap();
    assert_eq!(wait(&[&child, &ours], None), [1]);
    assert_eq!(wait(&[&ours, &child], Some(LONG)), [0]);
    drop(gate);
    eventually("both", || wait(&[&ours, &child], Some(LONG)) == [0, 1]);
    assert_eq!(ours.recv(), Ok(1));
    assert_eq!(wait(&[&ours, &child], Some(LONG)), [1]);
    drop(theirs);
    assert_eq!(wait(&[&ours, &child], Some(LONG)), [0, 1], "the end is ready too");
    assert!(child.join().unwrap());
}

fn a_sleeper_is_woken_by_each_of_them() {
    for which in 0..3 {
        let (a, its_a) = duplex::<u32, u32>();
        let (b, its_b) = duplex::<u32, u32>();
        let (answer, answered) = pipe::<Vec<usize>>();
        let child = process::spawn(move || {
            let (gate, closed) = pipe::<()>();
            let grandchild = process::spawn(move || closed.recv().is_err());
            let ready = wait(&[&its_a, &its_b], Some(LONG));
            answer.send(ready).unwrap();
            drop(gate);
            let ended = wait(&[&grandchild], Some(LONG));
            answer.send(ended).unwrap();
        });
        eventually("it waits asleep", || state(child.process().id()) == Some('S'));
        thread::sleep(Duration::from_millis(5));
        let start = Instant::now();
        match which {
            0 => a.send(1).unwrap(),
            1 => b.send(1).unwrap(),
            _ => drop(b),
        }
        assert_eq!(answered.recv().unwrap(), [which.min(1)]);
        assert_eq!(answered.recv().unwrap(), [0]);
        assert!(start.elapsed() < LONG / 2);
        child.join().unwrap();
    }
}

fn nothing_to_wait_for_takes_the_whole_time() {
    takes(Duration::from_millis(10), || assert!(wait(&[], Some(Duration::from_millis(10))).is_empty()));
}

fn the_same_twice_is_ready_twice() {
    let (ours, theirs) = duplex::<u32, u32>();
    let clone = ours.clone();
    assert!(wait(&[&ours, &clone, &ours], Some(Duration::from_millis(5))).is_empty());
    theirs.send(1).unwrap();
    assert_eq!(wait(&[&ours, &clone, &ours], None), [0, 1, 2]);
}

/// Neither takes the other's wake-up.
fn two_processes_wait_for_the_same() {
    let (sender, receiver) = pipe::<u32>();
    let waiters: Vec<_> = (0..3)
        .map(|n| {
            let receiver = receiver.clone();
            process::spawn(move || match n {
                0 => receiver.poll(LONG).unwrap(),
                _ => wait(&[&receiver], Some(LONG)) == [0],
            })
        })
        .collect();
    for waiter in &waiters {
        eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
    }
    thread::sleep(Duration::from_millis(5));
    let start = Instant::now();
    sender.send(1).unwrap();
    waiters.into_iter().for_each(|child| assert!(child.join().unwrap()));
    assert!(start.elapsed() < LONG / 2);
    assert_eq!(receiver.recv(), Ok(1));
}

fn the_death_of_a_sleeping_peer_is_ready() {
    let (ours, theirs) = duplex::<u32, u32>();
    let child = process::spawn(move || drop(theirs.recv()));
    eventually("it waits asleep", || state(child.process().id()) == Some('S'));
    assert!(wait(&[&ours, &child], Some(Duration::from_millis(5))).is_empty());
    child.kill().unwrap();
    let start = Instant::now();
    while wait(&[&ours, &child], None) != [0, 1] {}
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(child.join().is_err());
}

fn a_poll_takes_nothing() {
    let (ours, theirs) = duplex::<u32, u32>();
    assert!(!ours.poll(Duration::ZERO).unwrap());
    let child = process::spawn(move || {
        theirs.recv().unwrap();
        theirs.send(7).unwrap();
        theirs.recv().unwrap();
    });
    ours.send(0).unwrap();
    for _ in 0..3 {
        assert!(ours.poll(LONG).unwrap());
    }
    assert_eq!(ours.try_recv(), Ok(7));
    assert!(!ours.poll(Duration::from_millis(1)).unwrap());
    ours.send(0).unwrap();
    child.join().unwrap();
}

fn timeouts_are_never_early() {
    let (ours, _theirs) = duplex::<u32, u32>();
    for time in [0, 1, 300, 7_000, 40_000].map(Duration::from_micros) {
        takes(time, || assert!(!ours.poll(time).unwrap()));
        takes(time, || assert_eq!(ours.recv_timeout(time), Err(RecvTimeoutError::Timeout)));
    }
    let start = Instant::now();
    assert_eq!(ours.try_recv(), Err(TryRecvError::Empty));
    assert!(start.elapsed() < LONG / 2);
}

fn absurd_timeouts_are_for_ever() {
    for time in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)] {
        let (ours, theirs) = duplex::<u32, u32>();
        let child = process::spawn(move || {
            let polled = theirs.poll(time).unwrap();
            (polled, theirs.recv_timeout(time).unwrap(), theirs.recv_timeout(time).unwrap())
        });
        eventually("it sleeps", || sleeps_in(SYS_epoll_wait, child.process().id()));
        ours.send(1).unwrap();
        ours.send(2).unwrap();
        assert_eq!(child.join().unwrap(), (true, 1, 2));
    }
}

fn a_receiver_sleeps() {
    let (sender, receiver) = pipe::<u32>();
    let child = process::spawn(move || receiver.recv().unwrap());
    eventually("it sleeps", || sleeps_in(SYS_epoll_wait, child.process().id()));
    let start = Instant::now();
    sender.send(5).unwrap();
    assert_eq!(child.join().unwrap(), 5);
    assert!(start.elapsed() < Duration::from_secs(5));
}
