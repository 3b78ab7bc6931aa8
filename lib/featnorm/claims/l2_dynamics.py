"""Checks of the chapter "L2 cannot escape": Eq. 8, its threshold, Figure 4, and both losses in training."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import sympy as sp

from featnorm.claims.model import Check, Evidence
from featnorm.equilibria import certified_equilibria, rational_field, sturm_counts
from featnorm.equilibria.certified import Law
from featnorm.matrix_flow import l2_field_expected
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting

EPS = float(np.finfo(float).eps)
#: The L2 law does not look at norms; the exact arithmetic wants some.
ANY_NORMS = Norms(1.0, 1.0, 0.0)

# --- Eq. 8 -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Eq8:
    """dw/dt = w^p2 (1 - a^e w) - decay rho w."""

    p2: int = 2
    e: int = 1
    decay: float = 1.0


def check_eq_8(variant: Eq8, scale: Scale, seed: int) -> Evidence:
    """The gradient flow of the expected L2 loss in random commuting states on the parabola, off-diagonals included.

    Phi moves too: 2 Phi dPhi^T must be diagonal in the same basis with the entries 2 w dw, or the parabola is left.
    """
    rng = np.random.default_rng(seed)
    h, d = 6, 9
    setting = Setting(h=h, d=d, sigma2=0.7, rho=0.3)
    cases, worst = scale.pick(10, 200, 2000), 0.0
    for _ in range(cases):
        U, V = np.linalg.qr(rng.standard_normal((h, h)))[0], np.linalg.qr(rng.standard_normal((d, h)))[0]
        w = rng.choice([-1, 1], h) * rng.uniform(0.3, 1.5, h)
        W, Phi = U * w @ U.T, U * np.abs(w) @ V.T
        dW, dPhi = l2_field_expected(W, Phi, setting)
        dW, dPhi = dW - setting.rho * W, dPhi - setting.rho * Phi
        dF = dPhi @ Phi.T + Phi @ dPhi.T
        dw = w**variant.p2 * (1 - setting.a**variant.e * w) - variant.decay * setting.rho * w
        for matrix, rates in ((dW, dw), (dF, 2 * w * dw)):
            worst = max(worst, float(np.max(np.abs(U.T @ matrix @ U - np.diag(rates)))))
    return Evidence(worst, 100 * h**2 * EPS, "rounding: 100 h^2 times 2.2e-16", "numerical", cases, seed)


# --- The threshold ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Threshold:
    """No equilibrium but 0 above 1 / (factor a^power), two more below it, at (1 +- sqrt(1 - factor a^power rho))/2a."""

    factor: int = 4
    power: int = 1
    over: int = 2
    upper_stable: bool = True


def check_l2_collapses(variant: Threshold, scale: Scale, seed: int) -> Evidence:
    """The roots symbolically; the count and the stabilities on both sides of the threshold and on it, certified.

    Distances from the threshold run from 1e-9 to a factor e; on it the root is double, in rational numbers.
    """
    a, rho = sp.symbols("a rho", positive=True)
    under = 1 - variant.factor * a**variant.power * rho
    roots = [(1 + sign * sp.sqrt(under)) / (variant.over * a) for sign in (-1, 1)]
    wrong = sum(sp.simplify(a * x**2 - x + rho) != 0 for x in roots)
    rng = np.random.default_rng(seed)
    cases = scale.pick(30, 300, 5000)
    ends = "stable" if variant.upper_stable else "unstable"
    for n in range(cases):
        sigma2 = Fraction(int(rng.integers(1, 1000)), int(rng.integers(1, 1000)))
        threshold = 1 / (variant.factor * (1 + sigma2) ** variant.power)
        gap = Fraction(float(np.exp(rng.uniform(np.log(1e-9), 0.0))))
        side = n % 3 - 1
        setting = Setting(h=1, d=1, sigma2=sigma2, rho=threshold * (1 + side * gap / (1 if side > 0 else 3)))
        found = [(e.multiplicity, e.stability) for e in certified_equilibria(rational_field(ANY_NORMS, setting, "l2"))]
        wanted = {
            -1: [(1, "stable"), (1, "unstable"), (1, ends)],
            0: [(1, "stable"), (2, "semi-stable")],
            1: [(1, "stable")],
        }[side]
        wrong += found != wanted
    source = "symbolic roots; certified counts and stabilities, none may differ"
    return Evidence(float(wrong), 0.0, source, "certified", cases, seed)


@dataclass(frozen=True)
class Laws:
    """The law whose equilibria do not move as the norms fall, and the one in which two appear."""

    still: Law = "l2"
    moving: Law = "cosine"
    rises: bool = True


def check_no_bifurcation(variant: Laws, scale: Scale, seed: int) -> Evidence:
    """Both layers are scaled down by a factor c, in rational numbers, at one weight decay.

    The fixed law must keep its field to the last digit; the moving one must gain two positive equilibria if the start
    lies in Collapse and c is small enough, and lose none on the way. Counted by Sturm's theorem.
    """
    rng = np.random.default_rng(seed)
    cases, wrong = scale.pick(10, 40, 800), 0
    for _ in range(cases):
        N = Norms(*(Fraction(int(v)) for v in rng.integers(1, 50, 2)), Fraction(int(rng.integers(-9, 10)), 10))
        setting = Setting(h=1, d=1, sigma2=Fraction(int(rng.integers(1, 30)), 10), rho=Fraction(20))
        fields: dict[str, list] = {variant.still: [], variant.moving: []}
        for k in range(0, 12, 2):
            c = Fraction(1, 3**k)
            smaller = Norms(c * N.N_Phi, c**2 * N.N_Psi, N.N_x)
            for law in fields:
                fields[law].append(rational_field(smaller, setting, law))
        positive = [sturm_counts(field)[1] for field in fields[variant.moving]]
        wrong += any(field != fields[variant.still][0] for field in fields[variant.still])
        order = positive if variant.rises else positive[::-1]
        wrong += not (order[0] == 0 and order[-1] == 2 and order == sorted(order))
    source = "rational fields and Sturm counts: none may differ"
    return Evidence(float(wrong), 0.0, source, "certified", cases, seed)


# --- Figure 4 --------------------------------------------------------------------------------------------------------

#: Weight decays of our Figure 4 over the threshold; the paper's values are lost.
FIGURE_4 = (Fraction(1, 2), Fraction(1), Fraction(8, 5))


def figure_4_settings(sigma2: float | Fraction) -> list[Setting]:
    """The settings of Figure 4, with exactly rational weight decays, so that the middle one is on the threshold."""
    threshold = 1 / (4 * (1 + Fraction(sigma2)))
    return [Setting(h=1, d=1, sigma2=Fraction(sigma2), rho=ratio * threshold) for ratio in FIGURE_4]


def check_figure_4(counts: tuple[int, ...], scale: Scale, seed: int) -> Evidence:
    """The number of non-zero equilibria in each panel, by Sturm's theorem."""
    fields = [rational_field(ANY_NORMS, setting, "l2") for setting in figure_4_settings(1)]
    wrong = sum(sum(sturm_counts(field)) != count for field, count in zip(fields, counts, strict=True))
    return Evidence(float(wrong), 0.0, "Sturm counts over the rationals", "certified", len(fields), None)


