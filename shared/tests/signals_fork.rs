//! Signals and other processes: what a fork leaves of handlers and clock, those of the library and those of others;
//! and signals that are sent to a child.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod cast;
mod harness;

use cast::count;
use harness::tools::sleep_for_ever;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal as Raw, raise, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};
use shared::process::signal::{self, Disposition, Signal};
use shared::process::{self, ExitError};
use std::fs::File;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

harness::main! {
    trials {
        sig_14_signal_by_descriptor,
        an_alarm_without_a_handler_ends_the_process,
        a_child_has_no_clock_of_its_parent,
        a_foreign_handler_is_called_as_well_and_put_back,
        a_child_does_what_is_done_by_default,
        what_is_ignored_stays_ignored_in_a_child,
        a_child_sets_its_own_handlers,
        what_came_before_a_fork_is_the_parents,
        handlers_of_others_stay_in_a_child,
        a_fork_past_the_library_has_no_handlers_either,
        a_failed_process_tells_its_signal_by_name,
    }
}

const MOMENT: Duration = Duration::from_millis(20);

#[allow(unsafe_code)]
fn sig_14_signal_by_descriptor() {
    // SAFETY: no memory is passed; the descriptor is new and ours.
    let own = unsafe {
        let fd = nix::libc::syscall(nix::libc::SYS_pidfd_open, std::process::id(), 0);
        OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor"))
    };
    let came = count(Signal::SIGUSR1);
    signal::send(&own, Signal::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!(came.load(SeqCst), 1);

    let bad = File::open("/dev/null").unwrap();
    let refused = signal::send(bad.as_fd(), Signal::SIGUSR1).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(nix::libc::EBADF));

    for signal in [Signal::SIGUSR2, Signal::try_from(64).unwrap()] {
        let child = process::spawn(sleep_for_ever);
        signal::send(&child, signal).unwrap();
        assert!(child.wait_timeout(Duration::from_secs(5)));
        signal::send(&child, signal).unwrap(); // to a zombie
        let ended_by = child.join().unwrap_err();
        assert!(matches!(ended_by, ExitError::Signaled { signal: by, .. } if by == signal), "{ended_by}");
    }
}

fn an_alarm_without_a_handler_ends_the_process() {
    let _parents = count(Signal::SIGALRM);
    let child = process::spawn(|| {
        signal::alarm(MOMENT);
        sleep_for_ever();
    });
    assert!(matches!(child.join(), Err(ExitError::Signaled { signal: Signal::SIGALRM, .. })));
}

fn a_child_has_no_clock_of_its_parent() {
    signal::alarm(Duration::from_secs(100));
    assert_eq!(process::spawn(|| signal::alarm(Duration::ZERO)).join(), Ok(None));
    assert!(signal::alarm(Duration::ZERO).is_some());
}

static FOREIGN: AtomicU32 = AtomicU32::new(0);

