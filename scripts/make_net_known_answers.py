#!/usr/bin/env python3
"""Makes the known answers of crates/farad-net: tiny random networks and what the source tools compute with them.

    pip install numpy flatbuffers tflite ai-edge-litert onnx onnxruntime
    python3 scripts/make_net_known_answers.py crates/farad-net/tests/known_answers

Each network NAME.tflite or NAME.onnx comes with NAME.txt:

    input    <hex>            pixels of all images, NHWC, one byte each
    tensor   NAME  <hex>      stored bytes of an 8-bit tensor, all images, NHWC (int8 values have 128 added)
    logits   <hex>            little-endian float32 of the output

TFLite answers come from the reference kernels (OpResolverType.BUILTIN_REF), ONNX answers from the CPU provider at its
default optimisation level. The answers hold for the versions that this script prints.
"""

import pathlib
import sys

import flatbuffers
import numpy as np
import onnx
import onnxruntime
import tflite
from onnx import TensorProto, helper

IMAGES = 3


def main():
    out = pathlib.Path(sys.argv[1])
    print("ai-edge-litert", litert_version(), "onnxruntime", onnxruntime.__version__, "onnx", onnx.__version__)
    for name, build in TFLITE.items():
        model, pixels = build(np.random.default_rng(sum(name.encode())))
        (out / f"{name}.tflite").write_bytes(model)
        write_answers(out / f"{name}.txt", pixels, *run_tflite(model, pixels))
    for name, build in ONNX.items():
        model, pixels, feed = build(np.random.default_rng(sum(name.encode())))
        (out / f"{name}.onnx").write_bytes(model.SerializeToString())
        write_answers(out / f"{name}.txt", pixels, *run_onnx(model, feed))


def litert_version():
    from importlib.metadata import version

    return version("ai-edge-litert")


def write_answers(path, pixels, tensors, logits):
    lines = ["input\t" + pixels.astype(np.uint8).tobytes().hex()]
    lines += [f"tensor\t{name}\t{stored.astype(np.uint8).tobytes().hex()}" for name, stored in tensors]
    lines.append("logits\t" + np.ascontiguousarray(logits, "<f4").tobytes().hex())
    path.write_text("\n".join(lines) + "\n")
    print(path.name, len(tensors), "tensors,", path.stat().st_size, "bytes")


# ----------------------------------------------------------------------------------------------------------- TFLite


