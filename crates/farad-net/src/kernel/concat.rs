//! Concatenation.

use super::Table;

/// Inputs one after the other along one stored axis.
#[derive(Debug, Clone)]
pub(crate) struct Concat {
    /// Bytes of each input that lie together.
    pub(crate) runs: Vec<usize>,
    /// Rescales each input to the output's scale; `None` where they agree.
    pub(crate) tables: Vec<Option<Table>>,
}

impl Concat {
    /// `inputs` hold one image each.
    pub(crate) fn run(&self, inputs: &[&[u8]], out: &mut [u8]) {
        let whole: usize = self.runs.iter().sum();
        let mut first = 0;
        for ((input, &run), table) in inputs.iter().zip(&self.runs).zip(&self.tables) {
            for (from, to) in input.chunks_exact(run).zip(out.chunks_exact_mut(whole)) {
                let to = &mut to[first..first + run];
                match table {
                    Some(table) => to
                        .iter_mut()
                        .zip(from)
                        .for_each(|(to, &from)| *to = table[usize::from(from)]),
                    None => to.copy_from_slice(from),
                }
            }
            first += run;
        }
    }
}

impl Concat {
    /// Shape of the result and the runs, for inputs of dimensions `all` joined along `axis`; `None` when they differ
    /// elsewhere.
    pub(crate) fn shape(all: &[Vec<usize>], axis: usize) -> Option<(Vec<usize>, Vec<usize>)> {
        let mut dims = all.first()?.clone();
        dims.get(axis)?;
        dims[axis] = 0;
        for other in all {
            let alike = other.len() == dims.len() && (0..dims.len()).all(|a| a == axis || other[a] == dims[a]);
            if !alike {
                return None;
            }
            dims[axis] = dims[axis].checked_add(other[axis])?;
        }
        Some((dims, all.iter().map(|d| d[axis..].iter().product()).collect()))
    }
}
