//! Value change dump (IEEE Std 1364), which GTKWave and Surfer open. Names are string variables, an extension that both read.

use super::{Fact, Span, Trace, Track};
use std::collections::BTreeMap;
use std::fmt::Write;

/// One variable of the file.
struct Variable {
    /// Short name in the file.
    id: String,
    scope: String,
    name: &'static str,
    kind: Kind,
    track: Track,
}

/// What a variable shows of its track's spans.
#[derive(Clone, Copy)]
enum Kind {
    /// The span's name; nothing between spans.
    Name,
    /// A fact, as bits; unknown between spans that have it.
    Bits(&'static str, u32),
    /// A fact, as a real number that stays until the next.
    Real(&'static str),
}

impl Trace {
    /// The file's text. The time unit is 1 ps.
    #[must_use]
    pub fn vcd(&self) -> String {
        let variables = self.variables();
        let mut out = String::from("$comment Farad $end\n$timescale 1 ps $end\n");
        let mut scope = "";
        for variable in &variables {
            if variable.scope != scope {
                if !scope.is_empty() {
                    out += "$upscope $end\n";
                }
                scope = &variable.scope;
                let _ = writeln!(out, "$scope module {scope} $end");
            }
            let (kind, width) = match variable.kind {
                Kind::Name => ("string", 1),
                Kind::Bits(_, width) => ("wire", width),
                Kind::Real(_) => ("real", 64),
            };
            let _ = writeln!(out, "$var {kind} {width} {} {} $end", variable.id, variable.name);
        }
        out += if scope.is_empty() { "" } else { "$upscope $end\n" };
        out += "$enddefinitions $end\n";
        // Later spans of the same clock overwrite what an earlier one's end says.
        let mut changes: BTreeMap<u64, BTreeMap<&str, String>> = BTreeMap::new();
        for variable in &variables {
            changes
                .entry(0)
                .or_default()
                .entry(&variable.id)
                .or_insert_with(|| variable.idle());
            for span in self.of_track(variable.track) {
                if let Some(value) = variable.value(span) {
                    changes.entry(span.start_clock).or_default().insert(&variable.id, value);
                    if !matches!(variable.kind, Kind::Real(_)) {
                        changes
                            .entry(span.end_clock)
                            .or_default()
                            .insert(&variable.id, variable.idle());
                    }
                }
            }
        }
        let ps_per_clock = 1e6 / self.clock_mhz;
        for (clock, values) in changes {
            let _ = writeln!(out, "#{:.0}", clock as f64 * ps_per_clock);
            for value in values.into_values() {
                out += &value;
                out.push('\n');
            }
        }
        out
    }

    fn variables(&self) -> Vec<Variable> {
        let mut variables = Vec::new();
        for track in self.tracks() {
            let scope = track.instance().map_or("network".to_string(), |i| format!("macro_{i}"));
            let kinds: &[(&'static str, Kind)] = match track {
                Track::Layers => &[("layer", Kind::Name), ("image", Kind::Bits("image", 32))],
                Track::Tiles(_) => &[("tile", Kind::Name)],
                Track::Array(_) => &[
                    ("array", Kind::Name),
                    ("position", Kind::Bits("position", 32)),
                    ("evaluation", Kind::Bits("evaluation", 4)),
                ],
                Track::Converters(_) => &[("converters", Kind::Name)],
                Track::Column(_) => &[
                    ("input_lsb", Kind::Real("input LSB")),
                    ("level_lsb", Kind::Real("level LSB")),
                    ("at_least", Kind::Bits("above", 1)),
                    ("code", Kind::Bits("code", self.adc_bits)),
                ],
            };
            for &(name, kind) in kinds {
                variables.push(Variable {
                    id: identifier(variables.len()),
                    scope: scope.clone(),
                    name,
                    kind,
                    track,
                });
            }
        }
        // Tracks of one instance are apart from each other in the order of tracks.
        variables.sort_by_key(|v| v.track.instance());
        variables
    }
}

impl Variable {
    /// The change that `span` makes.
    fn value(&self, span: &Span) -> Option<String> {
        let fact = |name| span.facts.iter().find(|(n, _)| *n == name).map(|(_, fact)| fact);
        match self.kind {
            Kind::Name => Some(format!("s{} {}", span.name.replace(char::is_whitespace, "_"), self.id)),
            Kind::Bits(name, _) => match fact(name)? {
                Fact::Count(n) => Some(format!("b{n:b} {}", self.id)),
                Fact::Real(_) => None,
            },
            Kind::Real(name) => match fact(name)? {
                Fact::Real(x) => Some(format!("r{x} {}", self.id)),
                Fact::Count(_) => None,
            },
        }
    }

    /// The value before and between spans.
    fn idle(&self) -> String {
        match self.kind {
            Kind::Name => format!("s- {}", self.id),
            Kind::Bits(..) => format!("bx {}", self.id),
            Kind::Real(_) => format!("r0 {}", self.id),
        }
    }
}

/// The `n`-th name of printable characters, in base 94 from `!`.
fn identifier(mut n: usize) -> String {
    let mut id = String::new();
    loop {
        id.push(char::from(b'!' + (n % 94) as u8));
        n /= 94;
        if n == 0 {
            return id;
        }
        n -= 1;
    }
}