class TfliteNet:
    """A TFLite model written table by table."""

    def __init__(self, rng):
        self.rng, self.tensors, self.buffers, self.ops, self.codes = rng, [], [b""], [], []

    def tensor(self, shape, kind=tflite.TensorType.INT8, scale=None, zero=None, data=None, axis=0):
        buffer = 0
        if data is not None:
            buffer = len(self.buffers)
            self.buffers.append(np.ascontiguousarray(data).tobytes())
        self.tensors.append((f"t{len(self.tensors)}", list(shape), kind, buffer, scale, zero, axis))
        return len(self.tensors) - 1

    def activation(self, shape, scale=None, zero=None):
        scale = np.float32(self.rng.uniform(0.01, 0.1)) if scale is None else scale
        zero = int(self.rng.integers(-128, 100)) if zero is None else zero
        return self.tensor([1, *shape], scale=[scale], zero=[zero])

    def ints(self, values):
        values = np.array(values, np.int32)
        return self.tensor(values.shape, tflite.TensorType.INT32, data=values)

    def weights(self, x, shape, channels_axis, per_channel=True):
        """Weights, and a bias on the accumulator's steps for the input tensor `x`."""
        channels = shape[channels_axis] if per_channel else 1
        scale = self.rng.uniform(0.002, 0.02, channels).astype(np.float32)
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        weights = self.tensor(shape, scale=scale, zero=[0] * channels, data=data, axis=channels_axis)
        bias = self.rng.integers(-3000, 3000, shape[channels_axis]).astype(np.int32)
        return weights, self.tensor(bias.shape, tflite.TensorType.INT32, scale=scale * np.float32(self.tensors[x][4][0]),
                                    zero=[0] * channels, data=bias)

    def op(self, code, inputs, output, options=None, **fields):
        if code not in self.codes:
            self.codes.append(code)
        self.ops.append((code, inputs, output, options, fields))
        return output

    def finish(self, source, output):
        b = flatbuffers.Builder(1 << 14)

        def vector(values, start, prepend):
            start(b, len(values))
            for value in reversed(values):
                prepend(value)
            return b.EndVector()

        offsets = lambda values, start: vector(values, start, b.PrependUOffsetTRelative)
        buffers = []
        for data in self.buffers:
            stored = b.CreateByteVector(data) if data else None
            tflite.BufferStart(b)
            if stored is not None:
                tflite.BufferAddData(b, stored)
            buffers.append(tflite.BufferEnd(b))
        tensors = []
        for name, shape, kind, buffer, scale, zero, axis in self.tensors:
            quantization = None
            if scale is not None:
                scales = vector(scale, tflite.QuantizationParametersStartScaleVector, b.PrependFloat32)
                zeros = vector(zero, tflite.QuantizationParametersStartZeroPointVector, b.PrependInt64)
                tflite.QuantizationParametersStart(b)
                tflite.QuantizationParametersAddScale(b, scales)
                tflite.QuantizationParametersAddZeroPoint(b, zeros)
                tflite.QuantizationParametersAddQuantizedDimension(b, axis)
                quantization = tflite.QuantizationParametersEnd(b)
            named = b.CreateString(name)
            dims = vector(shape, tflite.TensorStartShapeVector, b.PrependInt32)
            tflite.TensorStart(b)
            tflite.TensorAddShape(b, dims)
            tflite.TensorAddType(b, kind)
            tflite.TensorAddBuffer(b, buffer)
            tflite.TensorAddName(b, named)
            if quantization is not None:
                tflite.TensorAddQuantization(b, quantization)
            tensors.append(tflite.TensorEnd(b))
        operators = []
        for code, inputs, out, options, fields in self.ops:
            table = None
            if options:
                getattr(tflite, options + "Start")(b)
                for field, value in fields.items():
                    getattr(tflite, f"{options}Add{field}")(b, value)
                table = getattr(tflite, options + "End")(b)
            ins = vector(inputs, tflite.OperatorStartInputsVector, b.PrependInt32)
            outs = vector([out], tflite.OperatorStartOutputsVector, b.PrependInt32)
            tflite.OperatorStart(b)
            tflite.OperatorAddOpcodeIndex(b, self.codes.index(code))
            tflite.OperatorAddInputs(b, ins)
            tflite.OperatorAddOutputs(b, outs)
            if options:
                tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, options))
                tflite.OperatorAddBuiltinOptions(b, table)
            operators.append(tflite.OperatorEnd(b))
        codes = []
        for code in self.codes:
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
            tflite.OperatorCodeAddBuiltinCode(b, code)
            tflite.OperatorCodeAddVersion(b, VERSIONS.get(code, 2))
            codes.append(tflite.OperatorCodeEnd(b))
        all_tensors = offsets(tensors, tflite.SubGraphStartTensorsVector)
        inputs = vector([source], tflite.SubGraphStartInputsVector, b.PrependInt32)
        outputs = vector([output], tflite.SubGraphStartOutputsVector, b.PrependInt32)
        all_operators = offsets(operators, tflite.SubGraphStartOperatorsVector)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, all_tensors)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, all_operators)
        graphs = offsets([tflite.SubGraphEnd(b)], tflite.ModelStartSubgraphsVector)
        all_codes = offsets(codes, tflite.ModelStartOperatorCodesVector)
        all_buffers = offsets(buffers, tflite.ModelStartBuffersVector)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, all_codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, all_buffers)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())


