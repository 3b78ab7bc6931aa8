"""Every chapter under papermill at smoke scale, as a reader runs it: ``papermill book/x.md out.ipynb -p rho 0.02``.

A chapter with code that is not in `CASES` fails a test; so does one whose check accepts what the chapter did not do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from book_tools import CHAPTERS, ROOT, Scraps, code_cells, is_parameters, scraps, source

from featnorm.claims import CHECKS, REGISTRY
from featnorm.claims.what_is_learned import correlation, pairs
from featnorm.commutator import generator, slowest_rate
from featnorm.concentration import feature_norm_law, relative_sd, spectral_edges
from featnorm.eigen_flow import mode_norms, terminal_state
from featnorm.equilibria import critical_rho, regime
from featnorm.matrix_flow import unclock
from featnorm.passage import passage_bounds
from featnorm.setting import Norms, Setting, commutator, effective_rank, initialize, norms
from featnorm.simsiam.noise import gradient_noise, predicted_load
from featnorm.simsiam.phase import augmentation_for, flow_end
from featnorm.surveys import commuting_start


@dataclass(frozen=True)
class Case:
    """How a chapter is run: not with its defaults, and with one value it must refuse.

    ``given`` are the parameters, at least one other than its default; ``refused`` a name and a value out of its range;
    ``check(scraps, given)`` asserts that what the chapter handed over belongs to these parameters.
    """

    given: dict[str, Any]
    refused: tuple[str, Any]
    check: Callable[[Scraps, dict[str, Any]], None]


def claims_of(chapter: str) -> set[str]:
    """Ids of the claims that a chapter has to check."""
    return {id for id in CHECKS if REGISTRY[id].chapter == chapter}


def check_intro(found: Scraps, given: dict[str, Any]) -> None:
    """The threshold is that of sigma2; three decays end at one agreement, by the law of the clock."""
    assert found.glued["threshold"] == pytest.approx(1 / (4 * (1 + given["sigma2"])))
    assert found.glued["rho"] == given["rho"]
    assert found.glued["cosine spread"] < 1e-6  # integrator tolerance 1e-8, times 100 for the steps
    assert -1 <= found.glued["l2 strong"] < found.glued["cosine strong"] + 1 <= 2
    assert found.glued["l2 strong size"] < found.glued["l2 weak size"]


def check_model(found: Scraps, given: dict[str, Any]) -> None:
    """The start is the one of these sizes and this seed."""
    setting = Setting(given["h"], given["d"], given["sigma2"], given["rho"])
    W, Phi = initialize(setting, np.random.default_rng(given["seed"]))
    assert found.glued["N_x start"] == pytest.approx(norms(W, Phi).N_x, rel=1e-12)
    assert found.glued["rank start"] == pytest.approx(effective_rank(Phi @ Phi.T), rel=1e-12)
    assert found.claims["eq-1"]["evidence"]["seed"] == given["seed"]


def check_gradient_flow(found: Scraps, given: dict[str, Any]) -> None:
    """Gradient descent approaches the right flow at first order, and not the wrong one."""
    assert 0.5 < found.glued["order"] < 1.5
    assert 0 < found.glued["nearest"] < 0.5 * found.glued["apart"]
    assert found.claims["lemma-1"]["evidence"]["seed"] == given["seed"]


def check_eigenvalues(found: Scraps, given: dict[str, Any]) -> None:
    """The seed reached the check."""
    assert found.claims["eq-5"]["evidence"]["seed"] == given["seed"]


def check_exact_moments(found: Scraps, given: dict[str, Any]) -> None:
    """Few nodes for ten digits, and evidence of this seed."""
    assert 20 < found.glued["nodes at ten digits"] < 200
    assert found.claims["beyond-exact-moments"]["evidence"]["seed"] == given["seed"]


def check_lemma_4(found: Scraps, given: dict[str, Any]) -> None:
    """Which closure is ahead in which kind of state, and in which phase of this flow."""
    assert found.glued["aligned second_order"] < found.glued["aligned leading"] < found.glued["aligned paper"]
    assert found.glued["initialisation paper"] < found.glued["initialisation leading"]
    assert found.glued["apart paper"] < found.glued["apart leading"]
    assert 0 <= found.glued["switch s"] < given["s_end"]
    assert found.glued["switch N_x"] < found.glued["end N_x"] <= 1


def check_order(found: Scraps, given: dict[str, Any]) -> None:
    """The exact flow keeps the norm law, Lemma 4's ends within the run; theta is that of this start."""
    assert found.glued["exact drift"] < 1e-5
    assert 0 < found.glued["paper end"] <= float(unclock(given["s_end"], given["rho"]))
    setting = Setting(given["h"], 2 * given["h"], 1.0, given["rho"])
    w, phi = commuting_start(setting, np.random.default_rng(given["seed"]))
    theta = (w @ phi) / (w**2 @ phi) ** 0.75
    assert found.glued["theta start"] == pytest.approx(theta, rel=1e-9)
    assert 0 < found.glued["ratio end"] < 1


