//! The words of the primitives under every interleaving that counts, by loom: their source files themselves, the
//! same text that processes run, over the atomics of loom and a kernel of the model's (`model/sys.rs`).
//!
//! The laws of each are in a file of its own: of the lock in `model/laws.rs`, of the others under their names.

mod harness;
#[macro_use]
#[path = "model/stage.rs"]
mod stage;
#[path = "model/sys.rs"]
mod sys;

#[path = "../src/sync"]
mod sync {
    #[allow(dead_code)] // Not every consumer is told of room.
    mod awaited;
    mod bell;
    mod flag;
    mod meeting;
    mod permits;
    mod raw;
    mod slice;
    mod slots;
    mod waiter;
    mod waiters;

    /// One look: to look more often shows the model nothing new.
    mod spin {
        use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
        use loom::thread::yield_now;

        pub(super) fn until(mut there: impl FnMut() -> bool) -> bool {
            there()
        }

        /// What it has learned is nobody else's business. It tells that a wait has begun.
        pub(crate) struct Spin(AtomicBool);

        impl Spin {
            pub(crate) fn new() -> Spin {
                Spin(AtomicBool::new(false))
            }

            pub(super) fn until(&self, mut there: impl FnMut() -> bool) -> bool {
                self.begin();
                there()
            }

            /// The word has been read for the first time.
            pub(super) fn begin(&self) {
                self.0.store(true, SeqCst);
            }

            pub(super) fn await_beginning(&self) {
                while !self.0.load(SeqCst) {
                    yield_now();
                }
            }
        }
    }

    pub(crate) use awaited::{Awaited, Look};
    pub(crate) use spin::Spin;

    #[path = "../../tests/model/laws.rs"]
    pub(crate) mod laws;
    #[path = "../../tests/model/semaphore.rs"]
    pub(crate) mod semaphore;
    #[path = "../../tests/model/semaphore_cast.rs"]
    mod semaphore_cast;

    #[path = "../../tests/model/barrier.rs"]
    pub(crate) mod barrier;
    #[path = "../../tests/model/condition.rs"]
    pub(crate) mod condition;
    #[path = "../../tests/model/event.rs"]
    pub(crate) mod event;
}

/// The words of a queue as they are, and as much memory as a model needs.
#[path = "../src/memory"]
#[allow(dead_code)] // Some is for what the models leave out: bytes, and blocks for them.
mod memory {
    pub(crate) mod ring;

    pub(crate) mod blocks {
        use super::ring::Block;
        use crate::sys::atomic::AtomicU64;
        use crate::sys::task::Owner;
        use nix::errno::Errno;
        use std::cell::Cell;

        pub(crate) const CHUNK: u64 = 2;
        pub(crate) const ENTRIES: u64 = 4;
        const BLOCKS: usize = 6;

        pub(crate) struct Place {
            pub(crate) word: AtomicU64,
            /// Here, the item itself.
            pub(crate) len: AtomicU64,
        }

        /// Chunks only, and each used once.
        pub(crate) struct Blocks {
            entries: Vec<AtomicU64>,
            places: Vec<Place>,
            used: Cell<u32>,
        }

        #[derive(Clone, Copy)]
        pub(crate) struct BlockId(u32);

        impl BlockId {
            pub(crate) fn number(self) -> u32 {
                self.0
            }

            pub(crate) fn checked(number: u32) -> Option<BlockId> {
                ((number as usize) < BLOCKS).then_some(BlockId(number))
            }
        }

        impl Blocks {
            pub(crate) fn new() -> Blocks {
                let zero = || AtomicU64::new(0);
                Blocks {
                    entries: (0..ENTRIES).map(|_| zero()).collect(),
                    places: (0..BLOCKS * CHUNK as usize)
                        .map(|_| Place { word: zero(), len: zero() })
                        .collect(),
                    used: Cell::new(0),
                }
            }

            pub(crate) fn entry(&self, chunk: u64) -> &AtomicU64 {
                &self.entries[(chunk % ENTRIES) as usize]
            }

            pub(crate) fn prepare_entry(&self, _: u64) -> Result<(), Errno> {
                Ok(())
            }

            pub(crate) fn place(&self, block: u32, at: u64) -> Option<&Place> {
                self.places.get(block as usize * CHUNK as usize + (at % CHUNK) as usize)
            }

            pub(crate) fn fetch(&self, _: u64) {}

            pub(crate) fn allot_chunk(&self, _: Owner) -> Result<BlockId, Errno> {
                let number = self.used.replace(self.used.get() + 1);
                BlockId::checked(number).ok_or(Errno::ENOMEM)
            }

            pub(crate) fn link(&self, _: BlockId, _: Block) {}

            pub(crate) fn release(&self, _: BlockId, _: Block, _: usize) {}

            pub(crate) fn reclaim(&self, _: impl Fn(Block, BlockId) -> bool) {}
        }
    }
}

#[path = "../src/channel/queue"]
#[allow(dead_code)] // As above, and for closing at once and joining.
mod queue {
    mod count;
    mod line;
    mod sweep;

    #[path = "../../../tests/model/queue.rs"]
    #[warn(dead_code)] // A law that is not listed would be.
    pub(crate) mod laws;
}

#[path = "../src/channel/connection"]
mod connection {
    mod asleep;

    #[path = "../../../tests/model/connection.rs"]
    pub(crate) mod laws;
}

/// How a manager's server is called, and its clients are woken.
#[path = "../src/manager"]
mod manager {
    mod calls;

    #[path = "../../tests/model/manager.rs"]
    pub(crate) mod laws;
}

/// Each model in a process of its own, as all trials: as threads of one they would hinder one another, since loom
/// maps and unmaps a stack for each thread of each execution.
fn main() {
    let sync = [
        sync::laws::LAWS,
        sync::semaphore::LAWS,
        sync::event::LAWS,
        sync::condition::LAWS,
        sync::barrier::LAWS,
    ];
    let rest = [queue::laws::LAWS, connection::laws::LAWS, manager::laws::LAWS];
    harness::run(&[], &[sync.concat(), rest.concat()].concat(), 2);
}
