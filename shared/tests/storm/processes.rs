//! The waits for processes and signals.

use crate::harness::tools::sleep_for_ever;
use crate::{Call, Storm};
use shared::process;
use shared::process::signal::{self, Signal};
use std::thread;
use std::time::Instant;

pub(crate) const CALLS: &[(&str, Call)] = &[
    ("JoinHandle::wait_timeout", |world, time| !world.holder.wait_timeout(time)),
    ("JoinHandle::join", |_, time| process::spawn(move || thread::sleep(time)).join() == Ok(())),
    ("the end of a scope", |_, time| {
        process::scope(|s| {
            s.spawn_daemon(sleep_for_ever);
            s.spawn(move || thread::sleep(time));
        });
        true
    }),
    ("Parent::wait_timeout", |_, time| {
        // In a child, which has a storm of its own.
        let child = process::spawn(move || {
            let _storm = Storm::begin(|| ());
            let parent = process::parent().unwrap();
            let begun = Instant::now();
            !parent.wait_timeout(time) && begun.elapsed() >= time
        });
        child.join() == Ok(true)
    }),
    ("signal::wait", |_, time| signal::wait(&[Signal::SIGUSR1], Some(time)).is_none()),
    ("signal::pause", |_, time| {
        let end = Instant::now() + time;
        while Instant::now() < end {
            signal::pause();
        }
        true
    }),
    #[cfg(feature = "demo")]
    ("demo::pause", |_, time| {
        shared::demo::pause(time);
        true
    }),
    #[cfg(feature = "demo")]
    ("demo::readable", |world, time| !shared::demo::readable(&world.holder, time)),
];
