//! INL and DNL: by hand, and of a chip's converters against theory.

use crate::physics::{Bench, assert_near, column, moments};
use farad_hw::adc::linearity::{Linearity, first_transition_lsb, missing_codes, transitions_lsb};

#[test]
fn by_hand() {
    // Two-bit converter of gain 1/2, a quarter LSB late, with its second code half as wide again as the mean.
    let l = Linearity::of_transitions(&[0.75, 3.75, 4.75], 0.5);
    assert_eq!(l.gain, 0.5);
    assert_eq!(l.offset_lsb, 0.125);
    assert_eq!(l.dnl_lsb, [0.5, -0.5]);
    assert_eq!(l.inl_lsb, [0.0, 0.5, 0.0]);
    // The same from what a ramp of four inputs per LSB hits.
    assert_eq!(Linearity::of_histogram(&[3, 12, 4, 9], 4.0).dnl_lsb, l.dnl_lsb);
    // One bit has one transition, and nothing to be uneven.
    let one = Linearity::of_transitions(&[0.25], 0.5);
    assert_eq!(
        (one.worst_inl_lsb(), one.worst_dnl_lsb(), one.offset_lsb),
        (0.0, 0.0, 0.25)
    );
}

#[test]
fn missing_codes_are_counted() {
    assert_eq!(missing_codes(&[-64, 0, 64]), 0);
    assert_eq!(missing_codes(&[-64, -64, 64]), 1);
    assert_eq!(missing_codes(&[-64, i32::MAX, i32::MAX]), 2);
}

/// Mid-scale of a binary CDAC of 1 % units, as the chip's staircase has it: sigma of DNL `sigma sqrt(2^B - 1)` = 0.160, of INL `sigma sqrt(2^B) / 2` =
/// 0.080 LSB. 4000 converters: known to 1.1 %; the axis rounds to 1/64 LSB.
#[test]
fn of_a_binary_cdac() {
    let spec = column(255, &[("adc.kind", "sar_conventional"), ("adc.mismatch_pct", "1.0")]);
    let (mut inl, mut dnl) = (Vec::new(), Vec::new());
    for chip in 0..125 {
        for adc in &Bench::new(&spec, chip, 4).model.adcs {
            let l = Linearity::of_transitions(&transitions_lsb(&adc.staircase, 8), first_transition_lsb(8));
            inl.push(l.inl_lsb[127]);
            dnl.push(l.dnl_lsb[126]);
        }
    }
    assert_eq!(inl.len(), 4000);
    assert_near(moments(&inl).1, 0.080, 0.04);
    assert_near(moments(&dnl).1, 0.160, 0.04);
}
