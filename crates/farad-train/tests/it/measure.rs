//! How often a run is measured.

use crate::recipes::{STAGES, checkpoints, network, recipe, start, values};
use farad_train::Event;
use std::path::Path;

/// Measuring takes time, and changes nothing: a run that is measured more rarely from its second epoch on ends with the same network.
#[test]
fn epochs_need_not_be_measured() {
    let folder = tempfile::tempdir().unwrap();
    let stages = STAGES
        .replace("\nepochs = 2", "\nepochs = 3")
        .replace("[2, 0.0]", "[3, 0.0]");
    let often = recipe(folder.path(), &format!("{stages}[[stage]]\nstage = \"export\""));
    let mut rare = often.clone();
    rare.stages.iter_mut().take(3).for_each(|stage| stage.measure = 2);
    let [whole, parts] = checkpoints(folder.path(), ["often", "rare"]);
    let mut expected = start(&often, &whole);
    expected.follow(&|| false, &mut |_| {}).unwrap();
    let epochs = std::cell::Cell::new(0);
    let mut count = |event: Event<'_>| {
        if let Event::Row(_) = event {
            epochs.set(epochs.get() + 1);
        }
    };
    start(&often, &parts).follow(&|| epochs.get() > 0, &mut count).unwrap();
    let mut run = start(&rare, &parts);
    run.follow(&|| false, &mut |_| {}).unwrap();
    assert_eq!(values(&run), values(&expected));
    assert_eq!(network(&parts).len(), network(&whole).len());
    let layers = |checkpoint: &Path| {
        let network = farad_net::StoredGraph::parse(&network(checkpoint)).unwrap();
        ["conv1", "conv2", "conv3", "dense"].map(|l| (network.weights(l).unwrap(), network.quantisation(l)))
    };
    assert_eq!(layers(&parts), layers(&whole));
    for (i, (row, other)) in run.rows().iter().zip(expected.rows()).enumerate() {
        // Stages of three epochs: the second and the last. The first one of all was before.
        let measured = other.accuracy.filter(|_| i == 0 || i == 9 || i % 3 > 0);
        assert_eq!((row.accuracy, row.loss), (measured, other.loss), "{row:?}");
    }
    assert_eq!(run.rows().len(), 10);
}
