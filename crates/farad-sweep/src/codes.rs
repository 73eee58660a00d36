//! Long explanations of the diagnostic codes of experiments.

/// What `code` means and what to do; `None` for a code that does not exist.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(name, _)| *name == code).map(|(_, text)| *text)
}

/// Every code that an experiment can have, with its text. Problems of the macro itself have the codes of a macro file.
const CODES: &[(&str, &str)] = &[
    (
        "S0001",
        "The experiment is not TOML.\n\nThe parser stopped at the marked place. Common causes: a string without quotes, a key given twice, a table \
         header without its closing bracket. Nothing else is checked until the text can be read.",
    ),
    (
        "S0101",
        "A name does not exist.\n\nAn experiment has the keys `name`, `description`, `constraints`, `metrics`, `maximize`, `minimize` and the tables \
         [base], [axes], [[zip]], [sample], [solve], [report] and [[plot]]. What can be set or varied is a flag of `farad run` without its dashes (`network`, `macro`, `profile`, \
         `calibration`, `data`, `images`, `chips`, `seed`, `engine`, `pixel_max`, `mean`, `std`, `note`) or any key of the macro (`adc.bits`).",
    ),
    (
        "S0102",
        "A value has the wrong type.\n\nThe expected one is named with the message. An axis takes an array of values or a range.",
    ),
    (
        "S0104",
        "An axis or a sample cannot be made.\n\nA range is `{ from = 4, to = 8 }`, with `step` (default 1) or with `points` and, above 0, \
         `scale = \"log\"`. A [sample] has `points`, and its ranges are under [sample.axes] without points of their own.",
    ),
    (
        "S0105",
        "Zipped axes have different numbers of values.\n\nThe axes of one [[zip]] vary together: the first value of one goes with the first of the \
         others, so all have the same number. For every combination of two axes put them under [axes].",
    ),
    (
        "S0106",
        "A parameter is varied in two places.\n\nOne value would hide the other. Each parameter is under [axes], in one [[zip]], under \
         [sample.axes], or in [solve]. (A value under [base] is no such place: an axis replaces it.)",
    ),
    (
        "S0107",
        "There are no points, or far too many.\n\nThe points are all combinations of the axes, less those that a constraint rules out. For spaces of many \
         axes take a [sample].",
    ),
    (
        "S0108",
        "A condition cannot be read.\n\nA condition compares numbers or texts: `adc.skip_bits < adc.bits`, `adc.range == 'clip' or adc.bits >= 8`. It \
         may name axes and keys of [base], use + - * / and parentheses, and join comparisons with `and` and `or`.",
    ),
    (
        "S0109",
        "A network, a macro or images cannot be used.\n\nA name is one of `farad list`, or a file seen from the experiment's folder. The message is the \
         one that `farad run` would give.",
    ),
    (
        "S0110",
        "A network does not go on a macro.\n\nFor example, its weights have more bits than the macro's. Leave the point out with a constraint, or \
         change the macro.",
    ),
    (
        "S0111",
        "A plot cannot be made.\n\nA [[plot]] has `x` and `y`, names of axes or metrics, and `kind`: \"line\" (the default) and \"scatter\" have \
         numbers as `y` and may have `lines`; \"heat\" has a metric as `color`. `facet` makes a panel for each value.",
    ),
    (
        "S0112",
        "A requirement cannot be solved.\n\n[solve] has one axis, under `largest` or `smallest`, whose values go up (names are taken in the \
         order of the list); a limit to `keep`, `top1 >= 0.9` or `top1_lost <= 0.01`, for which single images are counted; and a `confidence` \
         (default 0.95).",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_in_the_sources_is_explained() {
        let sources = [
            include_str!("check.rs"),
            include_str!("experiment/mod.rs"),
            include_str!("experiment/axis.rs"),
            include_str!("experiment/reader.rs"),
            include_str!("experiment/plots.rs"),
            include_str!("experiment/solve.rs"),
        ]
        .concat();
        let codes: Vec<&str> = sources
            .match_indices("\"S0")
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
        assert_eq!(explain("S9999"), None);
    }
}
