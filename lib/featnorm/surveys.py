"""Runs that take too long for a build of the book; their results are archived (`featnorm.results`).

Each function returns arrays; ``featnorm archive NAME`` runs one and saves them with their manifest.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from featnorm._validate import Array, natural, positive_int
from featnorm.commutator import turned
from featnorm.eigen_flow import integrate
from featnorm.matrix_flow import population_flow
from featnorm.setting import Setting, asymmetry, commutator, initialize

#: d / h in `assumption_4_ends`.
RATIOS = (8, 4, 2, 1)


def commuting_start(setting: Setting, rng: np.random.Generator) -> tuple[Array, Array]:
    """Eigenvalues (w, phi) of W and F under Assumption 4, each (h,), paired by a random permutation.

    Starts without a positive w are drawn again.

    >>> w, phi = commuting_start(Setting(h=3, d=6), np.random.default_rng(0))
    >>> bool((w > 0).any() and (phi > 0).all())
    True
    """
    while True:
        W, Phi = initialize(setting, rng)
        w, phi = rng.permutation(np.linalg.eigvalsh(W)), np.linalg.eigvalsh(Phi @ Phi.T)
        if (w > 0).any() and (phi > 0).all():
            return w, phi


def terminal_states(h: int, starts: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """The exact flow from random commuting starts with d = 2h and sigma2 = 1, followed to s = 400 h^2.

    That is far beyond the time of order h on which modes move. Returns ``w0``, ``phi0`` and ``phi`` (the end), each of
    shape (starts, h). Start i has a random stream of its own, so a longer survey begins with the shorter one.
    """
    setting = Setting(h=positive_int("h", h), d=2 * h, sigma2=1.0)
    streams: Iterable[np.random.SeedSequence] = np.random.SeedSequence((natural("seed", seed), h)).spawn(
        positive_int("starts", starts)
    )
    if progress:
        from tqdm import tqdm

        streams = tqdm(list(streams), desc=f"h = {h}")
    rows = []
    for stream in streams:
        w, phi = commuting_start(setting, np.random.default_rng(stream))
        rows.append((w, phi, integrate(w, phi, setting, 400.0 * h * h, "exact", extinct=0.0, rtol=1e-8).phi[-1]))
    return {name: np.array(column) for name, column in zip(("w0", "phi0", "phi"), zip(*rows))}


def assumption_4_ends(h: int, starts: int, trained: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """The exact flow from starts of Assumption 4, which do not commute, with sigma2 = 1 and d / h in `RATIOS`.

    Every start is followed to s = 40 h^2, once as it is and once with W kept symmetric; the first ``trained`` of each
    ratio are also trained by SGD to s = 4 h^2, without weight decay or momentum, at a constant rate of 0.1 with fresh
    batches of 512. The first two axes of every array are ratio and start:

    ``W0``, ``F0``, ``W``, ``F`` (h, h): start and end of the flow, F = Phi Phi^T; ``F_trained`` the same after SGD.
    ``s`` (times,) is the clock; ``asymmetry``, ``commutator``, ``turned_W``, ``turned_F`` follow the flow (times,);
    ``commutator_kept`` is the commutator where W is kept symmetric. ``drift`` (3,) holds the largest departures from
    the norm law of Phi and of W and from the balance law (`featnorm.matrix_flow.Drift`). Start i has a random stream of
    its own.
    """
    h, s = positive_int("h", h), np.append(0.0, np.geomspace(1.0, 40.0 * h**2, 14))
    streams = {
        ratio: np.random.SeedSequence((natural("seed", seed), h, ratio)).spawn(positive_int("starts", starts))
        for ratio in RATIOS
    }
    todo: Iterable[tuple[int, int]] = [(ratio, i) for ratio in RATIOS for i in range(starts)]
    if progress:
        from tqdm import tqdm

        todo = tqdm(list(todo), desc=f"h = {h}")
    flows: list[dict[str, Array]] = []
    sgd: list[Array] = []
    for ratio, i in todo:
        setting = Setting(h=h, d=ratio * h, sigma2=1.0)
        W0, Phi0 = initialize(setting, np.random.default_rng(streams[ratio][i]))
        run = population_flow(W0, Phi0, setting, s, rtol=1e-7)
        kept = population_flow(W0, Phi0, setting, s, rtol=1e-7, symmetrised=True)
        F, F_kept = (r.Phi @ np.swapaxes(r.Phi, 1, 2) for r in (run, kept))
        flows.append(
            {
                "W0": W0,
                "F0": F[0],
                "W": run.W[-1],
                "F": F[-1],
                "asymmetry": np.array([asymmetry(W) for W in run.W]),
                "commutator": np.array([commutator(*pair) for pair in zip(F, run.W)]),
                "commutator_kept": np.array([commutator(*pair) for pair in zip(F_kept, kept.W)]),
                "turned_W": np.array([turned((W + W.T) / 2, W0) for W in run.W]),
                "turned_F": np.array([turned(A, F[0]) for A in F]),
                "drift": np.array([run.drift().Phi, run.drift().W, run.drift().balance]),
            }
        )
        if i < natural("trained", trained):
            sgd.append(_trained(setting, W0, Phi0, 4 * h * h, i))
    shape = (len(RATIOS), starts)
    out = {name: np.array([flow[name] for flow in flows]) for name in flows[0]}
    out = {name: value.reshape(*shape, *value.shape[1:]) for name, value in out.items()}
    return out | {"s": s, "F_trained": np.array(sgd).reshape(len(RATIOS), min(trained, starts), h, h)}


def _trained(setting: Setting, W0: Array, Phi0: Array, time: int, seed: int) -> Array:
    """F after SGD for this time, at a constant rate of 0.1."""
    import torch

    from featnorm.simsiam.linear import LinearConfig, train

    steps = 10 * time
    config = LinearConfig(
        h=setting.h, d=setting.d, sigma2=setting.sigma2, rho=0.0, lr=0.05, momentum=0.0, batch=512, epochs=1,
        steps_per_epoch=steps, record_every=steps, seed=seed, dtype="float32",
    )  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # matrices this small gain nothing from threads
    try:
        Phi = train(config, start=(W0, Phi0)).Phi
    finally:
        torch.set_num_threads(threads)
    return Phi @ Phi.T
