#!/usr/bin/env python3
"""Makes the bundled network: networks/pretrained/fashion-mnist-cnn-int8.onnx.

A small CNN for 28x28x1 Fashion-MNIST is trained wide in float, its convolutions lose the channels of smallest L1 norm
(so that they end up with the ragged widths 13, 22 and 37 that pruning leaves), the rest is fine-tuned, batch norms are
folded, and the result is quantised to int8 ONNX QDQ: unsigned bytes for activations, signed bytes per output channel
for weights. Only training images are used to train, to prune and to calibrate; the last 5,000 of them are held out to
watch progress; the test split is read once, at the end, to report accuracy.

Deterministic for one version of the libraries (the bundled file: jax 0.10.2, onnxruntime 1.32.0) and one kind of
processor. Runs on one core, about 10 minutes; Linux only (it pins itself to that core).

    sudo apt-get install dataset-fashion-mnist
    pip install jax onnx onnxruntime
    python3 scripts/make_bundled_network.py
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

# One core: the result must not depend on how many there are. Must precede the import of jax.
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from make_bundled_images import DEBIAN_DIR, IMAGES, read_idx

OUT = Path(__file__).resolve().parent.parent / "networks/pretrained/fashion-mnist-cnn-int8.onnx"
SEED = 2024
CLASSES = 10
WIDE = (24, 48, 64)
PRUNED = (13, 22, 37)
DENSE_EPOCHS = 6
FINETUNE_EPOCHS = 14
BATCH = 128
HELD_OUT = 5000
CALIBRATION = 1000
BN_EPS = 1e-5
BN_MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4


# --- the network: (3x3 convolution, batch norm, ReLU, 2x2 max pooling) three times, then one dense layer -------------


def init(key, widths):
    """He-initialised parameters; `pooled` is the side of the last feature map: 28 -> 14 -> 7 -> 3."""
    keys = jax.random.split(key, len(widths) + 1)
    blocks, in_c, pooled = [], 1, 3
    for k, out_c in zip(keys, widths):
        w = jax.random.normal(k, (3, 3, in_c, out_c)) * np.sqrt(2 / (9 * in_c))
        blocks.append({"w": w, "gamma": jnp.ones(out_c), "beta": jnp.zeros(out_c)})
        in_c = out_c
    fan_in = pooled * pooled * in_c
    dense = {"w": jax.random.normal(keys[-1], (fan_in, CLASSES)) * np.sqrt(1 / fan_in), "b": jnp.zeros(CLASSES)}
    stats = [{"mean": jnp.zeros(c), "var": jnp.ones(c)} for c in widths]
    return {"blocks": blocks, "dense": dense}, stats


def forward(params, stats, x, train):
    """Logits of NHWC images and the statistics the batch norms used."""
    used = []
    for block, stat in zip(params["blocks"], stats):
        x = jax.lax.conv_general_dilated(x, block["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        if train:
            stat = {"mean": x.mean((0, 1, 2)), "var": x.var((0, 1, 2))}
        used.append(stat)
        x = (x - stat["mean"]) * jax.lax.rsqrt(stat["var"] + BN_EPS) * block["gamma"] + block["beta"]
        n, h, w, c = x.shape
        x = jax.nn.relu(x)[:, : h // 2 * 2, : w // 2 * 2, :]
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
    return x.reshape(len(x), -1) @ params["dense"]["w"] + params["dense"]["b"], used


def loss(params, stats, x, y):
    """Cross entropy with a little label smoothing, plus weight decay on the weights (not on batch norms and biases)."""
    logits, used = forward(params, stats, x, train=True)
    target = jax.nn.one_hot(y, CLASSES) * 0.95 + 0.05 / CLASSES
    weights = [b["w"] for b in params["blocks"]] + [params["dense"]["w"]]
    decay = sum(jnp.sum(w * w) for w in weights)
    return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(logits), -1)) + 0.5 * WEIGHT_DECAY * decay, used


@jax.jit
def train_step(params, stats, velocity, x, y, rate):
    """One step of stochastic gradient descent with Nesterov momentum 0.9."""
    grads, used = jax.grad(loss, has_aux=True)(params, stats, x, y)
    stats = jax.tree.map(lambda s, u: BN_MOMENTUM * s + (1 - BN_MOMENTUM) * u, stats, used)
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, grads)
    params = jax.tree.map(lambda p, v, g: p - rate * (g + 0.9 * v), params, velocity, grads)
    return params, stats, velocity


@jax.jit
def predict(params, stats, x):
    return forward(params, stats, x, train=False)[0].argmax(-1)


def to_real(pixels):
    """What the network sees: pixel / 255, NHWC. Black is zero, so padding is black and dark pixels cost nothing."""
    return pixels[..., None].astype(np.float32) / 255


def augment(pixels, rng):
    """Mirrors half of the images and moves each batch by up to one pixel."""
    mirrored = np.where(rng.random(len(pixels))[:, None, None] < 0.5, pixels[:, :, ::-1], pixels)
    dy, dx = rng.integers(0, 3, 2)
    return np.pad(mirrored, ((0, 0), (1, 1), (1, 1)))[:, dy : dy + 28, dx : dx + 28]


def fit(params, stats, train, held_out, epochs, peak_rate, rng, label):
    """Trains for `epochs` with a rate that rises over the first epoch and then falls to zero along a cosine."""
    pixels, labels = train
    velocity = jax.tree.map(jnp.zeros_like, params)
    steps = len(pixels) // BATCH
    for epoch in range(epochs):
        start = time.time()
        order = rng.permutation(len(pixels))
        for step in range(steps):
            done = (epoch * steps + step) / (epochs * steps)
            rate = peak_rate * min(1.0, done * epochs) * 0.5 * (1 + np.cos(np.pi * done))
            at = order[step * BATCH : (step + 1) * BATCH]
            x = to_real(augment(pixels[at], rng))
            params, stats, velocity = train_step(params, stats, velocity, x, labels[at], rate)
        hits = np.asarray(predict(params, stats, to_real(held_out[0]))) == held_out[1]
        print(f"{label} epoch {epoch + 1}/{epochs}: held-out {hits.mean():.4f}, {time.time() - start:.1f} s", flush=True)
    return params, stats


# --- pruning and export ----------------------------------------------------------------------------------------------


def fold(block, stat):
    """Weights and bias of the convolution with its batch norm folded in."""
    gain = block["gamma"] / jnp.sqrt(stat["var"] + BN_EPS)
    return block["w"] * gain, block["beta"] - stat["mean"] * gain


def prune(params, stats, widths):
    """Keeps, in each convolution, the `width` channels whose folded filters have the largest L1 norm."""
    blocks, kept_stats, inputs = [], [], np.arange(1)
    for block, stat, width in zip(params["blocks"], stats, widths):
        norm = np.abs(np.asarray(fold(block, stat)[0])).sum((0, 1, 2))
        keep = np.sort(np.argsort(-norm, kind="stable")[:width])
        w = block["w"][:, :, inputs][:, :, :, keep]
        blocks.append({"w": w, "gamma": block["gamma"][keep], "beta": block["beta"][keep]})
        kept_stats.append({"mean": stat["mean"][keep], "var": stat["var"][keep]})
        inputs = keep
    dense_w = params["dense"]["w"].reshape(-1, len(stats[-1]["mean"]), CLASSES)[:, inputs].reshape(-1, CLASSES)
    return {"blocks": blocks, "dense": {"w": dense_w, "b": params["dense"]["b"]}}, kept_stats


def float_model(params, stats):
    """The folded network as a float ONNX model; ONNX is NCHW, so weights and the flattened features are transposed."""
    nodes, weights, x = [], [], "image"

    def constant(name, value):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    for i, (block, stat) in enumerate(zip(params["blocks"], stats), 1):
        w, b = (np.asarray(t) for t in fold(block, stat))
        names = [constant(f"conv{i}.weight", w.transpose(3, 2, 0, 1)), constant(f"conv{i}.bias", b)]
        nodes += [
            helper.make_node("Conv", [x, *names], [f"conv{i}_out"], f"conv{i}", kernel_shape=[3, 3], pads=[1] * 4),
            helper.make_node("Relu", [f"conv{i}_out"], [f"relu{i}_out"], f"relu{i}"),
            helper.make_node("MaxPool", [f"relu{i}_out"], [f"pool{i}_out"], f"pool{i}", kernel_shape=[2, 2], strides=[2, 2]),
        ]
        x = f"pool{i}_out"
    w = np.asarray(params["dense"]["w"]).reshape(3, 3, -1, CLASSES).transpose(3, 2, 0, 1).reshape(CLASSES, -1)
    names = [constant("dense.weight", w), constant("dense.bias", params["dense"]["b"])]
    nodes += [
        helper.make_node("Flatten", [x], ["features"], "flatten"),
        helper.make_node("Gemm", ["features", *names], ["logits"], "dense", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "fashion-mnist-cnn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="farad")
    onnx.checker.check_model(model, full_check=True)
    return model


class Calibration(CalibrationDataReader):
    """Feeds training images to the quantiser, which takes the range of each activation from them."""

    def __init__(self, pixels):
        self.batches = iter([{"image": to_real(p).transpose(0, 3, 1, 2)} for p in np.split(pixels, 10)])

    def get_next(self):
        return next(self.batches, None)


def quantise(model, pixels, out):
    """Writes the int8 QDQ model with the metadata that tells how pixels become inputs."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float.onnx"
        onnx.save(model, source)
        quantize_static(
            source,
            out,
            Calibration(pixels),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"WeightSymmetric": True, "ActivationSymmetric": False},
        )
    quantised = onnx.load(out)
    scale = next(numpy_helper.to_array(t) for t in quantised.graph.initializer if t.name == "image_scale")
    if scale != np.float32(1 / 255):
        raise SystemExit(f"input scale {scale}, not 1/255: a pixel would not be its own code")
    about = {"farad.dataset": "fashion-mnist", "farad.pixel_max": "1", "farad.mean": "0", "farad.std": "1"}
    helper.set_model_props(quantised, about)
    onnx.checker.check_model(quantised, full_check=True)
    onnx.save(quantised, out)