def check_survivors(found: Scraps, given: dict[str, Any]) -> None:
    """The prediction is the one for the start of these sizes and this seed."""
    setting = Setting(given["h"], 2 * given["h"], 1.0, given["rho"])
    w, phi = commuting_start(setting, np.random.default_rng(given["seed"]))
    end = terminal_state(w, phi)
    assert found.glued["survivors"] == int(np.sum(end.phi > 0))
    assert found.glued["w_bar"] == pytest.approx(end.w_bar, rel=1e-12)
    assert 0 <= found.glued["distance"] <= 2
    for id in ("beyond-survivors", "beyond-terminal-matrix"):
        assert found.claims[id]["evidence"]["kind"] == "archived"
    assert found.glued["rule wide"] < found.glued["spectrum wide"]


def check_linear_experiment(found: Scraps, given: dict[str, Any]) -> None:
    """The norm law at the end of a run of this length, and regimes that follow from the glued ratio."""
    # 3 steps an epoch at smoke scale; momentum 0.9 multiplies time by ten; the annealed rates have mean (E + 1) / 2E.
    base, E = given["lr"] * given["batch"] / 256, given["epochs"]
    assert found.glued["norm law"] == pytest.approx(np.exp(-given["rho"] * 10 * base * 3 * (E + 1) / 2), rel=1e-6)
    assert found.glued["first regime"] == ("Acute" if found.glued["rho_c ratio"] > 1 else "Collapse")
    assert found.glued["N_x first"] < found.glued["N_x last"] <= 1
    assert 1 <= found.glued["survivors"] <= given["h"]


def check_relatives(found: Scraps, given: dict[str, Any]) -> None:
    """The thresholds are those of sigma2; the clock holds where the size is not seen, and there only."""
    assert found.glued["critical BYOL, L2"] == pytest.approx(1 / (4 * (1 + given["sigma2"])))
    errors = {name.removeprefix("clock "): value for name, value in found.glued.items() if name.startswith("clock ")}
    holds = {name for name, error in errors.items() if error < 1e-5}  # integrator tolerance 1e-7, times 100
    assert holds == {"SimSiam, cosine", "DirectPred, cosine", "IsoLoss, cosine", "Barlow Twins"}
    assert found.glued["norm IsoLoss, cosine"] > 1e-4 > found.glued["norm BYOL, cosine"]
    assert found.glued["lag 0.5"] > found.glued["lag 2"] > found.glued["lag 10"]


# --- Concentration


def check_subweibull(found: Scraps, given: dict[str, Any]) -> None:
    """Two indicators of this exponent, whose quotient has a closed form, and the bounds above it."""
    beta = given["beta"]
    two = (np.log(3) / np.log(2)) ** (1 / beta) / 2
    assert found.glued["two indicators"] == pytest.approx(two, rel=1e-12)
    assert two <= found.glued["best lower"] <= found.glued["any n"] <= found.glued["by moments"]
    assert found.glued["iterated"] == pytest.approx(1000 ** (1 / beta - 1))
    assert found.glued["gaussian 2"] == pytest.approx(np.sqrt(8 / 3), rel=1e-11)
    assert found.glued["coverage fooled"] < 0.5 < found.glued["coverage worst"]
    assert 0 < found.glued["closest"] < 1
    assert found.claims["proposition-4"]["evidence"]["seed"] == given["seed"]


