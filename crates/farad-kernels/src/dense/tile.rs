//! The micro-kernel: a small tile of outputs, summed in registers.
//!
//! `c[i][j] += sum of a[i][k] * b[k][j]` over words, where `k` goes through a list of [`Run`]s. Rows of `a` may be any
//! distance apart and are broadcast from where they are; a step of `b` is one contiguous row of the tile's width.

use super::lanes::{self, Pair, Product, Single, Sums};
use super::shape::Precision;
use crate::array::from_fn;
use crate::{Isa, LANES};
use std::mem::MaybeUninit;

/// Rows of a full tile: with four registers of sums each and one row of `b`, they leave room in 32 registers.
pub(super) const ROWS: usize = 6;

/// Consecutive steps of a reduction; offsets are in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Start in `a`.
    pub(super) a: usize,
    /// Start in `b`.
    pub(super) b: usize,
    /// Steps.
    pub(super) steps: usize,
}

/// Operands of one tile.
pub(super) struct Tile<'a> {
    /// Rows of the tile, at most [`ROWS`].
    pub(super) rows: usize,
    /// Columns of the tile.
    pub(super) columns: usize,
    /// Words of a row of `b`: the columns, in whole registers.
    pub(super) width: usize,
    pub(super) runs: &'a [Run],
    pub(super) a: &'a [u32],
    /// Words from a row of `a` to the next.
    pub(super) a_row: usize,
    /// Words from a step of `a` to the next.
    pub(super) a_step: usize,
    pub(super) b: &'a [u32],
    /// Is written, whatever it held.
    pub(super) c: &'a mut [MaybeUninit<f32>],
    /// Values from a row of `c` to the next.
    pub(super) c_row: usize,
    /// Adds to `c`, which a tile has written before.
    pub(super) accumulate: bool,
}

impl Tile<'_> {
    /// The micro-kernel has no checks of its own.
    fn check(&self) {
        assert!((1..=ROWS).contains(&self.rows) && (1..=self.width).contains(&self.columns));
        assert!((self.rows - 1) * self.c_row + self.columns <= self.c.len());
        let last_row = (self.rows - 1) * self.a_row;
        for run in self.runs.iter().filter(|run| run.steps > 0) {
            assert!(run.a + last_row + (run.steps - 1) * self.a_step < self.a.len());
            assert!(run.b + run.steps * self.width <= self.b.len());
        }
    }
}

/// The instructions that multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// Portable Rust.
    Portable,
    /// AVX2 and FMA.
    Fma,
    /// AVX-512 F.
    Avx512,
    /// AVX-512 F and BF16.
    Avx512Bf16,
}

impl Engine {
    /// What belongs to [`Isa::detect`].
    pub(super) fn detect() -> Self {
        let isa = Isa::detect();
        let mut all = Self::available().into_iter().rev();
        all.find(|engine| engine.isa() == isa).unwrap_or(Self::Portable)
    }

    /// All that can run here, the best last.
    pub(super) fn available() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let isas = Isa::available();
            if isas.contains(&Isa::Avx2) && is_x86_feature_detected!("fma") {
                all.push(Self::Fma);
            }
            if isas.contains(&Isa::Avx512) {
                all.push(Self::Avx512);
                if is_x86_feature_detected!("avx512bf16") {
                    all.push(Self::Avx512Bf16);
                }
            }
        }
        all
    }

    /// What else the engine's loops may use.
    pub(super) fn isa(self) -> Isa {
        match self {
            Self::Portable => Isa::Scalar,
            Self::Fma => Isa::Avx2,
            Self::Avx512 | Self::Avx512Bf16 => Isa::Avx512,
        }
    }

    /// What operands of `precision` are computed in. To emulate pairs of bf16 takes twice the time of f32 and is less exact, so
    /// only the definition and the instruction made for it do so.
    pub(super) fn precision(self, precision: Precision) -> Precision {
        match self {
            Self::Fma | Self::Avx512 => Precision::F32,
            Self::Portable | Self::Avx512Bf16 => precision,
        }
    }

    /// Sums in a register, and registers across the widest tile.
    fn registers(self) -> (usize, usize) {
        match self {
            Self::Portable => (LANES, 1),
            Self::Fma => (LANES / 2, 2),
            Self::Avx512 | Self::Avx512Bf16 => (LANES, 4),
        }
    }

    /// Sums in a register.
    pub(super) fn lanes(self) -> usize {
        self.registers().0
    }

    /// Splits `columns` into tiles as even as can be, so that a ragged count wastes less than a register.
    pub(super) fn blocks(self, columns: usize) -> Vec<Block> {
        let (lanes, most) = self.registers();
        let registers = columns.div_ceil(lanes);
        let count = registers.div_ceil(most);
        let mut start = 0;
        (0..count)
            .map(|i| {
                let width = ((i + 1) * registers / count - i * registers / count) * lanes;
                let block = Block {
                    start,
                    columns: (columns - start).min(width),
                    width,
                };
                start += block.columns;
                block
            })
            .collect()
    }

    /// Computes a tile of operands in `precision`, one that the engine computes in.
    ///
    /// # Safety
    /// The tile's part of `c` was written before, if it is to accumulate.
    ///
    /// # Panics
    /// If an operand is too short.
    pub(super) unsafe fn multiply(self, precision: Precision, mut tile: Tile) {
        tile.check();
        let (lanes, most) = self.registers();
        assert!(
            tile.width.is_multiple_of(lanes) && tile.width / lanes <= most && precision == self.precision(precision)
        );
        let tile = &mut tile;
        // SAFETY: the operands were checked, the caller says what `c` holds, and an engine other than the portable one exists if the
        // CPU has it.
        unsafe {
            match (self, precision) {
                #[cfg(target_arch = "x86_64")]
                (Self::Fma, _) => fma_f32(tile),
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512Bf16, Precision::Bf16) => native_bf16(tile),
                #[cfg(target_arch = "x86_64")]
                (Self::Avx512 | Self::Avx512Bf16, _) => avx512_f32(tile),
                (_, Precision::F32) => portable_f32(tile),
                (_, Precision::Bf16) => portable_bf16(tile),
            }
        }
    }
}

