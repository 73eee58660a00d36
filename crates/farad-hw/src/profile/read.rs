//! From a CSV to a [`Profile`], or to everything that is wrong with it.
//!
//! A line of names, then a row per column or converter; empty cells and `nan` are fields that were not measured. Lines that begin with `#` are
//! comments, but for `# chip: N`, `# columns: N` and `# adcs: N`.

use super::{Amount, Measured, Profile};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source, did_you_mean};
use crate::spec::MacroSpec;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

/// Problems that are told; a file in the wrong format has one in each line.
const MOST_PROBLEMS: usize = 100;

/// Fields of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Instance,
    Column,
    Adc,
    OffsetLsb,
    OffsetMv,
    Gain,
    GainErrorPct,
    NoiseLsb,
    NoiseMv,
    /// Of the transition to a code.
    Inl(u32),
}

/// Names in the header, but for `inl_lsb[CODE]`.
const FIELDS: [(&str, Field); 9] = [
    ("instance", Field::Instance),
    ("column", Field::Column),
    ("adc", Field::Adc),
    ("offset_lsb", Field::OffsetLsb),
    ("offset_mv", Field::OffsetMv),
    ("gain", Field::Gain),
    ("gain_error_pct", Field::GainErrorPct),
    ("noise_lsb", Field::NoiseLsb),
    ("noise_mv", Field::NoiseMv),
];

impl Field {
    fn named(name: &str) -> Option<Self> {
        let code = name.strip_prefix("inl_lsb[").and_then(|rest| rest.strip_suffix(']'));
        match code {
            Some(code) => code.parse().ok().filter(|&code| code > 0).map(Self::Inl),
            None => FIELDS.iter().find(|(n, _)| *n == name).map(|(_, field)| *field),
        }
    }

    /// What a value may be.
    fn range(self) -> RangeInclusive<f64> {
        match self {
            Self::Instance | Self::Column | Self::Adc => 0.0..=f64::from(u32::MAX),
            Self::Gain => 0.01..=100.0,
            Self::GainErrorPct => -99.0..=9900.0,
            Self::NoiseLsb | Self::NoiseMv => 0.0..=1e4,
            Self::OffsetLsb | Self::OffsetMv | Self::Inl(_) => -1e4..=1e4,
        }
    }

    fn is_number_of_something(self) -> bool {
        matches!(self, Self::Instance | Self::Column | Self::Adc)
    }
}

/// Reads the profile in `text` for a macro; `file_name` is what messages call it.
///
/// # Errors
/// Every malformed row, and every way in which the measured chip is not one of `spec`.
///
/// ```
/// let spec = farad_hw::models::find("ideal").expect("bundled").spec(&[])?;
/// let profile = farad_hw::profile::parse("chip.csv", "column,offset_lsb,gain\n255,0.5,1.01\n", &spec)?;
/// assert_eq!(profile.column(7, 255).and_then(|m| m.gain), Some(1.01));
/// # Ok::<(), farad_hw::diagnostic::Diagnostics>(())
/// ```
pub fn parse(file_name: &str, text: &str, spec: &MacroSpec) -> Result<Profile, Diagnostics> {
    let mut reader = Reader {
        spec,
        about: BTreeMap::new(),
        header: Vec::new(),
        seen: BTreeMap::new(),
        profile: Profile::default(),
        problems: Vec::new(),
    };
    reader.read(text);
    if reader.problems.is_empty() {
        return Ok(reader.profile);
    }
    let mut list = reader.problems;
    list.sort_by(|a, b| a.labels[0].0.cmp(&b.labels[0].0));
    let more = list.len().saturating_sub(MOST_PROBLEMS);
    list.truncate(MOST_PROBLEMS);
    if let Some(last) = list.last_mut().filter(|_| more > 0) {
        last.help = Some(format!("{more} more problems follow"));
    }
    Err(Diagnostics {
        sources: vec![Source {
            name: file_name.to_owned(),
            text: text.to_owned(),
        }],
        list,
    })
}

