//! Settings of a criterion, as a recipe gives them.

use super::Criterion;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Keys of a criterion and their values. What is not there has its default.
pub type Settings = Map<String, Value>;

/// A result whose error says what is wrong in a recipe.
pub type Checked<T> = Result<T, String>;

/// All settings of a criterion.
fn all<C: Serialize>(criterion: &C) -> Settings {
    match serde_json::to_value(criterion) {
        Ok(Value::Object(settings)) => settings,
        _ => Settings::new(),
    }
}

/// The criterion with `settings` laid over its defaults.
///
/// # Errors
/// The key that it does not have, or cannot take.
pub(super) fn read<C>(settings: &Settings) -> Checked<C>
where
    C: Criterion + Default + Serialize + DeserializeOwned,
{
    let defaults = all(&C::default());
    let mut laid = Value::Object(defaults.clone());
    for (key, value) in settings {
        if !defaults.contains_key(key) {
            let known: Vec<String> = defaults.keys().map(|key| format!("`{key}`")).collect();
            return Err(match known.as_slice() {
                [] => format!("it has no settings, and so no `{key}`"),
                known => format!("it has no setting `{key}`; it has {}", known.join(", ")),
            });
        }
        laid[key] = value.clone();
        C::deserialize(&laid).map_err(|e| format!("setting `{key}`: {e}"))?;
    }
    let criterion = C::deserialize(laid).map_err(|e| e.to_string())?;
    criterion.check()?;
    Ok(criterion)
}

/// `settings` with all that they leave to the defaults.
///
/// # Errors
/// As [`read`].
pub(super) fn complete<C>(settings: &Settings) -> Checked<Settings>
where
    C: Criterion + Default + Serialize + DeserializeOwned,
{
    Ok(all(&read::<C>(settings)?))
}

/// The error that the setting `key` must be `what`, unless `ok`.
pub(super) fn must(ok: bool, key: &str, what: &str) -> Checked<()> {
    if ok {
        Ok(())
    } else {
        Err(format!("setting `{key}` must be {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prune::{CRITERIA, criterion};

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let entry = criterion("polarization").unwrap();
        let all = entry.complete(&settings("t = 2")).unwrap();
        assert_eq!(all, settings("rho = 1e-4\nt = 2.0"));
        // Complete settings stay as they are.
        for entry in CRITERIA {
            let defaults = entry.complete(&Settings::new()).unwrap();
            assert_eq!(entry.complete(&defaults).unwrap(), defaults, "{}", entry.name);
        }
    }

    #[test]
    fn settings_that_are_not_right_are_named() {
        for (name, text, parts) in [
            ("network-slimming", "rate = 1", &["no setting `rate`", "`rho`"][..]),
            ("taylor", "rho = 1", &["no settings"]),
            ("polarization", "t = 'x'", &["setting `t`", "expected f64"]),
            ("polarization", "rho = 1e-3\nt = -1", &["setting `t`", "at least 0"]),
            ("sfp", "rate = 1.0", &["setting `rate`", "below 1"]),
            ("vcnnp", "images = 0", &["criterion `vcnnp`", "setting `images`"]),
            (
                "variational-mask",
                "lambda = { quantile = 1 }",
                &["setting `lambda`", "quantile between 0 and 1"],
            ),
            (
                "variational-mask",
                "lambda = 'x'",
                &["setting `lambda`", "a number, or"],
            ),
            (
                "variational-mask",
                "log_variance = 'la place'",
                &["setting `log_variance`", "laplace"],
            ),
            (
                "variational-mask",
                "divergence = 'x'",
                &["setting `divergence`", "molchanov"],
            ),
        ] {
            let error = criterion(name).unwrap().criterion(0, &settings(text)).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
