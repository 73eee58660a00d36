//! `[report]` and `[[plot]]`: plots that an experiment asks for.

use super::reader::{Entry, Reader, entries};
use farad_hw::diagnostic::Place;
use farad_report::metric::METRICS;
use farad_report::sweep::{PLOT_KINDS, PlotKind, PlotRequest, RELATIVE};
use toml::de::DeValue;

/// What a column is used for, and where its name stands.
pub(super) struct Named {
    name: String,
    at: Place,
    /// Texts have no place on a vertical axis, and no colour.
    must_be_number: bool,
}

/// A plot whose names were not yet looked up.
pub(super) struct Asked {
    request: PlotRequest,
    names: Vec<Named>,
}

impl Reader {
    /// `[report]`: whether the plots that follow from the axes are made.
    pub(super) fn report(&mut self, entry: &Entry<'_>) -> bool {
        let mut automatic = true;
        for entry in self.table(entry) {
            match (entry.key.as_str(), &entry.value) {
                ("automatic", DeValue::Boolean(flag)) => automatic = *flag,
                ("automatic", _) => self.refuse(
                    "S0102",
                    "`automatic` must be true or false".to_owned(),
                    &entry.at,
                    "expected true or false",
                ),
                _ => self.unknown(&entry.key, "key of [report]", &entry.key_at, ["automatic"].into_iter()),
            }
        }
        automatic
    }

    /// `[[plot]]`
    pub(super) fn plots(&mut self, entry: &Entry<'_>) -> Vec<Asked> {
        let DeValue::Array(tables) = &entry.value else {
            let message = "`plot` must be an array of tables".to_owned();
            self.refuse("S0102", message, &entry.at, "write [[plot]]");
            return Vec::new();
        };
        let tables = tables.iter();
        tables
            .filter_map(|table| match table.get_ref() {
                DeValue::Table(inner) => self.plot(entries(inner.clone()), &Place::new(0, table.span())),
                _ => None,
            })
            .collect()
    }

    fn plot(&mut self, entries: Vec<Entry<'_>>, table: &Place) -> Option<Asked> {
        let before = self.list.len();
        let mut kind = PlotKind::Line;
        let (mut x, mut y, mut lines, mut color, mut facet) = (None, None, None, None, Vec::new());
        let mut names = Vec::new();
        for entry in entries {
            match entry.key.as_str() {
                "kind" => {
                    if let Some(name) = self.text(&entry) {
                        match PLOT_KINDS.iter().find(|(n, _)| *n == name) {
                            Some((_, found)) => kind = *found,
                            None => self.unknown(&name, "kind", &entry.at, PLOT_KINDS.iter().map(|(n, _)| *n)),
                        }
                    }
                }
                "x" | "y" | "lines" | "color" => {
                    let Some(name) = self.text(&entry) else { continue };
                    names.push((entry.key.clone(), name.clone(), entry.at.clone()));
                    match entry.key.as_str() {
                        "x" => x = Some(name),
                        "y" => y = Some(name),
                        "lines" => lines = Some(name),
                        _ => color = Some(name),
                    }
                }
                "facet" => {
                    let found = match &entry.value {
                        DeValue::String(name) => vec![(name.to_string(), entry.at.clone())],
                        _ => self.texts(&entry),
                    };
                    for (name, at) in found {
                        names.push((entry.key.clone(), name.clone(), at));
                        facet.push(name);
                    }
                }
                _ => {
                    let known = ["kind", "x", "y", "lines", "facet", "color"];
                    self.unknown(&entry.key, "key of [[plot]]", &entry.key_at, known.into_iter());
                }
            }
        }
        if self.list.len() > before {
            return None;
        }
        let is_heat = kind == PlotKind::Heat;
        let problem = match (&x, &y, &color, &lines) {
            (None, ..) => Some("it has no `x`"),
            (_, None, ..) => Some("it has no `y`"),
            (_, _, None, _) if is_heat => Some("a heat map has a `color`, the metric of its cells"),
            (_, _, Some(_), _) if !is_heat => Some("only a heat map has a `color`; `lines` tells lines and dots apart"),
            (_, _, _, Some(_)) if is_heat => Some("a heat map has no `lines`; `facet` makes a panel for each value"),
            _ => None,
        };
        if let Some(problem) = problem {
            self.refuse("S0111", "a plot cannot be made".to_owned(), table, problem);
            return None;
        }
        let must_be_number = |key: &str| key == "color" || (key == "y" && !is_heat);
        Some(Asked {
            request: PlotRequest {
                kind,
                x: x?,
                y: y?,
                lines,
                facet,
                color,
            },
            names: names
                .into_iter()
                .map(|(key, name, at)| Named {
                    name,
                    at,
                    must_be_number: must_be_number(&key),
                })
                .collect(),
        })
    }
}

