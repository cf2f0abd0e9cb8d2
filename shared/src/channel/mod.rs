//! What processes say to one another. So far: how a value becomes bytes and bytes a value.

pub(crate) mod message;

pub use message::{Message, MessageError};
