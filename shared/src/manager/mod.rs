//! Objects that many processes share, kept by one process for all: Python's `multiprocessing.Manager`.
//!
//! A [`Manager`] is a server, a process of its own, with objects in it. What others have is a *proxy*: each of its calls is a
//! request that the server carries out, one after the other, and so nobody comes in between. In memory that a fork shares there
//! can be numbers; here there can be whatever `serde` takes apart, of whatever size, and it can grow. The price is a
//! round trip, which takes about a microsecond if both sides are awake.
//!
//! ```
//! use serde_json::json;
//! use shared::manager::{Dict, Manager};
//! use shared::process;
//!
//! let manager = Manager::start()?;
//! let people: Dict = manager.dict()?;
//! process::scope(|s| {
//!     for (name, age) in [("Anna", 31), ("Ben", 32)] {
//!         let people = &people;
//!         s.spawn(move || people.insert(name, &json!({ "age": age })).unwrap());
//!     }
//! });
//! assert_eq!(json!(people.copy()?), json!({ "Anna": { "age": 31 }, "Ben": { "age": 32 } }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Proxies
//!
//! * **Sharing.** A proxy is `Clone + Send + Sync`. Children get it by the fork, moved or borrowed, and theirs; each process makes a
//!   connection of its own when it first needs one.
//! * **In other objects.** A proxy can be a value, or a part of one, in a dict, a list, a queue of the same manager, through any number
//!   of levels: `Dict<String, List<i32>>`. Whoever gets it there has a handle to the same object.
//! * **An object lives** as long as anybody has a handle to it, a process or another object. Two that have handles to one another
//!   live as long as the manager. A child that was started has, until it first asks for something, all handles that its
//!   parent had. (One that is killed before that takes with it what it alone has handed on, to children of its own.)
//! * **Waiting**, for a lock or an item, is done in the server's list; the process sleeps. Whoever comes first is served first.
//!   Handlers of signals run meanwhile.
//!
//! # When a process is killed
//!
//! * **A client.** A request that had come wholly is carried out, another is not. Its locks go to the next, who gets a
//!   [`Poisoned`](crate::sync::Poisoned) with its pid; its permits come back, an item of a [`JoinableQueue`] that it had not done goes to
//!   the next, a barrier at which it waited breaks. All that within a second, as a rule at once. What it was given in an answer
//!   that it had not read is taken back: a lock is free, without poison, and an item is the next one's.
//! * **The manager.** Whoever waits and whoever asks gets [`ManagerError::Gone`], at once. Who had asked for a change, and had no
//!   answer yet, gets [`ManagerError::Unknown`]: it may have been made. Nothing is asked twice.
//! * **Its owner.** The manager ends with it.

mod calls;
mod client;
mod desk;
mod error;
mod handle;
mod meeting;
mod packed;
mod road;
mod server;
mod wire;

/// What every proxy has: a handle, its number, and the way in which it travels.
macro_rules! proxy {
    ($name:ident $(<$($parameter:ident),+>)?, $called:literal) => {
        impl$(<$($parameter),+>)? $name$(<$($parameter),+>)? {
            pub(super) fn new(handle: $crate::manager::handle::Handle) -> Self {
                Self { handle: std::sync::Arc::new(handle), $(types: std::marker::PhantomData::<fn() -> ($($parameter,)+)>)? }
            }

            /// The object's number: the same in every process, and never another object's of this manager.
            pub fn id(&self) -> u64 {
                self.handle.id()
            }
        }

        impl$(<$($parameter),+>)? Clone for $name$(<$($parameter),+>)? {
            /// Another handle to the same object.
            fn clone(&self) -> Self {
                Self { handle: std::sync::Arc::clone(&self.handle), $(types: std::marker::PhantomData::<fn() -> ($($parameter,)+)>)? }
            }
        }

        impl$(<$($parameter),+>)? std::fmt::Debug for $name$(<$($parameter),+>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field("id", &self.id()).finish_non_exhaustive()
            }
        }

        impl$(<$($parameter),+>)? serde::Serialize for $name$(<$($parameter),+>)? {
            /// The handle, to be kept in another object. In any other text or message it is a number that keeps nothing alive.
            fn serialize<S_: serde::Serializer>(&self, serializer: S_) -> Result<S_::Ok, S_::Error> {
                $crate::manager::packed::serialize(&self.handle, $called, serializer)
            }
        }

        impl<'de_, $($($parameter),+)?> serde::Deserialize<'de_> for $name$(<$($parameter),+>)? {
            fn deserialize<D_: serde::Deserializer<'de_>>(deserializer: D_) -> Result<Self, D_::Error> {
                Ok(Self::new($crate::manager::packed::deserialize($called, deserializer)?))
            }
        }
    };
}

mod array;
mod barrier;
mod condition;
mod dict;
mod event;
mod joinable;
mod list;
mod lock;
mod namespace;
mod queue;
mod semaphore;
mod start;
mod value;

pub use array::Array;
pub use barrier::Barrier;
pub use condition::Condition;
pub use dict::Dict;
pub use error::{BarrierError, LockError, ManagerError, PutError, StartError};
pub use event::Event;
pub use joinable::{JoinableQueue, Lease};
pub use list::List;
pub use lock::{Guard, Lock, LockGuard, Locks, ReentrantLock, ReentrantLockGuard};
pub use namespace::Namespace;
pub use queue::{Items, Queue};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
pub use start::{Builder, Manager, Objects};
pub use value::Value;
