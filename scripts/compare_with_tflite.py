#!/usr/bin/env python3
"""Runs one TFLite network in Farad and in TFLite's reference kernels, and compares every tensor of every layer.

    pip install numpy ai-edge-litert
    python3 scripts/compare_with_tflite.py NETWORK.tflite IMAGES.npy [--labels LABELS.npy] [--layers N]
                                           [--preprocess PIXEL_MAX MEANS STDS]

IMAGES.npy holds uint8 pixels, [image, height, width, channel]. A float network needs --preprocess, for example
`--preprocess 1 0,0,0 1,1,1` for pixels between 0 and 1. The outputs of all images are compared, the other layers on
the first N images (default 100). Exit code 1 when a single byte differs.
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from farad_layers import arguments, normalise, print_top1, run_farad

BATCH = 100


def main():
    args = arguments(__doc__.splitlines()[0])
    pixels = args.images
    different = compare_layers(args, pixels[: args.layers])
    reference, step = run_tflite(args, pixels)
    logits, _ = run_farad(args, pixels)
    unequal = int((np.abs(logits.reshape(reference.shape) - reference) > step / 2).sum())
    print(f"outputs: {unequal} of {reference.size} differ over {len(pixels)} images")
    print_top1(args.labels, TFLite=reference, Farad=logits.reshape(reference.shape))
    sys.exit(1 if different or unequal else 0)


def interpreter(args, batch, keep_all):
    tool = Interpreter(
        str(args.network),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=keep_all,
    )
    source = tool.get_input_details()[0]
    tool.resize_tensor_input(source["index"], [batch, *source["shape"][1:]])
    tool.allocate_tensors()
    return tool, source


def feed(args, source, pixels):
    if source["dtype"] == np.int8 and not args.preprocess:
        return (pixels.astype(np.int16) - 128).astype(np.int8)
    if source["dtype"] == np.uint8:
        return pixels
    real = normalise(args.preprocess, pixels)
    if source["dtype"] == np.float32:
        return real
    scale, zero = source["quantization"]
    steps = real / np.float32(scale)
    away = np.trunc(steps + np.copysign(np.float32(0.5), steps))
    return np.clip(away + zero, -128, 127).astype(np.int8)


def run_tflite(args, pixels):
    """The outputs in real units, and the real value of one step."""
    outputs = []
    for first in range(0, len(pixels), BATCH):
        batch = pixels[first : first + BATCH]
        if first == 0 or len(batch) != BATCH:
            tool, source = interpreter(args, len(batch), keep_all=False)
        tool.set_tensor(source["index"], feed(args, source, batch))
        tool.invoke()
        target = tool.get_output_details()[0]
        outputs.append(tool.get_tensor(target["index"]).reshape(len(batch), -1))
    outputs = np.concatenate(outputs)
    if outputs.dtype == np.float32:
        return outputs, 1e-6
    scale, zero = target["quantization"]
    return (outputs.astype(np.int32) - zero).astype(np.float32) * np.float32(scale), scale


def compare_layers(args, pixels):
    """Number of layers that differ; prints one line each."""
    _, nodes = run_farad(args, pixels, layers=True)
    tool, source = interpreter(args, len(pixels), keep_all=True)
    tool.set_tensor(source["index"], feed(args, source, pixels))
    tool.invoke()
    by_name = {}
    for op in tool._get_ops_details():
        values = tool.get_tensor(int(op["outputs"][0]))
        if values.dtype == np.int8:
            name = next(d["name"] for d in tool.get_tensor_details() if d["index"] == op["outputs"][0])
            by_name.setdefault(name, []).append((values.astype(np.int16) + 128).astype(np.uint8).ravel())
    different = 0
    for tensor, op, dims, stored in nodes:
        expected = by_name[tensor].pop(0)
        wrong = int((stored != expected).sum()) if stored.size == expected.size else stored.size
        different += wrong > 0
        print(f"{op:18} {dims:12} {wrong:8} of {stored.size:9} differ  {tensor}")
    return different


if __name__ == "__main__":
    main()
