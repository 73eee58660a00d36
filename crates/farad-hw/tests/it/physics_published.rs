//! Published chips as checks of the equations: what their components add up to, how they scale, and what their noise means.

use crate::bundled;
use crate::physics::{Bench, assert_near, column, moments};
use farad_core::EventCounts;
use farad_core::axis::add_noise;
use farad_hw::cost::{Energy, area, conversion_j, energy, full_use};
use farad_hw::{MacroSpec, limits, models, timing};

/// Energy of one input plane on the whole array, and its column evaluations.
fn plane(spec: &MacroSpec) -> (Energy, f64) {
    let events = full_use(spec, 0.5, 0.5);
    (
        energy(spec, &events, timing::mvm_s(spec), 1),
        events.column_evaluations as f64,
    )
}

/// Array with its drivers, pJ per column evaluation.
fn array_pj(spec: &MacroSpec) -> f64 {
    let (e, columns) = plane(spec);
    (e.array_j + e.driver_j) / columns * 1e12
}

fn jia(vdd_v: &str, clock_mhz: &str, more: &[(&str, &str)]) -> MacroSpec {
    let point = [
        ("input.bits", "1"),
        ("technology.vdd_v", vdd_v),
        ("timing.clock_mhz", clock_mhz),
    ];
    bundled("jia-jssc-2020", &[&point[..], more].concat())
}

/// Jia et al., JSSC 2020: a column evaluation of 2304 cells takes 9.7 pJ in the array and 1.79 pJ in the ADC at 0.85 V, 20.4 and 3.56 pJ at
/// 1.2 V, and 400 and 192 TOPS/W are reported: the parts add up to 401 and 192.3.
#[test]
fn jia_s_parts_add_up_to_its_efficiency() {
    for (vdd_v, clock, parts_pj, reported) in [("0.85", "40", [9.7, 1.79], 400.0), ("1.2", "100", [20.4, 3.56], 192.0)]
    {
        // The constants that give these parts at this supply.
        let bare = jia(
            vdd_v,
            clock,
            &[
                ("energy.at_vdd_v", vdd_v),
                ("energy.cell_overhead_ff", "0"),
                ("adc.decision_fj", "0"),
            ],
        );
        let v2 = bare.technology.vdd_v.powi(2);
        let overhead_ff = (parts_pj[0] - array_pj(&bare)) * 1e3 / (2304.0 / 4.0 * v2);
        let switching_pj = conversion_j(&bare.adc, bare.technology.vdd_v, &EventCounts::default()) * 1e12;
        let decision_fj = (parts_pj[1] - switching_pj) * 1e3 / 8.0;
        let (overhead, decision) = (overhead_ff.to_string(), decision_fj.to_string());
        let spec = jia(
            vdd_v,
            clock,
            &[
                ("energy.at_vdd_v", vdd_v),
                ("energy.cell_overhead_ff", &overhead),
                ("adc.decision_fj", &decision),
            ],
        );
        let (e, columns) = plane(&spec);
        let tops_per_watt = 2.0 * 2304.0 * columns / (e.array_j + e.driver_j + e.adc_j) * 1e-12;
        assert_near(tops_per_watt, 2.0 * 2304.0 / parts_pj.iter().sum::<f64>(), 1e-3);
        assert_near(tops_per_watt, reported, 0.01);
    }
}

/// 54 clocks of 25 or 10 ns for 2304 x 256 products: 0.874 and 2.185 TOPS.
#[test]
fn jia_s_throughput_is_geometry_and_clocks() {
    for (vdd_v, clock, tops) in [("0.85", "40", 0.874), ("1.2", "100", 2.185)] {
        let spec = jia(vdd_v, clock, &[]);
        assert_near(2.0 * 2304.0 * 256.0 / timing::mvm_s(&spec) * 1e-12, tops, 1e-3);
    }
}

/// C V^2 from 0.85 to 1.2 V is 1.99; the array's energy rose 20.4 / 9.7 = 2.10 times.
#[test]
fn jia_s_array_scales_as_c_v_squared() {
    let ratio = array_pj(&jia("1.2", "100", &[])) / array_pj(&jia("0.85", "40", &[]));
    assert_near(ratio, 1.99, 0.005);
    assert_near(ratio, 20.4 / 9.7, 0.06);
}

