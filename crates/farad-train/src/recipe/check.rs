//! What is wrong with a recipe that could be read: first by itself, then with what it names.

use super::{Kind, Recipe, Stage};
use crate::prune::Budget;
use crate::qat::{Observer, QatSettings, target_macro};
use crate::{Architecture, Graph};
use std::fs::File;

/// What is wrong, and the key whose fault it is: `stage`, `1`, `rate` is that of the second stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) at: Vec<String>,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(code: &'static str, at: &[&str], message: impl Into<String>) -> Self {
        Self {
            code,
            at: at.iter().map(|&key| key.to_owned()).collect(),
            message: message.into(),
        }
    }

    /// Of a key of the stage with the number `i`, from 0.
    fn of_stage(code: &'static str, i: usize, key: &str, message: impl Into<String>) -> Self {
        Self::new(code, &["stage", &i.to_string(), key], message)
    }
}

impl Recipe {
    /// What is wrong with the recipe, whatever the files that it names.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, key: &str, must: &str| {
            if !ok {
                problems.push(Problem::new("T0102", &[key], format!("`{key}` must be {must}")));
            }
        };
        let part = |x: f64| (0.0..1.0).contains(&x);
        check(self.batch >= 2, "batch", "at least 2");
        check(part(self.label_smoothing), "label_smoothing", "in 0..1");
        check(part(self.momentum.into()), "momentum", "in 0..1");
        check(self.average.is_none_or(|a| part(a.into())), "average", "in 0..1");
        check(
            self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
            "weight_decay",
            "a number from 0",
        );
        check(
            self.checkpoint_s >= 0.0 && self.checkpoint_s.is_finite(),
            "checkpoint_s",
            "a number of seconds from 0",
        );
        if self.stages.is_empty() {
            problems.push(Problem::new("T0103", &["stage"], "there is no [[stage]]"));
        }
        if self.network_file().is_some() && !self.stages.iter().all(is_after_floats) {
            let message = "`from` is an int8 network: only `qat` and `export` stages can follow";
            problems.push(Problem::new("T0104", &["from"], message));
        }
        for (i, stage) in self.stages.iter().enumerate() {
            let name = format!("stage {} ({})", i + 1, stage.stage.as_str());
            let mut check = |ok: bool, code, key: &str, message: String| {
                if !ok {
                    problems.push(Problem::of_stage(code, i, key, message));
                }
            };
            stage.check(self.seed, &name, &mut check);
            let int8 = self.stages[..i].iter().position(|s| s.stage == Kind::Qat);
            // A network that was int8 to begin with may have any bits, until a stage says which.
            let unsaid = self.network_file().is_none().then_some(8);
            let said = |k: usize| {
                let mut quantised = self.stages[..i].iter().filter(|s| s.stage == Kind::Qat);
                quantised.find_map(|s| s.qat.bits()[k]).or(unsaid)
            };
            let first = int8.map(|_| std::array::from_fn(said));
            for problem in stage.qat.width_problems(first) {
                check(false, "T0102", "qat", format!("{name}: {problem}"));
            }
            check(
                int8.is_none() || is_after_floats(stage),
                "T0104",
                "stage",
                format!(
                    "{name} cannot come after stage {} (qat): the network is int8 then, only `qat` and `export` can follow",
                    int8.unwrap_or_default() + 1
                ),
            );
            check(
                (int8.is_none() && self.network_file().is_none()) || stage.qat.observer == Observer::default(),
                "T0104",
                "qat",
                format!("{name}: the ranges of an int8 network are known, no `observer`"),
            );
        }
        problems
    }

    /// What is wrong with the files and names of the recipe, and with its budgets for its network.
    pub(crate) fn input_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match Architecture::load(&self.network).and_then(|architecture| Graph::new(&architecture)) {
            Err(error) => problems.push(Problem::new("T0105", &["network"], error.to_string())),
            Ok(graph) => {
                for (i, stage) in self.stages.iter().enumerate() {
                    if let Some(Err(error)) = stage.size.map(|size| graph.check_size(size)) {
                        problems.push(Problem::of_stage("T0105", i, "size", error.to_string()));
                    }
                }
                // A network that begins otherwise may already be smaller than `min_keep` allows.
                let budgets = self.stages.iter().map(|stage| stage.budget.as_ref());
                if let (None, Err((i, error))) = (&self.from, Budget::check_all(&graph, budgets)) {
                    problems.push(Problem::of_stage("T0106", i, "budget", error.to_string()));
                }
            }
        }
        for (i, stage) in self.stages.iter().enumerate() {
            let target = stage.qat.target.as_deref();
            if let Some(Err(error)) = target.map(|name| target_macro(name, &stage.qat.overrides())) {
                problems.push(Problem::of_stage("T0105", i, "qat", error.to_string()));
            }
        }
        if let Some(Err(error)) = self.target.as_ref().map(|target| target_macro(&target.hw, &[])) {
            problems.push(Problem::new("T0108", &["target", "macro"], error.to_string()));
        }
        if let Some(from) = &self.from
            && let Err(error) = File::open(from)
        {
            problems.push(Problem::new(
                "T0105",
                &["from"],
                format!("cannot read `{from}`: {error}"),
            ));
        }
        problems
    }
}

/// Whether a stage of this kind can follow one that made the network int8.
fn is_after_floats(stage: &Stage) -> bool {
    matches!(stage.stage, Kind::Qat | Kind::Export)
}

