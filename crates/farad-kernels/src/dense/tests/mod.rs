//! The kernels against plain f64 loops.

mod convolution;
mod norm;
mod pool;

/// Unit roundoff of f32.
const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// `count` values in -1..1, those of the linear congruential generator of Knuth's MMIX.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    next();
    (0..count).map(|_| next()).collect()
}

/// What `f` gives on pools of one and of two threads.
fn on_one_and_two_threads<T: Send>(f: impl Fn() -> T + Sync) -> [T; 2] {
    [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads start").install(&f)
    })
}
