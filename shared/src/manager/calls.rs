//! How the server is called and a client is woken: the words of it, and no memory and no kernel.
//!
//! # The words
//!
//! ```text
//! Calls::waiting   a bit for each desk: something has changed there that the server has not seen
//! Calls::asleep    1 = the server sleeps, or is about to
//! Nap              AWAKE ─▶ ASLEEP ─▶ RUNG ─▶ AWAKE
//! ```
//!
//! # The transitions
//!
//! ```text
//! call      bit 0 => 1              by a client, after its change; then it looks whether the server sleeps, and rings
//! hear      bits => 0               by the server; then it looks at those desks
//! lie down  asleep 0 => 1           by the server; then it looks for calls once more, and sleeps
//! nap       AWAKE => ASLEEP         by the client; then it looks once more, and listens
//! ring      ASLEEP => RUNG          CAS, by the server, after its change; it then sends one ring
//! rise      ASLEEP or RUNG => AWAKE by the client: by CAS if it has found what it waits for, else when it has
//!                                   received that ring
//! ```
//!
//! # Why it is right
//!
//! *Nobody sleeps through a change.* Whoever changes something changes it and then looks for the sleeper; whoever is to
//! sleep announces himself and then looks for the change; and between the two steps of each lies a full fence. So one of the
//! two sees the other.
//!
//! *At most one ring is under way to a client*, so that to ring never makes the server wait for room: another one takes
//! ASLEEP, which is written by a client alone that has received the last.
//!
//! *Whoever dies.* Of a server that ends between CAS and ring the client hears the end. What a client has changed and not
//! called for is found when its end is noticed.

use crate::sys::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Relaxed, SeqCst},
    fence,
};

const AWAKE: u64 = 0;
const ASLEEP: u64 = 1;
const RUNG: u64 = 2;

/// For so many times 64 desks. All zeroes: nobody has called, and the server is awake.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Calls<const N: usize> {
    waiting: [AtomicU64; N],
    asleep: AtomicU64,
}

impl<const N: usize> Calls<N> {
    #[allow(dead_code)] // The model makes one; in a hall it begins as zeroes.
    pub(super) fn new() -> Calls<N> {
        Calls { waiting: std::array::from_fn(|_| AtomicU64::new(0)), asleep: AtomicU64::new(0) }
    }

    /// In a client, which has changed something at this desk. `true`: the server is to be rung for.
    #[inline]
    pub(super) fn call(&self, desk: usize) -> bool {
        // call
        self.waiting[desk / 64 % N].fetch_or(1 << (desk % 64), AcqRel);
        self.is_asleep()
    }

    /// After a change: whether the server sleeps, or is about to.
    #[inline]
    pub(super) fn is_asleep(&self) -> bool {
        fence(SeqCst);
        self.asleep.load(Relaxed) != 0
    }

    /// In the server: whether anybody has called.
    #[inline]
    pub(super) fn is_called(&self) -> bool {
        self.waiting.iter().any(|word| word.load(Relaxed) != 0)
    }

    /// In the server: the desks that have called. They are not told again.
    #[inline]
    pub(super) fn hear(&self, mut each: impl FnMut(usize)) {
        for (n, word) in self.waiting.iter().enumerate() {
            if word.load(Relaxed) == 0 {
                continue;
            }
            // hear
            let mut bits = word.swap(0, AcqRel);
            while bits != 0 {
                each(n * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }

    /// In the server, before it looks once more and then sleeps.
    pub(super) fn lie_down(&self) {
        // lie down
        self.asleep.store(1, Relaxed);
        fence(SeqCst);
    }

    /// In the server, after it has slept, or has not.
    pub(super) fn rise(&self) {
        self.asleep.store(0, Relaxed);
    }
}

/// The sleep of a client. All zeroes: it is awake.
#[derive(Debug)]
pub(super) struct Nap(AtomicU64);

/// What a client has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Ring,
    /// Nothing, for a while.
    Nothing,
    /// There is no server any more.
    End,
}

impl Nap {
    #[allow(dead_code)] // The model makes one; at a desk it begins as zeroes.
    pub(super) fn new() -> Nap {
        Nap(AtomicU64::new(AWAKE))
    }

    /// In the client: sleeps until it is there; or there is no server any more, and it is not: `false`. `listen` sleeps
    /// once.
    pub(super) fn until(&self, there: impl Fn() -> bool, mut listen: impl FnMut() -> Heard) -> bool {
        // rise, if nobody has rung
        let rises = || self.0.compare_exchange(ASLEEP, AWAKE, Relaxed, Relaxed).is_ok();
        loop {
            // nap
            self.0.store(ASLEEP, Relaxed);
            fence(SeqCst);
            if there() && rises() {
                return true;
            }
            loop {
                match listen() {
                    Heard::Ring => break,
                    Heard::Nothing if there() && rises() => return true,
                    Heard::Nothing => {}
                    // What it wrote before its end is there.
                    Heard::End => return there(),
                }
            }
            // rise
            self.0.store(AWAKE, Relaxed);
            if there() {
                return true;
            }
        }
    }

    /// In the server, which has changed something for this client: `true` if it is to send it a ring.
    #[inline]
    pub(super) fn rings(&self) -> bool {
        fence(SeqCst);
        // ring
        self.0.load(Relaxed) == ASLEEP && self.0.compare_exchange(ASLEEP, RUNG, Relaxed, Relaxed).is_ok()
    }
}
