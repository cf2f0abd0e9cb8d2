//! The peers and limits that need raw libc: `fork`, `mmap`, `futex`, `pthread_mutex_t` and `sem_t`.
#![allow(unsafe_code)]

use crate::locks::{Counter, add_one};
use crate::semaphores::Rooms;
use crate::wakes::Baton;
use nix::libc;
use std::cell::UnsafeCell;
use std::hint;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// What nothing that forks can go under. The child does what `child` says first.
pub(crate) fn fork_and_wait(child: impl FnOnce()) {
    // SAFETY: the child stores a number or does nothing, and calls `_exit`, which is allowed whatever the parent
    // was doing.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        child();
        // SAFETY: it takes a number and does not return.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the kernel writes one number, for which there is room.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0);
}

/// A `T` in shared memory of its own, for the rest of the program.
///
/// # Safety
///
/// All zeroes must be a value of `T`.
pub(crate) unsafe fn map<T>() -> &'static T {
    const { assert!(size_of::<T>() <= 4096 && align_of::<T>() <= 4096) };
    // SAFETY: a page of zeroes, large and aligned enough, never unmapped; the caller allows zeroes.
    unsafe { &*map_bytes(4096).cast() }
}

/// Zeroes in shared memory, for the rest of the program, from the beginning of a page. All pages are there at once.
pub(crate) fn map_bytes(len: usize) -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
    // SAFETY: the kernel chooses an address where nothing lies yet.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    start.cast()
}

/// An atomic in shared memory.
pub(crate) fn bare_atomic() -> &'static AtomicU64 {
    // SAFETY: zeroes are an atomic.
    unsafe { map() }
}

/// A lock as C has it, and what it guards right behind it, where ours has it too.
#[repr(C)]
struct Guarded<L> {
    lock: UnsafeCell<L>,
    value: UnsafeCell<u64>,
}

impl<L> Guarded<L> {
    fn add_one(&self) {
        // SAFETY: called by the owner of `lock`, so nobody else reaches the value.
        add_one(unsafe { &mut *self.value.get() });
    }

    fn value(&self) -> u64 {
        // SAFETY: called when those who counted have ended.
        unsafe { *self.value.get() }
    }
}

/// The least that a lock can do: one CAS to take it, one exchange to give it back.
pub(crate) struct CasAndSwap(&'static Guarded<AtomicU32>);

// SAFETY: the value is reached by the owner of the lock alone.
unsafe impl Sync for CasAndSwap {}

impl CasAndSwap {
    pub(crate) fn new() -> CasAndSwap {
        // SAFETY: zeroes are a free lock and the number 0.
        CasAndSwap(unsafe { map() })
    }
}

impl Counter for CasAndSwap {
    #[inline(always)]
    fn increment(&self) {
        // SAFETY: an atomic may be reached by everybody.
        let word = unsafe { &*self.0.lock.get() };
        while word.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            hint::spin_loop();
        }
        self.0.add_one();
        word.swap(0, Release);
    }

    fn total(&self) -> Option<u64> {
        Some(self.0.value())
    }
}

/// `pthread_mutex_t`, shared among processes.
pub(crate) struct Pthread(&'static Guarded<libc::pthread_mutex_t>);

// SAFETY: the value is reached by the owner of the mutex alone.
unsafe impl Sync for Pthread {}

impl Pthread {
    pub(crate) fn new(robust: bool) -> Pthread {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are made by the first call, before the others use them; the mutex has
        // its final place before anybody locks it, and stays there.
        unsafe {
            let guarded: &'static Guarded<libc::pthread_mutex_t> = map();
            assert_eq!(libc::pthread_mutexattr_init(attributes.as_mut_ptr()), 0);
            let attributes = attributes.as_mut_ptr();
            assert_eq!(libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED), 0);
            if robust {
                assert_eq!(libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST), 0);
            }
            assert_eq!(libc::pthread_mutex_init(guarded.lock.get(), attributes), 0);
            Pthread(guarded)
        }
    }
}

impl Counter for Pthread {
    #[inline(always)]
    fn increment(&self) {
        // SAFETY: `new` has made a mutex there; who locked it unlocks it.
        assert_eq!(unsafe { libc::pthread_mutex_lock(self.0.lock.get()) }, 0);
        self.0.add_one();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(self.0.lock.get()) }, 0);
    }

    fn total(&self) -> Option<u64> {
        Some(self.0.value())
    }
}

