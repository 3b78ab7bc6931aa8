"""Checks of the chapter "Random matrices at initialisation": Lemmas 5 to 9, their exact moments and sharp limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.special import gamma
from scipy.stats import norm

from featnorm._validate import Array
from featnorm.claims.model import FALSE_ALARM, Check, Evidence, t_threshold
from featnorm.concentration import matrix_norms, second_moments, spectral_edges
from featnorm.scale import Scale
from featnorm.setting import Setting, initialize

#: Neighbouring exponents are a quarter apart; a statement about an order is rejected beyond half of that.
HALF_GAP = 0.125
SLOPE_SOURCE = "half the gap of 1/4 to the neighbouring exponent, for the upper end of the slope's interval"


def slope(sizes: tuple[int, ...], values: list[Array]) -> tuple[float, float]:
    """Slope of the mean log against log size, and its standard error, from one array of repeats a size."""
    x = np.log(sizes)
    y = np.array([np.log(v).mean() for v in values])
    se = np.array([np.log(v).std(ddof=1) / np.sqrt(len(v)) for v in values])
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    return float(weights @ y), float(np.sqrt(weights**2 @ se**2))


def quantile(comparisons: int) -> float:
    """Number of standard errors beyond which chance does not go, one-sided, over so many comparisons."""
    return float(norm.isf(FALSE_ALARM / comparisons))


# --- Lemmas 5 and 6: entries with a sub-Weibull norm ------------------------------------------------------------------


def entry_norm(beta: float) -> float:
    """K of the entries: standard normal for beta = 2, else signed Weibull, +-E^(1 / beta) with E exponential."""
    return np.sqrt(8 / 3) if beta == 2 else 2.0 ** (1 / beta)


def _entries(beta: float, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if beta == 2:
        return rng.standard_normal(shape)
    return rng.choice([-1.0, 1.0], shape) * rng.exponential(size=shape) ** (1 / beta)


BETAS = (2.0, 1.0, 0.5)


@lru_cache(maxsize=32)
def ensemble(name: str, scale: Scale, seed: int) -> tuple[tuple[int, ...], dict[float, list[tuple[Array, Array]]]]:
    """Sizes n and, for each beta and n, Frobenius and spectral norms of random (n / 2) x n matrices with such entries.

    ``independent``; ``common``: one variable in every entry; ``rows``: all rows equal; ``positive``: the absolute
    values of independent ones. In the second and third case both norms are known without making the matrix.
    """
    sizes = scale.pick(smoke=(32, 48, 64, 96, 128, 192), book=(32, 64, 128, 256, 512), full=(32, 64, 128, 256, 1024))
    rng = np.random.default_rng([seed, sum(map(ord, name))])
    out: dict[float, list[tuple[Array, Array]]] = {}
    for beta in BETAS:
        out[beta] = []
        for n in sizes:
            m = n // 2
            if name == "common":
                both = np.abs(_entries(beta, (20_000,), rng)) * np.sqrt(m * n)
                out[beta].append((both, both))
            elif name == "rows":
                both = np.linalg.norm(_entries(beta, (400, n), rng), axis=1) * np.sqrt(m)
                out[beta].append((both, both))
            else:
                matrices = [_entries(beta, (m, n), rng) for _ in range(max(scale.pick(12, 16, 32), 1000 // n))]
                if name == "positive":
                    matrices = [np.abs(A) for A in matrices]
                pairs = [(np.linalg.norm(A), np.sqrt(np.linalg.eigvalsh(A @ A.T)[-1])) for A in matrices]
                frobenius, operator = zip(*pairs)
                out[beta].append((np.array(frobenius), np.array(operator)))
    return sizes, out


#: A bound of the form K times a rate: (beta, m, n) -> rate.
Rate = Callable[[float, float, float], float]


def _excess(names: tuple[str, ...], betas: tuple[float, ...], which: int, rate: Rate, scale: Scale, seed: int):
    """Largest exponent by which a norm outgrows a rate (upper ends), and the largest ratio of the median to K rate."""
    worst, ratio, cases = -np.inf, 0.0, len(names) * len(betas)
    for name in names:
        sizes, data = ensemble(name, scale, seed)
        for beta in betas:
            values = [part[which] / (entry_norm(beta) * rate(beta, n // 2, n)) for n, part in zip(sizes, data[beta])]
            found, se = slope(sizes, values)
            worst = max(worst, found + quantile(cases) * se)
            ratio = max(ratio, max(float(np.median(v)) for v in values))
    return worst, ratio


def frobenius_constant(beta: float) -> float:
    """C with E ||A||_F^2 <= C^2 K^2 m n, from E |X|^2 <= 2 K^2 Gamma(1 + 2 / beta), which the tails imply."""
    return float(np.sqrt(2 * gamma(1 + 2 / beta)))


@dataclass(frozen=True)
class Frobenius:
    """||A||_F against C(beta) K (m n)^power."""

    power: float = 0.5
    constant: Callable[[float], float] = frobenius_constant


def check_lemma_5(variant: Frobenius, scale: Scale, seed: int) -> Evidence:
    """Order over six sizes and a bound for every one of them, for entries that are independent, equal, equal by rows.

    The larger of two excesses: of the slope over half a gap, and of the mean square over its bound, both over 1.
    """
    names = ("independent", "common", "rows")
    growth, _ = _excess(names, BETAS, 0, lambda beta, m, n: (m * n) ** variant.power, scale, seed)
    tight, over = 0.0, 0.0
    for beta in BETAS:
        # E A_ij^2 is the same however the entries depend on one another: 1 for beta = 2, else Gamma(1 + 2 / beta).
        second = 1.0 if beta == 2 else gamma(1 + 2 / beta)
        found = np.sqrt(second) / (variant.constant(beta) * entry_norm(beta))
        tight, over = max(tight, float(found)), max(over, float(found))
    # The exponent counts in the size n, so neighbouring powers of m n, a quarter apart, are 1/2 apart here.
    statistic = max(growth / (2 * HALF_GAP), over)
    source = "slope within half a gap (unit: that half), and mean square within its bound (unit: the bound)"
    return Evidence(statistic, 1.0, source, "numerical", 6, seed, tightness=tight, numbers={"slope": growth})


@dataclass(frozen=True)
class Spectral:
    """||A|| against K rate, for entries of the given indices and dependence."""

    rate: Rate
    names: tuple[str, ...] = ("independent",)
    betas: tuple[float, ...] = BETAS


def lemma_6_rate(beta: float, m: float, n: float) -> float:
    """(m + n)^(1 / beta)."""
    return (m + n) ** (1 / beta)


def latala_rate(beta: float, m: float, n: float) -> float:
    """sqrt(m) + sqrt(n)."""
    return np.sqrt(m) + np.sqrt(n)


def check_spectral(variant: Spectral, scale: Scale, seed: int) -> Evidence:
    """Whether ||A|| / (K rate) stays bounded over six sizes: the upper end of its slope."""
    growth, ratio = _excess(variant.names, variant.betas, 1, variant.rate, scale, seed)
    return Evidence(growth, HALF_GAP, SLOPE_SOURCE, "numerical", 6, seed, tightness=ratio, numbers={"slope": growth})


# --- Lemmas 7 to 9: the first matrices --------------------------------------------------------------------------------


#: Inputs over which the lengths of Lemma 9 are averaged for each start, since one of them varies much.
INPUTS = 32


@lru_cache(maxsize=2)
def first_norms(scale: Scale, seed: int) -> tuple[tuple[int, ...], dict[str, list[Array]]]:
    """Sizes h and, for every norm of `matrix_norms` and every h, its values over repeated starts with d = 2 h."""
    rng = np.random.default_rng(seed)
    sizes = scale.pick(smoke=(12, 16, 24, 32, 48, 64), book=(16, 32, 64, 128, 256, 512), full=(32, 64, 128, 256, 1024))
    out: dict[str, list[Array]] = {}
    for h in sizes:
        setting = Setting(h=h, d=2 * h)
        rows = [
            matrix_norms(*initialize(setting, rng), rng.standard_normal((2 * h, INPUTS)))
            for _ in range(max(scale.pick(30, 24, 100), scale.pick(2000, 6400, 20_000) // h))
        ]
        for name in rows[0]:
            out.setdefault(name, []).append(np.array([row[name] for row in rows]))
    return sizes, out


@dataclass(frozen=True)
class Orders:
    """Claimed exponents of h, by the names of `matrix_norms`."""

    exponents: Mapping[str, float]


def check_orders(variant: Orders, scale: Scale, seed: int) -> Evidence:
    """O_P statements about the first matrices: upper end of each slope over six sizes, less the claimed exponent."""
    sizes, data = first_norms(scale, seed)
    worst, numbers = -np.inf, {}
    for name, exponent in variant.exponents.items():
        found, se = slope(sizes, data[name])
        worst = max(worst, found + quantile(len(variant.exponents)) * se - exponent)
        numbers[name] = found
    return Evidence(worst, HALF_GAP, SLOPE_SOURCE, "numerical", len(sizes), seed, numbers=numbers)


def _orders(exponents: dict[str, float]) -> Check:
    """The check of these orders; each of them lowered by a quarter is a wrong variant."""
    wrong = {
        f"{name}: exponent {exponent - 0.25:g}": Orders({**exponents, name: exponent - 0.25})
        for name, exponent in exponents.items()
    }
    return Check(check_orders, claimed=Orders(exponents), wrong=wrong)


MOMENT_SETTINGS = (Setting(h=4, d=6), Setting(h=3, d=2), Setting(h=1, d=2))
BLOCKS = 64


@lru_cache(maxsize=2)
def moment_samples(scale: Scale, seed: int) -> tuple[dict[str, Array], ...]:
    """Block means of the squares of Frobenius norms and lengths, drawn in batches, for each of MOMENT_SETTINGS."""
    rng = np.random.default_rng(seed)
    n = scale.pick(smoke=600, book=4_000, full=40_000)
    out = []
    for setting in MOMENT_SETTINGS:
        h, d = setting.h, setting.d
        upper = np.triu(rng.standard_normal((n * BLOCKS, h, h))) / np.sqrt(h)
        W = upper + np.swapaxes(np.triu(upper, 1), 1, 2)
        Phi = rng.standard_normal((n * BLOCKS, h, d)) / np.sqrt(d)
        x = rng.standard_normal((n * BLOCKS, d, 1))
        Psi = W @ Phi
        matrices = {
            "Phi_F": Phi, "W_F": W, "Psi_F": Psi, "WW": W @ W,
            "Gram_Phi": Phi @ np.swapaxes(Phi, 1, 2), "Gram_Psi": Psi @ np.swapaxes(Psi, 1, 2),
            "Phi_x0": np.swapaxes(Phi, 1, 2) @ (Phi @ x), "Psi_x0": np.swapaxes(Psi, 1, 2) @ (Psi @ x),
        }  # fmt: skip
        squares = {name: np.sum(A**2, axis=(1, 2)) for name, A in matrices.items()}
        out.append({name: v.reshape(BLOCKS, n).mean(axis=1) for name, v in squares.items()})
    return tuple(out)


Moments = Callable[[Setting], dict[str, float]]


def check_moments(formula: Moments, scale: Scale, seed: int) -> Evidence:
    """Exact second moments against the means of small matrices, where every leading order is far off."""
    worst, count = 0.0, 0
    for setting, blocks in zip(MOMENT_SETTINGS, moment_samples(scale, seed)):
        for name, claimed in formula(setting).items():
            se = blocks[name].std(ddof=1) / np.sqrt(BLOCKS)
            worst, count = max(worst, float(abs(blocks[name].mean() - claimed) / se)), count + 1
    source = f"Student quantile over {count} means, false alarm 5e-7"
    return Evidence(
        worst, t_threshold(count, BLOCKS), source, "numerical", scale.pick(600, 4_000, 40_000) * BLOCKS, seed
    )


def _changed(**changes: Callable[[float, float], float]) -> Moments:
    return lambda setting: {
        **second_moments(setting), **{k: f(float(setting.h), float(setting.d)) for k, f in changes.items()}
    }  # fmt: skip


#: h / d at which the limits are checked: there the formulas that could be confused differ more than at small h / d.
EDGE_RATIO = 4


@lru_cache(maxsize=2)
def edge_norms(scale: Scale, seed: int) -> tuple[tuple[int, ...], dict[str, list[Array]]]:
    """Sizes h and, for Phi, W and Psi and every h, spectral norms over repeated starts with d = h / EDGE_RATIO."""
    rng = np.random.default_rng(seed)
    sizes = scale.pick(smoke=(16, 24, 32, 48, 64, 96), book=(16, 32, 64, 128, 256), full=(32, 64, 128, 256, 512))
    out: dict[str, list[Array]] = {"Phi": [], "W": [], "Psi": []}
    for h in sizes:
        rows = []
        for _ in range(scale.pick(8_000, 60_000, 400_000) // h):
            W, Phi = initialize(Setting(h=h, d=h // EDGE_RATIO), rng)
            Psi = W @ Phi
            tops = [np.linalg.eigvalsh(A.T @ A)[-1] for A in (Phi, Psi)]
            rows.append((np.sqrt(tops[0]), np.abs(np.linalg.eigvalsh(W)).max(), np.sqrt(tops[1])))
        for name, values in zip(out, np.array(rows).T):
            out[name].append(values)
    return sizes, out


def edge_fit(name: str, scale: Scale, seed: int) -> tuple[float, float]:
    """Limit of a mean spectral norm, by a fit of 1, h^(-2/3) and h^(-1), and the standard error of that limit.

    h^(-2/3) is the scale on which the largest eigenvalue fluctuates, h^(-1) the next order.
    """
    sizes, data = edge_norms(scale, seed)
    h = np.array(sizes, dtype=float)
    y = np.array([v.mean() for v in data[name]])
    se = np.array([v.std(ddof=1) / np.sqrt(len(v)) for v in data[name]])
    X = np.stack([h**0, h ** (-2 / 3), 1 / h], axis=1) / se[:, None]
    inverse = np.linalg.inv(X.T @ X)
    return float((inverse @ X.T @ (y / se))[0]), float(np.sqrt(inverse[0, 0]))


@dataclass(frozen=True)
class Edges:
    """Limits of spectral norms as functions of h / d; those not named are the claimed ones."""

    changes: Mapping[str, Callable[[float], float]] = field(default_factory=dict)


def check_edges(variant: Edges, scale: Scale, seed: int) -> Evidence:
    """Fitted limits of the three spectral norms at h / d = EDGE_RATIO against the edges, in standard errors."""
    claimed = {**spectral_edges(EDGE_RATIO), **{name: f(EDGE_RATIO) for name, f in variant.changes.items()}}
    worst, numbers = 0.0, {}
    for name, edge in claimed.items():
        limit, se = edge_fit(name, scale, seed)
        worst = max(worst, abs(limit - edge) / se)
        numbers |= {f"{name}, fit": limit, f"{name}, standard error": se}
    source = "normal quantile of a fit with its next-order term, three limits, false alarm 5e-7"
    return Evidence(worst, quantile(6), source, "numerical", len(edge_norms(scale, seed)[0]), seed, numbers=numbers)


CHECKS: dict[str, Check] = {
    "lemma-5": Check(
        check_lemma_5,
        claimed=Frobenius(),
        wrong={
            "exponent 1/4 of m n": Frobenius(power=0.25),
            "exponent 3/8 of m n": Frobenius(power=0.375),
            "E X^2 at most K^2 for every beta": Frobenius(constant=lambda beta: 1.0),
            "a third of the constant": Frobenius(constant=lambda beta: frobenius_constant(beta) / 3),
        },
    ),
    "lemma-6": Check(
        check_spectral,
        claimed=Spectral(lemma_6_rate),
        wrong={
            "exponent 1 / (2 beta)": Spectral(lambda beta, m, n: (m + n) ** (0.5 / beta)),
            "exponent 1 / beta - 1 / 4": Spectral(lambda beta, m, n: (m + n) ** (1 / beta - 0.25), betas=(2.0,)),
            "entries not centred": Spectral(lemma_6_rate, names=("positive",)),
            "all rows equal": Spectral(lemma_6_rate, names=("rows",)),
        },
        readings={
            "entries may depend on one another": Spectral(lemma_6_rate, names=("common",)),
            "entries may depend, beta at most 1": Spectral(lemma_6_rate, names=("common", "rows"), betas=(1.0, 0.5)),
        },
    ),
    "beyond-spectral-norm": Check(
        check_spectral,
        claimed=Spectral(latala_rate, betas=(2.0, 1.0)),
        wrong={
            "one variable in every entry": Spectral(latala_rate, names=("common",)),
            "all rows equal": Spectral(latala_rate, names=("rows",)),
            "entries not centred": Spectral(latala_rate, names=("positive",)),
            "exponent 1/4": Spectral(lambda beta, m, n: (m + n) ** 0.25, betas=(2.0, 1.0)),
        },
    ),
    "lemma-7": _orders({"Phi": 0.0, "Gram_Phi": 0.5, "Gram_Psi": 0.5}),
    "lemma-8": _orders({"Phi_F": 0.5, "Psi_F": 0.5, "WW": 0.5}),
    "lemma-9": _orders({"Phi_x0": 0.5, "Psi_x0": 0.5}),
    "beyond-initial-moments": Check(
        check_moments,
        claimed=second_moments,
        wrong={
            "h + d instead of h + d + 1": _changed(Gram_Phi=lambda h, d: h * (1 + h / d)),
            "the norm of W W^T to leading order": _changed(WW=lambda h, d: 2 * h),
            "W with a diagonal of variance 2 / h": _changed(WW=lambda h, d: 2 * h + 5 + 5 / h),
            "the norm of Psi Psi^T to leading order": _changed(Gram_Psi=lambda h, d: h * (2 + h / d)),
            "the transpose left out of E[F A F]": _changed(Gram_Psi=lambda h, d: 2 * h + 1 + (h**2 + 4 - 2 / h) / d),
            "Psi x0 as long as Phi x0": _changed(Psi_x0=lambda h, d: h * (1 + (h + 1) / d)),
        },
    ),
    "beyond-spectral-edges": Check(
        check_edges,
        claimed=Edges(),
        wrong={
            "Phi: 1 + h / d": Edges({"Phi": lambda ratio: 1 + ratio}),
            "Phi: sqrt(1 + h / d)": Edges({"Phi": lambda ratio: np.sqrt(1 + ratio)}),
            "W: sqrt(2), as for (A + A^T) / 2 of an independent A": Edges({"W": lambda ratio: np.sqrt(2)}),
            "Psi: the product of the two edges": Edges({"Psi": lambda ratio: 2 * (1 + np.sqrt(ratio))}),
            "Psi: the edge of W": Edges({"Psi": lambda ratio: 2.0}),
            "Psi: 2 sqrt(1 + h / d)": Edges({"Psi": lambda ratio: 2 * np.sqrt(1 + ratio)}),
        },
    ),
}
