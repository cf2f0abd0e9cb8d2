//! Values as bytes, and back.
//!
//! MessagePack, with the names of fields and variants left in: self-describing enough for
//! `serde_json::Value`, untagged enums and `Option` in any nesting, which not every codec is.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::Write;

/// What can be sent from one process to another: whatever `serde` can take apart and put together again.
///
/// Implemented for all such types; there is nothing to implement by hand.
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
pub(crate) fn encode<T: Message>(value: &T, to: &mut impl Write) -> Result<(), MessageError> {
    rmp_serde::encode::write_named(to, value).map_err(|error| MessageError::Encode {
        type_name: std::any::type_name::<T>(),
        reason: error.to_string(),
    })
}

/// The value whose bytes these are: all of them, and nothing after.
pub(crate) fn decode<T: Message>(bytes: &[u8]) -> Result<T, MessageError> {
    let wrong = |reason: String| MessageError::Decode {
        type_name: std::any::type_name::<T>(),
        len: bytes.len(),
        reason,
    };
    let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
    let value = T::deserialize(&mut decoder).map_err(|error| wrong(error.to_string()))?;
    // Nothing may be left: one thing more would at least begin.
    match <()>::deserialize(&mut decoder) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err(wrong("there are more bytes than it takes".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{MessageError, decode, encode};
    use serde::{Deserialize, Serialize};

    fn there_and_back<T: super::Message + PartialEq + std::fmt::Debug>(value: T) {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes).expect("encodes");
        assert_eq!(decode::<T>(&bytes).expect("decodes"), value);
    }

    #[test]
    fn values_of_every_shape_come_back_equal() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Text(String),
        }
        there_and_back(());
        there_and_back((1u8, -2i64, 0.5f32, 'x', "text".to_owned()));
        there_and_back(vec![Some(1), None]);
        there_and_back([Either::Number(1), Either::Text("two".to_owned())]);
        there_and_back(Ok::<u32, String>(1));
        there_and_back(std::collections::BTreeMap::from([("a".to_owned(), vec![1, 2])]));
    }

    #[test]
    fn bytes_cut_short_or_too_many_are_an_error() {
        let mut bytes = Vec::new();
        encode(&"a text".to_owned(), &mut bytes).expect("encodes");
        for len in 0..bytes.len() {
            assert!(matches!(decode::<String>(&bytes[..len]), Err(MessageError::Decode { .. })), "{len}");
        }
        bytes.push(0);
        assert!(decode::<String>(&bytes).is_err());
    }
}
