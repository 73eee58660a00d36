#!/usr/bin/env python3
"""Runs one ONNX QDQ network in Farad and in onnxruntime's CPU provider, and compares every quantised tensor.

    pip install numpy onnx onnxruntime
    python3 scripts/compare_with_onnxruntime.py NETWORK.onnx IMAGES.npy [--labels LABELS.npy] [--layers N]
                                                [--preprocess PIXEL_MAX MEANS STDS]

IMAGES.npy holds uint8 pixels, [image, height, width, channel]. The normalisation comes from --preprocess or from the
file's metadata farad.pixel_max, farad.mean, farad.std. The logits of all images are compared, the quantised tensors on
the first N images (default 100). onnxruntime has no integer kernels of 4 bits and computes a network that has 4-bit
tensors in float: a value at the very edge between two steps may differ then. Exit code 1 when a prediction differs or a
value differs by more than one step.
"""

import sys

import numpy as np
import onnx
import onnxruntime

from farad_layers import arguments, normalise, print_top1, run_farad

BATCH = 250
# 4-bit types, and what holds their values for numpy.
FOUR_BITS = {onnx.TensorProto.UINT4: onnx.TensorProto.UINT8, onnx.TensorProto.INT4: onnx.TensorProto.INT8}


def main():
    args = arguments(__doc__.splitlines()[0])
    pixels = args.images
    model = onnx.load(args.network)
    worst = compare_layers(args, model, pixels[: args.layers])
    output = model.graph.output[0].name
    batches = (pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH))
    reference = np.concatenate([r.reshape(len(r), -1) for (r,) in run_onnxruntime(args, model, batches, [output])])
    logits = run_farad(args, pixels)[0].reshape(reference.shape)
    step = output_step(model, output)
    steps = np.abs(logits - reference) / step
    print(f"logits: {int((steps > 0.5).sum())} of {steps.size} differ over {len(pixels)} images, by at most {steps.max():.3g} steps of {step:.3g}")
    moved = int((logits.argmax(1) != reference.argmax(1)).sum())
    print(f"predictions: {moved} of {len(pixels)} differ")
    print_top1(args.labels, onnxruntime=reference, Farad=logits)
    sys.exit(1 if moved or steps.max() > 1.5 or worst > 1 else 0)


def feed(args, model, pixels):
    """Normalised float32 in the layout of the network's input."""
    given = args.preprocess
    if not given:
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        given = [metadata["farad." + key] for key in ("pixel_max", "mean", "std")]
    real = normalise(given, pixels)
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    nchw = channels == pixels.shape[3] and channels != pixels.shape[1]
    return np.ascontiguousarray(real.transpose(0, 3, 1, 2) if nchw else real)


def run_onnxruntime(args, model, batches, names):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Without VNNI, products of unsigned and signed bytes would saturate in 16 bits; this keeps them exact on every CPU.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if any(tensor.data_type in FOUR_BITS for tensor in model.graph.initializer):
        # Else its optimiser makes a MaxPool of 4-bit integers, and then refuses that.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0].name
    return [session.run(names, {source: feed(args, model, batch)}) for batch in batches]


def output_step(model, output):
    """Real value of one step of the output, 1e-5 where it is not quantised."""
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and output in node.output and node.input[1] in constants:
            return float(constants[node.input[1]])
    return 1e-5


def compare_layers(args, model, pixels):
    """Largest difference in steps; prints one line per node."""
    _, nodes = run_farad(args, pixels, layers=True)
    initial = {t.name: t.data_type for t in model.graph.initializer}
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    outputs = {}
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] in initial:
            continue
        name = outputs[node.output[0]] = node.output[0]
        kind = initial.get(node.input[2]) if len(node.input) > 2 else None
        if kind in FOUR_BITS:
            outputs[name] = name + ".byte"
            cast = onnx.helper.make_node("Cast", [name], [outputs[name]], to=FOUR_BITS[kind])
            probe.graph.node.append(cast)
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(output) for output in outputs.values())
    (values,) = run_onnxruntime(args, probe, [pixels], list(outputs.values()))
    expected = {}
    for (name, output), value in zip(outputs.items(), values):
        # A stored byte exceeds a signed one by half of what there are.
        half = 128 if output == name else 8
        expected[name] = value.astype(np.int16) + (half if value.dtype == np.int8 else 0)
    largest = 0
    for tensor, op, dims, stored in nodes:
        if tensor not in expected:
            print(f"{op:18} {dims:12} not in the file  {tensor}")
            continue
        values = expected[tensor]
        values = values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
        difference = np.abs(stored.astype(np.int16) - values.ravel())
        largest = max(largest, int(difference.max()))
        wrong = int((difference > 0).sum())
        print(f"{op:18} {dims:12} {wrong:8} of {stored.size:9} differ, by at most {difference.max()}  {tensor}")
    return largest


if __name__ == "__main__":
    main()