impl Stage {
    /// Tells `check` every rule, by its code and the key that it is about.
    fn check(&self, seed: u64, name: &str, check: &mut impl FnMut(bool, &'static str, &str, String)) {
        let trains = !matches!(self.stage, Kind::Prune | Kind::Export);
        let prunes = matches!(self.stage, Kind::Variational | Kind::Prune);
        let quantises = matches!(self.stage, Kind::Qat | Kind::Export);
        // What a stage of quantisation-aware training does first can be all that it does.
        if trains && (self.stage != Kind::Qat || self.epochs > 0) {
            check(self.epochs > 0, "T0103", "epochs", format!("{name} needs `epochs`"));
            check(!self.rate.is_empty(), "T0103", "rate", format!("{name} needs `rate`"));
        }
        let given = [
            ("epochs", self.epochs > 0),
            ("rate", !self.rate.is_empty()),
            ("size", self.size.is_some()),
            ("measure", self.measure != super::one()),
        ];
        for (key, is_given) in given {
            check(
                trains || !is_given,
                "T0104",
                key,
                format!("{name} does not train: no `{key}`"),
            );
        }
        check(
            self.measure > 0,
            "T0102",
            "measure",
            format!("{name}: `measure` must be at least 1"),
        );
        check(
            self.mask_rate >= 0.0 && self.mask_rate.is_finite(),
            "T0102",
            "mask_rate",
            format!("{name}: `mask_rate` must be a number from 0"),
        );
        check(
            self.stage == Kind::Variational || self.mask_rate == super::mask_rate(),
            "T0104",
            "mask_rate",
            format!("{name} trains no masks: no `mask_rate`"),
        );
        let rising = self.rate.windows(2).all(|p| p[0][0] <= p[1][0]);
        let sane = |p: &[f64; 2]| p[0] >= 0.0 && p[0].is_finite() && (0.0..1e3).contains(&p[1]);
        let sane = self.rate.iter().all(sane);
        check(
            rising && sane,
            "T0102",
            "rate",
            format!("{name}: `rate` needs rising epochs, and rates from 0 to below 1000"),
        );
        check(
            quantises || self.qat == QatSettings::default(),
            "T0104",
            "qat",
            format!("{name} does not quantise: no `qat`"),
        );
        if let Some(problem) = self.qat.observer.problem() {
            check(false, "T0102", "qat", format!("{name}: {problem}"));
        }
        check(
            self.stage != Kind::Export || self.qat == self.qat.of_export(),
            "T0104",
            "qat",
            format!("{name} only quantises: of `qat`, it takes `weights`, `activations`, `ends` and `observer`"),
        );
        if self.stage == Kind::Qat {
            for problem in self.qat.problems() {
                check(false, "T0102", "qat", format!("{name}: {problem}"));
            }
            check(
                self.epochs > 0
                    || (self.rate.is_empty()
                        && self.measure == super::one()
                        && self.qat == self.qat.without_training()),
                "T0104",
                "epochs",
                format!(
                    "{name} has no `epochs`, so `rate`, `measure`, `forward`, `steps_per_chip`, `relative_rates` and `distil` have no effect"
                ),
            );
            check(
                self.size.is_none(),
                "T0104",
                "size",
                format!("{name} trains at the size of the dataset: no `size`"),
            );
        }
        if prunes {
            check(
                self.budget.is_some(),
                "T0103",
                "budget",
                format!("{name} needs a `budget`"),
            );
            check(
                self.criterion.is_some(),
                "T0103",
                "criterion",
                format!("{name} needs a `criterion`"),
            );
        } else {
            let given = [
                ("criterion", self.criterion.is_some()),
                ("budget", self.budget.is_some()),
                ("shrink", self.shrink.is_some()),
                ("absorb", self.absorb),
            ];
            for (key, is_given) in given {
                check(!is_given, "T0104", key, format!("{name} does not prune: no `{key}`"));
            }
        }
        if let Err(problem) = self.criterion(seed) {
            let known = self
                .criterion
                .as_deref()
                .is_some_and(|c| crate::prune::criterion(c).is_ok());
            let (code, key) = if known || self.criterion.is_none() {
                ("T0102", "settings")
            } else {
                ("T0101", "criterion")
            };
            check(false, code, key, format!("{name}: {problem}"));
        }
        if let Some(Err(problem)) = self.budget.as_ref().map(Budget::check) {
            check(false, "T0102", "budget", format!("{name}: {problem}"));
        }
        check(
            !self.fresh || self.stage == Kind::Finetune,
            "T0104",
            "fresh",
            format!("{name}: `fresh` weights are for a `finetune` stage"),
        );
        let untrained = self.stage == Kind::Prune && self.criterion.as_deref() == Some("variational-mask");
        let log_variance = self.settings.as_ref().and_then(|settings| settings.get("log_variance"));
        check(
            !untrained || log_variance.and_then(|value| value.as_str()) == Some("laplace"),
            "T0104",
            "criterion",
            format!(
                "{name}: masks that have not trained are all alike; with `log_variance = \"laplace\"` they tell channels apart"
            ),
        );
        check(
            self.stage != Kind::Prune || self.shrink.is_none(),
            "T0104",
            "shrink",
            format!("{name} prunes at once: no `shrink`"),
        );
        if let Some(shrink) = self.shrink.filter(|_| self.stage != Kind::Prune) {
            check(
                shrink.threshold.is_finite(),
                "T0102",
                "shrink",
                format!("{name}: `threshold` must be a number"),
            );
            check(
                self.criterion.as_deref() == Some("variational-mask"),
                "T0104",
                "shrink",
                format!("{name}: `shrink` has a threshold on log alpha, which only `variational-mask` has"),
            );
            check(
                shrink.from <= shrink.until && shrink.until <= self.epochs,
                "T0102",
                "shrink",
                format!("{name}: `shrink` needs from <= until <= epochs"),
            );
        }
    }
}
