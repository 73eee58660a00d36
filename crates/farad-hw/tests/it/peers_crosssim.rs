//! CrossSim 3.2's SAR: its formula, written here once more from its equations, against the compatibility kinds with the same capacitors.

use crate::physics::{Uniform, column, moments};
use farad_core::draw::{Domain, StaticNormals};
use farad_hw::adc::crosssim;

/// CrossSim's default amplifier, 100 dB.
const GAIN: f64 = 1e5;

/// `V(c)` of CrossSim's `SarADC` over Vref, for all codes from 0. `e[n]` is the error of capacitor n, n = 0..=B.
fn formula(b: usize, e: &[f64], split: bool, gain: f64) -> Vec<f64> {
    let bit = |x: i64, n: usize| (x >> n & 1) as f64;
    let lsb = 1.0 / f64::from(1 << b);
    let half = 1i64 << (b - 1);
    (0..1i64 << b)
        .map(|c| {
            // X = 2^(B-1) - c below the middle and -X above; D is bit B - 1 of c - 2^(B-1).
            let x = (half - c).abs();
            let d = bit(c - half, b - 1);
            let (t, beta) = if split {
                let nh = b / 2;
                let cap = |n: usize| match n {
                    n if n < nh => 2f64.powi(n as i32) + e[n] * 2f64.powi(n as i32).sqrt(),
                    n if n < b - 1 => {
                        let units = 2f64.powi((n - nh) as i32);
                        units + e[n] * units.sqrt()
                    }
                    _ => 1.0 + e[b - 1],
                };
                let k = 2f64.powi(nh as i32) / (2f64.powi(nh as i32) - 1.0);
                let bridge = k + e[b] * k.sqrt();
                let cl_all: f64 = cap(b - 1) + (0..nh).map(cap).sum::<f64>();
                let cm_all: f64 = (nh..b - 1).map(cap).sum();
                let cl: f64 = (0..nh).map(|n| bit(x, n) * cap(n)).sum();
                let cm: f64 = (nh..b - 1).map(|n| bit(x, n) * cap(n)).sum();
                let det = (cl_all + bridge) * (cm_all + bridge) - bridge * bridge;
                let t = if c == 0 {
                    1.0
                } else {
                    (cl * bridge + cm * (cl_all + bridge)) / det
                };
                (t, 1.0)
            } else {
                let cap = |n: usize| 2f64.powi(n as i32) + e[n] * 2f64.powi(n as i32).sqrt();
                let load = 2f64.powi(b as i32 - 1) + e[b] * 2f64.powi(b as i32 - 1).sqrt();
                let t: f64 = (0..b).map(|n| bit(x, n) * cap(n)).sum();
                (t / cap(b - 1), load / (load + t))
            };
            (t * (1.0 - 2.0 * d) + lsb) / (1.0 + 1.0 / (gain * beta)) - lsb
        })
        .collect()
}

/// CrossSim's conversion: bit by bit, up if the input is above the level.
fn convert(v: &[f64], b: usize, input: f64) -> usize {
    let mut register = 0;
    for i in 0..b {
        let trial = register + (1 << (b - 1 - i));
        if input > v[trial] {
            register = trial;
        }
    }
    register
}

fn errors(b: usize, chip: u32) -> Vec<f64> {
    let mut draws = StaticNormals::new(chip, Domain::Adc, 0, 0, 0);
    (0..=b).map(|_| 0.02 * draws.next_sigmas()).collect()
}

/// 4 to 10 bits, whole and split, 20 converters of 2 % units each: levels to 1e-12 of themselves (of an LSB near zero), and the codes of 2000
/// inputs each.
#[test]
fn levels_and_codes_are_crosssim_s() {
    let mut random = Uniform(5);
    for split in [false, true] {
        for b in 4..=10_usize {
            let name = if split { "crosssim_sar_split" } else { "crosssim_sar" };
            let bits = b.to_string();
            let spec = column(
                64,
                &[("adc.kind", name), ("adc.bits", &bits), ("adc.mismatch_pct", "2.0")],
            );
            for chip in 0..20 {
                let e = errors(b, chip);
                let capacitors: Vec<f64> = crosssim::nominal_capacitors(b as u32, split)
                    .iter()
                    .zip(&e)
                    .map(|(units, error)| units + error * units.sqrt())
                    .collect();
                let lsb = 2.0 / f64::from(1 << b);
                for gain in [GAIN, f64::INFINITY] {
                    let theirs = formula(b, &e, split, gain);
                    let ours = crosssim::levels(&capacitors, split, gain);
                    assert_eq!(ours.len() + 1, theirs.len());
                    for (a, t) in ours.iter().zip(&theirs[1..]) {
                        assert!((a - t).abs() <= 1e-12 * t.abs().max(lsb), "{name} {b} bits: {a} {t}");
                    }
                }
                // The kind's own draws are these errors; it counts in LSB from a zero that has a code.
                let theirs = formula(b, &e, split, f64::INFINITY);
                let mut draws = StaticNormals::new(chip, Domain::Adc, 0, 0, 0);
                let levels = spec.adc.model().levels(&spec.adc, &mut || draws.next_sigmas());
                for _ in 0..2000 {
                    let input = random.next(40) as f64 / (1u64 << 39) as f64 - 1.0;
                    // The comparator is asked about level number k; ties have no probability.
                    let numbers: Vec<i32> = (0..levels.len() as i32).collect();
                    let at_least = &mut |k: i32| input / lsb - 0.5 >= levels[k as usize];
                    let code = spec.adc.model().convert(&spec.adc, true, &numbers, at_least).code;
                    assert_eq!(code, convert(&theirs, b, input), "{name} {b} bits at {input}");
                }
            }
        }
    }
}

/// The worst step of a sign-magnitude CDAC is at the quarters, `sigma sqrt(2^(B-1) - 1)` = 0.113 LSB for 1 % units at 8 bits; four times as
/// much where it is split. 4000 converters: known to 1.1 %.
#[test]
fn the_worst_step_is_at_the_quarters() {
    for (name, sigma) in [("crosssim_sar", 0.113), ("crosssim_sar_split", 0.464)] {
        let spec = column(64, &[("adc.kind", name), ("adc.mismatch_pct", "1.0")]);
        let step = |chip| {
            let mut draws = StaticNormals::new(chip, Domain::Adc, 0, 0, 0);
            let l = spec.adc.model().levels(&spec.adc, &mut || draws.next_sigmas());
            l[191] - l[190] - 1.0
        };
        let (_, got) = moments(&(0..4000).map(step).collect::<Vec<f64>>());
        assert!((got / sigma - 1.0).abs() < 0.05, "{name}: {got}");
    }
}
