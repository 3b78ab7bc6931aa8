"""Checks of the chapter "Relatives on images"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp
from scipy.stats import hypergeom

from featnorm import results
from featnorm._validate import Array
from featnorm.claims.model import Check, Evidence
from featnorm.scale import Scale

#: Method and loss, as in `featnorm.simsiam.losses`, whose flow of aligned modes is known.
KINDS = (
    ("simsiam", "cosine"),
    ("simsiam", "l2"),
    ("no-predictor", "cosine"),
    ("no-predictor", "l2"),
    ("no-stop", "cosine"),
    ("no-stop", "l2"),
)
_END = 3000.0


def velocity(method: str, loss: str, w: Array, p: Array, s: Array, n: Array) -> tuple[Array, Array]:
    """Leading order of the flow of aligned modes without decay: dw/dt and dp/dt, each (h,).

    w are the eigenvalues of the predictor, p the singular values of Phi, s and n the variances of anchor and noise.
    Without predictor w must be 1 and stays there.

    >>> one, zero = np.ones(1), np.zeros(1)
    >>> [float(part[0]) for part in velocity("simsiam", "cosine", one, one, one, zero)]
    [0.0, 0.0]
    """
    m, phi = s + n, p**2
    if loss == "l2":
        pull, unit, brake = s - w * m, 1.0, m - s * w
    else:
        tau, online, target = np.sum(w * phi * s), np.sum(w**2 * phi * m), np.sum(phi * m)
        unit = 1.0 / np.sqrt(online * target)
        pull, brake = s - w * m * tau / online, m * tau / target - w * s
    dp = w * p * pull - (p * brake if method == "no-stop" else 0.0)
    return (0.0 * w if method == "no-predictor" else phi * pull * unit), dp * unit


def end_shares(method: str, loss: str, w: Array, p: Array, s: Array, n: Array) -> Array:
    """Shares of the modes in the trace of F at the end of the flow of `velocity`."""

    def field(_: float, y: Array) -> Array:
        dw, dp = velocity(method, loss, y[: len(w)], y[len(w) :], s, n)
        return np.concatenate([dw, dp])

    end = solve_ivp(field, (0.0, _END), np.concatenate([w, p]), method="LSODA", rtol=1e-8, atol=1e-14).y[len(w) :, -1]
    return end**2 / np.sum(end**2)


def predicted_shares(method: str, loss: str, w: Array, p: Array, s: Array, n: Array) -> Array:
    """What the claim says: the noiseless mode alone, or with stop-gradient and predictor the modes of their offsets."""
    if method != "simsiam":
        return (n == 0.0).astype(float)
    eta, c = s / (s + n), p**2 - w**2
    if loss == "l2":
        phi = eta**2 + c
    else:  # all offsets are positive here, so that every mode lives
        phi = (np.sum(p**2) - np.sum(c)) / np.sum(eta**2) * eta**2 + c
    return phi / phi.sum()


def check_verdicts(claimed: Callable[..., Array], scale: Scale, seed: int) -> Evidence:
    """Integrate every kind from random starts and compare the shares at the end with those claimed."""
    rng = np.random.default_rng(seed)
    worst, cases, h = 0.0, scale.pick(1, 2, 10), 3
    for _ in range(cases):
        # mode 0 has no noise, and neither the largest variance of the anchor nor the largest in all
        s, n = rng.permuted(np.array([0.6, 1.0])), rng.uniform(0.6, 1.2, h - 1)
        s, n = np.append(0.5, s), np.append(0.0, n)
        w = rng.uniform(0.6, 0.9, h)
        p = w * rng.uniform(1.1, 1.3, h)
        for method, loss in KINDS:
            start = np.ones(h) if method == "no-predictor" else w
            found = end_shares(method, loss, start, p, s, n)
            worst = max(worst, float(np.abs(found - claimed(method, loss, start, p, s, n)).max()))
    source = "integrator tolerance 1e-8 a step, times 1e3 for the steps"
    return Evidence(worst, 1e-5, source, "numerical", cases * len(KINDS), seed)


def directpred_velocity(loss: str, p: Array, s: Array, n: Array, epsilon: float = 0.1) -> Array:
    """dp/dt (h,) of `velocity` where DirectPred sets the predictor from the features, as `losses.direct_predictor`.

    >>> one = np.ones(2)
    >>> directpred_velocity("l2", one, one, 0 * one).round(6).tolist()  # w = 1.1 lies above eta = 1: both shrink
    [-0.11, -0.11]
    """
    f = p**2 * (s + n)
    w = np.sqrt(f / f.max()) + epsilon
    return velocity("directpred", loss, w, p, s, n)[1]


def noiseless_end(w: Array, phi: Array) -> Array:
    """Where phi of a mode without noise ends from (w, phi), with the L2 loss and no stop-gradient.

    >>> noiseless_end(np.array([0.5, 0.5]), np.array([0.5, 0.2])).tolist()
    [0.25, 0.0]
    """
    return np.maximum(phi - (1.0 - w) ** 2, 0.0)


def check_border(claimed: Callable[[Array, Array], Array], scale: Scale, seed: int) -> Evidence:
    """Integrate a mode without noise and one with it, on either side of the border; the worst error of phi at the end.

    Starts have w from -1 to 0.5, since close to 1 the mode below the border dies too slowly to be followed.
    """
    rng = np.random.default_rng(seed)
    worst, cases = 0.0, scale.pick(4, 8, 40)
    for case in range(cases):
        w = rng.uniform(-1.0, 0.5, 2)
        phi = np.array([(1.5, 1.1, 0.9, 0.5)[case % 4] * (1.0 - w[0]) ** 2, rng.uniform(0.2, 2.0)])
        s, n = rng.uniform(0.5, 2.0, 2), np.array([0.0, rng.uniform(0.3, 1.0)])

        def field(_: float, y: Array, s: Array = s, n: Array = n) -> Array:
            return np.concatenate(velocity("no-stop", "l2", y[:2], y[2:], s, n))

        start = np.concatenate([w, np.sqrt(phi)])
        end = solve_ivp(field, (0.0, _END), start, method="LSODA", rtol=1e-9, atol=1e-14).y[2:, -1] ** 2
        worst = max(worst, abs(end[0] - float(claimed(w[:1], phi[:1])[0])), end[1])
    source = "integrator tolerance 1e-9 a step, times 1e4 for the steps and the start's size"
    return Evidence(worst, 1e-5, source, "numerical", cases, seed)


# --- The table of runs on images -------------------------------------------------------------------------------------

#: Each relative at three learning rates, judged by held-out images; and at its best rate, judged by the test images.
RATES, TABLE = "image-relatives-rates-cpu", "image-relatives-cpu"
#: Share of the untrained spread below which features count as narrow; fixed before an archived run was seen.
NARROW = 0.5
#: What the linear theory lets collapse onto the direction that the views do not change.
PREDICTED = frozenset({("no-stop", "cosine"), ("no-stop", "l2"), ("no-predictor", "cosine"), ("no-predictor", "l2")})
LEVEL = 0.05


@dataclass(frozen=True)
class Row:
    """One run at its end: ``untrained`` is the kNN accuracy at its start, ``spread`` a share of the spread there."""

    method: str
    loss: str
    lr: float
    seed: int
    knn: float
    low: float
    high: float
    untrained: float
    spread: float
    rank: float
    mean_share: float
    failed: bool


def rows(name: str) -> list[Row]:
    """The runs of one of the two archives, in their order. A run that failed has the numbers of its last record."""
    archive = results.load(name)
    configs = archive.manifest["config"]["runs"]
    out = []
    for i, run in enumerate(archive.arrays["run"]):
        x = {key: values[i] for key, values in archive.arrays.items() if key not in ("run", "failed")}
        last = int(np.flatnonzero(np.isfinite(x["step"]))[-1])
        config = configs[str(run)]
        out.append(
            Row(
                *(config[key] for key in ("method", "loss", "lr", "seed")),
                *(float(x[key][last]) for key in ("knn", "knn_low", "knn_high")),
                float(x["knn"][0]),
                float(x["feature_std"][last] / x["feature_std"][0]),
                *(float(x[key][last]) for key in ("rank", "mean_share")),
                bool(archive.arrays["failed"][i]),
            )
        )
    return out


def narrow(runs: list[Row]) -> dict[tuple[str, str], bool]:
    """Whether most seeds of a method end narrow. A run that failed counts against what the theory predicts for it.

    >>> row = Row("byol", "l2", 0.1, 1, 0.3, 0.2, 0.4, 0.3, 0.4, 1.0, 0.9, False)
    >>> narrow([row, row, row])
    {('byol', 'l2'): True}
    """
    votes: dict[tuple[str, str], list[bool]] = {}
    for run in runs:
        kind = run.method, run.loss
        votes.setdefault(kind, []).append(kind not in PREDICTED if run.failed else run.spread < NARROW)
    return {kind: 2 * sum(of) > len(of) for kind, of in votes.items()}


def chance(predicted: frozenset[tuple[str, str]], found: dict[tuple[str, str], bool]) -> float:
    """Share of all ways to name as many methods that agree with ``found`` at least as well: Fisher's exact test.

    >>> found = {(str(i), "l2"): i < 3 for i in range(12)}
    >>> round(chance(frozenset({("0", "l2"), ("1", "l2"), ("2", "l2"), ("9", "l2")}), found), 4)
    0.0182
    """
    hits = sum(found[kind] for kind in predicted)
    return float(hypergeom.sf(hits - 1, len(found), sum(found.values()), len(predicted)))


#: Rules that say which methods narrow, other than the linear theory; none of them may pass.
OTHER_RULES: dict[str, frozenset[tuple[str, str]]] = {
    "nothing narrows": frozenset(),
    "the L2 loss narrows": frozenset(
        (method, "l2") for method in ("simsiam", "byol", "directpred", "no-stop", "no-predictor")
    ),
    "what has no predictor narrows": frozenset(
        {("no-predictor", "cosine"), ("no-predictor", "l2"), ("barlow", "cosine"), ("vicreg", "cosine")}
    ),
    "what has no stop-gradient narrows": frozenset(
        {("no-stop", "cosine"), ("no-stop", "l2"), ("barlow", "cosine"), ("vicreg", "cosine")}
    ),
    "the prediction with its names exchanged": frozenset(
        {("byol", "cosine"), ("byol", "l2"), ("directpred", "cosine"), ("directpred", "l2")}
    ),
}


def check_runs(predicted: frozenset[tuple[str, str]], scale: Scale, seed: int) -> Evidence:
    """How many rules as good as ``predicted`` there are, of all that name as many methods (`chance`)."""
    runs = rows(TABLE)
    found = narrow(runs)
    agree = sum((kind in predicted) == verdict for kind, verdict in found.items())
    numbers = {"agree": float(agree), "methods": float(len(found)), "narrow": float(sum(found.values()))}
    source = "Fisher's exact test at the level of 1 in 20, fixed before the runs"
    return Evidence(chance(predicted, found), LEVEL, source, "archived", len(runs), 0, numbers=numbers)


def _instead(method: str, rule: Callable[..., Array]) -> Callable[..., Array]:
    """The claim with another rule for one method."""
    return lambda name, *rest: rule(name, *rest) if name == method else predicted_shares(name, *rest)


def _largest(key: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def shares(method: str, loss: str, w: Array, p: Array, s: Array, n: Array) -> Array:
        value = key(s, n)
        return (value == value.max()).astype(float)

    return shares


CHECKS: dict[str, Check] = {
    "beyond-image-relatives-border": Check(
        check_border,
        claimed=noiseless_end,
        wrong={
            "what stays loses nothing": lambda w, phi: np.where(noiseless_end(w, phi) > 0, phi, 0.0),
            "a positive offset is enough": lambda w, phi: np.maximum(1.0 + phi - w**2, 0.0),
            "the sign of w does not matter": lambda w, phi: noiseless_end(np.abs(w), phi),
            "1 - w for its square": lambda w, phi: np.maximum(phi - (1.0 - w), 0.0),
            "half of the square": lambda w, phi: np.maximum(phi - 0.5 * (1.0 - w) ** 2, 0.0),
            "all modes die": lambda w, phi: 0.0 * phi,
        },
    ),
    "beyond-image-relatives-linear": Check(
        check_verdicts,
        claimed=predicted_shares,
        wrong={
            "no collapse without stop-gradient": _instead(
                "no-stop", lambda m, *rest: predicted_shares("simsiam", *rest)
            ),
            "no collapse without predictor": _instead("no-predictor", lambda m, loss, w, p, s, n: p**2 / np.sum(p**2)),
            "without predictor the strongest signal stays": _instead("no-predictor", _largest(lambda s, n: s)),
            "without stop-gradient the largest variance stays": _instead("no-stop", _largest(lambda s, n: s + n)),
            "SimSiam collapses as well": _instead("simsiam", _largest(lambda s, n: -n)),
            "SimSiam forgets its start": _instead(
                "simsiam", lambda m, loss, w, p, s, n: (s / (s + n)) ** 2 / np.sum((s / (s + n)) ** 2)
            ),
        },
    ),
}
