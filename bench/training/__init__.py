"""One trainer for every fusion network."""

from bench.training.dataset import TrainingGroup
from bench.training.trainer import train

__all__ = ["TrainingGroup", "train"]
