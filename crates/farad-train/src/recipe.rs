//! What a recipe says.

use crate::batches::Augment;
use crate::prune::{Budget, Checked, Criterion, Settings, criterion};
use crate::qat::QatSettings;
use crate::vary::Target;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A recipe: from random weights to a network, in stages.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Built-in network, or the file of one.
    pub network: String,
    /// Dataset by name, or its folder; its training split trains, its test split measures.
    pub dataset: String,
    /// Checkpoint whose network is the start, instead of random weights: several recipes can share a dense network. Or an
    /// int8 network that an export wrote (`.onnx`), which trains on as that.
    #[serde(default)]
    pub from: Option<String>,
    /// Of everything random.
    #[serde(default)]
    pub seed: u64,
    /// Images of a step.
    #[serde(default = "batch")]
    pub batch: usize,
    /// Of the operands of convolutions.
    #[serde(default)]
    pub precision: Digits,
    /// Label smoothing.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Nesterov's momentum.
    #[serde(default = "momentum")]
    pub momentum: f32,
    /// Weight decay, of convolution and dense weights only.
    #[serde(default)]
    pub weight_decay: f32,
    /// Decay of the averaged weights that are evaluated and handed on, for each step; none evaluates the weights
    /// themselves.
    #[serde(default)]
    pub average: Option<f32>,
    /// Changes to training images.
    #[serde(default)]
    pub augment: Augment,
    /// Only the first images of each split (0 for all): to try a recipe.
    #[serde(default)]
    pub images: usize,
    /// Seconds between checkpoints within a stage.
    #[serde(default = "checkpoint_s")]
    pub checkpoint_s: f64,
    /// The stages in their order.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
    /// Values of keys that are compared: see [`Plan`](crate::vary::Plan).
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub vary: toml::Table,
    /// What the networks are compared on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
}

fn batch() -> usize {
    128
}

fn checkpoint_s() -> f64 {
    60.0
}

fn momentum() -> f32 {
    0.9
}

/// Precision of operands, as recipes spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digits {
    /// 24 bits of significand.
    F32,
    /// 8 bits of significand, summed in f32.
    #[default]
    Bf16,
}

impl From<Digits> for crate::Precision {
    fn from(digits: Digits) -> Self {
        match digits {
            Digits::F32 => Self::F32,
            Digits::Bf16 => Self::Bf16,
        }
    }
}

/// One stage. What may be set depends on `stage`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What it does.
    pub stage: Kind,
    /// Epochs of training.
    #[serde(default)]
    pub epochs: u32,
    /// Learning rate: `[epoch, rate]` points, joined by straight lines.
    #[serde(default)]
    pub rate: Vec<[f64; 2]>,
    /// Side of the training images, if not the dataset's.
    #[serde(default)]
    pub size: Option<usize>,
    /// Name of the criterion that scores channels.
    #[serde(default)]
    pub criterion: Option<String>,
    /// What the pruned network may cost.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// How a training stage removes channels on the way; without it, at its end.
    #[serde(default)]
    pub shrink: Option<Shrink>,
    /// Settings of the criterion.
    #[serde(default, alias = "variational")]
    pub settings: Option<Settings>,
    /// Whether the mean of a removed channel goes on in the layers that read it ([`absorb`](crate::prune::absorb)).
    #[serde(default)]
    pub absorb: bool,
    /// Whether the stage begins with random weights at the widths that there are.
    #[serde(default)]
    pub fresh: bool,
    /// How the network is quantised, and what it trains on then.
    #[serde(default)]
    pub qat: QatSettings,
    /// Learning rate of the masks, times the part of the stage's rate that its highest is of it; Adam.
    #[serde(default = "mask_rate")]
    pub mask_rate: f64,
}

fn mask_rate() -> f64 {
    0.02
}

/// Kinds of stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Trains the network as it is.
    Dense,
    /// Trains with the masks and penalties of whichever criterion, and removes channels.
    Variational,
    /// Removes channels by a criterion, without training.
    Prune,
    /// Trains what is left.
    Finetune,
    /// Trains the int8 network, on exact integers or on chips of a macro.
    Qat,
    /// Writes the network in int8, `network.onnx`.
    Export,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Variational => "variational",
            Self::Prune => "prune",
            Self::Finetune => "finetune",
            Self::Qat => "qat",
            Self::Export => "export",
        }
    }
}