/// The least that it takes to be waited for awake: a store, and looks without a pause.
pub(crate) struct SpinWord(&'static AtomicU64);

impl Baton for SpinWord {
    fn new() -> SpinWord {
        SpinWord(bare_atomic())
    }

    #[inline(always)]
    fn give(&self) {
        self.0.store(1, Release);
    }

    #[inline(always)]
    fn take(&self) {
        while self.0.load(Acquire) == 0 {
            hint::spin_loop();
        }
        self.0.store(0, Relaxed);
    }
}

/// The least that it takes to be waited for awake with a lock around it: a CAS and a swap for each turn of the
/// lock, and a counter that says when to look again.
pub(crate) struct SpinCondition {
    /// A cache line each, as ours have.
    lock: &'static AtomicU64,
    flag: &'static AtomicU64,
    notified: &'static AtomicU64,
}

impl SpinCondition {
    #[inline(always)]
    fn lock(&self) {
        while self.lock.load(Relaxed) != 0 || self.lock.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            hint::spin_loop();
        }
    }

    #[inline(always)]
    fn unlock(&self) {
        self.lock.swap(0, Release);
    }
}

impl Baton for SpinCondition {
    fn new() -> SpinCondition {
        SpinCondition { lock: bare_atomic(), flag: bare_atomic(), notified: bare_atomic() }
    }

    #[inline(always)]
    fn give(&self) {
        self.lock();
        self.flag.store(1, Relaxed);
        self.unlock();
        self.notified.fetch_add(1, Release);
    }

    #[inline(always)]
    fn take(&self) {
        self.lock();
        while self.flag.load(Relaxed) == 0 {
            let before = self.notified.load(Relaxed);
            self.unlock();
            while self.notified.load(Acquire) == before {
                hint::spin_loop();
            }
            self.lock();
        }
        self.flag.store(0, Relaxed);
        self.unlock();
    }
}

/// The least that it takes to be waited for asleep: a store and a wake, a look and a sleep without an end.
pub(crate) struct FutexWord(&'static AtomicU32);

impl Baton for FutexWord {
    fn new() -> FutexWord {
        // SAFETY: zeroes are an atomic.
        FutexWord(unsafe { map() })
    }

    #[inline(always)]
    fn give(&self) {
        self.0.store(1, Release);
        // SAFETY: the kernel takes the address as a key and reads nothing.
        unsafe { libc::syscall(libc::SYS_futex, self.0, libc::FUTEX_WAKE, 1) };
    }

    #[inline(always)]
    fn take(&self) {
        while self.0.swap(0, Acquire) == 0 {
            // SAFETY: the kernel reads four bytes, which are there for ever.
            unsafe {
                libc::syscall(libc::SYS_futex, self.0, libc::FUTEX_WAIT, 0, ptr::null::<libc::timespec>())
            };
        }
    }
}

/// `sem_t`, shared among processes: what Python's `Semaphore` is made of, and with one permit its `Lock`.
pub(crate) struct Semaphore(&'static Guarded<libc::sem_t>);

// SAFETY: the value is reached by `increment` alone, which is for a semaphore of one permit.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    pub(crate) fn new(permits: u32) -> Semaphore {
        // SAFETY: zeroes are room for a semaphore, which `sem_init` makes before anybody uses it.
        unsafe {
            let guarded: &'static Guarded<libc::sem_t> = map();
            assert_eq!(libc::sem_init(guarded.lock.get(), 1, permits), 0);
            Semaphore(guarded)
        }
    }
}

impl Rooms for Semaphore {
    #[inline(always)]
    fn enter_and_leave(&self, inside: impl FnOnce()) {
        // SAFETY: `new` has made a semaphore there. It fails when a signal interrupts it: then again.
        while unsafe { libc::sem_wait(self.0.lock.get()) } != 0 {}
        inside();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::sem_post(self.0.lock.get()) }, 0);
    }
}

impl Counter for Semaphore {
    #[inline(always)]
    fn increment(&self) {
        self.enter_and_leave(|| self.0.add_one());
    }

    fn total(&self) -> Option<u64> {
        Some(self.0.value())
    }
}
