use farad_data::Dataset;
use farad_train::rng::{Purpose, Rng};
use farad_train::{Event, Recipe, Run};
use std::path::Path;

const NETWORK: &str = r#"
name = "tiny"
input = [8, 8, 1]
layers = [
    { conv = 12 }, { pool = "max" },
    { residual = [{ conv = 12 }, { conv = 12, activation = "none" }] },
    { pool = "average" }, { dense = 2 },
]
"#;

/// Noise with a bright bar, upright or lying, somewhere.
fn bars(split: &str, images: usize) -> Dataset {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..images {
        let mut rng = Rng::new(11, Purpose::Order, i as u32, u32::from(split == "test"));
        let (label, place) = (rng.below(2), 1 + rng.below(6));
        for y in 0..8 {
            for x in 0..8 {
                let bar = if label == 0 { x == place } else { y == place };
                pixels.push((rng.below(60) + if bar { 150 } else { 20 }) as u8);
            }
        }
        labels.push(label as u16);
    }
    Dataset {
        name: "bars".to_owned(),
        split: split.to_owned(),
        height: 8,
        width: 8,
        channels: 1,
        classes: 2,
        pixels,
        labels,
    }
}

pub(crate) fn recipe(folder: &Path, stages: &str) -> Recipe {
    let network = folder.join("tiny.toml");
    std::fs::write(&network, NETWORK).unwrap();
    let text = format!(
        "network = {network:?}\ndataset = \"bars\"\nseed = 3\nbatch = 32\naverage = 0.8\nweight_decay = 1e-4\naugment = {{ crop = 1, flip = \"random\" }}\n{stages}"
    );
    Recipe::parse(&text).unwrap()
}

pub(crate) const STAGES: &str = r#"
[[stage]]
stage = "dense"
epochs = 2
rate = [[0, 0.05], [2, 0.05]]
[[stage]]
stage = "variational"
epochs = 2
rate = [[0, 0.05], [2, 0.02]]
criterion = "variational-mask"
budget = { params = 0.5, min_keep = 2 }
variational = { lambda = 4, delay = 0, images = 256 }
[[stage]]
stage = "finetune"
epochs = 2
rate = [[0, 0.02], [2, 0.0]]
"#;

pub(crate) fn start(recipe: &Recipe, checkpoint: &Path) -> Run {
    Run::new(recipe.clone(), bars("train", 256), bars("test", 200), checkpoint).unwrap()
}

/// Everything that the network computes with, by name.
pub(crate) fn values(run: &Run) -> Vec<(String, Vec<u32>)> {
    let parameters = run.model().parameters().iter();
    parameters
        .map(|(name, p)| {
            let values = p.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (name.clone(), values.iter().map(|v| v.to_bits()).collect())
        })
        .collect()
}

#[test]
fn a_recipe_learns_and_prunes_to_its_budget() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), STAGES);
    let mut run = start(&recipe, &folder.path().join("a"));
    assert!(run.follow(&|| false, &mut |_| {}).unwrap());
    let rows = run.rows();
    assert_eq!(rows.len(), 6);
    let (dense, last) = (&rows[1], &rows[5]);
    // Two classes: chance is one half.
    assert!(last.accuracy.unwrap() > 0.95, "{rows:?}");
    assert!(last.params * 2 <= dense.params && last.params > 0);
    assert!(last.widths.iter().all(|&w| (2..=12).contains(&w)));
    assert!(run.model().parameters().keys().all(|name| !name.starts_with("mask.")));
}

