//! A value of any type that `serde` can put together, drawn from a fuzzer's bytes: which variant, how many, which number.
//!
//! Small numbers come often, since they are the ones that meet.

use arbitrary::Unstructured;
use serde::de::value::{Error, U32Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

pub struct Drawn<'a>(pub Unstructured<'a>);

impl Drawn<'_> {
    /// 0 if there is nothing left to draw from.
    pub fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    fn number(&mut self) -> u64 {
        match self.byte() {
            n @ 0..200 => u64::from(n % 12),
            n @ 200..240 => u64::from(n) << (self.byte() % 57),
            _ => u64::MAX - u64::from(self.byte()),
        }
    }
}

impl<'de> Deserializer<'de> for &mut Drawn<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("what, must be said"))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.byte() & 1 == 1)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u32(self.number() as u32)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(self.number())
    }

    /// Numbers, texts and lists of a byte, or whatever there is.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.byte() {
            n @ 0..220 => visitor.visit_bytes(&[n]),
            n => visitor.visit_bytes(self.0.bytes(usize::from(n - 220).min(self.0.len())).unwrap_or(&[])),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.byte() & 1 == 0 { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = usize::from(self.byte() % 4);
        visitor.visit_seq(Several { drawn: self, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Several { drawn: self, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Several { drawn: self, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let variant = u32::from(self.byte()) % variants.len() as u32;
        visitor.visit_enum(Variant { drawn: self, variant })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 f32 f64 char str string byte_buf unit unit_struct newtype_struct
        tuple_struct map identifier ignored_any
    }
}

/// So many more of a sequence.
struct Several<'d, 'a> {
    drawn: &'d mut Drawn<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Several<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.drawn).map(Some)
    }
}

struct Variant<'d, 'a> {
    drawn: &'d mut Drawn<'a>,
    variant: u32,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let which: U32Deserializer<Error> = self.variant.into_deserializer();
        Ok((seed.deserialize(which)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.drawn)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Several { drawn: self.drawn, left })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Several { drawn: self.drawn, left: fields.len() })
    }
}
