//! An experiment's text as axes, conditions and metrics; places are kept, so that every later complaint can point.

mod axis;
mod plots;
mod point;
mod reader;
mod solve;

use crate::expression::Condition;
use crate::inputs::InputError;
use crate::plan::{Plan, Selection};
use crate::value::{Parameter, Value};
use farad_hw::diagnostic::{Diagnostic, Diagnostics, Place, Source};
use farad_report::metric::{METRICS, Metric, metric_named};
use farad_report::sweep::PlotRequest;
use reader::{Entry, Problem, Reader};
pub use solve::Solve;
pub(crate) use solve::bounds;
use std::path::{Path, PathBuf};

/// A parameter that one base value is given to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Given {
    pub(crate) parameter: Parameter,
    pub(crate) value: Value,
    pub(crate) at: Place,
}

/// A parameter and the values it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is varied.
    pub parameter: Parameter,
    /// To what, at least one.
    pub values: Vec<Value>,
    /// Where the name is.
    pub(crate) key: Place,
    /// Where each value comes from.
    pub(crate) places: Vec<Place>,
}

/// Axes that vary together: all have as many values, and the first value of one goes with the first of the others.
pub type Group = Vec<Axis>;

/// What to vary, and what to look at.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// Name of results and reports.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Files are seen from here.
    pub folder: PathBuf,
    /// Every combination of one row of each group is a point.
    pub groups: Vec<Group>,
    /// Points where one of these does not hold are left out.
    pub constraints: Vec<Condition>,
    /// What tables show.
    pub metrics: Vec<&'static Metric>,
    /// What is to be high (`true`) or low.
    pub objectives: Vec<(&'static Metric, bool)>,
    /// Plots that are asked for.
    pub plots: Vec<PlotRequest>,
    /// Whether the plots that follow from the axes are made.
    pub automatic_plots: bool,
    /// A border to find on the last axis, instead of all points.
    pub solve: Option<Solve>,
    pub(crate) base: Vec<Given>,
    pub(crate) source: Source,
}

/// Columns of a table when the experiment does not say.
const DEFAULT_METRICS: [&str; 5] = ["top1", "energy_j", "latency_s", "area_mm2", "utilization"];

