//! The CDAC and its trial codes.

use super::{Experiment, OPTIONS, SWITCH, line};
use crate::adc::cdac::Cdac;
use std::fmt::Write;

/// Clock period of a code, ns: reset, step, sample.
const PERIOD_NS: usize = 10;

impl Experiment {
    /// The CDAC stepped through all trial codes; `v1`, `v2`, .. are its output for code 1, 2, ... `None` for a converter without CDAC.
    ///
    /// The converter gives at least code k if the column's voltage, plus half the reference if charge has two signs, plus half
    /// an LSB, reaches `v<k>`.
    #[must_use]
    pub fn cdac_netlist(&self) -> Option<String> {
        let cdac = self.circuit.cdac.as_ref()?;
        let mut text = self.header("the CDAC, code by code");
        let unit_f = self.spec.adc.unit_cap_ff * 1e-15;
        let codes = self.spec.adc.codes();
        line(&mut text, format!(".param vref={}", self.circuit.reference_v));
        text += "\n* Plates are reset to 0 with all bottom plates at 0, then the bottom plates of a trial code step to the reference.\n";
        line(&mut text, format!("Vphi phi 0 PULSE(0 1 1n 10p 10p 3n {PERIOD_NS}n)"));
        text += SWITCH;
        let bit = |text: &mut String, k: usize| {
            // Period p tries code p + 1; bits rise after the reset and fall at its end.
            let _ = write!(text, "Vbit{k} bit{k} 0 PWL(0 0");
            for p in (0..codes - 1).filter(|p| (p + 1) >> k & 1 == 1) {
                let t = PERIOD_NS * p;
                let _ = write!(
                    text,
                    "\n+ {}n 0 {}n {{vref}} {}n {{vref}} {}n 0",
                    t + 5,
                    t + 6,
                    t + 9,
                    t + PERIOD_NS
                );
            }
            text.push_str(")\n");
        };
        let capacitor = |text: &mut String, name: &str, from: &str, to: &str, units: f64| {
            line(text, format!("C{name} {from} {to} {:e}", units * unit_f));
        };
        match cdac {
            Cdac::Binary { capacitors, dummy } => {
                for (k, units) in capacitors.iter().enumerate() {
                    bit(&mut text, k);
                    capacitor(&mut text, &k.to_string(), "dac", &format!("bit{k}"), *units);
                }
                capacitor(&mut text, "dummy", "dac", "0", *dummy);
            }
            Cdac::Split {
                low,
                high,
                dummy,
                bridge,
            } => {
                for (k, units) in low.iter().chain(high).enumerate() {
                    bit(&mut text, k);
                    let plate = if k < low.len() { "low" } else { "dac" };
                    capacitor(&mut text, &k.to_string(), plate, &format!("bit{k}"), *units);
                }
                capacitor(&mut text, "dummy", "low", "0", *dummy);
                capacitor(&mut text, "bridge", "low", "dac", *bridge);
                text += "Slow low 0 phi 0 switch\n";
            }
        }
        text += "Sdac dac 0 phi 0 switch\n";
        text += OPTIONS;
        line(&mut text, format!(".tran 5n {}n", PERIOD_NS * (codes - 1)));
        for k in 1..codes {
            line(
                &mut text,
                format!(".meas tran v{k} find v(dac) at={}n", PERIOD_NS * (k - 1) + 8),
            );
        }
        Some(text + ".end\n")
    }
}
