"""The fast engine: equal in value to autograd and `linear.train`, or equal in law, with wrong samplers refused."""

import math
import os
import shutil
import sys
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, ks_2samp, kstest
from torch._dynamo.utils import counters

from featnorm import setting as reference
from featnorm.simsiam import fast
from featnorm.simsiam.fast import step_gradients, train_many
from featnorm.simsiam.linear import LinearConfig, LinearRun, gradients, train

SMALL = LinearConfig(h=4, d=12, batch=6, epochs=2, steps_per_epoch=6, record_every=4, lr=8.0, rho=0.05)
RECORDS = [field.name for field in fields(LinearRun) if field.name != "config"]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.sampled_from(["cosine", "l2"]), st.integers(0, 99))
def test_gradients_by_hand_are_those_of_autograd(h, d, n, loss, seed):
    rng = np.random.default_rng(seed)
    W, Phi, x, x1 = (rng.standard_normal((3, *shape)) for shape in ((h, h), (h, d), (n, d), (n, d)))
    _, *ours = step_gradients(*map(torch.from_numpy, (W, Phi, x, x1)), loss)
    for k in range(3):
        autograd = gradients(W[k], Phi[k], x[k], x1[k], loss, symmetrised=True)
        for mine, theirs in zip(ours, autograd):
            # 1e-15 times the condition of the normalisation, which for random features is rarely above 1e3
            assert np.allclose(mine[k], theirs, rtol=1e-9, atol=1e-11 * np.abs(theirs).max() + 1e-13)


@pytest.mark.parametrize("loss", ["cosine", "l2"])
@pytest.mark.parametrize("dtype, rounding", [("float64", 1e-11), ("float32", 1e-3)])
def test_views_give_the_runs_of_train(loss, dtype, rounding):
    base = replace(SMALL, loss=loss, dtype=dtype, lr=8.0 if loss == "cosine" else 0.5)
    configs = [
        replace(base, seed=seed, rho=0.01 * seed, sigma2=0.5 + seed, momentum=0.3 * seed, lr=base.lr / (1 + seed))
        for seed in range(3)
    ]
    start = reference.initialize(base.setting, np.random.default_rng(9))
    starts = [None, start, None]
    for config, given_start, run in zip(configs, starts, train_many(configs, sampler="views", starts=starts)):
        slow = train(config, start=given_start)
        for name in RECORDS:
            mine, theirs = getattr(run, name), getattr(slow, name)
            assert mine.shape == theirs.shape and mine.dtype == theirs.dtype, name
            assert np.allclose(mine, theirs, rtol=rounding, atol=rounding * np.abs(theirs).max()), name


# --- Equality in law: two samples of runs from one start, at a step size where noise moves everything

RUNS, LEVEL = 1500, 1e-4  # of one test with all its statistics
STRONG = LinearConfig(h=3, d=10, batch=4, epochs=1, steps_per_epoch=8, record_every=8, lr=8.0, rho=0.05, sigma2=0.7)


def statistics(runs):
    """Numbers of the last state, one row a run: sizes, shapes, single entries and cross moments of W and F."""
    W, Phi = (np.array([getattr(run, name) for run in runs]) for name in ("W", "Phi"))
    F = Phi @ Phi.transpose(0, 2, 1)
    last = {name: np.array([getattr(run, name)[-1] for run in runs]) for name in RECORDS[4:-5]}
    h = W.shape[1]
    one = W[:, 0, 0], F[:, 0, 0], W[:, 0, h - 1] * F[:, 0, h - 1], np.trace(W @ F, axis1=1, axis2=2)
    return np.column_stack([*last.values(), *one])


def sample(config, sampler, seed, runs):
    start = reference.initialize(config.setting, np.random.default_rng(5))
    configs = [replace(config, seed=seed + k) for k in range(runs)]
    # Statistics that are constant (N_x = +-1 at h = 1) differ by rounding: they are compared to nine digits.
    return np.round(statistics(train_many(configs, sampler=sampler, starts=[start] * runs)), 9)


@cache
def views(config, runs):
    return sample(config, "views", 10**6, runs)


