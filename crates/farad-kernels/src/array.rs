//! `array::map` and `array::from_fn` for functions with target features.
//!
//! Core's are compiled for any CPU, and what has more features cannot be inlined into them: unless they happen to be inlined first, every
//! element is a call whose vectors go through memory, and a kernel without link-time optimisation takes 16 times as long. These
//! are always inlined.

/// `[f(0), f(1), ...]`, at least one.
#[inline(always)]
pub(crate) fn from_fn<T: Copy, const N: usize>(mut f: impl FnMut(usize) -> T) -> [T; N] {
    const { assert!(N > 0) };
    let mut all = [f(0); N];
    let mut i = 1;
    while i < N {
        all[i] = f(i);
        i += 1;
    }
    all
}

/// `[f(from[0]), f(from[1]), ...]`.
#[inline(always)]
pub(crate) fn map<T: Copy, U: Copy, const N: usize>(from: [T; N], mut f: impl FnMut(T) -> U) -> [U; N] {
    from_fn(|i| f(from[i]))
}
