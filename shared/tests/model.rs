//! The words of the primitives under every interleaving that counts, by loom: their source files themselves, the
//! same text that processes run, over the atomics of loom and a kernel of the model's (`model/sys.rs`).
//!
//! The laws of each are in a file of its own: of the lock in `model/laws.rs`, of the event in `model/event.rs`, of those
//! who sleep at the end of a connection in `model/connection.rs`.

#[path = "model/sys.rs"]
mod sys;

#[path = "../src/sync"]
mod sync {
    mod flag;
    mod raw;
    mod slice;

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

    #[path = "../../tests/model/event.rs"]
    mod event;
}

#[path = "../src/channel"]
mod channel {
    mod asleep;

    #[path = "../../tests/model/connection.rs"]
    mod connection;
}
