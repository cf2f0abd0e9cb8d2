//! The connections: what one end sends the other receives.
//!
//! The laws. Every message that was sent for certain arrives once, whole and in order, within the promised time; but a
//! `recv` that was killed may have had one, which is then lost. The message of a killed `send` arrives whole or
//! not at all; if it is a long one its receiver may be told, once, that it was torn, even if nobody else sends.
//! `poll` takes nothing. Who sleeps goes on when there is something to receive, or room. Who shares the victim's end
//! goes on, in both directions; when nobody has it any more, and all has been received, the other end is closed for ever,
//! and who sleeps there is told.

use crate::connection_rows::{Company, Fill, Operation, Other, Stand, live};
use crate::scene::{Death, Outcome, Part, Scene, Wrong, law};
use crate::survivor::{PROMISED, Survivor, wait_until};
use crate::victim::Victim;
use crate::wires::{CLOSED, Letter, MANGLED, NOTHING, READY, SUCCESS, TORN, Wire, pair};
use shared::memory::Shared;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// The texts of messages: the short, those of which four fill the road, those of three pieces, and those that
/// do not fit into it.
pub(crate) const SHORT_TEXT: usize = 20;
const BLOCK_TEXT: usize = 65_520;
pub(crate) const LONG_TEXT: usize = 150_000;
const LONGER_TEXT: usize = 350_000;
/// The last of the four leaves place for a short one, before them.
const LAST_BLOCK_TEXT: usize = BLOCK_TEXT - 40;

/// The number of what is sent when all is over.
const FAREWELL: u64 = 100;

pub(crate) struct Connections {
    stand: Stand,
    /// The ends, as far as this process has them.
    sender: Option<Wire>,
    receiver: Option<Wire>,
    /// Of the last message that was made.
    last: u64,
    /// The messages that are in it for certain, by their numbers.
    inside: Vec<u64>,
    /// The victim's.
    own: u64,
    /// What the victim's operation returned: 0 if it had not.
    told: Shared<AtomicU64>,
    /// Who has the other end, if it is to go.
    doomed: Option<Survivor<()>>,
    senders: Vec<(u64, Survivor<u64>)>,
    receivers: Vec<Survivor<u64>>,
}

impl Connections {
    pub(crate) fn new(stand: Stand) -> Connections {
        let (sender, receiver) = pair(stand.one_way);
        Connections {
            stand,
            sender: Some(sender),
            receiver: Some(receiver),
            last: 0,
            inside: Vec::new(),
            own: 0,
            told: Shared::new(AtomicU64::new(0)),
            doomed: None,
            senders: Vec::new(),
            receivers: Vec::new(),
        }
    }

    fn sender(&self) -> Wire {
        self.sender.clone().expect("an end that sends")
    }

    fn receiver(&self) -> Wire {
        self.receiver.clone().expect("an end that receives")
    }

    fn letter(&mut self, len: usize) -> (u64, Letter) {
        self.last += 1;
        (self.last, Letter::new(self.last, len, self.stand.as_bytes()))
    }

    fn send(&mut self, len: usize) {
        let (number, letter) = self.letter(len);
        self.inside.push(number);
        assert!(self.sender().send(letter) == SUCCESS, "{number} cannot be sent");
    }

    fn take(&mut self) {
        let found = self.receiver().receive(self.stand.as_bytes());
        assert!(self.inside.first() == Some(&found), "{found} came, of {:?}", self.inside);
        self.inside.remove(0);
    }

    fn sender_asleep(&mut self, len: usize) -> (u64, Survivor<u64>) {
        let (wire, (number, letter)) = (self.sender(), self.letter(len));
        let survivor = Survivor::asleep("sender", move |line| {
            line.tell();
            wire.send(letter)
        });
        (number, survivor)
    }

    fn receiver_asleep(&self) -> Survivor<u64> {
        let (wire, as_bytes) = (self.receiver(), self.stand.as_bytes());
        Survivor::asleep("receiver", move |line| {
            line.tell();
            wire.receive(as_bytes)
        })
    }

    fn fill(&mut self) {
        match self.stand.fill {
            Fill::Empty => {}
            Fill::One => self.send(SHORT_TEXT),
            Fill::Long => self.send(LONG_TEXT),
            Fill::Full => [SHORT_TEXT, BLOCK_TEXT, BLOCK_TEXT, BLOCK_TEXT, LAST_BLOCK_TEXT]
                .into_iter()
                .for_each(|len| self.send(len)),
            Fill::Half | Fill::Tail => {
                let (number, sender) = self.sender_asleep(LONGER_TEXT);
                sender.stop();
                if self.stand.fill == Fill::Half {
                    self.inside.push(number);
                    self.senders.push((number, sender));
                } else {
                    self.receiver_asleep().kill();
                    sender.go_on_living();
                    assert!(matches!(sender.ends(), Ok(SUCCESS)), "the end of {number} cannot be sent");
                }
            }
            Fill::Torn | Fill::TornAndOne => {
                self.send(BLOCK_TEXT);
                self.sender_asleep(LONGER_TEXT).1.kill();
                self.take();
                if self.stand.fill == Fill::TornAndOne {
                    self.send(SHORT_TEXT);
                }
            }
        }
    }

