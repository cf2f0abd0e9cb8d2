//! The laws of the isolation programs' transcripts. None of them rests on a pause, so they hold at any scale.

use shared::demo::laws;
use shared::demo::transcript::{Started, repeat, run};
use std::thread;
use std::time::Duration;

const ISOLATION: &str = env!("CARGO_BIN_EXE_isolation");
const ONE_CHILD: &str = env!("CARGO_BIN_EXE_isolation_one_child");
const THREADS: &str = env!("CARGO_BIN_EXE_isolation_threads");
const RESULT: &str = env!("CARGO_BIN_EXE_isolation_result");
const ALL: [&str; 4] = [ISOLATION, ONE_CHILD, THREADS, RESULT];

/// Exactly these lines, and nothing to complain of.
fn prints(lines: &[&str], program: &str, arguments: &[&str]) {
    for scale in ["1", "0.01", "0"] {
        let arguments = [arguments, &["--time-scale", scale]].concat();
        repeat(
            || run(program, &arguments),
            |transcript| {
                let transcript = transcript.expect_success();
                assert_eq!(transcript.lines, lines, "{transcript:#?}");
                assert_eq!(transcript.errors, "");
            },
        );
    }
}

#[test]
fn a_hundred_children_leave_the_parents_number_as_it_was() {
    prints(&["100"], ISOLATION, &[]);
    prints(&["100"], ISOLATION, &["--processes", "1"]);
    prints(&["100"], ISOLATION, &["--processes", "250"]);
}

#[test]
fn one_child_that_nobody_waits_for_changes_nothing_either() {
    prints(&["100"], ONE_CHILD, &[]);
}

#[test]
fn threads_share_the_number() {
    prints(&["0"], THREADS, &[]);
    prints(&["99"], THREADS, &["--threads", "1"]);
    prints(&["-150"], THREADS, &["--threads", "250"]);
}

#[test]
fn the_childs_result_comes_home_and_its_number_does_not() {
    prints(&["100", "111"], RESULT, &[]);
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in ALL {
        laws::refuses_nonsense(program);
        laws::refuses(program, "--seed", &["1"]); // nothing is drawn here
    }
    for (program, option) in [(ISOLATION, "--processes"), (THREADS, "--threads")] {
        let counts = ["0", "-3", "many", "1.5", "1000000000", "99999999999999999999"];
        laws::refuses(program, option, &counts);
    }
}

/// Descriptors run out in the midst of the children.
#[test]
fn a_refused_fork_is_one_clear_line() {
    for limit in [4, 5, 10, 50] {
        let limited = format!("ulimit -n {limit} && exec {ISOLATION}");
        let refused = run("sh", &["-c", &limited]).expect_failure(1);
        assert!(refused.errors.contains("cannot fork"), "{refused:#?}");
        assert_eq!(refused.lines, [""; 0], "{refused:#?}");
    }
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    for program in ALL {
        laws::ends_quietly_without_reader(program, &[]);
    }
}

#[test]
fn a_full_disk_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in ALL {
        laws::tells_of_a_full_disk(program, "");
    }
}

#[test]
fn ctrl_c_ends_the_program_in_the_midst_of_its_children() {
    for to_all in [true, false] {
        // It is at it for some hundreds of milliseconds.
        let started = Started::new(ISOLATION, &["--processes", "1000"]);
        thread::sleep(Duration::from_millis(rand::random_range(0..30)));
        laws::ends_when_interrupted(started, to_all);
    }
}

#[test]
fn ctrl_c_at_any_moment_ends_a_short_program_by_130_or_at_its_own_end() {
    for program in ALL {
        laws::ends_at_ctrl_c_at_any_moment(program, &[], Duration::from_millis(5));
    }
}
