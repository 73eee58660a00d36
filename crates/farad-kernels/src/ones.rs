//! Ones that drive each wordline: what the array's energy depends on.

use crate::isa::portable;
use crate::{Isa, LANES};

/// Ones on each row over all input planes of a block: `out[row]` is the sum of the ones of `rows[lane * stride + row]` over sixteen lanes.
///
/// # Panics
/// If `rows` is shorter than sixteen strides or `out` is longer than a stride.
pub fn count(isa: Isa, rows: &[u8], stride: usize, out: &mut [u8]) {
    assert!(rows.len() >= LANES * stride && out.len() <= stride);
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 {
        // SAFETY: the features were detected.
        unsafe { count_avx512(rows, stride, out) };
        return;
    }
    count_portable(isa, rows, stride, out);
}

/// The compiler's own vector code for [`count_portable`].
///
/// # Safety
/// Needs the features below.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bitalg")]
unsafe fn count_avx512(rows: &[u8], stride: usize, out: &mut [u8]) {
    count_rows(rows, stride, out);
}

portable! {
    fn count_portable(rows: &[u8], stride: usize, out: &mut [u8]) {
        count_rows(rows, stride, out);
    }
}

#[inline(always)]
fn count_rows(rows: &[u8], stride: usize, out: &mut [u8]) {
    // Sixteen lanes of at most eight ones fit a byte.
    out.fill(0);
    for lane in 0..LANES {
        let row = &rows[lane * stride..][..out.len()];
        for (sum, &x) in out.iter_mut().zip(row) {
            *sum += x.count_ones() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_all_lanes() {
        let (rows, stride) = (77, 80);
        let bytes: Vec<u8> = (0..LANES * stride).map(|i| (i * i * 31 + i / 3) as u8).collect();
        for &isa in Isa::available() {
            let mut out = vec![0; rows];
            count(isa, &bytes, stride, &mut out);
            for row in 0..rows {
                let expected: u32 = (0..LANES).map(|lane| bytes[lane * stride + row].count_ones()).sum();
                assert_eq!(u32::from(out[row]), expected);
            }
        }
    }
}
