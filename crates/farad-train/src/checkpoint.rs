//! Everything that a run is, in one file.

use crate::TrainError;
use crate::model::Model;
use crate::ops::{Moments, with_slice};
use crate::optimizer::{Average, Optimizer, Slots};
use crate::qat::{LayerErrors, QatModel};
use crate::recipe::Recipe;
use crate::run::{Quantised, Teacher, preprocess};
use candle_core::{DType, Device, Tensor, Var};
use farad_hw::scale::ChargeStats;
use farad_net::Quantisation;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

/// Where a run is, next to its tensors.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
pub(crate) struct Position {
    /// The recipe, as text: one that differs in what has been done cannot go on from here.
    pub(crate) recipe: String,
    /// The stage that runs.
    pub(crate) stage: usize,
    /// Steps of it that are done.
    pub(crate) step: u64,
    /// Whether what the stage does before its first step is done.
    #[serde(default)]
    pub(crate) begun: bool,
    /// Whether the stage's criterion still trains.
    pub(crate) masked: bool,
    /// Sum of the losses of this epoch's steps.
    pub(crate) loss_sum: f64,
    /// Seconds of training, over all runs.
    pub(crate) seconds: f64,
    /// What has been measured.
    pub(crate) rows: Vec<super::run::Row>,
    pub(crate) widths: Vec<usize>,
    pub(crate) slot_steps: BTreeMap<String, u32>,
    pub(crate) average_updates: u64,
    /// Mean and standard deviation of each channel of the images, where they came with a network and are not the dataset's.
    #[serde(default)]
    pub(crate) statistics: Option<(Vec<f32>, Vec<f32>)>,
}

/// What a checkpoint keeps besides the model.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) position: Position,
    pub(crate) optimizer: Optimizer,
    pub(crate) average: Average,
    pub(crate) quantised: Option<Quantised>,
}

const STATE: &str = "state";

/// Writes `file`, in one move.
pub(crate) fn write(
    file: &Path,
    position: &Position,
    model: &Model,
    optimizer: &Optimizer,
    average: &Average,
    quantised: Option<&Quantised>,
) -> Result<(), TrainError> {
    let error = |problem: String| TrainError::File {
        path: file.to_owned(),
        problem,
    };
    let mut tensors: HashMap<String, Tensor> = HashMap::new();
    let vector = |values: &[f32]| Tensor::from_slice(values, values.len(), &Device::Cpu);
    for (name, parameter) in &model.parameters {
        tensors.insert(
            format!("parameter/{name}"),
            parameter.as_tensor().to_device(&Device::Cpu)?,
        );
    }
    for (i, moments) in &model.running {
        tensors.insert(format!("mean/{i}"), vector(&moments.mean)?);
        tensors.insert(format!("var/{i}"), vector(&moments.var)?);
    }
    for (name, slots) in &optimizer.slots {
        tensors.insert(format!("first/{name}"), vector(&slots.first)?);
        if !slots.second.is_empty() {
            tensors.insert(format!("second/{name}"), vector(&slots.second)?);
        }
    }
    for (name, values) in &average.values {
        tensors.insert(format!("average/{name}"), vector(values)?);
    }
    if let Some(quantised) = quantised {
        for (name, parameter) in quantised.model.parameters() {
            tensors.insert(format!("quantised/{name}"), parameter.as_tensor().clone());
        }
        let ranges = quantised
            .model
            .ranges()
            .iter()
            .flat_map(|q| [q.scale, f32::from(q.zero)]);
        tensors.insert("ranges/of".to_owned(), vector(&ranges.collect::<Vec<_>>())?);
        let (outputs, weights) = (quantised.model.ranges(), quantised.model.weight_bits());
        let bits: Vec<u32> = outputs.iter().map(|q| q.bits).chain(weights.iter().copied()).collect();
        tensors.insert(
            "bits/of".to_owned(),
            Tensor::from_slice(&bits, bits.len(), &Device::Cpu)?,
        );
        for (i, stats) in quantised.charges.iter().enumerate() {
            let stats: Vec<f64> = stats.iter().flat_map(|s| [s.mean, s.sigma, s.limit]).collect();
            tensors.insert(
                format!("charges/{i}"),
                Tensor::from_slice(&stats, stats.len(), &Device::Cpu)?,
            );
        }
        for (i, errors) in quantised.errors.iter().enumerate() {
            tensors.insert(format!("errors/{i}"), vector(&errors.to_vec())?);
        }
        if let Some(file) = &quantised.teacher {
            let file = Tensor::from_slice(&file.bytes, file.bytes.len(), &Device::Cpu)?;
            tensors.insert("teacher/file".to_owned(), file);
        }
    }
    let position = Position {
        widths: model.graph.widths(),
        average_updates: average.updates,
        slot_steps: optimizer.slots.iter().map(|(n, s)| (n.clone(), s.steps)).collect(),
        ..position.clone()
    };
    let json = serde_json::to_vec(&position).map_err(|e| error(e.to_string()))?;
    tensors.insert(STATE.to_owned(), Tensor::from_slice(&json, json.len(), &Device::Cpu)?);
    replace(file, |part| {
        candle_core::safetensors::save(&tensors, part).map_err(|e| e.to_string())
    })
    .map_err(|problem| {
        let before = match file.exists() {
            true => "; the checkpoint before it is intact",
            false => "",
        };
        error(format!("{problem}{before}"))
    })
}

