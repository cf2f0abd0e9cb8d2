//! The codec beside `rmp-serde`, which speaks MessagePack too, and under bytes that nobody encoded.

use super::marker::DEEPEST;
use super::{Message, MessageError, decode, encode};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::ser::{Error, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::net::IpAddr;

fn bytes_of<T: Message>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).expect("encodes");
    bytes
}

#[track_caller]
fn comes_back<T: Message + PartialEq + Debug>(value: T) {
    let bytes = bytes_of(&value);
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(&value), "{bytes:x?}");
    for len in 0..bytes.len() {
        assert!(
            matches!(decode::<T>(&bytes[..len]), Err(MessageError::Decode { .. })),
            "{len} of {bytes:x?}"
        );
    }
    assert!(decode::<T>(&[&bytes[..], &[0]].concat()).is_err(), "{bytes:x?} and one more");
}

/// Bytes as such, of any length.
#[derive(Clone, Debug, PartialEq)]
struct Raw(Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Raw, E> {
                Ok(Raw(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A value of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Unit(()),
    Bool(bool),
    Small(i8, i16, i32, u8, u16, u32),
    Signed(i64),
    Unsigned(u64),
    Long(i128, u128),
    Floats(f32, f64),
    Char(char),
    Text(String),
    Raw(Raw),
    Numbers([u64; 4]),
    Many(Vec<Shape>),
    Struct { first: Box<Shape>, r#type: Option<u16> },
    Map(BTreeMap<String, Shape>),
    By(BTreeMap<i32, String>),
    New(Newtype),
    Result(Result<u8, String>),
    Json(Value),
    Flat(Flat),
    Tagged(Tagged),
    Untagged(Vec<Untagged>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(Box<Shape>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u32,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { number: i64 },
    Other { text: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Fraction(f64),
    Address(IpAddr),
    Text(String),
    Many(Vec<Untagged>),
    Struct { only: Option<bool> },
}

/// Random shapes, smaller the deeper they are.
struct Maker(SmallRng);

impl Maker {
    /// As often short as long.
    fn number(&mut self) -> u64 {
        self.0.random::<u64>() >> self.0.random_range(0..64)
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 4] = ['a', 'ß', '日', '🦀'];
        let most = [1, 40, 300, 70_000][usize::from(self.0.random_ratio(1, 4)) * self.0.random_range(0..4)];
        let len = self.0.random_range(0..most);
        (0..len).map(|_| LETTERS[self.0.random_range(0..4)]).collect()
    }

    fn some<T>(&mut self, depth: u32, mut make: impl FnMut(&mut Maker) -> T) -> Vec<T> {
        let len = self.0.random_range(0..if depth == 0 { 20 } else { 4 });
        (0..len).map(|_| make(self)).collect()
    }

    fn json(&mut self, depth: u32) -> Value {
        match self.0.random_range(0..if depth < 4 { 8 } else { 6 }) {
            0 => Value::Null,
            1 => self.0.random::<bool>().into(),
            2 => self.number().into(),
            3 => self.number().cast_signed().into(),
            4 => self.0.random::<f64>().into(),
            5 => self.text().into(),
            6 => self.some(depth + 1, |maker| maker.json(depth + 1)).into(),
            _ => Value::Object(
                self.some(depth + 1, |maker| (maker.text(), maker.json(depth + 1))).into_iter().collect(),
            ),
        }
    }

    fn untagged(&mut self, depth: u32) -> Untagged {
        match self.0.random_range(0..if depth < 4 { 6 } else { 4 }) {
            0 => Untagged::Number(self.number().cast_signed()),
            1 => Untagged::Fraction(self.0.random()),
            2 => Untagged::Address(self.0.random::<[u8; 4]>().into()),
            3 => Untagged::Text("t".to_owned() + &self.text()),
            4 => Untagged::Many(self.some(depth + 1, |maker| maker.untagged(depth + 1))),
            _ => Untagged::Struct { only: Some(self.0.random()) },
        }
    }

    fn shape(&mut self, depth: u32) -> Shape {
        match self.0.random_range(0..if depth < 4 { 23 } else { 16 }) {
            0 => Shape::Nothing,
            1 => Shape::Unit(()),
            2 => Shape::Bool(self.0.random()),
            3 => {
                let n = self.number();
                Shape::Small(n as i8, n as i16, n as i32, n as u8, n as u16, n as u32)
            }
            4 => Shape::Signed(self.number().cast_signed()),
            5 => Shape::Signed(!self.number().cast_signed()),
            6 => Shape::Unsigned(self.number()),
            7 => Shape::Long(self.0.random(), self.0.random()),
            8 => Shape::Floats(self.0.random(), self.0.random()),
            9 => Shape::Char(self.0.random()),
            10 => Shape::Text(self.text()),
            11 => Shape::Raw(Raw(self.text().into_bytes())),
            12 => Shape::Numbers([0; 4].map(|_| self.number())),
            13 => Shape::Result(if self.0.random() { Ok(1) } else { Err(self.text()) }),
            14 => Shape::Tagged(Tagged::One { number: self.0.random() }),
            15 => Shape::Tagged(Tagged::Other { text: self.text() }),
            16 => Shape::Many(self.some(depth, |maker| maker.shape(depth + 1))),
            17 => {
                let r#type = self.0.random::<bool>().then(|| self.0.random());
                Shape::Struct { first: Box::new(self.shape(depth + 1)), r#type }
            }
            18 => Shape::Map(
                self.some(depth, |maker| (maker.text(), maker.shape(depth + 1))).into_iter().collect(),
            ),
            19 => Shape::By(self.some(0, |maker| (maker.0.random(), maker.text())).into_iter().collect()),
            20 => Shape::New(Newtype(Box::new(self.shape(depth + 1)))),
            21 => {
                let others = self.some(depth, |maker| ("k".to_owned() + &maker.text(), maker.json(depth)));
                Shape::Flat(Flat { own: self.0.random(), others: others.into_iter().collect() })
            }
            22 if self.0.random() => Shape::Json(self.json(depth)),
            _ => Shape::Untagged(self.some(depth, |maker| maker.untagged(depth))),
        }
    }
}

/// As `rmp-serde` writes it.
fn peers_bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut peer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut peer).expect("encodes");
    bytes
}

fn peers_value_of<T: DeserializeOwned>(bytes: &[u8]) -> T {
    let mut peer = rmp_serde::Deserializer::new(bytes).with_human_readable();
    T::deserialize(&mut peer).expect("decodes")
}

#[test]
fn any_shape_comes_back_and_its_bytes_are_those_that_a_peer_writes_and_reads() {
    let mut maker = Maker(SmallRng::seed_from_u64(1));
    for n in 0..3_000 {
        let shape = maker.shape(0);
        let bytes = bytes_of(&shape);
        assert_eq!(decode::<Shape>(&bytes).as_ref(), Ok(&shape), "{n}");
        assert_eq!(peers_value_of::<Shape>(&bytes), shape, "{n}");
        assert_eq!(bytes, peers_bytes_of(&shape), "{n}: {shape:?}");
    }
}

#[test]
fn bytes_that_nobody_encoded_are_an_error_or_another_value_of_the_type() {
    let mut maker = Maker(SmallRng::seed_from_u64(2));
    let mut wrong = 0;
    for _ in 0..5_000 {
        let mut bytes = bytes_of(&maker.shape(3));
        for _ in 0..maker.0.random_range(1..4) {
            let at = maker.0.random_range(0..bytes.len());
            bytes[at] = maker.0.random();
        }
        match decode::<Shape>(&bytes) {
            // Not by its bytes: the same number may be written in several ways.
            Ok(shape) => drop(bytes_of(&shape)),
            Err(error) => wrong += u32::from(matches!(error, MessageError::Decode { .. })),
        }
        let _ = decode::<Value>(&bytes);
    }
    assert!(wrong > 1_000, "only {wrong}");
}

#[test]
fn values_of_every_shape_come_back_equal() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Empty;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Braces {}
    comes_back(());
    comes_back(Empty);
    comes_back(Braces {});
    comes_back((1u8, -2i64, 0.5f32, 'x', "text".to_owned()));
    comes_back([i64::MIN, i64::MAX, -32, -33, -128, -129]);
    comes_back((i128::MIN, u128::MAX));
    comes_back(Ok::<u32, String>(1));
    comes_back(BTreeMap::from([("a".to_owned(), vec![1, 2])]));
    comes_back(std::time::Duration::from_nanos(1));
}

#[test]
fn options_come_back_in_any_nesting() {
    comes_back(vec![Some(1), None]);
    comes_back(vec![None, Some(None), Some(Some(1))]);
    comes_back(vec![None, Some(None), Some(Some(None)), Some(Some(Some(())))]);
    comes_back(vec![None, Some(Value::Null), Some(Value::Bool(true))]);
    comes_back(vec![Some(Untagged::Struct { only: None }), Some(Untagged::Text(String::new())), None]);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Option { maybe: Option<Option<u8>> },
    }
    comes_back([None, Some(None), Some(Some(1))].map(|maybe| Either::Option { maybe }));
    assert_eq!(bytes_of(&Some(1)), [1], "it costs nothing where nothing is in doubt");
}

/// Sequences in one another.
fn nested(levels: u32) -> Value {
    (0..levels).fold(Value::Null, |inner, _| vec![inner].into())
}

#[test]
fn what_can_be_encoded_can_be_decoded_however_it_is_nested() {
    comes_back(nested(DEEPEST));
    assert!(matches!(encode(&nested(DEEPEST + 1), &mut Vec::new()), Err(MessageError::Encode { .. })));
}

#[test]
fn hostile_nesting_is_refused_on_a_small_stack() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Endless(Option<Box<Endless>>);
    for byte in [0x91, 0x81, 0xc1] {
        let mut bytes = vec![byte; 1 << 20];
        assert!(decode::<Value>(&bytes).is_err());
        assert!(decode::<Untagged>(&bytes).is_err());
        assert!(decode::<Shape>(&bytes).is_err());
        bytes.truncate(1);
        // It could go on for ever without taking a byte.
        assert!(decode::<Endless>(&bytes).is_err());
    }
    let bytes = [vec![0x91; DEEPEST as usize], vec![0xc0]].concat();
    assert!(decode::<Untagged>(&bytes).is_err(), "there is no such variant, but it is looked for to the end");
}

thread_local! {
    /// How many parts were announced to who decodes an [`Announced`].
    static ANNOUNCED: Cell<usize> = const { Cell::new(0) };
}

/// Sequences in one another.
#[derive(Debug)]
struct Announced;

impl<'de> Visitor<'de> for Announced {
    type Value = Announced;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sequences")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Announced, A::Error> {
        ANNOUNCED.set(ANNOUNCED.get() + parts.size_hint().unwrap_or(0));
        while let Some(Announced) = parts.next_element()? {}
        Ok(self)
    }
}

impl<'de> Deserialize<'de> for Announced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Announced, D::Error> {
        deserializer.deserialize_any(Announced)
    }
}

