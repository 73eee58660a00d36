//! Recipes that differ in what is compared: one file, many runs.
//!
//! `[vary]` lists values for keys of the recipe or of its stages; a run is made for every combination. What the runs do
//! first and alike is done once: they share the stages before the first in which they differ.

mod axis;
mod check;

use crate::TrainError;
use crate::recipe::{Document, Kind, Problem, Recipe};
use axis::axes;
use check::Variations;
use farad_hw::diagnostic::Diagnostics;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The macro that the exported networks are compared on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name, or its file.
    #[serde(rename = "macro")]
    pub hw: String,
    /// Chips, each with its own static mismatch.
    #[serde(default = "one")]
    pub chips: u32,
    /// Only the first test images (0: all).
    #[serde(default)]
    pub images: u32,
}

fn one() -> u32 {
    1
}

/// What a recipe's file asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What several points do first.
    pub shared: Vec<Shared>,
    /// The runs; a single one without settings if nothing varies.
    pub points: Vec<Point>,
    /// What their networks are compared on.
    pub target: Option<Target>,
}

/// The first stages of several points.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// What varies before them.
    pub settings: Vec<Setting>,
    /// Those stages.
    pub recipe: Recipe,
}

/// A run of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Where it stands on each axis.
    pub settings: Vec<Setting>,
    /// The whole recipe.
    pub recipe: Recipe,
    /// Which of the plan's shared runs it goes on from; its recipe begins with the stages of that one.
    pub shared: Option<usize>,
}

/// A key that varies, and the value that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As in `[vary]`: `criterion`, `budget.macs`.
    pub key: String,
    /// As text that can be part of a file's name.
    pub value: String,
}

/// `criterion=l1-norm,seed=1`.
#[must_use]
pub fn name(settings: &[Setting]) -> String {
    let parts: Vec<String> = settings.iter().map(|s| format!("{}={}", s.key, s.value)).collect();
    parts.join(",")
}

impl Plan {
    /// Reads and checks a recipe's file, with the files that it names.
    ///
    /// # Errors
    /// If it cannot be read or followed: all problems at once.
    pub fn load(file: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(file).map_err(|e| TrainError::File {
            path: file.to_owned(),
            problem: format!("cannot read this recipe: {e}"),
        })?;
        let all = |recipe: &Recipe| [recipe.problems(), recipe.input_problems()].concat();
        Self::read(&file.display().to_string(), &text, &all).map_err(TrainError::Recipe)
    }

    /// Parses and checks the text of a recipe's file, without the files that it names.
    ///
    /// # Errors
    /// All that is wrong with it, each at its place.
    pub fn parse(text: &str) -> Result<Self, Box<Diagnostics>> {
        Self::read("recipe", text, &Recipe::problems)
    }

    /// `problems` are those of a recipe.
    fn read(name: &str, text: &str, problems: &dyn Fn(&Recipe) -> Vec<Problem>) -> Result<Self, Box<Diagnostics>> {
        let mut document = Document::new(name, text);
        let Some(base) = document.recipe() else {
            return document.finish(None);
        };
        let mut found = problems(&base);
        found.extend(base.target.iter().flat_map(|target| target.problems(&base)));
        let (axes, wrong) = axes(&base.vary);
        let variations = Variations {
            base: document.values(),
            known: found.clone(),
            problems,
        };
        let (mut points, impossible) = variations.points(&axes);
        found.extend(wrong);
        found.extend(impossible);
        found.iter().for_each(|problem| document.tell(problem));
        let shared = share(&mut points);
        document.finish(Some(Self {
            shared,
            points,
            target: base.target,
        }))
    }
}

impl Target {
    fn problems(&self, recipe: &Recipe) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !recipe.stages.iter().any(|s| s.stage == Kind::Export) {
            let message = "[target] is for what an `export` stage writes, and there is none";
            problems.push(Problem::new("T0108", &["target"], message));
        }
        if self.chips == 0 {
            problems.push(Problem::new(
                "T0108",
                &["target", "chips"],
                "`chips` must be at least 1",
            ));
        }
        problems
    }
}

