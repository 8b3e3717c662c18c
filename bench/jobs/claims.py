"""Who works on a job: a claim is a file beside the job's folder that only one process can create.

Claims of one job are numbered, `<stage>.<n>.claim`. The highest one counts; number n + 1 may be
created only where n is stale, and creating a file can succeed only once, so that of all launchers
which find the same stale claim just one gets the job. The time of change is the sign of life; it
counts where the process itself can't be looked at, because it belongs to another machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import tempfile
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType

PULSE = 1.0
"""Seconds between two signs of life."""
HIDDEN = "hidden"
_PROGRESS = 32
"""Bytes of the second line: done and total, padded, so that it is overwritten in place."""


class ClaimLostError(Exception):
    """Another launcher took the job over: this process was silent for too long."""


@dataclass(frozen=True)
class Holder:
    """The process that made a claim. place: the machine since it was started, and the container;
    processes of one place see each other. started: tells it from a later one of the same number.
    """

    host: str
    place: str
    pid: int
    started: str
    time: float
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class Seen:
    """A claim as others see it. holder: None where a crash cut its file off; done, total: the
    job's progress.
    """

    path: Path
    number: int
    holder: Holder | None
    done: int = 0
    total: int = 0

    def is_stale(self, stale_after: float) -> bool:
        """Whether nobody works under this claim any more: its process is gone, or, where only its
        own machine could tell, it has been silent for so many seconds.
        """
        if self.holder is not None and self.holder.place == _place():
            if self.holder.pid == os.getpid():
                # A disk that turned read-only may have kept a claim that was released.
                return self.holder.token not in _held
            started = _started(self.holder.pid)
            if started != HIDDEN:
                return started != self.holder.started
        try:
            return _silence(self.path) > stale_after
        except OSError:
            return False


@cache
def _place() -> str:
    """Machine, its present boot and the name space of its processes."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> str:
    """When a process of this machine was started; "" where it has ended, `HIDDEN` where it is
    another user's and the system shows no more.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return HIDDEN
    if Path("/proc/self/stat").exists():
        try:
            # The name, in parentheses, may hold spaces; state is field 3, start time field 22.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        state, *rest = fields.rpartition(")")[2].split()
        return "" if state in "ZX" else rest[18]
    listed = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    state, _, begun = subprocess.run(
        listed, capture_output=True, text=True, check=False
    ).stdout.strip().partition(" ")  # fmt: skip
    return "" if state.startswith("Z") else begun.strip()


def this_process() -> Holder:
    """The calling process as the holder of a new claim."""
    pid = os.getpid()
    return Holder(platform.node(), _place(), pid, _started(pid), time.time())


def _silence(path: Path) -> float:
    """Seconds since the file changed, by the clock that stamps files in its folder."""
    changed = path.stat().st_mtime
    try:
        with tempfile.TemporaryFile(dir=path.parent) as now:
            return max(0.0, os.fstat(now.fileno()).st_mtime - changed)
    except OSError:
        return max(0.0, time.time() - changed)


def _read(path: Path, number: int) -> Seen | None:
    try:
        first, _, second = path.read_text(encoding="utf-8").partition("\n")
    except OSError:
        return None
    try:
        holder = Holder(**json.loads(first))
        done, total = (int(word) for word in second[:_PROGRESS].split())
    except (ValueError, TypeError):
        return Seen(path, number, None)
    return Seen(path, number, holder, done, total)


def _numbered(stem: Path) -> list[tuple[int, Path]]:
    """The claims on a job by rising number; stem: the job's final folder."""
    found = []
    with contextlib.suppress(OSError):
        for path in stem.parent.iterdir():
            name, _, number = path.name.removesuffix(".claim").rpartition(".")
            if path.name.endswith(".claim") and name == stem.name and number.isdigit():
                found.append((int(number), path))
    return sorted(found)


def look(stem: Path) -> Seen | None:
    """The claim that counts for the job of this final folder, or None where there is none."""
    for number, path in reversed(_numbered(stem)):
        if (seen := _read(path, number)) is not None:
            return seen
    return None


def ask_to_stop(stem: Path) -> None:
    """Tell the process that works on a job to end it; it does so at its next sign of progress."""
    seen = look(stem)
    if seen is not None:
        with contextlib.suppress(OSError), os.fdopen(
            os.open(seen.path, os.O_WRONLY | os.O_APPEND), "wb"
        ) as stream:  # fmt: skip
            stream.write(b"stop\n")


_held: set[str] = set()
"""Tokens of the claims that this process has made and not released."""


class Claim:
    """A claim of this process, kept alive by a thread until it is released."""

    def __init__(self, stem: Path, path: Path, holder: Holder, descriptor: int) -> None:
        self.holder = holder
        self._stem, self._path, self._descriptor = stem, path, descriptor
        self._start = len(_first_line(holder))
        self._numbers = (0, 0)
        self._lost = self._stopped = False
        _held.add(holder.token)
        self._ended = threading.Event()
        self._pulse = threading.Thread(target=self._live, daemon=True)
        self._pulse.start()

    def progress(self, done: int, total: int) -> None:
        """Keep the numbers for others. Raises ClaimLostError, or KeyboardInterrupt when asked to
        stop.
        """
        self._numbers = (done, total)
        if self._stopped:
            raise KeyboardInterrupt("by its launcher")
        if self._lost:
            raise ClaimLostError(f"{self._stem.name} was taken over by another launcher")

    def check(self) -> None:
        """Raise ClaimLostError unless the job is still this process's."""
        seen = look(self._stem)
        if seen is None or seen.holder is None or seen.holder.token != self.holder.token:
            raise ClaimLostError(f"{self._stem.name} was taken over by another launcher")

    def _live(self) -> None:
        while not self._ended.wait(PULSE):
            # A full disk or a server that is away for a while must not end the job.
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, _second_line(*self._numbers), self._start)
                expected = self._start + _PROGRESS
                self._stopped |= os.fstat(self._descriptor).st_size > expected
                try:
                    self.check()
                except ClaimLostError:
                    self._lost = True

    def release(self) -> None:
        """Give the job back. The own number goes last, so that nobody can start to count anew
        before the lower ones are gone; a claim that was lost is its new holder's to remove.
        """
        _held.discard(self.holder.token)
        self._ended.set()
        self._pulse.join()
        os.close(self._descriptor)
        with contextlib.suppress(ClaimLostError):
            self.check()
            for _, path in _numbered(self._stem):
                if path != self._path:
                    path.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _first_line(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode() + b"\n"


def _second_line(done: int, total: int) -> bytes:
    return f"{done:>15} {total:>15}\n".encode()


def take(stem: Path, stale_after: float) -> Claim | None:
    """Claim the job of this final folder, or None where another process works on it."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    while True:
        seen = look(stem)
        if seen is not None and not seen.is_stale(stale_after):
            return None
        number = seen.number + 1 if seen else 1
        path = stem.with_name(f"{stem.name}.{number}.claim")
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
        except FileExistsError:
            continue
        holder = this_process()
        try:
            os.write(descriptor, _first_line(holder) + _second_line(0, 0))
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        claim = Claim(stem, path, holder, descriptor)
        before = _read(seen.path, seen.number) if seen else None
        if (before and before.holder) == (seen and seen.holder) and bool(before) == bool(seen):
            return claim
        # The stale claim's successor finished and released in between: look again.
        claim.release()
