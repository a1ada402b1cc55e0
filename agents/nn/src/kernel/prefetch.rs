//! Asks for memory before it is needed: a product that reads its weights once waits for them otherwise.
#![allow(unsafe_code)]

/// Floats of a line of the cache on all CPUs that `rl-run` is measured on.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

/// Floats that stay in the second level of the cache by themselves, so that nobody needs to ask for them: 1 MiB.
pub(super) const CACHED: usize = 1 << 18;

/// Has `values` brought to the second level of the cache while the CPU does something else; changes nothing but the
/// time. It is a hint that x86-64 heeds: elsewhere stable Rust has no instruction for it, and nothing happens.
#[inline(always)]
pub(super) fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch reads nothing that a program sees nor faults, whatever its
        // address is; this one is of a slice.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}
