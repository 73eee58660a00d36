//! What a sweep found, as a table.

use crate::plan::Plan;
use crate::store::{Store, StoreError};
use crate::value::Value;
use farad_report::metric::{METRICS, Metric};
use serde_json::{Map, json};

/// Points that have a result, one row each.
#[derive(Debug, Clone)]
pub struct Results {
    /// Names of the axes.
    pub axes: Vec<String>,
    /// Rows in the order of the points.
    pub rows: Vec<ResultRow>,
}

/// One point with its result.
#[derive(Debug, Clone)]
pub struct ResultRow {
    /// Number of the point.
    pub index: usize,
    /// Its key in the store.
    pub key: String,
    /// Value on each axis.
    pub values: Vec<Value>,
    /// Every number of [`METRICS`], in their order.
    pub metrics: Vec<f64>,
    /// Top-1 of each chip.
    pub chips: Vec<f64>,
    /// Images of each chip.
    pub images: u64,
}

impl ResultRow {
    /// One of its numbers.
    #[must_use]
    pub fn metric(&self, metric: &Metric) -> f64 {
        let at = METRICS.iter().position(|m| m == metric);
        at.map_or(f64::NAN, |i| self.metrics[i])
    }
}

impl Plan {
    /// All results that the store has for this plan.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn results(&self, store: &Store) -> Result<Results, StoreError> {
        let mut rows = Vec::new();
        for point in &self.points {
            if let Some(report) = self.stored_report(store, point)? {
                rows.push(ResultRow {
                    index: point.index,
                    key: point.key.clone(),
                    values: self.values(point).into_iter().cloned().collect(),
                    metrics: METRICS.iter().map(|metric| (metric.of)(&report)).collect(),
                    chips: report.accuracy.chips.iter().map(|chip| chip.top1).collect(),
                    images: report.dataset.images,
                });
            }
        }
        let axes = self.experiment.axes().map(|axis| axis.parameter.name().to_owned());
        Ok(Results {
            axes: axes.collect(),
            rows,
        })
    }
}

impl Results {
    /// CSV: a column for the number, each axis, each metric.
    ///
    /// # Errors
    /// None but a lack of memory.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let metrics = METRICS.iter().map(|m| m.name);
        let axes = self.axes.iter().map(String::as_str);
        writer.write_record(["point"].into_iter().chain(axes).chain(metrics))?;
        for row in &self.rows {
            let values = row.values.iter().map(ToString::to_string);
            let metrics = row.metrics.iter().map(ToString::to_string);
            writer.write_record([row.index.to_string()].into_iter().chain(values).chain(metrics))?;
        }
        writer.into_inner().map_err(|e| e.into_error().into())
    }

    /// JSON: an array of objects, `axes` by name beside the metrics by name and `chips`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let row = |row: &ResultRow| {
            let axes: Map<_, _> = self
                .axes
                .iter()
                .zip(&row.values)
                .map(|(name, value)| (name.clone(), json_value(value)))
                .collect();
            let metrics = METRICS.iter().zip(&row.metrics);
            let mut object: Map<_, _> = metrics.map(|(m, x)| (m.name.to_owned(), json!(x))).collect();
            object.insert("point".to_owned(), json!(row.index));
            object.insert("key".to_owned(), json!(row.key));
            object.insert("axes".to_owned(), axes.into());
            object.insert("chips".to_owned(), json!(row.chips));
            object.insert("images".to_owned(), json!(row.images));
            serde_json::Value::Object(object)
        };
        self.rows.iter().map(row).collect()
    }
}

fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Integer(i) => json!(i),
        Value::Real(r) => json!(r),
        Value::Flag(b) => json!(b),
        Value::Text(text) => json!(text),
        Value::List(numbers) => json!(numbers),
    }
}
