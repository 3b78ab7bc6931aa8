"""Runs that take too long for a build of the book; their results are archived (`featnorm.results`).

Each function returns arrays; ``featnorm archive NAME`` runs one and saves them with their manifest.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from featnorm._validate import Array, natural, positive_int
from featnorm.eigen_flow import integrate
from featnorm.setting import Setting, initialize


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