def smallest_p(config, seed=0, runs=RUNS):
    """The smallest p-value of the Kolmogorov-Smirnov tests of law against views, times their number."""
    pairs = zip(views(config, runs).T, sample(config, "law", seed, runs).T)
    values = [ks_2samp(mine, theirs).pvalue for mine, theirs in pairs]
    return min(values) * len(values)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"loss": "l2", "lr": 0.5},
        {"dtype": "float32", "epochs": 4, "steps_per_epoch": 2},
        {"momentum": 0.0},
        {"sigma2": 100.0},
        {"batch": 1},
        {"batch": 1, "momentum": 0.0},
        {"d": 6},  # no room for the Wishart part
        {"d": 7},  # one degree of freedom
        {"d": 4},
        {"h": 4, "d": 2},
        {"h": 1, "d": 1},
        {"h": 1, "d": 9},
    ],
    ids=str,
)
def test_law_sampler_has_the_law_of_the_views(change):
    config = replace(STRONG, **change)
    assert smallest_p(config, runs=RUNS if not change else 500) > LEVEL


class NoCorrelation(fast._RowSpace):
    """C = (1 + sigma2) (A^T A + B^T B): the views' common anchor forgotten."""

    def root(self):
        n, r = self.n, self.ratio
        share = ((1 + r.square()) / 2).sqrt()  # (1 + sigma2) / (2 + sigma2)
        self.gradient[:, :, :n] *= share
        self.gradient[:, :, n:] *= share / r
        return super().root()


class NoAugmentationNoise(fast._RowSpace):
    """C = (A + B)^T (A + B): the sigma2 term forgotten, and with it nothing else."""

    def root(self):
        self.gradient[:, :, self.n :] *= 1e-6
        return super().root()


class NothingOutside(fast._RowSpace):
    def root(self):
        return 0.0 * super().root()


class ManyDegreesOfFreedom(fast._RowSpace):
    """d - h degrees of freedom in Bartlett's factor: the momentum's own directions counted twice."""

    def __init__(self, configs, W, Phi):
        super().__init__(configs, W, Phi)
        self.shape = self.shape + 0.5 * self.h


class MomentumLosesItsOutside(fast._RowSpace):
    def update(self, lr):
        super().update(lr)
        self.m2 = torch.zeros_like(self.m2)


@pytest.mark.parametrize(
    "wrong, change",
    [
        (NoCorrelation, {"sigma2": 0.2, "d": 16}),  # views that share nearly everything show it best
        (NoAugmentationNoise, {"sigma2": 2.0}),
        (NothingOutside, {}),
        (ManyDegreesOfFreedom, {}),
        (MomentumLosesItsOutside, {}),
    ],
)
def test_wrong_samplers_are_refused_where_the_right_one_is_not(wrong, change, monkeypatch):
    config = replace(STRONG, **change)
    if change:  # STRONG itself is tested above
        assert smallest_p(config) > LEVEL
    monkeypatch.setattr(fast, "_RowSpace", wrong)
    assert smallest_p(config) < LEVEL


class ConstantDiagonal(fast._RowSpace):
    def draw(self):
        super().draw()
        self.Z[:, :, self.h :].diagonal(dim1=1, dim2=2).copy_(torch.from_numpy(np.sqrt(2.0 * self.shape)))


class DiagonalOnly(fast._RowSpace):
    def draw(self):
        super().draw()
        self.Z[:, :, self.h :].tril_().triu_()


class OneDegreeTooMany(fast._RowSpace):
    def __init__(self, configs, W, Phi):
        super().__init__(configs, W, Phi)
        self.shape = self.shape + 0.5


@pytest.mark.parametrize("sampler", [fast._RowSpace, ConstantDiagonal, DiagonalOnly, OneDegreeTooMany])
def test_bartletts_factor_gives_a_wishart_matrix(sampler):
    """The diagonal of B B^T and its trace are chi-squared: d - 2 h degrees of freedom each, and h times as many."""
    config = LinearConfig(h=3, d=11, batch=2, dtype="float64", seed=4)
    W, Phi = (torch.from_numpy(A)[None] for A in reference.initialize(config.setting, np.random.default_rng(4)))
    space, found = sampler([config], W, Phi), []
    for _ in range(5000):
        space.draw()
        B = space.Z[0, :, space.h :]
        found.append((B * B).sum(dim=1).tolist())
    diagonal = np.array(found)
    columns = [(column, 5) for column in diagonal.T] + [(diagonal.sum(axis=1), 15)]
    smallest = len(columns) * min(kstest(column, chi2(degrees).cdf).pvalue for column, degrees in columns)
    assert (smallest > LEVEL) == (sampler is fast._RowSpace)


