"""Rank and accuracy: the correlation against SciPy, what drawing settings again does, and made-up runs."""

import numpy as np
from scipy.stats import spearmanr

from featnorm.claims.what_is_learned import correlation, exceptions, groups, settings, shuffled, spearman


def test_spearman_is_scipys_averaged_over_seeds_and_takes_stacks():
    x = np.random.default_rng(0).integers(0, 5, (2, 9, 3, 2)).astype(float)  # with ties
    wanted = [[spearmanr(*stack[:, seed].T).statistic for seed in range(3)] for stack in x]
    np.testing.assert_allclose(spearman(x), np.mean(wanted, axis=1), rtol=1e-12)


def test_settings_keep_their_seeds_together_and_zero_features_have_rank_zero():
    kind, rho = np.array(["l2", "cosine"] * 2), np.array([0.1, 0.1, 0.1, 0.1])
    x = {"kind": kind, "rho": rho, "seed": np.array([1, 1, 0, 0]), "rank": np.array([np.nan, 2.0, 3.0, 4.0])}
    found = settings(x | {"knn": x["seed"] + 10.0, "linear": x["rank"] + 1.0})
    np.testing.assert_array_equal(found[..., 0], [[4.0, 2.0], [3.0, 0.0]])  # cosine, then L2; seeds 0, 1
    np.testing.assert_array_equal(found[..., 1], [[10.0, 11.0], [10.0, 11.0]])


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Independent pairs: the truth is zero. Seeds share nothing here, so the interval should not be too narrow."""
    rng = np.random.default_rng(0)
    hits = [(c := correlation(rng.normal(size=(17, 3, 2)), i)).low <= 0 <= c.high for i in range(100)]
    assert sum(hits) >= 85  # drawing seventeen settings again is known to be a little narrow


def test_shuffling_keeps_the_values_of_each_seed():
    x = np.random.default_rng(0).normal(size=(17, 3, 2))
    y = shuffled(x, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(y, axis=0)[..., 1], np.sort(x, axis=0)[..., 1])
    np.testing.assert_array_equal(y[..., 0], x[..., 0])
    assert not np.array_equal(y, x)


def test_an_exception_is_counted_for_each_seed():
    x = {
        "kind": np.array(["nostop", "l2"] * 3),
        "seed": np.repeat([0, 1, 2], 2),
        "decay_time": np.array([0.1, 0.0] * 3),
    }
    x |= {"rank": np.array([1.0, 2.0] * 3), "knn_low": np.array([0.3, 0.1] * 3), "knn_high": np.array([0.4, 0.2] * 3)}
    assert exceptions(x, "nostop", "l2") == 0 and exceptions(x, "l2", "nostop") == 3
    x["rank"][2], x["knn_high"][5] = 5.0, 0.35  # one has more rank, the intervals of another overlap
    assert exceptions(x, "nostop", "l2") == 2


def test_live_runs_are_those_of_both_losses_and_of_each():
    found = groups()
    np.testing.assert_array_equal(found["alive cosine"] | found["alive l2"], found["alive"])
    assert found["alive cosine"].any() and not (found["alive cosine"] & found["alive l2"]).any()
    assert (found["alive cosine"] <= found["cosine"]).all()
