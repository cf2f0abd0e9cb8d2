//! The rows of the connections: what the victim does, and how things stand. The laws are in `connections.rs`.

use crate::connections::{Connections, LONG_TEXT, SHORT_TEXT};
use crate::scene::{Part, Row};
use crate::victim::Marks;
use crate::wires::{Letter, SUCCESS, Wire, pair};
use shared::memory::Shared;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// What the victim does when it is killed. A long message goes in pieces; a longer one fills the road.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    SendLong,
    SendLonger,
    DropSender,
    Recv,
    RecvLong,
    TryRecv,
    RecvTimeout,
    Poll,
    DropReceiver,
}

impl Operation {
    /// Of the end that sends.
    pub(crate) fn is_senders(self) -> bool {
        self as u8 <= Operation::DropSender as u8
    }

    pub(crate) fn is_send(self) -> bool {
        matches!(self, Operation::Send | Operation::SendLong | Operation::SendLonger)
    }

    /// It may take a message, and die with it.
    pub(crate) fn is_recv(self) -> bool {
        !self.is_senders() && !matches!(self, Operation::Poll | Operation::DropReceiver)
    }

    pub(crate) fn is_long(self) -> bool {
        matches!(self, Operation::SendLong | Operation::SendLonger | Operation::RecvLong)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Send => "send",
            Operation::SendLong => "send of a long message",
            Operation::SendLonger => "send of a longer message",
            Operation::DropSender => "drop of the sender",
            Operation::Recv => "recv",
            Operation::RecvLong => "recv of a long message",
            Operation::TryRecv => "try_recv",
            Operation::RecvTimeout => "recv_timeout",
            Operation::Poll => "poll",
            Operation::DropReceiver => "drop of the receiver",
        })
    }
}

/// What lies in the road at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Empty,
    /// A short message.
    One,
    /// A long one.
    Long,
    /// A short one, and long ones, until no other fits.
    Full,
    /// The beginning of a longer one, whose sender is stopped.
    Half,
    /// The beginning of a longer one, whose sender is dead and has the lock. There is room.
    Torn,
    /// Behind that a short one, of another sender.
    TornAndOne,
    /// The end of a longer one, whose beginning went with a dead receiver. It has the lock.
    Tail,
}

/// Who else is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Nobody has the victim's end but the victim.
    Alone,
    /// Somebody has.
    Heir,
    /// Somebody sleeps in the same operation: before the victim, who finds the lock taken.
    Before,
    /// Or behind it.
    Behind,
    /// Nobody has the victim's end, and somebody sleeps at the other.
    Peer,
    /// Somebody has it.
    PeerAndHeir,
}

/// Whether anybody has the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Here,
    /// Its last process was killed before.
    Gone,
    /// It is killed when the victim sleeps.
    Goes,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    pub(crate) operation: Operation,
    pub(crate) one_way: bool,
    pub(crate) fill: Fill,
    pub(crate) part: Part,
    pub(crate) company: Company,
    pub(crate) other: Other,
}

impl Stand {
    /// Whether nobody has the victim's end but the victim.
    pub(crate) fn is_lonely(&self) -> bool {
        matches!(self.company, Company::Alone | Company::Peer)
    }

    /// Whether messages are bytes, or values.
    pub(crate) fn as_bytes(&self) -> bool {
        self.operation.is_long() || !matches!(self.fill, Fill::Empty | Fill::One | Fill::Full)
    }
}