def check_random_matrices(found: Scraps, given: dict[str, Any]) -> None:
    """The start is the one of these sizes and this seed; common entries outgrow the rate like the root of n."""
    W, _ = initialize(Setting(given["h"], given["d"]), np.random.default_rng(given["seed"]))
    assert found.glued["W of the start"] == pytest.approx(np.linalg.norm(W, 2), rel=1e-12)
    assert found.glued["edge of Psi"] == spectral_edges(given["h"] / given["d"])["Psi"]
    assert found.glued["growth common"] == pytest.approx(found.glued["growth of n"] ** 0.5, rel=0.05)
    assert found.glued["growth independent"] == pytest.approx(1.0, abs=0.15)


def check_hanson_wright(found: Scraps, given: dict[str, Any]) -> None:
    """The spreads and the far tail are those of the start of these sizes, noise and seed."""
    setting = Setting(given["h"], given["d"], given["sigma2"])
    _, Phi = initialize(setting, np.random.default_rng(given["seed"]))
    law = feature_norm_law(Phi, setting)
    assert found.glued["Phi spread"] == pytest.approx(np.sqrt(2 / effective_rank(Phi @ Phi.T)), rel=1e-9)
    assert found.glued["Psi spread"] == pytest.approx(np.sqrt(2 / found.glued["rank here"]), rel=1e-9)
    assert found.glued["far tail"] == pytest.approx(law.tail(3 * law.mean), rel=1e-9)
    assert found.glued["spread here"] == pytest.approx(relative_sd(setting)[1])


def check_gronwall(found: Scraps, given: dict[str, Any]) -> None:
    """The norm law holds along a flow of these parameters, and the law stands between the flow and the lemma."""
    assert 0 < found.glued["norm drift"] < 1e-4  # integrator tolerance 1e-6 a step, times 100
    assert found.glued["F end"] <= found.glued["F law"] < found.glued["F lemma"]
    Phi = initialize(Setting(given["h"], 2 * given["h"]), np.random.default_rng(given["seed"]))[1]
    decay = np.exp(-2 * given["rho"] * given["t_end"])
    assert found.glued["F law"] == pytest.approx(decay * np.sum(Phi**2), rel=1e-12)
    assert found.claims["lemma-10"]["outcome"] == "holds loosely"
    assert found.glued["eleven last"] > 1 > found.glued["H last"]


def check_where_concentration_stops(found: Scraps, given: dict[str, Any]) -> None:
    """The rank at the start is the one of these sizes; the noisy run loses more of it than the quiet one."""
    Phi = initialize(Setting(given["h"], 2 * given["h"]), np.random.default_rng(given["seed"]))[1]
    assert found.glued["flow first"] == pytest.approx(effective_rank(Phi @ Phi.T), rel=1e-12)
    assert found.glued["noisy last"] < found.glued["quiet last"] <= given["h"]
    assert found.glued["window end"] == pytest.approx(np.sqrt(given["h"]))
    assert found.glued["mode time"] == pytest.approx((1 + given["sigma2"]) * given["h"])


# --- From matrices to eigenvalues


def check_commutator(found: Scraps, given: dict[str, Any]) -> None:
    """The start is the one of these sizes and this seed; with W kept symmetric the commutator falls, otherwise not."""
    setting = Setting(given["h"], given["d"], given["sigma2"])
    W, Phi = initialize(setting, np.random.default_rng(given["seed"]))
    assert found.glued["raw start"] == pytest.approx(commutator(Phi @ Phi.T, W), rel=1e-9)
    assert found.glued["rate start"] == pytest.approx(slowest_rate(generator(W, Phi, setting)), rel=1e-9)
    assert found.glued["kept end"] < 0.1 * found.glued["raw end"]
    assert max(found.glued["norm drift"], found.glued["balance drift"]) < 1e-3
    assert 0 < found.glued["skew end"] < 1


def check_clock(found: Scraps, given: dict[str, Any]) -> None:
    """One curve by the clock, laws kept to the integrator's error, and the size that the norm law says."""
    assert 0 < found.glued["spread"] < 1e-5
    assert 0 < found.glued["drift"] < 1e-5
    left = np.exp(-given["rho"] * float(unclock(given["s_end"], given["rho"])))
    assert found.glued["left of Phi"] == pytest.approx(left, rel=1e-5)
    assert found.glued["l2 drift"] > 1e3 * found.glued["sample drift"]