Op = tflite.BuiltinOperator
# The operator version from which a kernel takes int8; 2 elsewhere.
VERSIONS = {
    Op.CONV_2D: 3, Op.DEPTHWISE_CONV_2D: 3, Op.FULLY_CONNECTED: 4, Op.RESHAPE: 1, Op.HARD_SWISH: 1, Op.QUANTIZE: 1, Op.SQUEEZE: 1,
}
SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
NONE, RELU, RELU6 = (getattr(tflite.ActivationFunctionType, a) for a in ("NONE", "RELU", "RELU6"))


def run_tflite(model, pixels):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = [int(op["outputs"][0]) for op in interpreter._get_ops_details()]
    names = {d["index"]: d["name"] for d in interpreter.get_tensor_details()}
    bytes_of, logits = {}, []
    for image in pixels:
        image = image[None]
        if source["dtype"] == np.int8:
            image = (image.astype(np.int16) - 128).astype(np.int8)
        elif source["dtype"] == np.float32:
            image = image.astype(np.float32) / np.float32(255)
        interpreter.set_tensor(source["index"], image)
        interpreter.invoke()
        for index in outputs:
            values = interpreter.get_tensor(index)
            if values.dtype == np.int8:
                bytes_of.setdefault(index, []).append((values.astype(np.int16) + 128).astype(np.uint8).ravel())
        values = interpreter.get_tensor(target["index"]).ravel()
        if values.dtype == np.int8:
            scale, zero = target["quantization"]
            values = (values.astype(np.int32) - zero).astype(np.float32) * np.float32(scale)
        logits.append(values)
    return [(names[i], np.stack(v)) for i, v in bytes_of.items()], np.stack(logits)


def convolutions_tflite(rng):
    """Convolutions of every kind down to a softmax."""
    net = TfliteNet(rng)
    x = source = net.activation([9, 7, 3], 0.05, -7)
    w, b = net.weights(x, [8, 3, 3, 3], 0)
    x = net.op(Op.CONV_2D, [x, w, b], net.activation([5, 4, 8], 0.04, -128), "Conv2DOptions",
               Padding=SAME, StrideW=2, StrideH=2, FusedActivationFunction=RELU6, DilationWFactor=1, DilationHFactor=1)
    w, b = net.weights(x, [1, 3, 3, 16], 3)
    x = net.op(Op.DEPTHWISE_CONV_2D, [x, w, b], net.activation([5, 4, 16], 0.06, 3), "DepthwiseConv2DOptions",
               Padding=SAME, StrideW=1, StrideH=1, DepthMultiplier=2, DilationWFactor=2, DilationHFactor=1)
    w, b = net.weights(x, [6, 2, 1, 8], 0)
    y = net.op(Op.CONV_2D, [x, w, b], net.activation([4, 4, 6], 0.09, -128), "Conv2DOptions",
               Padding=VALID, StrideW=1, StrideH=1, FusedActivationFunction=RELU, DilationWFactor=1, DilationHFactor=1)
    w, b = net.weights(x, [6, 2, 1, 16], 0, per_channel=False)
    z = net.op(Op.CONV_2D, [x, w, b], net.activation([4, 4, 6], 0.11, 11), "Conv2DOptions",
               Padding=VALID, StrideW=1, StrideH=1, DilationWFactor=1, DilationHFactor=1)
    x = net.op(Op.ADD, [y, z], net.activation([4, 4, 6], 0.1, -128), "AddOptions", FusedActivationFunction=RELU)
    x = net.op(Op.RESHAPE, [x, net.ints([1, 96])], net.activation([96], 0.1, -128), "ReshapeOptions")
    w, b = net.weights(x, [12, 96], 0, per_channel=False)
    x = net.op(Op.FULLY_CONNECTED, [x, w, b], net.activation([12], 0.13, 5), "FullyConnectedOptions",
               FusedActivationFunction=RELU)
    w, _ = net.weights(x, [10, 12], 0)
    x = net.op(Op.FULLY_CONNECTED, [x, w, -1], net.activation([10], 0.06, -20), "FullyConnectedOptions")
    x = net.op(Op.SOFTMAX, [x], net.activation([10], 1 / 256, -128), "SoftmaxOptions", Beta=1.0)
    return net.finish(source, x), rng.integers(0, 256, (IMAGES, 9, 7, 3))