pub(crate) fn rows() -> Vec<Row> {
    use Company::{Alone, Before, Behind, Heir, Peer, PeerAndHeir};
    use Fill::{Empty, Full, Half, Long, One, Tail, Torn, TornAndOne};
    use Operation::*;
    use Other::{Goes, Gone, Here};
    use Part::{Call, Sleep, SliceOver, TimeUp, Woken, WokenSlowly, WokenTooLate};

    let all = [
        (&[Send, SendLong, SendLonger, DropSender][..], "empty", Empty, Call, Alone, Here),
        (&[Send, SendLong, DropSender], "one way, empty", Empty, Call, Alone, Here),
        (&[Send, SendLong], "another has the end", Empty, Call, Heir, Here),
        (&[Send, SendLong, DropSender], "a sleeping peer", Empty, Call, Peer, Here),
        (&[Send], "room", One, Call, Heir, Here),
        (&[Send], "full", Full, Call, Alone, Here),
        (&[Send], "full, a sender asleep", Full, Call, Before, Here),
        (&[Send], "asleep, a sender asleep", Full, Sleep, Behind, Here),
        (&[Send], "woken, a sender asleep", Full, Woken, Behind, Here),
        (&[Send], "woken behind a sender", Full, Woken, Before, Here),
        (&[Send], "slice over, a sender asleep", Full, SliceOver, Behind, Here),
        (&[Send], "a sender dead, slice over", Torn, SliceOver, Heir, Here),
        (&[Send], "the peer dead", One, Call, Heir, Gone),
        (&[Send], "woken by the peer's death, a sender asleep", Full, Woken, Behind, Goes),
        (&[SendLonger], "asleep in the middle, another has the end", Empty, Sleep, Heir, Here),
        (&[SendLonger], "woken in the middle, another has the end", Empty, Woken, Heir, Here),
        (&[Recv, TryRecv, RecvTimeout, Poll], "one message", One, Call, Heir, Here),
        (&[Recv], "one way, one message", One, Call, Heir, Here),
        (&[Recv, DropReceiver], "full, a sleeping peer", Full, Call, Peer, Here),
        (&[Recv, TryRecv], "full, a sleeping peer, another has the end", Full, Call, PeerAndHeir, Here),
        (&[Recv, TryRecv, Poll], "empty", Empty, Call, Heir, Here),
        (&[DropReceiver], "empty", Empty, Call, Alone, Here),
        (&[Recv, TryRecv], "empty, a receiver asleep", Empty, Call, Before, Here),
        (&[Recv, RecvTimeout, Poll], "asleep, a receiver asleep", Empty, Sleep, Behind, Here),
        (&[Recv, RecvTimeout, Poll], "woken, a receiver asleep", Empty, Woken, Behind, Here),
        (&[RecvTimeout], "woken, slice and time up, a receiver asleep", Empty, WokenSlowly, Behind, Here),
        (&[Recv], "woken behind a receiver", Empty, Woken, Before, Here),
        (&[Poll], "woken too late", Empty, WokenTooLate, Heir, Here),
        (&[Recv, Poll], "slice over, a receiver asleep", Empty, SliceOver, Behind, Here),
        (&[RecvTimeout, Poll], "time up, a receiver asleep", Empty, TimeUp, Behind, Here),
        (&[Recv, TryRecv], "the peer dead, one message", One, Call, Heir, Gone),
        (&[Recv, TryRecv], "the peer dead, empty", Empty, Call, Heir, Gone),
        (&[Recv, Poll], "woken by the peer's death, a receiver asleep", Empty, Woken, Behind, Goes),
        (&[RecvLong], "there", Long, Call, Heir, Here),
        (&[RecvLong], "half there", Half, Call, Heir, Here),
        (&[RecvLong], "asleep in the middle", Half, Sleep, Heir, Here),
        (&[RecvLong], "woken in the middle", Half, Woken, Heir, Here),
        (&[RecvLong], "torn by a death", Torn, Call, Heir, Here),
        (&[RecvLong], "torn by a death, slice over", Torn, SliceOver, Heir, Here),
        (&[RecvLong], "torn by a death, another behind it", TornAndOne, Call, Heir, Here),
        (&[RecvLong], "a receiver dead, slice over", Tail, SliceOver, Heir, Here),
    ];
    let mut rows = Vec::new();
    for (operations, state, fill, part, company, other) in all {
        let one_way = state.starts_with("one way");
        let stand =
            |&operation: &Operation| (state, Stand { operation, one_way, fill, part, company, other });
        rows.extend(operations.iter().map(stand));
    }
    rows.sort_by_key(|(_, stand)| stand.operation as u8);
    let row = |(state, stand): (&'static str, Stand)| {
        let row = Row::new(format!("Connection, {}", stand.operation), state, stand.part, move || {
            Connections::new(stand)
        });
        // Their wake-up may die with the victim, or nobody tells them but their own clock.
        let is_asleep = !matches!(stand.company, Alone | Heir);
        let slow =
            stand.part != Sleep && (is_asleep || matches!(stand.fill, Half | Torn | TornAndOne | Tail));
        Row { slow, ..row }
    };
    rows.into_iter().map(row).collect()
}

/// What the victim does as long as it is let.
pub(crate) fn live(
    wire: Wire,
    own: Letter,
    stand: Stand,
    marks: &Marks,
    told: &Shared<AtomicU64>,
    time_limit: Duration,
) {
    let Stand { operation, fill, .. } = stand;
    let (warm, other) = pair(stand.one_way);
    warm.send(Letter::new(1, if operation.is_long() { LONG_TEXT } else { SHORT_TEXT }, stand.as_bytes()));
    let _ = (other.recv(stand.as_bytes()), other.try_recv(), other.recv_timeout(Duration::ZERO));
    other.poll(Duration::from_nanos(1));
    drop((warm, other));
    if operation.is_recv() && fill == Fill::Empty {
        // Where it sleeps at this end is made when it first does.
        let _ = wire.recv_timeout(Duration::ZERO);
    }
    let tell = |what| told.store(what, SeqCst);
    let got = |got: Result<Letter, u64>| got.map_or_else(|code| code, |letter| letter.number());
    use Operation::*;
    match operation {
        Send | SendLong | SendLonger => marks.operation(|| tell(wire.send(own))),
        Recv => marks.operation(|| tell(got(wire.recv(false)))),
        RecvLong => marks.operation(|| tell(got(wire.recv(true)))),
        TryRecv => marks.operation(|| tell(got(wire.try_recv()))),
        RecvTimeout => marks.operation(|| tell(got(wire.recv_timeout(time_limit)))),
        Poll => marks.operation(|| tell(wire.poll(time_limit))),
        DropSender | DropReceiver => marks.operation(|| {
            drop(wire);
            tell(SUCCESS);
        }),
    }
}