/// Progressive shrinking: after each epoch, channels whose score says so are removed for good.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Shrink {
    /// After this many epochs of the stage for the first time.
    pub from: u32,
    /// After this many, whatever the budget still lacks is removed whatever its score, and the masks are taken off.
    pub until: u32,
    /// Before that, only channels with log alpha above this.
    pub threshold: f32,
}

impl Stage {
    /// The learning rate after `epoch` epochs of the stage.
    #[must_use]
    pub fn rate_at(&self, epoch: f64) -> f64 {
        let Some(&[first, rate]) = self.rate.first() else {
            return 0.0;
        };
        if epoch <= first {
            return rate;
        }
        for pair in self.rate.windows(2) {
            let ([a, from], [b, to]) = (pair[0], pair[1]);
            if epoch <= b {
                return from + (to - from) * (epoch - a) / (b - a).max(1e-12);
            }
        }
        self.rate.last().map_or(0.0, |p| p[1])
    }

    /// The stage's criterion; `seed` is the run's.
    ///
    /// # Errors
    /// If there is none of its name, or its settings are not right.
    pub fn criterion(&self, seed: u64) -> Checked<Option<Box<dyn Criterion>>> {
        match (&self.criterion, &self.settings) {
            (Some(name), settings) => {
                let settings = settings.clone().unwrap_or_default();
                criterion(name)?.criterion(seed, &settings).map(Some)
            }
            (None, Some(_)) => Err("`settings` are those of a `criterion`".to_owned()),
            (None, None) => Ok(None),
        }
    }

    /// The same with the defaults of all settings written out.
    fn complete(mut self) -> Self {
        if let Some(entry) = self.criterion.as_deref().and_then(|name| criterion(name).ok()) {
            self.settings = entry.complete(&self.settings.take().unwrap_or_default()).ok();
        }
        self
    }

    /// The learning rate of masks there.
    #[must_use]
    pub fn mask_rate_at(&self, epoch: f64) -> f64 {
        let peak = self.rate.iter().map(|p| p[1]).fold(0.0, f64::max);
        if peak > 0.0 {
            self.mask_rate * self.rate_at(epoch) / peak
        } else {
            0.0
        }
    }
}

