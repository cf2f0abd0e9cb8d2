//! Waiting for several things at once.

use super::Connection;
use super::end::End;
use super::message::Message;
use crate::sync::{Slice, Spin};
use crate::sys::clock::Deadline;
use crate::sys::doorbell::Sleeper;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fmt::Debug;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// What [`wait`] can wait for: connections, and descriptors that become readable, such as the end of a process
/// ([`JoinHandle`](crate::process::JoinHandle)).
pub trait Waitable {
    /// What is waited for.
    #[doc(hidden)]
    fn awaited(&self) -> Awaited<'_>;
}

/// What is waited for.
#[doc(hidden)]
#[derive(Debug)]
pub struct Awaited<'a>(Kind<'a>);

#[derive(Debug)]
enum Kind<'a> {
    End(&'a End),
    Readable(BorrowedFd<'a>),
}

impl<S, R: Message> Waitable for Connection<S, R> {
    fn awaited(&self) -> Awaited<'_> {
        Awaited(Kind::End(&self.end))
    }
}

impl<'a> Awaited<'a> {
    /// A descriptor that will be readable.
    pub(crate) fn readable(fd: BorrowedFd<'a>) -> Awaited<'a> {
        Awaited(Kind::Readable(fd))
    }

    /// A look at memory.
    fn has_data(&self) -> bool {
        matches!(self.0, Kind::End(end) if end.has_data())
    }

    fn is_ready(&self) -> bool {
        match &self.0 {
            Kind::End(end) => end.is_ready(),
            Kind::Readable(fd) => {
                poll(&mut [PollFd::new(*fd, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
            }
        }
    }

    fn wakes(&self, sleeper: &Sleeper) -> Result<(), Errno> {
        let added = match &self.0 {
            Kind::End(end) => end.wakes(sleeper, 0, 0),
            Kind::Readable(fd) => sleeper.watch(fd.as_fd(), 0),
        };
        // Named twice, which is no harm.
        added.or_else(|errno| if errno == Errno::EEXIST { Ok(()) } else { Err(errno) })
    }
}

thread_local! {
    /// What this thread has learned about its waits.
    static SPIN: Spin = const { Spin::new() };
}

/// Waits until some of these are ready, at most `timeout` (`None`: as long as it takes), and returns which, in
/// ascending order: Python's `multiprocessing.connection.wait`. None in time: none are returned, and never early.
///
/// A connection is ready when there is something to receive, or the end; a process when it has ended. Nothing is
/// taken: somebody else who shares the end may be faster. Beneath is `epoll(7)`.
///
/// ```
/// use shared::channel::{pipe, wait};
/// use shared::process;
///
/// let (sender, receiver) = pipe::<i32>();
/// let child = process::spawn(move || sender.send(1).unwrap());
/// child.wait_timeout(std::time::Duration::MAX);
/// assert_eq!(wait(&[&receiver, &child], None), [0, 1]);
/// ```
pub fn wait(what: &[&dyn Waitable], timeout: Option<Duration>) -> Vec<usize> {
    let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
    let awaited: Vec<_> = what.iter().map(|one| one.awaited()).collect();
    let ready = || -> Vec<usize> {
        awaited.iter().enumerate().filter(|(_, one)| one.is_ready()).map(|(n, _)| n).collect()
    };
    let found = ready();
    if !found.is_empty() || deadline.has_passed() {
        return found;
    }
    if SPIN.with(|spin| spin.until(|| awaited.iter().any(Awaited::has_data))) {
        return ready();
    }
    let sleeper = Sleeper::new().and_then(|sleeper| {
        awaited.iter().try_for_each(|one| one.wakes(&sleeper))?;
        Ok(sleeper)
    });
    let mut slice = Slice::first();
    loop {
        let asleep = awaited.iter().filter_map(|one| match one.0 {
            Kind::End(end) => end.asleep(),
            Kind::Readable(_) => None,
        });
        let announced: Vec<_> = asleep.map(|asleep| (asleep, asleep.announce())).collect();
        let found = ready();
        if !found.is_empty() || deadline.has_passed() {
            announced.into_iter().for_each(|(asleep, announced)| asleep.withdraw(announced));
            return found;
        }
        match &sleeper {
            Ok(sleeper) => {
                sleeper.sleep(deadline.at_most(slice.next()));
            }
            // No descriptor to be had: look again and again.
            Err(_) => crate::sys::clock::sleep_until(deadline.at_most(Duration::from_millis(2))),
        }
    }
}
