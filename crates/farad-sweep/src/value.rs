//! What can be set, and to what.

use std::fmt;
use toml::de::DeValue;

/// One thing that a run is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parameter {
    /// `network`
    Network,
    /// `macro`
    Macro,
    /// `profile`
    Profile,
    /// `calibration`
    Calibration,
    /// `data`
    Data,
    /// `images`
    Images,
    /// `chips`
    Chips,
    /// `seed`
    Seed,
    /// `engine`
    Engine,
    /// `pixel_max`
    PixelMax,
    /// `mean`
    Mean,
    /// `std`
    Std,
    /// `note`: a word of the user's own for plots and tables; no result depends on it.
    Note,
    /// A key of the macro, `table.key`.
    Set(String),
}

/// Names of all parameters but the macro's keys; those of the command line, `-` written as `_`.
const NAMES: [(&str, Parameter); 13] = [
    ("network", Parameter::Network),
    ("macro", Parameter::Macro),
    ("profile", Parameter::Profile),
    ("calibration", Parameter::Calibration),
    ("data", Parameter::Data),
    ("images", Parameter::Images),
    ("chips", Parameter::Chips),
    ("seed", Parameter::Seed),
    ("engine", Parameter::Engine),
    ("pixel_max", Parameter::PixelMax),
    ("mean", Parameter::Mean),
    ("std", Parameter::Std),
    ("note", Parameter::Note),
];

impl Parameter {
    /// The parameter of this name: one of the command line's, or `table.key`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name.contains('.') {
            return Some(Self::Set(name.to_owned()));
        }
        NAMES.iter().find(|(n, _)| *n == name).map(|(_, p)| p.clone())
    }

    /// Names of all parameters but the macro's keys.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Set(key) => key,
            _ => NAMES.iter().find(|(_, p)| p == self).map_or("", |(name, _)| name),
        }
    }
}

/// What a parameter is set to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A count.
    Integer(i64),
    /// A quantity.
    Real(f64),
    /// A switch.
    Flag(bool),
    /// A choice, a name, a path.
    Text(String),
    /// One number for each channel.
    List(Vec<f64>),
}

impl Value {
    /// From TOML.
    ///
    /// # Errors
    /// What it is instead.
    pub(crate) fn from_toml(value: &DeValue<'_>) -> Result<Self, &'static str> {
        match value {
            DeValue::String(s) => Ok(Self::Text(s.to_string())),
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix())
                .map(Self::Integer)
                .map_err(|_| "an integer beyond 64 bits"),
            DeValue::Float(f) => match f.as_str().parse::<f64>() {
                Ok(real) if real.is_finite() => Ok(Self::Real(real)),
                _ => Err("not a finite number"),
            },
            DeValue::Boolean(b) => Ok(Self::Flag(*b)),
            DeValue::Datetime(_) => Err("a date"),
            DeValue::Table(_) => Err("a table"),
            DeValue::Array(items) => {
                let numbers = items
                    .iter()
                    .map(|item| Self::from_toml(item.get_ref()).ok()?.number())
                    .collect::<Option<_>>();
                numbers.map(Self::List).ok_or("an array of other things than numbers")
            }
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(i) => Some(*i as f64),
            Self::Real(r) => Some(*r),
            _ => None,
        }
    }

    /// As `--set` takes it: a word without quotes where that is no other TOML value.
    #[must_use]
    pub fn setting(&self) -> String {
        match self {
            Self::Text(text) if DeValue::parse(text).is_ok() => format!("{text:?}"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(i) => write!(f, "{i}"),
            // With a point or an exponent, so that it stays a TOML float.
            Self::Real(r) => write!(f, "{r:?}"),
            Self::Flag(b) => write!(f, "{b}"),
            Self::Text(text) => f.write_str(text),
            Self::List(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(|n| format!("{n:?}")).collect();
                write!(f, "[{}]", numbers.join(", "))
            }
        }
    }
}
