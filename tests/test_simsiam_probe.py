"""The probes against scikit-learn and against problems whose answer is known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from featnorm.simsiam import probe
from featnorm.simsiam.data import load


def digits(n=400, m=150):
    images = load("digits")
    rows = [images.x_train[:n], images.x_test[:m]]
    train, test = (x.reshape(len(x), -1).astype(float) for x in rows)
    return train, images.y_train[:n], test, images.y_test[:m]


@pytest.mark.parametrize("temperature", [0.1, None])
def test_knn_agrees_with_scikit_learn(temperature):
    train, y_train, test, y_test = digits()
    weights = "uniform" if temperature is None else lambda d: np.exp((1.0 - d) / temperature)
    other = KNeighborsClassifier(20, metric="cosine", weights=weights).fit(train, y_train)
    share = np.mean(other.predict(test) == y_test)
    ours = probe.knn(train, y_train, test, y_test, k=20, temperature=temperature)
    assert abs(ours.value - share) <= 1 / len(test)  # a neighbour at the same distance, or a tie
    assert ours == probe.knn(3.0 * train, y_train, 0.5 * test, y_test, k=20, temperature=temperature, block=7)


def test_temperature_matters():
    train = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    test, y = np.array([[1.0, 0.2]]), np.array([0, 1, 1])
    assert probe.knn(train, y, test, np.array([0]), k=3, temperature=0.1).value == 1.0
    assert probe.knn(train, y, test, np.array([0]), k=3, temperature=None).value == 0.0


def test_linear_agrees_with_another_solver_and_repeats():
    train, y_train, test, y_test = digits()
    scale = StandardScaler().fit(train)
    other = LogisticRegression(solver="newton-cholesky").fit(scale.transform(train), y_train)
    ours = probe.linear(train, y_train, test, y_test)
    assert abs(ours.value - other.score(scale.transform(test), y_test)) <= 1 / len(test)
    assert ours == probe.linear(train, y_train, test, y_test)
    affine = train * np.linspace(1.0, 9.0, train.shape[1]) + 5.0
    assert abs(ours.value - probe.linear(affine, y_train, test * np.linspace(1, 9, 64) + 5.0, y_test).value) <= 1 / 150


def test_collapsed_features_give_the_commonest_class():
    y_train, y_test = np.array([0, 1, 1, 1] * 10), np.array([0, 1, 1, 0])
    flat = np.ones((40, 3)), y_train, np.ones((4, 3)), y_test
    assert probe.linear(*flat).value == 0.5 and probe.knn(*flat, k=40).value == 0.5
    assert probe.knn(np.zeros((40, 3)), y_train, np.zeros((4, 3)), y_test, k=40).value == 0.5


def test_the_interval_holds_what_a_score_test_accepts():
    a, z = probe.accuracy(np.arange(200) < 60), 1.959963984540054  # of the normal law, two-sided 95 percent
    for end in (a.low, a.high):
        assert abs(a.value - end) == pytest.approx(z * np.sqrt(end * (1 - end) / a.n), rel=1e-9)
    assert probe.accuracy(np.ones(5, bool)).high == 1.0


@pytest.mark.parametrize("which", [probe.knn, probe.linear])
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, np.full((4, 2), np.nan), "train: has 8 entries"),
        (1, np.arange(3), "y_train"),
        (1, np.array([0.0, 1, 0, 1]), "y_train: is float64"),
        (1, np.array([0, -1, 0, 1]), ">= 0"),
        (2, np.ones((4, 3)), "test: has shape"),
    ],
)
def test_bad_input(which, place, value, message):
    arguments = [np.ones((4, 2)), np.array([0, 1, 0, 1]), np.ones((4, 2)), np.array([0, 1, 0, 1])]
    arguments[place] = value
    with pytest.raises(ValueError, match=message):
        which(*arguments)


def test_more_bad_input():
    x, y = np.random.default_rng(0).standard_normal((40, 5)), np.arange(40) % 2
    for call, message in (
        (lambda: probe.knn(x, y, x, y, k=41), "at most 40"),
        (lambda: probe.knn(x, y, x, y, k=3, temperature=0.0), "temperature"),
        (lambda: probe.linear(x, 0 * y, x, y), "one class only"),
        (lambda: probe.linear(x, y, x, y, C=1e6, max_iter=1), "has not converged"),
        (lambda: probe.accuracy([0.5]), "boolean"),
        (lambda: probe.accuracy([True], 1.0), "level"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
