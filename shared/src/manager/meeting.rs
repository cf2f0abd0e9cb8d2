//! How a client meets the server: the one place where endpoints travel, by `ipc-channel`.
//!
//! The meeting is a channel that was made before the server; the server has its receiving end, and every process that
//! was forked since has the sending end. A client makes a channel of its own, keeps the receiving end and sends the other
//! one along with its name. That is its bell: the first message that comes through it is the answer, the number of a
//! desk, and all others say that there is something new at it. When the server ends, however it does, the kernel
//! closes the one sending end that there is, and the client hears that too, asleep or awake.

use super::error::ManagerError;
use crate::process::signal::Signal;
use crate::sync::Slice;
use crate::sys::clock::Deadline;
use crate::sys::mask::{self, Blocked};
use crate::sys::{pidfd, signal};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use ipc_channel::platform::OsIpcSender;
use ipc_channel::{IpcError, TryRecvError};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A client comes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Its [`Owner`](crate::sys::task::Owner).
    pub(super) who: u64,
    pub(super) bell: Bell,
}

pub(super) type Bell = IpcSender<Rung>;

/// What comes through a bell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Rung {
    /// Something has changed at the desk.
    News,
    /// The client may use this desk. Requests and answers have so many bytes at most.
    Welcome { desk: u32, longest: u64 },
    /// There are as many connections as there may be.
    Full { limit: u64 },
    /// The system refused something that the server needs for it.
    Refused { reason: String },
}

/// The two ends of a meeting. What `ipc-channel` finds out about the system when it is first used, and panics if it
/// cannot, it finds out here: in the server and in all clients it is known then.
pub(super) fn meeting() -> io::Result<(IpcSender<Hello>, IpcReceiver<Hello>)> {
    let ends = ipc::channel()?;
    // There are two descriptors for it, then.
    drop(ipc::channel::<Hello>()?);
    OsIpcSender::get_max_fragment_size();
    Ok(ends)
}

/// How long it may take a process from its first step to the end to its last.
pub(super) const ENDING: Duration = Duration::from_millis(50);

/// Comes to the meeting. `knock` tells the server.
pub(super) fn come(
    meeting: &IpcSender<Hello>,
    server: BorrowedFd<'_>,
    who: u64,
    knock: impl FnOnce(),
) -> Result<(Ears, u32, u64), ManagerError> {
    let refused = |reason: String| ManagerError::NoConnection(reason);
    let (bell, ears) = ipc::channel().map_err(|error| refused(error.to_string()))?;
    if pidfd::has_ended(server) {
        return Err(ManagerError::Gone);
    }
    send_without_signal(meeting, Hello { who, bell }).map_err(|error| match error {
        IpcError::Io(error) if is_hang_up(&error) => ManagerError::Gone,
        error => refused(error.to_string()),
    })?;
    knock();
    let ears = Ears(ears);
    let mut slice = Slice::first();
    loop {
        match ears.listen(slice.next()) {
            Listened::Rung(Rung::Welcome { desk, longest }) => return Ok((ears, desk, longest)),
            Listened::Rung(Rung::Full { limit }) => return Err(ManagerError::TooManyConnections { limit }),
            Listened::Rung(Rung::Refused { reason }) => return Err(refused(reason)),
            Listened::Rung(Rung::News) | Listened::Nothing => {}
            // A process that ends closes what it has, and has ended a moment later.
            Listened::HangUp if pidfd::wait(server, Deadline::after(ENDING)) => {
                return Err(ManagerError::Gone);
            }
            Listened::HangUp => return Err(refused("the manager has no descriptor left".to_owned())),
        }
    }
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// `ipc-channel` sends without `MSG_NOSIGNAL`: to a server that has just ended, that is a SIGPIPE, which in this program may
/// mean something else.
fn send_without_signal(meeting: &IpcSender<Hello>, hello: Hello) -> Result<(), IpcError> {
    let _blocked = Blocked::all();
    let sent = meeting.send(hello);
    if sent.is_err() {
        mask::wait(signal::set_of(Signal::SIGPIPE.number()), Deadline::after(Duration::ZERO));
    }
    sent
}

/// What a client listens with.
#[derive(Debug)]
pub(super) struct Ears(pub(super) IpcReceiver<Rung>);

/// What it heard.
pub(super) enum Listened {
    Rung(Rung),
    /// Not in time, or a signal came and was answered.
    Nothing,
    /// The server has let go of the bell, or has ended.
    HangUp,
}

impl Ears {
    /// `poll(2)` and `recvmsg(2)`: sleeps until the bell rings, at most so long. Signals that come are answered.
    pub(super) fn listen(&self, longest: Duration) -> Listened {
        let heard = self.0.try_recv_timeout(longest);
        signal::safe_point();
        match heard {
            Ok(rung) => Listened::Rung(rung),
            Err(TryRecvError::Empty) => Listened::Nothing,
            Err(TryRecvError::IpcError(IpcError::Io(error))) if !is_hang_up(&error) => Listened::Nothing,
            Err(TryRecvError::IpcError(_)) => Listened::HangUp,
        }
    }
}
