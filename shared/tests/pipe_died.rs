//! Connections whose users are killed: wherever that is, all that was sent whole arrives, what was torn is told, and
//! then it is the end.

mod cast;
mod harness;

use cast::BOUND;
use harness::tools::{eventually, state};
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use shared::channel::{Connection, Nothing, RecvError, SendError, pipe};
use shared::memory::Shared;
use shared::process;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

harness::main! {
    trials {
        all_that_a_killed_sender_sent_arrives_and_then_the_end,
        a_sleeping_receiver_hears_of_the_death_within_a_second,
        pipe_31_half_a_message_is_torn within 60,
        senders_killed_at_random within 120,
        after_a_torn_message_the_other_sender_goes_on within 60,
        a_torn_message_is_told_though_others_have_the_senders_end,
        the_rest_of_a_torn_message_is_taken_before_it_is_told,
        a_receiver_killed_in_the_middle_of_a_long_message within 60,
        receivers_killed_at_random within 120,
        a_sender_that_waits_for_room_hears_that_the_receiver_was_killed,
        a_send_to_a_killed_receiver_fails_soon,
        a_dead_parent_is_the_end_for_its_child,
        a_stopped_sender_is_not_dead,
    }
}

type Sender = Connection<(), Nothing>;
type Receiver = Connection<Nothing, ()>;

/// The message with this number: of a length that it tells, of bytes that it tells.
fn message(n: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![n as u8; len.max(16)];
    bytes[..8].copy_from_slice(&n.to_ne_bytes());
    bytes[8..16].copy_from_slice(&(len.max(16) as u64).to_ne_bytes());
    bytes
}

/// The number of a message, which is whole.
#[track_caller]
fn number(bytes: &[u8]) -> u64 {
    let n = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    let len = u64::from_ne_bytes(bytes[8..16].try_into().unwrap());
    assert_eq!(bytes.len() as u64, len, "the length of {n}");
    // Compared as a whole: byte by byte it would be most of the test's time.
    assert!(bytes[16..] == vec![n as u8; bytes.len() - 16], "the bytes of {n}");
    n
}

/// Sends until it is killed, and counts what it has sent.
fn sends_for_ever(sender: &Sender, sent: &AtomicU64, len: impl Fn(u64) -> usize) {
    for n in 0.. {
        sender.send_bytes(&message(n, len(n))).unwrap();
        sent.store(n + 1, SeqCst);
    }
}

fn all_that_a_killed_sender_sent_arrives_and_then_the_end() {
    let (sender, receiver) = pipe::<u32>();
    let child = process::spawn(move || {
        (0..1000).for_each(|n| sender.send(n).unwrap());
        raise(Signal::SIGKILL).unwrap();
    });
    assert!(child.join().is_err());
    let start = Instant::now();
    assert!((0..1000).all(|n| receiver.recv() == Ok(n)));
    for _ in 0..3 {
        assert_eq!(receiver.recv(), Err(RecvError::Closed));
    }
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
}

fn a_sleeping_receiver_hears_of_the_death_within_a_second() {
    for asleep_for in [0, 30, 700] {
        let (sender, receiver) = pipe::<u32>();
        let child = process::spawn(move || {
            let _sender = sender;
            harness::tools::sleep_for_ever();
        });
        let waiter = process::spawn(move || receiver.recv() == Err(RecvError::Closed));
        eventually("it waits asleep", || state(waiter.process().id()) == Some('S'));
        thread::sleep(Duration::from_millis(asleep_for));
        let start = Instant::now();
        cast::kill(child);
        assert!(waiter.join().unwrap());
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    }
}

/// What a receiver gets when all senders have gone: how many messages, and whether the last was torn.
fn all_that_is_left(receiver: &Receiver, from: u64) -> (u64, bool) {
    let (start, mut next) = (Instant::now(), from);
    let torn = loop {
        match receiver.recv_bytes() {
            Ok(bytes) => assert_eq!(number(&bytes), next),
            Err(RecvError::Torn) => break true,
            Err(RecvError::Closed) => break false,
            Err(other) => panic!("{other}"),
        }
        next += 1;
    };
    for _ in 0..3 {
        assert_eq!(receiver.recv_bytes(), Err(RecvError::Closed));
    }
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    (next, torn)
}

/// The road is full of the beginning when the sender is killed.
fn pipe_31_half_a_message_is_torn() {
    let (sender, receiver) = pipe::<()>();
    let child = process::spawn(move || {
        sender.send_bytes(&message(0, 100)).unwrap();
        sender.send_bytes(&message(1, 10 << 20)).unwrap();
    });
    eventually("it waits for room", || {
        state(child.process().id()) == Some('S') && receiver.poll(Duration::ZERO).unwrap()
    });
    thread::sleep(Duration::from_millis(10));
    cast::kill(child);
    assert_eq!(all_that_is_left(&receiver, 0), (1, true));
}

