//! What both kinds of queue can do: to be made, to take items, to tell about themselves.

/// Writes it for one of them, which has a `road` and a function `over` that makes one with this bound or none.
macro_rules! both {
    ($Queue:ident) => {
        impl<T: Message> $Queue<T> {
            /// An empty queue that takes as many items as there is memory for.
            ///
            /// # Panics
            ///
            /// If there is no memory or no mapping to be had; [`try_new`](Self::try_new) returns that.
            #[track_caller]
            pub fn new() -> $Queue<T> {
                $Queue::try_new().unwrap_or_else(|error| panic!("no shared memory for a queue: {error}"))
            }

            /// An empty queue that takes as many items as there is memory for.
            ///
            /// # Errors
            ///
            /// What `mmap(2)` says when there is no memory or the process has too many mappings (`ENOMEM`).
            pub fn try_new() -> io::Result<$Queue<T>> {
                $Queue::over(None)
            }

            /// An empty queue in which at most `n` items wait: Python's `maxsize`.
            ///
            /// # Panics
            ///
            /// If `n` is 0, or if there is no memory or no mapping to be had; [`try_bounded`](Self::try_bounded)
            /// returns that.
            #[track_caller]
            pub fn bounded(n: usize) -> $Queue<T> {
                $Queue::try_bounded(n).unwrap_or_else(|error| panic!("no queue of {n} items: {error}"))
            }

            /// An empty queue in which at most `n` items wait.
            ///
            /// # Errors
            ///
            /// As [`try_new`](Self::try_new), and [`InvalidInput`](io::ErrorKind::InvalidInput) if `n` is 0.
            pub fn try_bounded(n: usize) -> io::Result<$Queue<T>> {
                match n {
                    0 => Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "a queue has room for at least one item",
                    )),
                    _ => $Queue::over(Some(n as u64)),
                }
            }

            /// Puts an item, waiting for room for as long as it takes. When it returns, every process can get the item.
            ///
            /// # Errors
            ///
            /// [`PutError`], with the item.
            #[doc(alias = "send")]
            pub fn put(&self, item: T) -> Result<(), PutError<T>> {
                match put(&self.road, &item, Patience::EVER) {
                    Ok(()) => Ok(()),
                    Err(why) => Err(PutError::not_put(item, why)),
                }
            }

            /// Puts an item if there is room now: Python's `put_nowait`.
            ///
            /// # Errors
            ///
            /// [`TryPutError`], with the item.
            #[doc(alias = "put_nowait")]
            pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
                match put(&self.road, &item, Patience::None) {
                    Ok(()) => Ok(()),
                    Err(why) => Err(TryPutError::not_put(item, why)),
                }
            }

            /// Puts an item, waiting at most `timeout` for room.
            ///
            /// # Errors
            ///
            /// [`PutTimeoutError`], with the item.
            pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutTimeoutError<T>> {
                match put(&self.road, &item, Patience::of(timeout)) {
                    Ok(()) => Ok(()),
                    Err(why) => Err(PutTimeoutError::not_put(item, why)),
                }
            }
        }

        impl<T> $Queue<T> {
            /// How many items wait to be got; those that somebody has are not among them. Exact if nobody is inside an
            /// operation, and else a number that was true during this call. It looks at each item that came since it
            /// was last asked.
            #[doc(alias = "qsize")]
            pub fn len(&self) -> usize {
                self.road.len() as usize
            }

            /// Whether there is nothing to get.
            pub fn is_empty(&self) -> bool {
                self.road.len() == 0
            }

            /// Whether there is no room to put: never, in a queue without a bound.
            pub fn is_full(&self) -> bool {
                self.road.is_full()
            }

            /// How many items may wait; `None`: no bound.
            #[doc(alias = "maxsize")]
            pub fn capacity(&self) -> Option<usize> {
                self.road.bound().map(|bound| bound as usize)
            }

            /// Whether the queue was closed, in either way.
            pub fn is_closed(&self) -> bool {
                self.road.is_closed()
            }

            /// The queue's number, the same in every process, and that of no other queue.
            pub fn id(&self) -> u64 {
                self.road.id()
            }
        }

        impl<T: Message> Default for $Queue<T> {
            fn default() -> $Queue<T> {
                $Queue::new()
            }
        }

        impl<T> fmt::Debug for $Queue<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Queue))
                    .field("id", &self.id())
                    .field("len", &self.len())
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(super) use both;