# --- Equilibria at frozen norms


def check_parabola(found: Scraps, given: dict[str, Any]) -> None:
    """The offsets are those of this start and keep their share; the distances fall by the clock of this decay."""
    w, phi = commuting_start(Setting(given["h"], 2 * given["h"]), np.random.default_rng(given["seed"]))
    share = np.sum(np.abs(phi - w**2)) / phi.sum()
    assert found.glued["offset start"] == pytest.approx(share, rel=1e-12)
    assert found.glued["offset end"] == pytest.approx(share, rel=1e-5)  # integrator tolerance
    s_end = 10 * (1 + given["sigma2"]) * given["h"]
    assert found.glued["fell"] == pytest.approx(1 / (1 + 2 * given["rho"] * s_end), rel=1e-9)
    assert found.glued["N_x weak decay"] > found.glued["N_x strong decay"]


def check_moving_norms(found: Scraps, given: dict[str, Any]) -> None:
    """The weight decay is so many times the critical one; the passage lies between the bounds of this start."""
    free = Setting(given["h"], 2 * given["h"], given["sigma2"])
    w, phi = commuting_start(free, np.random.default_rng(given["seed"]))
    rho = given["strength"] * critical_rho(mode_norms(w, phi), free)
    assert found.glued["rho"] == pytest.approx(rho, rel=1e-12)
    low, high = passage_bounds(w, phi, free.with_(rho=rho))
    assert (found.glued["low"], found.glued["high"]) == pytest.approx((low, high), rel=1e-12)
    assert low < found.glued["passed"] < high
    assert 0 < found.glued["farthest"] <= found.glued["nearest"] <= 1 + 1e-6  # integrator tolerance
    assert found.glued["f ratio"] >= 1 and 0 < found.glued["alive"] <= given["h"]


def check_explore(found: Scraps, given: dict[str, Any]) -> None:
    """The figure starts in the regime of these norms; shrinking passes the border where rho_c has grown to rho."""
    N, a = Norms(given["N_Phi"], given["N_Psi"], given["N_x"]), 1 + given["sigma2"]
    setting = Setting(1, 1, given["sigma2"], given["rho"])
    assert found.glued["rho_c"] == pytest.approx(critical_rho(N, setting), rel=1e-12)
    assert found.glued["regime"] == regime(N, setting)
    assert found.glued["threshold"] == pytest.approx(1 / (4 * a), rel=1e-12)
    c = found.glued["passes at"]
    assert critical_rho(Norms(c, c * c, 0.0), setting) == pytest.approx(1.0 / a, rel=1e-9)
    assert found.glued["rho_c learned"] < found.glued["rho_c unlearned"]


def positive_roots(N: Norms, a: float, rho: float) -> int:
    """The number of positive equilibria of Eq. 7 by NumPy, away from double roots."""
    scale = N.N_Phi * N.N_Psi
    roots = np.roots([-2 / (scale * N.N_Psi**2), 0, 0, -N.N_x / N.N_Psi**2, 1 / scale, -rho * a])
    return int(np.sum((roots.real > 0) & (np.abs(roots.imag) < 1e-9)))


def check_cosine_dynamics(found: Scraps, given: dict[str, Any]) -> None:
    """The two numbers of these parameters, and the regime that NumPy's roots give."""
    N = Norms(given["N_Phi"], 1.0, given["N_x"])
    assert found.glued["theta"] == pytest.approx(N.N_x * N.N_Phi)
    assert found.glued["r"] == pytest.approx(2.0 * given["rho"] * N.N_Phi)
    assert found.glued["regime"] == {0: "Collapse", 2: "Acute"}[positive_roots(N, 2.0, given["rho"])]
    assert found.glued["different"] == 0 and found.glued["lowest"] < 0


def check_regimes(found: Scraps, given: dict[str, Any]) -> None:
    """The boundary of the regimes, against the roots that NumPy finds beside it; starts that end as predicted."""
    N, rho_c = Norms(given["N_Phi"], 1.0, given["N_x"]), found.glued["rho_c"]
    assert (positive_roots(N, 2.0, 0.999 * rho_c), positive_roots(N, 2.0, 1.001 * rho_c)) == (2, 0)
    assert found.glued["regime"] == ("Acute" if given["rho"] < rho_c else "Collapse")
    assert found.glued["fold gap"] < 1e-12 and found.glued["scale gap"] < 1e-12
    assert found.glued["ends at"] == pytest.approx(found.glued["w_up"], rel=1e-3)
    assert found.glued["extinct"] == 2 and found.glued["end gap"] < 1e-3
    assert found.glued["exact 0.0"] < found.glued["counted 0.0"] < found.glued["frozen 0.0"]


