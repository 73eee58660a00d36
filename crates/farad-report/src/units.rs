//! Quantities for people: three significant digits and an SI prefix.

/// SI prefixes from 10^-18 to 10^18.
const PREFIXES: [(f64, &str); 13] = [
    (1e-18, "a"),
    (1e-15, "f"),
    (1e-12, "p"),
    (1e-9, "n"),
    (1e-6, "µ"),
    (1e-3, "m"),
    (1.0, ""),
    (1e3, "k"),
    (1e6, "M"),
    (1e9, "G"),
    (1e12, "T"),
    (1e15, "P"),
    (1e18, "E"),
];

/// The largest prefix whose factor does not exceed `magnitude`, as `(factor, prefix)`.
#[must_use]
pub fn prefix(magnitude: f64) -> (f64, &'static str) {
    if magnitude == 0.0 || !magnitude.is_finite() {
        return (1.0, "");
    }
    // 999.6 reads as 1000 with three digits, hence as 1.00 of the next prefix.
    let rounded = magnitude.abs() * 1.0005;
    PREFIXES
        .iter()
        .rev()
        .find(|(factor, _)| rounded >= *factor)
        .copied()
        .unwrap_or(PREFIXES[0])
}

/// `value` with three significant digits, an SI prefix and `unit`: `1.23 µJ`.
///
/// ```
/// assert_eq!(farad_report::units::si(1.2345e-6, "J"), "1.23 µJ");
/// assert_eq!(farad_report::units::si(0.0, "J"), "0 J");
/// ```
#[must_use]
pub fn si(value: f64, unit: &str) -> String {
    let (factor, prefix) = prefix(value);
    let number = digits(value / factor);
    if prefix.is_empty() && unit.is_empty() {
        number
    } else {
        format!("{number} {prefix}{unit}")
    }
}

/// A number with three significant digits and no exponent, exact zero as `0`.
#[must_use]
pub fn digits(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        "0".into()
    } else if magnitude >= 99.95 {
        format!("{value:.0}")
    } else if magnitude >= 9.995 {
        format!("{value:.1}")
    } else if magnitude >= 0.9995 {
        format!("{value:.2}")
    } else {
        let decimals = (2.0 - magnitude.log10().floor()).min(9.0) as usize;
        format!("{value:.decimals$}")
    }
}

/// A layer's name for a table or a plot: TFLite joins the names of everything it fused with semicolons, of which the
/// first is kept; of what is longer than `max_chars` the end, where layers of one network differ.
#[must_use]
pub fn short_name(name: &str, max_chars: usize) -> String {
    let first = name.split(';').next().unwrap_or(name);
    let chars = first.chars().count();
    if chars <= max_chars {
        first.into()
    } else {
        let end: String = first.chars().skip(chars + 1 - max_chars).collect();
        format!("…{end}")
    }
}

/// A share as a percentage with `decimals` digits, without the sign.
#[must_use]
pub fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$}", 100.0 * share)
}

/// A small share as a percentage: `0` when nothing, `<0.01` when it would read as nothing.
#[must_use]
pub fn rate(share: f64) -> String {
    if share == 0.0 {
        "0".into()
    } else if share < 5e-5 {
        "<0.01".into()
    } else {
        percent(share, 2)
    }
}

/// A count in groups of three digits, as `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let text = value.to_string();
    let mut out = String::with_capacity(text.len() + text.len() / 3);
    for (i, digit) in text.chars().enumerate() {
        if i > 0 && (text.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_never_read_as_a_thousand() {
        assert_eq!(si(999.4, "J"), "999 J");
        assert_eq!(si(999.6, "J"), "1.00 kJ");
        assert_eq!(si(9.996e-10, "s"), "1.00 ns");
        assert_eq!(si(1e-21, "J"), "0.00100 aJ");
        assert_eq!(si(f64::INFINITY, "dB"), "inf dB");
    }

    #[test]
    fn small_numbers_keep_three_digits() {
        assert_eq!(digits(0.0072), "0.00720");
        assert_eq!(digits(0.25), "0.250");
        assert_eq!(digits(0.9996), "1.00");
        assert_eq!(digits(1e-20), "0.000000000");
    }

    #[test]
    fn long_names_keep_the_end_of_their_first_part() {
        assert_eq!(short_name("conv1", 8), "conv1");
        assert_eq!(short_name("model/stage2/conv1;model/bias", 6), "…conv1");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
    }

    #[test]
    fn a_small_rate_is_not_nothing() {
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate(1e-6), "<0.01");
        assert_eq!(rate(0.0123), "1.23");
    }
}
