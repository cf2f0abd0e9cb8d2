//! Those who live on: processes that take the lock when they are told to, and say what they found.
//!
//! Whoever gets the lock writes its pid into a witness word beside it. If that word names another process
//! that is alive, the lock has two owners.

use shared::memory::Shared;
use shared::process::{Builder, JoinHandle};
use shared::sync::{Cause, Lock, LockGuard, LockTimeoutError, Poisoned};
use shared::sync::{ReentrantLock, ReentrantLockGuard, TryLockError};
use std::cell::Cell;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// Within this time every survivor must have its answer.
pub(crate) const PROMISED: Duration = Duration::from_secs(1);

/// What `lock` returns.
pub(crate) type Taken<G> = Result<G, Poisoned<G>>;

/// `Lock` and `ReentrantLock`, over a count of how often they were taken.
pub(crate) trait Kind: Clone + Debug + Send + 'static {
    const NAME: &'static str;
    const REENTRANT: bool;
    type Guard<'a>: Deref<Target = Cell<u64>>;

    fn new() -> Self;
    fn lock(&self) -> Taken<Self::Guard<'_>>;
    fn try_lock(&self) -> Option<Taken<Self::Guard<'_>>>;
    fn lock_timeout(&self, timeout: Duration) -> Option<Taken<Self::Guard<'_>>>;
    fn is_locked(&self) -> bool;
    fn poison(&self) -> Option<Cause>;
    fn clear_poison(&self);

    /// The pid in the lock word, which the locks tell in their `Debug` text only.
    fn owner(&self) -> Option<u32> {
        let text = format!("{self:?}");
        text.split_once("owner: Some(")?.1.split_once(')')?.0.parse().ok()
    }
}

macro_rules! kind {
    ($lock:ident, $guard:ident, $reentrant:literal) => {
        impl Kind for $lock<Cell<u64>> {
            const NAME: &'static str = stringify!($lock);
            const REENTRANT: bool = $reentrant;
            type Guard<'a> = $guard<'a, Cell<u64>>;

            fn new() -> Self {
                $lock::new(Cell::new(0))
            }

            #[inline(always)]
            fn lock(&self) -> Taken<Self::Guard<'_>> {
                self.lock()
            }

            #[inline(always)]
            fn try_lock(&self) -> Option<Taken<Self::Guard<'_>>> {
                match self.try_lock() {
                    Ok(guard) => Some(Ok(guard)),
                    Err(TryLockError::Poisoned(poisoned)) => Some(Err(poisoned)),
                    Err(TryLockError::WouldBlock) => None,
                }
            }

            #[inline(always)]
            fn lock_timeout(&self, timeout: Duration) -> Option<Taken<Self::Guard<'_>>> {
                match self.lock_timeout(timeout) {
                    Ok(guard) => Some(Ok(guard)),
                    Err(LockTimeoutError::Poisoned(poisoned)) => Some(Err(poisoned)),
                    Err(LockTimeoutError::Timeout) => None,
                }
            }

            fn is_locked(&self) -> bool {
                self.is_locked()
            }

            fn poison(&self) -> Option<Cause> {
                self.poison()
            }

            fn clear_poison(&self) {
                self.clear_poison();
            }
        }
    };
}

kind!(Lock, LockGuard, false);
kind!(ReentrantLock, ReentrantLockGuard, true);

/// The words that all processes see, beside the lock.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    /// How far the victim is.
    phase: Shared<AtomicU64>,
    /// Not 0: the sleeper is about to call `lock`.
    asking: Shared<AtomicU64>,
    /// The pid of the one who has the lock.
    witness: Shared<AtomicU64>,
    /// How often somebody got the lock while another had it.
    double_owners: Shared<AtomicU64>,
}

/// The operation has begun.
pub(crate) const BEGUN: u64 = 1;
/// It has returned.
pub(crate) const OVER: u64 = 2;

impl Board {
    fn new() -> Board {
        let word = || Shared::new(AtomicU64::new(0));
        Board { phase: word(), asking: word(), witness: word(), double_owners: word() }
    }

