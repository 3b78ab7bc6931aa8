"""The random views of the official SimSiam code, a batch at a time, on the device, in plain PyTorch.

Resized crop, colour jitter, grayscale, blur, flip, in this order; each image has its own parameters. They are drawn
on the CPU, one row of uniform numbers an image, so that a seed gives the same views on every device and however the
images are split into batches. Values stay floating-point from 0 to 1 throughout, where the official code rounds to
bytes between the steps; the flip is done with the crop, with which it commutes up to here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from featnorm._validate import between, nonnegative, positive, positive_int

_ATTEMPTS = 10  # at a crop that fits, before the whole image is taken, as in torchvision
_LUMA = (0.2989, 0.587, 0.114)


@dataclass(frozen=True)
class Augmentation:
    """Strengths and probabilities of a view; the defaults are the official SimSiam recipe.

    Parameters
    ----------
    scale: smallest and largest share of the area that a crop keeps, within (0, 1].
    ratio: smallest and largest width over height of a crop, > 0.
    brightness, contrast, saturation: a factor is uniform from 1 - strength (at least 0) to 1 + strength; >= 0.
    hue: a shift is uniform from -hue to hue turns of the colour circle; from 0 to 0.5.
    p_jitter, p_grayscale, p_blur, p_flip: probabilities of the steps.
    sigma: smallest and largest standard deviation of the blur in pixels, > 0.

    For a grey image saturation, hue and grayscale mean nothing and are left out. Raises ValueError that names the
    argument, its value and the rule.

    >>> Augmentation(p_blur=0.0).scale
    (0.2, 1.0)
    >>> Augmentation(hue=0.7)
    Traceback (most recent call last):
    ...
    ValueError: hue = 0.7: must be a number from 0 to 0.5
    """

    scale: tuple[float, float] = (0.2, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    p_jitter: float = 0.8
    p_grayscale: float = 0.2
    p_blur: float = 0.5
    p_flip: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        for name in ("scale", "ratio", "sigma"):
            pair = getattr(self, name)
            if not isinstance(pair, tuple) or len(pair) != 2 or not positive(name, pair[0]) <= positive(name, pair[1]):
                raise ValueError(f"{name} = {pair!r}: must be a pair (smallest, largest) of numbers > 0")
        between(0.0, 1.0)("scale[1]", self.scale[1])
        for name in ("brightness", "contrast", "saturation"):
            nonnegative(name, getattr(self, name))
        between(0.0, 0.5)("hue", self.hue)
        for name in ("p_jitter", "p_grayscale", "p_blur", "p_flip"):
            between(0.0, 1.0)(name, getattr(self, name))


OFFICIAL = Augmentation()
CIFAR = Augmentation(p_blur=0.0)  # blur is commonly left out at 32 x 32 pixels


@dataclass(frozen=True, eq=False)
class Draws:
    """The random parameters of n views, each a tensor (n,) on the CPU but ``order``; made by `draw`.

    left, top, width, height: the crop in whole pixels.  flip: whether mirrored, left to right.
    jitter: whether jittered; then brightness, contrast, saturation are factors, hue is in turns, and order (n, 4) lists
    the four steps 0 to 3 in their order.  grayscale: whether made grey.  sigma: of the blur in pixels, 0 for none.

    >>> draws = draw(6, torch.Generator().manual_seed(0), (32, 32))
    >>> len(draws), len(draws[2:5])
    (6, 3)
    """

    left: Tensor
    top: Tensor
    width: Tensor
    height: Tensor
    flip: Tensor
    jitter: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    order: Tensor
    grayscale: Tensor
    sigma: Tensor

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, rows: slice | Tensor) -> Draws:
        return Draws(*(getattr(self, field.name)[rows] for field in fields(self)))


def draw(n: int, generator: torch.Generator, size: tuple[int, int], recipe: Augmentation = OFFICIAL) -> Draws:
    """Parameters of ``n`` views of images with ``size`` = (rows, columns), from a generator on the CPU.

    The crop follows torchvision's RandomResizedCrop: area uniform, logarithm of the ratio uniform, rounded to whole
    pixels, up to ten attempts at one that fits, then the largest central crop within the range of ratios; position
    uniform. Drawing n and then m more equals drawing n + m. Raises ValueError for a generator elsewhere.

    >>> a, b = (draw(3, torch.Generator().manual_seed(5), (8, 8)) for _ in range(2))
    >>> bool((a.left == b.left).all())
    True
    """
    positive_int("n", n)
    rows, columns = (positive_int("size", s) for s in size)
    if generator.device.type != "cpu":
        raise ValueError(
            f"generator: is on {generator.device}, must be on the CPU: the views are the same on any device"
        )
    # one row an image, and double precision: so that the numbers do not depend on how many are drawn at a time
    u = torch.rand(n, 2 * _ATTEMPTS + 15, generator=generator, dtype=torch.float64)
    tries, u = u[:, : 2 * _ATTEMPTS].view(n, _ATTEMPTS, 2), u[:, 2 * _ATTEMPTS :]

    area = (recipe.scale[0] + (recipe.scale[1] - recipe.scale[0]) * tries[..., 0]) * (rows * columns)
    low, high = (math.log(r) for r in recipe.ratio)
    ratio = torch.exp(low + (high - low) * tries[..., 1])
    widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (widths >= 1) & (widths <= columns) & (heights >= 1) & (heights <= rows)
    found, first = fits.any(dim=1), fits.int().argmax(dim=1, keepdim=True)
    whole = min(max(columns / rows, recipe.ratio[0]), recipe.ratio[1])
    fallback = (min(columns, round(rows * whole)), min(rows, round(columns / whole)))
    width, height = (
        torch.where(found, wanted.gather(1, first)[:, 0], float(instead))
        for wanted, instead in zip((widths, heights), fallback)
    )
    left = torch.where(found, (u[:, 0] * (columns - width + 1)).floor(), ((columns - width) / 2).round())
    top = torch.where(found, (u[:, 1] * (rows - height + 1)).floor(), ((rows - height) / 2).round())

    def factor(strength: float, column: int) -> Tensor:
        smallest = max(0.0, 1.0 - strength)
        return smallest + (1.0 + strength - smallest) * u[:, column]

    blurred = recipe.sigma[0] + (recipe.sigma[1] - recipe.sigma[0]) * u[:, 9]
    return Draws(
        *(part.long() for part in (left, top, width, height)),
        flip=u[:, 2] < recipe.p_flip,
        jitter=u[:, 3] < recipe.p_jitter,
        brightness=factor(recipe.brightness, 4),
        contrast=factor(recipe.contrast, 5),
        saturation=factor(recipe.saturation, 6),
        hue=recipe.hue * (2.0 * u[:, 7] - 1.0),
        order=u[:, 11:15].argsort(dim=1),
        grayscale=u[:, 8] < recipe.p_grayscale,
        sigma=torch.where(u[:, 10] < recipe.p_blur, blurred, 0.0),
    )


def augment(images: Tensor, generator: torch.Generator, recipe: Augmentation = OFFICIAL) -> Tensor:
    """One random view of each image, `view` with the parameters of `draw`; shapes and errors as there.

    >>> x = torch.rand(2, 3, 8, 8)
    >>> a, b = (augment(x, torch.Generator().manual_seed(0)) for _ in range(2))
    >>> a.shape, bool((a == b).all())
    (torch.Size([2, 3, 8, 8]), True)
    """
    _check(images)
    return view(images, draw(len(images), generator, tuple(images.shape[2:]), recipe))


def view(images: Tensor, draws: Draws) -> Tensor:
    """The views with the given parameters: float tensor of the shape of ``images``, values from 0 to 1.

    ``images`` is (n, channels, rows, columns), 1 or 3 channels, either uint8 or floating-point from 0 to 1, on any
    device, where all the work is done. Raises ValueError for another form or number of images.

    >>> x = torch.rand(1, 1, 4, 4)
    >>> plain = Augmentation(scale=(1.0, 1.0), ratio=(1.0, 1.0), p_jitter=0.0, p_blur=0.0, p_flip=0.0)
    >>> bool(torch.allclose(view(x, draw(1, torch.Generator(), (4, 4), plain)), x))
    True
    """
    _check(images)
    if len(draws) != len(images):
        raise ValueError(f"draws: are for {len(draws)} images, must be for {len(images)}")
    out = crop(images.float() / 255 if images.dtype == torch.uint8 else images, draws)
    steps = (_brightness, _contrast, _saturation, _hue) if images.shape[1] == 3 else (_brightness, _contrast)
    strengths = (draws.brightness, draws.contrast, draws.saturation, draws.hue)
    for place in range(4):
        for number, step in enumerate(steps):
            rows = (draws.jitter & (draws.order[:, place] == number)).nonzero()[:, 0]
            if len(rows):
                _change(out, rows, step, strengths[number][rows])
    if images.shape[1] == 3 and draws.grayscale.any():
        _change(out, draws.grayscale.nonzero()[:, 0], lambda x, _: grey(x).expand_as(x), draws.sigma)
    rows = draws.sigma.nonzero()[:, 0]
    if len(rows):
        _change(out, rows, blur, draws.sigma[rows])
    return out


def _check(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.numel():
        raise ValueError(f"images: have shape {tuple(images.shape)}, must be (n, 1 or 3, rows, columns)")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"images: are {images.dtype}, must be uint8 or floating-point from 0 to 1")


def _change(out: Tensor, rows: Tensor, step, strengths: Tensor) -> None:
    """Replace the given rows; they are known on the CPU, so that a GPU never has to be waited for."""
    rows = rows.to(out.device, non_blocking=True)
    out[rows] = step(out[rows], strengths.to(out, non_blocking=True))


def crop(images: Tensor, draws: Draws) -> Tensor:
    """Cut out each crop and stretch it bilinearly to the size of the image, mirrored where draws.flip says so.

    No pixel outside of the crop is read, as if it had been cut out first. Floating-point images (n, c, rows, columns).

    >>> x = torch.arange(4.0).view(1, 1, 1, 4)
    >>> one = torch.ones(1, dtype=torch.long)
    >>> half = Draws(*(0 * one, 0 * one, 2 * one, one), *([one > 0] + [one] * 8))
    >>> crop(x, half).flatten().tolist()          # pixels 0 and 1 stretched to four, mirrored
    [1.0, 0.75, 0.25, 0.0]
    """
    n, _, rows, columns = images.shape

    def places(start: Tensor, length: Tensor, size: int) -> Tensor:
        start, length = start.to(images)[:, None], length.to(images)[:, None]
        inner = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) * (length / size) - 0.5
        return start + torch.minimum(inner.clamp(min=0.0), length - 1.0)

    x, y = places(draws.left, draws.width, columns), places(draws.top, draws.height, rows)
    x = torch.where(draws.flip.to(images.device)[:, None], x.flip(1), x)
    # grid_sample's unit: the centre of pixel i of m is at (2 i + 1) / m - 1
    x, y = (2.0 * x + 1.0) / columns - 1.0, (2.0 * y + 1.0) / rows - 1.0
    grid = torch.stack((x[:, None, :].expand(n, rows, columns), y[:, :, None].expand(n, rows, columns)), dim=3)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def grey(images: Tensor) -> Tensor:
    """Luminance of colour images (n, 3, rows, columns), or of grey ones themselves: (n, 1, rows, columns).

    >>> round(grey(torch.ones(1, 3, 1, 1)).item(), 3)
    1.0
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue).unsqueeze(1)


