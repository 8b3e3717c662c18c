"""A method as one ONNX graph for people who deploy it: 8-bit images in, 8-bit images out.

The protocol (luma, range, padding, chroma, rounding) is part of the graph, so that nobody has to
repeat it; the result is that of `bench.methods.protocol.fuse` up to one grey level.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.methods.contract import Method, Pad
from bench.methods.protocol import luma, network_input
from bench.methods.weights import ResolvedWeights

OPSET = 18
CHECKED_SIZES = ((64, 96), (150, 203), (257, 330))
"""Height and width of the pairs that the file is tried with."""
_BYTE_SPAN = {"unit": (1 / 255, 0.0), "signed": (2 / 255, -1.0), "byte": (1.0, 0.0)}


def _extended(image: Tensor, axis: int, multiple: int, pad: Pad) -> Tensor:
    """Padded at the end of an axis to a multiple, by gathering: no branch depends on the size."""
    size = image.shape[axis]
    index = torch.arange((size + multiple - 1) // multiple * multiple, device=image.device)
    if pad == "reflect":
        # Reflection needs more pixels than it adds; tiny images repeat their border instead.
        mirrored = 2 * (size - 1) - index
        source = torch.where(index < size, index, torch.where(mirrored < 0, size - 1, mirrored))
    else:
        source = index.clamp(max=size - 1)
    padded = image.index_select(axis, source)
    if pad != "zero":
        return padded
    shape = [1] * image.ndim
    shape[axis] = -1
    return padded * (index < size).to(image.dtype).view(shape)


class Deployed(nn.Module):
    """forward(visible uint8 1×3×H×W RGB, infrared uint8 1×1×H×W) -> fused uint8 1×3×H×W RGB."""

    def __init__(self, method: Method, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.protocol = method.protocol

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        height, width = visible.shape[-2:]
        source, thermal = network_input(self.protocol, visible, infrared)
        if self.protocol.multiple > 1:
            for axis in (2, 3):
                source, thermal = (
                    _extended(image, axis, self.protocol.multiple, self.protocol.pad)
                    for image in (source, thermal)
                )
        scale, offset = _BYTE_SPAN[self.protocol.range]
        fused: Tensor = (self.network(source, thermal)[..., :height, :width] - offset) / scale
        if self.protocol.colour != "rgb":
            colour = visible.float()
            fused = colour + (fused - luma(colour))
        return fused.clamp(0, 255).round().to(torch.uint8)


def _check_packages() -> None:
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"The ONNX export needs {' and '.join(missing)}: pip install 'ivif-bench[export]'."
        )


def _check_pixels(name: str, data: bytes, module: Deployed) -> bool:
    """Whether onnxruntime is here to run the graph; UserError where it can't, or where its pixels
    differ from torch's by more than one grey level."""
    if find_spec("onnxruntime") is None:
        return False
    import onnxruntime

    generator = torch.Generator().manual_seed(0)
    for height, width in CHECKED_SIZES:
        both = torch.randint(0, 256, (1, 4, height, width), generator=generator).to(torch.uint8)
        visible, infrared = both[:, :3].contiguous(), both[:, 3:].contiguous()
        given = {"visible": visible.numpy(), "infrared": infrared.numpy()}
        try:
            (fused,) = onnxruntime.InferenceSession(data).run(["fused"], given)
        except Exception as error:
            # onnxruntime has an exception of its own for every reason.
            reason = str(error).splitlines()[0][:200]
            raise UserError(f"{name} as ONNX does not run in onnxruntime: {reason}") from error
        with torch.inference_mode():
            expected = module(visible, infrared)
        largest = int((torch.from_numpy(fused).int() - expected.int()).abs().max())
        if largest > 1:
            raise UserError(
                f"{name} can't be written as ONNX: at {width}×{height} its pixels would be off by "
                f"{largest} grey levels; what it does depends on the image's size or values."
            )
    return True


def export_onnx(method: Method, network: nn.Module, weights: ResolvedWeights, path: Path) -> bool:
    """Write the method as an ONNX file with dynamic height and width; one pair at a time.

    Inputs "visible" (uint8 1×3×H×W RGB) and "infrared" (uint8 1×1×H×W), output "fused" (uint8
    1×3×H×W RGB). Which weights they are stands in the file's metadata. Returns whether the file was
    run and compared with torch, for which onnxruntime is needed. Raises UserError, and writes
    nothing, where a package is missing or the network does what ONNX can't express.
    """
    _check_packages()
    import onnx

    module = Deployed(method, network.eval().cpu())
    # Neither square nor a multiple of anything, so that nothing is taken for a constant.
    visible = torch.zeros(1, 3, 150, 203, dtype=torch.uint8)
    dynamic = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (visible, visible[:, :1].contiguous()),
                input_names=["visible", "infrared"],
                output_names=["fused"],
                dynamic_shapes={"visible": dynamic, "infrared": dynamic},
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        model = program.model_proto
    except Exception as error:
        # The exporter fails in a dozen of its own ways; what a person can do is the same.
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UserError(
            f"{method.name} can't be written as ONNX by this torch: {reason}"
        ) from error
    facts = {"method": method.name, "title": method.card.title, "protocol": asdict(method.protocol)}
    onnx.helper.set_model_props(model, {"bench": json.dumps({**facts, "weights": weights.facts()})})
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    checked = _check_pixels(method.name, data, module)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
    return checked
