//! What a pruned network may cost, and what a network costs in those terms.

use super::Checked;
use crate::TrainError;
use crate::graph::{Extent, Graph};
use farad_hw::MacroSpec;
use farad_net::MacLayer;
use serde::{Deserialize, Serialize};

/// What the pruned network may cost, each as a part of the full network; all that are given must hold.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Multiply-accumulates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macs: Option<f64>,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<f64>,
    /// Bit operations: 64 for each multiply-accumulate of 8-bit weights and activations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bops: Option<f64>,
    /// Tiles on the macro, with the copies of layers that it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiles: Option<f64>,
    /// Analog-to-digital conversions of the macro for one image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversions: Option<f64>,
    /// The macro: a bundled one by its name, or a file.
    #[serde(default, rename = "macro", skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
    /// Whether spare budget is given back ([`plan`](super::plan())).
    #[serde(default)]
    pub fill: bool,
    /// A group keeps at least this many channels.
    #[serde(default = "min_keep")]
    pub min_keep: usize,
}

fn min_keep() -> usize {
    8
}

/// Costs of a network or a part of one, one for each of [`UNITS`].
pub(super) type Costs = [u64; 5];

/// What a budget can limit: the key, and what it counts.
const UNITS: [(&str, &str); 5] = [
    ("macs", "MACs"),
    ("params", "parameters"),
    ("bops", "bit operations"),
    ("tiles", "tiles"),
    ("conversions", "conversions"),
];
const TILES: usize = 3;

impl Budget {
    /// The limit of each of [`UNITS`].
    fn limits(&self) -> [Option<f64>; 5] {
        [self.macs, self.params, self.bops, self.tiles, self.conversions]
    }