    fn put_to_sleep(&mut self) {
        let at_senders_end = match self.stand.company {
            Company::Alone | Company::Heir => return,
            Company::Before | Company::Behind => self.stand.operation.is_senders(),
            Company::Peer | Company::PeerAndHeir => !self.stand.operation.is_senders(),
        };
        if at_senders_end {
            let sleeper = self.sender_asleep(SHORT_TEXT);
            self.senders.push(sleeper);
        } else {
            self.receivers.push(self.receiver_asleep());
        }
    }

    /// Those who sleep in a `recv`, and what they got, each a message or the end.
    fn receivers_answer(&mut self, death: &Death, sure: &mut Vec<u64>) -> Result<Vec<u64>, Wrong> {
        let mut found = Vec::new();
        for receiver in take(&mut self.receivers) {
            // What is there is for them; if nothing is, something comes.
            let can_send = self.sender.is_some() && !receiver.is_finished();
            if can_send && self.receiver.as_ref().is_some_and(|wire| !wire.is_ready()) {
                let (number, letter) = self.letter(SHORT_TEXT);
                sure.push(number);
                let wire = self.sender();
                let sent = death.answer(Survivor::start("helper", move |_| wire.send(letter)))?;
                law(sent == SUCCESS, || format!("{number} cannot be sent"))?;
            }
            found.push(death.answer(receiver)?);
        }
        Ok(found)
    }
}

impl Scene for Connections {
    fn set(&mut self, time_limit: Duration) -> Victim {
        let stand = self.stand;
        // A new one for each, as an end that is closed stays so.
        *self = Connections::new(stand);
        self.fill();
        let len = match stand.operation {
            Operation::SendLonger => LONGER_TEXT,
            Operation::SendLong => LONG_TEXT,
            _ => SHORT_TEXT,
        };
        let (own, letter) = self.letter(len);
        self.own = own;
        let is_senders = stand.operation.is_senders();
        let (wire, told) = (if is_senders { self.sender() } else { self.receiver() }, self.told.clone());
        let victim = Victim::new(move |marks| live(wire, letter, stand, marks, &told, time_limit));
        if stand.company == Company::Before || stand.part == Part::Call {
            self.put_to_sleep();
        }
        if stand.other != Other::Here {
            let wire = if is_senders { self.receiver.take() } else { self.sender.take() };
            self.doomed = Some(Survivor::arrived("peer", move |line| {
                let _wire = wire;
                line.pause();
            }));
        }
        if stand.other == Other::Gone {
            self.doomed.iter().for_each(Survivor::kill);
        }
        if stand.is_lonely() {
            drop(if is_senders { self.sender.take() } else { self.receiver.take() });
        }
        victim
    }

    fn follow(&mut self) {
        if self.stand.company == Company::Behind {
            self.put_to_sleep();
        }
    }

    fn wake(&mut self) {
        let Stand { operation, fill, other, .. } = self.stand;
        if other == Other::Goes {
            self.doomed.iter().for_each(Survivor::kill);
        } else if fill == Fill::Half {
            self.senders.iter().for_each(|(_, sender)| sender.go_on_living());
        } else if operation == Operation::SendLonger {
            let (wire, as_bytes) = (self.receiver(), self.stand.as_bytes());
            self.receivers.push(Survivor::start("receiver", move |_| wire.receive(as_bytes)));
        } else if operation.is_senders() {
            // Half of the road is free then.
            (0..3).for_each(|_| self.take());
        } else {
            self.send(SHORT_TEXT);
        }
    }

    fn forestall(&mut self) {
        self.take();
    }

