"""What both workers of the detect stage begin with. A worker (`python -m bench.stages.yolo_train
CONFIG.json`, or `yolo_ask`) is a process of its own because importing ultralytics changes the
process: thread counts, `torch.save`, OpenCV's settings. It talks through its stdout ("done 3/100")
and its files, and ends when its stdin closes, that is, with its parent.

Detector: YOLOv8 (Jocher, Chaurasia, Qiu 2023), github.com/ultralytics/ultralytics, AGPL-3.0.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any


def begin(config_file: str) -> dict[str, Any]:
    """The configuration, after ultralytics was imported and told to leave no trace."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # An installed albumentations would silently add augmentations to the recipe.
    sys.modules["albumentations"] = None  # type: ignore[assignment]
    from ultralytics import SETTINGS

    SETTINGS.update({key: False for key, value in SETTINGS.items() if value is True})
    config: dict[str, Any] = json.loads(Path(config_file).read_text(encoding="utf-8"))
    return config


def _end_with_parent() -> None:
    # A killed parent cannot stop us; without this an orphan would go on beside the next attempt.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def advance(done: int, total: int) -> None:
    """Tell the parent how far this process has come."""
    print(f"done {done}/{total}", flush=True)


def peak_rss_mib() -> int | None:
    """Largest resident memory of this process so far, or None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def write_json(path: Path, content: Any) -> None:
    """The content as compact JSON."""
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
