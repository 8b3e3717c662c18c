"""The data set that comes with the suite: rendered street scenes for two cameras, never stored."""

from bench.data.synthetic.generate import generate, load
from bench.data.synthetic.scene import Scene, render
from bench.data.synthetic.world import CLASSES

__all__ = ["CLASSES", "Scene", "generate", "load", "render"]