def elementwise_tflite(rng):
    """Sums, products and functions of one value, each over every byte."""
    net = TfliteNet(rng)
    shape = [8, 8, 4]
    source = net.activation(shape, 0.04, 3)
    relu = net.op(Op.RELU, [source], net.activation(shape, 0.031, -100))
    relu6 = net.op(Op.RELU6, [source], net.activation(shape, 0.05, -128))
    swish = net.op(Op.HARD_SWISH, [source], net.activation(shape, 0.043, -90), "HardSwishOptions")
    steep = net.op(Op.QUANTIZE, [source], net.activation(shape, 0.0375, 40), "QuantizeOptions")
    gate = net.op(Op.LOGISTIC, [source], net.activation(shape, 1 / 256, -128))
    x = net.op(Op.MUL, [swish, gate], net.activation(shape, 0.02, -50), "MulOptions")
    x = net.op(Op.SUB, [x, relu], net.activation(shape, 0.05, 60), "SubOptions")
    x = net.op(Op.ADD, [x, relu6], net.activation(shape, 0.033, 7), "AddOptions")
    data = rng.integers(-128, 128, [1, 1, 1, 4]).astype(np.int8)
    constant = net.tensor(data.shape, scale=[0.03], zero=[4], data=data)
    x = net.op(Op.ADD, [x, constant], net.activation(shape, 0.06, 7), "AddOptions", FusedActivationFunction=RELU6)
    mean = net.op(Op.MEAN, [steep, net.ints([1, 2])], net.activation([1, 1, 4], 0.01, -5), "ReducerOptions", KeepDims=True)
    x = net.op(Op.MUL, [x, mean], net.activation(shape, 0.02, -3), "MulOptions")
    same = net.op(Op.QUANTIZE, [steep], net.activation(shape, 0.02, -3), "QuantizeOptions")
    x = net.op(Op.CONCATENATION, [x, same], net.activation([8, 8, 8], 0.02, -3), "ConcatenationOptions", Axis=3)
    x = net.op(Op.MEAN, [x, net.ints([2, 1])], net.activation([8], 0.013, -7), "ReducerOptions")
    return net.finish(source, x), np.stack([rng.permutation(256).reshape(shape) for _ in range(2)])


def movement_tflite(rng):
    """Data movement and pooling, between a float input and a float output."""
    net = TfliteNet(rng)
    source = net.tensor([1, 7, 6, 3], tflite.TensorType.FLOAT32)
    x = net.op(Op.QUANTIZE, [source], net.activation([7, 6, 3], 0.00391, -126), "QuantizeOptions")
    keep = dict(scale=0.00391, zero=-126)
    x = net.op(Op.PAD, [x, net.ints([[0, 0], [1, 2], [0, 1], [0, 0]])], net.activation([10, 7, 3], **keep), "PadOptions")
    x = net.op(Op.AVERAGE_POOL_2D, [x], net.activation([5, 4, 3], **keep), "Pool2DOptions",
               Padding=SAME, StrideW=2, StrideH=2, FilterWidth=3, FilterHeight=3)
    x = net.op(Op.TRANSPOSE, [x, net.ints([0, 2, 3, 1])], net.activation([4, 3, 5], **keep), "TransposeOptions")
    x = net.op(Op.STRIDED_SLICE, [x, net.ints([0, 3, 0, 0]), net.ints([0, 0, 3, 5]), net.ints([1, -2, 1, 2])],
               net.activation([2, 3, 3], **keep), "StridedSliceOptions", BeginMask=1, EndMask=1)
    x = net.op(Op.MAX_POOL_2D, [x], net.activation([2, 3, 3], **keep), "Pool2DOptions",
               Padding=SAME, StrideW=1, StrideH=1, FilterWidth=2, FilterHeight=2)
    x = net.op(Op.SLICE, [x, net.ints([0, 0, 1, 0]), net.ints([-1, 2, 1, -1])], net.activation([2, 1, 3], **keep), "SliceOptions")
    x = net.op(Op.SQUEEZE, [x], net.activation([2, 3], **keep), "SqueezeOptions")
    x = net.op(Op.RESHAPE, [x, net.ints([1, 6])], net.activation([6], **keep), "ReshapeOptions")
    x = net.op(Op.DEQUANTIZE, [x], net.tensor([1, 6], tflite.TensorType.FLOAT32), "DequantizeOptions")
    return net.finish(source, x), rng.integers(0, 256, (IMAGES, 7, 6, 3))


