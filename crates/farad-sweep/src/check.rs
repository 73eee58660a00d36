//! Every point of an experiment is looked at before the first one runs.

use crate::calibration::CalibrationText;
use crate::experiment::Experiment;
use crate::inputs::{self, InputError, MacroText};
use crate::key;
use crate::plan::{Plan, Point, Selection};
use crate::profile::ProfileText;
use crate::settings::Settings;
use farad_data::Dataset;
use farad_hw::MacroSpec;
use farad_hw::diagnostic::{Diagnostic, Diagnostics, Place, Source};
use farad_net::Network;
use std::collections::BTreeMap;

/// Loaded once, or found wrong once.
type Cache<K, V> = BTreeMap<K, Option<V>>;

/// What makes a macro: mappings and specs are kept by it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Setting {
    hw: String,
    set: Vec<(String, String)>,
    profile: Option<String>,
}

pub(crate) struct Checker {
    experiment: Experiment,
    /// The experiment, then the macro files that problems point into.
    sources: Vec<Source>,
    /// Each problem once, with the number of points that have it and the first of them.
    problems: Vec<(Diagnostic, usize, Vec<u32>)>,
    networks: Vec<Network>,
    network_ids: Cache<String, usize>,
    datasets: Vec<Dataset>,
    dataset_ids: Cache<String, usize>,
    digests: BTreeMap<(usize, usize), String>,
    macros: Cache<String, MacroText>,
    profiles: Cache<String, ProfileText>,
    calibrations: Cache<String, CalibrationText>,
    specs: Cache<Setting, MacroSpec>,
    mapped: Cache<(usize, Setting), ()>,
}

impl Checker {
    /// Refuses an experiment that is too large to be looked at.
    pub(crate) fn new(experiment: Experiment, most_points: u64) -> Result<Self, Box<Diagnostics>> {
        let checker = Self {
            sources: vec![experiment.source.clone()],
            problems: Vec::new(),
            networks: Vec::new(),
            network_ids: BTreeMap::new(),
            datasets: Vec::new(),
            dataset_ids: BTreeMap::new(),
            digests: BTreeMap::new(),
            macros: BTreeMap::new(),
            profiles: BTreeMap::new(),
            calibrations: BTreeMap::new(),
            specs: BTreeMap::new(),
            mapped: BTreeMap::new(),
            experiment,
        };
        match checker.experiment.combinations() {
            Some(n) if n <= most_points => Ok(checker),
            _ => {
                let help = "take fewer values, or a [sample] of them";
                let what = format!("the axes have more than {most_points} combinations");
                Err(Box::new(checker.lone_problem("S0107", what, help)))
            }
        }
    }

    fn lone_problem(&self, code: &'static str, message: String, help: &str) -> Diagnostics {
        let at = self
            .experiment
            .axes()
            .next()
            .map_or(Place::new(0, 0..0), |axis| axis.key.clone());
        Diagnostics {
            sources: vec![self.experiment.source.clone()],
            list: vec![Diagnostic {
                code,
                message,
                labels: vec![(at, "the first axis is here".to_owned())],
                help: Some(help.to_owned()),
            }],
        }
    }

    pub(crate) fn plan(mut self, selection: &Selection) -> Result<Plan, Diagnostics> {
        let rows: Vec<Vec<u32>> = self.experiment.rows().collect();
        let all = rows.len();
        if all == 0 {
            let help = "see `constraints`";
            return Err(self.lone_problem("S0107", "no point meets the constraints".to_owned(), help));
        }
        let mut points = Vec::new();
        let mut workloads = Vec::new();
        let mut looked_at = 0;
        for (index, rows) in rows.into_iter().enumerate() {
            let holds = |c: &crate::Condition| c.holds(&|name| self.experiment.lookup(&rows, name));
            let selected = selection.numbers.as_ref().is_none_or(|numbers| numbers.contains(index));
            if !selected || !selection.filters.iter().all(holds) {
                continue;
            }
            looked_at += 1;
            points.extend(self.point(index, rows, &mut workloads));
        }
        if !self.problems.is_empty() {
            return Err(self.diagnostics(looked_at));
        }
        Ok(Plan {
            experiment: self.experiment,
            all,
            points,
            networks: self.networks,
            datasets: self.datasets,
            workloads,
            digests: self.digests.into(),
            macros: found(self.macros),
            profiles: found(self.profiles),
            calibrations: found(self.calibrations),
        })
    }

