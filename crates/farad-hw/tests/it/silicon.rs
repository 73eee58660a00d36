//! Chips that nothing was fitted to.

use farad_hw::silicon::{Domain, Group, Silicon, error_factor, median_error, silicon};

fn chips() -> Silicon {
    silicon().unwrap_or_else(|e| panic!("{e}"))
}

/// The published throughput is rounded to its last digit.
#[test]
fn throughput_is_geometry_and_time() {
    let all = chips();
    for chip in &all.chips {
        let Some(published) = chip.published_tops else {
            continue;
        };
        let text = published.to_string();
        let decimals = text.split_once('.').map_or(0, |(_, d)| d.len());
        let half_digit = 0.5 * 10f64.powi(-(decimals as i32));
        assert!(
            (chip.tops - published).abs() <= half_digit * 1.0001,
            "{}: {} instead of {published}",
            chip.name,
            chip.tops
        );
    }
}

/// The model as it is must be of use for a chip that nobody has measured: within a factor of two for half of the chips.
#[test]
fn the_median_energy_is_within_a_factor_of_two() {
    let all = chips();
    assert!(all.of(Group::Known, Some(Domain::Charge)).count() >= 11);
    for domain in [None, Some(Domain::Charge)] {
        let median = median_error(all.of(Group::Known, domain).map(|c| c.unfitted));
        assert!(median < 2.0, "{median}");
    }
}

#[test]
fn a_median_is_the_middle_factor() {
    assert_eq!(median_error([0.5, 4.0, 1.0]), 2.0);
    assert_eq!(median_error([0.5, 8.0]), 4.0);
    assert!(median_error([]).is_nan());
}

/// One factor changes the scale and nothing else; a chip that is left out does not pull the factor towards itself, and those that are not
/// known do not pull at all.
#[test]
fn factors_are_what_they_say() {
    let all = chips();
    let mean_log: f64 = all.of(Group::Known, None).map(|c| c.scaled.ln()).sum();
    assert!(mean_log.abs() < 1e-9);
    for chip in &all.chips {
        assert!((chip.scaled / chip.unfitted / all.factor - 1.0).abs() < 1e-12);
        assert!((chip.energy.total_j() / chip.published_j / chip.unfitted - 1.0).abs() < 1e-12);
        assert!(error_factor(chip.left_out) >= error_factor(chip.scaled) - 1e-12);
    }
}