/// The regression over published ADCs by Andrulis et al. (Accelergy's ADC plug-in) times 0.275 and 0.4, the factors with which CiMLoop
/// describes Jia's chip, is that chip's ADC: 1.785 pJ and 1955 um^2.
#[test]
fn jia_s_adc_on_the_regression_of_published_adcs() {
    let (bits, node_nm, rate) = (8.0_f64, 65.0_f64, 1.0 / 1.35e-6_f64);
    let fom_db = (213.781 - 2.8719 * rate.ln()).min(128.307 + 3.2205 * bits);
    let energy_pj = 0.5
        * 10f64.powf((6.0206 * bits + 1.761 - fom_db) / 10.0)
        * (26.0496 + 1.88 * node_nm.ln() - 2.8291 * bits.ln() - 1.4702).exp();
    let area_um2 = (1.3462 + 0.9933 * node_nm.ln() + 0.1807 * rate.ln() + 0.2991 * energy_pj.ln()).exp();
    assert_near(0.275 * energy_pj, 1.785, 0.002);
    assert_near(0.4 * area_um2, 1955.0, 0.002);
    let spec = jia("0.85", "40", &[]);
    assert_near(
        conversion_j(&spec.adc, 0.85, &EventCounts::default()) * 1e12,
        0.275 * energy_pj,
        0.01,
    );
    assert_near(area(&spec).adc_um2 / 256.0, 0.4 * area_um2, 0.01);
}

/// The best converter of Murmann's survey (revision of 2025-06-09) takes 0.354 fJ per conversion step, and 8 kT SNR is less still: a macro
/// whose ADC beat either would be wrong.
#[test]
fn no_adc_beats_the_survey() {
    for model in models::list().iter().filter(|m| m.name != "ideal") {
        let spec = bundled(model.name, &[]);
        let conversion_j = conversion_j(&spec.adc, spec.technology.vdd_v, &EventCounts::default());
        let step_fj = conversion_j * 1e15 / spec.adc.codes() as f64;
        assert!(step_fj > 0.354, "{}: {step_fj} fJ per step", model.name);
        assert!(
            conversion_j > limits::thermal_adc_j(spec.adc.bits, 300.0),
            "{}",
            model.name
        );
    }
    // The survey's best against the floor, at 8 bits: 91 fJ and 3.26 fJ.
    assert_near(limits::thermal_adc_j(8, 300.0), 3.26e-15, 1e-3);
}

/// MC2-RAM reports a sigma of 0.14 mV for columns of 576 cells. Cells of 1 fF with 1 % at 1 V, all assumed, make `sigma_u V_DD sqrt(m (1 - m) /
/// N)` = 0.21 mV at half charge: the same order.
#[test]
fn mc2_ram_s_sigma_is_of_this_order() {
    let spec = column(576, &[("array.mismatch_pct", "1.0"), ("technology.vdd_v", "1.0")]);
    let volts = |chip| {
        let b = Bench::new(&spec, chip, 1);
        b.seen(0, 0, b.charge(0, 0, |row| row < 288)) / b.scale.lsb_counts * b.scale.lsb_v
    };
    let (_, sigma_v) = moments(&(0..2000).map(volts).collect::<Vec<f64>>());
    // 2000 chips know sigma to 1.6 %.
    assert_near(sigma_v, 0.01 * (0.25_f64 / 576.0).sqrt(), 0.05);
    assert!((0.5..2.0).contains(&(sigma_v / 0.14e-3)), "{sigma_v} V");
}

/// CR-CIM reports 45 dB of SQNR with 10 bits and 31 dB of CSNR with everything. The first says that the signal's sigma is
/// `10^(45/20) / sqrt(12)` = 51 LSB, both together that all noise is 1.42 LSB. A column with that signal and that noise has both, so
/// quantisation (0.29 LSB) is the lesser part. What the noise consists of is not published; only the sum is tested.
#[test]
fn cr_cim_is_limited_by_noise() {
    let rows = 1088;
    let snr_db = |noise_lsb: &str| {
        let spec = column(rows, &[("adc.bits", "10"), ("noise.comparator_lsb", noise_lsb)]);
        let b = Bench::new(&spec, 0, 1);
        let transfer = b.model.outputs[0].slots[0].transfer;
        // Uniform over 188 counts around the middle: sigma of 54.3 counts, 51 LSB of 1.064 counts.
        let (mut signal, mut error, mut n) = (Vec::new(), 0.0, 0.0);
        for ones in rows / 2 - 94..=rows / 2 + 94 {
            let clean = transfer.apply(ones as f32);
            for u in (32..=u16::MAX).step_by(64) {
                let input = i32::from(add_noise(clean, b.scale.noise.sigma[0], u));
                let code = b.model.adcs[0].staircase.partition_point(|&level| level <= input);
                error += (code as f64 * b.scale.lsb_counts - ones as f64).powi(2);
                n += 1.0;
            }
            signal.push(ones as f64);
        }
        10.0 * (moments(&signal).1.powi(2) / (error / n)).log10()
    };
    let (sqnr_db, csnr_db) = (snr_db("0"), snr_db("1.417"));
    assert!((sqnr_db - 45.0).abs() < 2.0, "SQNR {sqnr_db} dB");
    assert!((csnr_db - 31.0).abs() < 2.0, "CSNR {csnr_db} dB");
}
