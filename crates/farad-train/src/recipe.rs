//! What a recipe says.

mod check;
mod codes;
mod document;

pub(crate) use check::Problem;
pub use codes::explain;
pub(crate) use document::{Document, Words};

use crate::batches::Augment;
use crate::prune::{Budget, Checked, Criterion, Settings, criterion};
use crate::qat::QatSettings;
use crate::vary::Target;
use farad_hw::diagnostic::Diagnostics;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
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
    /// Decay of the averaged weights that are evaluated, quantised, and the start of other recipes, for each step; none takes the
    /// weights themselves. Criteria score the weights themselves.
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
    #[serde(default, deserialize_with = "points")]
    pub rate: Vec<[f64; 2]>,
    /// Side of the training images, if not the dataset's.
    #[serde(default)]
    pub size: Option<usize>,
    /// Epochs from one measurement on the test images to the next; the last epoch is always measured.
    #[serde(default = "one")]
    pub measure: u32,
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

/// Pairs of numbers. An array of another length has no place in the error of the reader, so that this one says it.
fn points<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<[f64; 2]>, D::Error> {
    let pairs: Result<Vec<_>, _> = Vec::<Vec<f64>>::deserialize(from)?
        .into_iter()
        .map(<[f64; 2]>::try_from)
        .collect();
    pairs.map_err(|other| D::Error::invalid_length(other.len(), &"a list of points `[epoch, rate]`"))
}

