//! Optimisers: stochastic gradient descent for weights, Adam for masks.

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var};
use rayon::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Elements that one thread updates at a time.
const CHUNK: usize = 1 << 14;

/// How a parameter moves along its gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Gradient descent with Nesterov's momentum (Sutskever et al., 2013) and weight decay in the gradient:
    /// `g += decay w; v = momentum v + g; w -= rate (g + momentum v)`.
    Nesterov {
        /// Of the velocity.
        momentum: f32,
        /// Of the parameter.
        decay: f32,
    },
    /// Adam (Kingma & Ba, 2015) with decoupled weight decay (Loshchilov & Hutter, 2019); 0 is plain Adam.
    Adam {
        /// Of first and second moment.
        betas: [f32; 2],
        /// Of the parameter, times the rate.
        decay: f32,
    },
}

impl Rule {
    /// Adam with its usual moments and no decay.
    pub const ADAM: Self = Self::Adam {
        betas: [0.9, 0.999],
        decay: 0.0,
    };
}

/// What an optimiser remembers of one parameter; elements in the parameter's order, or empty before the first step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Slots {
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
    pub(crate) steps: u32,
}

/// The slots of all parameters, by name.
#[derive(Debug, Clone, Default)]
pub struct Optimizer {
    pub(crate) slots: BTreeMap<String, Slots>,
}

impl Optimizer {
    /// Moves the parameter `name` by one step.
    ///
    /// # Errors
    /// If the gradient has another shape.
    pub fn step(&mut self, name: &str, parameter: &Var, gradient: &Tensor, rule: Rule, rate: f32) -> Result<()> {
        if !self.slots.contains_key(name) {
            self.slots.insert(name.to_owned(), Slots::default());
        }
        let Some(slots) = self.slots.get_mut(name) else {
            return Ok(());
        };
        let len = parameter.elem_count();
        slots.first.resize(len, 0.0);
        if matches!(rule, Rule::Adam { .. }) {
            slots.second.resize(len, 0.0);
        }
        slots.steps += 1;
        let update = Update {
            rule,
            rate,
            slots: RefCell::new(slots),
        };
        parameter.as_tensor().inplace_op2(&gradient.contiguous()?, &update)
    }
}

struct Update<'a> {
    rule: Rule,
    rate: f32,
    slots: RefCell<&'a mut Slots>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "optimizer"
    }

    fn cpu_fwd(&self, w: &mut CpuStorage, w_layout: &Layout, g: &CpuStorage, g_layout: &Layout) -> Result<()> {
        let (Some(w_range), Some(g_range)) = (w_layout.contiguous_offsets(), g_layout.contiguous_offsets()) else {
            candle_core::bail!("an optimiser needs contiguous parameters");
        };
        let CpuStorage::F32(w) = w else {
            candle_core::bail!("an optimiser needs f32 parameters");
        };
        let w = &mut w[w_range.0..w_range.1];
        let g = &g.as_slice::<f32>()?[g_range.0..g_range.1];
        if w.len() != g.len() {
            candle_core::bail!("a gradient of {} elements for a parameter of {}", g.len(), w.len());
        }
        let slots = &mut **self.slots.borrow_mut();
        let rate = self.rate;
        match self.rule {
            Rule::Nesterov { momentum, decay } => {
                (
                    w.par_chunks_mut(CHUNK),
                    g.par_chunks(CHUNK),
                    slots.first.par_chunks_mut(CHUNK),
                )
                    .into_par_iter()
                    .for_each(|(w, g, v)| {
                        for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
                            let g = g + decay * *w;
                            *v = momentum * *v + g;
                            *w -= rate * (g + momentum * *v);
                        }
                    });
            }
            Rule::Adam { betas: [b1, b2], decay } => {
                let unbias = |beta: f32| 1.0 - f64::from(beta).powi(slots.steps as i32) as f32;
                let (c1, c2) = (unbias(b1), unbias(b2));
                let moments = slots.first.iter_mut().zip(&mut slots.second);
                for ((w, g), (m, v)) in w.iter_mut().zip(g).zip(moments) {
                    *m = b1 * *m + (1.0 - b1) * g;
                    *v = b2 * *v + (1.0 - b2) * g * g;
                    *w -= rate * (*m / c1 / ((*v / c2).sqrt() + 1e-8) + decay * *w);
                }
            }
        }
        Ok(())
    }
}

