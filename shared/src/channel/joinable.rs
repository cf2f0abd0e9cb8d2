//! A queue that knows what became of its items.
