//! Recipes that differ in what is compared: one file, many runs.
//!
//! `[vary]` lists values for keys of the recipe or of its stages; a run is made for every combination. What the runs do
//! first and alike is done once: they share the stages before the first in which they differ.

use crate::TrainError;
use crate::recipe::{Kind, Recipe};
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::{Table, Value};

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
    /// Reads and checks a recipe's file.
    ///
    /// # Errors
    /// If it cannot be read or followed: all problems at once.
    pub fn load(file: &Path) -> Result<Self, TrainError> {
        let error = |problem: String| TrainError::Recipe {
            file: file.display().to_string(),
            problem,
        };
        let text = std::fs::read_to_string(file).map_err(|e| error(e.to_string()))?;
        Self::parse(&text).map_err(error)
    }

    /// Parses and checks the text of a recipe's file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let base = Recipe::parse(text)?;
        let table: Table = toml::from_str(text).map_err(|e| e.to_string())?;
        let axes = axes(&base.vary)?;
        let mut points = Vec::new();
        let mut problems = Vec::new();
        for choice in product(&axes) {
            let settings: Vec<Setting> = choice.iter().map(|&(axis, i)| axis.setting(i)).collect();
            let made = choice.iter().try_fold(table.clone(), |mut table, (axis, i)| {
                axis.apply(&mut table, &axis.values[*i])?;
                Ok(table)
            });
            match made.and_then(recipe) {
                Ok(recipe) => points.push(Point {
                    settings,
                    recipe,
                    shared: None,
                }),
                Err(problem) => problems.push(format!("{}: {problem}", name(&settings))),
            }
        }
        // Every point has what is wrong with its value on one axis: once is enough.
        problems.dedup_by(|a, b| a.split_once(": ").map(|p| p.1) == b.split_once(": ").map(|p| p.1));
        if base.target.is_some() && !base.stages.iter().any(|s| s.stage == Kind::Export) {
            problems.push("[target] is for what an `export` stage writes, and there is none".to_owned());
        }
        if base.target.as_ref().is_some_and(|t| t.chips == 0) {
            problems.push("[target]: `chips` must be at least 1".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let shared = share(&mut points);
        Ok(Self {
            shared,
            points,
            target: base.target,
        })
    }
}

/// A key and the values that it takes.
struct Axis {
    path: Vec<String>,
    values: Vec<Value>,
}

impl Axis {
    fn key(&self) -> String {
        self.path.join(".")
    }

    fn setting(&self, i: usize) -> Setting {
        Setting {
            key: self.key(),
            value: label(&self.path[self.path.len() - 1], &self.values[i], i),
        }
    }

    /// Puts `value` where the key stands: into the stages that have the key; into the stages of a kind, if the key begins
    /// with one; else into the recipe.
    fn apply(&self, recipe: &mut Table, value: &Value) -> Result<(), String> {
        let (first, rest) = (&self.path[0], &self.path[1..]);
        let mut stages: Vec<&mut Table> = match recipe.get_mut("stage") {
            Some(Value::Array(stages)) => stages.iter_mut().filter_map(Value::as_table_mut).collect(),
            _ => Vec::new(),
        };
        let has_key = stages.iter().any(|s| s.contains_key(first));
        if has_key {
            let with_key = stages.into_iter().filter(|s| s.contains_key(first));
            return with_key.into_iter().try_for_each(|s| set(s, &self.path, value));
        }
        let of_kind = |s: &Table| s.get("stage").and_then(Value::as_str) == Some(first);
        if !rest.is_empty() && stages.iter().any(|s| of_kind(s)) {
            stages.retain(|s| of_kind(s));
            return stages.into_iter().try_for_each(|s| set(s, rest, value));
        }
        set(recipe, &self.path, value)
    }
}

