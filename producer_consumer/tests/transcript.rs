//! The laws of the transcripts: what is produced is eaten, once and not before, and then it is over.

mod meals;

use meals::{CONSUMERS, meals};
use shared::demo::laws;
use shared::demo::transcript::{Transcript, repeat, run};
use std::collections::BTreeSet;
use std::time::Duration;

const JOINABLE: &str = env!("CARGO_BIN_EXE_producer_consumer");
const SENTINEL: &str = env!("CARGO_BIN_EXE_producer_consumer_sentinel");
const BOTH: [&str; 2] = [JOINABLE, SENTINEL];

/// All is produced, and each item eaten once. Returns who ate.
#[track_caller]
fn a_lawful_story(transcript: &Transcript, items: usize) -> BTreeSet<String> {
    assert_eq!((transcript.status, transcript.complaints()), (0, vec![]), "{transcript:#?}");
    let meals = meals(&transcript.lines);
    assert_eq!(meals.len(), 3 * items);
    for (item, eaters) in &meals {
        assert_eq!(eaters.len(), 1, "{item} was eaten by {eaters:?}");
    }
    meals.into_values().flatten().collect()
}

#[test]
fn each_item_is_eaten_once_and_after_it_was_produced_at_any_speed() {
    for program in BOTH {
        for scale in ["0.01", "0"] {
            for items in ["3", "1", "200"] {
                let scale = if items == "200" { "0" } else { scale };
                repeat(
                    || run(program, &["--time-scale", scale, "--items", items]),
                    |transcript| _ = a_lawful_story(&transcript, items.parse().expect("a number")),
                );
            }
        }
        repeat(|| run(program, &["--time-scale", "0"]), |transcript| _ = a_lawful_story(&transcript, 3));
    }
}

#[test]
fn many_items_take_seconds() {
    for program in BOTH {
        let transcript = run(program, &["--time-scale", "0", "--items", "20000"]);
        assert!(transcript.took < Duration::from_secs(20), "{:?}", transcript.took);
        a_lawful_story(&transcript, 20_000);
    }
}

/// This rests on pauses: nine meals of a second at least, of the story, are too many for one before all is made.
#[test]
fn with_pauses_both_eat_and_it_takes_its_time() {
    for program in BOTH {
        repeat(
            || run(program, &["--time-scale", "0.1"]),
            |transcript| {
                let ate = a_lawful_story(&transcript, 3);
                assert!(CONSUMERS.iter().all(|name| ate.contains(*name)), "{transcript:#?}");
                // One of the two has five meals, and began after the first item was made.
                let least = Duration::from_millis(600);
                assert!(transcript.took >= least, "{transcript:#?}");
            },
        );
    }
}

#[test]
fn what_is_produced_is_on_magenta_and_what_is_eaten_on_cyan() {
    for program in BOTH {
        let coloured = run(program, &["--time-scale", "0", "--color", "always"]).expect_success();
        assert_eq!(coloured.lines.len(), 18, "{coloured:#?}");
        for line in &coloured.lines {
            let colour = if line.contains(" produced ") { "\x1b[45m" } else { "\x1b[46m" };
            assert!(line.starts_with(colour) && line.ends_with("\x1b[0m"), "{line:?}");
        }
    }
}

#[test]
fn a_seed_is_shown_unless_it_is_given() {
    for program in BOTH {
        let drawn = run(program, &["--time-scale", "0"]).expect_success();
        let seed = drawn.errors.trim().strip_prefix("seed ").unwrap_or_else(|| panic!("{drawn:#?}"));
        assert_eq!(run(program, &["--time-scale", "0", "--seed", seed]).expect_success().errors, "");
    }
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    for program in BOTH {
        laws::refuses_nonsense(program);
        laws::refuses(program, "--items", &["0", "-1", "many", "1.5", "10000000", "99999999999"]);
        laws::refuses(program, "--color", &["blue"]);
        laws::refuses(program, "--seed", &["-1", "many"]);
    }
}

#[test]
fn a_refused_fork_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in BOTH {
        laws::tells_of_a_refused_fork(program, "--time-scale 0.01 --seed 1");
    }
}

#[test]
fn a_reader_who_closes_the_pipe_ends_the_program_quietly() {
    for program in BOTH {
        laws::ends_quietly_without_reader(program, &["--time-scale", "0.05"]);
        laws::ends_quietly_without_reader(program, &["--time-scale", "0", "--items", "5000"]);
    }
}

#[test]
fn a_full_disk_is_one_clear_line_and_nobody_is_left_waiting() {
    for program in BOTH {
        laws::tells_of_a_full_disk(program, "--time-scale 0.01 --seed 1");
    }
}

#[test]
fn ctrl_c_ends_everybody() {
    for program in BOTH {
        laws::ends_at_ctrl_c(program, &["--time-scale", "1", "--items", "1000"]);
        laws::ends_at_ctrl_c(program, &["--time-scale", "0", "--items", "1000000"]);
        laws::ends_at_ctrl_c_at_any_moment(program, &["--time-scale", "0.02"], Duration::from_millis(250));
        laws::ends_at_ctrl_c_at_any_moment(program, &["--time-scale", "0"], Duration::from_millis(15));
    }
}
