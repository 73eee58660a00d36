"""What Farad computes for a network, layer by layer: shared by the compare_with_* scripts."""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments(description):
    """NETWORK, IMAGES and what goes with them; `images` and `labels` become arrays."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("network", type=pathlib.Path)
    parser.add_argument("images", type=np.load)
    parser.add_argument("--labels", type=np.load)
    parser.add_argument("--layers", type=int, default=100, metavar="N")
    parser.add_argument("--preprocess", nargs=3, metavar=("PIXEL_MAX", "MEANS", "STDS"))
    return parser.parse_args()


def run_farad(args, pixels, layers=False):
    """Logits; with `layers` also each node's tensor name, operator, dimensions and stored bytes."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "pixels").write_bytes(np.ascontiguousarray(pixels, np.uint8).tobytes())
        command = ["cargo", "run", "-q", "--release", "-p", "farad-net", "--example", "dump_layers", "--"]
        command += [args.network.resolve(), folder / "pixels", folder / "out"] + ["--layers"] * layers
        command += ["--preprocess", *args.preprocess] if args.preprocess else []
        subprocess.run(command, check=True, cwd=ROOT)
        logits = np.fromfile(folder / "out" / "logits.f32", "<f4")
        nodes = []
        if layers:
            for line in (folder / "out" / "layers.txt").read_text().splitlines():
                index, _, tensor, op, dims, *_ = line.split("\t")
                nodes.append((tensor, op, dims, np.fromfile(folder / "out" / f"{index}.u8", np.uint8)))
        return logits, nodes


def normalise(preprocess, pixels):
    """Real values of pixels, in float32 and in the order that farad-net's Preprocess fixes."""
    pixel_max, mean, std = (np.array([float(x) for x in value.split(",")], np.float32) for value in preprocess)
    return (pixels.astype(np.float32) * pixel_max[0] / np.float32(255) - mean) / std


def print_top1(labels, **scores):
    for name, values in scores.items() if labels is not None else ():
        print(f"top-1 {name}: {(values.argmax(1) == labels.ravel()).mean():.4f}")