impl Serialize for Announced {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("it is only decoded"))
    }
}

#[test]
fn no_memory_is_taken_for_what_is_merely_announced() {
    assert!(decode::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]).is_err());
    assert!(decode::<BTreeMap<u8, u8>>(&[0xdf, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]).is_err());
    assert!(decode::<String>(&[0xdb, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]).is_err());
    // Each announces as much as there is after it, and what is there is the next one.
    let mut bytes = Vec::new();
    for left in (0..100u16).rev() {
        let [high, low] = (3 * left).to_be_bytes();
        bytes.extend([0xdc, high, low]);
    }
    assert!(decode::<Announced>(&bytes).is_err());
    let sum = ANNOUNCED.get();
    assert!(sum > 250 && sum <= bytes.len(), "{sum} for {} bytes", bytes.len());
}

#[test]
fn who_miscounts_his_parts_is_refused() {
    struct Liar(Option<usize>);
    impl Serialize for Liar {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut parts = serializer.serialize_seq(self.0)?;
            parts.serialize_element(&1)?;
            parts.serialize_element(&2)?;
            parts.end()
        }
    }
    impl<'de> Deserialize<'de> for Liar {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Liar, D::Error> {
            <(i32, i32)>::deserialize(deserializer).map(|_| Liar(None))
        }
    }
    assert!(encode(&Liar(Some(1)), &mut Vec::new()).is_err());
    assert!(encode(&Liar(Some(3)), &mut Vec::new()).is_err());
    assert_eq!(bytes_of(&Liar(Some(2))), bytes_of(&Liar(None)));
}

#[test]
fn bytes_too_many_are_an_error() {
    assert!(decode::<[u8; 2]>(&[0x93, 1, 2, 3]).is_err());
    assert!(decode::<(u8, ())>(&[0x93, 1, 0xc0, 3]).is_err());
}
