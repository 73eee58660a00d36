//! What pruned networks are worth, side by side: the table, `comparison.csv` and `comparison.html`.

use crate::error::ReportError;
use crate::output::OutputDir;
use crate::text::{Align, Look, TextTable};
use crate::units::{digits, prefix};
use farad_sim::statistics::{mean, sample_std};
use std::path::PathBuf;

/// Networks that were trained alike but for what is compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub title: String,
    /// In which setting: the dataset, the macro, its chips.
    pub subtitle: String,
    /// In the order of the recipe.
    pub candidates: Vec<Candidate>,
}

/// One of what is compared, over all its seeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidate {
    /// What it is called.
    pub name: String,
    /// Runs that were to be.
    pub runs: usize,
    /// Those that ended.
    pub measured: Vec<Measured>,
}

/// One trained network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Share of the test images that the network gets right before it becomes integers; none if it was not measured.
    pub accuracy_float: Option<f64>,
    /// The same in int8, in exact arithmetic.
    pub accuracy_int8: Option<f64>,
    /// Parameters.
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// MACs x weight bits x input bits, of the exported network.
    pub bops: Option<u64>,
    /// On the macro.
    pub target: Option<OnTarget>,
}

/// What a macro makes of a network.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OnTarget {
    /// Share of the test images, mean over chips.
    pub accuracy: f64,
    /// Tiles.
    pub tiles: u64,
    /// Share of the occupied arrays' cells that hold a weight.
    pub utilization: f64,
    /// Energy of one image, J.
    pub energy_j: f64,
}

/// A column of the table.
pub(crate) struct Column {
    /// Its name in the CSV, where values are in the unit of [`Measured`].
    key: &'static str,
    name: &'static str,
    /// What `scale` leads to.
    unit: String,
    pub(crate) scale: f64,
    /// Digits after the point; three significant ones if none.
    decimals: Option<usize>,
    of: fn(&Measured) -> Option<f64>,
}

/// Mean over the seeds, and their standard deviation; 0 for one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) std: f64,
}

impl Candidate {
    /// Over the runs that have the column.
    pub(crate) fn spread(&self, column: &Column) -> Option<Spread> {
        let mut values: Vec<f64> = self.measured.iter().filter_map(column.of).collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then(|| Spread {
            mean: mean(&values),
            std: sample_std(&values),
        })
    }

    /// How many runs there are, as text.
    fn runs_text(&self) -> String {
        if self.measured.len() == self.runs {
            self.runs.to_string()
        } else {
            format!("{} of {}", self.measured.len(), self.runs)
        }
    }
}

impl Column {
    /// Its title in the table.
    fn title(&self) -> String {
        format!("{} {}", self.name, self.unit).trim_end().to_owned()
    }

    /// Its name on an axis.
    pub(crate) fn axis(&self) -> String {
        match self.unit.as_str() {
            "" => format!("{} per image", self.name),
            unit => format!("{} per image ({unit})", self.name),
        }
    }

    /// `91.20 ± 0.13`, in the unit of the title.
    fn text(&self, candidate: &Candidate) -> String {
        let Some(Spread { mean, std }) = candidate.spread(self) else {
            return "-".into();
        };
        // As many digits after the point for the deviation as for the mean.
        let decimals = self.decimals.unwrap_or_else(|| {
            let text = digits(self.scale * mean);
            text.split_once('.').map_or(0, |(_, fraction)| fraction.len())
        });
        let number = |value: f64| format!("{:.decimals$}", self.scale * value);
        if candidate.measured.len() > 1 {
            format!("{} ± {}", number(mean), number(std))
        } else {
            number(mean)
        }
    }
}

