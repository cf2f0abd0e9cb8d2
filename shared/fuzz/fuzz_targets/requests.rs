//! Any requests to a manager's objects, from any clients, who end or lose patience at any moment: each is answered once, or waits, or is
//! refused; never a panic; and when all have gone nothing is held, and nothing is left but what is in one another.
//!
//! Objects, protocol and codec are included as the model does it, since they are not public: the same text. What the server adds
//! (connections, and conditions, which are between two objects) is in `hostile.rs` and in the tests.
#![no_main]

mod drawn;

#[allow(dead_code, unreachable_pub)]
#[path = "../../src/manager/server/containers.rs"]
mod containers;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/manager/server/gates.rs"]
mod gates;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/manager/server/locks.rs"]
mod locks;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/channel/message/mod.rs"]
mod message;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/manager/server/queue.rs"]
mod queue;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/manager/server/store.rs"]
mod store;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/manager/server/value.rs"]
mod value;
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/manager/wire.rs"]
mod wire;

/// What they have from the library.
mod sync {
    pub(crate) use shared::sync::{BrokenCause, Cause};
}
mod channel {
    pub(crate) use crate::message;
}
mod manager {
    pub(crate) use crate::wire;
}

use arbitrary::Unstructured;
use drawn::Drawn;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use std::collections::HashMap;
use store::{Asker, Effects, Store};
use wire::{Answer, Break, Bytes, Id, Op, Packed, Place, Reply, Request};

/// Each client has two connections.
const DESKS: u32 = 6;
const LONGEST: u64 = 4096;

#[derive(Default)]
struct World {
    store: Store,
    /// For which object the request at a desk waits.
    waits: HashMap<u32, Id>,
    handles: HashMap<u64, Vec<Id>>,
    made: u64,
}

fn asker(desk: u32) -> Asker {
    let session = u64::from(desk / 2);
    Asker { desk, session, pid: 100 + desk / 2 }
}

impl World {
    fn request(&mut self, desk: u32, request: Request) {
        let who = asker(desk);
        let mut effects = Effects::default();
        match request {
            Request::Make(kind) => {
                let id = self.store.make(kind, &mut effects);
                self.made = id;
                self.settle(effects);
                self.give(who.session, &[id]);
            }
            Request::Hold(handles) => self.give(who.session, &handles),
            Request::Release { handles, .. } => {
                let mine = self.handles.entry(who.session).or_default();
                let places = handles.iter().filter_map(|id| {
                    let place = mine.iter().position(|one| one == id)?;
                    Some(mine.swap_remove(place))
                });
                let released = places.collect();
                self.fewer(released);
            }
            // What is between two objects; and what would take long, for nothing.
            Request::Ask(_, Op::Await { .. } | Op::Notify(_) | Op::Repeat(17..)) => {}
            Request::Ask(id, op) => {
                let Some(thing) = self.store.get(id) else { return };
                match thing.ask(op, who, LONGEST, &mut effects) {
                    Some(answer) => {
                        assert!(effects.answers.iter().all(|told| told.desk != desk), "answered twice");
                        let left = std::mem::take(&mut effects.left);
                        self.settle(effects);
                        self.answered(desk, &answer);
                        self.fewer(left);
                    }
                    None => {
                        self.waits.insert(desk, id);
                        self.settle(effects);
                    }
                }
            }
            Request::Census => assert!(self.store.len() <= self.made),
            Request::Stop => {}
        }
    }

    fn settle(&mut self, effects: Effects) {
        for id in effects.entered {
            self.store.one_more(id);
        }
        for told in effects.answers {
            assert!(self.waits.remove(&told.desk).is_some(), "an answer for one who does not wait");
            self.answered(told.desk, &told.answer);
        }
        self.fewer(effects.left);
    }

    fn answered(&mut self, desk: u32, answer: &Answer) {
        let handles = match answer {
            Ok(Reply::Value(Some(item)) | Reply::Item { item, .. }) => item.handles.clone(),
            Ok(Reply::Values(items)) => {
                items.iter().flatten().flat_map(|item| item.handles.clone()).collect()
            }
            Ok(Reply::Items(items)) => items.iter().flat_map(|(_, item)| item.handles.clone()).collect(),
            _ => Vec::new(),
        };
        self.give(asker(desk).session, &handles);
    }

    fn give(&mut self, session: u64, handles: &[Id]) {
        let there = handles.iter().copied().filter(|id| self.store.one_more(*id));
        self.handles.entry(session).or_default().extend(there);
    }

    fn fewer(&mut self, handles: Vec<Id>) {
        for gone in self.store.fewer(handles) {
            self.waits.retain(|_, object| *object != gone);
        }
    }

    fn cancel(&mut self, desk: u32, why: Break) {
        let Some(id) = self.waits.remove(&desk) else { return };
        let mut effects = Effects::default();
        if let Some(thing) = self.store.get(id) {
            thing.cancel(desk, why, &mut effects);
        }
        self.settle(effects);
    }

    /// A client ends.
    fn end(&mut self, session: u64) {
        let desks = [2 * session as u32, 2 * session as u32 + 1];
        desks.iter().for_each(|desk| self.cancel(*desk, Break::Died(asker(*desk).pid)));
        for id in 1..=self.made {
            let mut effects = Effects::default();
            if let Some(thing) = self.store.get(id) {
                thing.session_ended(asker(desks[0]), &mut effects);
            }
            self.settle(effects);
        }
        let handles = self.handles.remove(&session).unwrap_or_default();
        self.fewer(handles);
    }

    /// When all clients have gone, and all objects are emptied.
    fn check_order(&mut self) {
        assert!(self.waits.is_empty(), "somebody waits who has gone");
        let nothing = Packed { bytes: Bytes::from(&[0][..]), handles: Vec::new() };
        for id in 1..=self.made {
            for op in
                [Op::IsLocked, Op::Clear, Op::Set(Place::Here, nothing.clone()), Op::Close { now: true }]
            {
                let Some(thing) = self.store.get(id) else { break };
                let mut effects = Effects::default();
                let answer = thing.ask(op, asker(0), LONGEST, &mut effects);
                assert!(!matches!(answer, Some(Ok(Reply::Flag(true)))), "the dead hold a lock");
                self.settle(effects);
            }
        }
        assert_eq!(self.store.len(), 0, "objects without a handle");
    }
}

/// What was understood is said again, and understood again as the same.
fn through_the_codec(request: &Request) -> Request {
    let said = encoded(request);
    let understood = message::decode(&said).expect("its own bytes");
    assert_eq!(encoded(&understood), said);
    understood
}

fn encoded(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::encode(request, &mut bytes).expect("encodes");
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    // As they come from a connection.
    if let Ok(request) = message::decode::<Request>(bytes) {
        through_the_codec(&request);
    }
    let (mut world, mut drawn) = (World::default(), Drawn(Unstructured::new(bytes)));
    while !drawn.0.is_empty() {
        let (what, desk) = (drawn.byte(), u32::from(drawn.byte()) % DESKS);
        match what {
            0..16 => world.end(asker(desk).session),
            16..32 => world.cancel(desk, Break::TimedOut),
            _ if world.waits.contains_key(&desk) => {}
            _ => {
                let request = Request::deserialize(&mut drawn).expect("whatever is drawn");
                world.request(desk, through_the_codec(&request));
            }
        }
    }
    (0..u64::from(DESKS / 2)).for_each(|session| world.end(session));
    world.check_order();
});
