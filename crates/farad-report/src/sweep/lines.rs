//! Lines and dots over one column, a panel for each combination of the others.

use super::{Column, PlotKind, PlotRequest, Sweep};
use crate::error::ReportError;
use crate::plot::Plot;
use crate::plot::chart::{Layer, Mark};
use crate::plot::grid::viridis;
use crate::plot::panels::{Panel, Panels};
use crate::plot::scale::Scale;
use crate::plot::{GRID, PALETTE};
use farad_sim::statistics::{mean, percentile, wilson95};
use plotters::style::RGBColor;

/// More panels than these are not drawn.
pub(super) const MOST_PANELS: usize = 12;
/// Places of the palette that are told apart on light and on dark paper.
const COLORS: [usize; 7] = [0, 1, 2, 5, 4, 3, 7];
/// From one line's interval to the next's, as a share of the axis.
const APART: f64 = 0.006;

pub(super) fn draw(sweep: &Sweep, request: &PlotRequest) -> Result<Option<Plot>, ReportError> {
    let columns = (sweep.column(&request.x), sweep.column(&request.y));
    let (Some(x), Some(y)) = columns else { return Ok(None) };
    let Some(ys) = y.numbers() else { return Ok(None) };
    let lines = request.lines.as_ref().and_then(|name| sweep.column(name));
    let facets: Vec<Column> = request.facet.iter().filter_map(|name| sweep.column(name)).collect();
    let panels = Column::joined(&facets, sweep.points.len());
    let (scale, xs) = scale(&x);
    let colors = colors(lines.as_ref().map_or(1, |column| column.distinct().len()));
    let chips = sweep.chips(&request.y);
    let is_line = request.kind == PlotKind::Line;
    let is_share_of_images = matches!(request.y.as_str(), "top1" | "top1_digital" | "top5");

    let names = panels.distinct();
    let mut drawn = Vec::new();
    let mut several = false;
    for name in names.iter().take(MOST_PANELS) {
        let inside: Vec<usize> = (0..xs.len()).filter(|&i| panels.cells[i] == *name).collect();
        let values = lines
            .as_ref()
            .map_or(vec![None], |c| c.distinct().into_iter().map(Some).collect());
        let (mut below, mut above) = (Vec::new(), Vec::new());
        for (k, value) in values.iter().enumerate() {
            let on_line = |i: &&usize| match (&lines, value) {
                (Some(column), Some(value)) => column.cells[**i] == *value,
                _ => true,
            };
            let members: Vec<usize> = inside.iter().filter(on_line).copied().collect();
            let label = value.as_ref().map_or(String::new(), |value| value.text.clone());
            let color = colors[k];
            if !is_line {
                let dots = members.iter().map(|&i| (xs[i], ys[i])).collect();
                above.push(Layer::new(label, color, Mark::Dots(dots)));
                continue;
            }
            let steps = steps(&members, &xs);
            several |= steps.iter().any(|(_, at)| at.len() > 1);
            let of = |at: &[usize]| mean(&at.iter().map(|&i| ys[i]).collect::<Vec<_>>());
            let line: Vec<(f64, f64)> = steps.iter().map(|(x, at)| (*x, of(at))).collect();
            if let Some(chips) = &chips {
                let band = steps.iter().map(|(x, at)| {
                    let mut all: Vec<f64> = at.iter().flat_map(|&i| chips[i].iter().copied()).collect();
                    all.sort_by(f64::total_cmp);
                    (*x, percentile(&all, 0.05), percentile(&all, 0.95))
                });
                below.push(Layer::new("", color, Mark::Band(band.collect())));
            }
            if is_share_of_images {
                let apart = APART * (k as f64 - (values.len() - 1) as f64 / 2.0);
                let whiskers = steps.iter().zip(&line).map(|((x, at), (_, y))| {
                    let images = at.iter().map(|&i| sweep.points[i].images).min().unwrap_or(0);
                    let (low, high) = wilson95(y / 100.0, images);
                    (scale.moved(*x, apart), 100.0 * low, 100.0 * high)
                });
                below.push(Layer::new("", color, Mark::Whiskers(whiskers.collect())));
            }
            above.push(Layer::new(label, color, Mark::Line(line.clone())));
            above.push(Layer::new("", color, Mark::Dots(line)));
        }
        if request.x == "bops_saved" && request.y == "energy_saved" {
            let end = xs.iter().copied().fold(0.0, f64::max);
            below.push(Layer::new(
                "as much energy as operations",
                GRID,
                Mark::Line(vec![(0.0, 0.0), (end, end)]),
            ));
        }
        below.append(&mut above);
        drawn.push(Panel {
            name: name.text.clone(),
            layers: below,
        });
    }

    let mut notes = Vec::new();
    if chips.is_some() && is_line {
        notes.push(format!(
            "Bands: 5th to 95th percentile over {}.",
            sweep.chips_in_words()
        ));
    }
    if is_share_of_images && is_line {
        notes.push(format!(
            "Thin bars: 95 % interval for {} images (Wilson); all points have the same images, so differences are known better.",
            sweep.images_in_words()
        ));
    }
    if several {
        notes.push("Each dot is the mean over what is not named here.".to_owned());
    }
    if names.len() > MOST_PANELS {
        notes.push(format!("{MOST_PANELS} of {} combinations are shown.", names.len()));
    }
    let over = if is_line { "over" } else { "against" };
    let title = format!("{} {over} {}", capital(&about(&y)), about(&x));
    let svg = Panels {
        title: &title,
        x: &x.title,
        y: &y.title,
        legend: lines.as_ref().map_or("", |column| &column.title),
        notes: &notes,
        scale,
        panels: drawn,
    }
    .draw()?;
    Ok(Some(Plot {
        name: file_name(&[&request.y, &request.x]).into(),
        title: title.into(),
        svg,
    }))
}

