//! Quantisation-aware training: the float weights of a network whose forward pass is the exported one.
//!
//! The forward pass is not an imitation of the int8 network, it is that network: weights become integers, the graph goes
//! through the same export and import as a file, and [`farad_net`] runs it, on exact integers or on a chip of a macro.
//! So training sees every rounding that the network will meet. The backward pass takes quantisation for the identity
//! where nothing was clipped (the straight-through estimator, Bengio et al., 2013): the gradients are those of a float
//! network with the weights and activations that the integers stand for. Below 8 bits the steps between integers train, too.
//!
//! `fold` takes batch norm into the weights, `observe` finds the ranges of activations, `steps` learns step sizes, `integer` rounds
//! weights, `export` writes the network and `stored` reads it, `forward` runs it, `backward` goes back. `sample` says which values `observe` and
//! `moments` look at. `moments` compares a chip with exact arithmetic: `fit` cuts ranges to what the macro's noise makes best, `recalibrate` takes out what the macro
//! does to every channel, `surrogate` draws it. `rates` makes steps of folded weights relative, and limits them.

mod backward;
mod export;
mod fit;
mod fold;
mod forward;
mod integer;
mod model;
mod moments;
mod observe;
mod rates;
mod recalibrate;
mod sample;
mod settings;
mod steps;
mod stored;
mod surrogate;
#[cfg(test)]
mod tests;

pub(crate) use forward::{Engines, network_error, with_engines};
pub use forward::{Forward, target_macro};
pub use model::{Gradients, Objective, QatModel};
pub use observe::Observer;
pub(crate) use rates::{cut, relative};
pub use settings::{QatSettings, Steps, Through};
pub(crate) use stored::from_file;
pub use surrogate::LayerErrors;
