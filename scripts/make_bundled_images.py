#!/usr/bin/env python3
"""Makes the bundled sample: the first 1,000 images of the Fashion-MNIST test split.

Reads the four IDX files of Debian's package `dataset-fashion-mnist` (or the originals, which are the same files)
and writes two gzipped IDX files to crates/farad-data/bundled/, which farad-data embeds. Takes a second.

    sudo apt-get install dataset-fashion-mnist
    python3 scripts/make_bundled_images.py

Needs numpy only.
"""

import argparse
import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

DEBIAN_DIR = Path("/usr/share/datasets/fashion-mnist")
OUT_DIR = Path(__file__).resolve().parent.parent / "crates/farad-data/bundled"
IMAGES = 1000

# SHA-256 of the files in Debian's package 0.0~git20200523.55506a9-1.
SHA256 = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}


def read_idx(path: Path) -> np.ndarray:
    """One gzipped IDX file of unsigned bytes as an array; raises if it is not the known file."""
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != SHA256[path.name]:
        raise SystemExit(f"{path}: not the file this script was written for (SHA-256 differs)")
    data = gzip.decompress(packed)
    dims = data[3]
    shape = struct.unpack(f">{dims}I", data[4 : 4 + 4 * dims])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Writes unsigned bytes as a gzipped IDX file, without a time stamp, so the bytes depend on the data only."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31, 9)
    path.write_bytes(deflate.compress(header + array.tobytes()) + deflate.flush())
    print(f"{path}: {array.shape}, {path.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=DEBIAN_DIR, help="folder of the four IDX files")
    parser.add_argument("--out", type=Path, default=OUT_DIR)
    args = parser.parse_args()
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        write_idx(args.out / name, read_idx(args.source / name)[:IMAGES])


if __name__ == "__main__":
    main()
