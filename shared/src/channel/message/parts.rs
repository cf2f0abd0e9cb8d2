//! The parts of a value that is being encoded: how many there are is written first, and must be true.

use super::encoder::{Done, Encoder, Kind};
use super::marker::Wrong;
use serde::ser::{self, Serialize};
use std::io::Write;

/// The parts of something, one after the other.
pub(super) struct Parts<'e, 'a, W> {
    pub(super) encoder: &'e mut Encoder<'a, W>,
    /// So many are still to come.
    pub(super) left: usize,
}

impl<W: Write> Parts<'_, '_, W> {
    #[inline(always)]
    fn next<T: Serialize + ?Sized>(&mut self, part: &T) -> Done {
        self.left = self.left.checked_sub(1).ok_or_else(miscounted)?;
        part.serialize(&mut *self.encoder)
    }

    #[inline]
    fn end(self) -> Done {
        self.encoder.levels += 1;
        if self.left == 0 { Ok(()) } else { Err(miscounted()) }
    }
}

#[cold]
fn miscounted() -> Wrong {
    Wrong::new("it has other parts than it says")
}

/// The same, of what may not know how many it has.
pub(super) enum SomeParts<'e, 'a, W> {
    Known(Parts<'e, 'a, W>),
    /// Kept until it is known.
    Later {
        encoder: &'e mut Encoder<'a, W>,
        kind: Kind,
        count: usize,
        bytes: Vec<u8>,
    },
}

impl<W: Write> SomeParts<'_, '_, W> {
    #[inline]
    fn next<T: Serialize + ?Sized>(&mut self, part: &T) -> Done {
        match self {
            SomeParts::Known(parts) => parts.next(part),
            SomeParts::Later { count, .. } => {
                *count += 1;
                self.same(part)
            }
        }
    }

    /// What belongs to the last part.
    #[inline]
    fn same<T: Serialize + ?Sized>(&mut self, part: &T) -> Done {
        match self {
            SomeParts::Known(parts) => part.serialize(&mut *parts.encoder),
            SomeParts::Later { encoder, bytes, .. } => {
                part.serialize(&mut Encoder { to: bytes, levels: encoder.levels, somes: 0 })
            }
        }
    }

    #[inline]
    fn end(self) -> Done {
        match self {
            SomeParts::Known(parts) => parts.end(),
            SomeParts::Later { encoder, kind, count, bytes } => {
                encoder.levels += 1;
                encoder.head(kind, count)?;
                encoder.write(&bytes)
            }
        }
    }
}

macro_rules! tuples {
    ($($of:ident $method:ident)*) => {
        $(impl<W: Write> ser::$of for Parts<'_, '_, W> {
            type Ok = ();
            type Error = Wrong;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, part: &T) -> Done {
                self.next(part)
            }

            #[inline]
            fn end(self) -> Done {
                Parts::end(self)
            }
        })*
    };
}
tuples! {
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! structs {
    ($($of:ident)*) => {
        $(impl<W: Write> ser::$of for Parts<'_, '_, W> {
            type Ok = ();
            type Error = Wrong;

            #[inline(always)]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, part: &T) -> Done {
                self.next(name)?;
                part.serialize(&mut *self.encoder)
            }

            #[inline]
            fn end(self) -> Done {
                Parts::end(self)
            }
        })*
    };
}
structs! { SerializeStruct SerializeStructVariant }

impl<W: Write> ser::SerializeSeq for SomeParts<'_, '_, W> {
    type Ok = ();
    type Error = Wrong;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, part: &T) -> Done {
        self.next(part)
    }

    #[inline]
    fn end(self) -> Done {
        SomeParts::end(self)
    }
}

impl<W: Write> ser::SerializeMap for SomeParts<'_, '_, W> {
    type Ok = ();
    type Error = Wrong;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.next(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.same(value)
    }

    #[inline]
    fn end(self) -> Done {
        SomeParts::end(self)
    }
}
