"""Decode a pair into 8-bit arrays and write 8-bit PNG: the only place that reads or writes images.

A 16-bit file is scaled to 8 bits over its full range, ``round(x / 257)``; `bench data check` says
for which files that happened.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from bench.data.pairs import Pair
from bench.errors import UserError

SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".jxl")
TIFF_BITS_PER_SAMPLE = 258

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Decoded:
    """samples: uint8, H×W (grey) or H×W×3 (RGB). depth: bits a sample in the file, 8 or 16."""

    samples: UInt8
    depth: int


def _enable_jpeg_xl(path: Path) -> None:
    try:
        import pillow_jxl  # noqa: F401  (importing registers the decoder)
    except ImportError:
        raise UserError(
            f"{path} is JPEG XL and its decoder is not installed: pip install 'ivif-bench[jxl]'."
        ) from None


def _is_deep_colour(data: bytes) -> bool:
    # Pillow silently keeps only the high byte of 16-bit RGB in PNG and TIFF files.
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return len(data) > 25 and data[24] == 16 and data[25] in (2, 6)
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            bits = getattr(image, "tag_v2", {}).get(TIFF_BITS_PER_SAMPLE, (8,))
    except (OSError, SyntaxError, ValueError):
        return False
    return len(bits) > 1 and max(bits) > 8


def _decode_with_opencv(data: bytes, path: Path) -> npt.NDArray[np.generic]:
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise UserError(f"{path} can't be decoded: it is damaged or not an image. Replace it.")
    if array.ndim == 3:
        array = array[:, :, 2::-1]
    return np.asarray(array)


def _decode_with_pillow(data: bytes, path: Path) -> npt.NDArray[np.generic]:
    try:
        with Image.open(io.BytesIO(data)) as file:
            image: Image.Image = file
            if image.mode in ("1", "LA"):
                image = image.convert("L")
            elif image.mode in ("P", "PA", "RGBA", "CMYK", "YCbCr", "RGBX"):
                image = image.convert("RGB")
            return np.array(image)
    except UnidentifiedImageError:
        return _decode_with_opencv(data, path)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"{path} can't be decoded ({error}). Replace it.") from None


def decode(path: Path) -> Decoded:
    """Decode one file to 8-bit grey or RGB; alpha is dropped.

    Raises UserError for a missing, empty, damaged or unsupported file.
    """
    if path.suffix.lower() == ".jxl":
        _enable_jpeg_xl(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from None
    if not data:
        raise UserError(f"{path} is empty. Replace it.")
    if _is_deep_colour(data):
        array = _decode_with_opencv(data, path)
    else:
        array = _decode_with_pillow(data, path)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise UserError(f"{path} has the shape {array.shape}; grey or RGB images are needed.")
    if array.dtype == np.uint8:
        return Decoded(np.ascontiguousarray(array, dtype=np.uint8), 8)
    if array.dtype in (np.uint16, np.int32) and int(array.min()) >= 0 and int(array.max()) < 65536:
        # (x + 128) // 257 is round(x / 257) without a float.
        scaled = (array.astype(np.uint32) + 128) // 257
        return Decoded(scaled.astype(np.uint8), 16)
    raise UserError(f"{path} holds {array.dtype} samples; 8- or 16-bit integers are needed.")


def read_visible(path: Path) -> UInt8:
    """The visible image, uint8 H×W×3 RGB; a grey file is repeated over the channels."""
    samples = decode(path).samples
    return samples if samples.ndim == 3 else np.repeat(samples[:, :, None], 3, axis=2)


def read_infrared(path: Path) -> UInt8:
    """The infrared image, uint8 H×W. Three equal channels are accepted, colour is an error."""
    samples = decode(path).samples
    if samples.ndim == 2:
        return samples
    grey = samples[:, :, 0]
    if not (np.array_equal(grey, samples[:, :, 1]) and np.array_equal(grey, samples[:, :, 2])):
        raise UserError(
            f"{path} is a colour image, but infrared must be grey or have three equal channels: "
            "check that the folders are not swapped."
        )
    return np.ascontiguousarray(grey)


def read_pair(pair: Pair) -> tuple[UInt8, UInt8]:
    """(visible uint8 H×W×3 RGB, infrared uint8 H×W) of equal H and W; UserError if they differ."""
    visible, infrared = read_visible(pair.visible), read_infrared(pair.infrared)
    if visible.shape[:2] != infrared.shape:
        raise UserError(
            f"{pair.infrared} is {infrared.shape[1]}×{infrared.shape[0]} but {pair.visible} is "
            f"{visible.shape[1]}×{visible.shape[0]}: a pair must have one size, nothing is resized."
        )
    return visible, infrared


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) from the header, without decoding where the format allows it."""
    if path.suffix.lower() == ".jxl":
        _enable_jpeg_xl(path)
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError):
        height, width = decode(path).samples.shape[:2]
        return width, height


def write_png(path: Path, samples: UInt8) -> None:
    """Write uint8 H×W or H×W×3 RGB as PNG, so that `path` is either whole or absent.

    Three equal channels are stored as one: half the bytes, the same image.
    """
    if samples.ndim == 3:
        grey = samples[:, :, 0]
        if np.array_equal(grey, samples[:, :, 1]) and np.array_equal(grey, samples[:, :, 2]):
            samples = grey
        else:
            # A copy of whole planes where the image comes in planes, as from the fuse stage.
            planes = [samples[:, :, channel] for channel in (2, 1, 0)]
            samples = np.asarray(cv2.merge(planes), dtype=np.uint8)
    # OpenCV's own choice (one filter, runs) takes half the time of level 1 for about the same
    # size, and is read faster (docs/performance.md).
    done, data = cv2.imencode(".png", np.ascontiguousarray(samples))
    if not done:
        raise RuntimeError(f"OpenCV could not encode {path} of shape {samples.shape}")
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data.tobytes())
    os.replace(temporary, path)
