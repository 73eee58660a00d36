//! What was measured on a chip: offset, gain, integral non-linearity and noise of its columns and converters.
//!
//! A profile takes the place of what [`crate::chip`] would draw, field by field; what it does not say is drawn as before. It enters where a
//! chip is lowered to numbers, so both engines, the bench and the training run with the same measured chip.
//!
//! | field | of a column (a conversion) | of an ADC |
//! |---|---|---|
//! | offset | its ADC included: neither the column's nor the comparator's is drawn | of the comparator alone, before a trim |
//! | gain | instead of the lumped gain that is drawn | a factor of its own |
//! | noise | sigma of a conversion, all sources together | the same, for columns that say nothing |
//! | INL | that of its ADC, if it has one of its own | each transition's distance from its ideal place |
//!
//! Capacitors of the array and of the mergers are drawn all the same: a profile says nothing about single cells.

mod read;
mod write;

pub use read::parse;
pub use write::Table;

use std::collections::BTreeMap;
use std::sync::Arc;

/// A measured chip.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// What is missing is drawn as on this chip (and, in a run of several, on those after it).
    pub chip: u32,
    /// Conversions, by macro instance (`None`: every instance that has no row of its own) and number.
    columns: Rows,
    /// Converters, likewise.
    adcs: Rows,
}

type Rows = BTreeMap<(Option<u32>, u32), Measured>;

/// One column or converter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// Input-referred offset: what is added to the ADC's input. Around mid-scale or from zero, it is the same.
    pub offset: Option<Amount>,
    /// Gain: 1 if ideal.
    pub gain: Option<f64>,
    /// sigma of the temporal noise of a conversion, at the ADC's input.
    pub noise: Option<Amount>,
    /// Distance of each transition from its ideal place, LSB; at `k - 1` for the transition to code `k`.
    pub inl_lsb: Option<Arc<[f64]>>,
}

/// A size at the ADC's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So many LSB, whatever an LSB is worth.
    Lsb(f64),
    /// So many millivolts at the column: more LSB where the range is narrow.
    Millivolts(f64),
}

impl Amount {
    /// In LSB of `lsb_v` volts.
    #[must_use]
    pub fn lsb(self, lsb_v: f64) -> f64 {
        match self {
            Self::Lsb(lsb) => lsb,
            Self::Millivolts(mv) => mv * 1e-3 / lsb_v,
        }
    }
}

impl Profile {
    /// Nothing is known but the chip.
    pub(crate) fn new(chip: u32) -> Self {
        Self {
            chip,
            ..Self::default()
        }
    }

    /// What is known of conversion `number` of a macro instance.
    #[must_use]
    pub fn column(&self, instance: u32, number: usize) -> Option<&Measured> {
        find(&self.columns, instance, number)
    }

    /// What is known of ADC `number` of a macro instance.
    #[must_use]
    pub fn adc(&self, instance: u32, number: usize) -> Option<&Measured> {
        find(&self.adcs, instance, number)
    }

    /// Changes the row of each column (`true`) and each ADC.
    pub fn change(&mut self, change: impl Fn(bool, &mut Measured)) {
        self.columns.values_mut().for_each(|m| change(true, m));
        self.adcs.values_mut().for_each(|m| change(false, m));
    }

    /// Adds what is known of a column (or an ADC) of an instance. The INL of a column is that of its ADC, which serves no other.
    pub(crate) fn insert(&mut self, is_column: bool, key: (Option<u32>, u32), mut measured: Measured) {
        if !is_column {
            self.adcs.entry(key).or_default().fill(measured);
            return;
        }
        if let Some(inl_lsb) = measured.inl_lsb.take() {
            self.adcs.entry(key).or_default().inl_lsb = Some(inl_lsb);
        }
        self.columns.entry(key).or_default().fill(measured);
    }
}

impl Measured {
    /// Takes over what `other` knows.
    fn fill(&mut self, other: Self) {
        self.offset = other.offset.or(self.offset);
        self.gain = other.gain.or(self.gain);
        self.noise = other.noise.or(self.noise);
        self.inl_lsb = other.inl_lsb.or_else(|| self.inl_lsb.take());
    }
}

fn find(rows: &Rows, instance: u32, number: usize) -> Option<&Measured> {
    let number = u32::try_from(number).ok()?;
    rows.get(&(Some(instance), number))
        .or_else(|| rows.get(&(None, number)))
}