def classify(model, images):
    """Classes that onnxruntime finds with the model of this path or of these bytes; a tie goes to the first."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": to_real(images).transpose(0, 3, 1, 2)})[0].argmax(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=DEBIAN_DIR, help="folder of the four IDX files")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()

    pixels = read_idx(args.source / "train-images-idx3-ubyte.gz")
    labels = read_idx(args.source / "train-labels-idx1-ubyte.gz")
    train = pixels[:-HELD_OUT], labels[:-HELD_OUT]
    held_out = pixels[-HELD_OUT:], labels[-HELD_OUT:]

    rng = np.random.default_rng(SEED)
    params, stats = init(jax.random.key(SEED), WIDE)
    params, stats = fit(params, stats, train, held_out, DENSE_EPOCHS, 0.1, rng, "dense")
    params, stats = prune(params, stats, PRUNED)
    params, stats = fit(params, stats, train, held_out, FINETUNE_EPOCHS, 0.05, rng, "finetune")

    model = float_model(params, stats)
    quantise(model, train[0][:CALIBRATION], args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes")

    images = read_idx(args.source / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(args.source / "t10k-labels-idx1-ubyte.gz")
    real, int8 = classify(model.SerializeToString(), images), classify(str(args.out), images)
    for name, found in (("float", real), ("int8", int8)):
        hits = found == labels
        print(f"{name}: top-1 {hits.mean():.4f} on the test split, {hits[:IMAGES].mean():.4f} on its first {IMAGES} images")
    print(f"float and int8 agree on {(real == int8).mean():.4f} of the test split")


if __name__ == "__main__":
    main()