/// Killed at any moment: while it copies, between two pieces, while it rings or sleeps.
fn senders_killed_at_random() {
    let mut torn_ones = 0;
    for round in 0..300_u64 {
        let (sender, receiver) = pipe::<()>();
        let sent = Shared::new(AtomicU64::new(0));
        let counted = sent.clone();
        let long = round % 3 == 0;
        let len = move |n: u64| if long { 700_000 } else { (n * 37 % 3000) as usize };
        let child = process::spawn(move || sends_for_ever(&sender, &counted, len));
        let mut received = 0;
        let end = Instant::now() + Duration::from_micros(500 + round * 7919 % 4000);
        while Instant::now() < end {
            if receiver.poll(Duration::from_millis(1)).unwrap() && !long {
                assert_eq!(number(&receiver.recv_bytes().unwrap()), received);
                received += 1;
            }
        }
        cast::kill(child);
        let sent = sent.load(SeqCst);
        let (got, torn) = all_that_is_left(&receiver, received);
        torn_ones += u64::from(torn);
        // The last may have been sent and not yet counted.
        assert!(got == sent || got == sent + 1, "round {round}: {got} of {sent}");
        assert!(long || !torn, "round {round}: short messages are never torn");
    }
    assert!(torn_ones > 50, "the test has torn only {torn_ones}");
}

