//! Values and arrays in shared memory: `Lock<T>` is one with its lock, `Shared<T>` one without.
//!
//! The numbered tests are those of CONFORMANCE.md.

mod harness;

use harness::tools::mappings;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use shared::memory::Shared;
use shared::process;
use shared::sync::Lock;
use std::sync::atomic::{AtomicBool, AtomicI8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

harness::main! {
    trials {
        val_01_child_overwrites_values_of_several_types,
        val_02_with_a_lock_and_without,
        val_04_wide_value_and_struct_are_doubled_exactly,
        val_05_copy_is_independent,
        val_06_read_modify_write_is_exact,
        arr_01_slices_and_prefix_sums,
        arr_02_from_a_size_it_is_zero_three_times_over,
        arr_03_with_a_lock_and_without,
        arr_04_text_of_fixed_capacity_is_doubled,
        arr_05_nothing_is_left_after_5000_allocations,
        a_child_that_changes_its_own_copy_changes_nothing_here,
        what_a_killed_child_wrote_is_there,
        a_large_array_needs_no_stack,
    }
}

shared::plain! {
    /// Of several types.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Point {
        x: i32,
        y: f64,
        wide: i64,
    }
}

/// Python's `test_value`: each type's value before and after.
fn val_01_child_overwrites_values_of_several_types() {
    fn overwritten<T: shared::memory::Plain + Copy + Sync + PartialEq + std::fmt::Debug>(
        before: T,
        after: T,
    ) {
        let value = Lock::new(before);
        assert_eq!(*value.lock().unwrap(), before);
        process::scope(|s| {
            s.spawn(|| *value.lock().unwrap() = after);
        });
        assert_eq!(*value.lock().unwrap(), after);
    }
    overwritten(4343_i32, 24234);
    overwritten(3.625_f64, -4.25);
    overwritten(-232_i16, 234);
    overwritten(1_i64 << 33, 1 << 34);
    overwritten(b'c', b'C');
    overwritten(0_u128, u128::MAX);
    overwritten((1_u8, 0.5_f32), (2, -0.5));
    overwritten([1_i8, -1], [i8::MIN, i8::MAX]);

    // Without a lock: the raw form.
    let raw = Shared::new((
        AtomicBool::new(false),
        AtomicI8::new(-1),
        [AtomicU64::new(0), AtomicU64::new(1 << 33)],
    ));
    process::scope(|s| {
        s.spawn(|| {
            raw.0.store(true, Relaxed);
            raw.1.store(i8::MAX, Relaxed);
            raw.2[1].store(1 << 34, Relaxed);
        });
    });
    assert!(raw.0.load(Relaxed));
    assert_eq!(raw.1.load(Relaxed), i8::MAX);
    assert_eq!((raw.2[0].load(Relaxed), raw.2[1].load(Relaxed)), (0, 1 << 34));
}

/// The lock is the type's: `Lock<T>` has one, of its own, `Shared<T>` has none.
fn val_02_with_a_lock_and_without() {
    let (one, two, raw) = (Lock::new(1), Lock::new(2), Shared::new(AtomicU32::new(3)));
    let guard = one.lock().unwrap();
    assert!(one.is_locked() && !two.is_locked());
    assert_eq!((*guard, *two.try_lock().unwrap(), raw.load(Relaxed)), (1, 2, 3));
}

fn val_04_wide_value_and_struct_are_doubled_exactly() {
    let wide = Lock::new(1_i64 << 33);
    let half = Lock::new(1.0 / 3.0);
    let point = Lock::new(Point { x: 3, y: 2.0, wide: 1 << 33 });
    process::scope(|s| {
        s.spawn(|| {
            *wide.lock().unwrap() *= 2;
            *half.lock().unwrap() *= 2.0;
            let mut point = point.lock().unwrap();
            *point = Point { x: point.x * 2, y: point.y * 2.0, wide: point.wide * 2 };
        });
    });
    assert_eq!(*wide.lock().unwrap(), 1 << 34);
    assert_eq!(*half.lock().unwrap(), 2.0 / 3.0);
    assert_eq!(*point.lock().unwrap(), Point { x: 6, y: 4.0, wide: 1 << 34 });
}

fn val_05_copy_is_independent() {
    let point = Lock::new(Point { x: 2, y: 5.0, wide: 7 });
    let copy = *point.lock().unwrap();
    let another = Lock::new(copy);
    *point.lock().unwrap() = Point { x: 0, y: 0.0, wide: 0 };
    assert_eq!(copy, Point { x: 2, y: 5.0, wide: 7 });
    assert_eq!(*another.lock().unwrap(), copy);
}

