//! The axes of `[vary]`, and what their values change in a recipe.

use super::Setting;
use crate::recipe::Problem;
use toml::{Table, Value};

/// A key and the values that it takes.
pub(super) struct Axis {
    path: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Axis {
    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }

    /// The keys on the way to a value.
    pub(super) fn place(&self, i: usize) -> Vec<String> {
        let vary = ["vary".to_owned()].into_iter();
        vary.chain(self.path.iter().cloned()).chain([i.to_string()]).collect()
    }

    pub(super) fn setting(&self, i: usize) -> Setting {
        Setting {
            key: self.key(),
            value: label(&self.path[self.path.len() - 1], &self.values[i], i),
        }
    }

    /// Puts `value` where the key stands: into the stages that have the key; into the stages of a kind, if the key begins
    /// with one; else into the recipe.
    pub(super) fn apply(&self, recipe: &mut Table, value: &Value) -> Result<(), String> {
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

/// The axes of `[vary]`, its lists, however deep; and what is none.
pub(super) fn axes(vary: &Table) -> (Vec<Axis>, Vec<Problem>) {
    let (mut axes, mut wrong) = (Vec::new(), Vec::new());
    let mut refuse = |path: &[String], message: &str| {
        let at: Vec<&str> = ["vary"].into_iter().chain(path.iter().map(String::as_str)).collect();
        wrong.push(Problem::new(
            "T0107",
            &at,
            format!("`vary.{}` {message}", path.join(".")),
        ));
    };
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
                _ => refuse(&path, "must be a list of values"),
            }
        }
    }
    axes.sort_by_key(Axis::key);
    for axis in &axes {
        let mut labels: Vec<String> = (0..axis.values.len()).map(|i| axis.setting(i).value).collect();
        labels.sort();
        if let Some(pair) = labels.windows(2).find(|pair| pair[0] == pair[1]) {
            refuse(&axis.path, &format!("has `{}` twice", pair[0]));
        }
    }
    (axes, wrong)
}

/// All combinations, the last axis fastest; one of nothing without axes.
pub(super) fn product(axes: &[Axis]) -> Vec<Vec<(&Axis, usize)>> {
    axes.iter().fold(vec![Vec::new()], |choices, axis| {
        let longer = |choice: &Vec<_>| -> Vec<Vec<(&Axis, usize)>> {
            let each = (0..axis.values.len()).map(|i| [choice.clone(), vec![(axis, i)]].concat());
            each.collect()
        };
        choices.iter().flat_map(longer).collect()
    })
}
