//! Clocks, counted by hand.

use crate::bundled;
use farad_hw::timing::{EvaluationTiming, evaluation_timing, mvm_clocks, mvm_s, planes_per_evaluation};

#[test]
fn pipelined_planes_hide_the_array_behind_the_adc() {
    // Array: precharge, broadcast, multiply, two sharing steps. ADC: sample, skip test, 8 decisions.
    let spec = bundled("ncku-charge-redistribution", &[]);
    let expected = EvaluationTiming {
        array_clocks: 5,
        adc_clocks: 10,
        total_mvm_clocks: 8 * 10 + 5 + 1,
    };
    assert_eq!(evaluation_timing(&spec), expected);
}

#[test]
fn without_a_pipeline_stages_add_up() {
    let spec = bundled("ncku-charge-redistribution", &[("timing.pipelined", "false")]);
    assert_eq!(mvm_clocks(&spec), 8 * (5 + 10) + 1);
}

#[test]
fn a_slow_array_hides_the_adc() {
    let spec = bundled("ncku-charge-redistribution", &[("timing.multiply", "20")]);
    assert_eq!(mvm_clocks(&spec), 8 * 24 + 10 + 1);
}

#[test]
fn planes_merged_on_capacitors_convert_once() {
    let spec = bundled(
        "ncku-charge-redistribution",
        &[("input.combine", "serial_share"), ("timing.pipelined", "false")],
    );
    assert_eq!(planes_per_evaluation(&spec), 8);
    // Eight planes of six array clocks (one more sharing step), one conversion.
    assert_eq!(mvm_clocks(&spec), 8 * 6 + 10 + 1);
}

#[test]
fn columns_that_share_an_adc_wait_for_it() {
    let spec = bundled("ncku-charge-redistribution", &[("adc.columns_per_adc", "4")]);
    assert_eq!(spec.adcs(), 8);
    assert_eq!(evaluation_timing(&spec).adc_clocks, 40);
}

#[test]
fn a_row_dac_takes_as_many_evaluations_as_it_has_to() {
    assert_eq!(mvm_clocks(&bundled("lee-vlsi-2021", &[])), 48);
    assert_eq!(mvm_clocks(&bundled("lee-vlsi-2021", &[("input.bits", "8")])), 2 * 48);
}

/// 54 clocks per plane and 25 ns per clock (Jia et al., JSSC 2020).
#[test]
fn jia_takes_54_clocks_per_plane() {
    let spec = bundled("jia-jssc-2020", &[("input.bits", "1")]);
    assert_eq!(mvm_clocks(&spec), 54);
    assert!((mvm_s(&spec) - 1.35e-6).abs() < 1e-15);
}
