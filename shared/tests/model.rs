//! The lock word and the permits of a semaphore under every interleaving that counts, by loom: `src/sync/raw.rs`
//! and `src/sync/permits.rs` themselves, the same text that processes run, over the atomics of loom and a kernel
//! of the model's (`model/sys.rs`).
//!
//! The laws are in `model/laws.rs` and `model/semaphore.rs`. Relies on nothing of the crate but the files named
//! below.

#[path = "model/sys.rs"]
mod sys;

#[path = "../src/sync"]
mod sync {
    mod bell;
    mod permits;
    mod raw;
    mod slice;
    mod slots;

    /// One look: to look more often shows the model nothing new.
    mod spin {
        pub(super) fn until(mut there: impl FnMut() -> bool) -> bool {
            there()
        }
    }

    #[path = "../../tests/model/laws.rs"]
    mod laws;
    #[path = "../../tests/model/semaphore.rs"]
    mod semaphore;
}