/// Sets the key at `path`, with the tables before it.
fn set(table: &mut Table, path: &[String], value: &Value) -> Result<(), String> {
    match path {
        [] => Ok(()),
        [key] => {
            match with_others(key, value) {
                Some(several) => table.extend(several.clone()),
                None => drop(table.insert(key.clone(), value.clone())),
            }
            Ok(())
        }
        [key, rest @ ..] => match table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => set(inner, rest, value),
            _ => Err(format!("`{key}` is no table, so that `{}` cannot vary", rest.join("."))),
        },
    }
}

/// The keys of a value that is set together with others: a table in which the axis' own key is one of several.
fn with_others<'a>(key: &str, value: &'a Value) -> Option<&'a Table> {
    value.as_table().filter(|table| table.contains_key(key))
}

/// A value as part of a file's name; lists and tables by their number, from 1.
fn label(key: &str, value: &Value, i: usize) -> String {
    let own = with_others(key, value).map_or(value, |table| &table[key]);
    let text = match own {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Table(_) => format!("{}", i + 1),
        other => other.to_string(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    text.chars().map(|c| if plain(c) { c } else { '-' }).collect()
}

/// The axes of `[vary]`: its lists, however deep.
fn axes(vary: &Table) -> Result<Vec<Axis>, String> {
    let mut axes = Vec::new();
    let mut open: Vec<(Vec<String>, &Table)> = vec![(Vec::new(), vary)];
    while let Some((path, table)) = open.pop() {
        for (key, value) in table {
            let path: Vec<String> = path.iter().chain([key]).cloned().collect();
            match value {
                Value::Table(inner) => open.push((path, inner)),
                Value::Array(values) if !values.is_empty() => axes.push(Axis {
                    path,
                    values: values.clone(),
                }),
                _ => return Err(format!("`vary.{}` must be a list of values", path.join("."))),
            }
        }
    }
    axes.sort_by_key(Axis::key);
    for axis in &axes {
        let mut labels: Vec<String> = (0..axis.values.len()).map(|i| axis.setting(i).value).collect();
        labels.sort();
        if let Some(pair) = labels.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("`vary.{}` has `{}` twice", axis.key(), pair[0]));
        }
    }
    Ok(axes)
}

/// All combinations, the last axis fastest; one of nothing without axes.
fn product(axes: &[Axis]) -> Vec<Vec<(&Axis, usize)>> {
    axes.iter().fold(vec![Vec::new()], |choices, axis| {
        let longer = |choice: &Vec<_>| -> Vec<Vec<(&Axis, usize)>> {
            let each = (0..axis.values.len()).map(|i| [choice.clone(), vec![(axis, i)]].concat());
            each.collect()
        };
        choices.iter().flat_map(longer).collect()
    })
}

/// The recipe of a point.
fn recipe(mut table: Table) -> Result<Recipe, String> {
    table.remove("vary");
    table.remove("target");
    let recipe: Recipe = table.try_into().map_err(|e: toml::de::Error| e.message().to_owned())?;
    recipe.checked()
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
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            let plan = Plan::load(&file).unwrap();
            if file.file_stem().unwrap() == "criteria-resnet20" {
                let compared = plan
                    .points
                    .iter()
                    .map(|p| p.recipe.stages[1].criterion.as_deref().unwrap());
                let mut compared: Vec<&str> = compared.collect();
                let mut all: Vec<&str> = crate::prune::CRITERIA.iter().map(|c| c.name).collect();
                compared.sort_unstable();
                all.sort_unstable();
                assert_eq!(compared, all);
                assert_eq!(plan.shared.len(), 1);
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
            ("sede = [1]", "sede=1: unknown field `sede`"),
            ("seed.more = [1]", "seed"),
            (
                "budget.macs = [0.5, 2.0]",
                "budget.macs=2.0: stage 2 (prune): `macs` of a budget",
            ),
        ] {
            let error = Plan::parse(&format!("{RECIPE}\n[vary]\n{vary}")).unwrap_err();
            assert!(error.contains(expected), "{vary}: {error}");
        }
        let error = Plan::parse(&format!("{RECIPE}\n[target]\nmacro = \"ideal\"\nchips = 0")).unwrap_err();
        assert!(error.contains("`export` stage") && error.contains("`chips`"), "{error}");
    }
}
