//! What must hold of a semaphore's permits, whoever is interrupted, killed or late.
//!
//! As in `laws.rs`, a model without `preemptions` is complete, and the others are for that many preemptions.

use super::semaphore_cast::{
    MODEL, MOMENT, Model, Role, comes, comes_twice, moves, receives, receives_twice, sends_one,
    sends_one_twice, sends_too_many, sends_two, tries, tries_and_succeeds, waits_a_moment,
};
use crate::sys::Behaviour;
use crate::sys::clock;
use crate::sys::futex;
use std::sync::atomic::Ordering::Relaxed;

laws! {
    two_take_turns_with_one_permit,
    three_take_turns_with_one_or_two,
    it_does_not_matter_which_sleeper_is_woken,
    a_release_wakes_all_for_whom_there_is_a_permit,
    nobody_is_taken_for_gone_who_has_just_come,
    who_gives_up_takes_no_wake_up_along,
    signals_strand_nobody,
    who_only_tries_disturbs_nobody,
    none_is_not_said_while_one_is_free,
    a_refused_release_changes_nothing,
    after_any_death_the_others_get_their_permits,
    after_the_death_of_one_with_a_deadline_the_others_get_theirs,
    a_dead_releaser_has_made_some_and_never_more,
    room_that_a_dead_releaser_had_reserved_is_free_again,
    a_receiver_may_die_with_its_signal,
    of_many_who_prove_a_death_one_recovers,
    who_only_tries_recovers_too,
    who_recovers_may_die_too,
    a_kernel_that_loses_wake_ups_is_noticed,
    a_kernel_that_puts_to_sleep_without_a_look_is_noticed,
    a_look_before_the_write_is_noticed,
    a_proof_that_is_false_is_noticed,
    a_proof_that_never_comes_is_noticed,
}

// Nobody dies, so no slice ends: who is not woken is stranded, and loom reports a deadlock.

fn two_take_turns_with_one_permit() {
    Model { cast: &[comes, comes], preemptions: Some(4), ..MODEL }.check();
    Model { cast: &[comes_twice, comes_twice], preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[comes, comes], near_is_taken: true, preemptions: Some(3), ..MODEL }.check();
}

fn three_take_turns_with_one_or_two() {
    Model { cast: &[comes, comes, comes], preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[comes, comes, comes], permits: 2, preemptions: Some(2), ..MODEL }.check();
}

fn it_does_not_matter_which_sleeper_is_woken() {
    let kernel = Behaviour::LastComeFirst;
    Model { cast: &[comes, comes, comes], preemptions: Some(2), kernel, ..MODEL }.check();
}

fn a_release_wakes_all_for_whom_there_is_a_permit() {
    Model { cast: &[receives, receives, sends_two], permits: 0, preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[receives, sends_one, sends_one, receives], permits: 0, preemptions: Some(1), ..MODEL }
        .check();
}

/// Somebody has announced himself and gone; the next comes while a ring finds nobody asleep.
fn nobody_is_taken_for_gone_who_has_just_come() {
    let cast: &[Role] = &[tries, sends_one_twice, receives_twice];
    Model { cast, permits: 0, preemptions: Some(2), ..MODEL }.check();
}

fn who_gives_up_takes_no_wake_up_along() {
    let meanwhile = || clock::pass(MOMENT);
    let cast: &[Role] = &[waits_a_moment, comes, comes];
    let seen = Model { cast, meanwhile, preemptions: Some(2), ..MODEL }.check();
    assert_ne!(seen.gave_up.load(Relaxed), 0);
}

fn signals_strand_nobody() {
    let meanwhile = futex::interrupt;
    Model { cast: &[comes, comes], meanwhile, preemptions: Some(3), ..MODEL }.check();
    Model { cast: &[comes, waits_a_moment, comes], meanwhile, preemptions: Some(1), ..MODEL }.check();
}

fn who_only_tries_disturbs_nobody() {
    Model { cast: &[tries, comes, comes], preemptions: Some(2), ..MODEL }.check();
}

fn none_is_not_said_while_one_is_free() {
    for near_is_taken in [false, true] {
        let model = Model { cast: &[tries_and_succeeds, moves], permits: 2, near_is_taken, ..MODEL };
        Model { preemptions: Some(3), ..model }.check();
    }
}

