//! Nanoseconds per conversion, by kernel: what the issue of speed is about. Run with `cargo bench -p farad-kernels`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use farad_core::axis::Transfer;
use farad_core::draw::NoiseKey;
use farad_kernels::adc::{AdcTable, CountTable, LaneIds, Noise, Slot, convert_counts, convert_planes};
use farad_kernels::charge::{Charges, Column, Tables, charges};
use farad_kernels::pack::{Layout, Packed};
use farad_kernels::{Isa, LANES, Lanes};
use std::hint::black_box;

/// Blocks in hand; with their planes they fit the first-level cache at 128 rows.
const BLOCKS: usize = 4;
/// Conversion slots in a pass.
const SLOTS: usize = 32;

fn bytes(count: usize, mut state: u64) -> Vec<u8> {
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // Sparse, as after a ReLU.
            if state >> 62 == 0 {
                (state >> 40) as u8
            } else {
                (state >> 40) as u8 & 15
            }
        })
        .collect()
}

fn packed(isa: Isa, layout: Layout, rows: usize) -> Packed {
    let stride = rows.next_multiple_of(8);
    let mut packed = Packed::new(layout, rows);
    for block in 0..BLOCKS {
        packed.push(isa, &bytes(LANES * stride, block as u64), stride);
    }
    packed
}

fn adc() -> AdcTable {
    let stairs: Vec<i32> = (1..256).map(|k| 64 * k - 32 - 8192 + (k * 7919) % 11 - 5).collect();
    AdcTable::new(8, &stairs)
}

fn noise(slot: u32) -> Noise {
    Noise::new(std::array::from_fn(|b| 120 + b as i16), NoiseKey::new(1, 2, 3), slot)
}

fn transfer(gain: f32) -> Transfer {
    Transfer {
        offset: -20.0,
        gain,
        quadratic: 0.0,
    }
}

/// All blocks through one slot: charge, then ADC.
fn convert(isa: Isa, column: &Column, x: &Packed, slot: &Slot) {
    let mut q = [Charges::default(); BLOCKS];
    let mut sums = [Lanes::default(); BLOCKS];
    for (block, q) in q.iter_mut().enumerate() {
        charges(isa, column, x, block, q);
    }
    convert_planes(isa, slot, &[LaneIds::default(); BLOCKS], &q, &mut sums, None);
    black_box(sums);
}

fn bench(c: &mut Criterion) {
    let adc = adc();
    for &isa in Isa::available() {
        let mut group = c.benchmark_group(isa.name());
        group.throughput(Throughput::Elements((BLOCKS * SLOTS * LANES * 8) as u64));
        let x = packed(isa, Packed::count_layout(isa), 256);
        let bits: Vec<Column> = (0..SLOTS)
            .map(|s| {
                Column::Bits(
                    bytes(32, s as u64)
                        .chunks(4)
                        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                        .collect(),
                )
            })
            .collect();
        let counts = CountTable::new(&transfer(32.0), &adc);
        group.bench_function("bit-sliced 256 rows, static errors", |b| {
            b.iter(|| {
                for column in &bits {
                    for block in 0..BLOCKS {
                        let mut q = Charges::default();
                        charges(isa, column, &x, block, &mut q);
                        black_box(convert_counts(isa, &counts, &q));
                    }
                }
            });
        });
        group.bench_function("bit-sliced 256 rows, temporal noise", |b| {
            b.iter(|| {
                for (s, column) in bits.iter().enumerate() {
                    let noise = noise(s as u32);
                    let slot = Slot {
                        transfer: transfer(32.0),
                        adc: &adc,
                        noise: Some(&noise),
                    };
                    convert(isa, column, &x, &slot);
                }
            });
        });
        for (name, rows, scale) in [
            ("merged 128 rows, all noise", 128, 16),
            ("bit-sliced 256 rows, per-cell mismatch", 256, 1000),
        ] {
            let layout = Packed::lookup_layout(isa);
            let x = packed(isa, layout, rows);
            let columns: Vec<Column> = (0..SLOTS)
                .map(|s| {
                    let cells: Vec<i16> = bytes(rows, s as u64)
                        .iter()
                        .map(|&w| {
                            if scale == 16 {
                                i16::from(w as i8) * 16 + 1
                            } else {
                                i16::from(w & 1) * (scale + i16::from(w >> 5))
                            }
                        })
                        .collect();
                    Column::Tables(Tables::new(layout, &cells))
                })
                .collect();
            let noisy = scale == 16;
            group.bench_function(name, |b| {
                b.iter(|| {
                    for (s, column) in columns.iter().enumerate() {
                        let noise = noise(s as u32);
                        let slot = Slot {
                            transfer: transfer(0.05),
                            adc: &adc,
                            noise: noisy.then_some(&noise),
                        };
                        convert(isa, column, &x, &slot);
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
