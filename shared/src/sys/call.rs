//! The system call itself, for a new child.
//!
//! Each page of code that a child is the first to touch costs it a page fault, some microseconds, and there are few
//! things that it has to ask of the kernel. So it asks from where it is, and not through the C library, which is
//! elsewhere.
#![allow(unsafe_code)]

use nix::libc::c_long;

/// A system call of up to four arguments. The answer is the kernel's: a negative one is an error.
///
/// # Safety
///
/// What the call needs.
#[inline(always)]
pub(crate) unsafe fn call(number: c_long, arguments: [usize; 4]) -> isize {
    let [a, b, c, d] = arguments;
    #[cfg(target_arch = "x86_64")]
    {
        let answer: isize;
        // SAFETY: the registers of a system call, by the kernel's convention for x86-64: it changes rax, rcx and r11,
        // and keeps the others and the stack. What it does to memory is the caller's promise.
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") number as isize => answer,
                in("rdi") a,
                in("rsi") b,
                in("rdx") c,
                in("r10") d,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        answer
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: the caller's promise.
    unsafe {
        nix::libc::syscall(number, a, b, c, d) as isize
    }
}
