//! A message on its way out of shared memory.
//!
//! Its bytes are copied before they are looked at, since others can write what is shared. A message that is one text
//! and nothing besides is copied to where it stays, and not once more into its `String`.

use super::marker::{TEXT_8, TEXT_16, TEXT_32};
use super::{Message, MessageError, decode_with};
use std::ops::Range;

/// The longest marker, with its length.
const HEAD: usize = 5;

/// A text of fewer bytes is copied soon in any way.
const LONG: usize = 1 << 10;

/// Where the bytes of one message go.
pub(crate) struct Arrival<'a> {
    pub(crate) bytes: &'a mut Vec<u8>,
    /// What follows them, if that is a text and the end.
    text: Vec<u8>,
    may_be_text: bool,
}

impl<'a> Arrival<'a> {
    /// A value: into this buffer, which is empty.
    #[inline]
    pub(crate) fn value(bytes: &'a mut Vec<u8>) -> Arrival<'a> {
        Arrival { bytes, text: Vec::new(), may_be_text: true }
    }

    /// Bytes that stay bytes.
    pub(crate) fn bytes(bytes: &'a mut Vec<u8>) -> Arrival<'a> {
        Arrival { bytes, text: Vec::new(), may_be_text: false }
    }

    /// Takes `len` bytes, of which `read` appends a range, or says `false`: there are none such.
    pub(crate) fn take(&mut self, len: usize, read: impl Fn(Range<usize>, &mut Vec<u8>) -> bool) -> bool {
        if !self.may_be_text || len <= HEAD {
            return read(0..len, self.bytes);
        }
        if !read(0..HEAD, self.bytes) {
            return false;
        }
        match head_of_text(self.bytes, len) {
            Some(head) => {
                self.bytes.truncate(head);
                read(head..len, &mut self.text)
            }
            None => read(HEAD..len, self.bytes),
        }
    }

    /// The value that has come.
    #[inline]
    pub(crate) fn decode<T: Message>(&mut self) -> Result<T, MessageError> {
        decode_with(self.bytes, &mut self.text)
    }
}

/// The value whose bytes these are. If it is one long text, that is copied as the caller says.
pub(crate) fn decode_and_copy<T: Message>(
    bytes: &[u8],
    copy: impl FnOnce(&[u8], &mut Vec<u8>),
) -> Result<T, MessageError> {
    let head = if bytes.len() < LONG { None } else { head_of_text(bytes, bytes.len()) };
    let (head, rest) = bytes.split_at(head.unwrap_or(bytes.len()));
    let mut text = Vec::new();
    copy(rest, &mut text);
    decode_with(head, &mut text)
}

/// How long the head of a message is, if a text of all the other bytes follows it.
fn head_of_text(first: &[u8], len: usize) -> Option<usize> {
    let (head, text) = match *first {
        [TEXT_8, a, ..] => (2, a.into()),
        [TEXT_16, a, b, ..] => (3, u16::from_be_bytes([a, b]).into()),
        [TEXT_32, a, b, c, d, ..] => (HEAD, u32::from_be_bytes([a, b, c, d])),
        _ => return None,
    };
    (text > 0 && len - head == text as usize).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::{Arrival, decode_and_copy};
    use crate::channel::message::{Message, MessageError, decode, encode};
    use serde::{Deserialize, Serialize};
    use serde_json::Value;
    use std::fmt::Debug;

    fn arrive<T: Message>(bytes: &[u8]) -> Result<T, MessageError> {
        let mut buffer = Vec::new();
        let mut arrival = Arrival::value(&mut buffer);
        let is_there = arrival.take(bytes.len(), |part, to| {
            to.extend_from_slice(&bytes[part]);
            true
        });
        assert!(is_there);
        arrival.decode()
    }

    fn bytes_of(value: &impl Serialize) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).expect("encodes");
        bytes
    }

    fn arrives<T: Message + PartialEq + Debug>(value: T) {
        assert_eq!(arrive(&bytes_of(&value)), Ok(value));
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Name(String);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text(String),
    }

    #[test]
    fn a_text_of_any_length_arrives_as_whatever_it_was() {
        for len in [0, 1, 31, 32, 255, 256, 65_535, 65_536, 100_000] {
            let text = "é".repeat(len / 2) + &"x".repeat(len % 2);
            arrives(text.clone());
            arrives(Some(Some(text.clone())));
            arrives(Name(text.clone()));
            arrives(Value::from(text.clone()));
            arrives(Untagged::Text(text.clone()));
            arrives(Ok::<String, ()>(text.clone()));
            arrives((text.clone(), text));
        }
        arrives(Untagged::Number(7));
    }

    #[test]
    fn the_bytes_of_a_text_are_copied_to_where_they_stay() {
        let bytes = bytes_of(&"x".repeat(1000));
        let mut buffer = Vec::new();
        let mut arrival = Arrival::value(&mut buffer);
        arrival.take(bytes.len(), |part, to| {
            to.extend_from_slice(&bytes[part]);
            true
        });
        let place = arrival.text.as_ptr();
        assert_eq!(arrival.decode::<String>().map(|text| text.as_ptr()), Ok(place));
    }

    /// Cut, or with one byte too many, or with bytes that are no text.
    #[test]
    fn what_is_no_text_is_the_same_error_as_in_one_piece() {
        for len in [40, 300, 70_000] {
            let mut bytes = bytes_of(&"x".repeat(len));
            let cut = |most: usize| bytes[..most.min(bytes.len())].to_vec();
            let mut all =
                vec![cut(1), cut(3), cut(5), cut(6), cut(bytes.len() - 1), [&bytes[..], &[0]].concat()];
            *bytes.last_mut().expect("a byte") = 0xff;
            all.push(bytes);
            for bytes in all {
                assert!(decode::<String>(&bytes).is_err());
                assert_eq!(arrive::<String>(&bytes), decode(&bytes));
                assert_eq!(arrive::<Value>(&bytes), decode(&bytes));
            }
        }
        let copied = |bytes: &[u8]| decode_and_copy::<String>(bytes, |text, to| to.extend_from_slice(text));
        for len in [0, 1_020, 1_021, 70_000] {
            let text = "x".repeat(len);
            let mut bytes = bytes_of(&text);
            assert_eq!(copied(&bytes), Ok(text));
            bytes.push(0);
            assert_eq!(copied(&bytes), decode(&bytes));
        }
        let bytes = bytes_of(&"x".repeat(300));
        assert_eq!(arrive::<[u64; 8]>(&bytes), decode(&bytes));
        assert_eq!(arrive::<Result<(), ()>>(&bytes), decode(&bytes));
        assert_eq!(arrive::<Vec<u8>>(&bytes), decode(&bytes));
    }
}
