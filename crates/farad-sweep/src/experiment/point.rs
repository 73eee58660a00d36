//! From a row of each group to what a run is given.

use super::Experiment;
use crate::settings::Settings;
use crate::value::{Parameter, Value};
use farad_hw::diagnostic::Place;

/// A value that its parameter cannot take.
pub(crate) struct Unfit {
    pub(crate) parameter: Parameter,
    pub(crate) expected: &'static str,
    pub(crate) at: Place,
}

impl Experiment {
    /// Base and axes at these rows, with the place of each value; an axis hides the base.
    pub(crate) fn given<'a>(&'a self, rows: &'a [u32]) -> impl Iterator<Item = (&'a Parameter, &'a Value, &'a Place)> {
        let base = self
            .base
            .iter()
            .map(|given| (&given.parameter, &given.value, &given.at));
        let axes = self.groups.iter().zip(rows).flat_map(|(group, &row)| {
            group
                .iter()
                .map(move |axis| (&axis.parameter, &axis.values[row as usize], &axis.places[row as usize]))
        });
        base.chain(axes)
    }

    pub(crate) fn settings(&self, rows: &[u32]) -> Result<Settings, Unfit> {
        let mut settings = Settings::default();
        for (parameter, value, at) in self.given(rows) {
            settings.apply(parameter, value).map_err(|expected| Unfit {
                parameter: parameter.clone(),
                expected,
                at: at.clone(),
            })?;
        }
        Ok(settings)
    }

    /// The value at each axis.
    pub(crate) fn values(&self, rows: &[u32]) -> Vec<&Value> {
        let groups = self.groups.iter().zip(rows);
        groups
            .flat_map(|(group, &row)| group.iter().map(move |axis| &axis.values[row as usize]))
            .collect()
    }

    /// The value of a parameter by name, if the experiment sets it.
    pub(crate) fn lookup(&self, rows: &[u32], name: &str) -> Option<Value> {
        let given = self.given(rows).filter(|(parameter, _, _)| parameter.name() == name);
        given.last().map(|(_, value, _)| value.clone())
    }

    /// Where a parameter's value comes from.
    pub(crate) fn origin(&self, rows: &[u32], name: &str) -> Option<Place> {
        let given = self.given(rows).filter(|(parameter, _, _)| parameter.name() == name);
        given.last().map(|(_, _, at)| at.clone())
    }

    /// A point in words: its value on each axis.
    pub(crate) fn title(&self, rows: &[u32]) -> String {
        let axes = self.axes().zip(self.values(rows));
        let words: Vec<String> = axes
            .map(|(axis, value)| format!("{}={value}", axis.parameter.name()))
            .collect();
        words.join(" ")
    }

    /// All rows that the constraints allow, the last group varying fastest.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Vec<u32>> {
        let sizes: Vec<u32> = self.groups.iter().map(|group| group[0].values.len() as u32).collect();
        let mut next = Some(vec![0; sizes.len()]);
        let all = std::iter::from_fn(move || {
            let rows = next.take()?;
            let mut following = rows.clone();
            for (row, size) in following.iter_mut().zip(&sizes).rev() {
                *row += 1;
                if *row < *size {
                    next = Some(following);
                    break;
                }
                *row = 0;
            }
            Some(rows)
        });
        all.filter(|rows| {
            self.constraints
                .iter()
                .all(|c| c.holds(&|name| self.lookup(rows, name)))
        })
    }
}