def check_l2_dynamics(found: Scraps, given: dict[str, Any]) -> None:
    """The threshold of this sigma2; with the L2 loss next to nothing is left, with the cosine loss much."""
    assert found.glued["threshold"] == pytest.approx(1 / (4 * (1 + given["sigma2"])))
    assert found.glued["l2 left"] < 1e-3 < 0.03 < found.glued["cosine left"]
    assert found.glued["below top"] == pytest.approx(found.glued["below w_up"], rel=0.3)


# --- Training


def check_how_robust(found: Scraps, given: dict[str, Any]) -> None:
    """The thresholds of the survey's noise; the live runs have these parameters, and the target's loses the most."""
    assert found.glued["threshold neither"] == pytest.approx(1 / 8)
    assert found.glued["threshold target"] == pytest.approx(np.sqrt(1 / np.pi))
    assert found.glued["law"] == pytest.approx(np.exp(-given["rho"] * 0.1 * 100))  # 100 steps of 0.1
    assert found.glued["live neither"] < found.glued["live both"]
    assert found.glued["modes target"] <= found.glued["allowed"] < found.glued["modes online"]
    assert found.glued["rule paper"] < found.glued["start paper"] < found.glued["equal paper"]
    for id in ("beyond-which-collapse", "beyond-robust-spectrum"):
        assert found.claims[id]["evidence"]["kind"] == "archived"


def check_discrete_steps(found: Scraps, given: dict[str, Any]) -> None:
    """The noise is that of these sizes, and Eq. 7 loses its equilibrium where R reaches about a quarter."""
    noise = gradient_noise(given["k"], given["d"], 1.0, given["batch"])
    assert found.glued["parabola"] == pytest.approx(np.sqrt(noise.Phi / noise.W), rel=1e-12)
    R, _ = predicted_load(given["k"], given["d"], 1.0, given["batch"], found.glued["last"], 1.0)
    assert 0.15 < R <= 0.25
    assert 0.5 < found.glued["strongest"] < found.glued["weak"] < 1
    assert found.claims["beyond-sgd-symmetry"]["evidence"]["seed"] == given["seed"]
    assert found.glued["off Phi"] < found.glued["off W"] < 0.3
    assert found.glued["heavy overlap"] < 0
    assert abs(found.glued["heavy norm"]) < found.glued["heavy power"]
    assert found.glued["R gone"] > 0.25
    assert max(found.glued["map all"], found.glued["map fewer"]) <= 1 < found.glued["map half"]
    assert found.glued["rises from"] < found.glued["rises to"] < 0


def check_how_many_survive(found: Scraps, given: dict[str, Any]) -> None:
    """The flow's end is that of these starts; the law's noise for three survivors gives three."""
    end = flow_end(given["h"], given["d"], 1, given["seed"])
    assert found.glued["flow rank"] == pytest.approx(end.rank, rel=1e-12)
    assert found.glued["flow modes"] == end.modes
    assert 1 <= found.glued["strong end"] < found.glued["weak end"] <= found.glued["modes"] == given["h"]
    assert found.glued["batch exponent"] == pytest.approx(-1, abs=0.25)
    assert found.glued["error X"] < found.glued["error a constant"]
    needed = augmentation_for(found.glued["X three"], 0.01, 512)
    assert found.glued["needed 512 0.01"] == pytest.approx(float(needed))
    for id in ("few-survive", "beyond-noise-variable", "beyond-noise-rank"):
        assert found.claims[id]["evidence"]["kind"] == "archived"


# --- Images