impl Comparison {
    /// The columns that there are values for.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let percent = |key, name, decimals, of| Column {
            key,
            name,
            unit: "%".to_owned(),
            scale: 100.0,
            decimals: Some(decimals),
            of,
        };
        let quantity = |key, name, unit: &str, of: fn(&Measured) -> Option<f64>| {
            let values = self.candidates.iter().flat_map(|c| &c.measured).filter_map(of);
            let (factor, prefix) = prefix(values.fold(0.0, f64::max));
            Column {
                key,
                name,
                unit: format!("{prefix}{unit}"),
                scale: 1.0 / factor,
                decimals: None,
                of,
            }
        };
        let tiles = Column {
            key: "tiles",
            name: "tiles",
            unit: String::new(),
            scale: 1.0,
            decimals: Some(0),
            of: |m| Some(m.target?.tiles as f64),
        };
        let mut columns = vec![
            percent("accuracy_float", "float", 2, |m| m.accuracy_float),
            percent("accuracy_int8", "int8", 2, |m| m.accuracy_int8),
            percent("accuracy_macro", "on the macro", 2, |m| Some(m.target?.accuracy)),
            quantity("params", "params", "", |m| Some(m.params as f64)),
            quantity("macs", "MACs", "", |m| Some(m.macs as f64)),
            quantity("bops", "BOPs", "", |m| m.bops.map(|b| b as f64)),
            tiles,
            percent("utilization", "used", 1, |m| Some(m.target?.utilization)),
            quantity("energy_j", "energy", "J", |m| Some(m.target?.energy_j)),
        ];
        columns.retain(|column| self.candidates.iter().any(|c| c.spread(column).is_some()));
        columns
    }

    /// The column of this name, if there are values for it.
    pub(crate) fn column(&self, key: &str) -> Option<Column> {
        self.columns().into_iter().find(|column| column.key == key)
    }

    /// A row for each candidate.
    pub(crate) fn table(&self) -> TextTable {
        let columns = self.columns();
        let titles = columns.iter().map(|m| (m.title(), Align::Right));
        let mut table = TextTable::new(
            [(String::new(), Align::Left), ("runs".to_owned(), Align::Right)]
                .into_iter()
                .chain(titles),
        );
        for candidate in &self.candidates {
            let start = [candidate.name.clone(), candidate.runs_text()].into_iter();
            table.row(start.chain(columns.iter().map(|m| m.text(candidate))));
        }
        table
    }

    /// The table for a terminal, with a newline at the end.
    #[must_use]
    pub fn text(&self, look: Look) -> String {
        self.table().render(look) + "\n"
    }

    /// `comparison.csv`: a line for each candidate, with mean and standard deviation of each metric.
    ///
    /// # Errors
    /// Never for a comparison built by Farad: `csv` fails only when writing fails.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let columns = self.columns();
        let mut out = csv::Writer::from_writer(Vec::new());
        let mut header = vec!["name".to_owned(), "runs".to_owned(), "measured".to_owned()];
        header.extend(
            columns
                .iter()
                .flat_map(|m| [format!("{}_mean", m.key), format!("{}_std", m.key)]),
        );
        out.write_record(&header)?;
        for candidate in &self.candidates {
            let mut row = vec![
                candidate.name.clone(),
                candidate.runs.to_string(),
                candidate.measured.len().to_string(),
            ];
            row.extend(columns.iter().flat_map(|column| match candidate.spread(column) {
                Some(spread) => [spread.mean.to_string(), spread.std.to_string()],
                None => [String::new(), String::new()],
            }));
            out.write_record(&row)?;
        }
        out.into_inner().map_err(|e| e.into_error().into())
    }

    /// Writes `comparison.csv`, `comparison.html` and each plot as `NAME.svg`; returns their paths.
    ///
    /// # Errors
    /// What [`Comparison::plots`] and [`Comparison::csv`] return, and [`ReportError::Write`].
    pub fn write(&self, out: &OutputDir) -> Result<Vec<PathBuf>, ReportError> {
        let plots = self.plots()?;
        let files = vec![
            ("comparison.csv".to_owned(), self.csv()?),
            ("comparison.html".to_owned(), self.html(&plots).into_bytes()),
        ];
        out.write_all(files, plots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison() -> Comparison {
        let measured = |accuracy: f64, energy_j: f64| Measured {
            accuracy_float: Some(accuracy),
            params: 135_000,
            macs: 20_500_000,
            target: Some(OnTarget {
                accuracy: accuracy - 0.01,
                tiles: 40,
                utilization: 0.5,
                energy_j,
            }),
            ..Measured::default()
        };
        Comparison {
            title: "criterion".into(),
            subtitle: "resnet-20 on cifar-10".into(),
            candidates: vec![
                Candidate {
                    name: "l1-norm".into(),
                    runs: 2,
                    measured: vec![measured(0.89, 4e-6), measured(0.91, 6e-6)],
                },
                Candidate {
                    name: "fpgm".into(),
                    runs: 2,
                    measured: Vec::new(),
                },
            ],
        }
    }

    #[test]
    fn means_and_deviations_over_seeds() {
        // The sample deviation of two values is their distance over the square root of 2.
        let expected =
            "         runs       float %  on the macro %        params k        MACs M   tiles      used %    energy µJ
l1-norm       2  90.00 ± 1.41    89.00 ± 1.41  135 ± 0  20.5 ± 0.0  40 ± 0  50.0 ± 0.0  5.00 ± 1.41
fpgm     0 of 2             -               -        -         -       -           -            -
";
        let squeeze = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        assert_eq!(squeeze(&comparison().text(Look::Plain)), squeeze(expected));
    }

    #[test]
    fn csv_has_only_what_was_measured() {
        let bytes = comparison().csv().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("name,runs,measured,accuracy_float_mean,accuracy_float_std,accuracy_macro_mean"));
        assert!(!lines[0].contains("bops") && !lines[0].contains("int8"));
        assert!(lines[1].starts_with("l1-norm,2,2,0.9,"));
        assert_eq!(lines[2], format!("fpgm,2,0{}", ",".repeat(14)));
    }

    #[test]
    fn the_plots_name_what_was_measured() {
        let plots = comparison().plots().unwrap();
        assert_eq!(
            plots.iter().map(|p| p.name.as_ref()).collect::<Vec<_>>(),
            ["accuracy-energy", "accuracy-macs"]
        );
        for plot in plots {
            assert!(plot.svg.contains("l1-norm") && !plot.svg.contains("fpgm") && !plot.svg.contains("NaN"));
        }
        assert!(Comparison::default().plots().unwrap().is_empty());
    }
}
