"""Metrics of fused images; `evaluate` is the one function that most callers need."""

from bench.metrics.evaluate import evaluate

__all__ = ["evaluate"]