#[test]
fn a_stopped_run_ends_as_an_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(folder.path(), STAGES);
    let whole = folder.path().join("whole");
    let mut run = start(&recipe, &whole);
    run.follow(&|| false, &mut |_| {}).unwrap();
    let expected = values(&run);
    let measured = |run: &Run| {
        let rows = run.rows().iter();
        rows.map(|r| (r.accuracy, r.log_alpha.clone())).collect::<Vec<_>>()
    };
    let undisturbed = measured(&run);
    // The masks of the two variational epochs, of 12 channels in each of the two groups.
    let masked = undisturbed.iter().map(|(_, log_alpha)| log_alpha.iter().sum::<u32>());
    assert_eq!(masked.collect::<Vec<_>>(), [0, 0, 24, 24, 0, 0]);

    // 48 steps in all: stopped after every seventh, in all stages, and made anew from the file.
    let parts = folder.path().join("parts");
    let mut restarts = 0;
    let resumed = loop {
        let mut run = start(&recipe, &parts);
        let steps = std::cell::Cell::new(0);
        let mut count = |event: Event<'_>| {
            if let Event::Step { .. } = event {
                steps.set(steps.get() + 1);
            }
        };
        if run.follow(&|| steps.get() == 7, &mut count).unwrap() {
            break run;
        }
        restarts += 1;
    };
    assert_eq!(restarts, 6);
    assert_eq!(values(&resumed), expected);
    assert_eq!(measured(&resumed), undisturbed);
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("c");
    // Weights grow by a factor of 449 in each of 16 steps.
    let fast = Recipe {
        weight_decay: 0.5,
        ..recipe(folder.path(), &STAGES.replace("0.05", "900"))
    };
    let error = start(&fast, &checkpoint).follow(&|| false, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("stage 1 (dense)"), "{error}");

    let refuse = |recipe: Recipe| Run::new(recipe, bars("train", 256), bars("test", 200), &checkpoint).unwrap_err();

    // A run that stops after the dense stage: its checkpoint is for its own recipe only.
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) == 20;
    let own = recipe(folder.path(), STAGES);
    assert!(!start(&own, &checkpoint).follow(&stop, &mut |_| {}).unwrap());
    assert!(!start(&own, &checkpoint).rows().is_empty());
    let error = refuse(recipe(folder.path(), &STAGES.replace("0.05", "0.06")));
    assert!(
        error
            .to_string()
            .contains("another recipe, which differs in what has been done already (`stage 1: rate`, `stage 2: rate`)"),
        "{error}"
    );

    // What no training can change is said before it.
    let elsewhere = folder.path().join("d");
    let greedy = recipe(folder.path(), &STAGES.replace("params = 0.5", "params = 0.001"));
    let error = Run::new(greedy, bars("train", 256), bars("test", 200), &elsewhere).unwrap_err();
    assert!(error.to_string().contains("budget cannot be met"), "{error}");

    // The next stage has begun, though it has made no step: its masks are on.
    let error = refuse(recipe(folder.path(), &STAGES.replace("lambda = 4", "lambda = 5")));
    assert!(error.to_string().contains("(`stage 2: settings.lambda`)"), "{error}");
    // Nor can its network, whose masks train, be the start of another recipe.
    let from = |checkpoint: &Path| Recipe {
        from: Some(checkpoint.display().to_string()),
        ..recipe(folder.path(), DENSE)
    };
    let start_from = |checkpoint: &Path| {
        Run::new(
            from(checkpoint),
            bars("train", 256),
            bars("test", 200),
            &folder.path().join("n"),
        )
        .unwrap_err()
    };
    let error = start_from(&checkpoint);
    assert!(
        error
            .to_string()
            .contains("c: it was left in the middle of a stage with masks"),
        "{error}"
    );

    // What has not begun may still change.
    assert!(
        !start(
            &recipe(folder.path(), &STAGES.replace("[2, 0.0]", "[2, 0.01]")),
            &checkpoint
        )
        .rows()
        .is_empty()
    );

    // An int8 network goes on from its file. Stored as integers, weights that are no numbers would be some again.
    let [int8, diverged] = ["int8", "diverged"].map(|name| folder.path().join(name));
    let stages = format!(
        "{DENSE}[[stage]]\nstage = \"qat\"\nepochs = 3\nrate = [[0, 0.001]]\nqat = {{ relative_rates = false }}"
    );
    start(&recipe(folder.path(), &stages), &int8)
        .follow(&|| false, &mut |_| {})
        .unwrap();
    let error = start_from(&int8);
    assert!(error.to_string().contains("start from the `network.onnx`"), "{error}");
    let fast = Recipe {
        weight_decay: 0.5,
        ..recipe(folder.path(), &stages.replace("0.001", "900"))
    };
    let error = start(&fast, &diverged).follow(&|| false, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains(".weight` is no number at step"), "{error}");

    std::fs::write(&checkpoint, b"half a file").unwrap();
    let error = refuse(recipe(folder.path(), STAGES));
    assert!(error.to_string().contains("no checkpoint of Farad"), "{error}");
}

