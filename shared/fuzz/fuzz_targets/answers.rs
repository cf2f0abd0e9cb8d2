//! Any bytes, as a manager's answer: one that goes back into the same bytes' worth, or an error; never a panic, and no memory for
//! what is merely announced (`-malloc_limit_mb`).
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
use wire::Answer;

fn encoded(answer: &Answer) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::encode(answer, &mut bytes).expect("encodes");
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    // What was understood is said again, and understood again as the same.
    let Ok(answer) = message::decode::<Answer>(bytes) else { return };
    let said = encoded(&answer);
    let again = message::decode(&said).expect("its own bytes");
    assert_eq!(encoded(&again), said);
});