/// Points at the same place, from left to right.
fn steps(members: &[usize], xs: &[f64]) -> Vec<(f64, Vec<usize>)> {
    let mut steps: Vec<(f64, Vec<usize>)> = Vec::new();
    let mut order = members.to_vec();
    order.sort_by(|&a, &b| xs[a].total_cmp(&xs[b]));
    for i in order {
        match steps.last_mut() {
            Some((x, at)) if *x == xs[i] => at.push(i),
            _ => steps.push((xs[i], vec![i])),
        }
    }
    steps
}

/// The axis of a column and each point's place on it.
fn scale(x: &Column) -> (Scale, Vec<f64>) {
    let distinct = x.distinct();
    match x.numbers() {
        Some(numbers) => {
            let values: Vec<(f64, String)> = distinct
                .into_iter()
                .filter_map(|cell| Some((cell.number?, cell.text)))
                .collect();
            (Scale::at_values(&values), numbers)
        }
        None => {
            let names: Vec<String> = distinct.into_iter().map(|cell| cell.text).collect();
            let place = |text: &String| names.iter().position(|name| name == text).unwrap_or(0) as f64;
            let places = x.cells.iter().map(|cell| place(&cell.text)).collect();
            (Scale::of_names(&names), places)
        }
    }
}

/// The palette; for more lines than it has, one colour after the other from dark to light.
fn colors(count: usize) -> Vec<RGBColor> {
    if count <= COLORS.len() {
        return COLORS.iter().map(|&i| PALETTE[i]).collect();
    }
    (0..count)
        .map(|i| viridis(0.2 + 0.7 * i as f64 / (count - 1) as f64))
        .collect()
}

/// A column's title without its unit.
pub(super) fn about(column: &Column) -> String {
    let title = column.title.split(" (").next().unwrap_or(&column.title);
    title.split(',').next().unwrap_or(title).to_owned()
}

pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

/// Names of columns as the name of a file.
pub(super) fn file_name(names: &[&str]) -> String {
    names.join("-").replace('.', "_")
}

impl Sweep {
    /// What each chip contributes to a metric at every point, in percent; `None` where only the mean is known, or all points have one chip.
    fn chips(&self, metric: &str) -> Option<Vec<Vec<f64>>> {
        if self.points.iter().all(|point| point.chips.len() < 2) {
            return None;
        }
        let of: Box<dyn Fn(f64, f64) -> f64> = match metric {
            "top1" => Box::new(|chip, _| 100.0 * chip),
            "top1_lost" => Box::new(|chip, digital| 100.0 * (digital - chip)),
            _ => return None,
        };
        let digital = self.values(crate::metric::metric_named("top1_digital")?);
        let each = self.points.iter().zip(digital);
        Some(
            each.map(|(point, digital)| point.chips.iter().map(|chip| of(*chip, digital)).collect())
                .collect(),
        )
    }

    pub(super) fn chips_in_words(&self) -> String {
        in_words(self.points.iter().map(|point| point.chips.len() as u64)) + " chips"
    }

    pub(super) fn images_in_words(&self) -> String {
        in_words(self.points.iter().map(|point| point.images))
    }
}

/// One number, or the least and the largest.
fn in_words(counts: impl Iterator<Item = u64> + Clone) -> String {
    let (least, most) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
    if least == most {
        crate::units::count(least)
    } else {
        format!("{} to {}", crate::units::count(least), crate::units::count(most))
    }
}
