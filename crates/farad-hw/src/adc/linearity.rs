//! Static linearity of a converter: where its codes begin, against a straight line.
//!
//! The words are those of IEEE Std 1241: the line goes through the first and the last transition (*terminal based*), DNL is a code's width
//! less the mean width, INL is a transition's distance from the line. Both are in LSB of the converter's own mean step, so gain and offset
//! do not count; they are figures of their own.

use farad_core::axis::{half_range, lsb_steps};

/// What the transitions of one converter say. Code `k` begins at transition `k`, from 1 to `2^bits - 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Linearity {
    /// INL of transition `k` at `k - 1`, LSB; both ends are zero.
    pub inl_lsb: Vec<f64>,
    /// DNL of code `k` at `k - 1`, LSB; the first and the last code have no width.
    pub dnl_lsb: Vec<f64>,
    /// Codes per LSB of input: 1 if ideal.
    pub gain: f64,
    /// Codes at zero input more than ideal.
    pub offset_lsb: f64,
}

impl Linearity {
    /// From the transitions of a converter, in LSB and in order, where an ideal one's begin at `first_lsb` and are one LSB apart.
    #[must_use]
    pub fn of_transitions(transitions_lsb: &[f64], first_lsb: f64) -> Self {
        let steps = transitions_lsb.len().saturating_sub(1);
        let (first, last) = match transitions_lsb {
            [] => (first_lsb, first_lsb),
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
        };
        // One transition, or all in one place, has no line of its own.
        let gain = if last > first {
            steps as f64 / (last - first)
        } else {
            1.0
        };
        Self {
            inl_lsb: transitions_lsb
                .iter()
                .enumerate()
                .map(|(k, t)| gain * (t - first) - k as f64)
                .collect(),
            dnl_lsb: transitions_lsb
                .windows(2)
                .map(|pair| gain * (pair[1] - pair[0]) - 1.0)
                .collect(),
            gain,
            offset_lsb: first_lsb - gain * first,
        }
    }

    /// From a histogram of codes under inputs that are spread evenly over the range: `hits[code]`, `per_lsb` of them in an ideal code. The
    /// end codes take what lies beyond the range and only say where the first transition is.
    #[must_use]
    pub fn of_histogram(hits: &[u64], per_lsb: f64) -> Self {
        let mut below = 0.0;
        let transitions: Vec<f64> = hits[..hits.len() - 1]
            .iter()
            .map(|&n| {
                below += n as f64 / per_lsb;
                below
            })
            .collect();
        Self::of_transitions(&transitions, 1.0)
    }

    /// Largest magnitude of the INL, LSB.
    #[must_use]
    pub fn worst_inl_lsb(&self) -> f64 {
        largest(&self.inl_lsb)
    }

    /// Largest magnitude of the DNL, LSB.
    #[must_use]
    pub fn worst_dnl_lsb(&self) -> f64 {
        largest(&self.dnl_lsb)
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |worst, v| worst.max(v.abs()))
}

/// Transitions of a [staircase](super::staircase()), LSB from mid-scale. A code that no input reaches begins at the end of the range.
#[must_use]
pub fn transitions_lsb(staircase: &[i32], bits: u32) -> Vec<f64> {
    let end = half_range(bits) - 1;
    let step = 1.0 / f64::from(lsb_steps(bits));
    staircase.iter().map(|&v| f64::from(v.min(end)) * step).collect()
}

/// Where the first transition of an ideal converter lies, LSB from mid-scale.
#[must_use]
pub fn first_transition_lsb(bits: u32) -> f64 {
    0.5 - f64::from(1u32 << bits) / 2.0
}

/// Codes that no input gives.
#[must_use]
pub fn missing_codes(staircase: &[i32]) -> usize {
    let equal = staircase.windows(2).filter(|pair| pair[0] == pair[1]).count();
    equal + usize::from(staircase.last() == Some(&i32::MAX))
}