    /// The point at these rows; `None` after telling what is wrong with it.
    fn point(&mut self, index: usize, rows: Vec<u32>, workloads: &mut Vec<(usize, usize)>) -> Option<Point> {
        let settings = match self.experiment.settings(&rows) {
            Ok(settings) => settings,
            Err(unfit) => {
                let message = format!("`{}` must be {}", unfit.parameter.name(), unfit.expected);
                let label = format!("expected {}", unfit.expected);
                self.tell("S0102", message, vec![(unfit.at, label)], None, &rows);
                return None;
            }
        };
        // All of them are tried, so that a point tells everything that is wrong with it.
        let setting = Setting {
            hw: settings.hw.clone(),
            set: settings.set.clone().into_iter().collect(),
            profile: settings.profile.clone(),
        };
        let spec = self.spec(&setting, &rows);
        let network = self.network(&settings, &rows);
        let dataset = network.and_then(|network| self.dataset(network, &settings, &rows));
        let (network, dataset) = (network?, dataset?);
        let images = match inputs::check_images(&self.networks[network], &self.datasets[dataset], settings.images) {
            Ok(images) => images,
            Err(error) => {
                let parameter = if matches!(error, InputError::Images { .. }) {
                    "images"
                } else {
                    "data"
                };
                self.tell_input(&error, parameter, &rows);
                return None;
            }
        };
        let mut spec = spec?;
        self.map(network, &setting, &spec, &rows)?;
        if let Some(name) = &settings.calibration {
            self.calibrate(name, network, &mut spec, settings.chips, &rows)?;
        }
        let pair = (network, dataset);
        let workload = workloads.iter().position(|w| *w == pair).unwrap_or_else(|| {
            workloads.push(pair);
            workloads.len() - 1
        });
        let data = &self.datasets[dataset];
        let digest = self
            .digests
            .entry((dataset, images))
            .or_insert_with(|| key::images(data, images));
        Some(Point {
            index,
            key: key::point(&self.networks[network], &spec, digest, &settings),
            rows,
            images,
            chips: settings.chips,
            shortened: false,
            workload,
        })
    }

    fn network(&mut self, settings: &Settings, rows: &[u32]) -> Option<usize> {
        let id = format!(
            "{}\n{:?}\n{:?}\n{:?}",
            settings.network, settings.pixel_max, settings.mean, settings.std
        );
        if let Some(known) = self.network_ids.get(&id).copied() {
            if known.is_none() {
                self.count_again("network", rows);
            }
            return known;
        }
        let loaded = match settings.preprocess() {
            Err(message) => {
                let at = ["pixel_max", "mean", "std"]
                    .iter()
                    .find_map(|name| self.experiment.origin(rows, name));
                let label = (at.unwrap_or(Place::new(0, 0..0)), "given here".to_owned());
                self.tell("S0102", message.to_owned(), vec![label], None, rows);
                None
            }
            Ok(preprocess) => {
                let loaded = inputs::network(&settings.network, &self.experiment.folder)
                    .and_then(|mut network| inputs::set_preprocess(&mut network, preprocess).map(|()| network));
                loaded.map_err(|error| self.tell_input(&error, "network", rows)).ok()
            }
        };
        let found = loaded.map(|network| {
            self.networks.push(network);
            self.networks.len() - 1
        });
        self.network_ids.insert(id, found);
        found
    }