def test_one_wrong_degree_of_freedom_is_refused():
    """The law at d + 1 for the outside: a start of the same Gram matrix in one more dimension."""
    config = replace(STRONG, d=6, steps_per_epoch=3, record_every=3)
    W, Phi = reference.initialize(config.setting, np.random.default_rng(5))
    wide = np.pad(Phi, ((0, 0), (0, 1)))
    runs = [
        train_many([replace(config, d=d, seed=s + k) for k in range(RUNS)], sampler=sampler, starts=[(W, phi)] * RUNS)
        for sampler, d, phi, s in (("views", 6, Phi, 10**6), ("law", 6, Phi, 0), ("law", 7, wide, 0))
    ]
    views, law, wrong = (np.array([run.N_Phi[-1] for run in sample]) for sample in runs)
    assert ks_2samp(views, law).pvalue > LEVEL > ks_2samp(views, wrong).pvalue


def test_one_step_has_the_exact_conditional_mean_and_covariance():
    """Given the features, M' M'^T is a noncentral Wishart matrix whose mean and covariance are known."""
    copies, (h, d, n), mu, rho = 8000, (2, 7, 3), 0.6, 0.3
    config = LinearConfig(h=h, d=d, batch=n, sigma2=0.8, momentum=mu, rho=rho)
    rng = np.random.default_rng(1)
    W, Phi, M = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((h, h), (h, d), (h, d)))
    engine = fast._RowSpace(
        [replace(config, seed=k) for k in range(copies)], *(A.expand(copies, -1, -1).clone() for A in (W, Phi))
    )
    R = engine.R[0]
    Q1 = torch.linalg.solve(R, Phi)
    outer = M - M @ Q1.T @ Q1
    engine.m1[:], engine.m2[:] = (
        torch.linalg.solve(R, M @ Q1.T),
        torch.linalg.solve(R, torch.linalg.cholesky(outer @ outer.T)),
    )
    draw = engine.draw

    def same_features():
        draw()
        engine.xi[:] = engine.xi[:1].clone()

    engine.draw = same_features
    engine.gradients()
    # The same step by the gradients in real coordinates, at views that have these features and nothing outside
    plus, ratio = engine.plus[0, 0, 0], engine.ratio[0, 0, 0]
    y, y1 = (plus * (engine.xi[0, :, :n] + sign * ratio * engine.xi[0, :, n:]).T for sign in (1, -1))
    one = (W[None], Phi[None], (y @ Q1)[None], (y1 @ Q1)[None])
    inside = mu * M + rho * Phi + step_gradients(*one)[2][0]
    leaves = [(y @ R.T @ W.T).requires_grad_(), (y1 @ R.T @ W.T).requires_grad_()]
    cosine = torch.nn.functional.cosine_similarity
    loss = -0.5 * (cosine(leaves[0], y1 @ R.T) + cosine(leaves[1], y @ R.T)).mean()
    A, B = torch.autograd.grad(loss, leaves)
    C = (A + B).T @ (A + B) + config.sigma2 * (A.T @ A + B.T @ B)
    S, free, offset = W.T @ C @ W, d - h, mu**2 * outer @ outer.T
    engine.update(torch.tensor(0.4))
    m = engine.R @ torch.cat([engine.m1, engine.m2], dim=2)
    gram = m @ m.mT
    mean = inside @ inside.T + free * S
    entries = [(0, 0), (0, 1), (1, 1)]
    for i, j in entries:
        sample = gram[:, i, j]
        assert abs(sample.mean() - mean[i, j]) < 5 * sample.std() / math.sqrt(copies)
        for k, l in entries:
            pairs = ((i, k, j, l), (i, l, j, k))
            exact = sum(
                free * S[a, b] * S[c, e] + S[a, b] * offset[c, e] + S[c, e] * offset[a, b] for a, b, c, e in pairs
            )
            product = (sample - sample.mean()) * (gram[:, k, l] - gram[:, k, l].mean())
            assert abs(product.mean() - exact) < 5 * product.std() / math.sqrt(copies)
    # Phi' = Phi - lr M', in law and jointly: the mean of Phi' M'^T and of Phi' Phi'^T
    lr = 0.4
    for sample, exact in (
        (engine.R @ m[:, :, :h].mT, Phi @ inside.T - lr * mean),
        (engine.R @ engine.R.mT, Phi @ Phi.T - lr * (Phi @ inside.T + inside @ Phi.T) + lr**2 * mean),
    ):
        assert ((sample.mean(0) - exact).abs() < 5 * sample.std(0) / math.sqrt(copies)).all()


