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
        format!("{value:.3}")
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
        assert_eq!(si(1e-21, "J"), "0.001 aJ");
        assert_eq!(si(f64::INFINITY, "dB"), "inf dB");
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
