//! Starting a manager, ending it, and making objects in it.

use super::client::Family;
use super::desk::{DESKS, Hall};
use super::error::{ManagerError, StartError};
use super::handle::Handle;
use super::meeting;
use super::packed::pack;
use super::server::{Limits, Server};
use super::wire::{Kind, Reply, Request};
use super::{
    Array, Barrier, BoundedSemaphore, Condition, Dict, Event, JoinableQueue, List, Lock, Namespace, Queue,
    ReentrantLock, Semaphore, Value,
};
use crate::channel::Message;
use crate::process::signal::{self, Signal};
use crate::process::{self, ExitError, JoinHandle};
use crate::sys::doorbell::Doorbell;
use crate::sys::mask::Blocked;
use std::fmt;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to end when it was asked to.
const GRACE: Duration = Duration::from_millis(500);

/// How the server ended: well, or before it served, with an error of the system.
type Served = Result<(), i32>;

/// A manager, in the process that started it: Python's `Manager()`. At drop it ends, and its objects with it.
///
/// Its server is a child of this process, and a daemon: it ends with this process, whichever way that does. It ignores
/// Ctrl-C, so that others can tidy up. Objects are made through [`Objects`], to which it dereferences.
///
/// ```
/// use shared::manager::Manager;
/// use shared::process;
///
/// let manager = Manager::start()?;
/// let (words, count) = (manager.list::<String>()?, manager.dict::<String, u32>()?);
/// process::scope(|s| {
///     for word in ["a", "b", "a"] {
///         let (words, count) = (&words, &count);
///         s.spawn(move || {
///             words.push(&word.to_owned()).unwrap();
///             count.add(word, &1).unwrap();
///         });
///     }
/// });
/// assert_eq!(words.len()?, 3);
/// assert_eq!(count.get_many(["a", "b", "c"])?, [Some(2), Some(1), None]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Manager {
    objects: Objects,
    /// Until it was waited for.
    server: Option<JoinHandle<Served>>,
    owner: u32,
}

/// A manager to be, with limits.
///
/// ```
/// use shared::manager::{Builder, ManagerError};
///
/// let manager = Builder::new().objects(1).start()?;
/// let list = manager.list::<u8>()?;
/// assert!(matches!(manager.list::<u8>(), Err(ManagerError::TooManyObjects { limit: 1 })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder starts nothing until `start`"]
pub struct Builder {
    limits: Limits,
    initializer: Option<Box<dyn FnOnce() + Send>>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// Requests and answers of 64 MiB, 256 connections and a million objects at most.
    pub fn new() -> Builder {
        Builder {
            limits: Limits { frame: 64 << 20, connections: 256, objects: 1_000_000 },
            initializer: None,
        }
    }

    /// A request, or an answer, has so many bytes at most.
    pub fn longest(mut self, bytes: usize) -> Builder {
        self.limits.frame = bytes as u64;
        self
    }

    /// There are so many connections at most, 1,024 if it is more. A process has one for each of its threads that asks at the same
    /// time. Each takes a descriptor of the server, and each process one more.
    pub fn connections(mut self, most: usize) -> Builder {
        self.limits.connections = most.min(DESKS) as u64;
        self
    }

    /// There are so many objects at most.
    pub fn objects(mut self, most: usize) -> Builder {
        self.limits.objects = most as u64;
        self
    }

