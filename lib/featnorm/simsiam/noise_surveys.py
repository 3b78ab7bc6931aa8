"""Archived runs of the chapter "Discrete steps": many short runs of SGD, by `featnorm.simsiam.fast`.

Each survey is the function of a recipe in `featnorm.cli.ARCHIVES` and returns arrays. Run i has a random stream of its
own, so a longer survey begins with the shorter one. Learning rates here are those used in a step, whatever the batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from featnorm._validate import Array, natural, one_of, positive, positive_int
from featnorm.matrix_flow import population_flow
from featnorm.setting import Setting, initialize, views
from featnorm.simsiam.noise import gradient_noise, noise_equilibrium, sgd_path
from featnorm.surveys import commuting_start

if TYPE_CHECKING:
    from featnorm.simsiam.linear import LinearRun

T = TypeVar("T")
State = tuple[Array, Array]


def _listed(things: Iterable[T], progress: bool, what: str) -> Iterable[T]:
    if not progress:
        return things
    from tqdm import tqdm

    return tqdm(list(things), desc=what)


def _trained(starts: Sequence[State], seed: int, rate: float, batch: int, steps: int, **config) -> list[LinearRun]:
    """One run from each start, with the seeds seed, seed + 1, ...; ``rate`` is constant unless ``epochs`` is given."""
    import torch  # here, since the list of archives must load fast

    from featnorm.simsiam.fast import train_many
    from featnorm.simsiam.linear import LinearConfig

    torch.set_num_threads(1)  # matrices this small gain nothing from threads
    h, d = starts[0][1].shape
    epochs = config.pop("epochs", 1)
    configs = [
        LinearConfig(
            h=h, d=d, lr=rate * 256 / batch, batch=batch, epochs=epochs, steps_per_epoch=steps // epochs, seed=seed + i,
            **config,
        )
        for i in range(len(starts))
    ]  # fmt: skip
    return train_many(configs, starts=starts)


def equal_modes(k: int, d: int, size_W: float, size_Phi: float) -> State:
    """(W, Phi) of k equal modes with these Frobenius norms, shapes (k, k) and (k, d).

    Raises ValueError for numbers that are not positive.

    >>> [float(np.linalg.norm(A)) for A in equal_modes(4, 9, 2.0, 6.0)]
    [2.0, 6.0]
    """
    scale = math.sqrt(positive_int("k", k))
    d = positive_int("d", d)
    return positive("size_W", size_W) / scale * np.eye(k), positive("size_Phi", size_Phi) / scale * np.eye(k, d)


# --- Norms in the stationary state -----------------------------------------------------------------------------------

#: Modes of the stationary runs, all alive at the start; the rate of a step; how many decay times a run lasts.
K, RATE, DECAYS = 8, 0.1, 6.0


@dataclass(frozen=True)
class Case:
    """One point of a sweep over k equal modes; ``product`` is the decay a step, lr rho / (1 - momentum)."""

    sweep: str
    d: int = 64
    batch: int = 64
    product: float = 1e-3
    momentum: float = 0.0

    @property
    def rho(self) -> float:
        """The weight decay."""
        return self.product * (1.0 - self.momentum) / RATE

    def start(self) -> State:
        """Equal modes at the predicted norms."""
        at = noise_equilibrium(gradient_noise(K, self.d, 1.0, self.batch), RATE, self.rho, self.momentum)
        return equal_modes(K, self.d, at.W, at.Phi)


MOMENTA = (0.0, 0.5, 0.75, 0.9, 0.95)
CASES = (
    *(Case("product", product=4e-3 / 2**i) for i in range(6)),
    *(Case("d", d=16 * 2**i) for i in range(6)),
    *(Case("batch", batch=16 * 2**i) for i in range(6)),
    *(Case("momentum", momentum=mu) for mu in MOMENTA),
)


def stationary_norms(seeds: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """Time means over the second half of runs of CASES from equal modes at the predicted norms, sigma2 = 1.

    ``W4`` and ``Phi4``, the fourth powers of ||W||_F and ||Phi||_F, and the effective ``rank`` of F, each of shape
    (cases, seeds).
    """
    seeds, seed, rows = positive_int("seeds", seeds), natural("seed", seed), []
    for case in _listed(CASES, progress, "cases"):
        steps = math.ceil(DECAYS / case.product)
        runs = _trained(
            [case.start()] * seeds, seed, RATE, case.batch, steps, rho=case.rho, momentum=case.momentum,
            record_every=steps // 60,
        )  # fmt: skip
        rows.append([_late(run, 1 / 2, run.norm_W**4, run.N_Phi**4, run.rank_F) for run in runs])
    table = np.array(rows)
    return {name: table[:, :, i] for i, name in enumerate(("W4", "Phi4", "rank"))}


def _late(run: LinearRun, since: float, *values: Array) -> list[float]:
    late = run.step > run.config.steps * since
    return [float(v[late].mean()) for v in values]


def overlaps(seeds: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """What the balance of the norms consists of at each of MOMENTA, d = 2 K, batch 64, decay a step 2e-3.

    Time means after the first third of a run, each (momenta, seeds, layers), W and then Phi: ``size`` the squared norm,
    ``power`` the squared norm of the gradient, ``overlap`` its inner product with the buffer before the step.
    """
    seeds, rows = positive_int("seeds", seeds), []
    streams = np.random.SeedSequence(natural("seed", seed)).spawn(seeds)
    for momentum in _listed(MOMENTA, progress, "momenta"):
        case = Case("momentum", d=2 * K, product=2e-3, momentum=momentum)
        rows.append([_balance(case, np.random.default_rng(stream)) for stream in streams])
    table = np.array(rows)
    return {name: table[..., i] for i, name in enumerate(("size", "power", "overlap"))}


def _balance(case: Case, rng: np.random.Generator, piece: int = 500) -> Array:
    setting, state, buffers = Setting(h=K, d=case.d, sigma2=1.0), case.start(), None
    pieces = math.ceil(DECAYS / case.product / piece)
    means = []
    for _ in range(pieces):
        batches = np.array([views(setting, case.batch, rng) for _ in range(piece)])
        path = sgd_path(state, batches, RATE, case.rho, case.momentum, buffers=buffers)
        state, buffers = (path.W[-1], path.Phi[-1]), (path.buffer_W[-1], path.buffer_Phi[-1])
        layers = ((path.W, path.grad_W, path.buffer_W), (path.Phi, path.grad_Phi, path.buffer_Phi))
        means.append(
            [[np.sum(A[:-1] ** 2) / piece, np.sum(g**2) / piece, np.sum(g * V[:-1]) / piece] for A, g, V in layers]
        )
    return np.mean(means[pieces // 3 :], axis=0)


# --- Annealed runs ---------------------------------------------------------------------------------------------------

#: Lengths of the annealed runs in steps, the decay a step at their start, epochs and sizes.
LENGTHS = tuple(1000 * 2**i for i in range(6))
ANNEALED_PRODUCT, ANNEALED_EPOCHS, ANNEALED_D, ANNEALED_BATCH = 8e-3, 200, 32, 64


def annealed_runs(seeds: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """Norms along runs whose rate falls to zero by the cosine rule, from K equal modes at their equilibrium.

    ``W`` and ``Phi`` (lengths, seeds, records): the Frobenius norms after every hundredth of a run of each of LENGTHS;
    no momentum, sigma2 = 1.
    """
    seeds, seed, rows = positive_int("seeds", seeds), natural("seed", seed), []
    rho, noise = ANNEALED_PRODUCT / RATE, gradient_noise(K, ANNEALED_D, 1.0, ANNEALED_BATCH)
    at = noise_equilibrium(noise, RATE, rho)
    starts = [equal_modes(K, ANNEALED_D, at.W, at.Phi)] * seeds
    for steps in _listed(LENGTHS, progress, "lengths"):
        runs = _trained(
            starts, seed, RATE, ANNEALED_BATCH, steps, rho=rho, momentum=0.0, epochs=ANNEALED_EPOCHS,
            record_every=steps // 100,
        )  # fmt: skip
        rows.append([(run.norm_W, run.N_Phi) for run in runs])
    table = np.array(rows)
    return {"W": table[:, :, 0], "Phi": table[:, :, 1]}


# --- Eq. 7 over the noise level --------------------------------------------------------------------------------------

#: h and d of the map, its momentum, and its levels of noise: decay a step and batch.
MAP_SIZES, MAP_MOMENTUM = (16, 64), 0.9
LEVELS = tuple((product, batch) for batch in (8, 32, 128) for product in (4e-4, 1.6e-3, 6.4e-3, 2.56e-2, 0.1))


def comparison_map(seeds: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """What Eq. 7 is compared with, late in training from Assumption 4's starts, over LEVELS of noise, sigma2 = 1.

    Time means over the last third of a run of ten decay times, each (levels, seeds): ``N_Phi``, ``N_Psi``, ``N_x``,
    the effective ``rank`` of F, ``rho``, and ``modes``, the number of eigenvalues of F above a tenth of the largest.
    The rate is chosen so that the norms' equilibrium is about as large as the start, which the symmetry allows.
    """
    seeds, seed, rows = positive_int("seeds", seeds), natural("seed", seed), []
    h, d = MAP_SIZES
    setting = Setting(h=h, d=d, sigma2=1.0)
    starts = [initialize(setting, np.random.default_rng((seed + i, h))) for i in range(seeds)]
    for product, batch in _listed(LEVELS, progress, "levels"):
        noise, keep = gradient_noise(h, d, 1.0, batch), 1.0 - MAP_MOMENTUM
        rate = keep * math.sqrt(2 * product * h * h / math.sqrt(noise.W * noise.Phi))
        rho, steps = product * keep / rate, math.ceil(10 / product)
        runs = _trained(
            starts, seed, rate, batch, steps, rho=rho, momentum=MAP_MOMENTUM, record_every=max(steps // 60, 1)
        )
        rows.append([_compared(run) for run in runs])
    table = np.array(rows)
    return {name: table[:, :, i] for i, name in enumerate(("N_Phi", "N_Psi", "N_x", "rank", "rho", "modes"))}


def _compared(run: LinearRun) -> list[float]:
    modes = (run.eig_F > 0.1 * run.eig_F[:, :1]).sum(axis=1)
    return _late(run, 2 / 3, run.N_Phi, run.N_Psi, run.N_x, run.rank_F, np.full(len(modes), run.config.rho), modes)


# --- Early eigenvalues -----------------------------------------------------------------------------------------------

#: Learning rates of the early runs, their records in time, and how many runs are averaged into a block.
RATES = (0.8, 0.4, 0.2, 0.1, 0.05)
EARLY_TIMES = 1.6 * np.arange(16)
EARLY = Setting(h=8, d=16, sigma2=1.0, rho=0.02)
EARLY_BATCH, BLOCK = 32, 16
#: The starts, and which eigenvalue of (W + W^T) / 2 is followed.
EARLY_STARTS = {"assumption_4": 0, "below": -1}


def early_start(kind: str) -> State:
    """(W, Phi) of the early runs: ``assumption_4``, or ``below``: diagonal, one mode below Eq. 7's negative root.

    Raises ValueError for another kind.

    >>> float(early_start("below")[0][-1, -1])
    -2.2
    """
    if one_of(*EARLY_STARTS)("kind", kind) == "assumption_4":
        return initialize(EARLY, np.random.default_rng(0))
    w = np.array([1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, -2.2])
    return np.diag(w), np.hstack([np.diag(np.abs(w)), np.zeros((EARLY.h, EARLY.d - EARLY.h))])


def early_eigenvalues(blocks: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """An eigenvalue of (W + W^T) / 2 at EARLY_TIMES, in short runs of SGD without momentum and in the exact flow.

    ``assumption_4`` (rates, blocks, times) is the largest from that start and ``below`` the smallest from the other,
    means over blocks of BLOCK runs; ``assumption_4_flow`` and ``below_flow`` (times,) are those of the exact flow.
    """
    blocks, seed, out = positive_int("blocks", blocks), natural("seed", seed), {}
    for kind, which in EARLY_STARTS.items():
        start, rows = early_start(kind), []
        for rate in _listed(RATES, progress, kind):
            every = round(float(EARLY_TIMES[1]) / rate)
            runs = _trained(
                [start] * (blocks * BLOCK), seed, rate, EARLY_BATCH, every * (len(EARLY_TIMES) - 1), rho=EARLY.rho,
                momentum=0.0, record_every=every,
            )  # fmt: skip
            rows.append(np.array([run.eig_W[:, which] for run in runs]).reshape(blocks, BLOCK, -1).mean(axis=1))
        flow = population_flow(*start, EARLY, EARLY_TIMES, rtol=1e-8)
        out[kind] = np.array(rows)
        out[f"{kind}_flow"] = np.linalg.eigvalsh((flow.W + np.swapaxes(flow.W, 1, 2)) / 2)[:, -1 - which]
    return out


# --- Who survives SGD ------------------------------------------------------------------------------------------------


def trained_ends(starts: int, seed: int, progress: bool = False) -> dict[str, Array]:
    """SGD with small noise from commuting starts: ``w0`` and ``phi0``, and the share ``phi`` = F_jj / tr F at the end.

    Each is (starts, h), h = 8, d = 16, sigma2 = 1. W and F start diagonal, so that F_jj belongs to mode j. The weight
    decay is 0.002, the batch 256, the time 5 h^2, without momentum.
    """
    starts, setting = positive_int("starts", starts), Setting(h=8, d=16, sigma2=1.0, rho=0.002)
    streams = np.random.SeedSequence((natural("seed", seed), setting.h)).spawn(starts)
    modes = [commuting_start(setting, np.random.default_rng(stream)) for stream in _listed(streams, progress, "starts")]
    matrices = [
        (np.diag(w), np.hstack([np.diag(np.sqrt(phi)), np.zeros((setting.h, setting.d - setting.h))]))
        for w, phi in modes
    ]
    steps = round(5 * setting.h**2 / RATE)
    runs = _trained(matrices, seed, RATE, 256, steps, rho=setting.rho, momentum=0.0, record_every=steps)
    phi = np.array([np.sum(run.Phi**2, axis=1) / np.sum(run.Phi**2) for run in runs])
    return {"w0": np.array([w for w, _ in modes]), "phi0": np.array([phi for _, phi in modes]), "phi": phi}