/// Neither to go on with nor to start from.
#[test]
fn a_checkpoint_of_another_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dense = recipe(folder.path(), DENSE);
    let first = folder.path().join("first");
    start(&dense, &first).follow(&|| false, &mut |_| {}).unwrap();
    for (from, to, expected) in [
        // Another number of groups, and another shape of one.
        (
            "{ conv = 12 }, { pool",
            "{ conv = 12 }, { conv = 12 }, { pool",
            "of the network",
        ),
        (
            "{ conv = 12 }, { pool",
            "{ conv = 12, kernel = 5 }, { pool",
            "`conv1.weight`",
        ),
    ] {
        let other = folder.path().join("other.toml");
        std::fs::write(&other, NETWORK.replacen(from, to, 1)).unwrap();
        let other = Recipe {
            network: other.display().to_string(),
            ..dense.clone()
        };
        let from = Recipe {
            from: Some(first.display().to_string()),
            ..other.clone()
        };
        for (recipe, checkpoint) in [(other, first.clone()), (from, folder.path().join("new"))] {
            let error = Run::new(recipe, bars("train", 256), bars("test", 200), &checkpoint).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.to_string().contains("first: a checkpoint of "), "{error}");
        }
    }
}

#[test]
fn a_recipe_can_start_from_the_network_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let dense = recipe(
        folder.path(),
        "[[stage]]\nstage = \"dense\"\nepochs = 4\nrate = [[0, 0.05], [4, 0.0]]",
    );
    let mut run = start(&dense, &first);
    run.follow(&|| false, &mut |_| {}).unwrap();
    let trained = run.rows()[3].accuracy;

    let stages = "[[stage]]\nstage = \"prune\"\ncriterion = \"l1-norm\"\nbudget = { params = 1.0 }";
    let mut pruned = recipe(folder.path(), stages);
    pruned.from = Some(first.display().to_string());
    let mut run = start(&pruned, &second);
    run.follow(&|| false, &mut |_| {}).unwrap();
    // Nothing had to go, so it is the same network.
    assert_eq!(run.rows()[0].accuracy, trained);
}

/// Masks and penalties of whichever criterion train in one stage, which then removes channels to its budget.
#[test]
fn every_criterion_can_train() {
    for criterion in farad_train::prune::CRITERIA {
        let folder = tempfile::tempdir().unwrap();
        let stages = format!(
            "images = 64\n[[stage]]\nstage = \"variational\"\nepochs = 1\nrate = [[0, 0.05]]\n\
             criterion = \"{}\"\nbudget = {{ conversions = 0.8, macs = 0.5, min_keep = 2, macro = \"pessimistic\", fill = true }}\n\
             absorb = true",
            criterion.name
        );
        let mut run = start(&recipe(folder.path(), &stages), &folder.path().join("c"));
        let full = run.model().graph().total_cost(&run.model().graph().full_widths());
        run.follow(&|| false, &mut |_| {}).unwrap();
        assert!(run.rows()[0].macs * 2 <= full.macs, "{}", criterion.name);
    }
}

/// A mask that starts at its equilibrium, in a stage that begins and ends in pieces; then the control, whose weights are
/// new.
#[test]
fn what_a_stage_finds_at_its_start_is_in_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let stages = STAGES
        .replace(
            "variational = { lambda = 4, delay = 0, images = 256 }",
            "settings = { lambda = { quantile = 0.4 }, log_variance = \"laplace\", delay = 0, images = 256 }\nabsorb = true",
        )
        .replace("stage = \"finetune\"", "stage = \"finetune\"\nfresh = true");
    let recipe = recipe(folder.path(), &stages);
    let finish = |file: &str, steps_at_once: u64| loop {
        let mut run = start(&recipe, &folder.path().join(file));
        let steps = std::cell::Cell::new(0);
        let mut count = |event: Event<'_>| {
            if let Event::Step { .. } = event {
                steps.set(steps.get() + 1);
            }
        };
        if run.follow(&|| steps.get() == steps_at_once, &mut count).unwrap() {
            break run;
        }
    };
    // 16 steps to a stage, so that one piece ends where the mask has been put on and nothing has been trained with it.
    let [whole, parts] = [finish("whole", u64::MAX), finish("parts", 8)];
    assert_eq!(values(&whole), values(&parts));
    let last = whole.rows().last().unwrap();
    // It learns from its new weights, at the widths that pruning left.
    assert_eq!(last.widths, whole.rows()[3].widths);
    assert!(last.loss > 0.0 && last.params * 2 <= whole.rows()[1].params);
    let finetuned = stages.replace("fresh = true", "");
    let mut other = start(&self::recipe(folder.path(), &finetuned), &folder.path().join("other"));
    other.follow(&|| false, &mut |_| {}).unwrap();
    assert_eq!(
        other.rows()[3],
        farad_train::Row {
            seconds: other.rows()[3].seconds,
            ..whole.rows()[3].clone()
        }
    );
    assert!(other.rows()[4].loss < whole.rows()[4].loss);
}

