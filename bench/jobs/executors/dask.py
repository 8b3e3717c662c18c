"""An existing Dask cluster by the address of its scheduler; each job takes one worker, or one of
the workers' GPUs where they declare the resource GPU.
"""

from __future__ import annotations

import importlib.util
from concurrent.futures import Executor
from typing import Any

from bench.errors import UserError

RESOURCE = "GPU"
PATIENCE = "10s"


def _client(address: str) -> Any:
    if importlib.util.find_spec("distributed") is None:
        raise UserError("The executor 'dask' needs distributed: pip install 'ivif-bench[dask]'.")
    from distributed import Client

    try:
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"dask.address is '{address}', where no scheduler answers ({type(error).__name__}): "
            "start one with 'dask scheduler' and give its address."
        ) from None


def _workers(client: Any, address: str) -> list[dict[str, Any]]:
    workers = list(client.scheduler_info(n_workers=-1)["workers"].values())
    if not workers:
        raise UserError(
            f"The Dask scheduler {address} has no workers: start some with 'dask worker {address} "
            "--nthreads 1'."
        )
    for worker in workers:
        if worker["nthreads"] != 1:
            raise UserError(
                f"The Dask worker {worker['name']} runs {worker['nthreads']} jobs at the same time "
                "in one process: start it with --nthreads 1."
            )
    return workers


def _have_gpus(workers: list[dict[str, Any]]) -> bool:
    return any(worker["resources"].get(RESOURCE) for worker in workers)


def device(address: str) -> str:
    """The device of jobs there: "cuda" where workers declare GPUs. Raises UserError."""
    with _client(address) as client:
        return "cuda" if _have_gpus(_workers(client, address)) else "cpu"


def connect(address: str) -> Executor:
    """The executor of the cluster; its shutdown closes the connection."""
    client = _client(address)
    from distributed.cfexecutor import ClientExecutor

    class DaskExecutor(ClientExecutor):  # type: ignore[misc]  # untyped base
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=wait and not cancel_futures)
            client.close()

    resources = {RESOURCE: 1} if _have_gpus(_workers(client, address)) else None
    # The same ticket may be sent again, after its first holder died.
    chosen = {"resources": resources} if resources else {}
    executor: Executor = DaskExecutor(client, pure=False, **chosen)
    return executor
