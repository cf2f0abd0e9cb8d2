//! MessagePack becomes a value.
//!
//! Nothing in the bytes is believed. A length that cannot be, since each part takes a byte at least, is refused before
//! memory is taken for it, and so is nesting that would need too much of the stack.
//!
//! What each number passes through is inlined by force: left to itself the compiler makes calls of it, and eight numbers
//! take twice as long.

use super::access::{Parts, Variant};
use super::marker::{self, DEEPEST, Wrong};
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::mem;

pub(super) struct Decoder<'de> {
    bytes: &'de [u8],
    /// Where the next one is.
    at: usize,
    /// So many levels may still be opened.
    levels: u32,
    /// For so many parts memory may still be taken before they are there: no more than there are bytes.
    ahead: usize,
    /// What follows the bytes, if that is a text and the end: it becomes a `String` as it is.
    text: &'de mut Vec<u8>,
}

/// What comes next.
enum Next {
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Nil,
    Some,
    /// Of these, so many bytes or parts.
    Text(usize),
    Bytes(usize),
    Array(usize),
    Map(usize),
}

impl<'de> Decoder<'de> {
    pub(super) fn new(bytes: &'de [u8], text: &'de mut Vec<u8>) -> Decoder<'de> {
        Decoder { bytes, at: 0, levels: DEEPEST, ahead: bytes.len(), text }
    }

    /// Whether there is nothing left.
    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len() && self.text.is_empty()
    }

    #[inline]
    fn rest(&self) -> &'de [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn bytes(&mut self, len: usize) -> Result<&'de [u8], Wrong> {
        let bytes = self.rest().get(..len).ok_or_else(cut_short)?;
        self.at += len;
        Ok(bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let bytes = self.rest().first_chunk().ok_or_else(cut_short)?;
        self.at += N;
        Ok(*bytes)
    }

    #[inline]
    fn u8(&mut self) -> Result<u8, Wrong> {
        self.array().map(u8::from_be_bytes)
    }

    #[inline]
    fn u16(&mut self) -> Result<u16, Wrong> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    fn u32(&mut self) -> Result<u32, Wrong> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    fn u64(&mut self) -> Result<u64, Wrong> {
        self.array().map(u64::from_be_bytes)
    }

    #[inline(always)]
    fn next(&mut self) -> Result<Next, Wrong> {
        let byte = self.u8()?;
        let short = usize::from(byte);
        Ok(match byte {
            0..marker::SHORT_MAP => Next::Unsigned(byte.into()),
            marker::SHORT_MAP..marker::SHORT_ARRAY => Next::Map(short & 0xf),
            marker::SHORT_ARRAY..marker::SHORT_TEXT => Next::Array(short & 0xf),
            marker::SHORT_TEXT..marker::NIL => Next::Text(short & 0x1f),
            marker::NIL => Next::Nil,
            marker::SOME => Next::Some,
            marker::FALSE => Next::Bool(false),
            marker::TRUE => Next::Bool(true),
            marker::BYTES_8 => Next::Bytes(self.u8()?.into()),
            marker::BYTES_16 => Next::Bytes(self.u16()?.into()),
            marker::BYTES_32 => Next::Bytes(self.u32()? as usize),
            marker::F32 => Next::F32(f32::from_bits(self.u32()?)),
            marker::F64 => Next::F64(f64::from_bits(self.u64()?)),
            marker::U8 => Next::Unsigned(self.u8()?.into()),
            marker::U16 => Next::Unsigned(self.u16()?.into()),
            marker::U32 => Next::Unsigned(self.u32()?.into()),
            marker::U64 => Next::Unsigned(self.u64()?),
            marker::I8 => Next::Signed((self.u8()? as i8).into()),
            marker::I16 => Next::Signed((self.u16()? as i16).into()),
            marker::I32 => Next::Signed((self.u32()? as i32).into()),
            marker::I64 => Next::Signed(self.u64()? as i64),
            marker::TEXT_8 => Next::Text(self.u8()?.into()),
            marker::TEXT_16 => Next::Text(self.u16()?.into()),
            marker::TEXT_32 => Next::Text(self.u32()? as usize),
            marker::ARRAY_16 => Next::Array(self.u16()?.into()),
            marker::ARRAY_32 => Next::Array(self.u32()? as usize),
            marker::MAP_16 => Next::Map(self.u16()?.into()),
            marker::MAP_32 => Next::Map(self.u32()? as usize),
            marker::SHORT_SIGNED.. => Next::Signed((byte as i8).into()),
            _ => return Err(Wrong::new(format_args!("nothing begins with the byte {byte:#x}"))),
        })
    }

    /// One level deeper.
    #[inline]
    pub(super) fn inside<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        self.levels = self.levels.checked_sub(1).ok_or_else(Wrong::too_deep)?;
        let result = work(self)?;
        self.levels += 1;
        Ok(result)
    }

    /// So many parts, of so many values each.
    #[inline]
    fn parts<T>(
        &mut self,
        len: usize,
        values: usize,
        visit: impl FnOnce(&mut Parts<'_, 'de>) -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        if len > self.rest().len() / values {
            return Err(cut_short());
        }
        let ahead = len.min(self.ahead);
        self.ahead -= ahead;
        self.inside(|decoder| {
            let mut parts = Parts { decoder, left: len, ahead };
            let value = visit(&mut parts)?;
            if parts.left == 0 { Ok(value) } else { Err(Wrong::new("there are more parts than it takes")) }
        })
    }

    /// Not inlined: one for each number would be too much.
    #[inline(never)]
    fn otherwise<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_any(visitor)
    }

    #[inline]
    fn text(&mut self, len: usize) -> Result<&'de str, Wrong> {
        std::str::from_utf8(self.bytes(len)?).map_err(Wrong::new)
    }
}

