//! What a run begins with.

use super::Quantised;
use crate::checkpoint::{self, Kept, Position};
use crate::optimizer::Average;
use crate::qat::from_file;
use crate::recipe::Recipe;
use crate::{Model, TrainError};
use candle_core::{Device, Tensor, Var};
use farad_data::Dataset;
use farad_net::Preprocess;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// File beside a checkpoint, with what it was before the last stage that trains.
const BEFORE: &str = "stage.safetensors";

/// The parameters that train: those of the int8 network, once there is one.
pub(super) fn trained<'a>(model: &'a Model, quantised: Option<&'a Quantised>) -> &'a BTreeMap<String, Var> {
    quantised.map_or(&model.parameters, |quantised| quantised.model.parameters())
}

/// Gives parameters their averages.
pub(super) fn adopt(parameters: &BTreeMap<String, Var>, average: &Average) -> Result<(), TrainError> {
    for (name, parameter) in parameters {
        if let Some(values) = average.values.get(name) {
            parameter.set(&Tensor::from_slice(values, parameter.dims(), parameter.device())?)?;
        }
    }
    Ok(())
}

/// What begins with the network of another run's checkpoint, which `model` becomes. `statistics` are those of the images.
pub(super) fn from_checkpoint(
    file: &Path,
    model: &mut Model,
    statistics: &(Vec<f32>, Vec<f32>),
) -> Result<Kept, TrainError> {
    let kept = checkpoint::read(file, model, statistics)?;
    let problem = match (&kept.quantised, kept.position.masked) {
        (Some(_), _) => "its network is int8 already: start from the `network.onnx` that its `export` stage wrote",
        (None, true) => "it was left in the middle of a stage with masks: let that stage end first",
        (None, false) => {
            adopt(&model.parameters, &kept.average)?;
            return Ok(Kept::default());
        }
    };
    Err(TrainError::File {
        path: file.to_owned(),
        problem: problem.to_owned(),
    })
}

/// What begins with an int8 network; `model` gets its widths.
pub(super) fn from_network(file: &Path, model: &mut Model, seed: u64) -> Result<Kept, TrainError> {
    let error = |problem: String| TrainError::File {
        path: file.to_owned(),
        problem,
    };
    let bytes = fs::read(file).map_err(|e| error(e.to_string()))?;
    let quantised = from_file(model.graph.clone(), &bytes).map_err(error)?;
    *model = Model::new(quantised.graph().clone(), seed, &Device::Cpu)?;
    let Preprocess { mean, std, .. } = quantised.preprocess().clone();
    Ok(Kept {
        position: Position {
            statistics: Some((mean, std)),
            ..Position::default()
        },
        quantised: Some(quantised.into()),
        ..Kept::default()
    })
}

/// How the images of batches are made of pixels.
pub(crate) fn preprocess((mean, std): &(Vec<f32>, Vec<f32>)) -> Preprocess {
    Preprocess {
        pixel_max: 255.0,
        mean: mean.clone(),
        std: std.clone(),
    }
}

/// Keeps `checkpoint`, that of a stage that begins, under another name, so that the stage can begin anew with other settings.
pub(super) fn keep(checkpoint: &Path) {
    let before = checkpoint.with_file_name(BEFORE);
    // Without it, or on a file system without links, a stage cannot begin anew; that is no reason not to train.
    let _ = fs::remove_file(&before);
    let _ = fs::hard_link(checkpoint, &before);
}

/// The checkpoint from before the stage that `checkpoint` is in.
pub(super) fn kept(checkpoint: &Path) -> Option<PathBuf> {
    Some(checkpoint.with_file_name(BEFORE)).filter(|before| before.exists())
}

/// The first images of `data`.
pub(super) fn first(mut data: Dataset, images: usize) -> Dataset {
    let images = images.min(data.len());
    data.pixels.truncate(images * data.height * data.width * data.channels);
    data.labels.truncate(images);
    data
}

/// That `recipe` can go on from `checkpoint`, whose run is at `position`.
pub(super) fn check_recipe(position: &Position, recipe: &Recipe, checkpoint: &Path) -> Result<(), TrainError> {
    let begun = position.stage + usize::from(position.step > 0 || position.begun);
    let Some(differs) = differences(&position.recipe, recipe, begun) else {
        return Ok(());
    };
    let anew = kept(checkpoint).map_or_else(String::new, |before| {
        format!("; {} is from before the last stage that trained", before.display())
    });
    Err(TrainError::File {
        path: checkpoint.to_owned(),
        problem: format!(
            "the checkpoint of another recipe, which differs in what has been done already ({differs}): give another folder, or \
             remove it{anew}"
        ),
    })
}

/// The keys in which the recipe `before` differs from `now`, as far as the first `stages` stages depend on them; None if in
/// none.
fn differences(before: &str, now: &Recipe, stages: usize) -> Option<String> {
    let Ok(before) = serde_json::from_str::<Recipe>(before) else {
        return Some("its recipe is of another version".to_owned());
    };
    let [before, now] = [before.until(stages), now.until(stages)];
    let values = |recipe: &Recipe| serde_json::to_value(recipe).unwrap_or_default();
    let mut keys = Vec::new();
    compare("", &values(&before), &values(&now), &mut keys);
    (before != now).then(|| keys.join(", "))
}

/// Adds the keys below `at` in which two values differ.
fn compare(at: &str, a: &Value, b: &Value, keys: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(one), Value::Object(other)) => {
            let only_other = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(only_other) {
                let below = match at {
                    "" => key.clone(),
                    at if at.ends_with(' ') => format!("{at}{key}"),
                    at => format!("{at}.{key}"),
                };
                compare(&below, &a[key], &b[key], keys);
            }
        }
        (Value::Array(one), Value::Array(other)) if at == "stage" && one.len() == other.len() => {
            for (i, (a, b)) in one.iter().zip(other).enumerate() {
                compare(&format!("stage {}: ", i + 1), a, b, keys);
            }
        }
        _ if a != b => keys.push(format!("`{at}`")),
        _ => {}
    }
}