/// Has `write` make `file` under another name, so that at every moment either the old one or the new one is there, also
/// when the machine goes down.
///
/// # Errors
/// If `write` fails, or the file cannot be put in its place; then nothing is left of it.
pub fn replace(file: &Path, write: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let part = file.with_extension("part");
    let sync = || {
        File::open(&part)?.sync_all()?;
        std::fs::rename(&part, file)?;
        // The name lasts only when its folder has been written too.
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    let written = write(&part).and_then(|()| sync().map_err(|e: std::io::Error| e.to_string()));
    written.inspect_err(|_| {
        // What went wrong before is what to tell.
        let _ = std::fs::remove_file(&part);
    })
}

/// Reads `file` into a model that was newly made for the recipe's network. `statistics` are those of the dataset's images.
pub(crate) fn read(file: &Path, model: &mut Model, statistics: &(Vec<f32>, Vec<f32>)) -> Result<Kept, TrainError> {
    let error = |problem: String| TrainError::File {
        path: file.to_owned(),
        problem,
    };
    let foreign = |problem: String| error(format!("no checkpoint of Farad, or damaged: {problem}"));
    let tensors = candle_core::safetensors::load(file, &Device::Cpu).map_err(|e| foreign(e.to_string()))?;
    let Some(state) = tensors.get(STATE).filter(|t| t.dtype() == DType::U8) else {
        return Err(foreign("it has no state".to_owned()));
    };
    let json: Vec<u8> = state.to_vec1()?;
    let position: Position = serde_json::from_slice(&json).map_err(|e| foreign(format!("its state: {e}")))?;
    if position.widths.len() != model.graph.groups.len() {
        return Err(error(of_another_network(&position, &model.graph.name)));
    }
    for (group, &width) in model.graph.groups.iter_mut().zip(&position.widths) {
        group.channels = width;
    }
    model.parameters.clear();
    let mut optimizer = Optimizer::default();
    let mut average = Average {
        updates: position.average_updates,
        ..Average::default()
    };
    let (mut integers, mut ranges) = (BTreeMap::new(), Vec::<Quantisation>::new());
    let mut bits = Vec::new();
    let (mut charges, mut errors, mut teacher) = (BTreeMap::new(), BTreeMap::new(), None);
    for (key, tensor) in &tensors {
        let Some((kind, name)) = key.split_once('/') else {
            continue;
        };
        let values = || with_slice(tensor, <[f32]>::to_vec);
        let layer = || name.parse::<usize>().map_err(|_| error(format!("{key} is no layer")));
        match kind {
            "parameter" => {
                let tensor = tensor.to_device(model.device())?;
                model.insert(name.to_owned(), &tensor)?;
            }
            "mean" | "var" => {
                let node: usize = name.parse().map_err(|_| error(format!("{key} is no node")))?;
                let moments = model.running.entry(node).or_insert_with(|| Moments {
                    mean: Vec::new(),
                    var: Vec::new(),
                });
                let slot = if kind == "mean" {
                    &mut moments.mean
                } else {
                    &mut moments.var
                };
                *slot = values()?;
            }
            "first" | "second" => {
                let slots = optimizer.slots.entry(name.to_owned()).or_insert_with(Slots::default);
                slots.steps = position.slot_steps.get(name).copied().unwrap_or(0);
                let slot = if kind == "first" {
                    &mut slots.first
                } else {
                    &mut slots.second
                };
                *slot = values()?;
            }
            "average" => {
                average.values.insert(name.to_owned(), values()?);
            }
            "quantised" => {
                integers.insert(name.to_owned(), Var::from_tensor(tensor)?);
            }
            "ranges" => {
                ranges = values()?
                    .chunks_exact(2)
                    .map(|q| Quantisation {
                        scale: q[0],
                        zero: q[1] as u8,
                        bits: 8,
                    })
                    .collect();
            }
            "bits" => bits = tensor.to_vec1::<u32>()?,
            "errors" => {
                let of_layer = LayerErrors::from_slice(&values()?);
                let of_layer = of_layer.ok_or_else(|| error(format!("{key} is not whole")))?;
                errors.insert(layer()?, of_layer);
            }
            "teacher" => teacher = Some(Teacher::new(&model.graph.name, tensor.to_vec1()?)?),
            "charges" => {
                let numbers = tensor.to_vec1::<f64>()?;
                let of = |&[mean, sigma, limit]: &[f64; 3]| ChargeStats { mean, sigma, limit };
                let stats: Vec<ChargeStats> = numbers.as_chunks().0.iter().map(of).collect();
                charges.insert(layer()?, stats);
            }
            _ => return Err(error(format!("unknown entry {key}"))),
        }
    }
    let weight_bits = bits.split_off(ranges.len().min(bits.len()));
    if bits.len() != ranges.len() || weight_bits.len() != ranges.len() {
        return Err(error("it lacks the bits of its tensors".to_owned()));
    }
    for (range, bits) in ranges.iter_mut().zip(bits) {
        range.bits = bits;
    }
    if let Some(name) = model.misfit() {
        let another = of_another_network(&position, &model.graph.name);
        return Err(error(format!("{another}: `{name}` is missing or has another shape")));
    }
    let quantised = (!ranges.is_empty()).then(|| Quantised {
        model: QatModel::restore(
            model.graph.clone(),
            integers,
            ranges,
            weight_bits,
            preprocess(position.statistics.as_ref().unwrap_or(statistics)),
        ),
        charges: charges.into_values().collect(),
        errors: errors.into_values().collect(),
        teacher,
    });
    Ok(Kept {
        position,
        optimizer,
        average,
        quantised,
    })
}

/// What a checkpoint is that does not fit `network`.
fn of_another_network(position: &Position, network: &str) -> String {
    match serde_json::from_str::<Recipe>(&position.recipe) {
        Ok(recipe) if recipe.network != network => {
            format!("a checkpoint of the network `{}`, not of `{network}`", recipe.network)
        }
        _ => format!("a checkpoint of another network than `{network}`"),
    }
}
