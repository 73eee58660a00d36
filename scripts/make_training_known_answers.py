#!/usr/bin/env python3
"""Makes the known answers of crates/farad-train: what PyTorch computes for a small network, in double precision.

    pip install numpy torch
    python3 scripts/make_training_known_answers.py crates/farad-train/tests/known_answers/pytorch.txt

The network has every operator of training: convolutions of 3x3 and of 1x1, with strides, depthwise; batch norm with and without a
mask, all activations, both residual shortcuts, both pools and the dense layer. A line is a kind, a name, and little-endian float32:

    images, labels           the batch, NHWC; labels are whole numbers
    parameter NAME           at the start; weights are [out][y][x][in], of depthwise convolutions [channel][y][x]
    logits, loss             of the first step
    gradient NAME            of the first step
    after NAME               the parameter after three steps on the same batch
    evaluated                logits after them, with running moments and without the mask

Weights, scales and shifts move by gradient descent with Nesterov's momentum, weights decay; the mask moves by Adam with decoupled decay.
"""

import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

IMAGES, CLASSES = 4, 4
# Name, channels in and out, side of the kernel, groups.
CONVOLUTIONS = [
    ("conv1", 3, 16, 3, 1),
    ("conv2", 16, 18, 3, 1),
    ("conv3", 18, 8, 3, 1),
    ("conv4", 8, 8, 3, 1),
    ("conv5", 18, 8, 1, 1),
    ("conv6", 8, 16, 1, 1),
    ("conv7", 16, 16, 3, 16),
    ("conv8", 16, 8, 1, 1),
    ("conv9", 8, 5, 3, 1),
]


def main():
    print("torch", torch.__version__)
    rng = np.random.default_rng(7)
    # What both sides read are float32.
    number = lambda values: torch.tensor(values.astype(np.float32).astype(np.float64))
    images = number(rng.normal(size=(IMAGES, 3, 8, 8)))
    labels = torch.tensor([2, 0, 3, 1])
    parameters, moments = {}, {}
    for name, inputs, outputs, kernel, groups in CONVOLUTIONS:
        shape = (outputs, inputs // groups, kernel, kernel)
        parameters[f"{name}.weight"] = number(rng.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5)
        # Wide enough for values beyond 6.
        parameters[f"{name}.gamma"] = number(rng.uniform(0.5, 4, size=outputs))
        parameters[f"{name}.beta"] = number(rng.normal(size=outputs))
        moments[name] = [torch.zeros(outputs).double(), torch.ones(outputs).double()]
    parameters["dense.weight"] = number(rng.normal(size=(CLASSES, 5)))
    parameters["dense.bias"] = number(rng.normal(size=CLASSES))
    parameters["mask"] = number(rng.normal(size=(IMAGES, 16)) * 0.5 + 1)

    lines = [
        f"images - {hexadecimal(images.permute(0, 2, 3, 1))}",
        f"labels - {' '.join(map(str, labels.tolist()))}",
    ]
    lines += [f"parameter {name} {hexadecimal(stored(name, p))}" for name, p in parameters.items()]
    for p in parameters.values():
        p.requires_grad_()
    of_kind = lambda weight: [p for n, p in parameters.items() if n != "mask" and n.endswith(".weight") == weight]
    descent = torch.optim.SGD(
        [{"params": of_kind(True), "weight_decay": 0.01}, {"params": of_kind(False), "weight_decay": 0}],
        lr=0.05,
        momentum=0.9,
        nesterov=True,
    )
    adam = torch.optim.AdamW([parameters["mask"]], lr=0.02, weight_decay=0.1)
    for step in range(3):
        logits = forward(images, parameters, moments, training=True)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        descent.zero_grad()
        adam.zero_grad()
        loss.backward()
        if step == 0:
            lines += [f"logits - {hexadecimal(logits)}", f"loss - {hexadecimal(loss)}"]
            lines += [f"gradient {name} {hexadecimal(stored(name, p.grad))}" for name, p in parameters.items()]
        descent.step()
        adam.step()
    lines += [f"after {name} {hexadecimal(stored(name, p))}" for name, p in parameters.items()]
    lines.append(f"evaluated - {hexadecimal(forward(images, parameters, moments, training=False))}")
    pathlib.Path(sys.argv[1]).write_text("\n".join(lines) + "\n")


def forward(images, parameters, moments, training):
    def convolve(name, x, stride=1, activation=F.relu):
        weight = parameters[f"{name}.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=groups)
        affine = parameters[f"{name}.gamma"], parameters[f"{name}.beta"]
        x = F.batch_norm(x, *moments[name], *affine, training=training, momentum=0.1, eps=1e-5)
        if name == "conv1" and training:
            x = x * parameters["mask"][:, :, None, None]
        return activation(x)

    nothing = lambda x: x
    x = convolve("conv2", convolve("conv1", images))
    inner = convolve("conv4", convolve("conv3", x, stride=2), activation=nothing)
    x = F.relu(inner + convolve("conv5", x, stride=2, activation=nothing))
    inner = convolve("conv7", convolve("conv6", x, activation=F.relu6), activation=F.relu6)
    x = x + convolve("conv8", inner, activation=nothing)
    x = convolve("conv9", F.max_pool2d(x, 2))
    return F.linear(x.mean((2, 3)), parameters["dense.weight"], parameters["dense.bias"])


def stored(name, values):
    """In the order of farad-train."""
    if values.dim() != 4:
        return values
    last = values.permute(0, 2, 3, 1)
    return last[..., 0] if name == "conv7.weight" else last


def hexadecimal(values):
    return np.ascontiguousarray(values.detach().numpy(), "<f4").tobytes().hex()


main()