def check_image_relatives(found: Scraps, given: dict[str, Any]) -> None:
    """All start from one net; ranks and spreads are in their ranges; what is said of the archived table is so."""
    for id in ("beyond-image-relatives-linear", "beyond-image-relatives-border"):
        assert found.claims[id]["outcome"] == "holds"
    assert found.glued["chance"] > float(found.glued["level"])
    assert found.glued["above"] < 10
    assert found.glued["phi table"] == pytest.approx(2 / 3)
    assert found.glued["table spread no-stop l2"] > 1 > found.glued["table spread no-stop cosine"]
    for name in ("untrained", "simsiam cosine", "no-stop l2", "vicreg"):
        assert 1 - 1e-9 <= found.glued[f"rank {name}"] <= 32
        assert 0 <= found.glued[f"spread {name}"] <= 1


def check_heavy_decay(found: Scraps, given: dict[str, Any]) -> None:
    """The archive reaches decay times at which something can collapse, and has both baselines."""
    assert (found.glued["contradictions"] == 0) == (found.glued["verdict"] == "holds")
    assert float(found.glued["longest"]) >= 10
    assert 0.1 < float(found.glued["untrained"]) < float(found.glued["pixels"])
    assert 0.1 < float(found.glued["untrained linear"]) < 1


def check_what_is_learned(found: Scraps, given: dict[str, Any]) -> None:
    """Correlations of the runs in the archive; their intervals come from the seed."""
    for group in ("all", "planned", "cosine", "l2", "alive"):
        for probe in ("knn", "linear"):
            wanted = correlation(pairs(group, probe), given["seed"])
            assert found.glued[f"{group} {probe}"] == f"{wanted.value:.2f} ({wanted.low:.2f} to {wanted.high:.2f})"


def check_digits(found: Scraps, given: dict[str, Any]) -> None:
    """Decay times of two annealed epochs of eleven steps; ranks and spreads in their ranges, the baseline for all."""
    rates = 0.05 * 128 / 256 * (1 + 0.5)
    for name in ("light", "heavy", "extreme"):
        assert found.glued[f"decay time {name}"] == pytest.approx(given[name] * 11 * rates / 0.1, rel=1e-9)
        for loss in ("cosine", "l2"):
            assert 1 - 1e-9 <= found.glued[f"rank {loss} {name}"] <= 32
            assert 0 <= found.glued[f"spread {loss} {name}"] <= 1
    assert found.glued["kNN pixels"].startswith("0.953 (")  # no randomness: neighbours among pixels


def check_resnet(found: Scraps, given: dict[str, Any]) -> None:
    """Numbers read from the archive lie in their ranges; the start of Assumption 4 is symmetric."""
    assert found.glued["asymmetry start"] == 0.0
    assert 0.0 < found.glued["kNN untrained"] < 1.0
    for name in ("slow", "fast"):
        assert 1.0 - 1e-9 <= found.glued[f"rank {name}"] <= 64.0
        assert 0.0 < found.glued[f"asymmetry {name}"] < 1.0 and 0.0 < found.glued[f"commutator {name}"] < 1.0
        assert found.glued[f"start {name}"] == ("Collapse" if given["rho"] > 0.2 else "Acute")