#[allow(unsafe_code)]
fn set_foreign_handler() {
    extern "C" fn foreign(_: i32) {
        FOREIGN.fetch_add(1, SeqCst);
    }
    let action = SigAction::new(SigHandler::Handler(foreign), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does an atomic operation.
    unsafe { sigaction(Raw::SIGUSR1, &action) }.unwrap();
}

fn a_foreign_handler_is_called_as_well_and_put_back() {
    set_foreign_handler();
    let before = signal::disposition(Signal::SIGUSR1).unwrap();
    assert!(matches!(before, Disposition::Foreign(_)));
    let came = count(Signal::SIGUSR1);
    raise(Raw::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!((FOREIGN.load(SeqCst), came.load(SeqCst)), (1, 1));
    let ours = signal::set(Signal::SIGUSR1, before.clone()).unwrap();
    assert_eq!(signal::disposition(Signal::SIGUSR1), Ok(before));
    raise(Raw::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!((FOREIGN.load(SeqCst), came.load(SeqCst)), (2, 1));
    signal::set(Signal::SIGUSR1, ours).unwrap();
    raise(Raw::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!((FOREIGN.load(SeqCst), came.load(SeqCst)), (3, 2));
}

fn a_child_does_what_is_done_by_default() {
    let came = [Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGCHLD, Signal::SIGALRM].map(count);
    for (raw, signal) in [(Raw::SIGTERM, Signal::SIGTERM), (Raw::SIGUSR1, Signal::SIGUSR1)] {
        let child = process::spawn(move || {
            assert_eq!(signal::disposition(signal), Ok(Disposition::Default));
            raise(Raw::SIGCHLD).unwrap(); // which is nothing
            raise(raw).unwrap();
        });
        assert!(matches!(child.join(), Err(ExitError::Signaled { signal: by, .. }) if by == signal));
    }
    // From outside, before it has its bearings or after.
    for _ in 0..200 {
        let child = process::spawn(sleep_for_ever);
        child.terminate().unwrap();
        assert!(matches!(child.join(), Err(ExitError::Signaled { signal: Signal::SIGTERM, .. })));
    }
    assert!(came[..2].iter().all(|came| came.load(SeqCst) == 0));
    assert!(came[2].load(SeqCst) > 0, "the parent's is still set");
}

fn what_is_ignored_stays_ignored_in_a_child() {
    signal::ignore(Signal::SIGUSR1).unwrap();
    let child = process::spawn(|| {
        raise(Raw::SIGUSR1).unwrap();
        signal::disposition(Signal::SIGUSR1) == Ok(Disposition::Ignore)
    });
    assert_eq!(child.join(), Ok(true));
}

fn a_child_sets_its_own_handlers() {
    let parents = count(Signal::SIGUSR1);
    let child = process::spawn(|| {
        let own = count(Signal::SIGUSR1);
        raise(Raw::SIGUSR1).unwrap();
        signal::run_pending();
        // And so may its child in turn.
        let grandchild = process::spawn(|| {
            assert_eq!(signal::disposition(Signal::SIGUSR1), Ok(Disposition::Default));
            let own = count(Signal::SIGUSR1);
            raise(Raw::SIGUSR1).unwrap();
            signal::run_pending();
            own.load(SeqCst)
        });
        (own.load(SeqCst), grandchild.join().unwrap(), own.load(SeqCst))
    });
    assert_eq!(child.join(), Ok((1, 1, 1)));
    assert_eq!(parents.load(SeqCst), 0);
    raise(Raw::SIGUSR1).unwrap();
    signal::run_pending();
    assert_eq!(parents.load(SeqCst), 1);
}

fn what_came_before_a_fork_is_the_parents() {
    let came = count(Signal::SIGUSR1);
    raise(Raw::SIGUSR1).unwrap();
    let in_child = Arc::clone(&came);
    let child = process::spawn(move || (signal::run_pending(), in_child.load(SeqCst)));
    // Nor with a handler of its own.
    let another = process::spawn(|| {
        let own = count(Signal::SIGUSR1);
        (signal::run_pending(), own.load(SeqCst))
    });
    assert_eq!(came.load(SeqCst), 0);
    assert_eq!((child.join(), another.join()), (Ok((false, 0)), Ok((false, 0))));
    assert_eq!(came.load(SeqCst), 1, "the join was a safe point");
}

fn handlers_of_others_stay_in_a_child() {
    set_foreign_handler();
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGUSR2, Arc::clone(&flag)).unwrap();
    let came = [Signal::SIGUSR1, Signal::SIGUSR2].map(count);
    let child = process::spawn(move || {
        raise(Raw::SIGUSR1).unwrap();
        raise(Raw::SIGUSR2).unwrap();
        signal::run_pending();
        (FOREIGN.load(SeqCst), flag.load(SeqCst), came.map(|came| came.load(SeqCst)))
    });
    assert_eq!(child.join(), Ok((1, true, [0, 0])));
}

#[allow(unsafe_code)]
fn a_fork_past_the_library_has_no_handlers_either() {
    let _came = count(Signal::SIGUSR1);
    // SAFETY: this process has one thread.
    match unsafe { nix::unistd::fork() }.unwrap() {
        ForkResult::Child => {
            let _ = raise(Raw::SIGUSR1);
            std::process::exit(3);
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Signaled(child, Raw::SIGUSR1, false)));
        }
    }
}

fn a_failed_process_tells_its_signal_by_name() {
    for (signal, name) in [(Signal::SIGTERM, "SIGTERM"), (Signal::try_from(40).unwrap(), "signal 40")] {
        let child = process::spawn(sleep_for_ever);
        signal::send(&child, signal).unwrap();
        let pid = Pid::from_raw(child.process().id() as i32);
        let told = child.join().unwrap_err();
        assert_eq!(told.exit_code(), Some(-signal.number()));
        assert!(told.to_string().ends_with(&format!("(pid {pid}) was ended by {name}")), "{told}");
    }
}
