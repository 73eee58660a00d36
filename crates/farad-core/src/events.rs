//! What the macro did, as integers. Energy is these counts times constants, nothing else.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Events of one layer over all simulated images. Every field is a plain sum, so shards add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    /// Images that were run.
    pub images: u64,
    /// Analog-to-digital conversions.
    pub conversions: u64,
    /// Evaluations of one physical column (its connected cells share charge once).
    pub column_evaluations: u64,
    /// Connected cells, summed over column evaluations.
    pub cells_connected: u64,
    /// Cells whose product bit was one, summed over column evaluations.
    pub cells_on: u64,
    /// Wordlines of a plane that were available to drive: used rows, summed over row-plane evaluations.
    pub rows_driven: u64,
    /// Wordlines that carried a one, summed over row-plane evaluations.
    pub rows_on: u64,
    /// Physical columns crossed by each driven wordline carrying a one (drives the wire load).
    pub row_columns_on: u64,
    /// Digital shift-and-add operations on codes.
    pub accumulations: u64,
    /// Finished output values that were requantised.
    pub outputs: u64,
    /// Bytes read from the input buffer.
    pub buffer_read_bytes: u64,
    /// Bytes written to the output or partial-sum buffer.
    pub buffer_write_bytes: u64,
    /// Weight bits written into the array.
    pub weight_bits_written: u64,
    /// Codes of a systematic sample of conversions: `code_histogram[code]`, codes counted from 0.
    pub code_histogram: Vec<u64>,
    /// Sampled conversions whose noise-free charge lay outside the ADC's range.
    pub clipped_in_sample: u64,
    /// Sampled conversions that took the ADC's skip path.
    pub skipped_in_sample: u64,
}

impl EventCounts {
    /// The plain sums times `n`; what was sampled is not extrapolated and stays out.
    #[must_use]
    pub fn times(&self, n: u64) -> Self {
        Self {
            images: self.images * n,
            conversions: self.conversions * n,
            column_evaluations: self.column_evaluations * n,
            cells_connected: self.cells_connected * n,
            cells_on: self.cells_on * n,
            rows_driven: self.rows_driven * n,
            rows_on: self.rows_on * n,
            row_columns_on: self.row_columns_on * n,
            accumulations: self.accumulations * n,
            outputs: self.outputs * n,
            buffer_read_bytes: self.buffer_read_bytes * n,
            buffer_write_bytes: self.buffer_write_bytes * n,
            weight_bits_written: self.weight_bits_written * n,
            ..Self::default()
        }
    }

    /// Conversions in the systematic sample.
    #[must_use]
    pub fn sampled(&self) -> u64 {
        self.code_histogram.iter().sum()
    }
}

impl AddAssign<&EventCounts> for EventCounts {
    fn add_assign(&mut self, o: &EventCounts) {
        self.images += o.images;
        self.conversions += o.conversions;
        self.column_evaluations += o.column_evaluations;
        self.cells_connected += o.cells_connected;
        self.cells_on += o.cells_on;
        self.rows_driven += o.rows_driven;
        self.rows_on += o.rows_on;
        self.row_columns_on += o.row_columns_on;
        self.accumulations += o.accumulations;
        self.outputs += o.outputs;
        self.buffer_read_bytes += o.buffer_read_bytes;
        self.buffer_write_bytes += o.buffer_write_bytes;
        self.weight_bits_written += o.weight_bits_written;
        self.clipped_in_sample += o.clipped_in_sample;
        self.skipped_in_sample += o.skipped_in_sample;
        if self.code_histogram.len() < o.code_histogram.len() {
            self.code_histogram.resize(o.code_histogram.len(), 0);
        }
        for (a, b) in self.code_histogram.iter_mut().zip(&o.code_histogram) {
            *a += b;
        }
    }
}