/// What Python documents for a value without its lock, lost updates, has no counterpart: there are only
/// whole operations.
fn val_06_read_modify_write_is_exact() {
    const TURNS: u64 = 10_000;
    let (value, raw) = (Lock::new(0), Shared::new(AtomicU64::new(0)));
    process::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..TURNS {
                    *value.lock().unwrap() += 1;
                    raw.fetch_add(1, Relaxed);
                }
            });
        }
    });
    assert_eq!((*value.lock().unwrap(), raw.load(Relaxed)), (4 * TURNS, 4 * TURNS));
}

fn prefix_sums(numbers: &mut [i32]) {
    for place in 1..numbers.len() {
        numbers[place] += numbers[place - 1];
    }
}

fn arr_01_slices_and_prefix_sums() {
    let mut here = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831];
    let array = Lock::new(here);
    {
        let mut there = array.lock().unwrap();
        assert_eq!((there.len(), there[3], &there[2..7]), (here.len(), here[3], &here[2..7]));
        there[4..8].copy_from_slice(&[1, 2, 3, 4]);
        here[4..8].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(*there, here);
    }
    prefix_sums(&mut here);
    process::scope(|s| {
        s.spawn(|| prefix_sums(&mut *array.lock().unwrap()));
    });
    assert_eq!(*array.lock().unwrap(), here);
}

fn arr_02_from_a_size_it_is_zero_three_times_over() {
    for _ in 0..3 {
        let array = Lock::<[i32; 10]>::zeroed().unwrap();
        assert_eq!(*array.lock().unwrap(), [0; 10]);
        array.lock().unwrap().fill(-1);
        assert_eq!(*array.lock().unwrap(), [-1; 10]);
    }
}

fn arr_03_with_a_lock_and_without() {
    let (one, two) = (Lock::new([1, 2]), Lock::new([3, 4]));
    let raw = Shared::new([const { AtomicUsize::new(5) }; 2]);
    let guard = one.lock().unwrap();
    assert!(one.is_locked() && !two.is_locked());
    assert_eq!((guard[1], two.try_lock().unwrap()[0], raw[1].load(Relaxed)), (2, 3, 5));
}

fn arr_04_text_of_fixed_capacity_is_doubled() {
    let text = Lock::new([0_u8; 20]);
    text.lock().unwrap()[..5].copy_from_slice(b"hello");
    process::scope(|s| {
        s.spawn(|| {
            let mut text = text.lock().unwrap();
            let len = text.iter().position(|&byte| byte == 0).unwrap();
            text.copy_within(..len, len);
        });
    });
    let text = text.lock().unwrap();
    assert_eq!(text.split(|&byte| byte == 0).next(), Some(&b"hellohello"[..]));
}

/// There is no heap to keep in order: each value has a mapping of its own, and the kernel takes it back.
fn arr_05_nothing_is_left_after_5000_allocations() {
    let mut random = SmallRng::seed_from_u64(5);
    let before = mappings();
    let mut alive: Vec<Box<dyn std::any::Any>> = Vec::new();
    for _ in 0..5000 {
        match random.random_range(0..5) {
            0 => alive.push(Box::new(Lock::new(1))),
            1 => alive.push(Box::new(Lock::<[u8; 5_000]>::zeroed().unwrap())),
            2 => alive.push(Box::new(Shared::new([const { AtomicU64::new(0) }; 600]))),
            _ if alive.is_empty() => {}
            _ => drop(alive.swap_remove(random.random_range(0..alive.len()))),
        }
    }
    assert!(mappings() > before, "some are alive");
    drop(alive);
    assert_eq!(mappings(), before);
}

fn a_child_that_changes_its_own_copy_changes_nothing_here() {
    let shared = Lock::new(1);
    let mut own = vec![1];
    process::scope(|s| {
        let child = s.spawn(|| {
            own.push(2);
            *shared.lock().unwrap() += 1;
            own.len()
        });
        assert_eq!(child.join().unwrap(), 2);
    });
    assert_eq!((own.len(), *shared.lock().unwrap()), (1, 2));
    own.push(3);
}

fn what_a_killed_child_wrote_is_there() {
    let written = Shared::new([const { AtomicU64::new(0) }; 1_000]);
    let child = process::spawn({
        let written = written.clone();
        move || -> () {
            for (place, word) in written.iter().enumerate() {
                word.store(place as u64 + 1, Relaxed);
            }
            nix::sys::signal::raise(nix::sys::signal::SIGKILL).unwrap();
        }
    });
    assert_eq!(child.join().unwrap_err().exit_code(), Some(-9));
    assert!(written.iter().enumerate().all(|(place, word)| word.load(Relaxed) == place as u64 + 1));
}

/// 64 MiB, where a stack has 8.
fn a_large_array_needs_no_stack() {
    let array = Lock::<[u64; 8 << 20]>::zeroed().unwrap();
    process::scope(|s| {
        s.spawn(|| array.lock().unwrap()[(8 << 20) - 1] = 1);
    });
    let array = array.lock().unwrap();
    assert_eq!((array[0], array[(8 << 20) - 1]), (0, 1));
}
