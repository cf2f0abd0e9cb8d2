//! The laws of the transcripts of queues and pipes. Only that time-outs take their time rests on a pause.

use shared::demo::laws;
use shared::demo::transcript::{Transcript, repeat, run};
use std::collections::BTreeSet;
use std::time::Duration;

const QUEUE_PIPE: &str = env!("CARGO_BIN_EXE_queue_pipe");
const BOUNDED: &str = env!("CARGO_BIN_EXE_bounded_queue");
const PIPE_END: &str = env!("CARGO_BIN_EXE_pipe_end");
const SCALES: [&str; 3] = ["1", "0.01", "0"];

/// A few runs at each scale.
fn at_all_scales(program: &str, law: impl Fn(Transcript, &str) + Sync) {
    for scale in SCALES {
        repeat(
            || run(program, &["--time-scale", scale]),
            |transcript| {
                let transcript = transcript.expect_success();
                assert_eq!(transcript.errors, "");
                law(transcript, scale);
            },
        );
    }
}

/// What stands behind these words: a number.
#[track_caller]
fn number(line: &str, words: &str) -> u64 {
    let number = line.strip_prefix(words).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("{line:?} is not {words:?} and a number"))
}

#[test]
fn the_queue_is_one_in_all_processes_and_each_number_comes_once() {
    at_all_scales(QUEUE_PIPE, |transcript, _| {
        let lines = &transcript.lines;
        assert_eq!(lines.len(), 11, "{transcript:#?}");
        let id = number(&lines[0], "main process queue ID is ");
        for son in &lines[1..4] {
            assert_eq!(number(son, "son process queue ID is "), id, "{transcript:#?}");
        }
        let got: BTreeSet<_> = lines[4..7].iter().map(String::as_str).collect();
        assert_eq!(got, BTreeSet::from(["1", "2", "3"]), "{transcript:#?}");

        // Then the two talk, each after the other.
        let id = number(&lines[7], "main child conn: ");
        assert_eq!(lines[8..10], ["Hi daddy!", "response: Hi child!"], "{transcript:#?}");
        assert_eq!(number(&lines[10], "child conn ID "), id, "{transcript:#?}");
    });
}

#[test]
fn a_bounded_queue_is_full_and_empty_when_it_should_be() {
    at_all_scales(BOUNDED, |transcript, scale| {
        let lines = [
            "first",
            r#"{"second":null}"#,
            "third",
            "queue.Full",
            "queue.Full after 3 s",
            "first second third",
            "queue.Empty",
            "queue.Empty after 2 s",
        ];
        assert_eq!(transcript.lines, lines, "{transcript:#?}");
        let scale: f64 = scale.parse().expect("a number");
        assert!(transcript.took.as_secs_f64() >= 5.0 * scale, "{transcript:#?}");
    });
}

#[test]
fn a_bare_pipe_has_no_end_for_a_child_that_inherited_it_and_a_connection_has() {
    at_all_scales(PIPE_END, |transcript, scale| {
        let bare = ["bare pipe: 1", "bare pipe: 2", "bare pipe: 3", "bare pipe: no end after 1 s"];
        let cured = ["connection: 1", "connection: 2", "connection: 3", "connection: the end"];
        assert_eq!(transcript.lines, [bare, cured].concat(), "{transcript:#?}");
        let scale: f64 = scale.parse().expect("a number");
        assert!(transcript.took.as_secs_f64() >= scale, "{transcript:#?}");
    });
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in [QUEUE_PIPE, BOUNDED, PIPE_END] {
        laws::refuses_nonsense(program);
        laws::refuses(program, "--seed", &["1"]); // nothing is drawn here
        laws::refuses(program, "--color", &["blue"]);
    }
}

#[test]
fn a_refused_fork_is_one_clear_line_and_nobody_is_left_waiting() {
    laws::tells_of_a_refused_fork(QUEUE_PIPE, "--time-scale 0");
    laws::tells_of_a_refused_fork(PIPE_END, "--time-scale 0");
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    for program in [QUEUE_PIPE, BOUNDED, PIPE_END] {
        laws::ends_quietly_without_reader(program, &["--time-scale", "0.05"]);
    }
}

#[test]
fn a_full_disk_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in [QUEUE_PIPE, BOUNDED, PIPE_END] {
        laws::tells_of_a_full_disk(program, "--time-scale 0.01");
    }
}

#[test]
fn ctrl_c_ends_whoever_waits() {
    for program in [BOUNDED, PIPE_END] {
        laws::ends_at_ctrl_c(program, &["--time-scale", "100"]);
        laws::ends_at_ctrl_c_at_any_moment(program, &["--time-scale", "0.01"], Duration::from_millis(60));
    }
    laws::ends_at_ctrl_c_at_any_moment(QUEUE_PIPE, &[], Duration::from_millis(10));
}
