"""Training on images: `featnorm.simsiam.image.train` against the official recipe written plainly; writes training.md.

The plain recipe changes one image at a time with PIL on the CPU and feeds it through a DataLoader, as the official
code does, and takes its loss from ``nn.CosineSimilarity`` with ``detach``. The net, its first weights, the optimiser
and the schedule are the same. Both run on one thread, in turn, a stretch of epochs each, and are timed by the CPU.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import nn
from torch.utils.data import DataLoader, Dataset

from featnorm.provenance import commit, machine
from featnorm.simsiam import probe
from featnorm.simsiam.augment import statistics
from featnorm.simsiam.data import ImageData, load
from featnorm.simsiam.image import ImageConfig, Model, prepare, train

ROUNDS, EPOCHS = 3, 15


class Views(Dataset):
    """Two views of each image by the official recipe, one image at a time."""

    def __init__(self, images: np.ndarray, config: ImageConfig) -> None:
        self.images = [Image.fromarray(x.squeeze()) for x in images]
        self.recipe, (mean, std) = config.recipe, statistics(prepare(images))
        self.mean, self.std = mean.view(-1, 1, 1), std.view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.images)

    def crop(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        for _ in range(10):
            area = width * height * random.uniform(*self.recipe.scale)
            ratio = math.exp(random.uniform(*map(math.log, self.recipe.ratio)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left, top = random.randint(0, width - w), random.randint(0, height - h)
                return image.resize((width, height), Image.Resampling.BILINEAR, (left, top, left + w, top + h))
        return image

    def jitter(self, image: Image.Image) -> Image.Image:
        r = self.recipe
        steps = [(ImageEnhance.Brightness, r.brightness), (ImageEnhance.Contrast, r.contrast)]
        if image.mode == "RGB":
            steps += [(ImageEnhance.Color, r.saturation), (None, r.hue)]
        random.shuffle(steps)
        for enhance, strength in steps:
            if enhance is not None:
                image = enhance(image).enhance(random.uniform(max(0.0, 1 - strength), 1 + strength))
            else:
                hue, saturation, value = image.convert("HSV").split()
                shift = round(255 * random.uniform(-strength, strength))
                hue = hue.point(lambda x, shift=shift: (x + shift) % 256)
                image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
        return image

    def view(self, image: Image.Image) -> torch.Tensor:
        r, image = self.recipe, self.crop(image)
        if random.random() < r.p_jitter:
            image = self.jitter(image)
        if image.mode == "RGB" and random.random() < r.p_grayscale:
            image = image.convert("L").convert("RGB")
        if random.random() < r.p_blur:
            image = image.filter(ImageFilter.GaussianBlur(random.uniform(*r.sigma)))
        if random.random() < r.p_flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        values = torch.from_numpy(np.array(image, dtype=np.float32) / 255)
        values = values[None] if values.ndim == 2 else values.permute(2, 0, 1)
        return (values - self.mean) / self.std

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.view(self.images[i]), self.view(self.images[i])


def plain(config: ImageConfig, data: ImageData) -> Iterator[nn.Module]:
    """The official loop; gives the encoder after every epoch."""
    random.seed(config.seed)
    torch.manual_seed(config.seed)
    loader = DataLoader(Views(data.x_train, config), config.batch, shuffle=True, drop_last=True)
    model, cosine = Model(config, data.shape[2]), nn.CosineSimilarity(dim=1)
    sgd = torch.optim.SGD(model.parameters(), config.lr, momentum=config.momentum, weight_decay=config.rho)
    for epoch in range(config.epochs):
        sgd.param_groups[0]["lr"] = config.learning_rate(epoch)
        for x, x1 in loader:
            z, z1 = model.encoder(x), model.encoder(x1)
            p, p1 = model.head(z), model.head(z1)
            loss = -(cosine(p, z1.detach()).mean() + cosine(p1, z.detach()).mean()) * 0.5
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        yield model.encoder


@torch.no_grad()
def accuracy(encoder: nn.Module, config: ImageConfig, data: ImageData) -> float:
    """kNN accuracy as `train` measures it."""
    mean, std = (s.view(1, -1, 1, 1) for s in statistics(prepare(data.x_train)))
    encoder.eval()
    train_x, test_x = (encoder((prepare(x) / 255 - mean) / std).numpy() for x in (data.x_train, data.x_test))
    encoder.train()
    return probe.knn(train_x, data.y_train, test_x, data.y_test, config.neighbours).value


def ours(config: ImageConfig, data: ImageData, goal: float = math.inf) -> tuple[float, float]:
    """CPU seconds of a run, or up to the epoch in which kNN reaches ``goal`` (nan if none), and its last accuracy."""
    start, ends = time.process_time(), []
    if goal < math.inf:
        config = replace(config, record_every=1, knn_every=1)

    def tick() -> bool:
        ends.append(time.process_time() - start)
        return False

    knn = train(config, data, stop=tick).records["knn"][1:]
    tick()
    reached = np.flatnonzero(knn >= goal)
    return (ends[-1] if goal == math.inf else ends[reached[0]] if len(reached) else math.nan), float(knn[-1])


def theirs(config: ImageConfig, data: ImageData, goal: float = math.inf) -> tuple[float, float]:
    """The same for the plain recipe."""
    start, knn = time.process_time(), math.nan
    for encoder in plain(config, data):
        if goal < math.inf and (knn := accuracy(encoder, config, data)) >= goal:
            return time.process_time() - start, knn
    return (time.process_time() - start if goal == math.inf else math.nan), accuracy(encoder, config, data)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", default="digits")
    parser.add_argument("--data", help="an .npz or a folder of these images; default: the bundled digits")
    parser.add_argument("--goal", type=float, default=0.6, help="kNN accuracy to time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load(options.images, options.data)
    base = ImageConfig(
        width=8, h=32, batch=128, lr=0.2, flip=data.name != "digits", neighbours=20, heads="standard",
        record_every=10**6, knn_every=10**6, epochs=EPOCHS,
    )  # fmt: skip
    steps = EPOCHS * (len(data.x_train) // base.batch)
    warm = replace(base, epochs=1)
    ours(warm, data), theirs(warm, data)  # not counted
    rows = []
    for seed in range(ROUNDS):
        config = replace(base, seed=seed)
        full = ours(config, data), theirs(config, data)
        rows.append((*full, ours(config, data, options.goal), theirs(config, data, options.goal)))
    times = np.array([[cell[0] for cell in row] for row in rows])
    knn = np.array([[cell[1] for cell in row] for row in rows])
    speed, ratio = steps / np.median(times[:, :2], axis=0), times[:, 1] / times[:, 0]
    # a run that does not reach the goal counts as infinitely long
    goal = np.median(np.nan_to_num(times[:, 2:], nan=np.inf), axis=0)
    lines = [
        "# Training: featnorm against the official recipe written plainly",
        "",
        f"Data {data.name}, {len(data.x_train)} images; convnet of width {base.width}, batch {base.batch}, standard "
        f"heads; {ROUNDS} runs of {EPOCHS} epochs, taken in turn. Times are CPU seconds on one thread, since the "
        f"machine is shared; the first line includes one kNN at the end, the last one kNN in every epoch. "
        f"The plain recipe loads with PIL in the same process. {machine()}; commit {commit()}.",
        "",
        "| | featnorm | plain recipe |",
        "|---|---|---|",
        f"| steps a CPU second (median) | {speed[0]:.1f} | {speed[1]:.1f} |",
        f"| kNN accuracy at the end | {knn[:, 0].min():.3f} to {knn[:, 0].max():.3f} | "
        f"{knn[:, 1].min():.3f} to {knn[:, 1].max():.3f} |",
        f"| CPU seconds to kNN accuracy {options.goal:g} (median) | "
        + " | ".join(f"{t:.1f}" if t < math.inf else "not reached" for t in goal)
        + " |",
        "",
        f"For the same steps the plain recipe takes {np.median(ratio):.1f} times as long (median of neighbouring runs; "
        f"from {ratio.min():.1f} to {ratio.max():.1f}).",
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
