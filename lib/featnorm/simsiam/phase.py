"""How many modes survive: surveys of linear SimSiam over batch, decay a step, augmentation noise, h and d.

The control parameters are s = lr rho / (1 - momentum), the decay of the weights in one step, the batch B and
a = 1 + sigma2. A survey trains every point of a grid for several seeds (`featnorm.simsiam.fast.train_many`) and keeps
ranks and final spectra. `noise` is the scaling variable of the chapter, `stiffness` says where steps are too large for
it, `rank_law` is the fitted law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from featnorm._validate import Array, array, natural, nonnegative, positive, positive_int
from featnorm.eigen_flow import terminal_state_matrix
from featnorm.setting import Setting, initialize

#: The archived surveys: what they have in common, and by name what differs. ``h8`` to ``h64`` are the phase diagram.
GRID = {"ratios": [2, 4, 16], "batches": [8, 32, 128, 512], "sigma2s": [0.25, 0.5, 1.0, 2.0, 4.0, 16.0], "seed": 0}
SURVEYS = {
    "h8": {"h": 8, "decays": [0.0025, 0.01, 0.04], "seeds": 3, "points": 36},
    "h16": {"h": 16, "decays": [0.0025, 0.01, 0.04], "seeds": 3, "points": 36},
    "h32": {"h": 32, "decays": [0.01, 0.04], "seeds": 3, "points": 24},
    "h64": {"h": 64, "ratios": [2, 8], "decays": [0.01, 0.04], "seeds": 4, "points": 16},
    "h128": {"h": 128, "ratios": [4], "batches": [32, 128, 512], "decays": [0.04], "seeds": 1, "points": 3},
    "momentum": {
        **{"h": 16, "ratios": [4], "batches": [8, 32, 128], "decays": [0.0025, 0.01, 0.04], "seeds": 3},
        **{"momentum": 0.9, "points": 9},
    },
    "recipe": {
        **{"h": 64, "ratios": [8], "batches": [64, 512], "decays": [0.01, 0.04], "sigma2s": [0.25, 1.0, 4.0, 16.0]},
        **{"seeds": 3, "span": 20.0, "momentum": 0.9, "lr": 0.05, "epochs": 100, "points": 4},
    },
}


def _positive(name: str, value: ArrayLike) -> Array:
    out = array(name, value, None)
    if (out <= 0).any():
        raise ValueError(f"{name}: must be > 0, but the smallest is {out.min():.3g}")
    return out


def noise(decay: ArrayLike, batch: ArrayLike, sigma2: ArrayLike) -> Array:
    """X = (s / B) (a - 1 / a)^2 with a = 1 + sigma2: the strength of gradient noise against the signal.

    ``decay`` is s = lr rho / (1 - momentum); the arguments broadcast. Raises ValueError unless all are > 0.

    >>> round(float(noise(0.01, 512, 1.0)), 8)
    4.395e-05
    """
    a = 1.0 + _positive("sigma2", sigma2)
    return _positive("decay", decay) / _positive("batch", batch) * (a - 1.0 / a) ** 2


def augmentation_for(X: ArrayLike, decay: ArrayLike, batch: ArrayLike) -> Array:
    """The sigma2 at which `noise` is X. Raises ValueError unless all arguments are > 0.

    >>> float(augmentation_for(noise(0.01, 512, 3.0), 0.01, 512).round(12))
    3.0
    """
    half = 0.5 * np.sqrt(_positive("X", X) * _positive("batch", batch) / _positive("decay", decay))
    return half + np.sqrt(half**2 + 1.0) - 1.0


def stiffness(decay: ArrayLike, batch: ArrayLike, sigma2: ArrayLike, k: ArrayLike) -> Array:
    """2 sqrt(s B / k) / (a - 1 / a): by how much of itself a step at the noise equilibrium mends a mode of W.

    k is the number of modes. Where this is not small, the steps are too large for an equation in continuous time; above
    2 such a step would overshoot. Raises ValueError unless all arguments are > 0.

    >>> round(float(stiffness(0.01, 512, 1.0, 64)), 3)
    0.377
    """
    a = 1.0 + _positive("sigma2", sigma2)
    return 2.0 * np.sqrt(_positive("decay", decay) * _positive("batch", batch) / _positive("k", k)) / (a - 1.0 / a)


def balanced_rate(h: int, sigma2: float, batch: int, decay: float) -> tuple[float, float]:
    """(rate, rho), rate * rho = ``decay``, for which ||W||_F = sqrt(h), as at the start, is the noise equilibrium.

    For h equal modes, many of them, ||W||_F^4 = (rate / rho) h (1 - a^-2)^2 / (4 batch). By the symmetry of SGD only
    the product matters once the start is forgotten; this choice makes that soon. With momentum the learning rate is
    rate * (1 - momentum).

    >>> rate, rho = balanced_rate(16, 1.0, 32, 0.01)
    >>> round(rate * rho, 12), round(rate / rho * 16 * 0.75**2 / (4 * 32), 9)
    (0.01, 256.0)
    """
    z = (1.0 + positive("sigma2", sigma2)) ** -2
    ratio = 4.0 * positive_int("batch", batch) * positive_int("h", h) / (1.0 - z) ** 2
    rate = float(np.sqrt(positive("decay", decay) * ratio))
    return rate, decay / rate


@dataclass(frozen=True)
class FlowEnd:
    """Where the flow ends, averaged over starts: effective rank of F and number of modes that are alive."""

    rank: float
    modes: float


def flow_end(h: int, d: int, starts: int, seed: int) -> FlowEnd:
    """The limit without noise, from the starts of `survey`: `featnorm.eigen_flow.terminal_state_matrix`.

    The starts are those of the runs with the seeds seed, seed + 1, ... Raises ValueError for bad numbers.

    >>> end = flow_end(4, 16, starts=3, seed=0)
    >>> 1.0 <= end.rank <= end.modes <= 4.0
    True
    """
    setting, found = Setting(h=h, d=d), []
    for i in range(positive_int("starts", starts)):
        stream = np.random.SeedSequence(natural("seed", seed) + i).spawn(2)[0]
        phi = terminal_state_matrix(*initialize(setting, np.random.default_rng(stream))).phi
        found.append((phi.sum() ** 2 / (phi**2).sum(), np.count_nonzero(phi)))
    return FlowEnd(*map(float, np.mean(found, axis=0)))


def rank_over_time(
    h: int, d: int, sigma2: float, batch: int, decay: float, seeds: int, seed: int, span: float = 6.0
) -> tuple[Array, Array]:
    """Effective rank of F along runs at constant rate, without momentum: time in decays (n,) and ranks (seeds, n).

    The rate is `balanced_rate`; the runs have span / decay steps and the seeds seed, seed + 1, ... Raises ValueError
    for bad numbers.

    >>> time, rank = rank_over_time(3, 6, sigma2=1.0, batch=8, decay=0.1, seeds=2, seed=0)
    >>> float(time[-1]), rank.shape[0]
    (6.0, 2)
    """
    from featnorm.simsiam.fast import train_many
    from featnorm.simsiam.linear import LinearConfig

    rate, rho = balanced_rate(h, sigma2, batch, decay)
    steps = max(1, round(positive("span", span) / decay))
    configs = [
        LinearConfig(
            h=h, d=d, sigma2=sigma2, rho=rho, lr=rate * 256 / batch, momentum=0.0, batch=batch, epochs=1,
            steps_per_epoch=steps, seed=natural("seed", seed) + i, record_every=max(1, steps // 300),
        )
        for i in range(positive_int("seeds", seeds))
    ]  # fmt: skip
    runs = train_many(configs)
    return runs[0].step * decay, np.array([run.rank_F for run in runs])


def survey(
    h: int,
    ratios: Sequence[int],
    batches: Sequence[int],
    decays: Sequence[float],
    sigma2s: Sequence[float],
    seeds: int,
    seed: int,
    span: float = 6.0,
    momentum: float = 0.0,
    lr: float | None = None,
    epochs: int = 1,
    points: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> dict[str, Array]:
    """Train every point of the grid d / h x batch x decay x sigma2 from Assumption 4, with seeds from seed on.

    Parameters
    ----------
    ratios: d / h, whole numbers.
    decays: s = rate * rho / (1 - momentum) at the start of the run.
    span: length of a run in decays: it has span / s steps.
    lr: learning rate for a batch of 256 as in `featnorm.simsiam.linear.LinearConfig`; None: `balanced_rate`.
    epochs: 1 keeps the rate constant, more anneal it, once an epoch.
    points: only so many of the combinations of ratio, batch and decay, in this order, the last fastest; None: all.
    device: a PyTorch device.

    A survey of hours is better cut into its points, each a run of `featnorm.sweep.run`, which goes on after a kill and
    can use a cluster: ``run(survey, grid(base, {"ratios": [[2], [8]], "batches": [[64], [512]]}), folder)``.

    Returns arrays whose first axes are point, sigma2 and seed: ``eig_W`` and ``eig_F`` (..., h) at the end, descending,
    and numbers (...): effective rank of F at the start, averaged over the second and over the last third of the run
    (``rank_start``, ``rank_first``, ``rank_last``) and at the end (``rank_end``); averaged over the last two thirds
    ``above_half``, the eigenvalues of W above half the largest, and ``modes_F``, those of F above a tenth of the
    largest; the norms at the end. All float32. All runs of a point are one batch, so a survey of fewer points gives the
    same numbers to the last bit. Raises ValueError for bad numbers.

    >>> found = survey(2, (4,), (4, 8), (0.1,), (1.0,), seeds=2, seed=0)
    >>> found["eig_W"].shape, found["rank_last"].shape
    ((2, 1, 2, 2), (2, 1, 2))
    """
    import torch  # here, since the list of archives must load fast

    torch.set_num_threads(1)  # the matrices are small, and sums in one order give the same numbers again
    h, seeds, seed = positive_int("h", h), positive_int("seeds", seeds), natural("seed", seed)
    grid = list(product(ratios, batches, decays))
    if points is not None:
        grid = grid[: positive_int("points", points)]
    if progress:
        from tqdm import tqdm

        grid = tqdm(grid, desc=f"h = {h}")
    rows = [
        _point(h, ratio * h, batch, decay, sigma2s, range(seed, seed + seeds), span, momentum, lr, epochs, device)
        for ratio, batch, decay in grid
    ]
    return {
        key: np.array([row[key] for row in rows], dtype=np.float32).reshape(
            len(rows), len(sigma2s), seeds, *rows[0][key].shape[1:]
        )
        for key in rows[0]
    }


def _point(
    h: int,
    d: int,
    batch: int,
    decay: float,
    sigma2s: Sequence[float],
    seeds: Sequence[int],
    span: float,
    momentum: float,
    lr: float | None,
    epochs: int,
    device: str,
) -> dict[str, Array]:
    """The runs of one point of `survey`: arrays whose first axis is (sigma2, seed), the seed running faster."""
    from featnorm.simsiam.fast import train_many
    from featnorm.simsiam.linear import LinearConfig

    keep = 1.0 - nonnegative("momentum", momentum)
    if keep <= 0.0:
        raise ValueError(f"momentum = {momentum!r}: must be a number >= 0 and < 1")
    steps_per_epoch = max(
        1, round(positive("span", span) / (positive("decay", decay) * positive_int("epochs", epochs)))
    )
    steps = epochs * steps_per_epoch
    configs = []
    for sigma2, seed in product(sigma2s, seeds):
        if lr is None:
            rate, rho = balanced_rate(h, sigma2, batch, decay)
        else:
            rate = positive("lr", lr) * batch / (256 * keep)
            rho = decay / rate
        configs.append(
            LinearConfig(
                h=h, d=d, sigma2=sigma2, rho=rho, lr=rate * keep * 256 / batch, momentum=momentum, batch=batch,
                epochs=epochs, steps_per_epoch=steps_per_epoch, seed=seed, device=device,
                record_every=max(1, steps // 24),
            )
        )  # fmt: skip
    rows = []
    for run in train_many(configs):
        n = len(run.step)
        first, last, late = slice(n // 3, 2 * n // 3), slice(2 * n // 3, n), slice(n // 3, n)
        rows.append(
            {
                "rank_start": run.rank_F[0],
                "rank_first": run.rank_F[first].mean(),
                "rank_last": run.rank_F[last].mean(),
                "rank_end": run.rank_F[-1],
                "above_half": (run.eig_W > run.eig_W[:, :1] / 2)[late].sum(axis=1).mean(),
                "modes_F": (run.eig_F > run.eig_F[:, :1] / 10)[late].sum(axis=1).mean(),
                "norm_W": run.norm_W[-1],
                "norm_Phi": run.N_Phi[-1],
                "eig_W": run.eig_W[-1],
                "eig_F": run.eig_F[-1],
            }
        )
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}
