//! What all models have in common: their executions, the threads of their cast, and the deaths of these.

use crate::sys::task::{self, Owner};
use crate::sys::{Behaviour, set_behaviour};
use loom::thread::JoinHandle;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// The laws of one file, to be tried: two minutes are enough for each.
macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        pub(crate) const LAWS: &[$crate::harness::Trial] = &[$($crate::harness::Trial {
            name: concat!(module_path!(), "::", stringify!($law)),
            run: $law,
            limit: 120,
        }),*];
    };
}

/// What is wrong is noticed: loom, or a law, panics with this.
pub(crate) fn fails_with(expected: &str, check: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("it is not noticed");
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    assert!(text.is_some_and(|text| text.contains(expected)), "noticed otherwise: {text:?}");
}

/// The n-th of a cast, from 0.
pub(crate) fn owner(n: usize) -> Owner {
    Owner::new(n as u32 + 2, n as u32 + 2)
}

/// Which of the cast it is.
pub(crate) fn place(me: Owner) -> usize {
    me.start() as usize - 2
}

/// Runs all executions, or those with so many preemptions at most. Returns what was seen in them.
pub(crate) fn check<Seen: Default + Send + Sync + 'static>(
    kernel: Behaviour,
    preemptions: Option<usize>,
    execute: impl Fn(&Seen) + Send + Sync + 'static,
) -> Arc<Seen> {
    set_behaviour(kernel);
    let seen = Arc::new(Seen::default());
    let sees = Arc::clone(&seen);
    let mut loom = loom::model::Builder::new();
    loom.preemption_bound = preemptions;
    loom.max_branches = 20_000;
    loom.check(move || execute(&sees));
    seen
}

/// Checks a model for each step before which one of its cast may die, until it has no more steps. `check` returns
/// how often it died.
pub(crate) fn each_death(least: u32, mut check: impl FnMut(u32) -> u32) {
    let steps = (0..).take_while(|&steps| check(steps) != 0).count();
    assert!(steps >= least as usize, "all its steps were {steps}");
}

/// All of the cast begin to live, one thread each; the first ones die before these steps of theirs, if they get so far,
/// and `dies` is told before anybody can know.
pub(crate) fn begin<Scene: 'static>(
    scene: &Rc<Scene>,
    cast: &[fn(&Scene, Owner)],
    deaths: &[Option<u32>],
    dies: fn(&Scene, Owner),
) -> Vec<JoinHandle<()>> {
    let begin = |(n, &role): (usize, &fn(&Scene, Owner))| {
        let (scene, me, steps) = (Rc::clone(scene), owner(n), deaths.get(n).copied().flatten());
        loom::thread::spawn(move || task::live(me, steps, || role(&scene, me), || dies(&scene, me)))
    };
    cast.iter().enumerate().map(begin).collect()
}

/// Waits for the end of these.
pub(crate) fn end(living: impl IntoIterator<Item = JoinHandle<()>>) {
    living.into_iter().for_each(|one| one.join().expect("nobody fails"));
}

/// All of the cast live. `meanwhile` comes from outside.
pub(crate) fn play<Scene: 'static>(
    scene: &Rc<Scene>,
    cast: &[fn(&Scene, Owner)],
    deaths: &[Option<u32>],
    dies: fn(&Scene, Owner),
    meanwhile: fn(),
) {
    let living = begin(scene, cast, deaths, dies);
    meanwhile();
    end(living);
}
