//! The few things that the server does with the inside of a value: adding numbers, appending to lists, and sorting.
//!
//! A value is MessagePack. What is read here is a number, a text, or the head of a list; all else stays as it came.

use crate::channel::message;
use crate::manager::wire::{Bytes, Fault, Packed};
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// Their sum, as a number that holds it.
pub(super) fn add(a: &Packed, b: &Packed) -> Result<Packed, Fault> {
    let number = |packed: &Packed| message::decode::<Number>(&packed.bytes.0).or(Err(Fault::NotANumber));
    let (a, b) = (number(a)?, number(b)?);
    let mut bytes = Vec::new();
    let encoded = match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => match a.checked_add(b) {
            Some(sum) if i64::try_from(sum).is_ok() => message::encode(&(sum as i64), &mut bytes),
            Some(sum) if u64::try_from(sum).is_ok() => message::encode(&(sum as u64), &mut bytes),
            _ => return Err(Fault::Overflow),
        },
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => message::encode(&(a + b), &mut bytes),
            _ => return Err(Fault::NotANumber),
        },
    };
    encoded.map_err(|_| Fault::Overflow)?;
    Ok(Packed { bytes: Bytes::from(&bytes[..]), handles: Vec::new() })
}

/// The list with one more at its end; without a list, a list of that one.
pub(super) fn append(list: Option<&Packed>, item: &Packed) -> Result<Packed, Fault> {
    let (len, items, handles) = match list {
        None => (0, &[][..], &[][..]),
        Some(list) => {
            let (len, items) = split(&list.bytes.0).ok_or(Fault::NotAList)?;
            (len, items, &list.handles[..])
        }
    };
    let mut bytes = head(len.checked_add(1).ok_or(Fault::Overflow)?);
    bytes.extend_from_slice(items);
    bytes.extend_from_slice(&item.bytes.0);
    let handles = [handles, &item.handles[..]].concat();
    Ok(Packed { bytes: Bytes::from(&bytes[..]), handles })
}

/// How many items a list has, and the bytes of them.
fn split(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0x90..=0x9f => Some((u32::from(first & 0x0f), rest)),
        0xdc => rest.split_first_chunk().map(|(len, rest)| (u32::from(u16::from_be_bytes(*len)), rest)),
        0xdd => rest.split_first_chunk().map(|(len, rest)| (u32::from_be_bytes(*len), rest)),
        _ => None,
    }
}

fn head(len: u32) -> Vec<u8> {
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..16), _) => vec![0x90 | len],
        (_, Ok(len)) => [&[0xdc][..], &len.to_be_bytes()].concat(),
        _ => [&[0xdd][..], &len.to_be_bytes()].concat(),
    }
}

/// Sorts numbers, or texts; equal ones stay in their order.
pub(super) fn sort(items: &mut Vec<Packed>) -> Result<(), Fault> {
    let mut keyed = Vec::new();
    for item in &*items {
        let key = message::decode::<Value>(&item.bytes.0).map_err(|_| Fault::NoOrder)?;
        match (&key, keyed.first().map(|(first, _)| first)) {
            (Value::Number(_), None | Some(Value::Number(_))) => {}
            (Value::String(_), None | Some(Value::String(_))) => {}
            _ => return Err(Fault::NoOrder),
        }
        keyed.push((key, item.clone()));
    }
    keyed.sort_by(|(a, _), (b, _)| order(a, b));
    *items = keyed.into_iter().map(|(_, item)| item).collect();
    Ok(())
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
        },
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::{add, append, sort};
    use crate::channel::message;
    use crate::manager::wire::{Bytes, Fault, Packed};
    use serde_json::{Value, json};

    fn packed(value: &Value) -> Packed {
        let mut bytes = Vec::new();
        message::encode(value, &mut bytes).expect("encodes");
        Packed { bytes: Bytes::from(&bytes[..]), handles: Vec::new() }
    }

    fn value(packed: &Packed) -> Value {
        message::decode(&packed.bytes.0).expect("decodes")
    }

    #[test]
    fn numbers_are_added_as_numbers() {
        let sum = |a: Value, b: Value| add(&packed(&a), &packed(&b)).map(|sum| value(&sum));
        assert_eq!(sum(json!(1), json!(2)), Ok(json!(3)));
        assert_eq!(sum(json!(1), json!(-2)), Ok(json!(-1)));
        assert_eq!(sum(json!(1), json!(0.5)), Ok(json!(1.5)));
        assert_eq!(sum(json!(u64::MAX), json!(-1)), Ok(json!(u64::MAX - 1)));
        assert_eq!(sum(json!(u64::MAX), json!(1)), Err(Fault::Overflow));
        assert_eq!(sum(json!(i64::MIN), json!(-1)), Err(Fault::Overflow));
        assert_eq!(sum(json!("1"), json!(1)), Err(Fault::NotANumber));
    }

    #[test]
    fn a_list_grows_through_all_its_heads() {
        let mut list = None;
        for n in 0..70_000 {
            list = Some(append(list.as_ref(), &packed(&json!(n))).expect("a list"));
            if [1, 15, 16, 17, 65_535, 65_536].contains(&(n + 1)) {
                let expected: Vec<_> = (0..=n).collect();
                assert_eq!(value(list.as_ref().expect("made")), json!(expected));
            }
            if n == 40 {
                // The way to the longer heads in one go.
                let many: Vec<_> = (0..=65_530).collect();
                list = Some(packed(&json!(many)));
                break;
            }
        }
        for n in 65_531..65_540 {
            list = Some(append(list.as_ref(), &packed(&json!(n))).expect("a list"));
        }
        let expected: Vec<_> = (0..65_540).collect();
        assert_eq!(value(list.as_ref().expect("made")), json!(expected));
        assert_eq!(append(Some(&packed(&json!({}))), &packed(&json!(1))), Err(Fault::NotAList));
    }

    #[test]
    fn what_has_an_order_is_sorted_and_nothing_else() {
        let sorted = |values: &[Value]| {
            let mut items: Vec<_> = values.iter().map(packed).collect();
            sort(&mut items).map(|()| items.iter().map(value).collect::<Vec<_>>())
        };
        assert_eq!(sorted(&[json!(2), json!(1.5), json!(-1)]), Ok(vec![json!(-1), json!(1.5), json!(2)]));
        assert_eq!(sorted(&[json!("b"), json!("a")]), Ok(vec![json!("a"), json!("b")]));
        assert_eq!(sorted(&[json!("b"), json!(1)]), Err(Fault::NoOrder));
        assert_eq!(sorted(&[json!([1])]), Err(Fault::NoOrder));
        assert_eq!(sorted(&[]), Ok(vec![]));
    }
}
