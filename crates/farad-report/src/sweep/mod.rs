//! What a sweep found: plots that follow from its axes, and one page.
//!
//! A [`Sweep`] is plain data, one [`SweepPoint`] for each result. Everything that can be drawn is a [`Column`]: an axis, a metric, or a
//! number relative to the unpruned network. A plot is a choice of columns ([`PlotRequest`]): the user's, or one that follows from the axes.

mod choice;
mod column;
mod front;
mod heat;
mod lines;
mod page;
mod parallel;
mod relative;
mod table;

use crate::error::ReportError;
use crate::metric::Metric;
use crate::output::OutputDir;
use crate::plot::Plot;
pub use column::{Cell, Column};
pub use relative::RELATIVE;
use std::path::{Path, PathBuf};

/// Results of a sweep.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Name of the experiment.
    pub name: String,
    /// One line about it.
    pub description: String,
    /// Points that were planned, with or without a result.
    pub planned: usize,
    /// Names of the axes and the group that each belongs to; axes of one group vary together.
    pub axes: Vec<(String, usize)>,
    /// What tables and plots show.
    pub metrics: Vec<&'static Metric>,
    /// What is to be high (`true`) or low.
    pub objectives: Vec<(&'static Metric, bool)>,
    /// Plots that were asked for.
    pub requests: Vec<PlotRequest>,
    /// Whether the plots that follow from the axes are made, too.
    pub automatic: bool,
    /// Results in the order of the points.
    pub points: Vec<SweepPoint>,
}

/// One result.
#[derive(Debug, Clone)]
pub struct SweepPoint {
    /// Number of the point.
    pub index: usize,
    /// Its key, which its own page is named after.
    pub key: String,
    /// Value on each axis.
    pub values: Vec<Cell>,
    /// Every number of [`METRICS`](crate::metric::METRICS), in their order.
    pub metrics: Vec<f64>,
    /// Top-1 of each chip.
    pub chips: Vec<f64>,
    /// Images of each chip.
    pub images: u64,
    /// Whether it has a page of its own, `points/KEY.html`.
    pub page: bool,
}

/// What a plot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlotKind {
    /// Lines over `x`.
    Line,
    /// A colour at each `x` and `y`.
    Heat,
    /// A dot for each point.
    Scatter,
}

/// Names of [`PlotKind`], as an experiment has them.
pub const PLOT_KINDS: [(&str, PlotKind); 3] = [
    ("line", PlotKind::Line),
    ("heat", PlotKind::Heat),
    ("scatter", PlotKind::Scatter),
];

/// A plot by the names of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlotRequest {
    /// What it is.
    pub kind: PlotKind,
    /// Horizontal.
    pub x: String,
    /// Vertical.
    pub y: String,
    /// One line, or colour of dots, for each value.
    pub lines: Option<String>,
    /// One panel for each combination of values.
    pub facet: Vec<String>,
    /// The colour of a heat map's cells.
    pub color: Option<String>,
}

impl PlotRequest {
    fn new(kind: PlotKind, x: &str, y: &str) -> Self {
        Self {
            kind,
            x: x.to_owned(),
            y: y.to_owned(),
            lines: None,
            facet: Vec::new(),
            color: None,
        }
    }
}

impl Sweep {
    /// Gives at most so many points a page of their own, those of the front first; returns their keys.
    pub fn choose_pages(&mut self, most: usize) -> Vec<String> {
        let front = self.front();
        let mut order: Vec<usize> = (0..self.points.len()).collect();
        order.sort_by_key(|&i| !front[i]);
        order.truncate(most);
        for &i in &order {
            self.points[i].page = true;
        }
        order.into_iter().map(|i| self.points[i].key.clone()).collect()
    }

    /// Every plot, those that were asked for first.
    ///
    /// # Errors
    /// [`ReportError::Plot`] if the plotting library refuses.
    pub fn plots(&self) -> Result<Vec<Plot>, ReportError> {
        let mut plots: Vec<Plot> = Vec::new();
        if self.points.is_empty() {
            return Ok(plots);
        }
        let mut add = |plot: Option<Plot>| {
            // Files are named after plots: the second of a name gets a number.
            if let Some(mut plot) = plot {
                let same = plots.iter().filter(|p| p.title == plot.title).count();
                if plots.iter().any(|p| p.name == plot.name) {
                    plot.name = format!("{}-{}", plot.name, plots.len()).into();
                }
                if same == 0 {
                    plots.push(plot);
                }
            }
        };
        for request in &self.requests {
            add(self.draw(request)?);
        }
        if self.automatic {
            for plot in front::draw(self)? {
                add(Some(plot));
            }
            for request in self.choice() {
                add(self.draw(&request)?);
            }
            add(relative::draw(self)?);
            add(parallel::draw(self));
        }
        Ok(plots)
    }

    /// `None` if a name means nothing here.
    fn draw(&self, request: &PlotRequest) -> Result<Option<Plot>, ReportError> {
        match request.kind {
            PlotKind::Line | PlotKind::Scatter => lines::draw(self, request),
            PlotKind::Heat => heat::draw(self, request),
        }
    }

    /// Writes `report.html` into `folder` and each plot as `plots/NAME.svg`; returns the plots.
    ///
    /// # Errors
    /// What [`plots`](Self::plots) returns, and [`ReportError::Write`].
    pub fn write(&self, folder: &Path) -> Result<(PathBuf, Vec<Plot>), ReportError> {
        let plots = self.plots()?;
        let page = OutputDir::create(folder)?.write_file("report.html", self.html(&plots))?;
        OutputDir::create(&folder.join("plots"))?.write_all(Vec::new(), plots.clone())?;
        Ok((page, plots))
    }
}
