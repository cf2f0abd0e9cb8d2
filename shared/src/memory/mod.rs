//! Bytes that several processes see: where they lie, and which types may lie there.

pub(crate) mod blocks;
mod classes;
pub(crate) mod copy;
mod place;
pub(crate) mod plain;
pub(crate) mod ring;
pub(crate) mod segment;
mod shared;
pub(crate) mod stream;

pub use plain::{InPlace, Plain};
pub use shared::Shared;
