"""Linear runs for `featnorm.sweep`: configurations in, the records of the runs as arrays out.

What a run returns is every field of `featnorm.simsiam.linear.LinearRun` but the last state W, Phi: with n records,
``step``, ``time``, ``loss``, ``N_Phi`` and so on are (n,), ``eig_W`` and ``eig_F`` (n, h).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from featnorm.simsiam.fast import _MAY_DIFFER, _ONLY, train_many
from featnorm.simsiam.linear import LinearConfig, LinearRun, train


def _records(run: LinearRun) -> dict[str, np.ndarray]:
    return {f.name: getattr(run, f.name) for f in fields(run) if f.name not in ("config", "W", "Phi")}


@contextmanager
def _one_thread() -> Iterator[None]:
    """The same numbers on every machine of a cluster, and no cores taken from neighbours."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def plain(**config: Any) -> dict[str, np.ndarray]:
    """One run by the reference loop, `featnorm.simsiam.linear.train`.

    >>> plain(h=2, d=4, batch=8, epochs=1, steps_per_epoch=3)["step"].tolist()
    [0, 3]
    """
    with _one_thread():
        return _records(train(LinearConfig(**config)))


def together(config: Mapping[str, Any]) -> str:
    """The key of the runs that `fast` takes in one batch: all fields but seed, rho, lr, sigma2 and momentum.

    >>> together({"h": 2, "seed": 0}) == together({"h": 2, "seed": 1}) != together({"h": 3, "seed": 1})
    True
    """
    return json.dumps({k: v for k, v in config.items() if k not in _MAY_DIFFER}, sort_keys=True)


def check(config: LinearConfig) -> LinearConfig:
    """The configuration itself, if `fast` can run it. Raises ValueError that names the field it cannot honour.

    >>> check(LinearConfig(symmetrised=False))
    Traceback (most recent call last):
    ...
    ValueError: symmetrised = False: only the plain engine has this
    """
    for name, value in _ONLY.items():
        if getattr(config, name) != value:
            raise ValueError(f"{name} = {getattr(config, name)!r}: only the plain engine has this")
    return config


def fast(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
    """Runs of equal `together` in one batch of matrix products, `featnorm.simsiam.fast.train_many`.

    The runs have the law of the reference loop, not its random numbers. On a CPU the numbers of a run do not depend on
    the others in its batch, bit for bit as far as tested; on a GPU they may in rounding. Raises ValueError for what
    this engine does not have.

    >>> fast([{"h": 2, "d": 4, "batch": 8, "epochs": 1, "steps_per_epoch": 3}])[0]["step"].tolist()
    [0, 3]
    """
    runs = [check(LinearConfig(**config)) for config in configs]
    with _one_thread():
        return [_records(run) for run in train_many(runs)]