/// Exponential moving average of parameters, by name.
#[derive(Debug, Clone, Default)]
pub struct Average {
    pub(crate) values: BTreeMap<String, Vec<f32>>,
    pub(crate) updates: u64,
}

impl Average {
    /// Moves the averages towards the parameters by `1 - decay`, and by more at first, so that the random start is forgotten:
    /// the decay is at most `(1 + t) / (10 + t)` after `t` updates. A parameter seen for the first time is its average.
    ///
    /// # Errors
    /// If a parameter cannot be read.
    pub fn update(&mut self, parameters: &BTreeMap<String, Var>, decay: f32) -> Result<()> {
        let decay = decay.min((1.0 + self.updates as f32) / (10.0 + self.updates as f32));
        self.updates += 1;
        for (name, parameter) in parameters {
            crate::ops::with_slice(parameter, |values| match self.values.get_mut(name) {
                Some(average) if average.len() == values.len() => {
                    (average.par_chunks_mut(CHUNK), values.par_chunks(CHUNK))
                        .into_par_iter()
                        .for_each(|(average, values)| {
                            for (a, v) in average.iter_mut().zip(values) {
                                *a += (1.0 - decay) * (v - *a);
                            }
                        });
                }
                _ => {
                    self.values.insert(name.clone(), values.to_vec());
                }
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn steps(rule: Rule, gradients: &[f32]) -> f32 {
        let w = Var::new(&[1.0f32], &Device::Cpu).unwrap();
        let mut optimizer = Optimizer::default();
        for &g in gradients {
            let g = Tensor::new(&[g], &Device::Cpu).unwrap();
            optimizer.step("w", &w, &g, rule, 0.1).unwrap();
        }
        w.to_vec1::<f32>().unwrap()[0]
    }

    /// Two steps by hand: g = 1.1, v = 1.1, w = 1 - 0.1 (1.1 + 0.99); then g = w decay + 0.5.
    #[test]
    fn nesterov_by_hand() {
        let rule = Rule::Nesterov {
            momentum: 0.9,
            decay: 0.1,
        };
        let w1 = 1.0 - 0.1 * (1.1 + 0.9 * 1.1);
        assert!((steps(rule, &[1.0]) - w1).abs() < 1e-6);
        let g = 0.5 + 0.1 * w1;
        let v = 0.9 * 1.1 + g;
        let w2 = w1 - 0.1 * (g + 0.9 * v);
        assert!((steps(rule, &[1.0, 0.5]) - w2).abs() < 1e-6);
    }

    /// The first step of Adam has the length of the rate, whatever the gradient.
    #[test]
    fn adam_starts_at_its_rate() {
        for g in [0.01, 1.0, 50.0] {
            assert!((steps(Rule::ADAM, &[g]) - 0.9).abs() < 1e-5);
        }
    }

    #[test]
    fn the_average_of_a_constant_is_it() {
        let parameters = BTreeMap::from([("w".to_owned(), Var::new(&[2.0f32], &Device::Cpu).unwrap())]);
        let mut average = Average::default();
        for _ in 0..3 {
            average.update(&parameters, 0.9).unwrap();
        }
        assert_eq!(average.values["w"], [2.0]);
        parameters["w"]
            .set(&Tensor::new(&[3.0f32], &Device::Cpu).unwrap())
            .unwrap();
        average.update(&parameters, 0.9).unwrap();
        // Three updates before: the decay is 4 / 13.
        assert!((average.values["w"][0] - (2.0 + 9.0 / 13.0)).abs() < 1e-6);
    }
}
