"""What an ultralytics trainer needs to be continued after a kill, and to end with the same bytes.

ultralytics' own resume is another training: it keeps moments in half precision and no random state,
and forgets gradients that wait for the rest of their nominal batch. Here every epoch draws from
numbers of its own, made of the seed and the epoch's number, and a checkpoint holds all else. Exact
where images are loaded by the training process, which is always so on the CPU.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

Row = dict[str, Any]


class Resumed:
    """To be mixed into ultralytics' trainer, before it: checkpoints after epochs, and their use.

    checkpoint: the file, or None for a training that is never continued. every: the fewest seconds
    between two checkpoints. rows: of the finished epochs, as the caller fills it. seconds_before:
    what the attempts before this one took, up to their last checkpoint.
    """

    checkpoint: Path | None = None
    every: float = 20.0
    rows: list[Row]
    seconds_before: float = 0.0
    # Batches since the optimiser's last step, and by how many the loop overrates their number: it
    # starts to count at 0 while the epochs before are finished.
    _waiting: int = 0
    _late: int = 0
    _accumulate: int = 1
    _begun: float = 0.0
    _written: float = 0.0
    _gradients: Sequence[torch.Tensor | None] = ()

    @property
    def accumulate(self) -> int:
        """Batches per step of the optimiser, as the loop compares it with its count."""
        return self._accumulate + self._late

    @accumulate.setter
    def accumulate(self, value: int) -> None:
        self._accumulate = value

    def listen(self, seed: int) -> None:
        """Follow the training; to be called before it starts."""
        trainer: Any = self
        self.rows, self._begun = [], time.monotonic()
        self._written = self._begun
        trainer.add_callback("on_train_start", lambda _: self._count_from_here())
        trainer.add_callback("on_train_epoch_start", lambda _: self._begin_epoch(seed))
        trainer.add_callback("on_train_batch_start", lambda _: self._count())

    def optimizer_step(self) -> None:
        """ultralytics' step, after which no batch waits."""
        super().optimizer_step()  # type: ignore[misc]  # of the class that this is mixed into
        self._waiting = self._late = 0

    def resume_training(self, ckpt: object) -> None:
        """Continue from the checkpoint where there is one; ultralytics' own is never used."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return
        trainer: Any = self
        state = torch.load(self.checkpoint, map_location=trainer.device, weights_only=True)
        trainer.model.load_state_dict(state["model"])
        trainer.ema.ema.load_state_dict(state["average"])
        trainer.ema.updates = state["updates"]
        trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.scaler.load_state_dict(state["scaler"])
        trainer.start_epoch = state["epoch"]
        for index in state["buffer"]:
            trainer.train_loader.dataset.load_image(index)
        self.rows, self.seconds_before = state["rows"], state["seconds"]
        self._waiting, self._gradients = state["waiting"], state["gradients"]

    def keep(self) -> None:
        """Write the state after an epoch, unless it is the last or one was just written."""
        trainer: Any = self
        now, ended = time.monotonic(), trainer.epoch + 1 >= trainer.epochs
        if self.checkpoint is None or ended or now - self._written < self.every:
            return
        state = {
            "epoch": trainer.epoch + 1,
            "model": trainer.model.state_dict(),
            "average": trainer.ema.ema.state_dict(),
            "updates": trainer.ema.updates,
            "optimizer": trainer.optimizer.state_dict(),
            "scaler": trainer.scaler.state_dict(),
            "waiting": self._waiting,
            "gradients": [p.grad for p in trainer.model.parameters()] if self._waiting else [],
            # The images that mosaics are made of.
            "buffer": list(trainer.train_loader.dataset.buffer),
            "rows": self.rows,
            "seconds": self.seconds_before + now - self._begun,
        }
        scratch = self.checkpoint.with_name(f"{self.checkpoint.name}.{os.getpid()}")
        torch.save(state, scratch)
        os.replace(scratch, self.checkpoint)
        self._written = time.monotonic()

    def _count_from_here(self) -> None:
        trainer: Any = self
        if trainer.start_epoch:
            self._late = trainer.start_epoch * len(trainer.train_loader) - self._waiting

    def _begin_epoch(self, seed: int) -> None:
        trainer: Any = self
        number = int(np.random.SeedSequence([seed, trainer.epoch]).generate_state(1)[0])
        random.seed(number)
        np.random.seed(number)  # ultralytics draws from the global generator
        torch.manual_seed(number)
        if trainer.train_loader.num_workers == 0:
            trainer.train_loader.reset()
            trainer.train_loader.generator.manual_seed(number)
        # Not earlier: the loop drops all gradients before its first epoch.
        for parameter, gradient in zip(trainer.model.parameters(), self._gradients, strict=False):
            parameter.grad = gradient
        self._gradients = ()

    def _count(self) -> None:
        self._waiting += 1