    pub(crate) fn phase(&self) -> u64 {
        self.phase.load(SeqCst)
    }

    pub(crate) fn before_operation(&self) {
        self.phase.store(0, SeqCst);
    }

    /// The operation, between two marks that the tracer sees.
    #[inline(always)]
    pub(crate) fn marked<T>(&self, operation: impl FnOnce() -> T) -> T {
        self.phase.store(BEGUN, SeqCst);
        let result = operation();
        self.phase.store(OVER, SeqCst);
        result
    }

    /// This process has the lock now, says the lock.
    pub(crate) fn witness(&self, owner: u32) {
        let before = self.witness.swap(owner.into(), SeqCst) as u32;
        if before != 0 && before != owner && is_alive(before) {
            self.double_owners.fetch_add(1, SeqCst);
        }
    }

    /// And is about to give it back.
    fn witness_gone(&self, owner: u32) {
        if self.witness.compare_exchange(owner.into(), 0, SeqCst, SeqCst).is_err() {
            self.double_owners.fetch_add(1, SeqCst);
        }
    }

    pub(crate) fn take_double_owners(&self) -> u64 {
        self.double_owners.swap(0, SeqCst)
    }
}

/// What a survivor found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// It has, or had, the lock.
    pub(crate) taken: bool,
    /// Whose death the lock reported.
    pub(crate) died: Option<u32>,
    /// How often the lock was taken, by the count under it.
    pub(crate) count: u64,
}

impl Answer {
    fn send(self, line: &mut UnixStream) -> io::Result<()> {
        let words = [self.taken.into(), self.died.unwrap_or(0).into(), self.count];
        line.write_all(&words.map(u64::to_ne_bytes).concat())
    }

    fn receive(line: &mut UnixStream) -> io::Result<Answer> {
        let mut word = || {
            let mut bytes = [0; 8];
            line.read_exact(&mut bytes).map(|()| u64::from_ne_bytes(bytes))
        };
        let (taken, died, count) = (word()?, word()? as u32, word()?);
        Ok(Answer { taken: taken != 0, died: (died != 0).then_some(died), count })
    }
}

/// The lock, held by a survivor.
struct Hold<'a, K: Kind> {
    /// Given back after the witness, as fields are dropped after `drop`.
    _guard: K::Guard<'a>,
    board: &'a Board,
}

impl<'a, K: Kind> Hold<'a, K> {
    fn new(lock: &'a K, board: &'a Board, taken: Taken<K::Guard<'a>>) -> (Hold<'a, K>, Answer) {
        board.witness(process::id());
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
        let answer = Answer { taken: true, died, count: guard.get() };
        (Hold { _guard: guard, board }, answer)
    }
}

impl<K: Kind> Drop for Hold<'_, K> {
    fn drop(&mut self) {
        self.board.witness_gone(process::id());
    }
}

/// What a survivor is told to do. It answers each command.
#[derive(Clone, Copy)]
enum Command {
    /// `lock`, and keep it.
    Hold,
    /// Give it back.
    Release,
    /// `lock`, and give it back.
    Lock,
    /// `lock_timeout` with the promised time, and give it back.
    LockInTime,
}

impl Command {
    const ALL: [Command; 4] = [Command::Hold, Command::Release, Command::Lock, Command::LockInTime];
}

/// A process that takes the lock when it is told to.
#[derive(Debug)]
pub(crate) struct Survivor {
    process: JoinHandle<()>,
    line: UnixStream,
}

impl Survivor {
    fn new<K: Kind>(name: &str, lock: &K, board: &Board) -> Survivor {
        let (line, other_end) = UnixStream::pair().expect("a socket pair");
        let (lock, board) = (lock.clone(), board.clone());
        let process = Builder::new().name(name).daemon(true);
        let process = process.spawn(move || Survivor::serve(&lock, &board, other_end)).expect("a process");
        Survivor { process, line }
    }

