//! A value becomes MessagePack, with the names of fields and variants.
//!
//! Each number takes as few bytes as it can. One thing is not MessagePack: there `Some(None)` and `None` are the same
//! bytes, so a `Some` of what would be nil says so, by a byte that MessagePack never uses.
//!
//! What each number passes through is inlined by force, as in the decoder.

use super::marker::{self, DEEPEST, Wrong};
use super::parts::{Parts, SomeParts};
use serde::ser::{Serialize, Serializer};
use std::io::Write;

pub(super) type Done = Result<(), Wrong>;

/// What has a length, and the markers that it may have.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// With a length in the marker itself, if that is below.
    short: u8,
    below: usize,
    with_8_bits: Option<u8>,
    with_16_bits: u8,
    with_32_bits: u8,
}

const TEXT: Kind = Kind {
    short: marker::SHORT_TEXT,
    below: 32,
    with_8_bits: Some(marker::TEXT_8),
    with_16_bits: marker::TEXT_16,
    with_32_bits: marker::TEXT_32,
};
const BYTES: Kind = Kind {
    short: 0,
    below: 0,
    with_8_bits: Some(marker::BYTES_8),
    with_16_bits: marker::BYTES_16,
    with_32_bits: marker::BYTES_32,
};
const ARRAY: Kind = Kind {
    short: marker::SHORT_ARRAY,
    below: 16,
    with_8_bits: None,
    with_16_bits: marker::ARRAY_16,
    with_32_bits: marker::ARRAY_32,
};
const MAP: Kind = Kind {
    short: marker::SHORT_MAP,
    below: 16,
    with_8_bits: None,
    with_16_bits: marker::MAP_16,
    with_32_bits: marker::MAP_32,
};

pub(super) struct Encoder<'a, W> {
    pub(super) to: &'a mut W,
    /// So many levels may still be opened: whoever can send a value must be able to receive it.
    pub(super) levels: u32,
    /// So many `Some` have been opened of which nothing is written yet.
    pub(super) somes: u32,
}

