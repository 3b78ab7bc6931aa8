"""Training that asks a linear classifier before and after: `featnorm.simsiam.image.train`, then the linear probe.

The probe stands here and not in the loop of training, since it is asked twice a run and changes nothing there.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from featnorm._validate import Array
from featnorm.simsiam import probe
from featnorm.simsiam.augment import normalise, statistics
from featnorm.simsiam.data import ImageData
from featnorm.simsiam.image import ImageConfig, ImageRun, Model, prepare, read_checkpoint, train


@torch.no_grad()
def features(model: Model, data: ImageData) -> tuple[Array, Array]:
    """Of the training and of the test images, (n, h) each, as nearest neighbours see them in `train`.

    >>> from featnorm.simsiam.data import load
    >>> config = ImageConfig(width=4, h=8)
    >>> [part.shape for part in features(Model(config, 1), load("digits"))]
    [(1437, 8), (360, 8)]
    """
    device = next(model.parameters()).device
    x, x_test = prepare(data.x_train, str(device)), prepare(data.x_test, str(device))
    moments = statistics(x)
    model.eval()
    parts = [[model.encoder(normalise(part / 255, *moments)) for part in images.split(512)] for images in (x, x_test)]
    first, second = (torch.cat(part).cpu().numpy() for part in parts)
    return first, second


def _accuracy(model: Model, data: ImageData) -> tuple[float, float, float]:
    train_features, test_features = features(model, data)
    if not (np.isfinite(train_features).all() and np.isfinite(test_features).all()):
        return (math.nan,) * 3
    found = probe.linear(train_features, data.y_train, test_features, data.y_test, max_iter=5000)
    return found.value, found.low, found.high


def train_and_probe(
    config: ImageConfig, data: ImageData, checkpoint: Path | None = None, stop: Callable[[], bool] = lambda: False
) -> ImageRun | None:
    """As `train`, with three columns more: ``linear``, the accuracy of the linear probe, and its interval from
    ``linear_low`` to ``linear_high``, at the first record and at the last, nan between.

    The last is nan where the run ended early, or where a feature is not finite. Raises ValueError as `train`, and
    where the probe does not converge.

    >>> from featnorm.simsiam.data import load
    >>> run = train_and_probe(ImageConfig(width=4, h=8, batch=512, epochs=2, flip=False), load("digits"))
    >>> run.records["linear"].shape, bool(run.records["linear"][-1] > 0.2)
    ((3,), True)
    """
    with tempfile.TemporaryDirectory() as folder:
        where = checkpoint if checkpoint is not None else Path(folder) / "checkpoint"
        run = train(config, data, where, stop)
        if run is None:
            return None
        channels = data.x_train.shape[-1]
        columns = np.full((3, len(run.records["step"])), math.nan)
        columns[:, 0] = _accuracy(Model(config, channels).to(config.device), data)
        found = read_checkpoint(where, asdict(config) | {"data": data.sha256})
        if found is not None and not run.failed:
            model = Model(config, channels).to(config.device)
            weights = {n: torch.from_numpy(v) for n, v in found[0].items() if n.startswith("model.")}
            model.load_state_dict({n.removeprefix("model."): v for n, v in weights.items()})
            columns[:, -1] = _accuracy(model, data)
    names = ("linear", "linear_low", "linear_high")
    return replace(run, records=run.records | dict(zip(names, columns)))