/// The int8 network is right about as often as the float one: at most two of 200 images more are wrong.
#[test]
fn the_exported_network_runs() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint");
    let recipe = recipe(folder.path(), &format!("{STAGES}\n[[stage]]\nstage = \"export\""));
    let mut run = start(&recipe, &checkpoint);
    run.follow(&|| false, &mut |_| {}).unwrap();
    let [.., float, integer] = run.rows() else {
        panic!("too few rows")
    };
    let [float, integer] = [float, integer].map(|row| row.accuracy.unwrap());
    assert!(integer >= float - 0.01, "{float} {integer}");
    let network = farad_net::Network::load(&folder.path().join("network.onnx")).unwrap();
    assert_eq!(network.dataset(), Some("bars"));
    // Weights only: biases and batch norm are gone.
    let weights: usize = run
        .model()
        .parameters()
        .iter()
        .filter(|(n, _)| n.ends_with("weight"))
        .map(|(_, p)| p.elem_count())
        .sum();
    assert_eq!(
        network.mac_layers().iter().map(|l| l.weights.len()).sum::<usize>(),
        weights
    );
}

const DENSE: &str = "[[stage]]\nstage = \"dense\"\nepochs = 3\nrate = [[0, 0.05], [3, 0.0]]\n";

/// A stage on a macro whose converter has few bits.
fn qat(rate: &str, settings: &str) -> String {
    format!(
        "[[stage]]\nstage = \"qat\"\nepochs = 6\nrate = {rate}\nqat = {{ macro = \"ncku-charge-redistribution\", \
         set = {{ adc.bits = 2, adc.skip_bits = 0 }}, steps_per_chip = 3, images = 16, {settings} }}\n[[stage]]\nstage = \"export\"\n"
    )
}

/// The run of `stages` that goes on from the checkpoint `from`, at its end.
fn gone_on(folder: &Path, from: &Path, stages: &str, checkpoint: &Path) -> Run {
    let recipe = Recipe {
        from: Some(from.display().to_string()),
        ..recipe(folder, stages)
    };
    let mut run = start(&recipe, checkpoint);
    run.follow(&|| false, &mut |_| {}).unwrap();
    run
}

/// Training on chips makes up for much of what a coarse converter costs, on a chip that it has not seen.
#[test]
fn training_on_chips_helps_on_another_chip() {
    let folder = tempfile::tempdir().unwrap();
    let dense = folder.path().join("dense");
    start(&recipe(folder.path(), DENSE), &dense)
        .follow(&|| false, &mut |_| {})
        .unwrap();
    let accuracy = |name: &str, stages: &str| {
        let run = gone_on(folder.path(), &dense, stages, &folder.path().join(name));
        run.rows()[5].clone()
    };
    let plain = accuracy("plain", &qat("[[0, 0.0]]", "recalibrate_chips = 0"));
    let settings = "recalibrate_chips = 2, relative_rates = false";
    let trained = accuracy("trained", &qat("[[0, 0.02], [6, 0.0]]", settings));
    let gained = trained.accuracy.unwrap() - plain.accuracy.unwrap();
    assert!(gained > 0.05, "{plain:?} {trained:?}");
}

