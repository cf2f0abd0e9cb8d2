//! Any bytes, to a manager's protocol: a request or an answer that goes back into the same bytes' worth, or an error; never
//! a panic, and no memory for what is merely announced (`-malloc_limit_mb`).
//!
//! Protocol and codec are included as the model does it, since they are not public: the same text.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../src/channel/message/mod.rs"]
mod message;
/// What the protocol has from the library.
mod sync {
    pub(crate) use shared::sync::{BrokenCause, Cause};
}
#[allow(dead_code, unreachable_pub)]
#[path = "../../src/manager/wire.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;
use message::Message;
use wire::{Answer, Request};

/// What was understood is said again, and understood again as the same.
fn again<T: Message + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(value) = message::decode::<T>(bytes) else { return };
    let said = encoded(&value);
    let value = message::decode::<T>(&said).expect("its own bytes");
    assert_eq!(encoded(&value), said);
}

fn encoded<T: Message>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::encode(value, &mut bytes).expect("encodes");
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    again::<Request>(bytes);
    again::<Answer>(bytes);
});
