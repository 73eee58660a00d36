//! From scores and a budget to the channels that stay.

use super::budget::{Budget, Costs, Meter};
use super::magnitude::rising;
use crate::TrainError;
use crate::graph::Graph;

/// The channels of each group that stay, ascending, when channels are removed in the order of
/// `score / cost^power` until the budget holds.
///
/// The cost of a channel is what its removal takes from the network as it then stands, as a part of the full network's
/// costs, summed over the limits that do not hold yet: what is already cheap enough is not paid for again. Where one
/// channel saves nothing of that, as with tiles, a group's channels are taken together up to the next edge, with the means
/// of their scores and costs.
///
/// With [`Budget::fill`], spare budget is then given back. A removed channel of the highest `score / cost^power`, cost now in
/// all limits, returns if the budget still holds. If `power` is above 0, so that scores can be added, it may also
/// take the place of others whose scores are less in sum: after one limit has forced out channels of which another limit
/// could have kept more, those come back at the price of a few that are dear in the first. With a macro and no limit on
/// tiles, the tiles after the removal are the limit, so that arrays are filled to their edges and no tile is added.
///
/// # Errors
/// If the budget asks for less than the smallest network, or the network does not go on the macro.
pub fn plan(graph: &Graph, scores: &[Vec<f32>], power: f64, budget: &Budget) -> Result<Vec<Vec<usize>>, TrainError> {
    let mut planner = Planner::new(graph, scores, power, budget)?;
    planner.reduce()?;
    if budget.fill {
        planner.give_back();
    }
    Ok(planner.keep())
}

struct Planner<'a> {
    graph: &'a Graph,
    meter: Meter<'a>,
    scores: &'a [Vec<f32>],
    power: f64,
    /// Channels that a group keeps in any case.
    least: usize,
    /// Of each group, the channels by rising score; those before `removed` are gone.
    order: Vec<Vec<usize>>,
    state: State,
}

#[derive(Clone)]
struct State {
    removed: Vec<usize>,
    widths: Vec<usize>,
    costs: Costs,
}

