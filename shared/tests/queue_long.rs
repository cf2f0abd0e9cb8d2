//! Items whose bytes go into a block while they are being made, and out of it as they are.

mod harness;

use harness::tools::shared_memory;
use serde::ser::{Error, SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};
use shared::channel::{Message, PutError, Queue};
use shared::process;
use std::panic::{AssertUnwindSafe, catch_unwind};

harness::main! {
    trials {
        texts_of_every_length_alone_and_among_others_come_back,
        a_long_text_that_is_refused_in_the_end_leaves_nothing_behind,
        who_puts_another_item_while_an_item_is_made_gets_both,
        no_memory_for_a_long_text_is_an_error_of_that_put,
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    number: u64,
    text: String,
    more: Vec<String>,
}

fn comes_back<T: Message + Clone + PartialEq + Sync>(items: &[T]) {
    let queue = Queue::bounded(3);
    process::scope(|s| {
        s.spawn(|| items.iter().for_each(|item| queue.put(item.clone()).unwrap()));
        for item in items {
            assert!(queue.get().unwrap() == *item);
        }
    });
}

/// Around what lies in a place, what is written at once, a page, and each size of block.
fn texts_of_every_length_alone_and_among_others_come_back() {
    let lengths = [0, 1, 90, 97, 1_023, 1_024, 4_080, 4_096, 8_190, 8_192, 32_768, 262_144, 1 << 20, 3 << 20];
    let texts: Vec<_> = lengths.map(|len| "é".repeat(len / 2) + &"x".repeat(len % 2)).into();
    comes_back(&texts);
    comes_back(&texts.iter().cloned().map(Some).collect::<Vec<_>>());
    comes_back(&texts.iter().map(|text| serde_json::Value::from(text.as_str())).collect::<Vec<_>>());
    for more in [0, 1, 3_000, 6_000, 40_000] {
        let page = |text: &String| Page { number: 7, text: text.clone(), more: vec!["y".repeat(more); 3] };
        comes_back(&texts.iter().map(page).collect::<Vec<_>>());
    }
}

/// Says something long, and then what its number says.
#[derive(Debug)]
enum Last {
    Fine,
    Refused,
    Panic,
}

#[derive(Debug)]
struct Long(Last);

impl Serialize for Long {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut parts = to.serialize_tuple(2)?;
        parts.serialize_element(&"x".repeat(1 << 20))?;
        match self.0 {
            Last::Fine => parts.serialize_element(&1)?,
            Last::Refused => return Err(S::Error::custom("after all")),
            Last::Panic => panic!("after all"),
        }
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Long {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Long, D::Error> {
        <(String, u8)>::deserialize(from).map(|_| Long(Last::Fine))
    }
}

fn a_long_text_that_is_refused_in_the_end_leaves_nothing_behind() {
    let queue = Queue::new();
    let before = shared_memory();
    for _ in 0..20 {
        assert!(matches!(queue.put(Long(Last::Refused)), Err(PutError::Encode(Long(Last::Refused), _))));
        catch_unwind(AssertUnwindSafe(|| queue.put(Long(Last::Panic)))).unwrap_err();
    }
    let after = shared_memory();
    assert!(after < before + (1 << 20), "{before} before, {after} after");
    assert_eq!(queue.len(), 0);
    queue.put(Long(Last::Fine)).unwrap();
    assert!(matches!(queue.get(), Ok(Long(Last::Fine))));
}

/// Puts a text into a queue while it is encoded, between two of its own.
struct Talker(Queue<String>);

impl Serialize for Talker {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut parts = to.serialize_tuple(2)?;
        parts.serialize_element(&"a".repeat(5_000))?;
        self.0.put("b".repeat(5_000)).map_err(S::Error::custom)?;
        parts.serialize_element(&"c".repeat(5_000))?;
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Talker {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Talker, D::Error> {
        assert!(<(String, String)>::deserialize(from)? == ("a".repeat(5_000), "c".repeat(5_000)));
        Ok(Talker(Queue::new()))
    }
}

fn who_puts_another_item_while_an_item_is_made_gets_both() {
    let texts = Queue::new();
    let talkers = Queue::new();
    for _ in 0..3 {
        talkers.put(Talker(texts.clone())).unwrap();
        assert!(texts.get().unwrap() == "b".repeat(5_000));
    }
    (0..3).for_each(|_| drop(talkers.get().unwrap()));
}

fn no_memory_for_a_long_text_is_an_error_of_that_put() {
    let queue = Queue::new();
    let long = "x".repeat(130 << 20);
    (0..3).for_each(|_| queue.put(long.clone()).unwrap());
    match queue.put(long.clone()) {
        Err(PutError::NoMemory(item, _)) => assert!(item == long, "it comes back"),
        other => panic!(
            "there are three places for so large a one: {:?}",
            other.map_err(|error| error.to_string())
        ),
    }
    assert_eq!(queue.len(), 3);
    (0..3).for_each(|_| assert!(queue.get().unwrap() == long));
    queue.put("goes on".to_owned()).unwrap();
    assert_eq!(queue.get().unwrap(), "goes on");
}
