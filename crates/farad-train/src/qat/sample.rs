//! Which of many values are looked at.

/// The step between values that are looked at, if of `count` at most about `wanted` are. It shares no factor with `period`, after which the
/// pattern of what the values belong to repeats: so every part of the pattern is met, and none more often than another.
pub(super) fn stride(count: usize, wanted: usize, period: usize) -> usize {
    let least = (count / wanted).max(1);
    (least..).find(|&stride| gcd(stride, period) == 1).unwrap_or(1)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_and_place_is_met_alike() {
        // Maps of 8x8, 7x7 and 14x14 in 1,024 images, with channels that pruning leaves: strides of `count / wanted` or the odd number
        // after it meet one channel of 65, and four of 28 and of 12.
        for (positions, channels) in [(64, 65), (49, 28), (784, 12), (196, 1), (64, 64), (1, 61)] {
            let (images, wanted) = (1024, 1 << 16);
            let period = positions * channels;
            let stride = stride(images * period, wanted, period);
            let mut met = vec![0_u32; period];
            (0..images * period).step_by(stride).for_each(|i| met[i % period] += 1);
            let of_channel = |c: usize| met.iter().skip(c).step_by(channels).sum::<u32>();
            let (least, most) = (0..channels)
                .map(of_channel)
                .fold((u32::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
            assert!(
                least > 0 && most - least <= positions as u32,
                "{positions} {channels}: {least} to {most}"
            );
            let met_positions = (0..positions).filter(|p| met[p * channels..][..channels].iter().any(|&n| n > 0));
            assert_eq!(met_positions.count(), positions, "{positions} {channels}");
        }
    }

    #[test]
    fn few_values_are_all_met() {
        assert_eq!(stride(100, 1000, 7), 1);
    }
}
