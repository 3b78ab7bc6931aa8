"""The official SimSiam augmentation, ours against kornia's on the same images: writes benchmarks/augment.md.

The two are timed in turn, so that a busy machine slows both. Kornia draws one order of the jitter for a batch, where
we draw one for each image as the official code does. A DataLoader with PIL is not compared: torchvision is not used.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import kornia.augmentation as K
import torch
from timing import REPEATS

from featnorm.provenance import commit, machine
from featnorm.simsiam.augment import CIFAR, OFFICIAL, Augmentation, augment


def kornia_pipeline(size: int, recipe: Augmentation) -> torch.nn.Module:
    """The same recipe of kornia's own modules, each image with its own parameters."""
    blur = [K.RandomGaussianBlur((17, 17), recipe.sigma, p=recipe.p_blur)] if recipe.p_blur else []
    return torch.nn.Sequential(
        K.RandomResizedCrop((size, size), scale=recipe.scale, ratio=recipe.ratio),
        K.ColorJitter(recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue, p=recipe.p_jitter),
        K.RandomGrayscale(p=recipe.p_grayscale),
        *blur,
        K.RandomHorizontalFlip(p=recipe.p_flip),
    )


def row(size: int, batch: int, name: str, recipe: Augmentation, device: str) -> str:
    """One line of the table: images a second of both, and the median ratio of neighbouring runs."""
    images = torch.rand(batch, 3, size, size, device=device)
    theirs, generator = kornia_pipeline(size, recipe), torch.Generator().manual_seed(0)

    def took(function) -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    times = []
    for _ in range(REPEATS + 1):  # the first is not counted
        times.append((took(lambda: augment(images, generator, recipe)), took(lambda: theirs(images))))
    ours, other = (median(column) for column in zip(*times[1:]))
    ratio = median(b / a for a, b in times[1:])
    return f"| {size} x {size} | {batch} | {name} | {batch / ours:,.0f} | {batch / other:,.0f} | {ratio:.1f} |"


if __name__ == "__main__":
    device = "cuda" if torch.cuda.is_available() else "cpu"
    lines = [
        "# Augmentation: plain PyTorch against kornia",
        "",
        f"Images a second, median of {REPEATS} runs taken in turn; the ratio is the median over neighbouring runs. "
        f"Device {device}, {torch.get_num_threads()} threads. {machine()}; commit {commit()}.",
        "",
        "| image | batch | recipe | featnorm | kornia | ratio |",
        "|---|---|---|---|---|---|",
        *(
            row(size, batch, name, recipe, device)
            for size, batch in ((8, 256), (16, 256), (32, 512))
            for name, recipe in (("official", OFFICIAL), ("without blur", CIFAR))
            if size > 8 or recipe is CIFAR  # kornia's blur of 17 pixels does not fit 8 x 8
        ),
    ]
    text = "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