def _blend(images: Tensor, other: Tensor | float, factor: Tensor) -> Tensor:
    factor = factor[:, None, None, None]
    return (factor * images + (1.0 - factor) * other).clamp_(0.0, 1.0)


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, 0.0, factor)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, grey(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, grey(images), factor)


def _hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of HSV, whose value v and chroma c stay: a channel is v - c times a trapezoid of the hue."""
    red, green, blue = images.unbind(1)
    value, low = images.amax(dim=1), images.amin(dim=1)
    chroma = value - low
    safe = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2.0 + (blue - red) / safe, 4.0 + (red - green) / safe),
    )
    hue = hue + 6.0 * turns[:, None, None]
    channels = []
    for start in (5.0, 3.0, 1.0):
        k = torch.remainder(start + hue, 6.0)
        channels.append(value - chroma * torch.minimum(k, 4.0 - k).clamp_(0.0, 1.0))
    return torch.stack(channels, dim=1)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with one standard deviation (n,) in pixels for each image; the image is mirrored at its edges.

    The kernel is cut at 8 pixels (four times the official largest sigma), or one less than the image has, and sums
    to 1. Separable, so that one matrix an image and axis does it: floating-point images (n, c, rows, columns).

    >>> blur(torch.ones(1, 1, 4, 4), torch.tensor([1.0])).round(decimals=5).unique().tolist()
    [1.0]
    """
    down, across = (_blur_matrix(sigma.to(images), size) for size in images.shape[2:])
    return down[:, None] @ images @ across[:, None].mT


