//! Values as bytes, and back.
//!
//! MessagePack, with the names of fields and variants left in: self-describing enough for `serde_json::Value`, untagged
//! enums and flattened structs, which not every codec is. It calls itself human-readable, as those who take the bytes
//! apart for an untagged enum do not know better: else an `IpAddr` in one would go in and not come out.

mod access;
mod arrival;
mod decoder;
mod encoder;
mod marker;
mod parts;
#[cfg(test)]
mod tests;

pub(crate) use arrival::{Arrival, decode_and_copy};
use decoder::Decoder;
use encoder::Encoder;
use serde::{Serialize, de::DeserializeOwned};
use std::cell::Cell;
use std::io::Write;

/// What can be sent from one process to another: whatever `serde` can take apart and put together again.
///
/// Implemented for all such types; there is nothing to implement by hand. Any value comes back equal if it is nested
/// no more than 256 times (sequences, maps, newtypes, `Some` and what is in a variant); else it is refused when it is sent.
pub trait Message: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Message for T {}

/// Why a value could not be turned into bytes, or bytes into a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The type's own `Serialize` refused, or there was no room for the bytes.
    #[error("a value of type {type_name} cannot be encoded: {reason}")]
    Encode {
        /// What was to be sent.
        type_name: &'static str,
        /// What the codec says.
        reason: String,
    },
    /// The bytes are no value of the type.
    #[error("{len} bytes are no value of type {type_name}: {reason}")]
    Decode {
        /// What was expected.
        type_name: &'static str,
        /// How many bytes there were.
        len: usize,
        /// What the codec says.
        reason: String,
    },
}

/// Writes the bytes of `value`.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, to: &mut impl Write) -> Result<(), MessageError> {
    value.serialize(&mut Encoder::new(to)).map_err(|error| MessageError::Encode {
        type_name: std::any::type_name::<T>(),
        reason: error.to_string(),
    })
}

/// The value whose bytes these are: all of them, and nothing after.
pub(crate) fn decode<T: Message>(bytes: &[u8]) -> Result<T, MessageError> {
    decode_with(bytes, &mut Vec::new())
}

/// The same, of bytes and the long text that follows them.
fn decode_with<T: Message>(bytes: &[u8], text: &mut Vec<u8>) -> Result<T, MessageError> {
    let len = bytes.len() + text.len();
    let wrong = |reason: String| MessageError::Decode { type_name: std::any::type_name::<T>(), len, reason };
    let mut decoder = Decoder::new(bytes, text);
    let value = T::deserialize(&mut decoder).map_err(|error| wrong(error.to_string()))?;
    if decoder.is_at_end() { Ok(value) } else { Err(wrong("there are more bytes than it takes".to_owned())) }
}

/// A buffer of this thread's, empty. (Who encodes may send something else meanwhile: that gets a new one.)
#[inline]
pub(crate) fn with_buffer<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    /// So much every thread may keep for the next time,
    const KEPT: usize = 64 << 10;
    /// and so much if it has just needed a good part of it: fresh pages for each would take longer than all else.
    const KEPT_IF_USED: usize = 4 << 20;
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut bytes = BUFFER.try_with(Cell::take).unwrap_or_default();
    bytes.clear();
    let result = work(&mut bytes);
    let most = if bytes.len() >= bytes.capacity() / 4 { KEPT_IF_USED } else { KEPT };
    if bytes.capacity() <= most {
        let _ = BUFFER.try_with(|buffer| buffer.set(bytes));
    }
    result
}
