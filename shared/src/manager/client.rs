//! What a process has of a manager: its connections, and the handles that it knows of.
//!
//! A process has a connection for each of its threads that asks at the same time, as a rule one. The first is made
//! when it is first needed, in each process anew: what a fork copied is forgotten.

use super::desk::Hall;
use super::error::ManagerError;
use super::meeting::{self, Hello};
use super::road::Road;
use super::wire::{Id, Reply, Request};
use crate::memory::segment::Segment;
use crate::process;
use crate::sys::atomic::Ordering::{Relaxed, SeqCst};
use crate::sys::clock::Deadline;
use crate::sys::doorbell::Doorbell;
use crate::sys::pidfd;
use crate::sys::task::Owner;
use ipc_channel::ipc::IpcSender;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The managers that this process knows, for handles that come without one.
static FAMILIES: Mutex<Vec<Weak<Family>>> = Mutex::new(Vec::new());

/// The pids of the servers that this process has started: children that have no handles.
static SERVERS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A manager, and this process's part in it. All its members but `own` are the same in each process.
pub(super) struct Family {
    pub(super) number: u64,
    hall: Segment<Hall>,
    bell: Arc<Doorbell>,
    meeting: IpcSender<Hello>,
    /// The server's pidfd.
    server: OwnedFd,
    server_pid: u32,
    own: Mutex<Own>,
    /// It has been seen that the server has ended.
    gone: AtomicBool,
}

/// What a process has for itself.
#[derive(Default)]
struct Own {
    /// Whose this is; a fork copies it.
    owner: Option<Owner>,
    /// The server knows the handles of this process.
    known: bool,
    /// Roads that nobody uses just now.
    idle: Vec<Road>,
    /// How many handles there are to each object. A fork copies them.
    handles: HashMap<Id, u64>,
    /// The last child of which the server has been told that it may have copies.
    told: u64,
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Family {
    pub(super) fn new(
        hall: Segment<Hall>,
        bell: Arc<Doorbell>,
        meeting: IpcSender<Hello>,
        (server, server_pid): (OwnedFd, u32),
    ) -> Arc<Family> {
        static MADE: AtomicU64 = AtomicU64::new(1);
        let number = u64::from(std::process::id()) << 32 | MADE.fetch_add(1, Relaxed);
        let gone = AtomicBool::new(false);
        lock(&SERVERS).push(server_pid);
        let mut own = Own { owner: Some(Owner::current()), ..Own::default() };
        // Children that there are already have nothing of it.
        process::children_since(&mut own.told, &[]);
        let own = Mutex::new(own);
        let family = Arc::new(Family { number, hall, bell, meeting, server, server_pid, own, gone });
        let mut all = lock(&FAMILIES);
        all.retain(|one| one.strong_count() != 0);
        all.push(Arc::downgrade(&family));
        family
    }

    /// The manager of this number.
    pub(super) fn of(number: u64) -> Option<Arc<Family>> {
        lock(&FAMILIES).iter().filter_map(Weak::upgrade).find(|family| family.number == number)
    }

    /// The pid of the server.
    pub(super) fn server_pid(&self) -> u32 {
        self.server_pid
    }

    /// Sends a request and waits for its answer.
    pub(super) fn ask(&self, request: &Request) -> Result<Reply, ManagerError> {
        let mut road = self.road()?;
        // If a handler of signals panics meanwhile, the road is dropped, and the server forgets the request.
        let answer = road.ask(request).inspect_err(|error| self.note(error));
        self.put_back(road, answer.as_ref().err());
        Ok(answer??)
    }

    /// Sends a request that is not answered.
    pub(super) fn tell(&self, request: &Request) -> Result<(), ManagerError> {
        let mut road = self.road()?;
        let told = road.tell(request).inspect_err(|error| self.note(error));
        self.put_back(road, told.as_ref().err());
        told
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        let mut own = lock(&self.own);
        if own.owner.is_none_or(|owner| !owner.is_me()) {
            let handles = std::mem::take(&mut own.handles);
            // Copies of the parent's roads; dropped here, they are not left.
            *own = Own { owner: Some(Owner::current()), handles, ..Own::default() };
        }
        own
    }

    /// A road for this thread alone.
    fn road(&self) -> Result<Road, ManagerError> {
        if self.gone.load(Relaxed) {
            return Err(ManagerError::Gone);
        }
        let mut own = self.own();
        if let Some(road) = own.idle.pop() {
            return Ok(road);
        }
        let me = own.owner.unwrap_or_else(Owner::current);
        drop(own);
        let knock = || {
            self.hall.knocks.0.fetch_add(1, SeqCst);
            if self.hall.is_server_asleep() {
                self.bell.ring();
            }
        };
        let come = meeting::come(&self.meeting, self.server.as_fd(), me.to_word(), knock);
        let (ears, number, longest) = come.inspect_err(|error| self.note(error))?;
        let (hall, bell) = (self.hall.clone(), Arc::clone(&self.bell));
        let mut road = Road::new(hall, bell, me, (ears, number, longest));
        self.make_known(&mut road)?;
        Ok(road)
    }

    /// The first thing that the server hears from a process: of which handles it has copies.
    fn make_known(&self, road: &mut Road) -> Result<(), ManagerError> {
        let mut own = self.own();
        if std::mem::replace(&mut own.known, true) {
            return Ok(());
        }
        let mut handles = Vec::new();
        for (id, count) in &own.handles {
            handles.extend(std::iter::repeat_n(*id, *count as usize));
        }
        drop(own);
        road.tell(&Request::Hold(handles)).inspect_err(|error| self.note(error))
    }

    fn put_back(&self, road: Road, failed: Option<&ManagerError>) {
        match failed {
            None | Some(ManagerError::TooLong { .. }) => self.own().idle.push(road),
            // What has not been written or read of a message is in the way of the next.
            Some(_) => drop(road),
        }
    }

    fn note(&self, error: &ManagerError) {
        if error.is_gone() && pidfd::wait(self.server.as_fd(), Deadline::after(meeting::ENDING)) {
            self.gone.store(true, Relaxed);
        }
    }

    pub(super) fn one_more(&self, id: Id) {
        *self.own().handles.entry(id).or_default() += 1;
    }

    /// A handle has gone. What a child has copied is its own; but until it comes, nobody knows of that but us.
    pub(super) fn one_less(&self, id: Id) {
        let mut own = self.own();
        let children = process::children_since(&mut own.told, &lock(&SERVERS));
        let known = own.known;
        drop(own);
        if !self.gone.load(Relaxed) && (known || !children.is_empty()) {
            // To a server that does not answer there is nothing to say.
            let _ = self.tell(&Request::Release { children, handles: vec![id] });
        }
        let mut own = self.own();
        if let Some(count) = own.handles.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                own.handles.remove(&id);
            }
        }
    }
}
