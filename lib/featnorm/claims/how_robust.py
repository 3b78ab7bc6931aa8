"""Checks of the chapter "How robust": which laws survive a change of the model, and which normalisation is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import gammaln

from featnorm import results
from featnorm._validate import Array
from featnorm.anisotropic import aligned_end, aligned_flow
from featnorm.claims.gradient_flow import EPS, skewed_sample
from featnorm.claims.model import Check, Evidence, t_threshold
from featnorm.eigen_flow import terminal_state, terminal_state_matrix
from featnorm.equilibria import equilibria
from featnorm.matrix_flow import population_flow
from featnorm.scale import Scale
from featnorm.setting import Norms, Setting
from featnorm.surveys import commuting_start

# --- Which normalisation makes weight decay a clock ------------------------------------------------------------------

RTOL = 1e-9
RHO, T_END = 1.0, 0.4
#: Largest time at which a flow without decay is read: that of the fastest wrong clock, (exp(3 rho t) - 1) / (3 rho).
S_END = float(np.expm1(3 * RHO * T_END) / (3 * RHO))

#: A flow: from its time to (W, Phi).
Flow = Callable[[float], tuple[Array, Array]]


@lru_cache(maxsize=4)
def normalised_flows(samples: int, seed: int) -> dict[str, tuple[Flow, Flow]]:
    """For each normalisation the flows with weight decay RHO and without, of the loss on one skewed sample."""
    from featnorm.simsiam.variations import NORMALISATIONS, Variation, gradients

    rng = np.random.default_rng(seed)
    h, d = 5, 8
    W0, Phi0 = np.eye(h) + 0.3 * rng.standard_normal((h, h)), rng.standard_normal((h, d)) / np.sqrt(d)
    x, x1 = skewed_sample(samples, d, rng)

    def follow(kind: str, rho: float, t_end: float) -> Flow:
        def slope(_: float, y: Array) -> Array:
            (dW,), dPhi = gradients(
                Variation(normalisation=kind), [y[: h * h].reshape(h, h)], y[h * h :].reshape(h, d), x, x1
            )
            return -np.concatenate([dW.ravel(), dPhi.ravel()]) - rho * y

        y0 = np.concatenate([W0.ravel(), Phi0.ravel()])
        dense = solve_ivp(slope, (0.0, t_end), y0, "DOP853", rtol=RTOL, atol=1e-12, dense_output=True).sol

        def at(t: float) -> tuple[Array, Array]:
            y = dense(t)
            return y[: h * h].reshape(h, h), y[h * h :].reshape(h, d)

        return at

    # the flows that see the size need no long time: their clock is never read
    return {
        kind: (follow(kind, RHO, T_END), follow(kind, 0.0, T_END if kind in ("target", "neither") else S_END))
        for kind in NORMALISATIONS
    }


@dataclass(frozen=True)
class Laws:
    """What is claimed of each normalisation.

    power: the p of the clock s = (exp(p rho t) - 1) / (p rho), None where the norm law fails. by_row: those under which
    each row of W obeys the norm law. unbalanced: those under which W^T W - Phi Phi^T is not conserved.
    """

    power: Mapping[str, float | None] = field(
        default_factory=lambda: {"both": 2.0, "online": 1.0, "batch": 2.0, "target": None, "neither": None}
    )
    by_row: tuple[str, ...] = ("batch",)
    unbalanced: tuple[str, ...] = ()


def _departure(found: Array, claimed: Array) -> float:
    return float(np.max(np.abs(found / claimed - 1.0)))


def check_online_normalisation(laws: Laws, scale: Scale, seed: int) -> Evidence:
    """Norm law, clock and balance law along flows of a sample that is neither Gaussian nor centred.

    The statistic is the largest relative error of a law that is claimed. Where a law is claimed to fail, its error must
    be at least ten times the threshold, or the statistic is infinite.
    """
    threshold, errors = 1e4 * RTOL, []
    must_fail = []
    flows = normalised_flows(scale.pick(40, 60, 400), seed)
    shrunk = np.exp(-RHO * T_END)
    for kind, (slow, fast) in flows.items():
        (W0, Phi0), (W, Phi) = slow(0.0), slow(T_END)
        norm_law = max(_departure(np.linalg.norm(A), shrunk * np.linalg.norm(B)) for A, B in ((W, W0), (Phi, Phi0)))
        rows = _departure(np.linalg.norm(W, axis=1), shrunk * np.linalg.norm(W0, axis=1))
        offset = W.T @ W - Phi @ Phi.T - shrunk**2 * (W0.T @ W0 - Phi0 @ Phi0.T)
        balance = float(np.linalg.norm(offset) / np.sum(Phi0**2))
        (must_fail if kind in laws.unbalanced else errors).append(balance)
        (errors if kind in laws.by_row else must_fail).append(rows)
        power = laws.power[kind]
        if power is None:
            must_fail.append(norm_law)
            continue
        errors.append(norm_law)
        if kind in ("both", "online", "batch"):  # else the norm law has failed already
            still = fast(float(np.expm1(power * RHO * T_END) / (power * RHO)))
            errors += [float(np.linalg.norm(A - shrunk * B) / np.linalg.norm(A)) for A, B in zip((W, Phi), still)]
    statistic = max(errors) if min(must_fail) > 10 * threshold else np.inf
    source = "integrator tolerance 1e-9 per step, times 1e4 for the steps and the conditioning of the flow"
    return Evidence(statistic, threshold, source, "numerical", len(flows), seed, numbers={"fails by": min(must_fail)})


# --- What target normalisation alone does ----------------------------------------------------------------------------


def mean_root(k: int) -> float:
    """m_k = E|g| / k for a standard normal vector g of length k: about 1 / sqrt(k).

    >>> round(mean_root(1) ** 2, 12) == round(2 / np.pi, 12)
    True
    """
    return float(np.sqrt(2.0) * np.exp(gammaln((k + 1) / 2) - gammaln(k / 2)) / k)


def shared_limit(k: int, a: float) -> float:
    """The weight decay above which k >= 2 equal modes part under target normalisation only (``beyond-target-only``).

    >>> 0.2 < shared_limit(4, 2.0) < 0.25
    True
    """
    return float(mean_root(k) / (2 * np.sqrt(a)) * (k + 4) / (k + 2))


def largest_shared(rho: float, a: float) -> int:
    """The largest number of equal modes that is stable at weight decay rho under target normalisation; 1 if none is.

    >>> largest_shared(0.2, 2.0)
    4
    """
    k = 1
    while shared_limit(k + 1, a) > rho:
        k += 1
    return k


BLOCKS = 64
_MODES = (2, 3, 6)


@lru_cache(maxsize=4)
def _target_rates(samples: int, seed: int) -> tuple[Array, float]:
    """Rates of growth and of parting of k equal modes by autograd, in blocks (2 len(_MODES), BLOCKS), and w."""
    from featnorm.simsiam.variations import Variation, gradients

    rng = np.random.default_rng(seed)
    kind, w, step = Variation(normalisation="target"), 0.6, 1e-4
    out = np.zeros((2 * len(_MODES), BLOCKS))
    for i, k in enumerate(_MODES):
        split = np.zeros(k)
        split[:2] = 1.0, -1.0
        for block in range(BLOCKS):
            x0, n, n1 = rng.standard_normal((3, samples, k))

            def velocity(modes: Array, x: Array = x0 + n, x1: Array = x0 + n1, k: int = k) -> Array:
                # the mean over both orders of the views and over the modes' signs costs no bias and less noise
                ends = [gradients(kind, [np.diag(modes)], np.diag(modes), *pair)[0][0] for pair in ((x, x1), (x1, x))]
                return -np.diag(ends[0] + ends[1]) / 2

            equal = np.full(k, w)
            out[2 * i, block] = velocity(equal).mean() / w
            apart = velocity(equal + step * split) - velocity(equal - step * split)
            out[2 * i + 1, block] = split @ apart / (4 * step)
    return out, w


@dataclass(frozen=True)
class TargetOnly:
    """The rates at which k equal modes w grow and part, without weight decay, by m_k, a and w."""

    growth: Callable[[int, float, float], float] = lambda k, a, w: mean_root(k) / np.sqrt(a) - a * w**2
    parting: Callable[[int, float, float], float] = lambda k, a, w: (
        2 * mean_root(k) / np.sqrt(a) * (k + 1) / (k + 2) - 3 * a * w**2
    )


def check_target_only(claim: TargetOnly, scale: Scale, seed: int) -> Evidence:
    """Both rates of 2, 3 and 6 equal modes on the parabola, by autograd on samples, in standard errors."""
    samples = scale.pick(500, 1500, 20_000)
    blocks, w = _target_rates(samples, seed)
    claimed = np.array([f(k, 2.0, w) for k in _MODES for f in (claim.growth, claim.parting)])
    z = np.abs(blocks.mean(axis=1) - claimed) / (blocks.std(axis=1, ddof=1) / np.sqrt(BLOCKS))
    source = "Student quantile over both rates and three k, false alarm 5e-7; the step 1e-4 adds a bias of order 1e-8"
    return Evidence(float(z.max()), t_threshold(len(z), BLOCKS), source, "numerical", samples * BLOCKS, seed)


# --- Any positively homogeneous head, any data -----------------------------------------------------------------------


@dataclass(frozen=True)
class HeadLaws:
    """Which conserved matrices count only on their diagonal, and what else is changed.

    diagonal: pairs (head, pair of layers) where only the diagonal is conserved. transposed: A A^T for A^T A in the pair
    of the two layers. normalisation: of the loss. kept: W kept symmetric counts as a head too.
    """

    diagonal: tuple[tuple[str, int], ...] = (("diagonal", 0), ("relu", 1))
    transposed: bool = False
    normalisation: str = "both"
    kept: bool = False


def check_any_head(laws: HeadLaws, scale: Scale, seed: int) -> Evidence:
    """<gradient, layer> for every layer, and the rates of the conserved matrices, at random states and data laws.

    Relative to the sizes of the factors, so that rounding is of order 1e-16 times the number of terms.
    """
    from featnorm.simsiam.variations import DATA, Variation, draw, gradients, start

    rng, worst = np.random.default_rng(seed), 0.0
    setting, n = Setting(h=4, d=7, sigma2=0.7), 60
    heads = ["full", "diagonal", "low_rank", "two_layer", "relu", *(["symmetric"] if laws.kept else [])]
    for data in DATA:
        x, x1 = draw(data, setting, n, int(rng.integers(2**31)))
        for head in heads:
            kind = Variation(head=head, normalisation=laws.normalisation)
            layers, Phi = start(kind, setting, rng)
            # a ReLU head maps a few samples to zero, where no direction and no gradient exists
            live = (layers[0] @ (Phi @ x.T) > 0).any(axis=0) if head == "relu" else np.ones(n, dtype=bool)
            grads, dPhi = gradients(kind, layers, Phi, x[live], x1[live])
            if head == "symmetric":
                grads = [(grads[0] + grads[0].T) / 2]
            weights, rates = [Phi, *layers], [dPhi, *grads]
            for A, g in zip(weights, rates):
                worst = max(worst, abs(float(np.sum(g * A))) / float(np.linalg.norm(g) * np.linalg.norm(A)))
            if head == "diagonal":
                weights[1], rates[1] = np.diag(layers[0]), np.diag(grads[0])
            for i, (low, high) in enumerate(zip(range(len(weights)), range(1, len(weights)))):
                A, g, B, f = weights[high], rates[high], weights[low], rates[low]
                up = A @ g.T if laws.transposed and i == 1 and len(A) == len(B) else A.T @ g
                rate = up + up.T - (B @ f.T + f @ B.T)
                rate = np.diag(rate) if (head, i) in laws.diagonal else rate
                size = np.linalg.norm(A) * np.linalg.norm(g) + np.linalg.norm(B) * np.linalg.norm(f)
                worst = max(worst, float(np.linalg.norm(rate) / size))
    source = "rounding of sums over n = 60 samples and 8 features, 480 times 2.2e-16"
    return Evidence(worst, 480 * EPS, source, "numerical", len(DATA) * len(heads), seed)


# --- Anisotropic inputs ----------------------------------------------------------------------------------------------

#: From (w0, phi0, signal, noise) to the final phi, all (h,).
AlignedRule = Callable[[Array, Array, Array, Array], Array]


@lru_cache(maxsize=4)
def _aligned_runs(cases: int, seed: int) -> list[tuple[tuple[Array, Array, Array, Array], Array]]:
    """Random aligned starts and the final phi; every other one has noise of the shape of the signal."""
    rng, runs = np.random.default_rng(seed), []
    for i in range(cases):
        w, phi = commuting_start(Setting(h=8, d=16), rng)
        signal, own = np.exp(rng.uniform(-1.0, 1.0, (2, 8)))
        args = (w, phi, signal, 1.3 * signal if i % 2 else own)
        runs.append((args, aligned_flow(*args, 1e7)[1]))
    return runs


def check_anisotropic(rule: AlignedRule, scale: Scale, seed: int) -> Evidence:
    """The leading-order flow of aligned modes, integrated until it moves no more, against a rule from its start.

    The statistic is the largest sum of |phi - predicted| over the sum of phi.
    """
    runs = _aligned_runs(scale.pick(6, 16, 300), seed)
    worst = max(float(np.abs(end - rule(*args)).sum() / args[1].sum()) for args, end in runs)
    source = "integrator tolerance 1e-10 per step, times 1e3 for the steps"
    return Evidence(worst, 1e-7, source, "numerical", len(runs), seed)


def _at_trace(phi: Array, total: float) -> Array:
    return phi * total / phi.sum()


def with_gain(eta: Callable[[Array, Array], Array]) -> AlignedRule:
    """The rule with another function of signal and noise, below one, for eta; only its ratios count."""
    return lambda w, phi, s, n: aligned_end(w, phi, eta(s, n), 1.0 - eta(s, n)).phi


# --- How the error of the rule depends on the commutator -------------------------------------------------------------

EPSILONS = 0.05 / 2.0 ** np.arange(5)


@lru_cache(maxsize=4)
def rule_errors(starts: int, seed: int) -> Array:
    """Error of the terminal-state rule against the leading-order flow from F = I + eps G, (starts, len(EPSILONS))."""
    rng, h = np.random.default_rng(seed), 3
    out = np.zeros((starts, len(EPSILONS)))
    for i in range(starts):
        W, G = (A + A.T for A in rng.standard_normal((2, h, h)) / np.sqrt(2 * h))
        W[np.diag_indices(h)] += 0.7  # away from starts in which no direction may live
        for j, eps in enumerate(EPSILONS):
            Phi = np.linalg.cholesky(np.eye(h) + eps * G)
            run = population_flow(W, Phi, Setting(h=h, d=h), [0.0, 1e6], rtol=1e-10, closure="leading")
            phi, rule = np.linalg.eigvalsh(run.Phi[-1] @ run.Phi[-1].T), np.sort(terminal_state_matrix(W, Phi).phi)
            out[i, j] = np.abs(phi - rule).sum() / rule.sum()
    return out


def check_rule_error(exponent: float, scale: Scale, seed: int) -> Evidence:
    """The order in eps at which the mean error of the rule vanishes, over five eps that halve each time."""
    errors = rule_errors(scale.pick(4, 16, 100), seed).mean(axis=0)
    slope = float(np.polyfit(np.log(EPSILONS), np.log(errors), 1)[0])
    source = "half the gap to the neighbouring whole exponents"
    return Evidence(abs(slope - exponent), 0.5, source, "numerical", len(EPSILONS), seed, numbers={"slope": slope})


# --- Archived training: who collapses, and how far the rule holds ----------------------------------------------------

#: The surveys of `featnorm.simsiam.variations`.
SURVEYS = ("robust-variations", "robust-normalisations", "robust-sizes")
#: The least rho t of the causal test; exp(-20) is below the resolution of single precision.
DECAY_TIMES = 20.0
#: First words of the names of the variations, one for each group.
GROUPS = ("W ", "inputs", "start", "head", "normalised")


@lru_cache
def survey(name: str) -> results.Archive:
    """One of `SURVEYS`, read once."""
    return results.load(name)


@dataclass(frozen=True)
class Fate:
    """What is claimed of a run with weight decay rho to which the start left many modes, a = 1 + sigma2.

    complete: from this weight decay on, by normalisation, Phi shrinks as if there were no loss. modes: at most so many
    modes live under target normalisation only.
    """

    complete: Mapping[str, float]
    modes: Callable[[float, float], float] = largest_shared


def fates(a: float = 2.0) -> dict[str, float]:
    """The weight decay from which on each normalisation ends in complete collapse; infinite if there is none."""
    target = float(np.sqrt(2.0 / (np.pi * a)))
    return dict.fromkeys(("both", "online", "batch"), np.inf) | {"target": target, "neither": 1.0 / (4.0 * a)}


def check_collapse(claim: Fate, scale: Scale, seed: int) -> Evidence:
    """Archived SGD at matched weight decay and time: which runs collapse completely, and how many modes live on.

    A run counts as collapsed where |Phi| over its start is below 1.2e-7, what single precision resolves; weight decay
    alone would take all of these runs below that. The statistic is the number of runs that end otherwise than claimed:
    complete collapse, or more living modes (a tenth of the largest) than the claim allows under target only.
    """
    from featnorm.simsiam.variations import LR, NORMALISATIONS, STEPS, SWEEP

    arrays = survey("robust-normalisations").arrays
    wrong = 0
    for i, kind in enumerate(NORMALISATIONS):
        for j, rho in enumerate(SWEEP):
            if rho * LR * STEPS < DECAY_TIMES:  # fewer decay times do not tell
                continue
            collapsed = arrays["size"][i, j] < np.finfo(np.float32).eps
            wrong += int(np.sum(collapsed != (rho >= claim.complete[kind])))
            if kind == "target":
                phi = arrays["phi"][i, j]
                alive = np.sum(phi > 0.1 * phi.max(axis=1, keepdims=True), axis=1)
                wrong += int(np.sum(alive > claim.modes(rho, 2.0)))
    source = "a count: every run ends as claimed"
    return Evidence(wrong, 0, source, "archived", arrays["size"].size, 0)


@dataclass(frozen=True)
class Lead:
    """A rule by its name in the survey, the weight decay (0: none, 1: the larger), and a factor of the rule's offsets.

    At the factor 0 the rule says: equal eigenvalues for the modes that it keeps.
    """

    rule: str = "rule"
    decay: int = 0
    offset: float = 1.0


#: Other factors of the offsets, which the data must tell from one.
OFFSETS = (0.0, 0.5, 1.0, 1.5)


def with_offset(phi: Array, w_bar: Array, factor: float) -> Array:
    """The rule's spectra (starts, h) with its offsets phi_j - w_bar^2 times a factor, at the same trace and survivors.

    >>> with_offset(np.array([[0.0, 1.0, 3.0]]), np.array([1.0]), 0.5).tolist()
    [[0.0, 1.5, 2.5]]
    """
    alive = phi > EPS * phi.max(axis=-1, keepdims=True)
    offset = np.where(alive, factor * (phi - w_bar[..., None] ** 2), 0.0)
    level = (phi.sum(axis=-1) - offset.sum(axis=-1)) / alive.sum(axis=-1)
    return np.where(alive, np.maximum(level[..., None] + offset, 0.0), 0.0)


def rule_leads(lead: Lead) -> dict[str, Array]:
    """By how much a rule is nearer to the final spectrum of F than the nearer null rule: variation to (starts,).

    The null rules are the spectrum of the start and equal eigenvalues.
    """
    from featnorm.simsiam.variations import VARIATIONS, spectrum_error

    arrays = survey("robust-variations").arrays
    out = {}
    for i, name in enumerate(VARIATIONS):
        phi, start = arrays["phi"][i, lead.decay], arrays["phi0"][i, lead.decay]
        equal = np.ones_like(phi)
        rule = with_offset(arrays["rule"][i, lead.decay], arrays["w_rule"][i, lead.decay], lead.offset)
        mine = {"rule": rule, "phi0": start, "equal": equal}[lead.rule]
        nulls = np.minimum(spectrum_error(phi, start), spectrum_error(phi, equal))
        out[name] = nulls - spectrum_error(phi, mine)
    return out


def check_robust_spectrum(lead: Lead, scale: Scale, seed: int) -> Evidence:
    """Is the rule nearer than both null rules in each group of variations? Student's test over the starts.

    And, over all variations together, nearer than the same rule with each other factor of `OFFSETS`? The statistic is
    minus the smallest mean lead over its standard error; a start counts once a group, since it is the same for all
    variations.
    """
    leads = rule_leads(lead)
    means = [np.mean([value for name, value in leads.items() if name.startswith(group)], axis=0) for group in GROUPS]
    everywhere = np.mean(list(leads.values()), axis=0)
    for factor in OFFSETS:
        if factor != lead.offset:
            means.append(everywhere - np.mean(list(rule_leads(replace(lead, offset=factor)).values()), axis=0))
    starts = len(everywhere)
    errors = [mean.std(ddof=1) / np.sqrt(starts) for mean in means]
    scores = [mean.mean() / error if error > 0 else 0.0 for mean, error in zip(means, errors)]
    threshold = t_threshold(len(scores), starts)
    source = "Student quantile over five groups of variations and three other offsets, false alarm 5e-7"
    return Evidence(-float(min(scores)), -threshold, source, "archived", starts, 0)


@dataclass(frozen=True)
class Row:
    """One variation of the archived survey: mean over the starts, and standard error where there are two numbers.

    error, flow, start, equal: distance of the final spectrum of F without weight decay from the rule, the leading-order
    flow of the paper's model, the spectrum of the start, and equal eigenvalues; nan where the flow has no start.
    decayed: of the rule with weight decay. level: relative error of the rule's common eigenvalue of W on the range of
    F, in units of |Phi|; eq7: of the stable point of Eq. 7 at the final norms, with weight decay, nan where it has
    none; both nan where the head is not linear. rank: effective rank over h, without and with weight decay; size: with
    it; spread: the smallest of all runs.
    """

    name: str
    error: tuple[float, float]
    flow: float
    start: tuple[float, float]
    equal: tuple[float, float]
    decayed: float
    level: float
    eq7: float
    rank: tuple[float, float]
    size: float
    spread: float


def _mean(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _stable_point(N: Array, setting: Setting) -> float:
    """The stable positive equilibrium of Eq. 7 at |Phi|, |W Phi| and tr(Phi^T W Phi) as measured, or nan."""
    if not np.isfinite(N).all() or N.min() < 1e-30:
        return np.nan
    found = equilibria(Norms(N[0], N[1], float(np.clip(N[2] / (N[0] * N[1]), -1.0, 1.0))), setting)
    return next((e.w for e in found if e.name == "w_up"), np.nan)


def table_rows() -> list[Row]:
    """The table of the chapter, from the archived survey."""
    from featnorm.simsiam.variations import DECAYS, SURVEY, VARIATIONS, spectrum_error

    a, rows = survey("robust-variations").arrays, []
    for i, name in enumerate(VARIATIONS):
        phi = a["phi"][i]
        rule, flow, start = (spectrum_error(phi, a[guess][i]) for guess in ("rule", "flow", "phi0"))
        equal = spectrum_error(phi, np.ones_like(phi))
        size, output, overlap = np.moveaxis(a["N"][i], -1, 0)
        with np.errstate(all="ignore"):
            w_bar = output**2 / overlap
            level = a["w_rule"][i, 0] / np.sqrt(a["phi0"][i, 0].sum(axis=-1)) * size[0] / w_bar[0] - 1.0
        stable = [_stable_point(N, SURVEY.with_(rho=DECAYS[1])) for N in a["N"][i, 1]]
        eq7 = np.array(stable) / w_bar[1] - 1.0
        rank = phi.sum(axis=-1) ** 2 / np.sum(phi**2, axis=-1) / SURVEY.h
        rows.append(
            Row(
                name, _mean(rule[0]), float(flow[0].mean()), _mean(start[0]), _mean(equal[0]), float(rule[1].mean()),
                float(np.abs(level).mean()), float(np.abs(eq7).mean()), (float(rank[0].mean()), float(rank[1].mean())),
                float(a["size"][i, 1].mean()), float(a["spread"][i].min()),
            )
        )  # fmt: skip
    return rows


CHECKS: dict[str, Check] = {
    "beyond-which-collapse": Check(
        check_collapse,
        claimed=Fate(fates()),
        wrong={
            "target normalisation prevents collapse too": Fate(fates() | {"target": np.inf}),
            "target only collapses where the L2 loss does": Fate(fates() | {"target": 1 / 8}),
            "the threshold of the L2 loss is 1 / (2 a)": Fate(fates() | {"neither": 1 / 4}),
            "the threshold of the L2 loss is 1 / (8 a)": Fate(fates() | {"neither": 1 / 16}),
            "online only is not enough": Fate(fates() | {"online": 1 / 8}),
            "batch norm is not enough": Fate(fates() | {"batch": 1 / 8}),
            "half as many modes under target only": Fate(fates(), modes=lambda rho, a: largest_shared(rho, a) / 2),
            "modes stay equal up to twice the weight decay": Fate(
                fates(), modes=lambda rho, a: largest_shared(2 * rho, a)
            ),
        },
    ),
    "beyond-robust-spectrum": Check(
        check_robust_spectrum,
        claimed=Lead(),
        wrong={
            "the spectrum of the start": Lead("phi0"),
            "equal eigenvalues": Lead("equal"),
            "with weight decay too": Lead(decay=1),
            "half of each offset": Lead(offset=0.5),
            "each offset and a half": Lead(offset=1.5),
            "no offset: the survivors are equal": Lead(offset=0.0),
        },
    ),
    "beyond-online-normalisation-is-what-matters": Check(
        check_online_normalisation,
        claimed=Laws(),
        wrong={
            "target normalisation keeps the norm law": Laws(power=Laws().power | {"target": 2.0}),
            "no normalisation keeps the norm law": Laws(power=Laws().power | {"neither": 2.0}),
            "online only runs by SimSiam's clock": Laws(power=Laws().power | {"online": 2.0}),
            "both run by the clock of online only": Laws(power=Laws().power | {"both": 1.0}),
            "batch norm runs by exp(3 rho t)": Laws(power=Laws().power | {"batch": 3.0}),
            "online normalisation needs the target's for the norm law": Laws(power=Laws().power | {"online": None}),
            "batch norm fixes W as a whole only": Laws(by_row=()),
            "each row of W keeps the law without batch norm": Laws(by_row=("batch", "both")),
            "the balance law needs normalisation": Laws(unbalanced=("neither",)),
        },
    ),
    "beyond-target-only": Check(
        check_target_only,
        claimed=TargetOnly(),
        wrong={
            "m_k = 1 / sqrt(k)": TargetOnly(growth=lambda k, a, w: (k * a) ** -0.5 - a * w**2),
            "parting without the factor (k + 1) / (k + 2)": TargetOnly(
                parting=lambda k, a, w: 2 * mean_root(k) / np.sqrt(a) - 3 * a * w**2
            ),
            "parting with k / (k + 1)": TargetOnly(
                parting=lambda k, a, w: 2 * mean_root(k) / np.sqrt(a) * k / (k + 1) - 3 * a * w**2
            ),
            "parting with half the pull": TargetOnly(
                parting=lambda k, a, w: mean_root(k) / np.sqrt(a) * (k + 1) / (k + 2) - 3 * a * w**2
            ),
            "a pull of m_k / a": TargetOnly(growth=lambda k, a, w: mean_root(k) / a - a * w**2),
            "a brake of w^2": TargetOnly(growth=lambda k, a, w: mean_root(k) / np.sqrt(a) - w**2),
        },
    ),
    "beyond-any-head": Check(
        check_any_head,
        claimed=HeadLaws(),
        wrong={
            "the whole matrix of a diagonal head": HeadLaws(diagonal=(("relu", 1),)),
            "the whole matrix between the layers of a ReLU head": HeadLaws(diagonal=(("diagonal", 0),)),
            "A A^T for A^T A in the second layer": HeadLaws(transposed=True),
            "target normalisation only": HeadLaws(normalisation="target"),
            "no normalisation": HeadLaws(normalisation="neither"),
            "W kept symmetric": HeadLaws(kept=True),
        },
    ),
    "beyond-anisotropic": Check(
        check_anisotropic,
        claimed=lambda *args: aligned_end(*args).phi,
        wrong={
            "the paper's rule, as if inputs were isotropic": lambda w, phi, s, n: terminal_state(w, phi).phi,
            "the paper's rule for the whitened Phi": lambda w, phi, s, n: _at_trace(
                terminal_state(w, s * phi).phi / s, phi.sum()
            ),
            "eta^(1/2) for eta": with_gain(lambda s, n: (s / (s + n)) ** 0.5),
            "eta^2 for eta": with_gain(lambda s, n: (s / (s + n)) ** 2),
            "the signal alone for eta": with_gain(lambda s, n: s / (2 * s.max())),
        },
    ),
    "beyond-rule-error": Check(
        check_rule_error,
        claimed=2.0,
        wrong={"first order": 1.0, "third order": 3.0},
    ),
}