# --- Both losses in training -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """A loss and a weight decay over the threshold 1 / (4 (1 + sigma2)) of the L2 loss."""

    loss: str = "l2"
    over: float = 1.6


@lru_cache(maxsize=8)
def training_run(loss: str, over: float, scale: Scale, seed: int):
    """A linear SimSiam run by plain SGD at a constant rate, h = 16, d = 32, sigma2 = 1 (`featnorm.simsiam.linear`).

    It lasts 12 / rho, in which weight decay alone divides the weights by e^12. The loss is named apart from the seed,
    so that both losses get the same start and the same data.
    """
    from featnorm.simsiam.linear import LinearConfig, train  # PyTorch is slow to import, and only this check needs it

    rho = over / 8.0
    step = 0.2
    steps = round(12.0 / (rho * step))
    config = LinearConfig(
        h=16, d=32, sigma2=1.0, rho=rho, lr=step * 256 / 64, momentum=0.0, batch=64, epochs=1, steps_per_epoch=steps,
        loss=loss, seed=seed, record_every=max(steps // 60, 1),
    )  # fmt: skip
    return train(config)


def check_at_once(variant: Training, scale: Scale, seed: int) -> Evidence:
    """How fast the weights decay in the second half of the run, in units of the weight decay.

    Collapse is decay at the rate of the weight decay itself: the loss no longer holds anything. The statistic is the
    distance of the measured rate from rho, relative; half-way to the rate 0 of a state that persists is the threshold.
    """
    run = training_run(variant.loss, variant.over, scale, seed)
    half = len(run.time) // 2
    rate = -np.polyfit(run.time[half:], np.log(np.maximum(run.norm_W[half:], 1e-300)), 1)[0]
    numbers = {"rate": float(rate), "rho": run.config.rho, "left": float(run.norm_W[-1] / run.norm_W[0])}
    source = "half-way between decay at rate rho and none"
    return Evidence(abs(rate / run.config.rho - 1), 0.5, source, "numerical", len(run.time), seed, numbers=numbers)


CHECKS: dict[str, Check] = {
    "eq-8": Check(
        check_eq_8,
        claimed=Eq8(),
        wrong={
            "w instead of w^2": Eq8(p2=1),
            "w^3 instead of w^2": Eq8(p2=3),
            "without augmentation noise": Eq8(e=0),
            "the square of 1 + sigma^2": Eq8(e=2),
            "twice the weight decay": Eq8(decay=2.0),
        },
    ),
    "l2-collapses": Check(
        check_l2_collapses,
        claimed=Threshold(),
        wrong={
            "threshold 1 / (2 (1 + sigma^2))": Threshold(factor=2),
            "threshold 1 / (8 (1 + sigma^2))": Threshold(factor=8),
            "threshold 1 / (4 (1 + sigma^2)^2)": Threshold(power=2),
            "roots without the factor 2": Threshold(over=1),
            "w_+ unstable": Threshold(upper_stable=False),
        },
    ),
    "l2-no-bifurcation": Check(
        check_no_bifurcation,
        claimed=Laws(),
        wrong={
            "the cubic at leading order does not change": Laws(still="leading"),
            "the cosine law does not change": Laws(still="cosine"),
            "the L2 law gains equilibria": Laws(moving="l2"),
            "the cosine law loses equilibria as norms fall": Laws(rises=False),
        },
    ),
    "figure-4": Check(
        check_figure_4,
        claimed=(2, 1, 0),
        wrong={"always two": (2, 2, 2), "none at the threshold": (2, 0, 0), "the reverse order": (0, 1, 2)},
    ),
    "l2-collapses-at-once": Check(
        check_at_once,
        claimed=Training(),
        wrong={
            "the cosine loss": Training(loss="cosine"),
            "the L2 loss below its threshold": Training(over=0.8),
            "the cosine loss below the threshold of L2": Training(loss="cosine", over=0.8),
        },
    ),
}