struct Reader<'a> {
    spec: &'a MacroSpec,
    /// `# KEY: NUMBER` lines.
    about: BTreeMap<String, (u32, Place)>,
    header: Vec<Option<Field>>,
    /// Rows by what they are about, where they were first.
    seen: BTreeMap<(bool, Option<u32>, u32), Place>,
    profile: Profile,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn tell(&mut self, code: &'static str, message: String, labels: Vec<(Place, String)>, help: &str) {
        self.problems.push(Diagnostic {
            code,
            message,
            labels,
            help: (!help.is_empty()).then(|| help.to_owned()),
        });
    }

    fn read(&mut self, text: &str) {
        let mut start = 0;
        let mut has_header = false;
        for line in text.split_inclusive('\n') {
            let at = start..start + line.trim_end().len();
            start += line.len();
            // Spreadsheets put a mark at the beginning.
            let bare = line.trim().trim_start_matches('\u{feff}').trim_start();
            if bare.is_empty() {
            } else if let Some(comment) = bare.strip_prefix('#') {
                self.comment(comment, at);
            } else if has_header {
                self.row(text, at);
            } else {
                has_header = true;
                self.header(text, at);
            }
        }
        if !has_header {
            let help = "the first line names the fields, such as `column,offset_lsb,gain,noise_lsb`";
            let label = (Place::new(0, 0..0), "nothing here".to_owned());
            self.tell("E0301", "the profile is empty".to_owned(), vec![label], help);
        }
        let (columns, adcs) = (self.spec.conversions(), self.spec.adcs());
        self.check_count(true, "columns", columns);
        self.check_count(false, "adcs", adcs);
    }

    fn comment(&mut self, comment: &str, at: Range<usize>) {
        let Some((key, value)) = comment.split_once(':') else {
            return;
        };
        let key = key.trim();
        if !["chip", "columns", "adcs"].contains(&key) {
            return;
        }
        let place = Place::new(0, at);
        match value.trim().parse() {
            Ok(number) => {
                if key == "chip" {
                    self.profile.chip = number;
                }
                self.about.insert(key.to_owned(), (number, place));
            }
            Err(_) => {
                let label = (place, format!("expected `# {key}: N`"));
                self.tell("E0303", format!("`{key}` is not a number"), vec![label], "");
            }
        }
    }

    fn header(&mut self, text: &str, at: Range<usize>) {
        let mut places: BTreeMap<Field, Place> = BTreeMap::new();
        for (cell, span) in cells(text, at.clone()) {
            let place = Place::new(0, span);
            let field = Field::named(cell);
            match field {
                None => {
                    let mut known = FIELDS.map(|(name, _)| name).to_vec();
                    known.push("inl_lsb[CODE]");
                    let help = did_you_mean(cell, &known);
                    let label = (place, "no field of this name".to_owned());
                    let message = format!("`{}` is not a field of a profile", cell.escape_debug());
                    self.tell("E0301", message, vec![label], &help);
                }
                Some(field) => {
                    if let Some(first) = places.insert(field, place.clone()) {
                        let labels = vec![(place, "here again".to_owned()), (first, "first here".to_owned())];
                        self.tell("E0301", format!("the field `{cell}` is there twice"), labels, "");
                    }
                }
            }
            self.header.push(field);
        }
        let place = || Place::new(0, at.clone());
        if !self
            .header
            .iter()
            .any(|f| matches!(f, None | Some(Field::Column | Field::Adc)))
        {
            let label = (place(), "names neither `column` nor `adc`".to_owned());
            let help = "a row is about one column or one ADC: say which in a field of that name";
            self.tell("E0301", "rows would be about nothing".to_owned(), vec![label], help);
        }
        self.check_codes(&places);
    }

    /// That the INL has a value for every transition of the macro's ADC.
    fn check_codes(&mut self, places: &BTreeMap<Field, Place>) {
        let codes: Vec<(u32, &Place)> = places
            .iter()
            .filter_map(|(field, place)| match field {
                Field::Inl(code) => Some((*code, place)),
                _ => None,
            })
            .collect();
        let Some((last, place)) = codes.last() else {
            return;
        };
        let transitions = self.spec.adc.codes() - 1;
        if codes.len() != transitions || *last as usize != transitions {
            let message = format!(
                "the profile has the INL of {} transitions, the last to code {last}; an ADC of {} bits has {transitions}",
                codes.len(),
                self.spec.adc.bits
            );
            let labels = vec![((*place).clone(), "the last one".to_owned())];
            let help =
                "give inl_lsb[1] to the last code, all of them, or set `adc.bits` of the macro to those of the chip";
            self.tell("E0306", message, labels, help);
        }
    }

    fn row(&mut self, text: &str, at: Range<usize>) {
        let cells: Vec<(&str, Range<usize>)> = cells(text, at.clone()).collect();
        let line = Place::new(0, at);
        if cells.len() != self.header.len() {
            let message = format!("a row of {} cells under {} fields", cells.len(), self.header.len());
            self.tell("E0302", message, vec![(line, "this row".to_owned())], "");
            return;
        }
        let told = self.problems.len();
        let mut row: BTreeMap<Field, (f64, Place)> = BTreeMap::new();
        for (i, (cell, span)) in cells.into_iter().enumerate() {
            let Some(field) = self.header[i] else { continue };
            if let Some(value) = self.cell(field, cell, &span) {
                row.insert(field, (value, Place::new(0, span)));
            }
        }
        if self.problems.len() > told {
            return;
        }
        let number = |field| row.get(&field).map(|(value, _): &(f64, Place)| *value as u32);
        let (is_column, number) = match (number(Field::Column), number(Field::Adc)) {
            (Some(column), None) => (true, column),
            (None, Some(adc)) => (false, adc),
            _ => {
                let help = "a row is about one column or about one ADC: fill one of the two";
                let label = (line, "both, or neither, of `column` and `adc`".to_owned());
                self.tell(
                    "E0304",
                    "a row about nothing in particular".to_owned(),
                    vec![label],
                    help,
                );
                return;
            }
        };
        let instance = row.get(&Field::Instance).map(|(value, _)| *value as u32);
        if let Some(first) = self.seen.insert((is_column, instance, number), line.clone()) {
            let what = if is_column { "column" } else { "ADC" };
            let labels = vec![(line, "here again".to_owned()), (first, "first here".to_owned())];
            self.tell("E0305", format!("{what} {number} is there twice"), labels, "");
            return;
        }
        let Some(measured) = self.measured(&row, is_column, &line) else {
            return;
        };
        self.profile.insert(is_column, (instance, number), measured);
    }

    fn cell(&mut self, field: Field, cell: &str, span: &Range<usize>) -> Option<f64> {
        if cell.is_empty() || cell.eq_ignore_ascii_case("nan") {
            return None;
        }
        let name = self.header_name(field);
        let range = field.range();
        let value = cell.parse::<f64>().ok();
        let expected = match value {
            None => "expected a number, or nothing".to_owned(),
            Some(v) if field.is_number_of_something() && (v.fract() != 0.0 || !range.contains(&v)) => {
                "expected a whole number from 0".to_owned()
            }
            Some(v) if !range.contains(&v) => format!("expected {} to {}", range.start(), range.end()),
            Some(v) => return Some(v),
        };
        let message = format!("`{}` is no {name}", cell.escape_debug());
        self.tell("E0303", message, vec![(Place::new(0, span.clone()), expected)], "");
        None
    }

    fn header_name(&self, field: Field) -> String {
        match field {
            Field::Inl(code) => format!("inl_lsb[{code}]"),
            _ => FIELDS
                .iter()
                .find(|(_, f)| *f == field)
                .map_or_else(String::new, |(name, _)| (*name).to_owned()),
        }
    }

    /// The fields of a row; `None` after telling what contradicts itself, or the macro.
    fn measured(&mut self, row: &BTreeMap<Field, (f64, Place)>, is_column: bool, line: &Place) -> Option<Measured> {
        let told = self.problems.len();
        for (a, b) in [
            (Field::OffsetLsb, Field::OffsetMv),
            (Field::Gain, Field::GainErrorPct),
            (Field::NoiseLsb, Field::NoiseMv),
        ] {
            if let (Some((_, first)), Some((_, second))) = (row.get(&a), row.get(&b)) {
                let labels = vec![
                    (first.clone(), "once".to_owned()),
                    (second.clone(), "and again".to_owned()),
                ];
                self.tell(
                    "E0304",
                    "one figure in two units".to_owned(),
                    labels,
                    "leave one of them empty",
                );
            }
        }
        let value = |field| row.get(&field).map(|(value, _): &(f64, Place)| *value);
        let amount = |lsb, mv| value(lsb).map(Amount::Lsb).or(value(mv).map(Amount::Millivolts));
        let noise = amount(Field::NoiseLsb, Field::NoiseMv);
        if noise.is_some() && self.spec.noise_of_peer() {
            let label = (line.clone(), "has a noise of its own".to_owned());
            let help = "leave the noise empty, or the macro's model of another simulator out";
            let message = "the macro's noise is that of another simulator".to_owned();
            self.tell("E0307", message, vec![label], help);
        }
        let inl: Vec<(f64, &Place)> = row
            .iter()
            .filter(|(field, _)| matches!(field, Field::Inl(_)))
            .map(|(_, (value, place))| (*value, place))
            .collect();
        let inl_fields = self
            .header
            .iter()
            .flatten()
            .filter(|f| matches!(f, Field::Inl(_)))
            .count();
        if let Some((_, place)) = inl.first() {
            if inl.len() < inl_fields {
                let message = format!("the INL of {} of {inl_fields} transitions", inl.len());
                let label = ((*place).clone(), "this one is there".to_owned());
                self.tell("E0304", message, vec![label], "fill all of them, or none");
            }
            if is_column && self.spec.adc.columns_per_adc > 1 {
                let message = format!("the INL of a column whose ADC serves {}", self.spec.adc.columns_per_adc);
                let label = ((*place).clone(), "belongs to the ADC".to_owned());
                self.tell("E0307", message, vec![label], "give it in a row of `adc`");
            }
        }
        (self.problems.len() == told).then(|| Measured {
            offset: amount(Field::OffsetLsb, Field::OffsetMv),
            gain: value(Field::Gain).or(value(Field::GainErrorPct).map(|pct| 1.0 + pct / 100.0)),
            noise,
            inl_lsb: (!inl.is_empty()).then(|| inl.iter().map(|(value, _)| *value).collect()),
        })
    }

    /// That the measured chip has as many columns (or ADCs) as the macro: as many as it says, or as the last row says.
    fn check_count(&mut self, is_column: bool, what: &str, has: usize) {
        let rows = self.seen.iter().filter(|((column, _, _), _)| *column == is_column);
        let last = rows.max_by_key(|((_, _, number), _)| *number);
        let last = last.map(|((_, _, number), place)| (*number as usize + 1, place.clone()));
        let said = self.about.get(what).map(|(n, place)| (*n as usize, place.clone()));
        // Rows that could not be read may have been the last ones.
        let by_rows = self.problems.is_empty() && said.is_none();
        let wrong = [said, last.filter(|(n, _)| by_rows || *n > has)];
        for (found, at) in wrong.into_iter().flatten().filter(|(found, _)| *found != has) {
            let message = format!(
                "the profile is of a chip with {found} {what}, macro `{}` has {has}",
                self.spec.name
            );
            let columns = "a column is a conversion: a physical column, or an output whose columns are merged; ";
            let help = format!(
                "{}`# {what}: N` at the top says how many the chip has, if not all were measured",
                if is_column { columns } else { "" }
            );
            self.tell("E0306", message, vec![(at, "according to this".to_owned())], &help);
        }
    }
}

/// The cells of a line with their places, without blanks and quotes.
fn cells(text: &str, line: Range<usize>) -> impl Iterator<Item = (&str, Range<usize>)> {
    let mut start = line.start;
    text[line].split(',').map(move |raw| {
        let first = start + (raw.len() - raw.trim_start_matches(is_wrapping).len());
        let cell = raw.trim_matches(is_wrapping);
        start += raw.len() + 1;
        (cell, first..first + cell.len())
    })
}

fn is_wrapping(c: char) -> bool {
    c.is_whitespace() || c == '"' || c == '\u{feff}'
}
