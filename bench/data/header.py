"""What an image file says of itself, checked before anybody decodes it: images are not trusted.

Decoders choose by content, not by name, and know formats that nobody fuses (PostScript runs a
program to be drawn); a few kilobytes can announce gigapixels; of an animation they take one frame.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from bench.data.images import image_size
from bench.errors import UserError

MOST_PIXELS = 89_478_485
"""A quarter of a gigabyte as RGB, where Pillow begins to warn of decompression bombs too."""

_FORMATS = ("PNG", "BMP", "TIFF", "JPEG", "MPO", "WEBP", "JXL")
_BEGINNINGS = (
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\xff\xd8\xff",
    b"RIFF",
    b"\xff\x0a",
    b"\0\0\0\x0cJXL ",
)


def checked_size(path: Path) -> tuple[int, int]:
    """(width, height) of a file that is safe to decode.

    Raises UserError for one that is unreadable, of a format that is not read here, animated, or of
    more than `MOST_PIXELS`.
    """
    try:
        with path.open("rb") as stream:
            beginning = stream.read(12)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}.") from None
    if not beginning:
        raise UserError(f"{path} is empty. Replace it.")
    if not beginning.startswith(_BEGINNINGS):
        raise UserError(
            f"{path} can't be decoded: it is no PNG, BMP, TIFF, JPEG, WebP or JPEG XL file, "
            "whatever its name says. Replace it."
        )
    try:
        width, height, frames = _announced(path)
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except Exception as error:
        # On arbitrary bytes decoders fail with whatever they trip over.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{path} can't be decoded ({reason}). Replace it.") from None
    if frames > 1:
        raise UserError(f"{path} holds {frames} images: give each a file of its own.")
    if width * height > MOST_PIXELS:
        raise _too_large(path)
    return width, height


def _too_large(path: Path) -> UserError:
    return UserError(
        f"{path} announces more than the {MOST_PIXELS:,} pixels that are decoded here: cut it into "
        "tiles, or replace it if it is not that large."
    )


def _announced(path: Path) -> tuple[int, int, int]:
    """(width, height, frames) by the header; the larger size bombs stop Pillow itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=_known_formats()) as image:
                # The second picture of an MPO is a gain map or a view, not the next of a film.
                frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
                return *image.size, frames
        except UnidentifiedImageError:
            # Samples that only OpenCV knows, such as 16-bit RGB in TIFF; and JPEG XL's decoder.
            return *image_size(path), 1


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]