/// What a stage does before its first step can be all that it does: the same as steps of length 0.
#[test]
fn a_stage_without_epochs_fits_and_recalibrates() {
    let folder = tempfile::tempdir().unwrap();
    let [dense, none, still] = checkpoints(folder.path(), ["dense", "none", "still"]);
    start(&recipe(folder.path(), DENSE), &dense)
        .follow(&|| false, &mut |_| {})
        .unwrap();
    let weights = |checkpoint: &Path, stages: &str| {
        let run = gone_on(folder.path(), &dense, stages, checkpoint);
        let last = run.rows().len() - 2;
        assert_eq!(run.rows()[last].kind.as_str(), "qat");
        let network = farad_net::StoredGraph::parse(&network(checkpoint)).unwrap();
        let layers = ["conv1", "conv2", "conv3", "dense"];
        let layers = layers.map(|l| (network.weights(l).unwrap(), network.quantisation(l)));
        (run.rows()[last].accuracy, layers)
    };
    let stages = qat("[[0, 0.0]]", "recalibrate_chips = 2");
    let untrained = stages
        .replace("epochs = 6\nrate = [[0, 0.0]]\n", "")
        .replace("steps_per_chip = 3, ", "");
    let at_once = weights(&none, &untrained);
    assert!(at_once == weights(&still, &stages));
}

/// Stopped after every so many steps and made anew from the file, until it is done; the number of stops.
fn restarts(recipe: &Recipe, checkpoint: &Path, after: u32) -> u32 {
    for restarts in 0.. {
        let steps = std::cell::Cell::new(0);
        let mut count = |event: Event<'_>| steps.set(steps.get() + u32::from(matches!(event, Event::Step { .. })));
        if start(recipe, checkpoint)
            .follow(&|| steps.get() == after, &mut count)
            .unwrap()
        {
            return restarts;
        }
    }
    unreachable!()
}

/// Checkpoints in folders of their own.
pub(crate) fn checkpoints<const N: usize>(folder: &Path, names: [&str; N]) -> [std::path::PathBuf; N] {
    names.map(|name| {
        std::fs::create_dir(folder.join(name)).unwrap();
        folder.join(name).join("checkpoint")
    })
}

pub(crate) fn network(checkpoint: &Path) -> Vec<u8> {
    std::fs::read(checkpoint.with_file_name("network.onnx")).unwrap()
}

#[test]
fn a_stopped_run_on_chips_ends_with_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let stages = format!("{DENSE}{}", qat("[[0, 0.02], [6, 0.0]]", "recalibrate_chips = 2"));
    let recipe = recipe(folder.path(), &stages);
    let [whole, sevens, eights] = checkpoints(folder.path(), ["whole", "sevens", "eights"]);
    start(&recipe, &whole).follow(&|| false, &mut |_| {}).unwrap();
    // 24 steps and 48 on chips. The third stop after eight is between the stages: the later one has begun and made no step.
    assert_eq!(restarts(&recipe, &sevens, 7), 10);
    assert_eq!(restarts(&recipe, &eights, 8), 8);
    assert!(network(&whole) == network(&sevens));
    assert!(network(&whole) == network(&eights));
}

