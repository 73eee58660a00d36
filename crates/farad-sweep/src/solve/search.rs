//! Bisection over values of which some do not decide.

/// What the images say of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It keeps the limit.
    Kept,
    /// It breaks it.
    Broken,
    /// All images together do not tell.
    Open,
}

/// What a search needs, or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The decision on this value.
    Ask(usize),
    /// The last value that keeps the limit, and the first that breaks it.
    Found(Option<usize>, Option<usize>),
}

/// Decisions that a search for `values` values makes at most, if none is open.
pub(crate) fn depth(values: usize) -> u32 {
    (values + 1).next_power_of_two().ilog2()
}

/// Goes through what is decided, values in the order in which the limit comes to break.
///
/// Two bisections, one for the last that keeps and one for the first that breaks, both from all values. As long as no decision errs they ask the
/// same [`depth`] values or fewer until one is open, and each errs only on values that a bisection without errors asks
/// too: so the risks of `depth` decisions add up to that of the pair.
pub(crate) fn next(values: usize, decided: &dyn Fn(usize) -> Option<Decision>) -> Step {
    let bisect = |right: &dyn Fn(Decision) -> bool| {
        // The answer lies between `left` values and value `end`.
        let (mut left, mut end) = (0, values);
        while left < end {
            let middle = (left + end) / 2;
            match decided(middle) {
                None => return Err(middle),
                Some(decision) if right(decision) => left = middle + 1,
                Some(_) => end = middle,
            }
        }
        Ok(left)
    };
    let found = bisect(&|decision| decision == Decision::Kept)
        .and_then(|kept| bisect(&|decision| decision != Decision::Broken).map(|broken| (kept, broken)));
    match found {
        Err(value) => Step::Ask(value),
        Ok((kept, broken)) => Step::Found(kept.checked_sub(1), (broken < values).then_some(broken)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The end of a search, and how many values it asked.
    fn search(truth: &[Decision]) -> (Option<usize>, Option<usize>, usize) {
        let mut known = BTreeMap::new();
        loop {
            match next(truth.len(), &|value| known.get(&value).copied()) {
                Step::Ask(value) => assert_eq!(known.insert(value, truth[value]), None, "asked twice"),
                Step::Found(kept, broken) => return (kept, broken, known.len()),
            }
        }
    }

    #[test]
    fn every_border_is_found() {
        use Decision::{Broken, Kept, Open};
        for values in 0..20 {
            for kept in 0..=values {
                for open in 0..=values - kept {
                    let mut truth = vec![Kept; kept];
                    truth.resize(kept + open, Open);
                    truth.resize(values, Broken);
                    let (last, first, asked) = search(&truth);
                    assert_eq!(last, kept.checked_sub(1), "{truth:?}");
                    assert_eq!(first, (kept + open < values).then_some(kept + open), "{truth:?}");
                    let most = depth(values) as usize * if open == 0 { 1 } else { 2 };
                    assert!(asked <= most, "{asked} for {truth:?}");
                }
            }
        }
    }

    #[test]
    fn depths() {
        let depths: Vec<u32> = [1, 2, 3, 4, 7, 8, 33].map(depth).to_vec();
        assert_eq!(depths, [1, 2, 2, 3, 3, 4, 6]);
    }
}
