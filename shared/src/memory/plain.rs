//! Which types may lie in memory that other processes write.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::num::Wrapping;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize,
};

/// A type whose every bit pattern is a value: it may lie in shared memory, under a lock.
///
/// Numbers, and arrays, tuples and [`Cell`]s of them; structs of one's own through [`plain!`](crate::plain).
/// A process may be killed between any two of the instructions with which it writes such a value, and
/// whoever then takes over the lock must still find *a* value there, if not a sensible one (for that the
/// lock is poisoned). Hence no `bool`, no `char` and no `enum`: they have patterns that are no value.
/// And hence no reference, `Box`, `String` or `Vec`: their addresses mean nothing in another process.
///
/// # Safety
///
/// Every pattern of initialised bytes, all zeroes included, must be a valid value. The type must hold no
/// address, descriptor or other thing that is the process's own, and must have no destructor.
pub unsafe trait Plain: Send + 'static {}

/// A type that several processes may use through `&` at the same time, without a lock.
///
/// The atomics, and arrays and tuples of them. See [`Shared`](crate::memory::Shared).
///
/// # Safety
///
/// Whatever another process does through `&Self`, killed halfway or not, must leave a valid value. The
/// type must hold nothing that is the process's own, and must have no destructor.
pub unsafe trait InPlace: Sync + 'static {}

macro_rules! implement {
    ($trait:ident for $($type:ty),+) => {
        $(
            // SAFETY: no pattern of its bytes is invalid as far as safe code can write it; no address,
            // no destructor.
            unsafe impl $trait for $type {}
        )+
    };
}

implement!(Plain for (), u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);
implement!(InPlace for (), AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize);
implement!(InPlace for AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize);

// SAFETY: as its elements.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
// SAFETY: as its elements.
unsafe impl<T: InPlace, const N: usize> InPlace for [T; N] {}
// SAFETY: as what it wraps. It is not `Sync`, so it is reached under a lock only.
unsafe impl<T: Plain> Plain for Cell<T> {}
// SAFETY: as what it wraps.
unsafe impl<T: Plain> Plain for Wrapping<T> {}

macro_rules! tuples {
    ($($name:ident),+) => {
        // SAFETY: as its members. All processes run this one program, so they agree on the layout.
        unsafe impl<$($name: Plain),+> Plain for ($($name,)+) {}
        // SAFETY: as its members.
        unsafe impl<$($name: InPlace),+> InPlace for ($($name,)+) {}
    };
}

tuples!(A);
tuples!(A, B);
tuples!(A, B, C);
tuples!(A, B, C, D);
tuples!(A, B, C, D, E);
tuples!(A, B, C, D, E, F);

/// Declares a struct that may lie in shared memory under a lock: Python's `ctypes.Structure`.
///
/// Each field must be [`Plain`], which is checked where the struct is declared.
///
/// ```
/// shared::plain! {
///     /// Where something is.
///     #[derive(Clone, Copy, Debug, PartialEq)]
///     pub struct Point {
///         pub x: f64,
///         pub y: f64,
///     }
/// }
///
/// let place = shared::sync::Lock::new(Point { x: 1.0, y: 2.0 });
/// assert_eq!(place.lock().unwrap().y, 2.0);
/// ```
///
/// ```compile_fail
/// shared::plain! {
///     struct Flagged { set: bool } // not every byte is a bool
/// }
/// ```
#[macro_export]
macro_rules! plain {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident {
        $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$attribute])*
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type),*
        }

        // SAFETY: every field is plain, which the function below demands, and without a destructor.
        #[allow(unsafe_code)]
        unsafe impl $crate::memory::Plain for $name {}

        const _: () = {
            const fn plain<T: $crate::memory::Plain>() {}
            $(plain::<$type>();)*
            assert!(!::core::mem::needs_drop::<$name>(), "a plain struct has no destructor");
        };
    };
}
