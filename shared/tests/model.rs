//! The words of the primitives under every interleaving that counts, by loom: their source files themselves, the
//! same text that processes run, over the atomics of loom and a kernel of the model's (`model/sys.rs`).
//!
//! The laws of each are in a file of its own: of the lock in `model/laws.rs`, of the others under their names.

#[path = "model/sys.rs"]
mod sys;

#[path = "../src/sync"]
mod sync {
    mod bell;
    mod flag;
    mod meeting;
    mod permits;
    mod raw;
    mod slice;
    mod slots;
    mod waiters;

    /// One look: to look more often shows the model nothing new.
    mod spin {
        use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
        use loom::thread::yield_now;

        pub(super) fn until(mut there: impl FnMut() -> bool) -> bool {
            there()
        }

        /// What it has learned is nobody else's business. It tells that a wait has begun.
        pub(super) struct Spin(AtomicBool);

        impl Spin {
            pub(super) fn new() -> Spin {
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

    #[path = "../../tests/model/laws.rs"]
    mod laws;
    #[path = "../../tests/model/semaphore.rs"]
    mod semaphore;

    #[path = "../../tests/model/barrier.rs"]
    mod barrier;
    #[path = "../../tests/model/condition.rs"]
    mod condition;
    #[path = "../../tests/model/event.rs"]
    mod event;
}

#[path = "../src/channel"]
mod channel {
    mod asleep;

    #[path = "../../tests/model/connection.rs"]
    mod connection;
}