impl super::Experiment {
    /// Takes the plots over whose columns there are.
    pub(super) fn ask(&mut self, asked: Vec<Asked>, reader: &mut Reader) {
        for Asked { request, names } in asked {
            let before = reader.list.len();
            for named in names {
                let axis = self.axes().find(|axis| axis.parameter.name() == named.name);
                let numbers = METRICS.iter().map(|m| m.name).chain(RELATIVE.iter().map(|r| r.0));
                match axis {
                    Some(axis) if named.must_be_number && axis.values.iter().any(|v| v.number().is_none()) => {
                        let message = format!("`{}` is not a number everywhere", named.name);
                        reader.refuse("S0111", message, &named.at, "expected a metric, or an axis of numbers");
                    }
                    Some(_) => {}
                    None if numbers.clone().any(|name| name == named.name) => {}
                    None => {
                        let axes = self.axes().map(|axis| axis.parameter.name());
                        reader.unknown(&named.name, "axis or metric", &named.at, axes.chain(numbers));
                    }
                }
            }
            if reader.list.len() == before {
                self.plots.push(request);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Experiment;

    fn parse(plot: &str) -> Result<Experiment, String> {
        let text = format!("[axes]\nadc.bits = [6, 7]\nadc.range = ['full', 'clip']\n{plot}");
        Experiment::parse("e.toml", &text, "".as_ref()).map_err(|d| d.to_string())
    }

    #[test]
    fn plots_are_read() {
        let experiment = parse(
            "[report]\nautomatic = false\n[[plot]]\nx = 'adc.bits'\ny = 'top1_lost'\nlines = 'adc.range'\n\
             [[plot]]\nkind = 'heat'\nx = 'adc.bits'\ny = 'adc.range'\ncolor = 'bops_saved'\nfacet = 'network'\n",
        );
        // `network` is no axis here.
        assert!(experiment.unwrap_err().contains("unknown axis or metric `network`"));
        let experiment =
            parse("[report]\nautomatic = false\n[[plot]]\nx = 'adc.bits'\ny = 'top1_lost'\nfacet = ['adc.range']\n")
                .unwrap();
        assert!(!experiment.automatic_plots);
        assert_eq!(experiment.plots.len(), 1);
        assert_eq!(experiment.plots[0].facet, ["adc.range"]);
        assert!(parse("").unwrap().automatic_plots);
    }

    #[test]
    fn wrong_plots_are_refused_with_their_place() {
        for (plot, message) in [
            ("[[plot]]\ny = 'top1'\n", "it has no `x`"),
            ("[[plot]]\nx = 'adc.bits'\n", "it has no `y`"),
            ("[[plot]]\nx = 'adc.bist'\ny = 'top1'\n", "did you mean `adc.bits`?"),
            (
                "[[plot]]\nx = 'adc.bits'\ny = 'top1'\ncolour = 'top5'\n",
                "did you mean `color`?",
            ),
            (
                "[[plot]]\nx = 'adc.bits'\ny = 'adc.range'\n",
                "is not a number everywhere",
            ),
            (
                "[[plot]]\nkind = 'heat'\nx = 'adc.bits'\ny = 'adc.range'\n",
                "has a `color`",
            ),
            (
                "[[plot]]\nkind = 'pie'\nx = 'adc.bits'\ny = 'top1'\n",
                "unknown kind `pie`",
            ),
            (
                "[[plot]]\nx = 'adc.bits'\ny = 'top1'\ncolor = 'top5'\n",
                "only a heat map",
            ),
            ("[plot]\nx = 'adc.bits'\n", "write [[plot]]"),
            ("[report]\nautomatic = 1\n", "expected true or false"),
            ("[report]\nauto = true\n", "unknown key of [report]"),
        ] {
            let error = parse(plot).unwrap_err();
            assert!(error.contains(message), "{plot}\n{error}");
        }
    }
}