fn a_refused_release_changes_nothing() {
    let cast: &[Role] = &[sends_too_many, comes, comes];
    Model { cast, permits: 1, preemptions: Some(2), ..MODEL }.check();
}

// One dies before a step, of all that he takes in turn.

fn after_any_death_the_others_get_their_permits() {
    Model { cast: &[comes, comes], preemptions: Some(3), ..MODEL }.check_deaths();
    Model { cast: &[comes_twice, comes], near_is_taken: true, preemptions: Some(2), ..MODEL }.check_deaths();
    Model { cast: &[tries, comes_twice], preemptions: Some(2), ..MODEL }.check_deaths();
    Model { cast: &[comes, comes, comes], preemptions: Some(1), ..MODEL }.check_deaths();
    Model { cast: &[comes, comes, tries], permits: 2, preemptions: Some(1), ..MODEL }.check_deaths();
}

fn after_the_death_of_one_with_a_deadline_the_others_get_theirs() {
    let meanwhile = || clock::pass(MOMENT);
    let cast: &[Role] = &[waits_a_moment, comes, comes];
    Model { cast, meanwhile, preemptions: Some(1), ..MODEL }.check_deaths();
}

fn a_dead_releaser_has_made_some_and_never_more() {
    let made = Model { cast: &[sends_two, comes, comes], preemptions: Some(2), ..MODEL }.check_deaths();
    assert!(made.iter().all(|&times| times > 0), "none, one or two: {made:?}");
}

fn room_that_a_dead_releaser_had_reserved_is_free_again() {
    Model { cast: &[sends_one, sends_one], preemptions: Some(3), ..MODEL }.check_deaths();
    Model { cast: &[sends_two, comes], preemptions: Some(2), ..MODEL }.check_deaths();
}

fn a_receiver_may_die_with_its_signal() {
    let cast: &[Role] = &[receives, comes];
    Model { cast, permits: 2, preemptions: Some(3), ..MODEL }.check_deaths();
}

fn of_many_who_prove_a_death_one_recovers() {
    Model { cast: &[comes, comes, tries], lost: 1, preemptions: Some(2), ..MODEL }.check();
    Model { cast: &[comes, comes], permits: 2, lost: 2, preemptions: Some(3), ..MODEL }.check();
    Model { cast: &[comes, comes_twice], permits: 3, lost: 3, preemptions: Some(2), ..MODEL }.check();
}

fn who_only_tries_recovers_too() {
    Model { cast: &[tries_and_succeeds], lost: 1, ..MODEL }.check();
    let cast: &[Role] = &[tries_and_succeeds, tries_and_succeeds];
    Model { cast, permits: 2, lost: 2, preemptions: Some(3), ..MODEL }.check();
}

fn who_recovers_may_die_too() {
    Model { cast: &[comes, comes], lost: 1, preemptions: Some(2), ..MODEL }.check_deaths();
    Model { cast: &[tries, comes], permits: 3, lost: 3, preemptions: Some(2), ..MODEL }.check_deaths();
}

// The models can fail: each mistake in what lies below is noticed.

fn a_kernel_that_loses_wake_ups_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[comes, comes], kernel: Behaviour::DeafSleepers, ..MODEL }.check();
    });
}

fn a_kernel_that_puts_to_sleep_without_a_look_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[comes, comes], kernel: Behaviour::BlindSleep, ..MODEL }.check();
    });
}

fn a_look_before_the_write_is_noticed() {
    crate::stage::fails_with("deadlock", || {
        Model { cast: &[comes, comes], kernel: Behaviour::WeakOrder, ..MODEL }.check();
    });
}

fn a_proof_that_is_false_is_noticed() {
    crate::stage::fails_with("Causality violation", || {
        Model { cast: &[comes, tries], kernel: Behaviour::FalseProof, ..MODEL }.check();
    });
}

fn a_proof_that_never_comes_is_noticed() {
    crate::stage::fails_with("Model exceeded maximum number of branches", || {
        Model { cast: &[comes], lost: 1, kernel: Behaviour::NoProof, ..MODEL }.check();
    });
}
