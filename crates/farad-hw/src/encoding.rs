//! How a signed weight becomes bits in columns, and how the columns add up.

use crate::spec::{MacroSpec, SignedScheme, WeightCombine};

/// One physical column of an output channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// Nominal weight on a merged plate, in units of the LSB column.
    pub weight: f64,
    /// Its charge counts negative (polarity switched, or the negative side of a pair).
    pub negative_charge: bool,
    /// Its code's weight, where each column has its own conversion.
    pub digital_weight: i32,
    /// Belongs to the negative bank of a differential pair (which shares charge on its own).
    pub bank: bool,
}

/// The columns of one output channel, in physical order.
#[must_use]
pub fn columns(spec: &MacroSpec) -> Vec<Column> {
    let bits = spec.weight.bits;
    let merged = spec.weight.combine != WeightCombine::Digital;
    let column = |k: u32, negative: bool, bank: bool| Column {
        weight: f64::from(1u32 << k),
        negative_charge: merged && negative,
        digital_weight: if negative { -(1 << k) } else { 1 << k },
        bank,
    };
    match spec.weight.signed {
        SignedScheme::TwosComplement | SignedScheme::MsbPolarity => {
            (0..bits).map(|k| column(k, k == bits - 1, false)).collect()
        }
        SignedScheme::OffsetBinary => (0..bits).map(|k| column(k, false, false)).collect(),
        SignedScheme::Differential => {
            let side = |negative| (0..bits - 1).map(move |k| column(k, negative, negative));
            side(false).chain(side(true)).collect()
        }
        SignedScheme::Xnor => (0..bits)
            .map(|k| column(k, false, false))
            .chain([column(0, false, false)])
            .collect(),
    }
}

/// The bit that column `k` stores for weight `w`.
#[must_use]
pub fn stored_bit(spec: &MacroSpec, k: usize, w: i8) -> bool {
    let (bits, w) = (spec.weight.bits as usize, i32::from(w));
    let half = 1 << (bits - 1);
    let word = match spec.weight.signed {
        SignedScheme::TwosComplement | SignedScheme::MsbPolarity => w >> k,
        SignedScheme::OffsetBinary => (w + half) >> k,
        SignedScheme::Differential => {
            if k < bits - 1 {
                w.max(0) >> k
            } else {
                (-w).max(0) >> (k - (bits - 1))
            }
        }
        // 2 w = sum of +-2^k over the bits, plus or minus the extra LSB: it is positive but for the lowest weight.
        SignedScheme::Xnor => {
            let extra = i32::from(w > -half);
            if k == bits { extra } else { (w + half - extra) >> k }
        }
    };
    word & 1 == 1
}

/// Weights that the scheme can store.
#[must_use]
pub fn weight_range(spec: &MacroSpec) -> std::ops::RangeInclusive<i32> {
    let half = 1 << (spec.weight.bits - 1);
    match spec.weight.signed {
        SignedScheme::Differential => 1 - half..=half - 1,
        _ => -half..=half - 1,
    }
}

/// What the digital side adds to a tile's weighted sum of codes, for `rows` wordlines and inputs below `2^input_bits`.
///
/// The tile's exact result is `scale * sum(codes) + per_weight * sum(w) + per_input * sum(x) + constant`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    /// Factor on the weighted sum of codes.
    pub scale: f64,
    /// Factor on the sum of the tile's weights.
    pub per_weight: f64,
    /// Factor on the sum of the tile's inputs.
    pub per_input: f64,
    /// Constant.
    pub constant: f64,
}

impl Correction {
    /// The correction of `spec`'s scheme: none, `-2^(bits-1) sum(x)` for offset binary, and for XNOR the terms that turn counts of equal bits
    /// into products of +-1 digits.
    #[must_use]
    pub fn new(spec: &MacroSpec, rows: usize, input_bits: u32) -> Self {
        let half = f64::from(1u32 << (spec.weight.bits - 1));
        let none = Self {
            scale: 1.0,
            per_weight: 0.0,
            per_input: 0.0,
            constant: 0.0,
        };
        match spec.weight.signed {
            SignedScheme::OffsetBinary => Self {
                per_input: -half,
                ..none
            },
            SignedScheme::Xnor => {
                let half_x = f64::from((1u32 << input_bits) - 1) / 2.0;
                Self {
                    scale: 0.5,
                    per_weight: half_x,
                    per_input: 0.0,
                    constant: -half_x * half * rows as f64,
                }
            }
            _ => none,
        }
    }
}
