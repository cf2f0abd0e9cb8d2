//! Descriptors to sleep on: bells that others ring, lives that end, and the sleep on several of them.

use super::clock::Deadline;
use super::signal;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::pipe2;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// How long a sleeper sleeps that cannot hear its bell.
const NAP: Duration = Duration::from_millis(2);

/// `eventfd(2)`: what wakes sleepers in other processes.
///
/// It is never read: its count only grows, and each sleeper sees that by itself ([`Sleeper`]). So nobody can
/// take away another's ring.
#[derive(Debug)]
pub(crate) struct Doorbell(EventFd);

impl Doorbell {
    pub(crate) fn new() -> Result<Doorbell, Errno> {
        EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Doorbell)
    }

    /// `write(2)`: wakes all who sleep on it. The count could overflow after 2⁶⁴ rings only.
    pub(crate) fn ring(&self) {
        let _ = self.0.write(1);
    }
}

/// `pipe2(2)`, through which nothing is ever sent: the first is held by those who live, and the kernel tells of
/// the second when the last copy of the first is closed, however its holders ended.
pub(crate) fn life() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (watch, life) = pipe2(OFlag::O_CLOEXEC)?;
    Ok((life, watch))
}

/// `poll(2)` without waiting: whether the [`life`] that is watched has ended.
pub(crate) fn has_ended(watch: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(watch, PollFlags::empty())], PollTimeout::ZERO) == Ok(1)
}

/// `epoll(7)`: one sleeper, and what may wake it.
///
/// Bells are watched by their edges: each ring wakes each sleeper once, if it sleeps now or when it next does.
#[derive(Debug)]
pub(crate) struct Sleeper(Epoll);

impl Sleeper {
    /// `epoll_create1(2)`.
    pub(crate) fn new() -> Result<Sleeper, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Sleeper)
    }

    /// `epoll_ctl(2)`: it will wake when the bell is rung.
    pub(crate) fn hear(&self, bell: &Doorbell, number: u64) -> Result<(), Errno> {
        self.0.add(&bell.0, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, number))
    }

    /// `epoll_ctl(2)`: it will wake, and not sleep any more, when this is readable or has ended.
    pub(crate) fn watch(&self, fd: BorrowedFd<'_>, number: u64) -> Result<(), Errno> {
        self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, number))
    }

    /// `epoll_wait(2)`, at most until the deadline. Returns the number of what it was woken by. Signals that came
    /// are answered.
    pub(crate) fn sleep(&self, deadline: Deadline) -> Option<u64> {
        let mut events = [EpollEvent::empty()];
        let waited = self.0.wait(&mut events, timeout(deadline));
        if waited == Err(Errno::EINTR) {
            signal::safe_point();
        }
        (waited == Ok(1)).then(|| events[0].data())
    }
}

/// `poll(2)`, for want of a [`Sleeper`]: a short sleep, or until the [`life`] that is watched has ended. `true`: it
/// has.
pub(crate) fn doze(watch: BorrowedFd<'_>, deadline: Deadline) -> bool {
    let left = deadline.left().unwrap_or(NAP).min(NAP);
    let time = PollTimeout::from(left.as_micros().div_ceil(1000) as u8);
    let polled = poll(&mut [PollFd::new(watch, PollFlags::empty())], time);
    signal::safe_point();
    polled == Ok(1)
}

/// In milliseconds, rounded up, so that it never ends early.
fn timeout(deadline: Deadline) -> EpollTimeout {
    let millis = deadline.left().map(|left| left.as_micros().div_ceil(1000));
    millis.map_or(EpollTimeout::NONE, |millis| EpollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX)))
}