    /// Runs in the server before anything else.
    pub fn initializer(mut self, f: impl FnOnce() + Send + 'static) -> Builder {
        self.initializer = Some(Box::new(f));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`StartError`]. Nothing is left of it then.
    pub fn start(self) -> Result<Manager, StartError> {
        let hall = Hall::new().map_err(std::io::Error::from)?;
        let bell = Arc::new(Doorbell::new().map_err(std::io::Error::from)?);
        let (meeting, met) = meeting::meeting()?;
        let Builder { limits, initializer } = self;
        let builder = process::Builder::new().name("manager").daemon(true).ends_with_parent(true);
        let server = {
            let (hall, bell) = (hall.clone(), Arc::clone(&bell));
            // No Ctrl-C before it is ignored. Here that is over with the fork, when the closure goes.
            let blocked = Blocked::all();
            builder.spawn(move || {
                // Of those who come to an end by Ctrl-C the server is the last; and a client that has ended is no reason
                // to end.
                for signal in [Signal::SIGINT, Signal::SIGPIPE] {
                    let _ = signal::ignore(signal);
                }
                drop(blocked);
                if let Some(initializer) = initializer {
                    initializer();
                }
                let mut server = Server::new(hall, &bell, met, limits).map_err(|errno| errno as i32)?;
                server.serve();
                Ok(())
            })?
        };
        let pidfd = server.as_fd().try_clone_to_owned()?;
        let family = Family::new(hall, bell, meeting, (pidfd, server.process().id()));
        let manager =
            Manager { objects: Objects { family }, server: Some(server), owner: std::process::id() };
        manager.wait_until_it_serves()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Manager {
    /// Starts a manager with the usual limits; [`Builder`] sets others.
    ///
    /// # Errors
    ///
    /// [`StartError`]: the fork was refused, or there are no descriptors.
    #[doc(alias = "Manager")]
    pub fn start() -> Result<Manager, StartError> {
        Builder::new().start()
    }

    fn wait_until_it_serves(mut self: Manager) -> Result<Manager, StartError> {
        match self.objects.count() {
            Ok(_) => Ok(self),
            Err(error) => {
                let ended = |server: &JoinHandle<_>| error.is_gone() && server.wait_timeout(GRACE);
                let server = self.server.take_if(|server| ended(server));
                Err(match server.map(JoinHandle::join) {
                    Some(Err(ended)) => StartError::Ended(ended),
                    Some(Ok(Err(errno))) => StartError::System(std::io::Error::from_raw_os_error(errno)),
                    _ => StartError::Manager(error),
                })
            }
        }
    }

    /// Ends it, and waits for the end of its process: Python's `shutdown`. All that its objects hold is gone, and whoever waits
    /// for one of them, in whatever process, gets [`ManagerError::Gone`].
    ///
    /// # Errors
    ///
    /// [`ExitError`]: the server did not end by itself, or had ended before by something else.
    pub fn shutdown(mut self) -> Result<(), ExitError> {
        self.end().unwrap_or(Ok(()))
    }

    fn end(&mut self) -> Option<Result<(), ExitError>> {
        let server = self.server.take()?;
        if std::process::id() != self.owner {
            // A copy: the server is the parent's.
            return None;
        }
        let asked = self.objects.family.ask(&Request::Stop);
        if asked.is_err() || !server.wait_timeout(GRACE) {
            let _ = server.kill();
        }
        Some(server.join().map(drop))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl Deref for Manager {
    type Target = Objects;

    fn deref(&self) -> &Objects {
        &self.objects
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("server", &self.server_pid()).finish_non_exhaustive()
    }
}

/// Makes objects in a manager, in whatever process: a [`Manager`] is one, and a clone of it goes to children.
#[derive(Clone, Debug)]
pub struct Objects {
    family: Arc<Family>,
}

macro_rules! make {
    ($($(#[$doc:meta])* $name:ident $(<$($parameter:ident),+>)? ($($argument:ident: $type:ty),*) -> $object:ty = $kind:expr;)*) => {
        $($(#[$doc])*
        ///
        /// # Errors
        ///
        /// [`ManagerError`]: the manager has ended, or has as many objects as it may have.
        pub fn $name$(<$($parameter: Message),+>)?(&self $(, $argument: $type)*) -> Result<$object, ManagerError> {
            self.make($kind).map(<$object>::new)
        })*
    };
}

impl Objects {
    make! {
        /// A new dict, empty. Of `serde_json::Value`s, unless the types say otherwise.
        dict<K, V>() -> Dict<K, V> = Kind::Dict;
        /// A new list, empty. Of `serde_json::Value`s, unless the type says otherwise.
        list<V>() -> List<V> = Kind::List(Vec::new());
        /// A new namespace, empty.
        namespace() -> Namespace = Kind::Dict;
        /// A new lock, free.
        lock() -> Lock = Kind::Lock { reentrant: false };
        /// A new lock, free, that its holder may take again.
        reentrant_lock() -> ReentrantLock = Kind::Lock { reentrant: true };
        /// A new condition.
        condition() -> Condition = Kind::Condition;
        /// A new semaphore with so many permits.
        semaphore(permits: u32) -> Semaphore = Kind::Semaphore { permits, bounded: false };
        /// A new semaphore that never has more permits than these.
        bounded_semaphore(permits: u32) -> BoundedSemaphore = Kind::Semaphore { permits, bounded: true };
        /// A new event, not set.
        event() -> Event = Kind::Event;
        /// A new barrier for so many.
        barrier(parties: u32) -> Barrier = Kind::Barrier { parties };
        /// A new queue, empty, of so many items at most; of as many as there is memory for, if it is 0.
        queue<T>(bound: u32) -> Queue<T> = Kind::Queue { bound, joinable: false };
        /// The same, that knows when all is done.
        joinable_queue<T>(bound: u32) -> JoinableQueue<T> = Kind::Queue { bound, joinable: true };
    }

    /// A new list of these.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list), and if a value cannot be encoded.
    pub fn list_of<V: Message>(&self, values: &[V]) -> Result<List<V>, ManagerError> {
        self.make(self.all(values)?).map(List::new)
    }

    /// A new dict of these pairs.
    ///
    /// # Errors
    ///
    /// As [`dict`](Self::dict), and if a key or a value cannot be encoded.
    pub fn dict_of<K: Message, V: Message>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Dict<K, V>, ManagerError> {
        let dict = self.dict()?;
        let pairs: Vec<_> = pairs.into_iter().collect();
        dict.update(pairs.iter().map(|(key, value)| (key, value)))?;
        Ok(dict)
    }

    /// A new array of these.
    ///
    /// # Errors
    ///
    /// As [`list_of`](Self::list_of).
    pub fn array<V: Message>(&self, values: &[V]) -> Result<Array<V>, ManagerError> {
        self.make(self.all(values)?).map(Array::new)
    }

    /// A new value.
    ///
    /// # Errors
    ///
    /// As [`list_of`](Self::list_of).
    pub fn value<V: Message>(&self, value: &V) -> Result<Value<V>, ManagerError> {
        self.make(Kind::Value(pack(&self.family, value)?)).map(Value::new)
    }

    /// How many objects there are, those that are in others included: Python's `_number_of_objects`.
    ///
    /// # Errors
    ///
    /// [`ManagerError`]: the manager has ended.
    pub fn count(&self) -> Result<usize, ManagerError> {
        match self.family.ask(&Request::Census)? {
            Reply::Count(count) => Ok(count as usize),
            _ => Ok(0),
        }
    }

    /// The pid of the server.
    pub fn server_pid(&self) -> u32 {
        self.family.server_pid()
    }

    fn all<V: Message>(&self, values: &[V]) -> Result<Kind, ManagerError> {
        values.iter().map(|value| pack(&self.family, value)).collect::<Result<_, _>>().map(Kind::List)
    }

    fn make(&self, kind: Kind) -> Result<Handle, ManagerError> {
        match self.family.ask(&Request::Make(kind))? {
            Reply::Made(id) => Ok(Handle::given(&self.family, id)),
            _ => Err(ManagerError::NotOfThisKind),
        }
    }
}
