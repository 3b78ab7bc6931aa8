"""Images for `featnorm.simsiam.image`: read, augmented on the device, and judged by nearest neighbours.

A first, small version: crops, flips, brightness, contrast, saturation and grayscale, without hue and blur.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featnorm._validate import positive_int


@dataclass(frozen=True, eq=False)
class Images:
    """uint8 images (n, rows, columns, channels) and labels (n,), for training and for the test."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def __post_init__(self) -> None:
        for x, y in (("x_train", "y_train"), ("x_test", "y_test")):
            images, labels = getattr(self, x), getattr(self, y)
            if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3) or not len(images):
                raise ValueError(
                    f"{x}: is {images.dtype} of shape {images.shape}, must be uint8 (n, rows, columns, 1 or 3)"
                )
            if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0:
                raise ValueError(f"{y}: must be {len(images)} whole numbers >= 0, one for each image")


def read_npz(path: Path | str) -> Images:
    """Images from an .npz of uint8 `x_train`, `x_test` and labels `y_train`, `y_test`; nothing pickled is read.

    Raises ValueError where the file, an array or its form is not as described.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return Images(*(file[name] for name in ("x_train", "y_train", "x_test", "y_test")))
    except (OSError, KeyError, EOFError) as error:
        raise ValueError(
            f"data = {str(path)!r}: must be a readable .npz of x_train, y_train, x_test, y_test ({error})"
        ) from error


def digits(seed: int = 0) -> Images:
    """scikit-learn's digits, 8 x 8 and grey, a fifth of them for the test.

    >>> digits().x_test.shape
    (359, 8, 8, 1)
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = np.round(x * 255 / 16).astype(np.uint8).reshape(-1, 8, 8, 1)
    order = np.random.default_rng(seed).permutation(len(y))
    test, train = order[: len(y) // 5], order[len(y) // 5 :]
    return Images(images[train], y[train], images[test], y[test])


def prepare(images: np.ndarray, device: str) -> Tensor:
    """Images as float32 (n, channels, rows, columns) from 0 to 1, on the device."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(255).contiguous()


def augment(x: Tensor, generator: torch.Generator, flip: bool = True) -> Tensor:
    """One random view of each image (n, channels, rows, columns): resized crop of area 0.2 to 1, flip, colours.

    The same generator state gives the same views. ``flip`` mirrors half of them; digits do not bear it.
    """
    n = len(x)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator, device=x.device)

    side, ratio = uniform(0.2, 1.0).sqrt(), ((uniform(-1.0, 1.0) * np.log(4 / 3)) / 2).exp()
    wide, tall = (side * ratio).clamp(max=1.0), (side / ratio).clamp(max=1.0)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0) if flip else torch.ones_like(wide)
    across, down = (1 - wide) * uniform(-1, 1), (1 - tall) * uniform(-1, 1)
    zero = torch.zeros_like(wide)
    theta = torch.cat([wide * mirror, zero, across, zero, tall, down], dim=3).view(n, 2, 3)
    view = functional.grid_sample(
        x,
        functional.affine_grid(theta, list(x.shape), align_corners=False),
        padding_mode="reflection",
        align_corners=False,
    )
    jitter = uniform(0, 1) < 0.8
    view = torch.where(jitter, (view * uniform(0.6, 1.4)).clamp(0, 1), view)
    mean = view.mean(dim=(1, 2, 3), keepdim=True)
    view = torch.where(jitter, (mean + (view - mean) * uniform(0.6, 1.4)).clamp(0, 1), view)
    if x.shape[1] == 3:
        grey = (view * view.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        view = torch.where(jitter, (grey + (view - grey) * uniform(0.6, 1.4)).clamp(0, 1), view)
        view = torch.where(uniform(0, 1) < 0.2, grey.expand_as(view), view)
    return view


def knn_accuracy(train: Tensor, y_train: Tensor, test: Tensor, y_test: Tensor, k: int = 20) -> float:
    """Share of test rows whose k most similar training rows (by cosine, each with one vote) name the right class.

    A tie goes to the smaller label. Raises ValueError for k below 1 or above the number of training rows.

    >>> knn_accuracy(torch.eye(2), torch.tensor([0, 1]), torch.eye(2), torch.tensor([0, 1]), k=1)
    1.0
    """
    if positive_int("k", k) > len(train):
        raise ValueError(f"k = {k!r}: must be at most {len(train)}, the number of training rows")
    a, b = functional.normalize(train, dim=1), functional.normalize(test, dim=1)
    votes = functional.one_hot(y_train[(b @ a.T).topk(k, dim=1).indices], int(y_train.max()) + 1).sum(dim=1)
    return float((votes.argmax(dim=1) == y_test).float().mean())