impl<'a, W: Write> Encoder<'a, W> {
    pub(super) fn new(to: &'a mut W) -> Encoder<'a, W> {
        Encoder { to, levels: DEEPEST, somes: 0 }
    }

    #[inline(always)]
    pub(super) fn write(&mut self, bytes: &[u8]) -> Done {
        self.somes = 0;
        self.to.write_all(bytes).map_err(Wrong::new)
    }

    /// A marker, and the number that belongs to it: as one piece, since two would take twice as long.
    #[inline(always)]
    fn marked<const N: usize>(&mut self, marker: u8, number: [u8; N]) -> Done {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(&number);
        let piece = u128::from(marker) | u128::from(u64::from_le_bytes(bytes)) << 8;
        self.write(&piece.to_le_bytes()[..=N])
    }

    /// A number of one, two or four bytes.
    #[inline(never)]
    fn short(&mut self, value: u32) -> Done {
        match value {
            0..=0xff => self.marked(marker::U8, [value as u8]),
            0x100..=0xffff => self.marked(marker::U16, (value as u16).to_be_bytes()),
            _ => self.marked(marker::U32, value.to_be_bytes()),
        }
    }

    fn nil(&mut self) -> Done {
        for _ in 0..self.somes {
            self.write(&[marker::SOME])?;
        }
        self.write(&[marker::NIL])
    }

    /// The marker of something with a length.
    #[inline(always)]
    pub(super) fn head(&mut self, kind: Kind, len: usize) -> Done {
        match (len, kind.with_8_bits) {
            _ if len < kind.below => self.write(&[kind.short | len as u8]),
            (0..=0xff, Some(marker)) => self.marked(marker, [len as u8]),
            (0..=0xffff, _) => self.marked(kind.with_16_bits, (len as u16).to_be_bytes()),
            (0..=0xffff_ffff, _) => self.marked(kind.with_32_bits, (len as u32).to_be_bytes()),
            _ => Err(Wrong::new(format_args!("a length of {len} is too much"))),
        }
    }

    #[inline]
    fn one_level_down(&mut self) -> Done {
        self.levels = self.levels.checked_sub(1).ok_or_else(Wrong::too_deep)?;
        Ok(())
    }

    /// So many parts follow.
    #[inline]
    fn parts(&mut self, kind: Kind, len: usize) -> Result<Parts<'_, 'a, W>, Wrong> {
        self.one_level_down()?;
        self.head(kind, len)?;
        Ok(Parts { encoder: self, left: len })
    }

    /// Parts follow, of which perhaps nobody knows yet how many they are.
    #[inline]
    fn some_parts(&mut self, kind: Kind, len: Option<usize>) -> Result<SomeParts<'_, 'a, W>, Wrong> {
        match len {
            Some(len) => self.parts(kind, len).map(SomeParts::Known),
            None => {
                self.one_level_down()?;
                Ok(SomeParts::Later { encoder: self, kind, count: 0, bytes: Vec::new() })
            }
        }
    }

    /// A variant that has something in it: a map with one entry.
    fn variant(&mut self, name: &str) -> Done {
        self.head(MAP, 1)?;
        self.serialize_str(name)
    }
}

impl<'e, 'a, W: Write> Serializer for &'e mut Encoder<'a, W> {
    type Ok = ();
    type Error = Wrong;
    type SerializeSeq = SomeParts<'e, 'a, W>;
    type SerializeTuple = Parts<'e, 'a, W>;
    type SerializeTupleStruct = Parts<'e, 'a, W>;
    type SerializeTupleVariant = Parts<'e, 'a, W>;
    type SerializeMap = SomeParts<'e, 'a, W>;
    type SerializeStruct = Parts<'e, 'a, W>;
    type SerializeStructVariant = Parts<'e, 'a, W>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Done {
        self.write(&[marker::FALSE | u8::from(value)])
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Done {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Done {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Done {
        self.serialize_i64(value.into())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Done {
        match value {
            0.. => self.serialize_u64(value as u64),
            -0x20.. => self.write(&[value as u8]),
            -0x80.. => self.marked(marker::I8, (value as i8).to_be_bytes()),
            -0x8000.. => self.marked(marker::I16, (value as i16).to_be_bytes()),
            -0x8000_0000.. => self.marked(marker::I32, (value as i32).to_be_bytes()),
            _ => self.marked(marker::I64, value.to_be_bytes()),
        }
    }

    fn serialize_i128(self, value: i128) -> Done {
        self.serialize_bytes(&value.to_be_bytes())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Done {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Done {
        self.serialize_u64(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Done {
        self.serialize_u64(value.into())
    }

    #[inline(always)]
    fn serialize_u64(self, value: u64) -> Done {
        match value {
            0..=0x7f => self.write(&[value as u8]),
            0x80..=0xffff_ffff => self.short(value as u32),
            _ => self.marked(marker::U64, value.to_be_bytes()),
        }
    }

    fn serialize_u128(self, value: u128) -> Done {
        self.serialize_bytes(&value.to_be_bytes())
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Done {
        self.marked(marker::F32, value.to_be_bytes())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Done {
        self.marked(marker::F64, value.to_be_bytes())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Done {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Done {
        self.head(TEXT, value.len())?;
        self.write(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.head(BYTES, value.len())?;
        self.write(value)
    }

    #[inline]
    fn serialize_none(self) -> Done {
        self.nil()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.somes += 1;
        self.one_level_down()?;
        value.serialize(&mut *self)?;
        self.levels += 1;
        Ok(())
    }

    #[inline]
    fn serialize_unit(self) -> Done {
        self.nil()
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.nil()
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        self.one_level_down()?;
        value.serialize(&mut *self)?;
        self.levels += 1;
        Ok(())
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.variant(variant)?;
        self.serialize_newtype_struct("", value)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<SomeParts<'e, 'a, W>, Wrong> {
        self.some_parts(ARRAY, len)
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Parts<'e, 'a, W>, Wrong> {
        self.parts(ARRAY, len)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Parts<'e, 'a, W>, Wrong> {
        self.parts(ARRAY, len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Parts<'e, 'a, W>, Wrong> {
        self.variant(variant)?;
        self.parts(ARRAY, len)
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<SomeParts<'e, 'a, W>, Wrong> {
        self.some_parts(MAP, len)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Parts<'e, 'a, W>, Wrong> {
        self.parts(MAP, len)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Parts<'e, 'a, W>, Wrong> {
        self.variant(variant)?;
        self.parts(MAP, len)
    }
}
