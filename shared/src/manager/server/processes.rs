//! Processes as the server knows them: how they come and go, and which handles they have.

use super::Server;
use super::session::Session;
use super::store::{Asker, Effects};
use crate::manager::desk::DESKS;
use crate::manager::wire::{Answer, Break, Fault, Id, Reply};
use crate::sys::task::Owner;
use nix::errno::Errno;
use std::os::fd::AsFd;

impl Server {
    /// A process says which handles it has besides those that it was given; with its first word, of which it has copies.
    pub(super) fn hold(&mut self, who: u64, handles: Vec<Id>) {
        let Some(session) = self.sessions.get_mut(&who) else { return };
        session.known = true;
        let lent = std::mem::take(&mut session.lent);
        self.give(who, &handles);
        self.fewer(lent);
    }

    /// Handles for a session.
    pub(super) fn give(&mut self, who: u64, handles: &[Id]) {
        let Some(session) = self.sessions.get_mut(&who) else { return };
        for id in handles {
            if self.store.one_more(*id) {
                *session.handles.entry(*id).or_default() += 1;
            }
        }
    }

    pub(super) fn release(&mut self, who: u64, children: Vec<u64>, handles: Vec<Id>) {
        let lent = self.sessions.get(&who).map(Session::all_handles).unwrap_or_default();
        for child in children {
            self.lend(child, &lent);
        }
        let Some(session) = self.sessions.get_mut(&who) else { return };
        let mut fewer = Vec::new();
        for id in handles {
            if let Some(count) = session.handles.get_mut(&id) {
                *count -= 1;
                fewer.push(id);
                if *count == 0 {
                    session.handles.remove(&id);
                }
            }
        }
        self.fewer(fewer);
    }

    /// A child may have copies of these handles, unless it has said what it has.
    fn lend(&mut self, child: u64, handles: &[Id]) {
        if !self.sessions.contains_key(&child) {
            // One that has ended needs none.
            let Some(owner) = Owner::in_word(child) else { return };
            if self.begin_session(owner).is_err() {
                return;
            }
        }
        let Some(session) = self.sessions.get_mut(&child) else { return };
        if !session.known {
            session.lent.extend(handles.iter().filter(|id| self.store.one_more(**id)));
        }
    }

    pub(super) fn begin_session(&mut self, owner: Owner) -> Result<(), Errno> {
        let session = Session::new(owner)?;
        self.sleeper.watch(session.pidfd.as_fd(), owner.to_word())?;
        self.sessions.insert(owner.to_word(), session);
        Ok(())
    }

    /// A process has ended. What it had asked for, as far as that is whole, is done first.
    pub(super) fn end_session(&mut self, who: u64) {
        let roads = self.sessions.get(&who).map(|session| session.roads.clone()).unwrap_or_default();
        for desk in &roads {
            self.serve_desk(*desk);
        }
        let Some(pid) = self.sessions.get(&who).map(|session| session.owner.pid()) else { return };
        for desk in roads {
            self.close_road(desk, Break::Died(pid));
        }
        let Some(session) = self.sessions.remove(&who) else { return };
        for id in &session.touched {
            let mut effects = Effects::default();
            if let Some(thing) = self.store.get(*id) {
                thing.session_ended(Asker { desk: u32::MAX, session: who, pid }, &mut effects);
            }
            self.settle(*id, effects);
        }
        self.fewer(session.all_handles());
    }

    /// Fewer handles. Who still waits for an object that has gone, by the word of a client that lies, is told so.
    pub(super) fn fewer(&mut self, handles: Vec<Id>) {
        if handles.is_empty() {
            return;
        }
        for gone in self.store.fewer(handles) {
            for desk in 0..DESKS as u32 {
                let road = self.roads[desk as usize].as_ref();
                if road.and_then(|road| road.waits).is_some_and(|waits| waits.object == gone) {
                    self.answer(desk, gone, Err(Fault::NoSuchObject), None);
                }
            }
        }
    }
}

/// An answer's handles.
pub(super) fn handles_of(answer: &Answer) -> Vec<Id> {
    match answer {
        Ok(Reply::Value(Some(item)) | Reply::Item { item, .. }) => item.handles.clone(),
        Ok(Reply::Values(items)) => items.iter().flatten().flat_map(|item| item.handles.clone()).collect(),
        Ok(Reply::Items(items)) => items.iter().flat_map(|(_, item)| item.handles.clone()).collect(),
        Ok(Reply::Made(id)) => vec![*id],
        _ => Vec::new(),
    }
}
