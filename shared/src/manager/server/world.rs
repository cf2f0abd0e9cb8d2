//! A server and its clients on one thread, for tests.

use super::{Limits, Server};
use crate::channel::message;
use crate::manager::desk::{CUT, Hall, Incoming, LEFT, Outgoing};
use crate::manager::meeting::{self, Ears, Hello, Rung};
use crate::manager::road::Road;
use crate::manager::wire::{Answer, Request};
use crate::memory::segment::Segment;
use crate::sys::atomic::Ordering::SeqCst;
use crate::sys::doorbell::Doorbell;
use crate::sys::task::Owner;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use std::io::Write;
use std::sync::Arc;

pub(super) fn bytes_of(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::encode(value, &mut bytes).expect("encodes");
    bytes
}

pub(super) struct World {
    pub(super) server: Server,
    pub(super) hall: Segment<Hall>,
    meeting: IpcSender<Hello>,
    bell: Arc<Doorbell>,
}

/// A connection, without anything that would keep it in order.
pub(super) struct Client {
    pub(super) desk: u32,
    bell: IpcReceiver<Rung>,
}

const LONGEST: u64 = 1 << 20;

impl World {
    pub(super) fn new() -> World {
        let hall = Hall::new().expect("memory");
        let bell = Arc::new(Doorbell::new().expect("a descriptor"));
        let (meeting, met) = meeting::meeting().expect("descriptors");
        let limits = Limits { frame: LONGEST, connections: 16, objects: 1_000_000 };
        let server = Server::new(hall.clone(), &bell, met, limits).expect("descriptors");
        World { server, hall, meeting, bell }
    }

    pub(super) fn client(&mut self) -> Client {
        let (bell, heard) = ipc::channel().expect("descriptors");
        self.meeting.send(Hello { who: Owner::current().to_word(), bell }).expect("the server lives");
        self.hall.knocks.0.fetch_add(1, SeqCst);
        self.server.serve_meeting();
        match heard.recv() {
            Ok(Rung::Welcome { desk, .. }) => Client { desk, bell: heard },
            other => panic!("{other:?}"),
        }
    }

    /// Sends these bytes as a request.
    pub(super) fn write(&mut self, client: &Client, bytes: &[u8]) {
        let hall = self.hall.clone();
        let desk = hall.desk(client.desk);
        let mut outgoing = Outgoing::default();
        outgoing.fill(|to| to.write_all(bytes)).expect("never fails");
        while !outgoing.is_written() && desk.end.0.load(SeqCst) == 0 {
            outgoing.write(&desk.requests).expect("in order");
            self.server.serve_desk(client.desk);
        }
    }

    /// What is answered, if something is.
    pub(super) fn read(&mut self, client: &Client) -> Option<Answer> {
        let hall = self.hall.clone();
        let desk = hall.desk(client.desk);
        let mut incoming = Incoming::default();
        self.server.serve_desk(client.desk);
        while !desk.answers.is_empty() {
            if incoming.read(&desk.answers, u64::MAX).expect("in order") {
                return Some(message::decode(incoming.frame()).expect("an answer"));
            }
            self.server.serve_desk(client.desk);
        }
        None
    }

    pub(super) fn ask(&mut self, client: &Client, request: &Request) -> Option<Answer> {
        self.write(client, &bytes_of(request));
        self.read(client)
    }

    /// The connection, as clients use it.
    pub(super) fn road(&self, Client { desk, bell }: Client) -> Road {
        Road::new(self.hall.clone(), Arc::clone(&self.bell), Owner::current(), (Ears(bell), desk, LONGEST))
    }

    pub(super) fn is_cut(&self, client: &Client) -> bool {
        self.hall.desk(client.desk).end.0.load(SeqCst) == CUT
    }

    pub(super) fn leave(&mut self, client: Client) {
        self.hall.desk(client.desk).end.0.store(LEFT, SeqCst);
        self.server.serve_desk(client.desk);
    }
}