TFLITE = {
    "convolutions_tflite": convolutions_tflite,
    "elementwise_tflite": elementwise_tflite,
    "movement_tflite": movement_tflite,
}

# ------------------------------------------------------------------------------------------------------------- ONNX

U8, I8, F32 = TensorProto.UINT8, TensorProto.INT8, TensorProto.FLOAT
NUMPY = {U8: np.uint8, I8: np.int8}


class OnnxNet:
    """An ONNX model in QDQ form: `q` quantises and dequantises a float name."""

    def __init__(self, rng, kind=U8, metadata=()):
        self.rng, self.kind, self.metadata, self.nodes, self.initializers = rng, kind, dict(metadata), [], []

    def constant(self, values, name=None):
        name = name or f"c{len(self.initializers)}"
        self.initializers.append(onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def op(self, op, inputs, output=None, **attributes):
        output = output or f"{op}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"n_{output}", **attributes))
        return output

    def q(self, x, scale, zero):
        """Quantises to the net's type; `zero` counts from its smallest value."""
        zero -= 128 if self.kind == I8 else 0
        steps = [self.constant(np.float32(scale)), self.constant(NUMPY[self.kind](zero))]
        quantised = self.op("QuantizeLinear", [x, *steps])
        return self.op("DequantizeLinear", [quantised, *steps])

    def weights(self, shape, axis=0, kind=I8, per_channel=True):
        scale = self.rng.uniform(0.002, 0.02, shape[axis] if per_channel else ()).astype(np.float32)
        low = -127 if kind == I8 else 0
        values = self.rng.integers(low, low + 255, shape).astype(NUMPY[kind])
        zero = np.full(scale.shape, 0 if kind == I8 else 113, NUMPY[kind])
        attributes = dict(axis=axis) if per_channel else {}
        inputs = [self.constant(values), self.constant(scale), self.constant(zero)]
        return self.op("DequantizeLinear", inputs, **attributes), scale

    def bias(self, channels, scale):
        values = self.rng.integers(-3000, 3000, channels).astype(np.int32)
        scale = np.broadcast_to(np.asarray(scale, np.float32), channels)
        inputs = [self.constant(values), self.constant(scale), self.constant(np.zeros(channels, np.int32))]
        return self.op("DequantizeLinear", inputs, axis=0)

    def finish(self, source, output):
        graph = helper.make_graph(
            self.nodes, "net",
            [helper.make_tensor_value_info("image", F32, ["N", *source])],
            [helper.make_tensor_value_info(output, F32, ["N", "classes"])],
            self.initializers,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, self.metadata)
        onnx.checker.check_model(model)
        return model


def run_onnx(model, feed):
    quantised = [n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    logits = model.graph.output[0].name
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in quantised)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    run = lambda m, names: onnxruntime.InferenceSession(
        m.SerializeToString(), options, providers=["CPUExecutionProvider"]
    ).run(names, {"image": feed})
    tensors = []
    for name, values in zip(quantised, run(probe, quantised)):
        if values.dtype == np.int8:
            values = (values.astype(np.int16) + 128).astype(np.uint8)
        tensors.append((name, values.transpose(0, 2, 3, 1) if values.ndim == 4 else values))
    # The logits of the model as it is: watching a tensor may change what onnxruntime fuses.
    return tensors, run(model, [logits])[0]


def pixels_to_feed(pixels, pixel_max, mean, std):
    """The normalisation of farad-net's Preprocess, in float32 and in its order."""
    real = (pixels.astype(np.float32) * np.float32(pixel_max) / np.float32(255) - np.float32(mean)) / np.float32(std)
    return np.ascontiguousarray(real.transpose(0, 3, 1, 2))


NORMALISATION = {"farad.pixel_max": "1", "farad.mean": "0.48,0.45,0.4", "farad.std": "0.25,0.24,0.27"}


def normalised(rng, h, w):
    pixels = rng.integers(0, 256, (IMAGES, h, w, 3))
    return pixels, pixels_to_feed(pixels, 1, [0.48, 0.45, 0.4], [0.25, 0.24, 0.27])


def convolutions_onnx(rng):
    """Convolutions of every kind, uint8 activations, down to quantised logits."""
    net = OnnxNet(rng, metadata=NORMALISATION)
    x = net.q("image", 0.017, 118)
    w, s = net.weights([8, 3, 3, 3])
    x = net.op("Conv", [x, w, net.bias(8, np.float32(0.017) * s)], auto_pad="SAME_UPPER", strides=[2, 2])
    x = net.q(net.op("Relu", [x]), 0.03, 0)
    w, s = net.weights([16, 1, 3, 3])
    x = net.op("Conv", [x, w, net.bias(16, np.float32(0.03) * s)], group=8, pads=[0, 1, 2, 1], dilations=[1, 2])
    x = net.q(x, 0.05, 100)
    w, s = net.weights([6, 8, 2, 1], kind=U8, per_channel=False)
    y = net.q(net.op("Conv", [x, w, net.bias(6, np.float32(0.05) * s)], group=2), 0.09, 131)
    w, s = net.weights([6, 16, 2, 1])
    z = net.q(net.op("Conv", [x, w]), 0.11, 97)
    x = net.q(net.op("Relu", [net.op("Add", [y, z])]), 0.07, 0)
    x = net.q(net.op("MaxPool", [x], kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1), 0.07, 0)
    x = net.q(net.op("Flatten", [x]), 0.07, 0)
    w, s = net.weights([12, 12], per_channel=False)
    x = net.q(net.op("Gemm", [x, w, net.bias(12, np.float32(0.07) * s)], transB=1), 0.08, 55)
    w, s = net.weights([12, 10], axis=1)
    x = net.q(net.op("MatMul", [x, w]), 0.06, 120)
    pixels, feed = normalised(rng, 9, 7)
    return net.finish([3, 9, 7], x), pixels, feed


def elementwise_onnx(rng):
    """Sums, products, joins and functions of one value, int8 activations; logits from a sum over the picture."""
    net = OnnxNet(rng, I8, NORMALISATION)
    x = net.q("image", 0.017, 120)
    relu = net.q(net.op("Relu", [x]), 0.01, 3)
    clip = net.q(net.op("Clip", [x, net.constant(np.float32(-0.5)), net.constant(np.float32(1.25))]), 0.008, 100)
    leaky = net.q(net.op("LeakyRelu", [x], alpha=0.1), 0.013, 30)
    gate = net.q(net.op("Sigmoid", [x]), 1 / 256, 0)
    hard = net.q(net.op("HardSigmoid", [x], alpha=1 / 6, beta=0.5), 1 / 255, 0)
    swish = net.q(net.op("HardSwish", [x]), 0.012, 40)
    product = net.q(net.op("Mul", [leaky, gate]), 0.009, 25)
    total = net.q(net.op("Add", [relu, clip]), 0.015, 70)
    constant = net.constant(rng.integers(-100, 100, (3, 1, 1)).astype(np.int8))
    constant = net.op("DequantizeLinear", [constant, net.constant(np.float32(0.02)), net.constant(np.int8(3))])
    total = net.q(net.op("Add", [total, constant]), 0.02, 90)
    mean = net.q(net.op("GlobalAveragePool", [swish]), 0.006, 33)
    scaled = net.q(net.op("Mul", [hard, mean]), 0.005, 20)
    joined = net.q(net.op("Concat", [product, total, scaled, swish], axis=1), 0.02, 90)
    x = net.q(net.op("GlobalAveragePool", [joined]), 0.01, 100)
    x = net.q(net.op("Squeeze", [x, net.constant(np.array([2, 3]))]), 0.01, 100)
    pixels, feed = normalised(rng, 9, 7)
    return net.finish([3, 9, 7], x), pixels, feed


def movement_onnx(rng):
    """Data movement and pooling, with quantised tensors between."""
    net = OnnxNet(rng, metadata=NORMALISATION)
    keep = dict(scale=0.017, zero=118)
    ints = lambda *values: net.constant(np.array(values, np.int64))
    x = net.q("image", **keep)
    x = net.q(net.op("Pad", [x, ints(0, 2, 0, 1, 0, 1, 0, 0)]), **keep)
    x = net.q(net.op("Slice", [x, ints(-1, 0), ints(-100, 7), ints(2, 3), ints(-2, 3)]), **keep)
    x = net.q(net.op("AveragePool", [x], kernel_shape=[3, 2], strides=[1, 1], pads=[1, 0, 1, 1]), 0.0171, 117)
    x = net.q(net.op("AveragePool", [x], kernel_shape=[2, 2], pads=[0, 1, 1, 0], count_include_pad=1), 0.0171, 117)
    x = net.q(net.op("Transpose", [x], perm=[0, 2, 1, 3]), 0.0171, 117)
    x = net.q(net.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 1, 1]), 0.0171, 117)
    x = net.q(net.op("Reshape", [x, ints(0, -1, 2)]), 0.0171, 117)
    x = net.q(net.op("Unsqueeze", [x, ints(1)]), 0.0171, 117)
    x = net.q(net.op("Flatten", [x]), 0.0171, 117)
    pixels, feed = normalised(rng, 8, 6)
    return net.finish([3, 8, 6], x), pixels, feed


