"""Full-length linear runs (Figures 6, 8, 9) for archives: minutes each, so the book reads them (`featnorm.results`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featnorm._validate import Array, natural, positive_int
from featnorm.setting import initialize

#: What is kept of a `featnorm.simsiam.linear.LinearRun`.
_KEPT = (
    *("loss", "N_Phi", "N_Psi", "N_x", "norm_W", "asymmetry", "commutator", "rank_F"),
    "eig_W",
)


def plain_commutator(W: Array, Phi: Array) -> float:
    """||FW - WF||_F / (||F||_F ||W||_F) with F = Phi Phi^T: another normalisation than `featnorm.setting.commutator`.

    W is (h, h), Phi (h, d), both not zero.

    >>> plain_commutator(np.diag([1.0, 2.0]), np.eye(2))
    0.0
    """
    F = Phi @ Phi.T
    return float(np.linalg.norm(F @ W - W @ F) / (np.linalg.norm(F) * np.linalg.norm(W)))


def linear_runs(
    runs: int,
    seed: int,
    h: int,
    d: int,
    sigma2: float,
    rho: float,
    lr: float,
    batch: int,
    epochs: int,
    steps_per_epoch: int,
    progress: bool = False,
) -> dict[str, Array]:
    """Train with the seeds seed, seed + 1, ... at once, in single precision; a record every two epochs.

    The views are drawn by the law-equivalent sampler of `featnorm.simsiam.fast.train_many`. Returns ``step`` and
    ``time`` (records,), series of `featnorm.simsiam.linear.LinearRun` by their names (runs, records), its ``eig_W``
    (runs, records, h), and ``plain`` (runs, 2), `plain_commutator` at start and end; float32 but for ``step`` and
    ``time``.

    Raises ValueError as `featnorm.simsiam.linear.LinearConfig` does.

    >>> found = linear_runs(2, 0, h=2, d=4, sigma2=1.0, rho=0.1, lr=0.05, batch=8, epochs=2, steps_per_epoch=2)
    >>> found["eig_W"].shape, found["step"].tolist()
    ((2, 2, 2), [0, 4])
    """
    import torch  # here, since the list of archives must load fast

    from featnorm.simsiam.fast import train_many
    from featnorm.simsiam.linear import LinearConfig

    torch.set_num_threads(1)  # the matrices are small, and sums in one order give the same numbers again
    configs = [
        LinearConfig(
            h=h, d=d, sigma2=sigma2, rho=rho, lr=lr, batch=batch, epochs=epochs, steps_per_epoch=steps_per_epoch,
            seed=natural("seed", seed) + i, dtype="float32", record_every=2 * steps_per_epoch,
        )
        for i in range(positive_int("runs", runs))
    ]  # fmt: skip
    starts = [initialize(c.setting, np.random.default_rng(np.random.SeedSequence(c.seed).spawn(2)[0])) for c in configs]
    found = train_many(configs, progress=progress, starts=starts)
    series = {name: np.array([getattr(run, name) for run in found], dtype=np.float32) for name in _KEPT}
    plain = [[plain_commutator(*start), plain_commutator(run.W, run.Phi)] for start, run in zip(starts, found)]
    return {"step": found[0].step, "time": found[0].time, **series, "plain": np.array(plain, dtype=np.float32)}


def largest_asymmetries(
    runs: int, seed: int, h: int, ratios: Sequence[int], batches: Sequence[int], steps: int, progress: bool = False
) -> dict[str, Array]:
    """How asymmetric W becomes in training at d = ratio h, for each batch: ``asymmetry`` (runs, batches, ratios).

    The largest of a record every 20 steps; sigma2 = 1, rho = 0.02, the rate 0.05 throughout whatever the batch.
    Raises ValueError as `featnorm.simsiam.linear.LinearConfig` does.

    >>> largest_asymmetries(2, 0, h=2, ratios=[2, 4], batches=[8], steps=20)["asymmetry"].shape
    (2, 1, 2)
    """
    import torch

    from featnorm.simsiam.fast import train_many
    from featnorm.simsiam.linear import LinearConfig

    torch.set_num_threads(1)
    found = [
        [
            [
                run.asymmetry.max()
                for run in train_many(
                    [
                        LinearConfig(
                            h=h, d=ratio * h, rho=0.02, lr=0.05 * 256 / batch, batch=batch, epochs=1,
                            steps_per_epoch=steps, seed=natural("seed", seed) + i, dtype="float32", record_every=20,
                        )
                        for i in range(positive_int("runs", runs))
                    ],
                    progress=progress,
                )
            ]
            for ratio in ratios
        ]
        for batch in batches
    ]  # fmt: skip
    return {"asymmetry": np.moveaxis(np.array(found, dtype=np.float32), 2, 0)}
