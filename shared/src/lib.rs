//! Processes, and what they share: the Rust answer to Python's `multiprocessing`, on Linux.
//!
//! ```
//! use shared::{process, sync::Lock};
//!
//! let sum = Lock::new(0);
//! process::scope(|s| {
//!     for i in 1..=4 {
//!         s.spawn(move || println!("process {} adds {i}", process::current().id()));
//!         s.spawn(|| *sum.lock().unwrap() += 10);
//!     }
//! });
//! assert_eq!(*sum.lock().unwrap(), 40);
//! ```
//!
//! # The map
//!
//! Each floor uses those below it, and only those.
//!
//! | floor | what is there |
//! |---|---|
//! | [`manager`] | objects that a process of their own keeps for all others: dicts, lists, locks, queues and more |
//! | [`process`] | starting processes, waiting for them, ending them |
//! | [`channel`] | what they say to one another: [`Queue`](channel::Queue), [`JoinableQueue`](channel::JoinableQueue), [`Connection`](channel::Connection)s, [`wait`](channel::wait()) |
//! | [`sync`] | [`Lock`](sync::Lock), [`ReentrantLock`](sync::ReentrantLock) and [`Semaphore`](sync::Semaphore), which survive the death of their owner; [`Event`](sync::Event), [`Condition`](sync::Condition), [`Barrier`](sync::Barrier) |
//! | [`memory`] | what may lie in shared memory, and [`Shared`](memory::Shared) for bare atomics |
//! | `sys` | the kernel, one file a facility; private |
//!
//! (`demo`, behind a feature, is for the examples of this workspace.)
//!
//! # From Python
//!
//! | Python's `multiprocessing` | here |
//! |---|---|
//! | `Process(target=f, args=(a,)).start()` | [`process::spawn`]`(move \|\| f(a))` |
//! | `p.daemon = True` | [`Builder::daemon`](process::Builder::daemon), or [`spawn_daemon`](process::Scope::spawn_daemon) in a scope |
//! | `p.join()`, `p.exitcode` | [`join`](process::JoinHandle::join): the child's value, or an [`ExitError`](process::ExitError) that says how it ended |
//! | `p.join(timeout)`, `p.is_alive()` | [`wait_timeout`](process::JoinHandle::wait_timeout), [`is_finished`](process::JoinHandle::is_finished) |
//! | `p.terminate()`, `kill()`, `interrupt()`, `p.sentinel` | the same names; the handle is the pidfd ([`AsFd`](std::os::fd::AsFd)) |
//! | `current_process()`, `parent_process()`, `active_children()` | [`process::current`], [`process::parent`], [`process::active_children`] |
//! | `sys.exit(n)`, `atexit.register(f)` | [`process::exit`], [`process::at_exit`] |
//! | `signal.signal`, `alarm`, `pause`, `sigtimedwait` | [`process::signal`] |
//! | `Lock()`, `with lock:` | [`Lock`](sync::Lock), and a guard |
//! | `RLock()` | [`ReentrantLock`](sync::ReentrantLock) |
//! | `Semaphore(n)`, `BoundedSemaphore(n)` | [`Semaphore`](sync::Semaphore), [`BoundedSemaphore`](sync::BoundedSemaphore), and a permit |
//! | `Event()` | [`Event`](sync::Event) |
//! | `Condition(lock)` | [`Condition`](sync::Condition), which takes the lock with its guard |
//! | `Barrier(n, action)` | [`Barrier::new`](sync::Barrier::new), [`Barrier::with_action`](sync::Barrier::with_action) |
//! | `Pipe()`, `Pipe(duplex=False)` | [`channel::duplex`], [`channel::pipe`] |
//! | `conn.send(x)`, `recv()`, `poll(t)`, `EOFError` | the same names of [`Connection`](channel::Connection); [`RecvError::Closed`](channel::RecvError::Closed) |
//! | `multiprocessing.connection.wait` | [`channel::wait`] |
//! | `Value('i', 0)`, `Array('i', 10)` | `Lock::new(0_i32)`, `Lock::new([0_i32; 10])` |
//! | `Queue()`, `Queue(maxsize=n)`, `SimpleQueue()` | [`Queue::new`](channel::Queue::new), [`Queue::bounded`](channel::Queue::bounded); a sentinel is not needed: [`close`](channel::Queue::close), and `for item in &queue` ends |
//! | `queue.Full`, `queue.Empty` | [`TryPutError::Full`](channel::TryPutError::Full), [`TryGetError::Empty`](channel::TryGetError::Empty), and `Timeout` of the calls with one |
//! | `JoinableQueue()` | [`JoinableQueue`](channel::JoinableQueue), which also [leases](channel::Lease) |
//! | `Manager()`: `dict()`, `list()`, `Namespace()`, `Lock()`, `Queue()`, … | [`Manager::start`](manager::Manager::start), and the same names in Rust's spelling ([`Objects`](manager::Objects)) |
//! | `d[k] += 1` through a proxy, which loses updates | [`Dict::add`](manager::Dict::add) and its like, which do not |
//! | `RawValue`, `RawArray` | [`Shared`](memory::Shared) of atomics |
//! | a `ctypes.Structure` | a struct in [`plain!`] |

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("`shared` is for 64-bit Linux: it is built on fork, pidfd and futex");

/// The program of README.md, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
/// The program of the README.md above, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod workspace_readme {}

pub mod channel;
#[cfg(feature = "demo")]
pub mod demo;
pub mod manager;
pub mod memory;
pub mod process;
pub mod sync;
mod sys;
