//! What the server knows of its clients: processes, and the roads by which they ask.

use crate::manager::desk::{Incoming, Outgoing};
use crate::manager::meeting::Bell;
use crate::manager::wire::{Id, Packed};
use crate::sys::pidfd;
use crate::sys::task::Owner;
use nix::errno::Errno;
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::time::Instant;

/// A process, from its first word, or from that of its parent, to its end.
#[derive(Debug)]
pub(super) struct Session {
    /// Tells of its end.
    pub(super) pidfd: OwnedFd,
    pub(super) owner: Owner,
    pub(super) roads: HashSet<u32>,
    /// How many handles it has to each object.
    pub(super) handles: HashMap<Id, u64>,
    /// It has said of which handles it has copies. Until then these are those that its parent had when it was forked.
    pub(super) known: bool,
    pub(super) lent: Vec<Id>,
    /// What it may hold, or has held.
    pub(super) touched: HashSet<Id>,
}

impl Session {
    /// Of a process that lives.
    pub(super) fn new(owner: Owner) -> Result<Session, Errno> {
        let pidfd = pidfd::open(owner.pid())?;
        // Asked after the descriptor was opened: that is of this process, and not of one with its pid.
        if owner.has_ended() {
            return Err(Errno::ESRCH);
        }
        let (roads, handles, touched) = (HashSet::new(), HashMap::new(), HashSet::new());
        Ok(Session { pidfd, owner, roads, handles, known: false, lent: Vec::new(), touched })
    }

    /// All its handles, each as often as it has it.
    pub(super) fn all_handles(&self) -> Vec<Id> {
        let each = self.handles.iter();
        let each = each.flat_map(|(id, count)| std::iter::repeat_n(*id, *count as usize));
        each.chain(self.lent.iter().copied()).collect()
    }
}

/// A connection, seen from the server.
#[derive(Debug)]
pub(super) struct Road {
    pub(super) session: u64,
    pub(super) bell: Option<Bell>,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    pub(super) waits: Option<Waits>,
    /// What the last answer gave, until it is known to have been read.
    pub(super) given: Option<Given>,
}

/// The request that came last is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// For this object.
    pub(super) object: Id,
    pub(super) until: Option<Instant>,
}

/// What was given with an answer, and is taken back if nobody reads that.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Lock { lock: Id, notified: Option<Id> },
    Permit(Id),
    Item { queue: Id, item: Packed, serial: u64, delivery: u32 },
}