/// Channels of a group that go together.
struct Block {
    group: usize,
    channels: usize,
    saved: Costs,
    rank: f64,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, scores: &'a [Vec<f32>], power: f64, budget: &Budget) -> Result<Self, TrainError> {
        let meter = Meter::new(graph, budget)?;
        let widths = graph.widths();
        Ok(Self {
            graph,
            scores,
            power,
            least: budget.least(),
            order: scores.iter().map(|scores| rising(scores)).collect(),
            state: State {
                removed: vec![0; widths.len()],
                costs: meter.total(&widths),
                widths,
            },
            meter,
        })
    }

    /// Removes channels until the budget holds.
    fn reduce(&mut self) -> Result<(), TrainError> {
        while !self.meter.holds(&self.state.costs) {
            match self.cheapest(None) {
                Some(block) => self.remove(&block),
                None => return Err(self.meter.unmet(&self.state.costs)),
            }
        }
        Ok(())
    }

    /// The block of the lowest rank, not of group `except`.
    fn cheapest(&self, except: Option<usize>) -> Option<Block> {
        let excess = self.meter.excess(&self.state.costs);
        let groups = (0..self.graph.groups.len()).filter(|&g| Some(g) != except);
        let mut best: Option<Block> = None;
        for block in groups.filter_map(|g| self.block(g, &excess)) {
            if best.as_ref().is_none_or(|best| block.rank < best.rank) {
                best = Some(block);
            }
        }
        best
    }

    /// The fewest channels of group `g` that save anything of what is in excess.
    fn block(&self, g: usize, excess: &[f64; 5]) -> Option<Block> {
        if !self.graph.groups[g].prunable {
            return None;
        }
        let widths = &self.state.widths;
        (1..=widths[g].saturating_sub(self.least)).find_map(|channels| {
            let saved = self.meter.part(g, channels, widths);
            let weight = self.meter.weigh(&saved, Some(excess));
            (weight > 0.0).then(|| {
                let n = channels as f64;
                Block {
                    group: g,
                    channels,
                    saved,
                    rank: self.score_of_next(g, channels) / n / (weight / n).powf(self.power),
                }
            })
        })
    }

    fn score(&self, g: usize, place: usize) -> f64 {
        f64::from(self.scores[g][self.order[g][place]])
    }

    /// The sum of the lowest scores that group `g` still has.
    fn score_of_next(&self, g: usize, channels: usize) -> f64 {
        let from = self.state.removed[g];
        (from..from + channels).map(|place| self.score(g, place)).sum()
    }

    fn remove(&mut self, block: &Block) {
        self.state.removed[block.group] += block.channels;
        self.state.widths[block.group] -= block.channels;
        for (cost, saved) in self.state.costs.iter_mut().zip(block.saved) {
            *cost -= saved;
        }
    }

    /// Gives spare budget back, until no removed channel can return.
    fn give_back(&mut self) {
        self.meter.limit_tiles(&self.state.costs);
        let mut changed = true;
        while changed {
            changed = false;
            let mut open: Vec<usize> = (0..self.graph.groups.len()).collect();
            loop {
                open.retain(|&g| self.state.removed[g] > 0);
                let ranks = open.iter().map(|&g| (self.rank_of_last(g), g));
                let Some((_, g)) = ranks.max_by(|a, b| a.0.total_cmp(&b.0)) else {
                    break;
                };
                if self.put_back(g) {
                    changed = true;
                } else {
                    open.retain(|&other| other != g);
                }
            }
        }
    }

    /// The rank of the channel that group `g` lost last.
    fn rank_of_last(&self, g: usize) -> f64 {
        let mut more = self.state.widths.clone();
        more[g] += 1;
        let cost = self.meter.weigh(&self.meter.part(g, 1, &more), None);
        self.score(g, self.state.removed[g] - 1) / cost.max(1e-12).powf(self.power)
    }

    /// Returns the channel that group `g` lost last, if the budget allows it or others pay for it. What is paid leaves the
    /// sum of the scores that stay higher than before, so there is an end to it.
    fn put_back(&mut self, g: usize) -> bool {
        let before = self.state.clone();
        self.state.removed[g] -= 1;
        self.state.widths[g] += 1;
        let added = self.meter.part(g, 1, &self.state.widths);
        for (cost, added) in self.state.costs.iter_mut().zip(added) {
            *cost += added;
        }
        let gain = self.score(g, self.state.removed[g]);
        let mut left = gain;
        while !self.meter.holds(&self.state.costs) {
            let block = self.cheapest(Some(g)).filter(|_| self.power > 0.0);
            let paid = block.map(|block| {
                left -= self.score_of_next(block.group, block.channels);
                self.remove(&block);
            });
            if paid.is_none() || left <= 1e-6 * gain {
                self.state = before;
                return false;
            }
        }
        true
    }

    fn keep(&self) -> Vec<Vec<usize>> {
        let groups = self.graph.groups.iter().enumerate();
        groups
            .map(|(g, group)| {
                if !group.prunable {
                    return (0..group.channels).collect();
                }
                let mut keep = self.order[g][self.state.removed[g]..].to_vec();
                keep.sort_unstable();
                keep
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;
    use crate::rng::{Purpose, Rng};
    use proptest::prelude::*;

    fn graph(name: &str) -> Graph {
        Graph::new(&Architecture::load(name).unwrap()).unwrap()
    }

    fn scores(graph: &Graph, seed: u64) -> Vec<Vec<f32>> {
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

    fn budget(text: &str) -> Budget {
        let budget: Budget = toml::from_str(text).unwrap();
        budget.check().unwrap();
        budget
    }

    fn widths(keep: &[Vec<usize>]) -> Vec<usize> {
        keep.iter().map(Vec::len).collect()
    }

    /// The sum of the scores that stay.
    fn kept(scores: &[Vec<f32>], keep: &[Vec<usize>]) -> f64 {
        let groups = scores.iter().zip(keep).filter(|(scores, _)| !scores.is_empty());
        groups
            .flat_map(|(scores, keep)| keep.iter().map(|&c| f64::from(scores[c])))
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn budgets_hold_and_are_not_overshot(seed in any::<u64>(), macs in 0.1f64..0.9, params in 0.1f64..0.9, power in 0.0f64..1.0) {
            let graph = graph("resnet-20");
            let scores = scores(&graph, seed);
            let budget = budget(&format!("macs = {macs}\nparams = {params}\nmin_keep = 2"));
            let keep = plan(&graph, &scores, power, &budget).unwrap();
            prop_assert!(budget.holds(&graph, &widths(&keep)).unwrap());
            for (g, keep) in keep.iter().enumerate() {
                // What stays scores at least what goes.
                let lowest = keep.iter().filter_map(|&c| scores[g].get(c)).fold(f32::MAX, |m, &s| m.min(s));
                for (c, &s) in scores[g].iter().enumerate() {
                    prop_assert!(keep.contains(&c) || s <= lowest);
                }
            }
            // One of the limits is met within the largest step that a channel makes, 4 % in this network.
            let (cost, full) = (graph.total_cost(&widths(&keep)), graph.total_cost(&graph.widths()));
            let slack_macs = macs - cost.macs as f64 / full.macs as f64;
            let slack_params = params - cost.params as f64 / full.params as f64;
            prop_assert!(slack_macs.min(slack_params) < 0.04, "{} {}", slack_macs, slack_params);
        }

        /// Whatever is limited: filled plans keep the budget, keep scores of at least the sum of plain plans, and leave no
        /// removed channel that could return for nothing; where only a macro is named, no tile is added.
        #[test]
        fn filling_only_gives(
            seed in any::<u64>(),
            // One tile for each of five layers is the least, of 25.
            part in 0.25f64..0.6,
            limit in prop::sample::select(vec!["macs", "bops", "tiles", "conversions"]),
            power in prop::sample::select(vec![0.0, 1.0]),
        ) {
            let graph = graph("lenet-5");
            let scores = scores(&graph, seed);
            let text = format!("{limit} = {part}\nparams = 0.5\nmin_keep = 2\nmacro = 'ncku-charge-redistribution'\nfill = true");
            let filled_budget = budget(&text);
            let plain_budget = Budget { fill: false, ..filled_budget.clone() };
            let plain = plan(&graph, &scores, power, &plain_budget).unwrap();
            let filled = plan(&graph, &scores, power, &filled_budget).unwrap();
            prop_assert!(filled_budget.holds(&graph, &widths(&filled)).unwrap());
            prop_assert!(kept(&scores, &filled) >= kept(&scores, &plain));
            let meter = Meter::new(&graph, &filled_budget).unwrap();
            let tiles = |widths: &[usize]| meter.total(widths)[3];
            if limit != "tiles" {
                prop_assert!(tiles(&widths(&filled)) <= tiles(&widths(&plain)));
            }
            for (g, group) in graph.groups.iter().enumerate().filter(|(_, g)| g.prunable) {
                let mut more = widths(&filled);
                if power == 0.0 {
                    prop_assert!(more[g] >= plain[g].len());
                }
                more[g] += 1;
                let fits = more[g] <= group.channels
                    && filled_budget.holds(&graph, &more).unwrap()
                    && (limit == "tiles" || tiles(&more) <= tiles(&widths(&plain)));
                prop_assert!(!fits, "group {} of {:?}", g, widths(&filled));
            }
        }
    }

    /// Where one limit forces out channels that the other had room for, scores that add up let them return: in VGG-16 the
    /// parameters sit in late layers and the MACs in early ones.
    #[test]
    fn spare_macs_are_given_back() {
        let graph = graph("vgg16-bn");
        let scores = scores(&graph, 3);
        let full = graph.total_cost(&graph.widths());
        let macs_of = |text: &str| {
            let budget = budget(text);
            let keep = plan(&graph, &scores, 1.0, &budget).unwrap();
            assert!(budget.holds(&graph, &widths(&keep)).unwrap());
            let cost = graph.total_cost(&widths(&keep));
            (cost.macs as f64 / full.macs as f64, kept(&scores, &keep))
        };
        let (plain, plain_kept) = macs_of("params = 0.05\nmacs = 0.3");
        let (filled, filled_kept) = macs_of("params = 0.05\nmacs = 0.3\nfill = true");
        assert!(filled > plain + 0.02 && filled_kept > plain_kept, "{plain} {filled}");
    }

    /// Bit operations of 8 by 8 bits are 64 for each MAC, so a limit on them is the same limit.
    #[test]
    fn bit_operations_follow_macs() {
        let graph = graph("resnet-20");
        let scores = scores(&graph, 5);
        let keep = |text: &str| plan(&graph, &scores, 1.0, &budget(text)).unwrap();
        assert_eq!(keep("bops = 0.4"), keep("macs = 0.4"));
    }

    #[test]
    fn the_smallest_network_is_the_end() {
        let graph = graph("resnet-20");
        let budget = budget("macs = 1e-6\nparams = 0.5\nmin_keep = 4");
        let error = plan(&graph, &scores(&graph, 1), 0.0, &budget).unwrap_err().to_string();
        assert!(error.contains("4 channels in each group"), "{error}");
        // Only what is too much is named.
        assert!(
            error.contains("of the MACs") && !error.contains("parameters"),
            "{error}"
        );
        let (_, early) = Budget::check_all(&graph, [Some(&budget)].into_iter()).unwrap_err();
        assert_eq!(early.to_string(), error);
    }
}