impl Recipe {
    /// Parses and checks the text of a recipe.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str::<Self>(text).map_err(|e| e.to_string())?.checked()
    }

    /// The recipe, if it can be followed.
    pub(crate) fn checked(self) -> Result<Self, String> {
        let problems = self.problems();
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(problems.join("; "))
        }
    }

    /// What the first `stages` stages depend on.
    pub(crate) fn until(&self, stages: usize) -> Self {
        Self {
            checkpoint_s: 0.0,
            stages: self.stages.iter().take(stages).cloned().map(Stage::complete).collect(),
            ..self.clone()
        }
    }

    /// The int8 network to start from.
    #[must_use]
    pub fn network_file(&self) -> Option<&Path> {
        let file = Path::new(self.from.as_deref()?);
        file.extension().is_some_and(|e| e == "onnx").then_some(file)
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: String| {
            if !ok {
                problems.push(problem);
            }
        };
        check(self.batch >= 2, "`batch` must be at least 2".to_owned());
        check(
            (0.0..1.0).contains(&self.label_smoothing),
            "`label_smoothing` must be in 0..1".to_owned(),
        );
        check(
            (0.0..1.0).contains(&self.momentum),
            "`momentum` must be in 0..1".to_owned(),
        );
        check(!self.stages.is_empty(), "there is no [[stage]]".to_owned());
        check(
            self.average.is_none_or(|a| (0.0..1.0).contains(&a)),
            "`average` must be in 0..1".to_owned(),
        );
        let is_after_floats = |stage: &Stage| matches!(stage.stage, Kind::Qat | Kind::Export);
        check(
            self.network_file().is_none() || self.stages.iter().all(is_after_floats),
            "`from` is an int8 network: only `qat` and `export` stages can follow".to_owned(),
        );
        for (i, stage) in self.stages.iter().enumerate() {
            let at = format!("stage {} ({})", i + 1, stage.stage.as_str());
            let trains = !matches!(stage.stage, Kind::Prune | Kind::Export);
            let prunes = matches!(stage.stage, Kind::Variational | Kind::Prune);
            if trains {
                check(stage.epochs > 0, format!("{at} needs `epochs`"));
                check(!stage.rate.is_empty(), format!("{at} needs `rate`"));
            }
            check(trains || stage.epochs == 0, format!("{at} does not train: no `epochs`"));
            let rising = stage.rate.windows(2).all(|p| p[0][0] <= p[1][0]);
            let sane = stage.rate.iter().all(|p| p[0] >= 0.0 && (0.0..1e3).contains(&p[1]));
            check(
                rising && sane,
                format!("{at}: `rate` needs rising epochs and rates from 0"),
            );
            check(
                stage.stage == Kind::Qat || stage.stage == Kind::Export || stage.qat == QatSettings::default(),
                format!("{at} does not quantise: no `qat`"),
            );
            let first = self.stages[..i].iter().find(|s| is_after_floats(s)).map(|s| &s.qat);
            for problem in stage.qat.width_problems(first) {
                check(false, format!("{at}: {problem}"));
            }
            if stage.stage == Kind::Qat {
                for problem in stage.qat.problems() {
                    check(false, format!("{at}: {problem}"));
                }
                check(
                    stage.size.is_none(),
                    format!("{at} trains at the size of the dataset: no `size`"),
                );
                let after = &self.stages[i + 1..];
                check(
                    after.iter().all(is_after_floats),
                    format!("{at}: after it only `qat` and `export` can follow, the network is int8 then"),
                );
            }
            check(!prunes || stage.budget.is_some(), format!("{at} needs a `budget`"));
            check(
                !prunes || stage.criterion.is_some(),
                format!("{at} needs a `criterion`"),
            );
            let unpruned =
                stage.budget.is_none() && stage.criterion.is_none() && stage.shrink.is_none() && !stage.absorb;
            check(
                prunes || unpruned,
                format!("{at} does not prune: no `criterion`, `budget`, `shrink` or `absorb`"),
            );
            if let Err(problem) = stage.criterion(self.seed) {
                check(false, format!("{at}: {problem}"));
            }
            if let Some(Err(problem)) = stage.budget.as_ref().map(Budget::check) {
                check(false, format!("{at}: {problem}"));
            }
            check(
                !stage.fresh || stage.stage == Kind::Finetune,
                format!("{at}: `fresh` weights are for a `finetune` stage"),
            );
            if let Some(shrink) = &stage.shrink {
                check(
                    stage.criterion.as_deref() == Some("variational-mask"),
                    format!("{at}: `shrink` has a threshold on log alpha, which only `variational-mask` has"),
                );
                check(
                    shrink.from <= shrink.until && shrink.until <= stage.epochs,
                    format!("{at}: `shrink` needs from <= until <= epochs"),
                );
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        network = "resnet-20"
        dataset = "cifar10"
        [[stage]]
        stage = "dense"
        epochs = 4
        rate = [[0, 0.02], [1, 0.1], [4, 0.0]]
    "#;

    #[test]
    fn rates_are_straight_lines() {
        let stage = &Recipe::parse(GOOD).unwrap().stages[0];
        let rates = [0.0, 0.5, 1.0, 2.5, 4.0, 9.0].map(|e| stage.rate_at(e));
        for (rate, expected) in rates.iter().zip([0.02, 0.06, 0.1, 0.05, 0.0, 0.0]) {
            assert!((rate - expected).abs() < 1e-12);
        }
        assert!((stage.mask_rate_at(2.5) - 0.01).abs() < 1e-12);
    }

    /// A checkpoint keeps the recipe as it was written by whichever version began the run.
    #[test]
    fn a_recipe_is_the_same_with_its_defaults_written_out() {
        let stage = |settings: &str| {
            let text = format!(
                "{GOOD}[[stage]]\nstage = \"variational\"\nepochs = 2\nrate = [[0, 0.1]]\n\
                 criterion = \"variational-mask\"\nbudget = {{ macs = 0.5 }}\n{settings}"
            );
            Recipe::parse(&text).unwrap()
        };
        let recipe = stage("settings = { lambda = 4, macs_weight = 0.25 }");
        let old = stage("variational = { macs_weight = 0.25, warm_up = 3.0, images = 50000 }");
        assert_ne!(recipe, old);
        assert_eq!(recipe.until(2), old.until(2));
        assert_ne!(recipe.until(2), stage("settings = { macs_weight = 0.5 }").until(2));
        let mut json = serde_json::to_value(&old).unwrap();
        let stages = json["stage"].as_array_mut().unwrap();
        for stage in stages {
            let stage = stage.as_object_mut().unwrap();
            let settings = stage.remove("settings").unwrap();
            stage.insert("variational".to_owned(), settings);
            for new in ["absorb", "fresh"] {
                stage.remove(new);
            }
        }
        let read: Recipe = serde_json::from_value(json).unwrap();
        assert_eq!(read.until(2), recipe.until(2));
    }

    #[test]
    fn settings_belong_to_a_criterion() {
        let problem = |text: &str| Recipe::parse(&format!("{GOOD}{text}")).unwrap_err();
        let error = problem("settings = { rho = 1 }\nfresh = true");
        assert!(
            error.contains("stage 1 (dense): `settings` are those of a `criterion`"),
            "{error}"
        );
        assert!(error.contains("`fresh` weights are for a `finetune` stage"), "{error}");
        let error = problem(
            "[[stage]]\nstage = \"prune\"\ncriterion = \"taylor\"\nsettings = { rho = 1 }\nbudget = { tiles = 0.5 }",
        );
        assert!(error.contains("stage 2 (prune): criterion `taylor`"), "{error}");
        assert!(error.contains("stage 2 (prune): a budget of tiles"), "{error}");
    }

    #[test]
    fn all_problems_at_once() {
        let text = GOOD
            .replace("epochs = 4", "criterion = \"magic\"")
            .replace("0.1]", "-0.1]");
        let error = Recipe::parse(&text).unwrap_err();
        for part in [
            "needs `epochs`",
            "does not prune",
            "no criterion `magic`",
            "`rate` needs rising",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let error = Recipe::parse(&GOOD.replace(
            "\"dense\"",
            "\"qat\"\nqat = { steps_per_chip = 0, images = 0 }\nsize = 8",
        ))
        .unwrap_err();
        for part in ["`steps_per_chip`", "needs `images`", "no `size`"] {
            assert!(error.contains(part), "{error}");
        }
        let bits = |settings: &str| GOOD.replace("\"dense\"", &format!("\"qat\"\nqat = {{ {settings} }}"));
        let error = Recipe::parse(&bits("weights = 3, activations = 16")).unwrap_err();
        assert!(
            error.contains("`weights` must be 8 or 4, the bits of an exported network, not 3"),
            "{error}"
        );
        assert!(
            error.contains("`activations` must be 8 or 4, the bits of an exported network, not 16"),
            "{error}"
        );
        let again = "[[stage]]\nstage = \"export\"\nqat = { weights = 8, activations = 4 }";
        let error = Recipe::parse(&format!("{}{again}", bits("weights = 4, activations = 4"))).unwrap_err();
        assert!(error.contains("stage 2 (export): `weights` is 4 since"), "{error}");
        assert!(!error.contains("`activations`"), "{error}");
        assert!(
            Recipe::parse(&bits("steps = \"guessed\""))
                .unwrap_err()
                .contains("`guessed`")
        );
        let dense = &GOOD[GOOD.find("[[stage]]").unwrap()..];
        let error = Recipe::parse(&format!("{}{dense}", GOOD.replace("\"dense\"", "\"qat\""))).unwrap_err();
        assert!(error.contains("only `qat` and `export` can follow"), "{error}");
        // Not even after an export.
        let qat = GOOD.replace("\"dense\"", "\"qat\"");
        let error = Recipe::parse(&format!("{qat}[[stage]]\nstage = \"export\"\n{dense}")).unwrap_err();
        assert!(error.contains("only `qat` and `export` can follow"), "{error}");
        let error = Recipe::parse(&GOOD.replace("batch", "bach").replace("epochs", "epoch")).unwrap_err();
        assert!(error.contains("epoch"), "{error}");
    }
}
