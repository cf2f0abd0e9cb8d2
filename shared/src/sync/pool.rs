//! What both semaphores are made of: slots in shared memory, and the permits that are taken from them.
#![allow(unsafe_code)]

use super::held::Held;
use super::permits::Permits;
use super::slots::Line;
use crate::memory::segment::Segment;
use crate::sys::clock::Deadline;
use crate::sys::task::Owner;
use std::fmt;
use std::io;
use std::mem::{self, offset_of};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// As many permits as there may be.
pub(super) const MOST: u32 = 65_535;
/// Slots on cache lines of their own: as many processes can come and go without disturbing one another.
const NEAR: usize = 64;
const FAR: usize = MOST as usize - NEAR;

type Shared = Permits<NEAR, FAR, { FAR.div_ceil(64) }>;

/// A permit, held. Dropping it gives it back.
#[must_use = "the permit is given back as soon as it is dropped"]
pub struct Permit<'a> {
    pool: &'a Pool,
    slot: usize,
    held: Held,
}

impl Permit<'_> {
    /// Does away with this permit instead of giving it back; [`release`](super::Semaphore::release) makes another.
    ///
    /// From now on it is nobody's, so this thread may fork again, and no death brings it back.
    pub fn forget(self) {
        self.held.one_less();
        self.pool.shared.forget(self.slot);
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.held.one_less();
        self.pool.shared.give(self.slot);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// Why no permits were made. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// There would be more than there may be, held ones included.
    #[error(
        "cannot release {permits} permit(s): the semaphore has {bound} at most, those that are held included"
    )]
    TooMany {
        /// How many were to be made.
        permits: u32,
        /// How many there may be.
        bound: u32,
    },
    /// There is no memory to keep so many.
    #[error("cannot release {permits} permit(s): no shared memory for them: {source}")]
    NoMemory {
        /// How many were to be made.
        permits: u32,
        /// What `madvise(2)` says.
        source: io::Error,
    },
}

/// What both semaphores are: slots, and how many of them may be in use.
pub(super) struct Pool {
    shared: Segment<Shared>,
    pub(super) bound: u32,
    /// The slot of the last permit that was taken through this handle: the first to be tried.
    home: AtomicUsize,
}

/// The bytes, from the first, in which so many slots lie and all that belongs to them.
fn room_for(slots: usize) -> usize {
    match slots.checked_sub(NEAR) {
        None | Some(0) => offset_of!(Shared, slots.near) + slots * size_of::<Line<AtomicU64>>(),
        Some(far) => offset_of!(Shared, slots.far) + far * size_of::<AtomicU64>(),
    }
}

impl Pool {
    pub(super) fn new(permits: u32, bound: u32) -> io::Result<Pool> {
        if permits > MOST {
            let why = format!("{permits} permits, where {MOST} is the most");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        // SAFETY: zeroes are slots without a permit.
        let shared = unsafe { Segment::sparse() }?;
        let pool = Pool { shared, bound, home: AtomicUsize::new(0) };
        // The first is tried even if there is none.
        pool.shared.populate(room_for(permits.max(1) as usize))?;
        pool.release(permits).map_err(|error| match error {
            ReleaseError::NoMemory { source, .. } => source,
            error => io::Error::other(error),
        })?;
        Ok(pool)
    }

    #[inline]
    pub(super) fn acquire(&self) -> Permit<'_> {
        match self.acquire_by(Deadline::NEVER) {
            Some(permit) => permit,
            None => unreachable!("a wait without a deadline ends with a permit"),
        }
    }

    #[inline]
    pub(super) fn acquire_by(&self, deadline: Deadline) -> Option<Permit<'_>> {
        let home = self.home.load(Relaxed);
        let slot = self.shared.acquire(Owner::current(), home, deadline)?;
        Some(self.permit(home, slot))
    }

    #[inline]
    pub(super) fn try_acquire(&self) -> Option<Permit<'_>> {
        let home = self.home.load(Relaxed);
        let slot = self.shared.try_acquire(Owner::current(), home)?;
        Some(self.permit(home, slot))
    }

    #[inline]
    fn permit(&self, home: usize, slot: usize) -> Permit<'_> {
        if slot != home {
            self.home.store(slot, Relaxed);
        }
        Permit { pool: self, slot, held: Held::one_more() }
    }

    pub(super) fn release(&self, permits: u32) -> Result<(), ReleaseError> {
        let prepare = |slots| self.shared.populate(room_for(slots));
        match self.shared.release(Owner::current(), permits as usize, self.bound as usize, prepare) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ReleaseError::TooMany { permits, bound: self.bound }),
            Err(errno) => Err(ReleaseError::NoMemory { permits, source: errno.into() }),
        }
    }

    pub(super) fn available(&self) -> u32 {
        self.shared.available() as u32
    }
}

impl Clone for Pool {
    fn clone(&self) -> Pool {
        Pool {
            shared: self.shared.clone(),
            bound: self.bound,
            home: AtomicUsize::new(self.home.load(Relaxed)),
        }
    }
}
