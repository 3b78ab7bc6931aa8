"""How much of the classes can be read off features: nearest neighbours and a linear classifier, with intervals.

The features may be those of a trained encoder, of one that was never trained, or the pixels: always show the three
side by side. Give pixels as the encoder gets them, each channel normalised: neighbours by cosine depend on the
origin, and values from 0 to 255 would make the baseline unfairly weak. Both probes are deterministic; training images
are only ever used to fit, test images only to judge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from featnorm._validate import Array, array, between, positive, positive_int


@dataclass(frozen=True)
class Accuracy:
    """Share of ``n`` test images named rightly, with its interval (Wilson): it covers the luck of the test images,
    not that of training.

    >>> accuracy(np.array([True, True, False, True])).value
    0.75
    """

    value: float
    low: float
    high: float
    n: int


def accuracy(right: ArrayLike, level: float = 0.95) -> Accuracy:
    """The `Accuracy` of test images that were named rightly or not, each independently; ``level`` of the interval.

    Raises ValueError for an array that is empty or not boolean, and a level outside of (0, 1).

    >>> accuracy(np.ones(100, dtype=bool)).low > 0.96
    True
    """
    from scipy.stats import binomtest

    right = np.asarray(right)
    if right.dtype != bool or right.ndim != 1 or not right.size:
        raise ValueError(f"right: is {right.dtype} of shape {right.shape}, must be boolean of shape (n,), n >= 1")
    if not 0.0 < between(0.0, 1.0)("level", level) < 1.0:
        raise ValueError(f"level = {level!r}: must be above 0 and below 1")
    hits = int(right.sum())
    interval = binomtest(hits, len(right)).proportion_ci(level, method="wilson")
    return Accuracy(hits / len(right), float(interval.low), float(interval.high), len(right))


def _problem(train, y_train, test, y_test) -> tuple[Array, Array, Array, Array]:
    train = array("train", train, (None, None))
    test = array("test", test, (None, train.shape[1]))
    labels = []
    for name, y, rows in (("y_train", y_train, train), ("y_test", y_test, test)):
        y = np.asarray(y)
        if y.dtype.kind not in "iu" or y.shape != (len(rows),) or not y.size or y.min() < 0:
            raise ValueError(f"{name}: is {y.dtype} of shape {y.shape}, must be {len(rows)} whole numbers >= 0")
        labels.append(y.astype(np.int64))
    return train, labels[0], test, labels[1]


def knn(
    train: ArrayLike,
    y_train: ArrayLike,
    test: ArrayLike,
    y_test: ArrayLike,
    k: int = 200,
    temperature: float | None = 0.1,
    device: str = "cpu",
    block: int = 1000,
) -> Accuracy:
    """Accuracy of the ``k`` nearest neighbours by cosine: the usual protocol (Wu et al. 2018) with k = 200.

    A neighbour of cosine c votes with weight exp(c / temperature), or 1 where ``temperature`` is None; the smallest
    label wins a tie. A feature of zero has cosine 0 with all. ``train`` (n, h), ``test`` (m, h), labels whole numbers
    >= 0; ``block`` test rows at a time, so that memory is n * block numbers. Raises ValueError for a wrong shape,
    values that are not finite, k above n.

    >>> x, y = np.eye(3), np.arange(3)
    >>> knn(x, y, 2.0 * x, y, k=1).value
    1.0
    """
    train, y_train, test, y_test = _problem(train, y_train, test, y_test)
    if positive_int("k", k) > len(train):
        raise ValueError(f"k = {k!r}: must be at most {len(train)}, the number of training rows")
    positive_int("block", block)
    if temperature is not None:
        positive("temperature", temperature)

    def directions(rows: Array) -> torch.Tensor:
        largest = np.abs(rows).max(axis=1, keepdims=True)
        rows = torch.from_numpy(rows / np.where(largest > 0, largest, 1.0)).to(device, torch.float32)
        return torch.nn.functional.normalize(rows, dim=1)

    bank, labels = directions(train), torch.from_numpy(y_train).to(device)
    classes, named = int(y_train.max()) + 1, []
    for part in directions(test).split(block):
        cosine, neighbour = (part @ bank.T).topk(k, dim=1)
        # over the largest, which changes no vote's share and cannot overflow
        weight = torch.ones_like(cosine) if temperature is None else ((cosine - cosine[:, :1]) / temperature).exp()
        votes = torch.zeros(len(part), classes, device=device).scatter_add_(1, labels[neighbour], weight)
        named.append(votes.argmax(dim=1).cpu())
    return accuracy(torch.cat(named).numpy() == y_test)


def linear(
    train: ArrayLike, y_train: ArrayLike, test: ArrayLike, y_test: ArrayLike, C: float = 1.0, max_iter: int = 1000
) -> Accuracy:
    """Accuracy of multinomial logistic regression (scikit-learn, L-BFGS) on features standardised by the training set.

    ``C`` is the inverse strength of the L2 penalty. A feature that is constant is left at zero; so a collapsed
    representation reads as the share of the commonest class. Raises ValueError as `knn`, where there is one class
    only, and where ``max_iter`` steps did not converge.

    >>> x = np.arange(8.0)[:, None]
    >>> linear(x, (x[:, 0] > 3).astype(int), x, (x[:, 0] > 3).astype(int)).value
    1.0
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    train, y_train, test, y_test = _problem(train, y_train, test, y_test)
    positive("C", C)
    positive_int("max_iter", max_iter)
    if len(np.unique(y_train)) < 2:
        raise ValueError("y_train: holds one class only, so there is nothing to tell apart")
    scale = StandardScaler().fit(train)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fitted = LogisticRegression(C=C, max_iter=max_iter).fit(scale.transform(train), y_train)
        except ConvergenceWarning as warning:
            raise ValueError(f"max_iter = {max_iter!r}: the linear probe has not converged") from warning
    return accuracy(fitted.predict(scale.transform(test)) == y_test)