    /// What is wrong with it, whatever the network.
    ///
    /// # Errors
    /// The first problem.
    pub fn check(&self) -> Checked<()> {
        let keys = || UNITS.map(|(key, _)| format!("`{key}`")).join(", ");
        for (limit, (key, _)) in self.limits().into_iter().zip(UNITS) {
            if limit.is_some_and(|part| !(part > 0.0 && part <= 1.0)) {
                return Err(format!(
                    "`{key}` of a budget is a part of the full network: above 0 and at most 1"
                ));
            }
        }
        if self.limits() == [None; 5] {
            return Err(format!("a budget limits at least one of {}", keys()));
        }
        let on_macro = self.tiles.is_some() || self.conversions.is_some();
        match &self.hardware {
            None if on_macro => {
                Err("a budget of tiles or conversions needs the `macro` that they are counted on".to_owned())
            }
            Some(_) if !on_macro && !self.fill => {
                Err("the `macro` of a budget is for `tiles`, `conversions` or `fill`".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Refuses budgets of stages in their order that even the smallest network would exceed, and macros that the network
    /// does not go on: before anything is trained.
    ///
    /// # Errors
    /// The first such budget, by its number.
    pub(crate) fn check_all<'a>(
        graph: &Graph,
        budgets: impl Iterator<Item = Option<&'a Self>>,
    ) -> Result<(), (usize, TrainError)> {
        let mut widths = graph.widths();
        let budgets = budgets.enumerate().filter_map(|(i, budget)| Some((i, budget?)));
        for (i, budget) in budgets {
            for (width, group) in widths.iter_mut().zip(&graph.groups) {
                if group.prunable {
                    *width = (*width).min(budget.least());
                }
            }
            let meter = Meter::new(graph, budget).map_err(|error| (i, error))?;
            let costs = meter.total(&widths);
            if !meter.holds(&costs) {
                return Err((i, meter.unmet(&costs)));
            }
        }
        Ok(())
    }

    /// Whether a network of these widths is within all limits.
    ///
    /// # Errors
    /// If the network does not go on the macro.
    pub fn holds(&self, graph: &Graph, widths: &[usize]) -> Result<bool, TrainError> {
        let meter = Meter::new(graph, self)?;
        Ok(meter.holds(&meter.total(widths)))
    }

    /// Channels that every group keeps: no layer can do without any.
    pub(super) fn least(&self) -> usize {
        self.min_keep.max(1)
    }
}

/// Measures a network in the units of a budget.
pub(super) struct Meter<'a> {
    graph: &'a Graph,
    extents: Vec<Extent>,
    spec: Option<MacroSpec>,
    /// Of each unit, as a part of `full`.
    limits: [Option<f64>; 5],
    full: Costs,
    min_keep: usize,
    /// Of each group, the nodes whose cost depends on it.
    dependent: Vec<Vec<usize>>,
}

impl<'a> Meter<'a> {
    /// For `graph`, of any widths.
    pub(super) fn new(graph: &'a Graph, budget: &Budget) -> Result<Self, TrainError> {
        let [height, width, _] = graph.input;
        let dependent = |g: usize| {
            let reads = |i: &usize| graph.nodes[*i].inputs.iter().any(|&k| graph.nodes[k].group == g);
            (0..graph.nodes.len())
                .filter(|i| graph.nodes[*i].group == g || reads(i))
                .collect()
        };
        let mut meter = Self {
            graph,
            extents: graph.extents(height, width),
            spec: None,
            limits: budget.limits(),
            full: Costs::default(),
            min_keep: budget.least(),
            dependent: (0..graph.groups.len()).map(dependent).collect(),
        };
        if let Some(name) = &budget.hardware {
            let spec = crate::qat::target_macro(name, &[])?;
            // The largest network of all: if that fits, the others do.
            farad_map::map(&spec, &meter.layers()).map_err(|e| TrainError::Macro {
                name: spec.name.clone(),
                problem: e.to_string(),
            })?;
            meter.spec = Some(spec);
        }
        meter.full = meter.total(&graph.full_widths());
        Ok(meter)
    }

    /// The full network's layers without their weights, as they will be exported.
    fn layers(&self) -> Vec<MacLayer> {
        let widths = self.graph.full_widths();
        let nodes = self.graph.nodes.iter().enumerate();
        nodes
            .filter_map(|(i, node)| {
                Some(MacLayer {
                    name: node.name.clone(),
                    op: "conv2d",
                    shape: self.graph.mac_shape(i, &self.extents, &widths)?,
                    weights: Vec::new(),
                    weight_offset: 0,
                    x_zero: 0,
                    input_bits: 8,
                    weight_bits: 8,
                })
            })
            .collect()
    }

    fn node(&self, i: usize, widths: &[usize]) -> Costs {
        let Some(shape) = self.graph.mac_shape(i, &self.extents, widths) else {
            return Costs::default();
        };
        let cost = self.graph.cost(i, &self.extents, widths);
        let demand = self.spec.as_ref().and_then(|spec| farad_map::demand(spec, &shape));
        let demand = demand.unwrap_or_default();
        let macs = cost.macs as u64;
        [
            macs,
            cost.params as u64,
            64 * macs,
            demand.tiles as u64,
            demand.conversions,
        ]
    }

    /// What a network of these widths costs.
    pub(super) fn total(&self, widths: &[usize]) -> Costs {
        let nodes = (0..self.graph.nodes.len()).map(|i| self.node(i, widths));
        nodes.fold(Costs::default(), |sum, node| std::array::from_fn(|u| sum[u] + node[u]))
    }

    /// What `channels` channels of group `g` cost in a network of these widths.
    pub(super) fn part(&self, g: usize, channels: usize, widths: &[usize]) -> Costs {
        let mut fewer = widths.to_vec();
        fewer[g] -= channels;
        self.dependent[g].iter().fold(Costs::default(), |sum, &i| {
            let (with, without) = (self.node(i, widths), self.node(i, &fewer));
            std::array::from_fn(|u| sum[u] + with[u] - without[u])
        })
    }

    /// By how much of the full network each limit is exceeded; 0 where it holds.
    pub(super) fn excess(&self, costs: &Costs) -> [f64; 5] {
        std::array::from_fn(|u| {
            let over = |limit: f64| (costs[u] as f64 / self.full[u] as f64 - limit).max(0.0);
            self.limits[u].map_or(0.0, over)
        })
    }

    pub(super) fn holds(&self, costs: &Costs) -> bool {
        self.excess(costs) == [0.0; 5]
    }

    /// The sum of `costs`, as parts of the full network's, in the limits that are in excess; with no excess given, in all
    /// limits.
    pub(super) fn weigh(&self, costs: &Costs, excess: Option<&[f64; 5]>) -> f64 {
        let counts = |u: usize| self.limits[u].is_some() && excess.is_none_or(|excess| excess[u] > 0.0);
        let parts = (0..UNITS.len()).filter(|&u| counts(u));
        parts.map(|u| costs[u] as f64 / self.full[u] as f64).sum()
    }

    /// From now on there are no more tiles than in `costs`, if nothing else limits them and there is a macro.
    pub(super) fn limit_tiles(&mut self, costs: &Costs) {
        if self.spec.is_some() && self.limits[TILES].is_none() {
            self.limits[TILES] = Some(costs[TILES] as f64 / self.full[TILES] as f64);
        }
    }

    /// The error that `costs`, of the smallest network, are too high.
    pub(super) fn unmet(&self, costs: &Costs) -> TrainError {
        let excess = self.excess(costs);
        let parts = (0..UNITS.len()).filter(|&u| excess[u] > 0.0).map(|u| {
            let part = 100.0 * costs[u] as f64 / self.full[u] as f64;
            let limit = 100.0 * self.limits[u].unwrap_or_default();
            format!("{part:.2} % of the {} ({limit:.2} % are asked for)", UNITS[u].1)
        });
        TrainError::Budget(format!(
            "the smallest network ({} channels in each group, `min_keep`) still has {}",
            self.min_keep,
            parts.collect::<Vec<_>>().join(" and ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qat::{QatModel, QatSettings};
    use crate::{Architecture, Model};
    use candle_core::{DType, Device, Tensor};

    /// Tiles and conversions are those of the network that is exported, with every kind of convolution, pruned or not.
    #[test]
    fn the_network_of_the_budget_is_the_exported_one() {
        let layers = "{ conv = 20 }, { pool = \"max\" }, { residual = [{ expand = 3, kernel = 1 }, { depthwise = true }, \
                      { conv = 20, kernel = 1, activation = \"none\" }] }, { conv = 40, stride = 2 }, { pool = \"average\" }, { dense = 3 }";
        let text = format!("name = \"small\"\ninput = [8, 8, 3]\nlayers = [{layers}]");
        let mut graph = Graph::new(&Architecture::parse("small.toml", &text).unwrap()).unwrap();
        let hardware = "ncku-charge-redistribution";
        let budget: Budget = toml::from_str(&format!("tiles = 0.5\nmacro = \"{hardware}\"")).unwrap();
        let spec = crate::qat::target_macro(hardware, &[]).unwrap();
        for pruned in [0, 7] {
            for group in graph.groups.iter_mut().filter(|g| g.prunable) {
                group.channels -= pruned;
            }
            let meter = Meter::new(&graph, &budget).unwrap();
            let [macs, .., tiles, conversions] = meter.total(&graph.widths());

            let mut model = Model::new(graph.clone(), 1, &Device::Cpu).unwrap();
            let images = Tensor::rand(0f32, 1f32, (2, 8, 8, 3), &Device::Cpu).unwrap();
            let batch = [(images, Tensor::zeros(2, DType::U32, &Device::Cpu).unwrap())];
            let preprocess = farad_net::Preprocess {
                pixel_max: 255.0,
                mean: vec![0.0; 3],
                std: vec![255.0; 3],
            };
            let qat = QatModel::new(&mut model, &batch, &preprocess, &QatSettings::default()).unwrap();
            let network = farad_net::Network::parse("small", &qat.export(&[]).unwrap()).unwrap();
            let layers = network.mac_layers();
            let mapping = farad_map::map(&spec, layers).unwrap();
            let totals = farad_map::totals(&mapping, &farad_map::schedule(&spec, layers, &mapping));
            assert_eq!((tiles, conversions), (totals.tiles as u64, totals.conversions));
            assert_eq!(macs, layers.iter().map(|l| l.shape.macs()).sum::<u64>());
        }
    }

    #[test]
    fn a_budget_that_means_nothing_is_refused() {
        for (text, part) in [
            ("", "at least one of `macs`"),
            ("macs = 1.5", "`macs` of a budget is a part"),
            ("tiles = 0.5", "needs the `macro`"),
            ("macs = 0.5\nmacro = \"ideal\"", "is for `tiles`"),
        ] {
            let error = toml::from_str::<Budget>(text).unwrap().check().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let graph = Graph::new(&Architecture::load("lenet-5").unwrap()).unwrap();
        let budget: Budget = toml::from_str("tiles = 0.5\nmacro = \"none\"").unwrap();
        let (stage, error) = Budget::check_all(&graph, [None, Some(&budget)].into_iter()).unwrap_err();
        assert!(stage == 1 && error.to_string().contains("macro none"), "{error}");
    }
}
