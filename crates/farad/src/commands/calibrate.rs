//! `farad calibrate`

use crate::cli::CalibrateArgs;
use crate::failure::{Failure, Status};
use crate::files;
use crate::inputs;
use crate::terminal::Terminal;
use farad_hw::calibration::{Calibration, Trim};
use farad_hw::scale::Scale;
use farad_map::Mapping;
use farad_net::Network;
use farad_report::report::DatasetInfo;
use farad_report::text::{Align, TextTable};
use farad_report::units::short_name;
use farad_sim::CalibrateConfig;
use farad_sweep::calibration::CalibrationFile;
use farad_sweep::inputs::{check_images, dataset, set_preprocess, workload};

pub(crate) fn run(args: &CalibrateArgs, terminal: &Terminal) -> Result<Status, Failure> {
    let hw = inputs::hw_by_name(&args.hw.hw, &args.hw.set, args.profile.as_deref())?;
    if !hw.spec.adc.range.follows_charges() && !hw.spec.noise.has_trims() {
        return Err(Failure::input(format!(
            "macro `{}` has nothing to calibrate: give it a range that follows charges, such as --set adc.range=mse, or a trim, such as --set \
             noise.offset_trim_lsb=0.25",
            hw.spec.name
        )));
    }
    let mut network = inputs::network(&args.network.network)?;
    set_preprocess(&mut network, inputs::preprocess(&args.preprocess))?;
    let data = dataset(&network, args.data.data.as_deref(), inputs::here())?;
    let images = check_images(&network, &data, Some(args.images))?;
    let workload = workload(&network, &data).map_err(Failure::from_input)?;
    let mapping = farad_map::map(&hw.spec, network.mac_layers()).map_err(Failure::from_input)?;
    let config = CalibrateConfig {
        images,
        chips: args.chips,
        seed: args.seed,
        threads: args.threads.threads.into(),
    };
    let calibration =
        farad_sim::calibrate(&workload, &hw.spec, &mapping, &config).map_err(|e| Failure::Other(e.into()))?;
    let made_with = DatasetInfo {
        name: data.name.clone(),
        split: data.split.clone(),
        images: images as u64,
        images_requested: images as u64,
    };
    let file = CalibrationFile::new(&calibration, &network, &hw.spec, &hw.info, made_with);
    let json = file.json().map_err(|e| Failure::Other(e.into()))?;
    files::write(&args.output, json.as_bytes(), terminal)?;
    terminal.print(&text(&calibration, &network, &mapping, &hw.spec, terminal))?;
    Ok(Status::Done)
}

/// Ranges by layer, and how far the trims went.
fn text(
    calibration: &Calibration,
    network: &Network,
    mapping: &Mapping,
    spec: &farad_hw::MacroSpec,
    terminal: &Terminal,
) -> String {
    let mut text = format!("range         {}\n", spec.adc.range);
    let all: Vec<Trim> = calibration.trims.values().flatten().copied().collect();
    let noise = &spec.noise;
    let offsets = (
        "offset trim",
        noise.offset_trim,
        "LSB",
        1.0,
        all.iter().map(|t| t.offset).collect(),
    );
    let gains = (
        "gain trim",
        noise.gain_trim,
        "%",
        100.0,
        all.iter().map(|t| t.gain).collect(),
    );
    for (name, step, unit, scale, steps) in [offsets, gains] {
        let steps: Vec<i32> = steps;
        if step.size > 0.0 {
            let most = steps.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
            let at_end = steps
                .iter()
                .filter(|s| step.most > 0 && s.unsigned_abs() == step.most)
                .count();
            let size = step.size * scale;
            text.push_str(&format!(
                "{name:<14}{most} steps of {size} {unit} at most, {at_end} of {} ADCs at the last one\n",
                steps.len()
            ));
        }
    }
    let mut table = TextTable::new([
        ("layer", Align::Left),
        ("tiles", Align::Right),
        ("mean charge", Align::Right),
        ("sigma", Align::Right),
        ("counts in an LSB", Align::Right),
        ("at full range", Align::Right),
    ]);
    let layers = network
        .mac_layers()
        .iter()
        .zip(&mapping.layers)
        .zip(&calibration.charges);
    for ((layer, mapped), charges) in layers {
        let mean = |of: &dyn Fn(usize) -> f64| {
            let tiles = mapped.tiles.len();
            format!("{:.2}", (0..tiles).map(of).sum::<f64>() / tiles.max(1) as f64)
        };
        let stats = |tile: usize| {
            if charges.len() == 1 {
                charges.first()
            } else {
                charges.get(tile)
            }
        };
        let lsb = |tile: usize, stats| Scale::new(spec, mapped.tiles[tile].rows(), stats).lsb_counts;
        table.row([
            short_name(&layer.name, 40),
            mapped.tiles.len().to_string(),
            mean(&|tile| stats(tile).map_or(0.0, |s| s.mean)),
            mean(&|tile| stats(tile).map_or(0.0, |s| s.sigma)),
            mean(&|tile| lsb(tile, stats(tile))),
            mean(&|tile| lsb(tile, None)),
        ]);
    }
    text.push('\n');
    text.push_str(&table.render(terminal.look()));
    text + "\n"
}