    fn serve<K: Kind>(lock: &K, board: &Board, mut line: UnixStream) {
        let mut held = None;
        let mut command = [0];
        while line.read_exact(&mut command).is_ok() {
            let told = Command::ALL[usize::from(command[0])];
            let taken = match told {
                Command::Release => None,
                Command::LockInTime => lock.lock_timeout(PROMISED),
                Command::Lock | Command::Hold => {
                    board.asking.store(1, SeqCst);
                    Some(lock.lock())
                }
            };
            let (hold, answer) = match taken.map(|taken| Hold::new(lock, board, taken)) {
                Some((hold, answer)) => (Some(hold), answer),
                None => (None, Answer { taken: false, died: None, count: 0 }),
            };
            // Given back before the answer, so that it is free when the tracer looks.
            held = hold.filter(|_| matches!(told, Command::Hold));
            if answer.send(&mut line).is_err() {
                break;
            }
        }
        drop(held);
    }

    fn tell(&mut self, command: Command) {
        self.line.write_all(&[command as u8]).expect("a survivor that listens");
    }

    /// `None`: it has not answered by then.
    fn answer(&mut self, deadline: Instant) -> Option<Answer> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.line.set_read_timeout(Some(left.max(Duration::from_millis(1)))).expect("a time limit");
        Answer::receive(&mut self.line).ok()
    }

    fn end(self) {
        let _ = self.process.kill();
        let _ = self.process.join();
    }
}

/// A lock and its survivors.
#[derive(Debug)]
pub(crate) struct World<K> {
    pub(crate) lock: K,
    pub(crate) board: Board,
    holder: Survivor,
    sleeper: Survivor,
    control: Survivor,
    holds: bool,
    sleeps: bool,
    /// How often the lock must have been taken.
    pub(crate) taken: u64,
}

impl<K: Kind> World<K> {
    pub(crate) fn new() -> World<K> {
        let (lock, board) = (K::new(), Board::new());
        let survivor = |name| Survivor::new(name, &lock, &board);
        let (holder, sleeper, control) = (survivor("holder"), survivor("sleeper"), survivor("control"));
        World { lock, board, holder, sleeper, control, holds: false, sleeps: false, taken: 0 }
    }

    /// The holder takes the lock, which is free.
    pub(crate) fn hold(&mut self) -> bool {
        self.holder.tell(Command::Hold);
        self.holds = true;
        self.taken += 1;
        self.holder.answer(Instant::now() + PATIENCE).is_some()
    }

    /// The holder gives it back, if it has it.
    pub(crate) fn release(&mut self) -> bool {
        if !self.holds {
            return true;
        }
        self.holder.tell(Command::Release);
        self.holds = false;
        self.holder.answer(Instant::now() + PATIENCE).is_some()
    }

    /// The sleeper calls `lock`, and this returns when it sleeps.
    pub(crate) fn put_to_sleep(&mut self) {
        self.board.asking.store(0, SeqCst);
        self.sleeper.tell(Command::Lock);
        self.sleeps = true;
        self.taken += 1;
        let pid = self.sleeper.process.process().id();
        let asleep = || self.board.asking.load(SeqCst) == 1 && state(pid) == Some('S');
        assert!(wait_until(PATIENCE, asleep), "the sleeper does not go to sleep: {:?}", self.lock);
    }

    /// What the sleeper has to say, if there is one, and then the control. `None`: one had no answer.
    pub(crate) fn answers(&mut self, death: Instant) -> Option<Vec<Answer>> {
        let mut answers = Vec::new();
        if std::mem::take(&mut self.sleeps) {
            answers.push(self.sleeper.answer(death + PROMISED)?);
        }
        self.control.tell(Command::LockInTime);
        self.taken += 1;
        answers.push(self.control.answer(death + PROMISED).filter(|answer| answer.taken)?);
        Some(answers)
    }

    pub(crate) fn end(self) {
        for survivor in [self.holder, self.sleeper, self.control] {
            survivor.end();
        }
    }
}

/// For what must happen, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again, for so long.
pub(crate) fn wait_until(limit: Duration, mut there: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !there() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_micros(20));
    }
    true
}

/// The state of a process by `/proc`: `S` is asleep.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn is_alive(pid: u32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}
