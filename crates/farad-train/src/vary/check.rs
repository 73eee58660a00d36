//! Which combinations of values are recipes that can be followed.

use super::axis::{Axis, product};
use super::{Point, Setting, name};
use crate::recipe::{Problem, Recipe, Words};
use toml::Table;

/// What the points are made of.
pub(super) struct Variations<'a> {
    /// The text's keys.
    pub(super) base: Table,
    /// What is wrong with those, whatever varies.
    pub(super) known: Vec<Problem>,
    pub(super) problems: &'a dyn Fn(&Recipe) -> Vec<Problem>,
}

/// What became of a choice of values.
struct Varied {
    /// None if it cannot even be read.
    recipe: Option<Recipe>,
    /// What is wrong that is not wrong without these values.
    wrong: Vec<String>,
}

impl Variations<'_> {
    fn vary(&self, choice: &[(&Axis, usize)]) -> Varied {
        match self.recipe(choice) {
            Ok(recipe) => {
                let problems = (self.problems)(&recipe).into_iter();
                let own = problems.filter(|problem| !self.known.contains(problem));
                Varied {
                    recipe: Some(recipe),
                    wrong: own.map(|problem| problem.message).collect(),
                }
            }
            Err(message) => Varied {
                recipe: None,
                wrong: vec![message],
            },
        }
    }

    fn recipe(&self, choice: &[(&Axis, usize)]) -> Result<Recipe, String> {
        let mut table = self.base.clone();
        for (axis, i) in choice {
            axis.apply(&mut table, &axis.values[*i])?;
        }
        table.remove("vary");
        table.remove("target");
        table.try_into().map_err(|error| {
            let key = choice.first().map_or(String::new(), |(axis, _)| axis.key());
            let words = Words::new(&error, &key);
            match words.help {
                Some(help) => format!("{} ({help})", words.message),
                None => words.message,
            }
        })
    }

    /// The points, and what is wrong with them: once, at a value, where that is wrong with whatever others; else for each
    /// point.
    pub(super) fn points(&self, axes: &[Axis]) -> (Vec<Point>, Vec<Problem>) {
        let varied: Vec<(Vec<(&Axis, usize)>, Varied)> = product(axes)
            .into_iter()
            .map(|choice| {
                let varied = self.vary(&choice);
                (choice, varied)
            })
            .collect();
        let mut problems = Vec::new();
        // Axis, value, whether it cannot be read, message.
        let mut told = Vec::new();
        for (a, axis) in axes.iter().enumerate() {
            for i in 0..axis.values.len() {
                let alone = self.vary(&[(axis, i)]);
                let unreadable = alone.recipe.is_none();
                for message in alone.wrong {
                    let lasts = |(choice, varied): &(Vec<(&Axis, usize)>, Varied)| {
                        choice[a].1 != i || varied.recipe.is_none() || !unreadable && varied.wrong.contains(&message)
                    };
                    if varied.iter().all(lasts) {
                        problems.push(Problem {
                            code: "T0107",
                            at: axis.place(i),
                            message: format!("{}: {message}", name(&[axis.setting(i)])),
                        });
                        told.push((a, i, unreadable, message));
                    }
                }
            }
        }
        let mut points = Vec::new();
        for (choice, varied) in varied {
            let settings: Vec<Setting> = choice.iter().map(|&(axis, i)| axis.setting(i)).collect();
            for message in varied.wrong {
                let is_told = told.iter().any(|(a, i, unreadable, of_value)| {
                    choice[*a].1 == *i && (*unreadable && varied.recipe.is_none() || *of_value == message)
                });
                if !is_told {
                    problems.push(Problem::new(
                        "T0107",
                        &["vary"],
                        format!("{}: {message}", name(&settings)),
                    ));
                }
            }
            points.extend(varied.recipe.map(|recipe| Point {
                settings,
                recipe,
                shared: None,
            }));
        }
        (points, problems)
    }
}