#[cold]
fn cut_short() -> Wrong {
    Wrong::new("there are fewer bytes than it takes")
}

/// Each begins with what is most likely, inlined; all else goes the general way.
macro_rules! numbers {
    ($($method:ident)*) => {
        $(#[inline(always)]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match *self.rest() {
                [byte @ 0..marker::SHORT_MAP, ..] => {
                    self.at += 1;
                    visitor.visit_u64(byte.into())
                }
                [marker::U64, a, b, c, d, e, f, g, h, ..] => {
                    self.at += 9;
                    visitor.visit_u64(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
                }
                _ => self.otherwise(visitor),
            }
        })*
    };
}

macro_rules! texts {
    ($($method:ident)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match *self.rest() {
                [byte @ marker::SHORT_TEXT..marker::NIL, ..] => {
                    self.at += 1;
                    visitor.visit_borrowed_str(self.text(usize::from(byte & 0x1f))?)
                }
                _ => self.otherwise(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.next()? {
            Next::Unsigned(number) => visitor.visit_u64(number),
            Next::Signed(number) => visitor.visit_i64(number),
            Next::F32(number) => visitor.visit_f32(number),
            Next::F64(number) => visitor.visit_f64(number),
            Next::Bool(value) => visitor.visit_bool(value),
            Next::Nil => visitor.visit_unit(),
            Next::Some => self.inside(|decoder| visitor.visit_some(decoder)),
            Next::Text(_) if !self.text.is_empty() => {
                visitor.visit_string(String::from_utf8(mem::take(self.text)).map_err(Wrong::new)?)
            }
            Next::Text(len) => visitor.visit_borrowed_str(self.text(len)?),
            Next::Bytes(len) => visitor.visit_borrowed_bytes(self.bytes(len)?),
            Next::Array(len) => self.parts(len, 1, |parts| visitor.visit_seq(parts)),
            Next::Map(len) => self.parts(len, 2, |parts| visitor.visit_map(parts)),
        }
    }

    numbers! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    }

    texts! { deserialize_str deserialize_string deserialize_identifier }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match *self.rest() {
            [marker::F64, a, b, c, d, e, f, g, h, ..] => {
                self.at += 9;
                visitor.visit_f64(f64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_i128(i128::from_be_bytes(self.long_number()?))
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u128(u128::from_be_bytes(self.long_number()?))
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match *self.rest() {
            [marker::NIL, ..] => {
                self.at += 1;
                return visitor.visit_none();
            }
            [marker::SOME, ..] => self.at += 1,
            _ => {}
        }
        self.inside(|decoder| visitor.visit_some(decoder))
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.inside(|decoder| visitor.visit_newtype_struct(decoder))
    }

    /// A variant is its name, or a map of one from its name to what is in it.
    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        const MAP_OF_ONE: u8 = marker::SHORT_MAP | 1;
        match *self.rest() {
            [MAP_OF_ONE, ..] => {
                self.at += 1;
                visitor.visit_enum(Variant { decoder: self, is_filled: true })
            }
            _ => visitor.visit_enum(Variant { decoder: self, is_filled: false }),
        }
    }

    forward_to_deserialize_any! {
        bool f32 char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct ignored_any
    }
}

impl Decoder<'_> {
    fn long_number(&mut self) -> Result<[u8; 16], Wrong> {
        match self.next()? {
            Next::Bytes(16) => self.array(),
            _ => Err(Wrong::new("it is no number of 128 bits")),
        }
    }
}
