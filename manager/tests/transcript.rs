//! The laws of the transcripts of a manager. That nine of ten updates are lost rests on a pause.

use shared::demo::laws;
use shared::demo::transcript::{Transcript, repeat, run};
use std::collections::BTreeSet;
use std::time::Duration;

const MANAGER: &str = env!("CARGO_BIN_EXE_manager");
const COUNTER: &str = env!("CARGO_BIN_EXE_manager_counter");
const LOST_UPDATE: &str = env!("CARGO_BIN_EXE_manager_lost_update");
const TYPES: &str = env!("CARGO_BIN_EXE_manager_types");
const ALL: [&str; 4] = [MANAGER, COUNTER, LOST_UPDATE, TYPES];
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

#[test]
fn ten_sons_write_into_one_dict_and_one_list() {
    at_all_scales(MANAGER, |transcript, _| {
        let lines = &transcript.lines;
        assert_eq!(lines.len(), 13, "{transcript:#?}");
        let numbers =
            lines[0].strip_prefix("main process dict id:").and_then(|rest| rest.split_once(" list ID:"));
        let (dict, list) = numbers.unwrap_or_else(|| panic!("{transcript:#?}"));
        assert!(
            dict.parse::<u64>().is_ok() && list.parse::<u64>().is_ok() && dict != list,
            "{transcript:#?}"
        );
        assert_eq!(transcript.count(&format!("son process dict id:{dict} list ID:{list}")), 10);
        let tests: Vec<_> = (0..10).map(|n| format!(r#""{n}":"test""#)).collect();
        assert_eq!(lines[11], format!("{{{}}}", tests.join(",")));
        let names: BTreeSet<String> =
            serde_json::from_str::<Vec<String>>(&lines[12]).expect("a list").into_iter().collect();
        assert_eq!(names, (0..10).map(|n| n.to_string()).collect());
    });
}

#[test]
fn under_the_lock_no_update_is_lost() {
    at_all_scales(COUNTER, |transcript, scale| {
        assert_eq!(transcript.lines, [r#"{"num":0}"#], "{transcript:#?}");
        let scale: f64 = scale.parse().expect("a number");
        assert!(transcript.took.as_secs_f64() >= scale, "one after the other: {transcript:#?}");
    });
}

#[test]
fn without_the_lock_updates_are_lost_and_with_one_request_none() {
    at_all_scales(LOST_UPDATE, |transcript, scale| {
        let lines = &transcript.lines;
        assert_eq!((lines.len(), &*lines[1]), (2, r#"{"num":0}"#), "{transcript:#?}");
        let left = lines[0].strip_prefix(r#"{"num":"#).and_then(|rest| rest.strip_suffix('}'));
        let left: i64 = left.and_then(|left| left.parse().ok()).unwrap_or_else(|| panic!("{transcript:#?}"));
        assert!((0..=9).contains(&left), "{transcript:#?}");
        assert!(scale != "1" || left > 0, "ten that sleep between reading and writing: {transcript:#?}");
    });
}

#[test]
fn each_kind_has_its_line() {
    let kinds = [
        "list",
        "dict",
        "Namespace",
        "Lock",
        "RLock",
        "Semaphore",
        "BoundedSemaphore",
        "Condition",
        "Event",
        "Barrier",
        "Queue",
        "Value",
        "Array",
    ];
    at_all_scales(TYPES, |transcript, _| {
        let told: Vec<_> = transcript.lines.iter().filter_map(|line| line.split_once(": ")).collect();
        assert_eq!(told.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), kinds, "{transcript:#?}");
        // What was done is the same each time.
        let ends = [
            "[1, 2, 3]",
            "[1, 2, 3, 4]",
            r#"{"x":10}"#,
            "true",
            "true",
            "2",
            "true",
            "notified",
            "set",
            "true",
            "[1, 2, 3]",
            "6",
            "[-1.5, 2.5]",
        ];
        for ((_, what), end) in told.iter().zip(ends) {
            assert!(what.ends_with(end), "{what:?} does not end with {end:?}");
        }
    });
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in ALL {
        laws::refuses_nonsense(program);
        laws::refuses(program, "--seed", &["1"]); // nothing is drawn here
        laws::refuses(program, "--color", &["blue"]);
    }
}

#[test]
fn a_refused_fork_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in ALL {
        for limit in [4, 6, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20] {
            let limited = format!("ulimit -n {limit} && exec {program} --time-scale 0");
            let transcript = run("sh", &["-c", &limited]);
            if transcript.status != 0 {
                transcript.expect_failure(1);
            }
        }
    }
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    for program in ALL {
        laws::ends_quietly_without_reader(program, &["--time-scale", "0.05"]);
    }
}

#[test]
fn ctrl_c_ends_whoever_waits() {
    for program in ALL {
        laws::ends_at_ctrl_c_at_any_moment(program, &["--time-scale", "0.1"], Duration::from_millis(60));
    }
}