# --- The compiled engine


MANY_STEPS = replace(SMALL, epochs=5, steps_per_epoch=20, lr=0.5)
COMPILER = shutil.which(os.environ.get("CXX") or "g++")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="torch.compile needs a C++ compiler: none here")


def uncompiled(function, device):
    return function


def apart(config, runs=2):
    """The largest relative difference of a record between the compiled engine's runs and the plain one's."""
    configs = [replace(config, seed=seed, sigma2=1.0 + seed, momentum=0.9 - 0.2 * seed) for seed in range(runs)]
    pairs = zip(train_many(configs, compiled=True), train_many(configs))
    records = [(getattr(mine, name), getattr(theirs, name)) for mine, theirs in pairs for name in RECORDS]
    # A record that is zero but for rounding, such as the asymmetry at h = 1, is compared to one in a million.
    return max(np.abs(mine - theirs).max() / max(np.abs(theirs).max(), 1e-6) for mine, theirs in records)


@pytest.fixture
def arithmetic_only(monkeypatch):
    """The formulas of the compiled engine without waiting for a compiler."""
    monkeypatch.setattr(fast, "_compiled", uncompiled)
    monkeypatch.setattr(fast, "_check_compiler", lambda device: None)


@pytest.mark.parametrize(
    "change, rounding",  # rounding of a step, 1e-16 or 1e-7, times 1e3 for its growth in a hundred steps
    [
        ({}, 1e-12),
        ({"loss": "l2"}, 1e-12),
        ({"batch": 2}, 1e-12),
        ({"h": 1, "d": 3, "loss": "l2"}, 1e-12),
        ({"dtype": "float32"}, 1e-4),
        ({"dtype": "float32", "h": 64, "d": 512, "batch": 512, "epochs": 1, "steps_per_epoch": 30}, 1e-4),
    ],
    ids=str,
)
def test_compiled_engine_gives_the_same_runs(change, rounding, arithmetic_only):
    assert apart(replace(MANY_STEPS, **change)) < rounding


def test_compiled_engine_has_the_same_law_where_matrices_are_singular(arithmetic_only, monkeypatch):
    """For 2 batch < h rounding decides how a matrix is factorised, and with it the numbers."""
    monkeypatch.setattr(fast, "_RowSpace", fast._Compiled)
    assert smallest_p(replace(STRONG, batch=1), runs=500) > LEVEL


def test_compiled_engine_without_gradient_gives_the_same_runs(arithmetic_only):
    """h = 1 with the cosine loss: the gradient is zero but for rounding, which may decide the sign of Phi."""
    (mine,), (theirs,) = (train_many([replace(MANY_STEPS, h=1, d=3)], compiled=flag) for flag in (True, False))
    assert all(np.allclose(getattr(mine, name), getattr(theirs, name), rtol=1e-12) for name in RECORDS if name != "Phi")
    assert np.allclose(abs(mine.Phi), abs(theirs.Phi), rtol=1e-12)


def coefficients(order, signs):
    """`_noise_features` with the coefficients of a, b, c, d exchanged or of the wrong sign."""
    right = fast._noise_features

    def wrong(*args):
        value, F, mix, unit = right(*args)
        return value, F, mix[:, order] * torch.tensor(signs, dtype=mix.dtype)[:, None], unit

    return "_noise_features", wrong


def argument(position, factor):
    """`_next_state` with one of its arguments too large."""
    right = fast._next_state
    return "_next_state", lambda *a: right(*a[:position], factor * a[position], *a[position + 1 :])


