//! `/dev/null`, which every child reads from: opened once, for to look up a path costs as much as the rest of what a
//! parent does before a fork.

use nix::sys::stat::fstat;
use std::fs::File;
use std::io;
use std::mem;
use std::sync::{Mutex, PoisonError};

/// Kept open by this process and, as forks copy it, by all that descend from it.
static NULL: Mutex<Option<File>> = Mutex::new(None);

/// A descriptor of `/dev/null`, of the caller's own.
pub(super) fn open() -> io::Result<File> {
    let mut kept = NULL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(null) = &*kept {
        if is_null(null) {
            return null.try_clone();
        }
        // A program that closes all descriptors has closed this one too: the number may be another's now.
        mem::forget(kept.take());
    }
    let null = File::open("/dev/null")?;
    let own = null.try_clone()?;
    *kept = Some(null);
    Ok(own)
}

fn is_null(file: &File) -> bool {
    /// The device that Linux has under this name, whatever else may be there.
    const DEVICE: u64 = nix::libc::makedev(1, 3);
    fstat(file).is_ok_and(|status| status.st_rdev == DEVICE)
}
