//! Addition, multiplication, or any other function of two bytes.

/// A function of two stored bytes as a table of all 65,536 results.
///
/// Whatever rounding the source tool uses, the table was filled by it: at run time there is nothing left to differ.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    table: Box<[u8]>,
    /// Elements of each operand per output element, as strides over the output's dimensions; 0 where it broadcasts.
    dims: Vec<usize>,
    strides: [Vec<usize>; 2],
}

/// Bytes of one table, for the import's memory budget.
pub(crate) const TABLE_BYTES: usize = 1 << 16;

impl Binary {
    /// Tabulates `f(a, b)` for operands of dimensions `a` and `b`; `None` when they do not broadcast.
    pub(crate) fn new(a: &[usize], b: &[usize], f: impl Fn(u8, u8) -> u8) -> Option<Self> {
        let dims = broadcast(a, b)?;
        let table = (0..TABLE_BYTES).map(|i| f((i >> 8) as u8, i as u8)).collect();
        let strides = [broadcast_strides(a, dims.len()), broadcast_strides(b, dims.len())];
        Some(Self { table, dims, strides })
    }

    /// Dimensions of the result, without batch.
    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Both operands hold one image; the caller repeats a constant.
    pub(crate) fn run(&self, a: &[u8], b: &[u8], out: &mut [u8]) {
        if a.len() == out.len() && b.len() == out.len() {
            for ((&a, &b), out) in a.iter().zip(b).zip(out) {
                *out = self.table[usize::from(a) << 8 | usize::from(b)];
            }
            return;
        }
        let mut index = vec![0; self.dims.len()];
        let (mut at_a, mut at_b) = (0, 0);
        for out in out {
            *out = self.table[usize::from(a[at_a]) << 8 | usize::from(b[at_b])];
            for axis in (0..self.dims.len()).rev() {
                index[axis] += 1;
                at_a += self.strides[0][axis];
                at_b += self.strides[1][axis];
                if index[axis] < self.dims[axis] {
                    break;
                }
                at_a -= self.strides[0][axis] * self.dims[axis];
                at_b -= self.strides[1][axis] * self.dims[axis];
                index[axis] = 0;
            }
        }
    }
}

/// Shape of the result under numpy's rule: aligned at the last axis, equal or one.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

fn broadcast_strides(dims: &[usize], rank: usize) -> Vec<usize> {
    let mut strides = vec![0; rank];
    let mut stride = 1;
    for (axis, &dim) in dims.iter().enumerate().rev() {
        if dim > 1 {
            strides[axis + rank - dims.len()] = stride;
        }
        stride *= dim;
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasts_as_numpy_does() {
        let subtract = Binary::new(&[2, 1, 3], &[2, 1], u8::wrapping_sub).unwrap();
        assert_eq!(subtract.dims(), [2, 2, 3]);
        let mut out = [0; 12];
        subtract.run(&[10, 20, 30, 40, 50, 60], &[1, 2], &mut out);
        assert_eq!(out, [9, 19, 29, 8, 18, 28, 39, 49, 59, 38, 48, 58]);
        assert!(Binary::new(&[3], &[2], u8::wrapping_sub).is_none());
    }
}
