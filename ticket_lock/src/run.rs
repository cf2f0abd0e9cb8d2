//! One run at a time on one ticket file.

use shared::demo;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// The reservation of a file for one run: main, and every process that it forks.
///
/// It is a name in the kernel's table of abstract sockets, made from the file's path. A lock *on* the file
/// would not do, since the file is replaced at each sale; a lock file *beside* it might be left there. This
/// name goes by itself when the last process that has the descriptor ends, however it ends. (The table is
/// one for each network namespace: runs in different containers do not see one another.)
#[derive(Debug)]
pub(crate) struct RunLock {
    _name: UnixDatagram,
}

impl RunLock {
    /// Reserves the file, waiting for another run to end.
    pub(crate) fn wait_for(file: &Path) -> io::Result<RunLock> {
        let mut told = false;
        loop {
            if let Some(lock) = RunLock::try_get(file)? {
                return Ok(lock);
            }
            if !told {
                eprintln!("waiting for another run on {} to end", file.display());
                told = true;
            }
            demo::pause(Duration::from_millis(20));
        }
    }

    /// Reserves the file, unless another run has it.
    pub(crate) fn try_get(file: &Path) -> io::Result<Option<RunLock>> {
        let mut hash = DefaultHasher::new();
        file.hash(&mut hash);
        let name = SocketAddr::from_abstract_name(format!("ticket_lock-{:016x}", hash.finish()))?;
        match UnixDatagram::bind_addr(&name) {
            Ok(name) => Ok(Some(RunLock { _name: name })),
            Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error),
        }
    }
}