@pytest.mark.parametrize(
    "wrong",
    [
        coefficients([1, 0, 2, 3], [1, 1, 1, 1]),
        coefficients([0, 1, 3, 2], [1, 1, 1, 1]),
        coefficients([0, 1, 2, 3], [1, -1, 1, 1]),
        *(argument(position, 1.01) for position in range(2, 14)),  # all but F and mix, which are above
    ],
)
def test_wrong_steps_are_noticed(wrong, arithmetic_only, monkeypatch):
    monkeypatch.setattr(fast, *wrong)
    assert apart(MANY_STEPS) > 1e-3


@needs_compiler
def test_compiler_is_called_once_for_all_groups_and_steps(monkeypatch):
    """Two groups: the functions of gradients and update, and the check that there is a compiler."""
    monkeypatch.setattr(fast, "_group_size", lambda config: 2)
    torch.compiler.reset()
    before = counters["stats"]["unique_graphs"]
    assert apart(MANY_STEPS, runs=4) < 1e-12
    assert counters["stats"]["unique_graphs"] - before == 3
    assert apart(replace(MANY_STEPS, rho=0.01, lr=0.2), runs=4) < 1e-12
    assert counters["stats"]["unique_graphs"] - before == 3


@needs_compiler
def test_compiled_views_give_the_same_runs():
    config = replace(SMALL, lr=0.5)
    (mine,), (theirs,) = (train_many([config], sampler="views", compiled=flag) for flag in (True, False))
    assert np.allclose(mine.eig_F, theirs.eig_F, rtol=1e-11)


def test_compiled_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match=r"compiled = True: torch.compile needs .* no program 'no-such-compiler'"):
        train_many([SMALL], compiled=True)

    def broken(function, device):
        raise RuntimeError("Python.h: No such file")

    monkeypatch.setenv("CXX", sys.executable)  # a program that is there
    monkeypatch.setattr(fast, "_compiled", broken)
    with pytest.raises(ValueError, match=r"compiled = True: torch.compile does not work here .Python\.h"):
        train_many([SMALL], compiled=True)


# --- What the engine promises besides


@pytest.mark.parametrize("sampler", ["law", "views"])
def test_a_run_does_not_depend_on_its_neighbours_or_on_what_comes_later(sampler):
    base = replace(SMALL, epochs=1, steps_per_epoch=8)
    configs = [replace(base, seed=k, sigma2=1.0 + k) for k in range(11)]
    many, alone = train_many(configs, sampler=sampler), train_many(configs[7:8], sampler=sampler)[0]
    longer = train_many([replace(configs[7], steps_per_epoch=16)], sampler=sampler)[0]
    for name in RECORDS:
        # Rounding in 8 steps, which strong noise may magnify; another stream of numbers would change the first digit
        assert np.allclose(getattr(many[7], name), getattr(alone, name), rtol=1e-6), name
    assert np.allclose(longer.eig_F[:3], alone.eig_F[:3], rtol=1e-6)


def test_last_state_fits_the_last_record():
    (run,) = train_many([replace(SMALL, d=40)])
    F = run.Phi @ run.Phi.T
    assert run.Phi.shape == (4, 40)
    assert np.allclose(np.linalg.eigvalsh(F)[::-1], run.eig_F[-1])
    found = reference.norms(run.W, run.Phi)
    for mine, theirs in (
        (run.N_x, found.N_x),
        (run.N_Psi, found.N_Psi),
        (run.asymmetry, reference.asymmetry(run.W)),
        (run.commutator, reference.commutator(F, run.W)),
        (run.rank_F, reference.effective_rank(F)),
    ):
        assert mine[-1] == pytest.approx(theirs, rel=1e-9)


def test_modes_far_below_the_largest_keep_their_size():
    """F has eigenvalues 1 and 1e-20: a Gram matrix of Phi would lose the second in the first step."""
    config = replace(SMALL, h=2, d=8, lr=1e-3, rho=0.01, epochs=1, steps_per_epoch=30)
    start = (
        np.diag([1.0, 1e-10]),
        np.diag([1.0, 1e-10]) @ np.linalg.qr(np.random.default_rng(0).standard_normal((8, 2)))[0].T,
    )
    runs = [train_many([config], sampler=sampler, starts=[start])[0] for sampler in ("law", "views")]
    small = [np.linalg.svd(run.Phi, compute_uv=False)[1] for run in runs]
    assert small[0] == pytest.approx(small[1], rel=0.1) and small[0] == pytest.approx(1e-10, rel=0.2)


