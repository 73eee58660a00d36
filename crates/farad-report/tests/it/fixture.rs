//! A report made by hand: round numbers, so that what is derived from them can be checked by eye.

use farad_report::Report;
use farad_report::report::*;

/// A residual network of `layers` layers on `chips` chips; chip `c` loses `c` tenths of a point.
pub(crate) fn report(layers: usize, chips: usize) -> Report {
    let layers: Vec<LayerReport> = (0..layers).map(layer).collect();
    let energy_j: f64 = layers.iter().map(|l| l.energy_j.total()).sum();
    let sum = |part: fn(&LayerReport) -> u64| layers.iter().map(part).sum::<u64>();
    let macs = sum(|l| l.macs);
    let chips: Vec<ChipAccuracy> = (0..chips as u32)
        .map(|chip| ChipAccuracy {
            chip,
            images: 1000,
            top1: 0.9 - 0.001 * f64::from(chip),
            top5: 0.99,
        })
        .collect();
    let mean = chips.iter().map(|c| c.top1).sum::<f64>() / chips.len() as f64;
    Report {
        schema: SCHEMA.into(),
        farad_version: "0.1.0".into(),
        semantics: SEMANTICS,
        partial: false,
        network: NetworkInfo {
            name: "resnet".into(),
            sha256: "00ff".into(),
            params: sum(|l| l.params),
            macs,
            bops: 64 * macs,
            bops_uniq: 90 * macs,
        },
        hw: MacroInfo {
            name: "ncku-charge-redistribution".into(),
            sha256: "ff00".into(),
            set: [("adc.bits".to_string(), "6".to_string())].into(),
            ..MacroInfo::default()
        },
        dataset: DatasetInfo {
            name: "cifar10".into(),
            split: "test".into(),
            images: 1000,
            images_requested: 1000,
        },
        seed: 7,
        engine: "fast".into(),
        accuracy: Accuracy {
            top1: mean,
            top1_digital: 0.905,
            top5: 0.99,
            top5_digital: 0.992,
            mean,
            std: 0.002,
            p05: mean - 0.003,
            by_image: ByImage::default(),
            chips_requested: chips.len() as u64,
            chips,
        },
        per_image: PerImage {
            energy_j,
            energy_by_component_j: ComponentEnergy::default(),
            latency_s: 2e-4,
            cycles: sum(|l| l.cycles),
            conversions: sum(|l| l.conversions),
        },
        totals: Totals {
            area_mm2: 1.25,
            macro_area_um2: MacroArea {
                array: 8000.0,
                drivers: 1000.0,
                adc: 6000.0,
                digital: 4000.0,
                other: 1000.0,
            },
            tops_per_watt: 2.0 * macs as f64 / energy_j / 1e12,
            tops: 0.5,
            tiles: sum(|l| l.tiles),
            instances: 40,
            utilization: 0.61,
        },
        layers,
        attribution: None,
        host: HostInfo {
            wall_s: 12.0,
            images_per_s: 83.0,
            macs_per_s: 3.4e9,
            conversions_per_s: 1e9,
            threads: 2,
            isa: "avx512".into(),
            peak_rss_bytes: 120_000_000,
        },
    }
}

fn layer(i: usize) -> LayerReport {
    let scale = 1.0 + (i % 5) as f64;
    let n = 1000 * (1 + i as u64);
    let code_histogram = (0..256)
        .map(|code| (1e5 * f64::exp(-((f64::from(code) - 128.0) / (10.0 + 2.0 * i as f64)).powi(2))) as u64)
        .collect();
    LayerReport {
        name: format!("stage{}/block{}/conv{}", i / 6, i / 2 % 3, i % 2),
        op: if i == 19 { "dense" } else { "conv2d" }.into(),
        macs: 40 * n,
        params: n,
        bops: 64 * 40 * n,
        bops_uniq: 90 * 40 * n,
        tiles: 1 + i as u64 / 2,
        rows_used: 100 * (1 + i as u64 / 2),
        columns_used: 128 * (1 + i as u64 / 2),
        utilization: 0.5 + 0.02 * i as f64,
        lost: UtilizationLost {
            rows_unused: 0.3 - 0.015 * i as f64,
            columns_unused: 0.15 - 0.003 * i as f64,
            columns_leftover: 0.05 - 0.002 * i as f64,
            block_diagonal: 0.0,
        },
        conversions: n,
        cycles: 10 * n,
        latency_s: 1e-8 * n as f64,
        energy_j: ComponentEnergy {
            array: 2e-9 * scale,
            adc: 5e-9 * scale,
            driver: 0.5e-9,
            accumulator: 0.2e-9 * scale,
            digital: 1e-9,
            buffer: 0.6e-9,
            weight_load: 0.0,
            leakage: 0.1e-9,
        },
        sqnr_db: if i == 2 { None } else { Some(30.0 - i as f64) },
        clip_rate: if i == 3 { 1e-6 } else { 0.001 * i as f64 },
        skip_rate: 0.4,
        lsb_counts: 4.5,
        code_histogram,
    }
}
