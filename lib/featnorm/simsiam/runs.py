"""Full-length linear runs (Figures 6, 8, 9) for archives: minutes each, so the book reads them (`featnorm.results`)."""

from __future__ import annotations

import numpy as np

from featnorm._validate import Array, natural, positive_int
from featnorm.setting import initialize

#: What is kept of a `featnorm.simsiam.linear.LinearRun`.
_KEPT = (
    *("loss", "N_Phi", "N_Psi", "N_x", "norm_W", "asymmetry", "commutator", "rank_F"),
    *("eig_W", "eig_F"),
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
    """Train in single precision with the seeds seed, seed + 1, ...; a record every two epochs.

    Returns ``step`` and ``time`` (records,), series of `featnorm.simsiam.linear.LinearRun` by their names
    (runs, records), its ``eig_W`` and ``eig_F`` (runs, records, h), and ``plain`` (runs, 2), `plain_commutator` at
    start and end; float32 but for ``step`` and ``time``.

    Raises ValueError as `featnorm.simsiam.linear.LinearConfig` does.

    >>> found = linear_runs(2, 0, h=2, d=4, sigma2=1.0, rho=0.1, lr=0.05, batch=8, epochs=2, steps_per_epoch=2)
    >>> found["eig_W"].shape, found["step"].tolist()
    ((2, 2, 2), [0, 4])
    """
    import torch  # here, since the list of archives must load fast

    from featnorm.simsiam.linear import LinearConfig, train

    torch.set_num_threads(1)  # the matrices are small, and sums in one order give the same numbers again
    columns: dict[str, list[Array]] = {name: [] for name in (*_KEPT, "plain")}
    for i in range(positive_int("runs", runs)):
        config = LinearConfig(
            h=h, d=d, sigma2=sigma2, rho=rho, lr=lr, batch=batch, epochs=epochs, steps_per_epoch=steps_per_epoch,
            seed=natural("seed", seed) + i, dtype="float32", record_every=2 * steps_per_epoch,
        )  # fmt: skip
        start = initialize(config.setting, np.random.default_rng(np.random.SeedSequence(config.seed).spawn(2)[0]))
        run = train(config, progress, start)
        for name in _KEPT:
            columns[name].append(getattr(run, name))
        columns["plain"].append(np.array([plain_commutator(*start), plain_commutator(run.W, run.Phi)]))
    return {"step": run.step, "time": run.time} | {k: np.array(v, dtype=np.float32) for k, v in columns.items()}