    fn dataset(&mut self, network: usize, settings: &Settings, rows: &[u32]) -> Option<usize> {
        let named = settings
            .data
            .clone()
            .or_else(|| self.networks[network].dataset().map(str::to_owned));
        let id = named.unwrap_or_default();
        if let Some(known) = self.dataset_ids.get(&id).copied() {
            if known.is_none() {
                self.count_again("data", rows);
            }
            return known;
        }
        let loaded = inputs::dataset(
            &self.networks[network],
            settings.data.as_deref(),
            &self.experiment.folder,
        );
        let found = match loaded {
            Ok(dataset) => {
                self.datasets.push(dataset);
                Some(self.datasets.len() - 1)
            }
            Err(error) => {
                self.tell_input(&error, "data", rows);
                None
            }
        };
        self.dataset_ids.insert(id, found);
        found
    }

    fn spec(&mut self, setting: &Setting, rows: &[u32]) -> Option<MacroSpec> {
        if let Some(Some(known)) = self.specs.get(setting) {
            return Some(known.clone());
        }
        if !self.macros.contains_key(&setting.hw) {
            let loaded = MacroText::load(&setting.hw, &self.experiment.folder);
            let loaded = loaded.map_err(|error| self.tell_input(&error, "macro", rows)).ok();
            self.macros.insert(setting.hw.clone(), loaded);
        }
        let text = self.macros.get(&setting.hw).cloned().flatten();
        let spec = text.and_then(|text| {
            text.spec(&setting.set)
                .map_err(|diagnostics| self.tell_text(diagnostics, &setting.set, rows))
                .ok()
        });
        let spec = match &setting.profile {
            Some(name) => spec.and_then(|spec| self.measured(name, spec, rows)),
            None => spec,
        };
        self.specs.insert(setting.clone(), spec.clone());
        spec
    }

    /// `spec` with the profile of this name.
    fn measured(&mut self, name: &str, mut spec: MacroSpec, rows: &[u32]) -> Option<MacroSpec> {
        if !self.profiles.contains_key(name) {
            let loaded = ProfileText::load(name, &self.experiment.folder);
            let loaded = loaded.map_err(|error| self.tell_input(&error, "profile", rows)).ok();
            self.profiles.insert(name.to_owned(), loaded);
        }
        let Some(profile) = self.profiles.get(name).cloned().flatten() else {
            self.count_again("profile", rows);
            return None;
        };
        match profile.apply(&mut spec) {
            Ok(()) => return Some(spec),
            Err(InputError::Text(diagnostics)) => self.tell_text(*diagnostics, &[], rows),
            Err(error) => self.tell_input(&error, "profile", rows),
        }
        None
    }

    /// Gives `spec` the calibration of this name.
    fn calibrate(&mut self, name: &str, network: usize, spec: &mut MacroSpec, chips: u32, rows: &[u32]) -> Option<()> {
        if !self.calibrations.contains_key(name) {
            let loaded = CalibrationText::load(name, &self.experiment.folder);
            let loaded = loaded
                .map_err(|error| self.tell_input(&error, "calibration", rows))
                .ok();
            self.calibrations.insert(name.to_owned(), loaded);
        }
        let Some(calibration) = self.calibrations.get(name).cloned().flatten() else {
            self.count_again("calibration", rows);
            return None;
        };
        let applied = calibration.apply(&self.networks[network], spec, chips);
        applied
            .map_err(|error| self.tell_input(&error, "calibration", rows))
            .ok()
    }

    fn map(&mut self, network: usize, setting: &Setting, spec: &MacroSpec, rows: &[u32]) -> Option<()> {
        let id = (network, setting.clone());
        if let Some(Some(())) = self.mapped.get(&id) {
            return Some(());
        }
        let mapped = match farad_map::map(spec, self.networks[network].mac_layers()) {
            Ok(_) => Some(()),
            Err(error) => {
                let places = ["network", "macro"]
                    .iter()
                    .filter_map(|name| self.experiment.origin(rows, name));
                let mut labels: Vec<(Place, String)> =
                    places.map(|at| (at, "does not go on this macro".to_owned())).collect();
                if labels.is_empty() {
                    labels.extend(
                        self.experiment
                            .axes()
                            .next()
                            .map(|a| (a.key.clone(), "in this sweep".to_owned())),
                    );
                }
                let name = self.networks[network].name();
                self.tell("S0110", format!("network `{name}`: {error}"), labels, None, rows);
                None
            }
        };
        self.mapped.insert(id, mapped);
        mapped
    }