impl Experiment {
    /// Reads an experiment; what it names is looked at only if the text is wrong, so that all problems come at once.
    ///
    /// # Errors
    /// [`InputError::ReadExperiment`] if there is no such file, else all problems of its text at once.
    pub fn load(file: &Path) -> Result<Self, InputError> {
        let text = std::fs::read_to_string(file).map_err(|source| InputError::ReadExperiment {
            file: file.to_owned(),
            source,
        })?;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self::parse(&file.display().to_string(), &text, &folder)?)
    }

    /// Parses an experiment; `file` is what messages call it, and its stem the name of an experiment without one.
    ///
    /// # Errors
    /// All problems of the text.
    ///
    /// ```
    /// use farad_sweep::Experiment;
    /// let text = "[axes]\nadc.bits = { from = 4, to = 8 }\nadc.range = ['full', 'clip']\n";
    /// let experiment = Experiment::parse("adc.toml", text, "".as_ref())?;
    /// assert_eq!(experiment.combinations(), Some(10));
    /// # Ok::<(), farad_hw::diagnostic::Diagnostics>(())
    /// ```
    pub fn parse(file: &str, text: &str, folder: &Path) -> Result<Self, Diagnostics> {
        let source = Source {
            name: file.to_owned(),
            text: text.to_owned(),
        };
        let mut reader = Reader::default();
        let stem = Path::new(file)
            .file_stem()
            .map_or("experiment".into(), |s| s.to_string_lossy());
        let mut experiment = Self {
            name: stem.into_owned(),
            description: String::new(),
            folder: folder.to_owned(),
            groups: Vec::new(),
            constraints: Vec::new(),
            metrics: DEFAULT_METRICS.iter().filter_map(|name| metric_named(name)).collect(),
            objectives: Vec::new(),
            plots: Vec::new(),
            automatic_plots: true,
            solve: None,
            base: Vec::new(),
            source: source.clone(),
        };
        if let Some(entries) = reader.document(text) {
            experiment.read(entries, &mut reader);
        }
        if reader.list.is_empty() {
            return Ok(experiment);
        }
        Err(experiment.with_point_problems(reader.list))
    }

    /// What is wrong with the text, and with the points of what could be read of it.
    fn with_point_problems(self, mut list: Vec<Diagnostic>) -> Diagnostics {
        let source = self.source.clone();
        let points = match list.iter().any(|d| d.code == "S0001") {
            true => Vec::new(),
            false => match Plan::new(self, &Selection::default()) {
                // No points, or too many, may be so because of what could not be read.
                Err(found) if found.list.iter().all(|d| d.code != "S0107") => vec![*found],
                _ => Vec::new(),
            },
        };
        let mut sources = vec![source];
        for found in points {
            list.extend(found.list);
            sources = found.sources;
        }
        list.sort_by(|a, b| a.labels[0].0.cmp(&b.labels[0].0));
        Diagnostics { sources, list }
    }

    /// Points before constraints; `None` beyond 64 bits.
    #[must_use]
    pub fn combinations(&self) -> Option<u64> {
        self.groups.iter().try_fold(1_u64, |product, group| {
            product.checked_mul(group[0].values.len() as u64)
        })
    }

    /// All axes in the order of the text.
    pub fn axes(&self) -> impl Iterator<Item = &Axis> {
        self.groups.iter().flatten()
    }

    fn read(&mut self, entries: Vec<Entry<'_>>, reader: &mut Reader) {
        const KEYS: [&str; 13] = [
            "name",
            "description",
            "base",
            "axes",
            "zip",
            "sample",
            "solve",
            "constraints",
            "metrics",
            "maximize",
            "minimize",
            "report",
            "plot",
        ];
        let (mut conditions, mut plots, mut border) = (Vec::new(), Vec::new(), None);
        for entry in entries {
            match entry.key.as_str() {
                "name" => self.name = reader.name(&entry).unwrap_or_default(),
                "description" => self.description = reader.text(&entry).unwrap_or_default(),
                "base" => self.base = reader.base(&entry),
                "axes" => self
                    .groups
                    .extend(reader.axes(&entry).into_iter().map(|axis| vec![axis])),
                "zip" => self.groups.extend(reader.zip(&entry)),
                "sample" => self.groups.extend(reader.sample(&entry)),
                "solve" => border = reader.solve(&entry),
                "constraints" => conditions = reader.texts(&entry),
                "metrics" => self.metrics = read_metrics(&entry, reader),
                "maximize" | "minimize" => {
                    let up = entry.key == "maximize";
                    let metrics = read_metrics(&entry, reader);
                    self.objectives.extend(metrics.into_iter().map(|m| (m, up)));
                }
                "report" => self.automatic_plots = reader.report(&entry),
                "plot" => plots = reader.plots(&entry),
                _ => reader.unknown(&entry.key, "key", &entry.key_at, KEYS.into_iter()),
            }
        }
        if let Some((solve, axis)) = border {
            // The points of one search follow each other.
            self.groups.push(vec![axis]);
            self.solve = Some(solve);
        }
        self.check_twice(reader);
        self.ask(plots, reader);
        for (text, at) in conditions {
            if let Some(condition) = self.constraint(&text, &at, reader) {
                self.constraints.push(condition);
            }
        }
    }

    /// A parameter that is varied twice would take the second's value and keep the first's name.
    fn check_twice(&self, reader: &mut Reader) {
        let axes: Vec<&Axis> = self.axes().collect();
        for (i, axis) in axes.iter().enumerate() {
            if let Some(first) = axes[..i].iter().find(|a| a.parameter == axis.parameter) {
                reader.problem(Problem {
                    code: "S0106",
                    message: format!("`{}` is varied twice", axis.parameter.name()),
                    at: &axis.key,
                    label: "here again",
                    help: Some("merge the two axes"),
                    also: Some((&first.key, "first here")),
                });
            }
        }
    }

    fn constraint(&self, text: &str, at: &Place, reader: &mut Reader) -> Option<Condition> {
        let condition = match Condition::parse(text) {
            Ok(condition) => condition,
            Err((_, expected)) => {
                reader.refuse("S0108", format!("`{text}` is not a condition"), at, expected);
                return None;
            }
        };
        match self.unknown_name(&condition) {
            None => Some(condition),
            Some(name) => {
                let message = format!("`{name}` is not set by this experiment");
                reader.refuse("S0108", message, at, "a condition names axes and keys of [base]");
                None
            }
        }
    }

    /// The first name of `condition` that neither an axis nor the base gives a value to.
    #[must_use]
    pub fn unknown_name<'a>(&self, condition: &'a Condition) -> Option<&'a str> {
        let known = |name: &&str| {
            self.axes().any(|axis| axis.parameter.name() == *name)
                || self.base.iter().any(|given| given.parameter.name() == *name)
        };
        condition.names().into_iter().find(|name| !known(name))
    }
}

fn read_metrics(entry: &Entry<'_>, reader: &mut Reader) -> Vec<&'static Metric> {
    let mut metrics = Vec::new();
    for (name, at) in reader.texts(entry) {
        match metric_named(&name) {
            Some(metric) => metrics.push(metric),
            None => reader.unknown(&name, "metric", &at, METRICS.iter().map(|m| m.name)),
        }
    }
    metrics
}
