//! Long explanations of the diagnostic codes of recipes.

/// What `code` means and what to do; `None` for a code that does not exist.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(name, _)| *name == code).map(|(_, text)| *text)
}

/// Every code that a recipe can have, with its text.
const CODES: &[(&str, &str)] = &[
    (
        "T0001",
        "The recipe is not TOML.\n\nThe parser stopped at the marked place. Common causes: a string without quotes, a key given twice, a table \
         header without its closing bracket. Nothing else is checked until the text can be read.",
    ),
    (
        "T0101",
        "A name does not exist.\n\nKeys above the first [[stage]] belong to the whole recipe (`network`, `dataset`, `batch`), those below one to that \
         stage (`epochs`, `rate`, `criterion`, `budget`). `farad list criterion` has the criteria and their settings.",
    ),
    (
        "T0102",
        "A value has the wrong type, or is out of its range.\n\nThe message says what is expected. A learning rate is a list of points \
         `[epoch, rate]`, as `[[0, 0.02], [1, 0.1], [8, 0.0]]`; parts of a budget are above 0 and at most 1.",
    ),
    (
        "T0103",
        "Something is missing.\n\nA recipe has a `network`, a `dataset` and at least one [[stage]]. Stages that train need `epochs` and `rate`; those \
         that prune need a `criterion` and a `budget`.",
    ),
    (
        "T0104",
        "Stages or keys do not go together.\n\nAfter `qat`, and after a start from an int8 network, the network is int8: only `qat` and `export` can \
         follow. A key that a stage would not use is refused, so that it is not taken for one that works.",
    ),
    (
        "T0105",
        "A network, a macro or a start cannot be used.\n\nA name is one of `farad list`, or a file seen from the working directory. `from` is a \
         checkpoint of the same network, or the `network.onnx` that an `export` stage of it wrote.",
    ),
    (
        "T0106",
        "A budget cannot be met.\n\nEvery group of channels keeps at least `min_keep` (8 unless said), and the smallest such network is still too \
         large. Ask for less, or lower `min_keep`.",
    ),
    (
        "T0107",
        "[vary] cannot be followed.\n\nEach key under [vary] is a list of values for a key of the recipe or of its stages: `seed = [1, 2]`, \
         `budget.macs = [0.5, 0.25]`, or, with the kind of a stage before it, `finetune.epochs = [2, 4]`. A value may be a table that sets other keys \
         with its own.",
    ),
    (
        "T0108",
        "[target] cannot be followed.\n\nIt is the macro that the networks of `export` stages are compared on: `macro`, a name or a file, `chips` \
         (default 1) and `images` (default 0, all).",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_in_the_sources_is_explained() {
        let sources = [
            include_str!("check.rs"),
            include_str!("document.rs"),
            include_str!("../vary.rs"),
            include_str!("../vary/axis.rs"),
            include_str!("../vary/check.rs"),
        ]
        .concat();
        let codes: Vec<&str> = sources
            .match_indices("\"T0")
            .map(|(at, _)| &sources[at + 1..at + 6])
            .collect();
        for code in &codes {
            assert!(
                explain(code).is_some_and(|text| text.len() > 80),
                "{code} has no explanation"
            );
        }
        for (code, _) in CODES {
            assert!(codes.contains(code), "{code} is never reported");
        }
        assert_eq!(explain("T9999"), None);
    }
}
