//! Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as
//! 1, 2, 3", SC'11 (Random123). One call turns a 128-bit counter and a 64-bit key into 128 random bits.

/// First round multiplier of Philox4x32.
pub const M0: u32 = 0xD251_1F53;
/// Second round multiplier of Philox4x32.
pub const M1: u32 = 0xCD9E_8D57;
/// First key increment (golden ratio).
const W0: u32 = 0x9E37_79B9;
/// Second key increment (sqrt(3) - 1).
const W1: u32 = 0xBB67_AE85;

/// 128 random bits for `(counter, key)`.
///
/// ```
/// // Random123's known answer for an all-zero counter and key.
/// let r = farad_core::philox::philox4x32([0; 4], [0; 2]);
/// assert_eq!(r, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
#[inline]
#[must_use]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    for [k0, k1] in round_keys(key) {
        let p0 = u64::from(M0) * u64::from(c0);
        let p1 = u64::from(M1) * u64::from(c2);
        (c0, c1, c2, c3) = (
            (p1 >> 32) as u32 ^ c1 ^ k0,
            p1 as u32,
            (p0 >> 32) as u32 ^ c3 ^ k1,
            p0 as u32,
        );
    }
    [c0, c1, c2, c3]
}

/// The keys of the ten rounds.
#[inline]
#[must_use]
pub fn round_keys([k0, k1]: [u32; 2]) -> [[u32; 2]; 10] {
    std::array::from_fn(|i| {
        [
            k0.wrapping_add(W0.wrapping_mul(i as u32)),
            k1.wrapping_add(W1.wrapping_mul(i as u32)),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Random123's `kat_vectors` for philox4x32 with 10 rounds.
    #[test]
    fn random123_known_answers() {
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