    fn judge(&mut self, death: &Death) -> Result<Outcome, Wrong> {
        let Stand { operation, fill, company, other, .. } = self.stand;
        let told = self.told.load(SeqCst);
        law(told > 0 || !death.over, || "it returned, and did not say what".to_owned())?;
        // Their time may not have come, if the victim's journey led elsewhere.
        if other != Other::Here {
            self.doomed.iter().for_each(Survivor::kill);
        }
        if fill == Fill::Half {
            self.senders.iter().for_each(|(_, sender)| sender.go_on_living());
        }
        let may_be_torn = matches!(fill, Fill::Torn | Fill::TornAndOne | Fill::Tail);
        let (mut sure, mut missing, mut torn) = (take(&mut self.inside), 0, usize::from(may_be_torn));
        let possible = match told {
            0 => {
                missing = usize::from(operation.is_recv());
                torn = torn.max(usize::from(operation.is_long()));
                true
            }
            SUCCESS if operation.is_send() => {
                sure.push(self.own);
                other == Other::Here
            }
            SUCCESS => matches!(operation, Operation::DropSender | Operation::DropReceiver),
            CLOSED => other != Other::Here,
            TORN => may_be_torn && take(&mut torn) == 1,
            NOTHING => matches!(operation, Operation::TryRecv | Operation::RecvTimeout | Operation::Poll),
            READY => operation == Operation::Poll,
            number => match sure.iter().position(|sent| *sent == number) {
                Some(place) => sure.remove(place) == number,
                None => false,
            },
        };
        law(possible, || format!("it was told {told:#x}, and {sure:?} inside"))?;

        // Those who sleep, and then one that comes new, at both ends if they are open.
        let mut found = self.receivers_answer(death, &mut sure)?;
        let is_closed = other != Other::Here && operation.is_senders();
        let awaited: Vec<u64> = match (is_closed, company) {
            (false, Company::Before | Company::Behind | Company::PeerAndHeir) => {
                self.senders.iter().map(|(number, _)| *number).collect()
            }
            _ => Vec::new(),
        };
        let (sender, receiver) = (self.sender.take(), self.receiver.take());
        if sender.is_some() || receiver.is_some() {
            let (awaited, as_bytes) = (awaited.clone(), self.stand.as_bytes());
            let control =
                Survivor::start("control", move |_| look_after(sender, receiver, &awaited, as_bytes));
            let (rest, is_sound) = death.answer(control)?;
            law(is_sound, || format!("after {rest:?} it does not work, or is not closed"))?;
            found.extend(rest);
        }
        for (number, sender) in take(&mut self.senders) {
            match death.answer(sender)? {
                SUCCESS if awaited.contains(&number) => sure.push(number),
                SUCCESS if fill == Fill::Half => {}
                CLOSED if awaited.is_empty() => {}
                code => law(false, || format!("who slept in a send was told {code:#x}"))?,
            }
        }
        self.doomed = None;

        law(!found.contains(&MANGLED), || format!("{found:?} came"))?;
        let torn_ones = found.iter().filter(|code| **code == TORN).count();
        law(torn_ones <= torn, || format!("{torn_ones} torn, instead of {torn}"))?;
        let was_closed = found.contains(&CLOSED);
        found.retain(|code| ![TORN, CLOSED].contains(code));
        // A receiver that slept may have been told what it got after another had got more.
        found.sort();
        let known =
            |number: &u64| sure.contains(number) || told == 0 && operation.is_send() && *number == self.own;
        let once = found.is_sorted_by(|a, b| a < b) && found.iter().all(known);
        law(once, || format!("{found:?} came, of {sure:?}"))?;
        let lost = sure.iter().filter(|number| !found.contains(number)).count();
        // With nobody to receive them they are.
        let is_over = is_closed || self.stand.is_lonely() && !operation.is_senders();
        law(lost <= missing || is_over, || format!("{found:?} came, of {sure:?} without {missing}"))?;
        let recovered = was_closed || torn_ones + lost > 0 || may_be_torn;
        Ok(if recovered { Outcome::Recovered } else { Outcome::Clean })
    }

    fn describe(&self) -> String {
        format!("{:?} and {:?}", self.sender, self.receiver)
    }
}

/// Receives what there is, and what is awaited; whether the connection works then, as long as both its ends are
/// there, and whether it is closed for ever when one of them has gone.
fn look_after(
    sender: Option<Wire>,
    receiver: Option<Wire>,
    awaited: &[u64],
    as_bytes: bool,
) -> (Vec<u64>, bool) {
    let (mut found, mut is_sound) = (Vec::new(), true);
    let farewell = |wire: &Wire| wire.send(Letter::new(FAREWELL, SHORT_TEXT, as_bytes));
    let is_refused =
        |wire: &Wire| wait_until(PROMISED, || farewell(wire) == CLOSED) && farewell(wire) == CLOSED;
    if let Some(receiver) = &receiver {
        while receiver.is_ready() || awaited.iter().any(|number| !found.contains(number)) {
            match receiver.receive(as_bytes) {
                CLOSED => break,
                MANGLED => return (vec![MANGLED], false),
                one => found.push(one),
            }
        }
        is_sound &= found.iter().filter(|code| **code != TORN).is_sorted() || !awaited.is_empty();
    }
    match (sender, receiver) {
        (Some(sender), Some(receiver)) => {
            is_sound &= farewell(&sender) == SUCCESS;
            // Before it something may have been under way.
            while is_sound {
                match receiver.receive(as_bytes) {
                    FAREWELL => break,
                    CLOSED | MANGLED => is_sound = false,
                    one => found.push(one),
                }
            }
            if sender.is_both() {
                is_sound &= farewell(&receiver) == SUCCESS && sender.receive(as_bytes) == FAREWELL;
            }
            drop(sender);
            is_sound &= (0..3).all(|_| receiver.receive(as_bytes) == CLOSED);
        }
        (None, Some(receiver)) => {
            is_sound &= (0..3).all(|_| receiver.receive(as_bytes) == CLOSED);
        }
        (Some(sender), None) => {
            is_sound &= is_refused(&sender);
            is_sound &= !sender.is_both() || (0..3).all(|_| sender.receive(as_bytes) == CLOSED);
        }
        (None, None) => {}
    }
    (found, is_sound)
}
