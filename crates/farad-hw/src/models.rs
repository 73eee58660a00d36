//! The macros that come with Farad, from `hw-models/`.

use crate::diagnostic::Diagnostics;
use crate::schema;
use crate::spec::MacroSpec;

/// One directory of `hw-models/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// Directory and macro name.
    pub name: &'static str,
    /// `macro.toml`.
    pub text: &'static str,
    /// `checks.toml`: published numbers.
    pub checks: &'static str,
    /// `CITATION.bib`.
    pub citation: &'static str,
    /// `README.md`.
    pub readme: &'static str,
}

macro_rules! models {
    ($($name:literal),* $(,)?) => {
        &[$(Model {
            name: $name,
            text: include_str!(concat!("../../../hw-models/", $name, "/macro.toml")),
            checks: include_str!(concat!("../../../hw-models/", $name, "/checks.toml")),
            citation: include_str!(concat!("../../../hw-models/", $name, "/CITATION.bib")),
            readme: include_str!(concat!("../../../hw-models/", $name, "/README.md")),
        }),*]
    };
}

const MODELS: &[Model] = models![
    "ideal",
    "ncku-charge-redistribution",
    "jia-jssc-2020",
    "lee-vlsi-2021",
    "wang-vlsi-2022",
    "sinangil-jssc-2021",
    "pessimistic",
];

impl Model {
    /// The macro, with `set` laid over it as in [`schema::parse`].
    ///
    /// # Errors
    /// What is wrong with `set`.
    pub fn spec(&self, set: &[(String, String)]) -> Result<MacroSpec, Diagnostics> {
        schema::parse(&self.file(), self.text, set)
    }

    /// Where its text is in the repository, for messages.
    #[must_use]
    pub fn file(&self) -> String {
        format!("hw-models/{}/macro.toml", self.name)
    }
}

/// All bundled macros.
#[must_use]
pub fn list() -> &'static [Model] {
    MODELS
}

/// The bundled macro called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}
