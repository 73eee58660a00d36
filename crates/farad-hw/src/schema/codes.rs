//! Long explanations of the diagnostic codes.

/// What `code` means, how it comes about and what to do; `None` for a code that does not exist.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(name, _)| *name == code).map(|(_, text)| *text)
}

/// Every code that can be reported, with its text.
const CODES: &[(&str, &str)] = &[
    (
        "E0001",
        "The text is not TOML.\n\nThe parser stopped at the marked place. Common causes: a string without quotes, a key given twice, \
         a table header without its closing bracket. Nothing else is checked until the text can be read.",
    ),
    (
        "E0002",
        "The file follows another schema.\n\n`schema` is the version of the file's form. It is raised when a key changes its meaning, so that an old \
         file is never read with a new meaning. Without it the current version is assumed.",
    ),
    (
        "E0101",
        "The file has a table that a macro does not have.\n\nThe tables are [technology], [array], [input], [weight], [adc], [noise], \
         [timing], [energy], [area] and [system]. An unknown table is refused, because a setting in it would silently have no effect.",
    ),
    (
        "E0102",
        "A table has a key that does not exist there.\n\nA misspelt key would leave the default in force without a word, so it is refused. \
         If a similar key exists it is suggested; otherwise all keys of the table are listed.",
    ),
    (
        "E0103",
        "A value has the wrong type.\n\nCounts are integers (`rows = 128`), physical quantities are numbers (`vdd_v = 0.9`), choices are strings \
         (`kind = \"flash\"`), switches are `true` or `false`.",
    ),
    (
        "E0104",
        "A choice names an alternative that does not exist.\n\nThe alternatives are listed with the message. ADC kinds are those of \
         `farad list adc`.",
    ),
    (
        "E0105",
        "A value is out of its range.\n\nThe range is what the simulator can represent (1 to 65536 rows and columns, 1 to 12 ADC bits, 1 to 8 input \
         bits, 2 to 8 weight bits, since a signed weight of one bit has no magnitude) or what is physical: capacitors, \
         supplies, clocks and sigmas are not negative, and a clip range is wider than nothing.",
    ),
    (
        "E0106",
        "A value is NaN or infinite.\n\nTOML has them, circuits do not. To switch an effect off, leave its key out.",
    ),
    (
        "E0107",
        "A required key is missing.\n\nEvery macro states `name`, `array.rows`, `array.columns`, `adc.kind` and `adc.bits`. Everything else has a \
         default: ideal where it is about accuracy, the node's typical value where it is about cost.",
    ),
    (
        "E0108",
        "A key is given that has no meaning with the choice made elsewhere.\n\nFor example `clip_sigma` is read only with `range = \"clip\"`, \
         and `dac_bits` only with `combine = \"dac\"`. It is refused because whoever wrote it expects an effect. What only the file says is put aside when `--set` makes \
         another choice.",
    ),
    (
        "E0109",
        "The left side of a `--set` is not a setting.\n\nA setting is `table.key` as in the macro file, e.g. `--set adc.bits=6`, or a top-level key such as \
         `--set name=mine`.",
    ),
    (
        "E0201",
        "The array is narrower than one output.\n\nAn output channel takes one physical column per weight bit: `bits` of them, `2 (bits - 1)` for \
         `differential`, `bits + 1` for `xnor`. All of them lie side by side in one array.",
    ),
    (
        "E0202",
        "The signed scheme does not fit the way weight bits are combined.\n\n`msb_polarity` shares the MSB column with opposite polarity, so it needs columns \
         that share charge (`binary_cap` or `c2c`). `twos_complement` subtracts the MSB column's codes, and `xnor` weighs each column's \
         code, so both need a code per column (`digital`). `offset_binary` and `differential` work with either.",
    ),
    (
        "E0203",
        "The cell and the signed scheme contradict each other.\n\nIn the scheme `xnor` weight bits stand for -1 and +1, which only an XNOR cell \
         multiplies; an XNOR cell in turn has no other meaning here.",
    ),
    (
        "E0204",
        "Noise is to be drawn per decision, but the ADC decides only once.\n\n`draws = \"per_decision\"` draws a comparator noise for every step of a successive \
         approximation. Other kinds use `per_conversion`.",
    ),
    (
        "E0205",
        "MSB skipping does not fit the ADC.\n\nA SAR with `skip_bits = s` asks first whether the input is low and then leaves out s decisions, so s must be less \
         than its bits, and the kind must be a SAR.",
    ),
    (
        "E0206",
        "The row DAC has more bits than an input.\n\n`dac_bits` is how many bits of an input are applied at once; an input wider than that takes several \
         evaluations.",
    ),
    (
        "E0207",
        "There are fewer macro instances than copies of a layer.\n\nCopies work on different output positions at once, and one instance applies one input vector \
         at a time, so each copy needs its own instance.",
    ),
    (
        "E0208",
        "An ADC is shared by more columns than there are.\n\n`columns_per_adc` counts conversions of one evaluation: physical columns with \
         `digital` combination, outputs where columns are merged before the conversion.",
    ),
    (
        "E0209",
        "An XNOR cell cannot take a multi-level input.\n\nIts product is a comparison of two bits; a row DAC applies several bits as one level.",
    ),
    (
        "E0210",
        "Another simulator's model does not fit the macro.\n\nASiM's noise and NeuroSim's clipping are defined for the count of ones in a single column, converted \
         once: `weight.combine = \"digital\"` and `noise.draws = \"per_conversion\"`. They serve to compare Farad with these simulators.",
    ),
    (
        "E0211",
        "A trim has steps, but they have no size.\n\n`offset_trim_lsb` and `gain_trim_pct` are what one step moves an ADC by, `offset_trim_steps` and \
         `gain_trim_steps` how many there are either way (0: as many as needed). Without a size there is no trim.",
    ),
    (
        "E0301",
        "The header of a profile cannot be understood.\n\nThe first line that is no comment names the fields, units included: `column` or `adc`, perhaps \
         `instance`, and any of `offset_lsb`, `offset_mv`, `gain`, `gain_error_pct`, `noise_lsb`, `noise_mv`, `inl_lsb[1]`, `inl_lsb[2]`, ... An unknown \
         field is refused, because what it says would silently have no effect.",
    ),
    (
        "E0302",
        "A row of a profile has more or fewer cells than the header has fields.\n\nCells are separated by commas. What was not measured is an empty cell, so that \
         every row has as many commas as the header; a decimal comma makes two cells of one number.",
    ),
    (
        "E0303",
        "A cell of a profile is not a number, or not one that can be.\n\nNumbers have a decimal point. Instances, columns and ADCs are counted from 0. A gain is \
         about 1, a noise is not negative, offsets and INL are at most 10000 LSB or mV.",
    ),
    (
        "E0304",
        "A row of a profile contradicts itself.\n\nA row is about one column or one ADC, gives each figure in one unit, and the INL of all transitions or of none.",
    ),
    (
        "E0305",
        "A profile has two rows about the same thing.\n\nOne column, or one ADC, of one instance has one row. A row without an instance is about every instance that has \
         none of its own.",
    ),
    (
        "E0306",
        "The profile was measured on another kind of chip.\n\nIts columns, ADCs and codes are compared with those of the macro, `--set` included. A column is a conversion: a \
         physical column where bits are combined digitally, an output where columns are merged. Without `# columns: N` the last row says how many there are.",
    ),
    (
        "E0307",
        "A profile says what the macro has no place for.\n\nThe INL belongs to the converter, so a column can give it only if no other shares its ADC; and a macro whose \
         noise is that of another simulator (`asim_*`, `neurosim15_clip`) takes no measured noise.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_in_the_sources_is_explained() {
        let sources = [
            include_str!("document.rs"),
            include_str!("reader.rs"),
            include_str!("rules.rs"),
            include_str!("tables.rs"),
            include_str!("../profile/read.rs"),
        ]
        .concat();
        let mut rest = sources.as_str();
        let mut seen = 0;
        while let Some(at) = rest.find("\"E0") {
            let code = &rest[at + 1..at + 6];
            assert!(
                explain(code).is_some_and(|text| text.len() > 80),
                "{code} has no explanation"
            );
            rest = &rest[at + 6..];
            seen += 1;
        }
        assert!(seen >= CODES.len());
        assert_eq!(explain("E9999"), None);
    }
}