fn after_a_torn_message_the_other_sender_goes_on() {
    for round in 0..50 {
        let (sender, receiver) = pipe::<()>();
        let its = sender.clone();
        let child = process::spawn(move || sends_for_ever(&its, &AtomicU64::new(0), |_| 700_000));
        let other =
            process::spawn(move || (0..20).for_each(|_| sender.send_bytes(&message(7777, 300_000)).unwrap()));
        let (mut torn, mut others) = (0, 0);
        let mut victim = Some(child);
        let start = Instant::now();
        loop {
            match receiver.recv_bytes() {
                Ok(bytes) if number(&bytes) == 7777 => others += 1,
                Ok(_) => {}
                Err(RecvError::Torn) => torn += 1,
                Err(RecvError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
            if start.elapsed() > Duration::from_micros(200 * round)
                && let Some(victim) = victim.take()
            {
                cast::kill(victim);
            }
        }
        if let Some(victim) = victim {
            cast::kill(victim);
        }
        assert_eq!(others, 20, "all of the living one's");
        assert!(torn <= 1, "{torn}");
        other.join().unwrap();
    }
}

/// They are silent, for ever.
fn a_torn_message_is_told_though_others_have_the_senders_end() {
    for asleep_for in [0, 30, 700] {
        let (sender, receiver) = pipe::<()>();
        let (its, others) = (sender.clone(), receiver.clone());
        let (tell, told) = pipe::<bool>();
        let child = stopped_in_the_middle(its, &receiver, 10 << 20);
        let waiter = process::spawn(move || tell.send(others.recv_bytes() == Err(RecvError::Torn)).unwrap());
        eventually("it has taken the beginning, and sleeps", || {
            !receiver.poll(Duration::ZERO).unwrap() && state(waiter.process().id()) == Some('S')
        });
        thread::sleep(Duration::from_millis(asleep_for));
        cast::kill(child);
        assert_eq!(told.recv_timeout(BOUND), Ok(true));
        waiter.join().unwrap();
        sender.send_bytes(&message(0, 100)).unwrap();
        drop(sender);
        assert_eq!(all_that_is_left(&receiver, 0), (1, false));
    }
}

/// A process that sends a message which fills the road, with the rest still to come.
fn stopped_in_the_middle(sender: Sender, receiver: &Receiver, len: usize) -> process::JoinHandle<()> {
    let child = process::spawn(move || sender.send_bytes(&message(0, len)).unwrap());
    let pid = child.process().id();
    eventually("it waits for room", || state(pid) == Some('S') && receiver.poll(Duration::ZERO).unwrap());
    kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).unwrap();
    eventually("it is stopped", || state(pid) == Some('T'));
    child
}

fn the_rest_of_a_torn_message_is_taken_before_it_is_told() {
    let (sender, receiver) = pipe::<()>();
    let (its, others) = (sender.clone(), receiver.clone());
    // More than the road holds, and less than two of them.
    let feeder = stopped_in_the_middle(its, &receiver, 350_000);
    let child = process::spawn(move || drop(others.recv_bytes()));
    eventually("it has taken the beginning", || !receiver.poll(Duration::ZERO).unwrap());
    cast::kill(child);
    kill(Pid::from_raw(feeder.process().id() as i32), Signal::SIGCONT).unwrap();
    feeder.join().unwrap();
    assert_eq!(receiver.recv_bytes(), Err(RecvError::Torn));
    assert_eq!(receiver.poll(Duration::ZERO), Ok(false));
    sender.send_bytes(&message(1, 100)).unwrap();
    drop(sender);
    assert_eq!(all_that_is_left(&receiver, 1), (2, false));
}

/// The one who inherits its place is told that a message was torn, and gets the next whole.
fn a_receiver_killed_in_the_middle_of_a_long_message() {
    let (sender, receiver) = pipe::<()>();
    let its = receiver.clone();
    let child = process::spawn(move || drop(its.recv_bytes()));
    let feeder = process::spawn(move || {
        // Stopped in the middle by the road, which nobody empties any more.
        sender.send_bytes(&message(0, 200 << 20)).unwrap();
        sender.send_bytes(&message(1, 100)).unwrap();
    });
    thread::sleep(Duration::from_millis(10));
    cast::kill(child);
    let first = receiver.recv_bytes().map(|bytes| number(&bytes));
    match first {
        Err(RecvError::Torn) => assert_eq!(all_that_is_left(&receiver, 1), (2, false)),
        // It had not begun, or had taken all.
        Ok(0) => assert_eq!(all_that_is_left(&receiver, 1), (2, false)),
        other => panic!("{other:?}"),
    }
    feeder.join().unwrap();
}

fn receivers_killed_at_random() {
    for round in 0..150_u64 {
        let (sender, receiver) = pipe::<()>();
        let its = receiver.clone();
        let got = Shared::new(AtomicU64::new(0));
        let counted = got.clone();
        let child = process::spawn(move || {
            while let Ok(bytes) = its.recv_bytes() {
                number(&bytes);
                counted.fetch_add(1, SeqCst);
            }
        });
        const MANY: u64 = 400;
        let long = round % 3 == 0;
        let feeder = process::spawn(move || {
            (0..MANY).for_each(|n| sender.send_bytes(&message(n, if long { 150_000 } else { 50 })).unwrap());
        });
        thread::sleep(Duration::from_micros(round * 7919 % 3000));
        child.kill().unwrap();
        let _ = child.join(); // It may have got everything already.
        let start = Instant::now();
        let (mut mine, mut torn, mut last) = (0, 0, None);
        loop {
            match receiver.recv_bytes() {
                Ok(bytes) => {
                    let n = number(&bytes);
                    assert!(last < Some(n), "in order");
                    last = Some(n);
                    mine += 1;
                }
                Err(RecvError::Torn) => torn += 1,
                Err(RecvError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
        }
        feeder.join().unwrap();
        let its = got.load(SeqCst);
        // One at most died with the receiver: taken, and not yet counted, or torn.
        assert!(torn <= u64::from(long), "{torn}");
        assert!((MANY - 1..=MANY).contains(&(its + mine)), "round {round}: {its} + {mine} + {torn} torn");
        assert!(its + mine + torn <= MANY);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

fn a_sender_that_waits_for_room_hears_that_the_receiver_was_killed() {
    for len in [1000, 10 << 20] {
        let (sender, receiver) = pipe::<()>();
        let idle = process::spawn(move || {
            let _receiver = receiver;
            harness::tools::sleep_for_ever();
        });
        let child = process::spawn(move || {
            loop {
                match sender.send_bytes(&vec![1; len]) {
                    Ok(()) => {}
                    Err(SendError::Closed(())) => return true,
                    Err(_) => return false,
                }
            }
        });
        eventually("it waits for room", || state(child.process().id()) == Some('S'));
        thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        cast::kill(idle);
        assert!(child.join().unwrap());
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    }
}

fn a_send_to_a_killed_receiver_fails_soon() {
    let (sender, receiver) = pipe::<u32>();
    let child = process::spawn(move || {
        let _receiver = receiver;
        harness::tools::sleep_for_ever();
    });
    sender.send(1).unwrap();
    cast::kill(child);
    eventually("it is noticed", || matches!(sender.send(2), Err(SendError::Closed(2))));
    // From then on at once.
    assert!(sender.send(3).is_err());
}

fn a_dead_parent_is_the_end_for_its_child() {
    let (answer, answered) = pipe::<bool>();
    let parent = process::spawn(move || {
        let (sender, receiver) = pipe::<u32>();
        let child = process::spawn(move || {
            let closed = receiver.recv() == Err(RecvError::Closed);
            answer.send(closed).unwrap();
        });
        eventually("it waits asleep", || state(child.process().id()) == Some('S'));
        raise(Signal::SIGKILL).unwrap();
        drop(sender);
    });
    assert_eq!(answered.recv(), Ok(true));
    assert!(parent.join().is_err());
    assert_eq!(answered.recv(), Err(RecvError::Closed));
}

fn a_stopped_sender_is_not_dead() {
    let (sender, receiver) = pipe::<()>();
    let child = process::spawn(move || sender.send_bytes(&message(0, 10 << 20)).unwrap());
    let pid = Pid::from_raw(child.process().id() as i32);
    eventually("it waits for room", || {
        state(child.process().id()) == Some('S') && receiver.poll(Duration::ZERO).unwrap()
    });
    kill(pid, Signal::SIGSTOP).unwrap();
    eventually("it is stopped", || state(child.process().id()) == Some('T'));
    let waker = process::spawn(move || {
        thread::sleep(Duration::from_millis(700));
        kill(pid, Signal::SIGCONT).unwrap();
    });
    assert_eq!(number(&receiver.recv_bytes().unwrap()), 0);
    child.join().unwrap();
    waker.join().unwrap();
}
