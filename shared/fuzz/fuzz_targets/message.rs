//! Any bytes, to the codec: a value or an error, never a panic, and no memory for what is merely announced
//! (`-malloc_limit_mb`).
//!
//! The codec is included as the model does it, since it is not public: the same text.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../src/channel/message/mod.rs"]
mod message;

use libfuzzer_sys::fuzz_target;
use message::Message;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// A value of any shape.
#[derive(Serialize, Deserialize)]
enum Shape {
    Nothing,
    Unit(()),
    Bool(bool),
    Small(i8, i16, i32, u8, u16, u32),
    Numbers([u64; 4], i64),
    Long(i128, u128),
    Floats(f32, f64),
    Char(char),
    Text(String),
    Many(Vec<Shape>),
    Struct { first: Box<Shape>, second: Option<Option<u16>> },
    Map(BTreeMap<String, Shape>),
    By(BTreeMap<i32, Vec<u8>>),
    New(Newtype),
    Result(Result<u8, String>),
    Address(IpAddr),
    Time(Duration),
    Flat(Flat),
    Tagged(Tagged),
    Untagged(Untagged),
}

#[derive(Serialize, Deserialize)]
struct Newtype(Option<Box<Newtype>>);

#[derive(Serialize, Deserialize)]
struct Flat {
    own: u32,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { number: i64, next: Option<Box<Tagged>> },
    Other { text: String },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Fraction(f64),
    Address(IpAddr),
    Text(String),
    Many(Vec<Untagged>),
    Struct { only: Option<bool> },
}

/// As from a block of a queue, a text apart.
fn arrive<T: Message>(bytes: &[u8]) -> Result<T, message::MessageError> {
    let mut buffer = Vec::new();
    let mut arrival = message::Arrival::value(&mut buffer);
    let is_there = arrival.take(bytes.len(), |part, to| {
        to.extend_from_slice(&bytes[part]);
        true
    });
    assert!(is_there);
    arrival.decode()
}

/// What was decoded, in one way or the other, is encoded to bytes that decode to what is encoded to the same bytes.
fn comes_back<T: Message>(bytes: &[u8]) {
    let value = match (message::decode::<T>(bytes), arrive::<T>(bytes)) {
        (Ok(value), Ok(same)) => {
            let encoded = |value| {
                let mut bytes = Vec::new();
                message::encode(value, &mut bytes).map(|()| bytes)
            };
            assert_eq!(encoded(&value), encoded(&same));
            value
        }
        (whole, apart) => {
            assert_eq!(whole.err(), apart.err());
            return;
        }
    };
    let mut first = Vec::new();
    // It may be nested deeper in its bytes than it was in those.
    if message::encode(&value, &mut first).is_ok() {
        let value = message::decode::<T>(&first).expect("what was encoded is decoded");
        let mut second = Vec::new();
        message::encode(&value, &mut second).expect("as before");
        assert_eq!(first, second);
    }
}

fuzz_target!(|bytes: &[u8]| {
    comes_back::<Shape>(bytes);
    comes_back::<serde_json::Value>(bytes);
    comes_back::<Untagged>(bytes);
    comes_back::<Vec<Option<u64>>>(bytes);
    comes_back::<([u64; 8], String)>(bytes);
});