    fn tell_input(&mut self, error: &InputError, parameter: &str, rows: &[u32]) {
        let at = self.experiment.origin(rows, parameter).unwrap_or(Place::new(0, 0..0));
        let label = match self.experiment.lookup(rows, parameter) {
            Some(_) => format!("this {parameter}"),
            None => format!("`{parameter}` is not set"),
        };
        self.tell("S0109", error.to_string(), vec![(at, label)], None, rows);
    }

    /// Takes the diagnostics of a macro or a profile over: what points at a setting points at the value in the experiment.
    fn tell_text(&mut self, diagnostics: Diagnostics, set: &[(String, String)], rows: &[u32]) {
        let Diagnostics { sources, list } = diagnostics;
        for diagnostic in list {
            let labels = diagnostic
                .labels
                .into_iter()
                .map(|(place, text)| match place.source.checked_sub(1) {
                    Some(i) => {
                        let (name, value) = &set[i];
                        let at = self.experiment.origin(rows, name).unwrap_or(Place::new(0, 0..0));
                        (at, format!("{text} ({name} = {value})"))
                    }
                    None => {
                        let known = self.sources.iter().position(|source| *source == sources[0]);
                        let source = known.unwrap_or_else(|| {
                            self.sources.push(sources[0].clone());
                            self.sources.len() - 1
                        });
                        (Place { source, ..place }, text)
                    }
                });
            let labels = labels.collect();
            self.tell(diagnostic.code, diagnostic.message, labels, diagnostic.help, rows);
        }
    }

    fn tell(
        &mut self,
        code: &'static str,
        message: String,
        labels: Vec<(Place, String)>,
        help: Option<String>,
        rows: &[u32],
    ) {
        let known = self
            .problems
            .iter_mut()
            .find(|(d, _, _)| d.code == code && d.message == message && d.labels == labels);
        match known {
            Some((_, points, _)) => *points += 1,
            None => {
                let diagnostic = Diagnostic {
                    code,
                    message,
                    labels,
                    help,
                };
                self.problems.push((diagnostic, 1, rows.to_vec()));
            }
        }
    }

    /// Another point with a name that was already found wrong.
    fn count_again(&mut self, parameter: &str, rows: &[u32]) {
        let Some(at) = self.experiment.origin(rows, parameter) else {
            return;
        };
        let known = self
            .problems
            .iter_mut()
            .find(|(d, _, _)| d.code == "S0109" && d.labels[0].0 == at);
        if let Some((_, points, _)) = known {
            *points += 1;
        }
    }

    /// All problems in the order of the text; one that only some points have names the first of them.
    fn diagnostics(self, points: usize) -> Diagnostics {
        let experiment = &self.experiment;
        let mut list: Vec<Diagnostic> = self
            .problems
            .into_iter()
            .map(|(mut diagnostic, found, rows)| {
                if found < points {
                    let first = experiment.title(&rows);
                    let where_ = format!("{found} of {points} points; the first is {first}");
                    diagnostic.help = Some(match diagnostic.help {
                        Some(help) => format!("{help} ({where_})"),
                        None => where_,
                    });
                }
                diagnostic
            })
            .collect();
        list.sort_by(|a, b| a.labels[0].0.cmp(&b.labels[0].0));
        Diagnostics {
            sources: self.sources,
            list,
        }
    }
}

/// What was loaded.
fn found<T>(cache: Cache<String, T>) -> BTreeMap<String, T> {
    cache
        .into_iter()
        .filter_map(|(name, item)| Some((name, item?)))
        .collect()
}
