//! Two reports side by side, as text: every number of the whole network, then layer by layer.

use crate::metric::METRICS;
use crate::report::{LayerReport, Report};
use crate::text::{Align, Look, TextTable};
use crate::units::{digits, short_name};

/// Longer names lose their beginning.
const NAME_CHARS: usize = 30;

/// `a` beside `b` with differences, `b` relative to `a`; layers are matched by name.
#[must_use]
pub fn side_by_side(a: &Report, b: &Report, look: Look) -> String {
    let mut text = String::new();
    for (name, a, b) in inputs(a, b) {
        if a == b {
            text += &format!("{name:<14}{a}\n");
        } else {
            text += &format!("{name:<14}A  {a}\n{:<14}B  {b}\n", "");
        }
    }
    format!(
        "{text}\n{}\n\n{}\n",
        whole_table(a, b).render(look),
        layer_table(&a.layers, &b.layers).render(look)
    )
}

/// What the two were made of.
fn inputs(a: &Report, b: &Report) -> Vec<(&'static str, String, String)> {
    let settings = |r: &Report| {
        let changes = r.hw.changes();
        if changes.is_empty() {
            "as in the file".to_owned()
        } else {
            changes.join(" ")
        }
    };
    let images = |r: &Report| format!("{} of {} {}", r.dataset.images, r.dataset.name, r.dataset.split);
    let chips = |r: &Report| format!("{}, seed {}", r.accuracy.chips.len(), r.seed);
    let of = |f: &dyn Fn(&Report) -> String| (f(a), f(b));
    let rows = [
        ("network", of(&|r| r.network.name.clone())),
        ("macro", of(&|r| r.hw.name.clone())),
        ("settings", of(&settings)),
        ("images", of(&images)),
        ("chips", of(&chips)),
        ("semantics", of(&|r| r.semantics.to_string())),
    ];
    rows.into_iter().map(|(name, (a, b))| (name, a, b)).collect()
}

fn whole_table(a: &Report, b: &Report) -> TextTable {
    let mut table = TextTable::new([
        ("", Align::Left),
        ("unit", Align::Left),
        ("A", Align::Right),
        ("B", Align::Right),
        ("B - A", Align::Right),
        ("%", Align::Right),
    ]);
    for metric in METRICS {
        let (x, y) = ((metric.of)(a), (metric.of)(b));
        table.row([
            metric.name.to_owned(),
            metric.unit.to_owned(),
            number(x),
            number(y),
            number(y - x),
            change(x, y),
        ]);
    }
    table
}

fn layer_table(a: &[LayerReport], b: &[LayerReport]) -> TextTable {
    let mut table = TextTable::new([
        ("layer", Align::Left),
        ("energy nJ A", Align::Right),
        ("B", Align::Right),
        ("%", Align::Right),
        ("clocks A", Align::Right),
        ("B", Align::Right),
        ("%", Align::Right),
        ("used % A", Align::Right),
        ("B", Align::Right),
        ("B - A", Align::Right),
        ("SQNR dB A", Align::Right),
        ("B", Align::Right),
        ("B - A", Align::Right),
    ]);
    let only_b = b.iter().filter(|l| a.iter().all(|other| other.name != l.name));
    let pairs = a
        .iter()
        .map(|l| (Some(l), b.iter().find(|other| other.name == l.name)))
        .chain(only_b.map(|l| (None, Some(l))));
    for (a, b) in pairs {
        let name = a.or(b).map_or("", |l| l.name.as_str());
        let energy = |l: Option<&LayerReport>| l.map(|l| 1e9 * l.energy_j.total());
        let clocks = |l: Option<&LayerReport>| l.map(|l| l.cycles as f64);
        let used = |l: Option<&LayerReport>| l.map(|l| 100.0 * l.utilization);
        let sqnr = |l: Option<&LayerReport>| l.and_then(|l| l.sqnr_db);
        let show = |x: Option<f64>| x.map_or("-".to_owned(), digits);
        let differ = |x: Option<f64>, y: Option<f64>, by: fn(f64, f64) -> String| match (x, y) {
            (Some(x), Some(y)) => by(x, y),
            _ => "-".to_owned(),
        };
        table.row([
            short_name(name, NAME_CHARS),
            show(energy(a)),
            show(energy(b)),
            differ(energy(a), energy(b), change),
            show(clocks(a)),
            show(clocks(b)),
            differ(clocks(a), clocks(b), change),
            show(used(a)),
            show(used(b)),
            differ(used(a), used(b), difference),
            show(sqnr(a)),
            show(sqnr(b)),
            differ(sqnr(a), sqnr(b), difference),
        ]);
    }
    table
}

/// Four significant digits, and all of an integer.
#[must_use]
pub fn number(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 {
        return format!("{x}");
    }
    if (1e-3..1e6).contains(&x.abs()) {
        let decimals = (3.0 - x.abs().log10().floor()).max(0.0) as usize;
        return format!("{x:.decimals$}");
    }
    format!("{x:.3e}")
}

/// By how much `y` is more than `x`, in percent.
fn change(x: f64, y: f64) -> String {
    if x == y {
        "0".to_owned()
    } else if x == 0.0 {
        "-".to_owned()
    } else {
        format!("{:+.1}", 100.0 * (y - x) / x.abs())
    }
}

/// By how much `y` is more than `x`, which are percentages or decibels already.
fn difference(x: f64, y: f64) -> String {
    if x == y {
        "0".to_owned()
    } else {
        format!("{:+.1}", y - x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        for (x, text) in [
            (0.0, "0"),
            (152_312_320.0, "152312320"),
            (0.918_25, "0.9183"),
            (12.345_6, "12.35"),
            (3.131e-7, "3.131e-7"),
            (-0.015, "-0.01500"),
        ] {
            assert_eq!(number(x), text);
        }
        assert_eq!(change(2.0, 3.0), "+50.0");
        assert_eq!(change(0.0, 3.0), "-");
        assert_eq!(change(0.0, 0.0), "0");
        assert_eq!(difference(26.4, 24.9), "-1.5");
        assert_eq!(difference(2.0, 2.0), "0");
    }
}