/// Finds what points have in common at their beginning, and points them to it.
fn share(points: &mut [Point]) -> Vec<Shared> {
    let Some((first, others)) = points.split_first() else {
        return Vec::new();
    };
    let alike = |i: usize| {
        others
            .iter()
            .all(|p| p.recipe.stages.get(i) == Some(&first.recipe.stages[i]))
    };
    let stages = (0..first.recipe.stages.len()).take_while(|&i| alike(i)).count();
    let heads: Vec<Recipe> = points
        .iter()
        .map(|p| Recipe {
            stages: p.recipe.stages[..stages].to_vec(),
            ..p.recipe.clone()
        })
        .collect();
    let mut shared: Vec<Shared> = Vec::new();
    for i in 0..points.len() {
        let with: Vec<usize> = (0..points.len()).filter(|&k| heads[k] == heads[i]).collect();
        if stages == 0 || with.len() < 2 {
            continue;
        }
        let known = shared.iter().position(|s| s.recipe == heads[i]);
        points[i].shared = Some(known.unwrap_or_else(|| {
            let common = |s: &&Setting| with.iter().all(|&k| points[k].settings.contains(s));
            shared.push(Shared {
                settings: points[i].settings.iter().filter(common).cloned().collect(),
                recipe: heads[i].clone(),
            });
            shared.len() - 1
        }));
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = r#"
        network = "resnet-20"
        dataset = "cifar-10"
        [[stage]]
        stage = "dense"
        epochs = 4
        rate = [[0, 0.1]]
        [[stage]]
        stage = "prune"
        criterion = "random"
        budget = { macs = 0.5, min_keep = 2 }
        [[stage]]
        stage = "finetune"
        epochs = 2
        rate = [[0, 0.1]]
    "#;

    fn plan(vary: &str) -> Plan {
        Plan::parse(&format!("{RECIPE}\n[vary]\n{vary}")).unwrap()
    }

    fn names(plan: &Plan) -> Vec<String> {
        plan.points.iter().map(|p| name(&p.settings)).collect()
    }

    #[test]
    fn without_axes_there_is_one_run() {
        let plan = Plan::parse(RECIPE).unwrap();
        assert_eq!(names(&plan), [""]);
        assert_eq!(plan.points[0].recipe, Recipe::parse(RECIPE).unwrap());
        assert!(plan.shared.is_empty());
    }

    #[test]
    fn every_combination_is_a_run() {
        let plan = plan("seed = [1, 2]\ncriterion = [\"l1-norm\", \"fpgm\"]\nbudget.macs = [0.5, 0.25]");
        assert_eq!(plan.points.len(), 8);
        assert_eq!(names(&plan)[0], "budget.macs=0.5,criterion=l1-norm,seed=1");
        assert_eq!(names(&plan)[7], "budget.macs=0.25,criterion=fpgm,seed=2");
        let last = &plan.points[7].recipe;
        let prune = &last.stages[1];
        let budget = prune.budget.as_ref().unwrap();
        assert_eq!((last.seed, prune.criterion.as_deref()), (2, Some("fpgm")));
        // What the axis does not name stays.
        assert_eq!((budget.macs, budget.min_keep), (Some(0.25), 2));
        assert_eq!(last.stages[2], Recipe::parse(RECIPE).unwrap().stages[2]);
    }

    #[test]
    fn a_kind_of_stage_can_be_named() {
        let plan = plan("finetune.epochs = [2, 3]");
        let epochs = |p: &Point| p.recipe.stages.iter().map(|s| s.epochs).collect::<Vec<_>>();
        assert_eq!(
            plan.points.iter().map(epochs).collect::<Vec<_>>(),
            [[4, 0, 2], [4, 0, 3]]
        );
        // Without it, every stage that has the key.
        let both = self::plan("epochs = [7]");
        assert_eq!(epochs(&both.points[0]), [7, 0, 7]);
    }

    #[test]
    fn a_value_can_bring_others_with_it() {
        let plan = plan(
            "criterion = [\"l1-norm\", { criterion = \"sfp\", settings = { rate = 0.3 }, budget = { params = 0.5 } }]",
        );
        assert_eq!(names(&plan), ["criterion=l1-norm", "criterion=sfp"]);
        let [plain, with] = [0, 1].map(|i| &plan.points[i].recipe.stages[1]);
        assert!(plain.settings.is_none() && with.settings.is_some());
        assert_eq!(with.budget.as_ref().unwrap().params, Some(0.5));
    }

    /// A value may be wrong with the recipe's own values, and right with those that it comes with.
    #[test]
    fn values_are_judged_together() {
        let right = plan("criterion = [\"sfp\", \"fpgm\"]\nprune.settings.rate = [0.1, 0.2]");
        assert_eq!(right.points.len(), 4);
        let vary = "[vary]\ncriterion = [\"sfp\", \"taylor\"]\nprune.settings.rate = [0.1, 2.0]";
        let error = Plan::parse(&format!("{RECIPE}\n{vary}")).unwrap_err().to_string();
        for part in [
            "criterion=sfp,prune.settings.rate=2.0: stage 2 (prune): criterion `sfp`: setting `rate`",
            "criterion=taylor,prune.settings.rate=0.1: stage 2 (prune): criterion `taylor`: it has no settings",
            "3 problems",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn what_is_alike_is_done_once_for_each_seed() {
        let plan = plan("seed = [1, 2]\ncriterion = [\"l1-norm\", \"fpgm\", \"taylor\"]");
        let shared: Vec<String> = plan.shared.iter().map(|s| name(&s.settings)).collect();
        assert_eq!(shared, ["seed=1", "seed=2"]);
        for point in &plan.points {
            let head = &plan.shared[point.shared.unwrap()].recipe;
            assert_eq!(head.seed, point.recipe.seed);
            assert_eq!(head.stages, point.recipe.stages[..1]);
        }
        // Nothing is shared by runs that differ from the start, and one run alone shares with nobody.
        for vary in ["seed = [1, 2]", "epochs = [3, 4]", "criterion = [\"fpgm\"]"] {
            assert!(self::plan(vary).shared.is_empty(), "{vary}");
        }
        assert_eq!(
            name(&self::plan("criterion = [\"fpgm\", \"taylor\"]").shared[0].settings),
            ""
        );
    }

    #[test]
    fn the_recipes_that_come_along_can_be_followed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks/recipes");
        for entry in std::fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().path();
            let plan = Plan::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
            // A start is a file seen from the repository, and so is a network that is not built in.
            for point in plan.points.iter().filter(|p| p.recipe.from.is_none()) {
                let mut recipe = point.recipe.clone();
                if recipe.network.ends_with(".toml") {
                    recipe.network = folder.join("../..").join(&recipe.network).display().to_string();
                }
                assert_eq!(recipe.input_problems(), [], "{}", file.display());
            }
            if file.file_stem().unwrap() == "criteria-resnet20" {
                let of_one_seed = plan.points.iter().filter(|p| p.recipe.seed == 1);
                let stages = of_one_seed.flat_map(|p| &p.recipe.stages);
                let mut compared: Vec<&str> = stages.filter_map(|s| s.criterion.as_deref()).collect();
                let mut all: Vec<&str> = crate::prune::CRITERIA.iter().map(|c| c.name).collect();
                compared.sort_unstable();
                all.sort_unstable();
                assert_eq!(compared, all);
            }
        }
    }

    /// Whatever the text, there is a plan or something to say.
    #[test]
    fn every_beginning_of_a_recipe_is_read_or_refused() {
        let text = format!("# µ\n{RECIPE}[vary]\nseed = [1, 2]\ncriterion = [\"fpgm\", {{ criterion = \"ü\" }}]\n");
        for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
            match Plan::parse(&text[..end]) {
                Ok(plan) => assert!(!plan.points.is_empty()),
                Err(error) => assert!(error.to_string().contains(" problem"), "{}", &text[..end]),
            }
        }
    }

    #[test]
    fn what_cannot_vary_is_said() {
        for (vary, expected) in [
            (
                "criterion = [\"l1-norm\", \"magic\"]",
                "criterion=magic: stage 2 (prune): there is no criterion `magic`",
            ),
            ("criterion = \"l1-norm\"", "`vary.criterion` must be a list"),
            ("seed = []", "`vary.seed` must be a list"),
            ("seed = [1, 2, 1]", "`vary.seed` has `1` twice"),
            ("sede = [1]", "sede=1: unknown key `sede` (did you mean `seed`?)"),
            ("seed.more = [1]", "seed"),
            (
                "budget.macs = [0.5, 2.0]",
                "budget.macs=2.0: stage 2 (prune): `macs` of a budget",
            ),
        ] {
            let error = Plan::parse(&format!("{RECIPE}\n[vary]\n{vary}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{vary}: {error}");
        }
        let error = Plan::parse(&format!("{RECIPE}\n[target]\nmacro = \"ideal\"\nchips = 0"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("`export` stage") && error.contains("`chips`"), "{error}");
    }
}