/// So does one of 4 bits whose steps are learned; its file goes on at those bits, and at no others.
#[test]
fn a_stopped_run_of_four_bits_ends_with_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let stage = |settings: &str| {
        format!(
            "[[stage]]\nstage = \"qat\"\nepochs = 2\nrate = [[0, 0.02], [2, 0.0]]\nqat = {{ {settings} }}\n[[stage]]\nstage = \"export\"\n"
        )
    };
    let stages = format!("{DENSE}{}", stage("weights = 4, activations = 4"));
    let [whole, fives, on] = checkpoints(folder.path(), ["whole", "fives", "on"]);
    let four = recipe(folder.path(), &stages);
    start(&four, &whole).follow(&|| false, &mut |_| {}).unwrap();
    assert_eq!(restarts(&four, &fives, 5), 7);
    assert!(network(&whole) == network(&fives));

    let from = |settings: &str| Recipe {
        from: Some(whole.with_file_name("network.onnx").display().to_string()),
        ..recipe(folder.path(), &stage(settings))
    };
    let error = start(&from("weights = 8"), &on)
        .follow(&|| false, &mut |_| {})
        .unwrap_err();
    assert!(error.to_string().contains("other bits than `weights`"), "{error}");
    let error = Recipe {
        stages: recipe(folder.path(), "[[stage]]\nstage = \"export\"\nqat = { weights = 8 }").stages,
        ..from("")
    };
    let error = start(&error, &whole.with_file_name("other"))
        .follow(&|| false, &mut |_| {})
        .unwrap_err();
    assert!(error.to_string().contains("other bits than `weights`"), "{error}");
    start(&from(""), &on).follow(&|| false, &mut |_| {}).unwrap();
    let bits = |checkpoint: &Path| {
        let network = farad_net::Network::parse("tiny", &network(checkpoint)).unwrap();
        let layers = network.mac_layers();
        layers.iter().map(|l| (l.weight_bits, l.input_bits)).collect::<Vec<_>>()
    };
    assert_eq!(bits(&whole), [(8, 8), (4, 4), (4, 4), (8, 8)]);
    assert_eq!(bits(&on), bits(&whole));

    // Steps of 8 bits that were learned, too.
    let [learned, again] = checkpoints(folder.path(), ["learned", "again"]);
    let stages = format!("{DENSE}{}", stage("steps = \"learned\""));
    start(&recipe(folder.path(), &stages), &learned)
        .follow(&|| false, &mut |_| {})
        .unwrap();
    let still = Recipe {
        from: Some(learned.with_file_name("network.onnx").display().to_string()),
        ..recipe(folder.path(), "[[stage]]\nstage = \"export\"")
    };
    start(&still, &again).follow(&|| false, &mut |_| {}).unwrap();
    let stored = |checkpoint: &Path| {
        let network = farad_net::StoredGraph::parse(&network(checkpoint)).unwrap();
        let of = |layer| (network.weights(layer).unwrap(), network.quantisation(layer));
        ["conv1", "conv2", "conv3", "dense"].map(of)
    };
    assert!(stored(&again) == stored(&learned));
}

/// A network file is the start of a recipe of its own, on drawn errors and with the network of the file as the teacher.
#[test]
fn an_exported_network_trains_on() {
    let folder = tempfile::tempdir().unwrap();
    let [first, same, whole, sevens] = checkpoints(folder.path(), ["first", "same", "whole", "sevens"]);
    let pruned = format!("{STAGES}[[stage]]\nstage = \"export\"");
    let mut run = start(&recipe(folder.path(), &pruned), &first);
    run.follow(&|| false, &mut |_| {}).unwrap();
    let exported = run.rows()[6].clone();
    let from = |stages: &str| Recipe {
        from: Some(first.with_file_name("network.onnx").display().to_string()),
        ..recipe(folder.path(), stages)
    };

    // Before any step it is the network of the file, but for what describes it.
    let mut run = start(&from("[[stage]]\nstage = \"export\""), &same);
    run.follow(&|| false, &mut |_| {}).unwrap();
    assert_eq!(
        (run.rows()[0].accuracy, run.rows()[0].params),
        (exported.accuracy, exported.params)
    );
    let [a, b] = [&first, &same].map(|c| farad_net::StoredGraph::parse(&network(c)).unwrap());
    for layer in ["conv1", "conv2", "conv3", "dense"] {
        assert_eq!(a.weights(layer), b.weights(layer));
        assert!(a.weights(layer).is_some() && a.quantisation(layer) == b.quantisation(layer));
    }
    assert_eq!((a.input(), a.preprocess()), (b.input(), b.preprocess()));

    let stages = qat(
        "[[0, 0.02], [6, 0.0]]",
        "recalibrate_chips = 2, forward = \"surrogate\", distil = 0.5, test_images = 150",
    );
    let recipe = from(&stages);
    start(&recipe, &whole).follow(&|| false, &mut |_| {}).unwrap();
    assert_eq!(restarts(&recipe, &sevens, 7), 6);
    assert!(network(&whole) == network(&sevens));
    assert!(network(&whole) != network(&same));

    let floats = Recipe::parse(&format!("network = \"x\"\ndataset = \"y\"\nfrom = \"n.onnx\"\n{DENSE}")).unwrap_err();
    let floats = floats.to_string();
    assert!(floats.contains("only `qat` and `export`"), "{floats}");
    let absent = Recipe {
        from: Some("absent.onnx".to_owned()),
        ..recipe.clone()
    };
    let error = Run::new(absent, bars("train", 256), bars("test", 200), &folder.path().join("n")).unwrap_err();
    assert!(error.to_string().starts_with("absent.onnx: "), "{error}");
}
