//! Solutions as a table.

use super::{Judged, Solution};
use crate::plan::Plan;

/// CSV: the other axes, then for the last value that keeps the limit and for the first that breaks it the value, its point, the metric, its
/// interval and the images that decided; then how many values were asked, how many all images leave open, the images
/// run, and whether the search is complete.
///
/// # Errors
/// None but a lack of memory.
pub fn solutions_csv(plan: &Plan, solutions: &[Solution]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let axes: Vec<&str> = plan.experiment.axes().map(|axis| axis.parameter.name()).collect();
    let metric = plan.experiment.solve.as_ref().map_or("", |solve| solve.metric.name);
    let columns = |word: &'static str| {
        let names = ["value", "point", metric, "low", "high", "images"];
        names.map(|name| format!("{word}_{name}"))
    };
    let others = axes.iter().rev().skip(1).rev().map(ToString::to_string);
    let ends = ["asked", "open", "images", "complete"].map(str::to_owned);
    writer.write_record(others.chain(columns("kept")).chain(columns("broken")).chain(ends))?;
    for solution in solutions {
        let values = solution.values.iter().map(ToString::to_string);
        let ends = [
            solution.asked.to_string(),
            solution.open.to_string(),
            solution.images.to_string(),
            solution.complete.to_string(),
        ];
        let row = values.chain(fields(solution.kept.as_ref()));
        writer.write_record(row.chain(fields(solution.broken.as_ref())).chain(ends))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

fn fields(judged: Option<&Judged>) -> [String; 6] {
    let Some(judged) = judged else {
        return Default::default();
    };
    [
        judged.value.to_string(),
        judged.index.to_string(),
        judged.mean.to_string(),
        judged.interval.0.to_string(),
        judged.interval.1.to_string(),
        judged.images.to_string(),
    ]
}
