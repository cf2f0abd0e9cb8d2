//! The witnesses: that a lock has one owner, and that of those alive no more have a permit than there are permits.

use crate::kinds::{Kind, Taken};
use crate::scene::Wrong;
use crate::survivor::is_alive;
use shared::memory::Shared;
use shared::sync::Cause;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What a survivor found when it had the lock: whose death the lock reported, and the count.
pub(crate) type Found = (Option<u32>, u64);

/// Two words beside the lock, which all processes see.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    /// The pid of the one who has the lock.
    owner: Shared<AtomicU64>,
    /// How often somebody got the lock while another had it.
    double_owners: Shared<AtomicU64>,
}

impl Witness {
    pub(crate) fn new() -> Witness {
        let word = || Shared::new(AtomicU64::new(0));
        Witness { owner: word(), double_owners: word() }
    }

    /// This process has the lock now, says the lock.
    pub(crate) fn comes(&self, owner: u32) {
        let before = self.owner.swap(owner.into(), SeqCst) as u32;
        if before != 0 && before != owner && is_alive(before) {
            self.double_owners.fetch_add(1, SeqCst);
        }
    }

    /// And is about to give it back.
    fn goes(&self, owner: u32) {
        if self.owner.compare_exchange(owner.into(), 0, SeqCst, SeqCst).is_err() {
            self.double_owners.fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn testify(&self) -> Result<(), Wrong> {
        match self.double_owners.swap(0, SeqCst) {
            0 => Ok(()),
            times => Err(Wrong::DoubleOwner(format!("two owners, {times} times"))),
        }
    }

    /// Notes who has the lock now, and lets the count and the poison say what they say.
    pub(crate) fn hold<'a, K: Kind>(
        &'a self,
        lock: &'a K,
        taken: Taken<K::Guard<'a>>,
    ) -> (Hold<'a, K>, Found) {
        self.comes(process::id());
        let (guard, cause) = match taken {
            Ok(guard) => (guard, None),
            Err(poisoned) => {
                let cause = poisoned.cause();
                lock.clear_poison();
                (poisoned.into_inner(), Some(cause))
            }
        };
        guard.set(guard.get() + 1);
        let died = match cause {
            Some(Cause::OwnerDied { pid }) => Some(pid),
            _ => None,
        };
        let found = (died, guard.get());
        (Hold { _guard: guard, witness: self }, found)
    }
}

/// The lock, held by a survivor.
pub(crate) struct Hold<'a, K: Kind> {
    /// Given back after the witness, as fields are dropped after `drop`.
    _guard: K::Guard<'a>,
    witness: &'a Witness,
}

impl<K: Kind> Drop for Hold<'_, K> {
    fn drop(&mut self) {
        self.witness.goes(process::id());
    }
}

/// How many of those alive have a permit, in a word that all see.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    most: u64,
    pub(crate) count: Shared<AtomicU64>,
    /// How often there were too many.
    too_many: Shared<AtomicU64>,
}

impl Inside {
    pub(crate) fn new(most: u64) -> Inside {
        let word = || Shared::new(AtomicU64::new(0));
        Inside { most, count: word(), too_many: word() }
    }

    pub(crate) fn hold<P>(&self, permit: P) -> Held<'_, P> {
        if self.count.fetch_add(1, SeqCst) >= self.most {
            self.too_many.fetch_add(1, SeqCst);
        }
        Held { _permit: permit, inside: self }
    }

    pub(crate) fn testify(&self) -> Result<(), Wrong> {
        match self.too_many.swap(0, SeqCst) {
            0 => Ok(()),
            times => Err(Wrong::DoubleOwner(format!("more have a permit than there are, {times} times"))),
        }
    }
}

/// A permit, held by a survivor.
pub(crate) struct Held<'a, P> {
    /// Given back after the count, as fields are dropped after `drop`.
    _permit: P,
    inside: &'a Inside,
}

impl<P> Drop for Held<'_, P> {
    fn drop(&mut self) {
        self.inside.count.fetch_sub(1, SeqCst);
    }
}
