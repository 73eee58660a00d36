//! The Chrome trace event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open: an event per span, a process per macro.

use super::{Fact, Span, Trace, Track};
use crate::error::ReportError;
use serde_json::{Map, Value, json};

/// Process of the network; instance `i` has the number after it and `i`.
const NETWORK: usize = 1;

impl Trace {
    /// The JSON text. Times are in microseconds, as the format has it; every event also says its clocks.
    ///
    /// # Errors
    /// [`ReportError::Json`], which no trace built by Farad makes happen.
    pub fn chrome(&self) -> Result<String, ReportError> {
        let mut events = Vec::new();
        for track in self.tracks() {
            let process = track.instance().map_or("network".to_string(), |i| format!("macro {i}"));
            events.push(metadata("process_name", track, &process));
            events.push(metadata("thread_name", track, track.name()));
        }
        events.extend(self.spans.iter().map(|span| self.event(span)));
        Ok(serde_json::to_string(&json!({ "displayTimeUnit": "ns", "traceEvents": events }))? + "\n")
    }

    fn event(&self, span: &Span) -> Value {
        let clocks = span.end_clock - span.start_clock;
        let mut args = Map::new();
        args.insert("clock".into(), span.start_clock.into());
        args.insert("clocks".into(), clocks.into());
        for (name, fact) in &span.facts {
            let value = match fact {
                Fact::Count(n) => (*n).into(),
                Fact::Real(x) => (*x).into(),
            };
            args.insert((*name).into(), value);
        }
        json!({
            "name": span.name, "ph": "X", "pid": process(span.track), "tid": thread(span.track),
            "ts": span.start_clock as f64 / self.clock_mhz, "dur": clocks as f64 / self.clock_mhz, "args": args,
        })
    }
}

fn metadata(kind: &str, track: Track, name: &str) -> Value {
    json!({ "name": kind, "ph": "M", "pid": process(track), "tid": thread(track), "args": { "name": name } })
}

fn process(track: Track) -> usize {
    track.instance().map_or(NETWORK, |i| NETWORK + 1 + i)
}

fn thread(track: Track) -> usize {
    match track {
        Track::Layers | Track::Tiles(_) => 1,
        Track::Array(_) => 2,
        Track::Converters(_) => 3,
        Track::Column(_) => 4,
    }
}