fn one() -> u32 {
    1
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

    /// Whether the network is measured after `epoch` epochs.
    #[must_use]
    pub fn is_measured(&self, epoch: u32) -> bool {
        epoch.is_multiple_of(self.measure) || epoch == self.epochs
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

    /// The same with the defaults of all settings written out, and without what changes no weight.
    fn complete(mut self) -> Self {
        self.measure = one();
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
    /// Parses and checks the text of a recipe, without the files that it names.
    ///
    /// # Errors
    /// All that is wrong with it, each at its place.
    pub fn parse(text: &str) -> Result<Self, Box<Diagnostics>> {
        let mut document = Document::new("recipe", text);
        let recipe = document.recipe();
        recipe.iter().flat_map(Self::problems).for_each(|p| document.tell(&p));
        document.finish(recipe)
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

    /// What is said of a recipe that cannot be followed.
    fn refused(text: &str) -> String {
        Recipe::parse(text).unwrap_err().to_string()
    }

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
        let problem = |text: &str| refused(&format!("{GOOD}{text}"));
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
        let error = refused(&text);
        for part in [
            "needs `epochs`",
            "does not prune",
            "no criterion `magic`",
            "`rate` needs rising",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let error = refused(&GOOD.replace("epochs = 4", "epochs = 4\nmeasure = 0"));
        assert!(error.contains("`measure` must be at least 1"), "{error}");
        let error = refused(&GOOD.replace(
            "\"dense\"",
            "\"qat\"\nqat = { steps_per_chip = 0, images = 0 }\nsize = 8",
        ));
        for part in ["`steps_per_chip`", "needs `images`", "no `size`"] {
            assert!(error.contains(part), "{error}");
        }
        let bits = |settings: &str| GOOD.replace("\"dense\"", &format!("\"qat\"\nqat = {{ {settings} }}"));
        let error = refused(&bits("weights = 3, activations = 16"));
        assert!(
            error.contains("`weights` must be 8 or 4, the bits of an exported network, not 3"),
            "{error}"
        );
        assert!(
            error.contains("`activations` must be 8 or 4, the bits of an exported network, not 16"),
            "{error}"
        );
        let again = "[[stage]]\nstage = \"export\"\nqat = { weights = 8, activations = 4 }";
        let error = refused(&format!("{}{again}", bits("weights = 4, activations = 4")));
        assert!(error.contains("stage 2 (export): `weights` is 4 since"), "{error}");
        assert!(!error.contains("`activations`"), "{error}");
        assert!(refused(&bits("steps = \"guessed\"")).contains("`guessed`"));
        let dense = &GOOD[GOOD.find("[[stage]]").unwrap()..];
        let error = refused(&format!("{}{dense}", GOOD.replace("\"dense\"", "\"qat\"")));
        assert!(error.contains("only `qat` and `export` can follow"), "{error}");
        // Not even after an export.
        let qat = GOOD.replace("\"dense\"", "\"qat\"");
        let error = refused(&format!("{qat}[[stage]]\nstage = \"export\"\n{dense}"));
        assert!(error.contains("only `qat` and `export` can follow"), "{error}");
    }

    /// A key without an effect would be taken for one that works.
    #[test]
    fn what_a_stage_would_not_use_is_refused() {
        let after = |stage: &str| refused(&format!("{GOOD}[[stage]]\n{stage}"));
        let qat = |settings: &str| after(&format!("stage = 'qat'\nqat = {{ {settings} }}"));
        let prune = |keys: &str| after(&format!("stage = 'prune'\nbudget = {{ macs = 0.5 }}\n{keys}"));
        let export = |settings: &str| after(&format!("stage = 'export'\nqat = {{ {settings} }}"));
        for (error, expected) in [
            (qat("set = { adc.bits = 4 }"), "`set` changes a `macro`"),
            (qat("recalibrate_chips = 2"), "are about a `macro`"),
            (qat("macro = 'ideal', forward = 'surrogate'"), "has no `epochs`, so"),
            (after("stage = 'qat'\nmeasure = 3"), "has no `epochs`, so"),
            (
                qat("macro = 'ideal', forward = 'digital', steps_per_chip = 2"),
                "`forward` is `digital`",
            ),
            (qat("observer = { percentile = 0.9999 }"), "`percentile` is in percent"),
            (
                export("observer = { min-max = { decay = 1.5 } }"),
                "`decay` of `min-max`",
            ),
            (export("cut_weights = 3"), "stage 2 (export) only quantises"),
            (prune("criterion = 'l1-norm'\nrate = [[0, 0.1]]\nsize = 8"), "no `rate`"),
            (prune("criterion = 'l1-norm'\nmask_rate = 0.1"), "no `mask_rate`"),
            (
                prune("criterion = 'l1-norm'\nmeasure = 2"),
                "does not train: no `measure`",
            ),
            (prune("criterion = 'variational-mask'"), "are all alike"),
            (
                prune("criterion = 'variational-mask'\nshrink = { from = 0, until = 0, threshold = 1 }"),
                "prunes at once",
            ),
            (
                after("stage = 'qat'\n[[stage]]\nstage = 'export'\nqat = { observer = { percentile = 99 } }"),
                "no `observer`",
            ),
        ] {
            assert!(error.contains(expected), "{error}");
        }
        for (key, value) in [("checkpoint_s", "inf"), ("average", "nan")] {
            let error = refused(&format!("{key} = {value}\n{GOOD}"));
            assert!(error.contains(&format!("`{key}` must be")), "{error}");
        }
    }

    #[test]
    fn an_export_before_training_in_int8_says_nothing_of_its_bits() {
        let stages =
            "[[stage]]\nstage = 'export'\n[[stage]]\nstage = 'qat'\nqat = { weights = 4 }\n[[stage]]\nstage = 'export'";
        Recipe::parse(&format!("{GOOD}{stages}")).unwrap();
        let laplace = "[[stage]]\nstage = 'prune'\nbudget = { macs = 0.5 }\ncriterion = 'variational-mask'\nsettings = { log_variance = 'laplace' }";
        Recipe::parse(&format!("{GOOD}{laplace}")).unwrap();
        // What was int8 to begin with may have any bits, until a stage says which.
        let qat = |settings: &str| format!("[[stage]]\nstage = 'qat'\nqat = {{ {settings} }}\n");
        let from = |stages: &str| format!("network = 'x'\ndataset = 'y'\nfrom = 'n.onnx'\n{stages}");
        Recipe::parse(&from(&(qat("") + &qat("weights = 4")))).unwrap();
        assert!(refused(&from(&(qat("weights = 4") + &qat("weights = 8")))).contains("`weights` is 4 since"));
    }

    /// A problem of form hides neither the next one nor a contradiction.
    #[test]
    fn each_problem_is_told_at_its_place() {
        let text = "dataset = 'y'\nnetwork = 5\nbatch = -3\nsead = 1\n[[stage]]\nstage = 'dense'\nepochs = '2'\nrate = [[0, 1, 2]]\n\
                    [[stage]]\nstage = 'prune'\ncriterion = 'l1norm'\nbudget = { mcs = 0.5 }\n";
        let error = refused(text);
        let told: Vec<(&str, usize)> = error
            .split("\n\n")
            .filter_map(|problem| {
                let (message, rest) = problem.split_once("\n")?;
                let line = rest.split_once("recipe:")?.1.split(':').next()?;
                Some((message.split_once(": ")?.1, line.parse().ok()?))
            })
            .collect();
        assert_eq!(
            told,
            [
                ("`network` must be a string", 2),
                ("`batch` must be an integer from 0", 3),
                ("unknown key `sead`", 4),
                ("`epochs` must be an integer from 0", 7),
                ("`rate` must be a list of points `[epoch, rate]`", 8),
                ("unknown key `mcs`", 12),
            ],
            "{error}"
        );
        assert!(
            error.contains("did you mean `seed`?") && error.contains("did you mean `macs`?"),
            "{error}"
        );

        let text = text.replace("network = 5", "network = 'x'").replace("mcs", "macs");
        let error = refused(&text);
        assert!(
            error.contains("no criterion `l1norm`") && error.contains("`batch`"),
            "{error}"
        );
        // What could not be read is not missing.
        assert!(
            !error.contains("needs `epochs`") && !error.contains("needs `rate`"),
            "{error}"
        );

        let error = refused(&text.replace("'prune'", "'prun'"));
        assert!(
            error.contains("did you mean `prune`?") && !error.contains("is missing"),
            "{error}"
        );
        assert!(refused("network = ").contains("this is not TOML"));
    }
}