CASES: dict[str, Case] = {
    "intro": Case({"rho": 0.5, "sigma2": 0.5, "seed": 3}, ("rho", -1), check_intro),
    "model": Case({"h": 8, "d": 24, "sigma2": 2.0, "rho": 0.01, "seed": 5}, ("sigma2", 0), check_model),
    "gradient_flow": Case({"rho": 0.8, "h": 7, "seed": 2}, ("h", 0), check_gradient_flow),
    "eigenvalues": Case({"seed": 4}, ("seed", -1), check_eigenvalues),
    "clock": Case({"h": 5, "d": 8, "rho": 0.2, "s_end": 20.0, "seed": 2}, ("rho", -1), check_clock),
    # Concentration
    "subweibull": Case({"beta": 0.6, "n": 20, "samples": 2000, "seed": 3}, ("beta", 0), check_subweibull),
    "random_matrices": Case({"h": 20, "d": 30, "seed": 3}, ("d", 0), check_random_matrices),
    "hanson_wright": Case({"h": 24, "d": 60, "sigma2": 0.5, "seed": 2}, ("sigma2", -1), check_hanson_wright),
    "gronwall": Case({"h": 6, "rho": 0.2, "t_end": 10.0, "seed": 3}, ("rho", 0), check_gronwall),
    "where_concentration_stops": Case(
        {"h": 12, "sigma2": 0.5, "rho": 0.08, "seed": 4}, ("batch", 0), check_where_concentration_stops
    ),
    # From matrices to eigenvalues
    "commutator": Case({"h": 5, "d": 10, "sigma2": 0.5, "seed": 2}, ("d", 0), check_commutator),
    "exact_moments": Case({"sigma2": 0.5, "seed": 2}, ("sigma2", 0), check_exact_moments),
    "lemma_4": Case({"h": 32, "s_end": 200.0, "seed": 2}, ("s_end", 0), check_lemma_4),
    "order": Case({"h": 12, "rho": 0.01, "s_end": 400.0, "seed": 2}, ("s_end", 0), check_order),
    # Equilibria at frozen norms
    "parabola": Case({"h": 8, "sigma2": 0.5, "rho": 0.1, "seed": 3}, ("rho", 0.0), check_parabola),
    "moving_norms": Case({"h": 8, "sigma2": 0.5, "strength": 5.0, "seed": 2}, ("strength", 0.5), check_moving_norms),
    "explore": Case({"N_Phi": 2.0, "N_Psi": 3.0, "N_x": 0.4, "rho": 0.03, "sigma2": 0.5}, ("N_x", 1.5), check_explore),
    "cosine_dynamics": Case({"rho": 0.05, "N_Phi": 2.0, "N_x": 0.5, "seed": 4}, ("N_x", 1.5), check_cosine_dynamics),
    "regimes": Case({"rho": 0.05, "N_Phi": 2.0, "N_x": 0.5, "seed": 4}, ("N_Psi", 0), check_regimes),
    "l2_dynamics": Case({"sigma2": 0.5, "N_Phi": 2.0, "seed": 4}, ("sigma2", -1), check_l2_dynamics),
    # Where the flow goes
    "survivors": Case({"h": 10, "rho": 0.05, "seed": 3}, ("h", 2.5), check_survivors),
    "relatives": Case({"h": 5, "sigma2": 0.5, "weak": 0.1, "strong": 0.4, "seed": 3}, ("beta", 0), check_relatives),
    "linear_experiment": Case(
        {"rho": 0.05, "h": 12, "d": 40, "lr": 0.05, "batch": 128, "epochs": 30, "seed": 1},
        ("rho", -0.1),
        check_linear_experiment,
    ),
    # --- Training
    "how_robust": Case({"h": 6, "d": 20, "sigma2": 0.5, "rho": 0.4, "seed": 2}, ("sigma2", 0), check_how_robust),
    "discrete_steps": Case(
        {"k": 5, "d": 20, "batch": 16, "seed": 2},
        ("momentum", 1.0),
        check_discrete_steps,
    ),
    "how_many_survive": Case({"h": 8, "d": 24, "sigma2": 0.5, "seed": 3}, ("decay", 1.0), check_how_many_survive),
    # --- Images
    "image_relatives": Case({"epochs": 3, "seed": 1}, ("epochs", 0), check_image_relatives),
    "resnet": Case({"rho": 0.02}, ("rho", -0.1), check_resnet),
    "heavy_decay": Case({"seed": 1}, ("seed", -1), check_heavy_decay),
    "what_is_learned": Case({"seed": 1}, ("seed", -1), check_what_is_learned),
    "digits": Case({"light": 0.001, "heavy": 0.1, "extreme": 0.5, "seed": 1}, ("heavy", -0.1), check_digits),
}


