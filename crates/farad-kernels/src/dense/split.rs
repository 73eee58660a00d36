//! How work is divided.

use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// `0..len` in `count` near-even ranges.
pub(super) fn parts(len: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |i| i * len / count..(i + 1) * len / count)
}

/// `0..len` in near-even ranges of at most `most`, equally many for each thread: for work that no sum goes across.
pub(super) fn chunks(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = len.div_ceil(most).next_multiple_of(rayon::current_num_threads());
    parts(len, count.min(len))
}

/// Calls `f` for every chunk with its values of `to`, which follow each other; `len` says how many they are.
pub(super) fn for_each_chunk(
    chunks: impl Iterator<Item = Range<usize>>,
    len: impl Fn(&Range<usize>) -> usize,
    mut to: &mut [MaybeUninit<f32>],
    f: impl Fn(Range<usize>, &mut [MaybeUninit<f32>]) + Sync,
) {
    let own = |chunk: Range<usize>| {
        let values = to.split_off_mut(..len(&chunk));
        (chunk, values.expect("values of all chunks"))
    };
    let all: Vec<(Range<usize>, &mut [MaybeUninit<f32>])> = chunks.map(own).collect();
    all.into_par_iter().for_each(|(chunk, to)| f(chunk, to));
}
