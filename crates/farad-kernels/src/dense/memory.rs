//! Memory of tensors: pages that are kept, and none that is filled in vain.

use std::mem::MaybeUninit;

/// A vector of `len` values, which `write` writes. To fill it before would take as long as one more pass over the tensor.
///
/// # Safety
/// `write` leaves none of them as it was.
pub(super) unsafe fn written(len: usize, write: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(len);
    let room = &mut values.spare_capacity_mut()[..len];
    if cfg!(debug_assertions) {
        // Tests then see what was left.
        room.fill(MaybeUninit::new(f32::NAN));
    }
    write(room);
    // SAFETY: there is room for them, and the caller says that they were written.
    unsafe { values.set_len(len) };
    values
}

/// Asks the allocator to keep freed memory instead of returning it to the system.
///
/// A training step allocates and frees the same large tensors again and again. glibc maps each afresh by default, and
/// the kernel's zeroing of new pages then costs more than the passes over the tensor. Call it once, at the start of
/// `main`. Does nothing with other allocators.
pub fn retain_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;
        // From glibc's malloc.h.
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_MMAP_THRESHOLD: c_int = -3;
        /// Larger than any tensor of a training step; the most that older versions take.
        const THRESHOLDS: [c_int; 2] = [1 << 30, 32 << 20];
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        // SAFETY: `mallopt` is in glibc, which this target links, with this signature; it may be called at any time.
        unsafe {
            // One that is refused must not be followed by the other, which ends glibc's own adapting of both.
            if THRESHOLDS.into_iter().any(|t| mallopt(M_MMAP_THRESHOLD, t) == 1) {
                mallopt(M_TRIM_THRESHOLD, THRESHOLDS[0]);
            }
        }
    }
}
