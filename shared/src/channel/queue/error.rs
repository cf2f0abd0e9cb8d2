//! Why an operation on a queue failed: one enum for each, and the item that was not put rides back in it.

use super::road::{NotGot, NotPut};
use crate::channel::message::MessageError;
use std::fmt;
use std::io;

const CLOSED: &str = "the queue is closed";
const CORRUPT: &str = "the queue's shared memory was overwritten by a stranger";

macro_rules! put_error {
    ($(#[$doc:meta])* $name:ident $(, $(#[$full_doc:meta])* $full:ident: $full_text:literal)?) => {
        $(#[$doc])*
        #[non_exhaustive]
        pub enum $name<T> {
            $($(#[$full_doc])* $full(T),)?
            /// The queue is closed: Python's `ShutDown`.
            Closed(T),
            /// The item cannot be turned into bytes. The queue is as it was before.
            Encode(T, MessageError),
            /// There is no memory for the item. The queue is as it was before.
            NoMemory(T, io::Error),
            /// Somebody wrote over the words of the queue.
            Corrupt(T),
        }

        impl<T> $name<T> {
            /// The item, which is not in the queue.
            pub fn into_inner(self) -> T {
                match self {
                    $($name::$full(item) => item,)?
                    $name::Closed(item) | $name::Corrupt(item) => item,
                    $name::Encode(item, _) => item,
                    $name::NoMemory(item, _) => item,
                }
            }

            /// `Err`: the codec's.
            pub(super) fn not_put(item: T, why: Result<NotPut, MessageError>) -> $name<T> {
                match why {
                    $(Ok(NotPut::Full) => $name::$full(item),)?
                    Ok(NotPut::NoMemory(errno)) => $name::NoMemory(item, errno.into()),
                    Ok(NotPut::Corrupt) => $name::Corrupt(item),
                    Ok(_) => $name::Closed(item),
                    Err(why) => $name::Encode(item, why),
                }
            }
        }

        impl<T> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($name::$full(_) => f.write_str($full_text),)?
                    $name::Closed(_) => f.write_str(CLOSED),
                    $name::Encode(_, why) => write!(f, "{why}"),
                    $name::NoMemory(_, why) => write!(f, "no memory for the item: {why}"),
                    $name::Corrupt(_) => f.write_str(CORRUPT),
                }
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl<T> std::error::Error for $name<T> {}
    };
}

put_error! {
    /// Why [`put`](super::Queue::put) failed; the item is in it.
    PutError
}
put_error! {
    /// Why [`try_put`](super::Queue::try_put) failed; the item is in it.
    TryPutError,
    /// There is no room now: Python's `queue.Full`.
    Full: "the queue is full"
}
put_error! {
    /// Why [`put_timeout`](super::Queue::put_timeout) failed; the item is in it.
    PutTimeoutError,
    /// There was no room in time: Python's `queue.Full`.
    Timeout: "the queue was full for as long as the call was to wait"
}

macro_rules! get_error {
    ($(#[$doc:meta])* $name:ident $(, $(#[$empty_doc:meta])* $empty:ident: $empty_text:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$empty_doc])* #[error($empty_text)] $empty,)?
            /// The queue is closed, and everything in it has been got.
            #[error("{CLOSED}")]
            Closed,
            /// An item was taken whose bytes are no value of this type. The queue goes on with the next.
            #[error("{0}")]
            Decode(MessageError),
            /// Somebody wrote over the words of the queue.
            #[error("{CORRUPT}")]
            Corrupt,
        }

        impl From<NotGot> for $name {
            fn from(why: NotGot) -> $name {
                match why {
                    $(NotGot::Empty => $name::$empty,)?
                    NotGot::Corrupt => $name::Corrupt,
                    _ => $name::Closed,
                }
            }
        }

        impl From<MessageError> for $name {
            fn from(why: MessageError) -> $name {
                $name::Decode(why)
            }
        }
    };
}

get_error! {
    /// Why [`get`](super::Queue::get) returned no item.
    GetError
}
get_error! {
    /// Why [`try_get`](super::Queue::try_get) returned no item.
    TryGetError,
    /// There is no item now: Python's `queue.Empty`.
    Empty: "the queue is empty"
}
get_error! {
    /// Why [`get_timeout`](super::Queue::get_timeout) returned no item.
    GetTimeoutError,
    /// There was no item in time: Python's `queue.Empty`.
    Timeout: "the queue was empty for as long as the call was to wait"
}

/// Why [`task_done`](super::JoinableQueue::task_done) was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskDoneError {
    /// This process has no item that it got and has not done: called once too often.
    #[error("task_done once too often: this process has done all that it got")]
    NothingToDo,
    /// Somebody wrote over the words of the queue.
    #[error("{CORRUPT}")]
    Corrupt,
}