/// Part of a row of outputs that one tile covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// First column.
    pub(super) start: usize,
    /// Columns.
    pub(super) columns: usize,
    /// Their words in a row of operands: whole registers.
    pub(super) width: usize,
}

/// The sum over a tile's runs, in registers.
///
/// # Safety
/// Needs the instructions of `S` and `P`, and a checked tile of `R` rows and `V` registers across.
#[inline(always)]
unsafe fn sum<S: Sums, P: Product<S>, const R: usize, const V: usize>(tile: &mut Tile) {
    let count = |v: usize| tile.columns.saturating_sub(v * S::LANES).min(S::LANES);
    // SAFETY: `Tile::check` has compared every offset below with the lengths of the slices.
    unsafe {
        let mut sums = [[S::zero(); V]; R];
        if tile.accumulate {
            for r in 0..R {
                for v in 0..V {
                    sums[r][v] = S::load(tile.c.as_ptr().add(r * tile.c_row + v * S::LANES).cast(), count(v));
                }
            }
        }
        for run in tile.runs {
            let mut a = tile.a.as_ptr().add(run.a);
            let mut b = tile.b.as_ptr().add(run.b);
            for _ in 0..run.steps {
                let row: [S::Words; V] = from_fn(|v| S::words(b.add(v * S::LANES)));
                for r in 0..R {
                    let a = S::broadcast(a.add(r * tile.a_row));
                    for v in 0..V {
                        sums[r][v] = P::add(sums[r][v], a, row[v]);
                    }
                }
                a = a.wrapping_add(tile.a_step);
                b = b.add(V * S::LANES);
            }
        }
        for r in 0..R {
            for v in 0..V {
                sums[r][v].store(tile.c.as_mut_ptr().add(r * tile.c_row + v * S::LANES).cast(), count(v));
            }
        }
    }
}

/// Compiles [`sum`] for some instructions, for every number of rows and the given numbers of registers.
macro_rules! kernel {
    ($name:ident, $sums:ty, $product:ty, [$($vectors:literal),*] $(, $features:literal)?) => {
        /// # Safety
        /// Needs the features, and a checked tile.
        pub(super) unsafe fn $name(tile: &mut Tile) {
            /// # Safety
            /// Needs the features, and a checked tile of this size.
            $(#[target_feature(enable = $features)])?
            unsafe fn fixed<const R: usize, const V: usize>(tile: &mut Tile) {
                // SAFETY: the caller's contract.
                unsafe { sum::<$sums, $product, R, V>(tile) }
            }
            // SAFETY: the caller's contract; rows and registers are those of the tile.
            unsafe {
                match (tile.width / <$sums>::LANES, tile.rows) {
                    $(
                        ($vectors, 1) => fixed::<1, $vectors>(tile),
                        ($vectors, 2) => fixed::<2, $vectors>(tile),
                        ($vectors, 3) => fixed::<3, $vectors>(tile),
                        ($vectors, 4) => fixed::<4, $vectors>(tile),
                        ($vectors, 5) => fixed::<5, $vectors>(tile),
                        ($vectors, 6) => fixed::<6, $vectors>(tile),
                    )*
                    _ => unreachable!("a checked tile has 1 to 6 rows, and registers that the engine has"),
                }
            }
        }
    };
}

kernel!(portable_f32, lanes::Portable, Single, [1]);
kernel!(portable_bf16, lanes::Portable, Pair, [1]);

#[cfg(target_arch = "x86_64")]
use x86_64::*;
#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::lanes::Sums;
    use super::lanes::x86::{Avx512, Fma, NativePair};
    use super::{Single, Tile, sum};

    kernel!(fma_f32, Fma, Single, [1, 2], "avx2,fma");
    kernel!(avx512_f32, Avx512, Single, [1, 2, 3, 4], "avx512f");
    kernel!(native_bf16, Avx512, NativePair, [1, 2, 3, 4], "avx512f,avx512bf16");
}
