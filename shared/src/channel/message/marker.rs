//! The bytes of MessagePack that say what follows, and what both directions of the codec agree about besides.

use serde::{de, ser};
use std::fmt;

pub(super) const NIL: u8 = 0xc0;
/// Never used in MessagePack. Here: what follows is `Some`, which without it would be taken for `None`.
pub(super) const SOME: u8 = 0xc1;
pub(super) const FALSE: u8 = 0xc2;
pub(super) const TRUE: u8 = 0xc3;
pub(super) const BYTES_8: u8 = 0xc4;
pub(super) const BYTES_16: u8 = 0xc5;
pub(super) const BYTES_32: u8 = 0xc6;
pub(super) const F32: u8 = 0xca;
pub(super) const F64: u8 = 0xcb;
pub(super) const U8: u8 = 0xcc;
pub(super) const U16: u8 = 0xcd;
pub(super) const U32: u8 = 0xce;
pub(super) const U64: u8 = 0xcf;
pub(super) const I8: u8 = 0xd0;
pub(super) const I16: u8 = 0xd1;
pub(super) const I32: u8 = 0xd2;
pub(super) const I64: u8 = 0xd3;
pub(super) const TEXT_8: u8 = 0xd9;
pub(super) const TEXT_16: u8 = 0xda;
pub(super) const TEXT_32: u8 = 0xdb;
pub(super) const ARRAY_16: u8 = 0xdc;
pub(super) const ARRAY_32: u8 = 0xdd;
pub(super) const MAP_16: u8 = 0xde;
pub(super) const MAP_32: u8 = 0xdf;

/// A small length stands in the marker itself; these are for 0.
pub(super) const SHORT_MAP: u8 = 0x80;
pub(super) const SHORT_ARRAY: u8 = 0x90;
pub(super) const SHORT_TEXT: u8 = 0xa0;
/// From here on the byte is a negative number.
pub(super) const SHORT_SIGNED: u8 = 0xe0;

/// How values may be nested: so many sequences, maps, variants, newtypes and `Some` in one another.
pub(super) const DEEPEST: u32 = 256;

/// Why the codec refuses. Behind one pointer: it is part of every result, and decoding takes a quarter longer with two
/// words.
#[derive(Debug)]
#[allow(clippy::box_collection)]
pub(super) struct Wrong(Box<String>);

impl Wrong {
    #[cold]
    pub(super) fn new(why: impl fmt::Display) -> Wrong {
        Wrong(Box::new(why.to_string()))
    }

    #[cold]
    pub(super) fn too_deep() -> Wrong {
        Wrong::new(format_args!("it is nested more than {DEEPEST} times"))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl ser::Error for Wrong {
    fn custom<T: fmt::Display>(why: T) -> Wrong {
        Wrong::new(why)
    }
}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(why: T) -> Wrong {
        Wrong::new(why)
    }
}
