//! From scores and a budget to the channels that stay.

use crate::TrainError;
use crate::graph::{Cost, Graph};
use serde::{Deserialize, Serialize};

/// What the pruned network may cost, each as a part of the full network; all that are given must hold.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Multiply-accumulates (and bit operations, which are proportional to them at equal bits).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macs: Option<f64>,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<f64>,
    /// A group keeps at least this many channels.
    #[serde(default = "min_keep")]
    pub min_keep: usize,
}

fn min_keep() -> usize {
    8
}

impl Budget {
    /// By how much of the full network each limit is exceeded: MACs, parameters; 0 where it holds.
    fn excess(&self, cost: Cost, full: Cost) -> [f64; 2] {
        let over = |limit: Option<f64>, cost: usize, full: usize| {
            limit.map_or(0.0, |limit| (cost as f64 / full as f64 - limit).max(0.0))
        };
        [
            over(self.macs, cost.macs, full.macs),
            over(self.params, cost.params, full.params),
        ]
    }

    /// Whether a network of these widths is within all limits.
    #[must_use]
    pub fn holds(&self, graph: &Graph, widths: &[usize]) -> bool {
        let full = graph.total_cost(&graph.full_widths());
        self.excess(graph.total_cost(widths), full) == [0.0; 2]
    }
}

/// The channels of each group that stay, ascending, when channels are removed in the order of
/// `score / cost^power` until the budget holds.
///
/// The cost of a channel is what its removal takes from the network as it then stands, in MACs and parameters as parts of the
/// full network's, counting only limits that do not hold yet: what is already cheap enough is not paid for again.
///
/// # Errors
/// If the budget asks for less than the smallest network.
pub fn plan(graph: &Graph, scores: &[Vec<f32>], power: f64, budget: &Budget) -> Result<Vec<Vec<usize>>, TrainError> {
    let full = graph.total_cost(&graph.full_widths());
    let mut widths = graph.widths();
    // Of each group, the channels by rising score; those before `removed` are gone.
    let order: Vec<Vec<usize>> = scores
        .iter()
        .map(|scores| {
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            order
        })
        .collect();
    let mut removed = vec![0; order.len()];
    loop {
        let cost = graph.total_cost(&widths);
        let excess = budget.excess(cost, full);
        if excess == [0.0; 2] {
            break;
        }
        let mut best: Option<(f64, usize)> = None;
        for (g, group) in graph.groups.iter().enumerate() {
            if !group.prunable || widths[g] <= budget.min_keep.max(1) {
                continue;
            }
            let channel = graph.channel_cost(g, &widths, cost);
            let part = |excess: f64, saved: usize, full: usize| {
                if excess > 0.0 { saved as f64 / full as f64 } else { 0.0 }
            };
            let saved = part(excess[0], channel.macs, full.macs) + part(excess[1], channel.params, full.params);
            let score = f64::from(scores[g][order[g][removed[g]]]);
            let rank = score / saved.max(1e-12).powf(power);
            if best.is_none_or(|(r, _)| rank < r) {
                best = Some((rank, g));
            }
        }
        let Some((_, g)) = best else {
            return Err(TrainError::Budget(format!(
                "the smallest network ({} channels in each group) still has {:.2} % of the MACs and {:.2} % of the parameters",
                budget.min_keep,
                100.0 * cost.macs as f64 / full.macs as f64,
                100.0 * cost.params as f64 / full.params as f64
            )));
        };
        removed[g] += 1;
        widths[g] -= 1;
    }
    Ok(graph
        .groups
        .iter()
        .enumerate()
        .map(|(g, group)| {
            if !group.prunable {
                return (0..group.channels).collect();
            }
            let mut keep = order[g][removed[g]..].to_vec();
            keep.sort_unstable();
            keep
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;
    use proptest::prelude::*;

    fn graph(name: &str) -> Graph {
        Graph::new(&Architecture::load(name).unwrap()).unwrap()
    }

    fn scores(graph: &Graph, seed: u64) -> Vec<Vec<f32>> {
        use crate::rng::{Purpose, Rng};
        let groups = graph.groups.iter().enumerate();
        groups
            .map(|(g, group)| {
                let mut rng = Rng::new(seed, Purpose::Score, g as u32, 0);
                (0..if group.prunable { group.channels } else { 0 })
                    .map(|_| rng.uniform() as f32)
                    .collect()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn budgets_hold_and_are_not_overshot(seed in any::<u64>(), macs in 0.1f64..0.9, params in 0.1f64..0.9, power in 0.0f64..1.0) {
            let graph = graph("resnet-20");
            let scores = scores(&graph, seed);
            let budget = Budget { macs: Some(macs), params: Some(params), min_keep: 2 };
            let keep = plan(&graph, &scores, power, &budget).unwrap();
            let widths: Vec<usize> = keep.iter().map(Vec::len).collect();
            prop_assert!(budget.holds(&graph, &widths));
            for (g, keep) in keep.iter().enumerate() {
                // What stays scores at least what goes.
                let lowest = keep.iter().filter_map(|&c| scores[g].get(c)).fold(f32::MAX, |m, &s| m.min(s));
                for (c, &s) in scores[g].iter().enumerate() {
                    prop_assert!(keep.contains(&c) || s <= lowest);
                }
            }
            // One of the limits is met within the largest step that a channel makes, 4 % in this network.
            let (cost, full) = (graph.total_cost(&widths), graph.total_cost(&graph.widths()));
            let slack_macs = macs - cost.macs as f64 / full.macs as f64;
            let slack_params = params - cost.params as f64 / full.params as f64;
            prop_assert!(slack_macs.min(slack_params) < 0.04, "{} {}", slack_macs, slack_params);
        }
    }

    #[test]
    fn the_smallest_network_is_the_end() {
        let graph = graph("resnet-20");
        let budget = Budget {
            macs: Some(1e-6),
            params: None,
            min_keep: 4,
        };
        let error = plan(&graph, &scores(&graph, 1), 0.0, &budget).unwrap_err().to_string();
        assert!(error.contains("4 channels in each group"), "{error}");
    }
}
