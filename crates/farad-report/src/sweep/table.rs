//! The table of points: sorted and filtered by the page's script.

use super::{Column, Sweep};
use crate::html::page::{escape, push};
use crate::units::digits;
use farad_sim::statistics::{percentile, wilson95};

/// Rows of the page; `results.csv` has all.
pub(super) const MOST_ROWS: usize = 5000;

/// One column of the table.
struct Shown {
    name: String,
    about: String,
    /// Text, and what it is sorted by.
    cells: Vec<(String, Option<f64>)>,
}

pub(super) fn table(sweep: &Sweep) -> String {
    let columns = columns(sweep);
    let front = sweep.front();
    let mut out = String::from("<div class=\"scroll\">\n<table id=\"points\">\n<thead>\n<tr>");
    push(&mut out, format_args!("<th><button>point</button></th>"));
    for column in &columns {
        let title = escape(&column.about);
        push(
            &mut out,
            format_args!("<th title=\"{title}\"><button>{}</button></th>", escape(&column.name)),
        );
    }
    out += "</tr>\n<tr class=\"filters\">";
    for name in std::iter::once("point").chain(columns.iter().map(|c| c.name.as_str())) {
        push(
            &mut out,
            format_args!(
                "<th><input type=\"search\" size=\"6\" aria-label=\"filter {}\"></th>",
                escape(name)
            ),
        );
    }
    out += "</tr>\n</thead>\n<tbody>\n";
    // Where there are too many, the front comes first.
    let mut rows: Vec<usize> = (0..sweep.points.len()).collect();
    if rows.len() > MOST_ROWS {
        rows.sort_by_key(|&i| !front[i]);
        rows.truncate(MOST_ROWS);
        rows.sort_unstable();
    }
    for i in rows {
        let point = &sweep.points[i];
        let class = if front[i] { " class=\"front\"" } else { "" };
        push(
            &mut out,
            format_args!("<tr data-point=\"{}\"{class}><td data-v=\"{0}\">", point.index),
        );
        if point.page {
            push(
                &mut out,
                format_args!("<a href=\"points/{}.html\">{}</a>", escape(&point.key), point.index),
            );
        } else {
            push(&mut out, format_args!("{}", point.index));
        }
        out += "</td>";
        for column in &columns {
            let (text, number) = &column.cells[i];
            match number {
                Some(number) => push(&mut out, format_args!("<td data-v=\"{number}\">{}</td>", escape(text))),
                None => push(&mut out, format_args!("<td>{}</td>", escape(text))),
            }
        }
        out += "</tr>\n";
    }
    out + "</tbody>\n</table>\n</div>\n"
}

/// Axes that vary, then metrics; accuracy with both of its intervals.
fn columns(sweep: &Sweep) -> Vec<Shown> {
    let mut shown = Vec::new();
    for axis in 0..sweep.axes.len() {
        let column = sweep.axis(axis);
        if column.distinct().len() > 1 {
            shown.push(Shown {
                name: column.name,
                about: column.title,
                cells: column.cells.into_iter().map(|cell| (cell.text, cell.number)).collect(),
            });
        }
    }
    let number = |column: Column| {
        let unit = column
            .title
            .rsplit_once(" (")
            .map_or("", |(_, unit)| unit.trim_end_matches(')'));
        Shown {
            name: if unit.is_empty() {
                column.name
            } else {
                format!("{} {unit}", column.name)
            },
            about: column.title,
            cells: column
                .cells
                .into_iter()
                .map(|c| (c.number.map_or("-".into(), shorter), c.number))
                .collect(),
        }
    };
    for metric in &sweep.metrics {
        shown.push(number(sweep.metric(metric)));
        if metric.name == "top1" {
            shown.extend(intervals(sweep));
        }
    }
    for name in ["macs_left", "bops_saved", "energy_saved"] {
        shown.extend(
            sweep
                .column(name)
                .filter(|column| column.distinct().len() > 1)
                .map(number),
        );
    }
    shown
}

fn intervals(sweep: &Sweep) -> Vec<Shown> {
    let range = |low: f64, high: f64| (format!("{:.2} to {:.2}", 100.0 * low, 100.0 * high), Some(100.0 * low));
    let chips = sweep.points.iter().map(|point| {
        let mut chips = point.chips.clone();
        chips.sort_by(f64::total_cmp);
        range(percentile(&chips, 0.05), percentile(&chips, 0.95))
    });
    let images = sweep.points.iter().map(|point| {
        let top1 = farad_sim::statistics::mean(&point.chips);
        let (low, high) = wilson95(top1, point.images);
        range(low, high)
    });
    let mut shown = Vec::new();
    if sweep.points.iter().any(|point| point.chips.len() > 1) {
        shown.push(Shown {
            name: "over chips %".into(),
            about: "5th to 95th percentile of top-1 over chips".into(),
            cells: chips.collect(),
        });
    }
    shown.push(Shown {
        name: "over images %".into(),
        about: "95 % interval of top-1 over images (Wilson)".into(),
        cells: images.collect(),
    });
    shown
}

/// Four digits for accuracies and the like, three for anything else.
fn shorter(x: f64) -> String {
    if (10.0..=100.0).contains(&x) {
        format!("{x:.2}")
    } else if x < 0.0 {
        format!("-{}", digits(-x))
    } else {
        digits(x)
    }
}
