"""Where jobs run: `local` processes, `slurm` tasks or `dask` workers, each a
`concurrent.futures.Executor` behind the `Pool` of this room's door, `workers.py`.
"""