def float_pieces_onnx(rng):
    """What onnxruntime leaves in float: real biases, BatchNormalization, functions after a layer, unquantised logits."""
    net = OnnxNet(rng, metadata=NORMALISATION)
    x = net.op("Transpose", [net.q("image", 0.017, 118)], perm=[0, 3, 1, 2])
    x = net.q(x, 0.017, 118)
    floats = lambda low, high, n: net.constant(rng.uniform(low, high, n).astype(np.float32))
    w, _ = net.weights([5, 3, 3, 3])
    x = net.op("Conv", [x, w, floats(-0.3, 0.3, 5)], pads=[1, 1, 1, 1])
    x = net.op("BatchNormalization", [x, floats(0.5, 2, 5), floats(-1, 1, 5), floats(-1, 1, 5), floats(0.2, 2, 5)])
    x = net.q(net.op("HardSwish", [x]), 0.04, 20)
    w, _ = net.weights([4, 5, 1, 1])
    x = net.op("MaxPool", [net.op("Conv", [x, w])], kernel_shape=[2, 2], strides=[2, 2])
    x = net.q(net.op("Sigmoid", [x]), 1 / 255, 0)
    x = net.q(net.op("ReduceMean", [x], axes=[2, 3], keepdims=0), 1 / 255, 0)
    w, _ = net.weights([4, 7], axis=1)
    x = net.op("Add", [net.op("MatMul", [x, w]), floats(-1, 1, 7)])
    x = net.op("Softmax", [x], axis=-1)
    pixels, feed = normalised(rng, 6, 4)
    return net.finish([6, 4, 3], x), pixels, np.ascontiguousarray(feed.transpose(0, 2, 3, 1))


ONNX = {
    "convolutions_onnx": convolutions_onnx,
    "elementwise_onnx": elementwise_onnx,
    "movement_onnx": movement_onnx,
    "float_pieces_onnx": float_pieces_onnx,
}

if __name__ == "__main__":
    main()