def run(name: str, out: Path, parameters: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """papermill as a command, from the root of the repository, at smoke scale."""
    papermill = str(Path(sys.executable).with_name("papermill"))
    options = [word for key, value in parameters.items() for word in ("-p", key, str(value))]
    command = [papermill, f"book/{name}.md", str(out), "--no-progress-bar", *options]
    env = os.environ | {"FEATNORM_SCALE": "smoke"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600)


def misspelt(name: str) -> str:
    """A parameter that the chapter does not have, close to one that it has."""
    return f"{next(iter(CASES[name].given))}_"


#: The ways in which a chapter is run: name of the way, and the parameters it is given.
WAYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "given": lambda name: CASES[name].given,
    "misspelt": lambda name: {misspelt(name): 1},
    "refused": lambda name: dict([CASES[name].refused]),
}


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory) -> Iterator[Callable[[str, str], tuple[subprocess.CompletedProcess[str], Path]]]:
    """``runs(way, chapter)`` waits for a run and returns it with the path of its output.

    The runs of all tests that were selected start together, one a core: a test by itself would leave cores idle.
    """
    wanted = [item.callspec.params for item in request.session.items if "runs" in getattr(item, "fixturenames", ())]
    folder = tmp_path_factory.mktemp("papermill")
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    started = {}
    for way, name in dict.fromkeys((params["way"], params["name"]) for params in wanted):
        out = folder / f"{name}-{way}.ipynb"
        started[way, name] = pool.submit(run, name, out, WAYS[way](name)), out
    yield lambda way, name: (started[way, name][0].result(), started[way, name][1])
    pool.shutdown(cancel_futures=True)


def defaults(name: str) -> dict[str, Any]:
    """What a chapter's parameters cell sets."""
    values: dict[str, Any] = {}
    exec(code_cells(name)[0].source, values)  # plain assignments of this repository
    return {k: v for k, v in values.items() if not k.startswith("_")}


def test_every_chapter_with_code_is_in_the_table_and_nothing_else():
    assert set(CASES) == set(CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_source(name):
    """What goes wrong without a word: no header, so no execution; parameters that are not first, so not validated."""
    header = yaml.safe_load(source(name).split("---")[1]) if source(name).startswith("---") else {}
    assert header.get("jupytext", {}).get("text_representation", {}).get("format_name") == "myst", "jupytext header"
    cells = code_cells(name)
    assert [is_parameters(c) for c in cells] == [True] + [False] * (len(cells) - 1), (
        "the first code cell, and only it, is tagged parameters"
    )
    assert "checked(" in cells[1].source, "the second code cell validates the parameters"


@pytest.mark.parametrize("way", ["given"])
@pytest.mark.parametrize("name", CASES)
def test_chapter_runs_with_other_parameters(name, way, runs):
    case = CASES[name]
    assert any(defaults(name)[k] != v for k, v in case.given.items()), "no parameter differs from its default"
    done, out = runs(way, name)
    assert done.returncode == 0, done.stderr[-4000:]
    found = scraps(out)
    assert found.claims.keys() == claims_of(name)
    assert [i for i, c in found.claims.items() if c["outcome"] == "undecided" and not c["evidence"]["undecided"]] == []
    assert {c["scale"] for c in found.claims.values()} <= {"smoke"}
    case.check(found, case.given)


@pytest.mark.parametrize("way", ["misspelt"])
@pytest.mark.parametrize("name", CASES)
def test_chapter_refuses_a_misspelt_parameter(name, way, runs):
    done, _ = runs(way, name)
    assert done.returncode != 0
    assert f"unknown parameter {misspelt(name)!r} (did you mean" in done.stderr
    for valid, value in defaults(name).items():
        assert f"{valid} = {value!r}" in done.stderr


@pytest.mark.parametrize("way", ["refused"])
@pytest.mark.parametrize("name", CASES)
def test_chapter_refuses_a_value_out_of_range(name, way, runs):
    done, _ = runs(way, name)
    assert done.returncode != 0
    assert re.search(rf"{CASES[name].refused[0]} = \S+: must be ", done.stderr)
    for valid in defaults(name):
        assert f"{valid} = " in done.stderr


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("discrete_steps", {"d": 4}, "d = 4: must be at least k = 8"),
        ("discrete_steps", {"d": 10**6, "batch": 1}, "d = 1000000: must be smaller at these sizes"),
        ("how_many_survive", {"h": 20, "d": 4}, "d = 4: must be at least h = 20"),  # not more modes than directions
        ("how_robust", {"rho": 5.0}, "rho = 5.0: must be a number from 0.001 to 1"),  # weights that underflow to zero
        ("how_robust", {"sigma2": 16.0}, "sigma2 = 16.0: must be a number from 0.01 to 2"),  # the L2 run diverges
    ],
)
def test_what_would_fail_late_is_refused_before_anything_is_computed(name, change, words):
    cells, found = code_cells(name), {}
    exec(cells[0].source, found)
    found |= change
    with pytest.raises(ValueError, match=words):
        exec(cells[1].source, found)
