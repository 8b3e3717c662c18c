"""What goes into the page as text: JSON in a script element, links to files, and small images."""

from __future__ import annotations

import base64
import json
import math
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from markupsafe import Markup

from bench.data.images import decode
from bench.errors import UserError

# Characters that could end a script element or begin a comment in it; U+2028/9 end lines in
# JavaScript. All are legal escapes inside JSON strings and occur nowhere else in JSON.
_ESCAPES = {sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def script_json(value: Any) -> Markup:
    """Compact JSON that is safe inside <script>; numbers that are not finite become null."""
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign, escape in _ESCAPES.items():
        text = text.replace(sign, escape)
    return Markup(text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def shortened(value: float) -> float | None:
    """Five digits: enough to order pairs and to print them, a third of the bytes."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def link(target: Path, page: Path) -> str | None:
    """The address of a file or folder relative to the page's folder, percent-encoded; None where
    no relative path leads there (another drive)."""
    try:
        relative = os.path.relpath(target.resolve(), page.resolve())
    except ValueError:
        return None
    return "/".join(quote(part, safe="") for part in Path(relative).parts)


def text_uri(text: str, kind: str) -> str:
    """A data: address of a text file, for a download without a server."""
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode('ascii')}"


def reduced(path: Path, side: int, quality: int) -> str | None:
    """Base64 of the image as WebP, its longer side at most `side` pixels; None if unreadable."""
    try:
        samples = decode(path).samples
    except UserError:
        return None
    scale = side / max(samples.shape[:2])
    if scale < 1:
        width, height = (max(1, round(scale * n)) for n in (samples.shape[1], samples.shape[0]))
        samples = np.asarray(
            cv2.resize(samples, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    if samples.ndim == 3:
        samples = samples[:, :, ::-1]
    done, encoded = cv2.imencode(
        ".webp", np.ascontiguousarray(samples), (cv2.IMWRITE_WEBP_QUALITY, quality)
    )
    return base64.b64encode(encoded.tobytes()).decode("ascii") if done else None