def _blur_matrix(sigma: Tensor, size: int) -> Tensor:
    reach = min(8, size - 1)
    offsets = torch.arange(-reach, reach + 1, device=sigma.device, dtype=sigma.dtype)
    kernel = torch.softmax(-0.5 * (offsets / sigma[:, None]) ** 2, dim=1)
    return (kernel @ _mirrored(size, reach).to(sigma)).view(-1, size, size)


@cache
def _mirrored(size: int, reach: int) -> Tensor:
    """(2 reach + 1, size * size): for each offset, which pixel is read at i + offset, mirrored about the end pixels."""
    out = torch.zeros(2 * reach + 1, size, size)
    for k in range(2 * reach + 1):
        for i in range(size):
            j = abs(i + k - reach)
            out[k, i, 2 * (size - 1) - j if j >= size else j] = 1.0
    return out.view(2 * reach + 1, size * size)


def statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of uint8 images (n, c, rows, columns), over 255; float32 (c,).

    Raises ValueError as `view`.

    >>> statistics(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2))
    (tensor([0.5000]), tensor([0.5000]))
    """
    _check(images)
    # counts are exact, and an image of one byte a pixel needs no copy of eight
    counts = torch.stack([torch.bincount(channel.flatten().int(), minlength=256) for channel in images.unbind(1)])
    values, share = torch.arange(256.0, device=images.device).double() / 255, counts / counts.sum(1, keepdim=True)
    mean = share.double() @ values
    spread = (share.double() * (values - mean[:, None]) ** 2).sum(dim=1).sqrt()
    return mean.float(), spread.float()


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(images - mean) / std, channel by channel; a channel without spread is only centred.

    >>> normalise(torch.ones(1, 1, 1, 1), torch.tensor([0.5]), torch.tensor([0.25])).item()
    2.0
    """
    std = torch.where(std > 0, std, 1.0)
    return (images - mean.to(images)[:, None, None]) / std.to(images)[:, None, None]
