//! Writes what a network computes, for comparison with other tools:
//! `dump_layers NETWORK PIXELS OUT [--layers] [--preprocess PIXEL_MAX MEANS STDS]`.
//!
//! PIXELS is a file of raw u8 images, NHWC. OUT/logits.f32 receives the logits, little endian; with `--layers`,
//! OUT/layers.txt lists each node (`index \t name \t tensor \t op \t dims \t scale \t zero`) and OUT/INDEX.u8 holds its
//! stored bytes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use farad_net::{ExactEngine, Network, Preprocess};

/// Images per thread and batch.
const BATCH: usize = 25;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut preprocess = None;
    if let Some(at) = args.iter().position(|a| a == "--preprocess") {
        let given: Vec<String> = args.drain(at..).skip(1).collect();
        let [pixel_max, mean, std] = given.as_slice() else {
            return Err("--preprocess takes three values".into());
        };
        let list = |text: &str| text.split(',').map(str::parse).collect::<Result<Vec<f32>, _>>();
        preprocess = Some(Preprocess {
            pixel_max: pixel_max.parse()?,
            mean: list(mean)?,
            std: list(std)?,
        });
    }
    let layers = args
        .iter()
        .position(|a| a == "--layers")
        .map(|at| args.remove(at))
        .is_some();
    let [network, pixels, out] = args.as_slice() else {
        return Err("dump_layers NETWORK PIXELS OUT [--layers] [--preprocess PIXEL_MAX MEANS STDS]".into());
    };
    let (out, pixels) = (Path::new(out), std::fs::read(pixels)?);
    let mut network = Network::load(Path::new(network))?;
    if let Some(preprocess) = preprocess {
        network.set_preprocess(preprocess)?;
    }
    let input = network.quantize_input(&pixels)?;
    let image_len = network.input_shape().iter().product::<usize>();
    std::fs::create_dir_all(out)?;
    if layers {
        dump(&network, &input, input.len() / image_len, out)?;
    }
    let logits = run(&network, &input, image_len)?;
    std::fs::write(
        out.join("logits.f32"),
        logits.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(),
    )?;
    Ok(())
}

/// All images, batches spread over the machine's cores.
fn run(network: &Network, input: &[u8], image_len: usize) -> Result<Vec<f32>, Box<dyn Error>> {
    let images = input.len() / image_len;
    let threads = std::thread::available_parallelism()?.get();
    let share = images.div_ceil(threads).max(1);
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = input
            .chunks(share * image_len)
            .map(|part| {
                scope.spawn(move || {
                    let batches = part
                        .chunks(BATCH * image_len)
                        .map(|batch| network.run(batch, &vec![0; batch.len() / image_len], &mut ExactEngine));
                    batches.collect::<Result<Vec<_>, _>>().map(|b| b.concat())
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|w| w.join().map_err(|_| "a worker failed"))
            .collect::<Result<Vec<_>, _>>()
    })?;
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

fn dump(network: &Network, input: &[u8], images: usize, out: &Path) -> Result<(), Box<dyn Error>> {
    let (mut list, mut result, mut index) = (String::new(), Ok(()), 0);
    network.run_with(input, &vec![0; images], &mut ExactEngine, &mut |node, tensor| {
        let dims = tensor
            .dims
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(",");
        let (name, op, tensor_name) = (&node.name, node.op, tensor.name);
        let written = writeln!(
            list,
            "{index}\t{name}\t{tensor_name}\t{op}\t{dims}\t{:e}\t{}",
            tensor.scale, tensor.zero
        );
        if result.is_ok() {
            result = std::fs::write(out.join(format!("{index}.u8")), tensor.data);
        }
        debug_assert!(written.is_ok(), "writing to a string");
        index += 1;
    })?;
    result?;
    std::fs::write(out.join("layers.txt"), list)?;
    Ok(())
}