def test_scale_symmetry_reaches_beyond_the_range_of_float32():
    """(lr, rho, W, Phi) -> (c lr, rho / c, sqrt(c) W, sqrt(c) Phi) leaves directions alone; features of size 1e-36."""
    base = replace(SMALL, d=20, dtype="float32", lr=0.5)
    W, Phi = reference.initialize(base.setting, np.random.default_rng(0))
    c = 2.0**-120  # a power of four, so that rounding is the same
    plain = train_many([base], starts=[(W, Phi)])[0]
    tiny = train_many([replace(base, lr=c * base.lr, rho=base.rho / c)], starts=[(c**0.5 * W, c**0.5 * Phi)])[0]
    for name in ("loss", "N_x", "rank_F"):
        assert np.allclose(getattr(plain, name), getattr(tiny, name), rtol=1e-3), name


def test_starts_without_full_rank_are_trained_in_real_coordinates():
    W, Phi = reference.initialize(SMALL.setting, np.random.default_rng(0))
    Phi[-1] = Phi[0]
    (run,) = train_many([replace(SMALL, lr=0.01)], starts=[(W, Phi)])
    assert np.isfinite(run.loss).all() and run.eig_F[0, -1] < 1e-12 < run.eig_F[0, -2]


@pytest.mark.parametrize("threads", [1, 2])
def test_groups_side_by_side_change_nothing(threads, monkeypatch):
    configs = [replace(SMALL, seed=k, lr=0.5) for k in range(7)]
    together = train_many(configs)
    monkeypatch.setattr(fast, "_group_size", lambda config: 3)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        split = train_many(configs)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for mine, theirs in zip(split, together):
        assert mine.config == theirs.config and np.allclose(mine.eig_F, theirs.eig_F, rtol=1e-9)


def test_a_run_that_diverges_is_named():
    configs = [replace(SMALL, loss="l2", lr=lr, seed=seed, epochs=100) for lr, seed in ((0.1, 3), (1e6, 8))]
    for sampler in ("law", "views"):
        with pytest.raises(FloatingPointError, match=r"loss of run 1 \(seed 8\) is (nan|inf) at step \d+"):
            train_many(configs, sampler=sampler)


def test_refusals_name_what_does_not_fit():
    with pytest.raises(ValueError, match="configs: is empty"):
        train_many([])
    for change, words in (
        ({"h": 5}, "h = 4 in run 0 and 5 in run 1"),
        ({"batch": 7}, "batch = 6 in run 0 and 7 in run 1"),
        ({"loss": "l2"}, "loss = 'cosine' in run 0 and 'l2' in run 1"),
    ):
        with pytest.raises(ValueError, match=words):
            train_many([SMALL, replace(SMALL, **change)])
    for change in ({"samples": 8}, {"symmetrised": False}, {"fixed_head_lr": True}):
        with pytest.raises(ValueError, match=r"must be .* here; `linear.train` has the others"):
            train_many([replace(SMALL, **change)])
    with pytest.raises(ValueError, match="sampler = 'laws': must be one of law, views"):
        train_many([SMALL], sampler="laws")
    with pytest.raises(ValueError, match="starts: has 2 entries"):
        train_many([SMALL], starts=[None, None])
    with pytest.raises(ValueError, match="Phi"):
        train_many([SMALL], starts=[(np.eye(4), np.eye(4))])
    with pytest.raises(ValueError, match=r"runs need about .* GB .* fewer runs or a larger record_every"):
        train_many([replace(SMALL, h=64, d=512, epochs=10**7, record_every=1)] * 100)
    with pytest.raises(ValueError, match="is not available here"):
        train_many([replace(SMALL, device="cuda:99")])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("compiled", [False, True])
def test_runs_on_a_gpu(compiled):
    (run,) = train_many([replace(SMALL, device="cuda", dtype="float32", lr=0.5)], compiled=compiled)
    assert np.isfinite(run.loss).all()
