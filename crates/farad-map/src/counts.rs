//! What one image makes the macro do, whatever its pixels are.

use crate::tile::LayerMapping;
use farad_core::EventCounts;
use farad_hw::MacroSpec;
use farad_hw::spec::UnusedRows;
use farad_hw::timing::planes_per_evaluation;
use farad_net::MacLayer;

/// Bytes of a partial sum in the buffer.
const PARTIAL_SUM_BYTES: u64 = 4;

/// Events of a layer for one image that do not depend on the data.
///
/// `cells_on`, `rows_on`, `row_columns_on` and the sampled histogram stay 0: only a simulation knows them.
///
/// * Accumulations are one per conversion; that also adds up the parts of a row vector, because an
///   accumulator goes on from where the previous part stopped.
/// * Every tile reads its used rows, one byte each, for every position: nothing is kept between neighbouring
///   positions or shared between tiles. A finished output is one byte written. Between two parts of a sum the
///   32-bit partial sum is written and read back.
/// * Weights are written only where a tile is not resident, once per image, zeros between groups included.
#[must_use]
pub fn static_events(spec: &MacroSpec, layer: &MacLayer, mapping: &LayerMapping) -> EventCounts {
    let mut events = EventCounts {
        images: 1,
        ..EventCounts::default()
    };
    let evaluations = spec.evaluations() as u64;
    let planes = evaluations * planes_per_evaluation(spec);
    for tile in &mapping.tiles {
        let positions = tile.positions.len() as u64;
        let (rows, columns, outputs) = (tile.rows() as u64, tile.columns(spec) as u64, tile.outputs.len() as u64);
        let connected = match spec.array.unused_rows {
            UnusedRows::Connected => spec.array.rows as u64,
            UnusedRows::Gated => rows,
        };
        let conversions = positions * evaluations * outputs * spec.conversions_per_output() as u64;
        events.conversions += conversions;
        events.accumulations += conversions;
        events.column_evaluations += positions * planes * columns;
        events.cells_connected += positions * planes * columns * connected;
        events.rows_driven += positions * planes * rows;
        events.buffer_read_bytes += positions * rows;
        if tile.part > 0 {
            events.buffer_read_bytes += positions * outputs * PARTIAL_SUM_BYTES;
            events.buffer_write_bytes += positions * outputs * PARTIAL_SUM_BYTES;
        }
        if !tile.resident {
            events.weight_bits_written += rows * columns;
        }
    }
    events.outputs = (layer.shape.positions() * layer.shape.out_c) as u64;
    events.buffer_write_bytes += events.outputs;
    events
}
