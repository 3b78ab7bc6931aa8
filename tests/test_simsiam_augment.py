"""The augmentation against kornia's functions given the same parameters, and against torchvision's algorithm."""

import inspect
import math
from dataclasses import fields, replace

import kornia.color
import kornia.enhance
import kornia.filters
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from torch.nn import functional

from featnorm.simsiam import augment as aug

N = 24
PLAIN = aug.Augmentation(
    scale=(1.0, 1.0), ratio=(1.0, 1.0), p_jitter=0.0, p_grayscale=0.0, p_blur=0.0, p_flip=0.0, hue=0.0
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=N, channels=3, rows=12, columns=10, seed=0):
    return torch.rand(n, channels, rows, columns, generator=rng(seed), dtype=torch.float64)


def plain(n=N, rows=12, columns=10, **changes):
    """Draws that change nothing but what is given."""
    draws = aug.draw(n, rng(), (rows, columns), PLAIN)
    whole = {"left": 0, "top": 0, "width": columns, "height": rows}
    return replace(draws, **{k: torch.full((n,), v) for k, v in whole.items()} | changes)


def jittered(step, **changes):
    """Draws with the other three factors neutral."""
    neutral = {"brightness": torch.ones(N), "contrast": torch.ones(N), "saturation": torch.ones(N)}
    neutral |= {"hue": torch.zeros(N), "jitter": torch.ones(N, dtype=torch.bool)}
    return plain(**neutral | {step: changes[step]})


def test_crop_and_flip_equal_cut_out_resize_and_mirror():
    x, draws = images(), aug.draw(N, rng(1), (12, 10))
    for i, out in enumerate(aug.crop(x, draws)):
        left, top, width, height = (int(getattr(draws, k)[i]) for k in ("left", "top", "width", "height"))
        cut = x[i : i + 1, :, top : top + height, left : left + width]
        wanted = functional.interpolate(cut, size=(12, 10), mode="bilinear", align_corners=False)[0]
        assert torch.allclose(out, wanted.flip(2) if draws.flip[i] else wanted, atol=1e-12)
    assert draws.flip.any() and not draws.flip.all()


STRENGTHS = torch.linspace(0.6, 1.4, N, dtype=torch.float64)


@pytest.mark.parametrize(
    ("step", "strength", "reference"),
    [
        ("brightness", STRENGTHS, lambda x: kornia.enhance.adjust_brightness_accumulative(x, STRENGTHS)),
        ("contrast", STRENGTHS, lambda x: kornia.enhance.adjust_contrast_with_mean_subtraction(x, STRENGTHS)),
        ("saturation", STRENGTHS, lambda x: kornia.enhance.adjust_saturation_with_gray_subtraction(x, STRENGTHS)),
        ("hue", (STRENGTHS - 1.0) / 4, lambda x: kornia.enhance.adjust_hue(x, (STRENGTHS - 1.0) / 4 * 2 * math.pi)),
    ],
)
def test_colour_steps_agree_with_kornia(step, strength, reference):
    x = images()
    ours, theirs = aug.view(x, jittered(step, **{step: strength})), reference(x)
    # kornia has 0.299 for 0.2989 in its luminance, and adds 1e-8 to a divisor of the hue
    assert torch.allclose(ours, theirs, atol=2e-4 if step in ("contrast", "saturation") else 1e-6)
    assert not torch.allclose(ours, x, atol=1e-2)


def test_grayscale_agrees_with_kornia():
    x = images()
    ours = aug.view(x, plain(grayscale=torch.ones(N, dtype=torch.bool)))
    assert torch.allclose(ours, kornia.color.rgb_to_grayscale(x).expand_as(x), atol=2e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_agrees_with_kornia(channels):
    x = images(channels=channels, rows=20, columns=9)
    sigma = torch.linspace(0.1, 2.0, N, dtype=torch.float64)
    both = sigma[:, None].expand(N, 2)
    theirs = kornia.filters.gaussian_blur2d(x, (17, 17), both, border_type="reflect")
    assert torch.allclose(aug.view(x, plain(rows=20, columns=9, sigma=sigma)), theirs, atol=1e-6)


def test_jitter_composes_in_the_drawn_order():
    x, draws = images(), aug.draw(N, rng(3), (12, 10), replace(PLAIN, p_jitter=1.0, hue=0.1))
    draws = replace(draws, **{k: getattr(plain(), k) for k in ("left", "top", "width", "height")})
    out = aug.view(x, draws)
    for i in range(N):
        expected = x[i : i + 1]
        for step in draws.order[i].tolist():
            name = ("brightness", "contrast", "saturation", "hue")[step]
            expected = getattr(aug, f"_{name}")(expected, getattr(draws, name)[i : i + 1])
        assert torch.allclose(out[i], expected[0], atol=1e-12)
    assert len({tuple(o) for o in draws.order.tolist()}) > 10


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 2**31))
def test_draws_do_not_depend_on_the_split(n, m, seed):
    generator = rng(seed)
    parts = [aug.draw(k, generator, (8, 8)) for k in (n, m) if k]
    whole = aug.draw(n + m, rng(seed), (8, 8))
    for field in fields(aug.Draws):
        assert torch.equal(torch.cat([getattr(p, field.name) for p in parts]), getattr(whole, field.name))


def test_views_do_not_depend_on_the_split_up_to_rounding():
    x, draws = images(channels=3), aug.draw(N, rng(4), (12, 10))
    parts = torch.cat([aug.view(x[s], draws[s]) for s in (slice(0, 5), slice(5, N))])
    assert torch.allclose(aug.view(x, draws), parts, atol=1e-12)


def test_crops_have_the_documented_law():
    size, n = 4096, 20_000  # so fine that rounding to pixels is lost in the noise
    draws = aug.draw(n, rng(5), (size, size))
    width, height = draws.width.double(), draws.height.double()
    ratio = (width / height).log()
    assert (ratio.abs() <= math.log(4 / 3) + 1e-2).all()
    # a crop of area s fits for |log ratio| <= -log s: below 3/4 always, so there both laws are uniform and independent
    area = width * height / size**2
    small = (area < 0.75) & (area > 0.2)
    low, span = math.log(3 / 4), 2 * math.log(4 / 3)
    # the level is a false alarm's probability: `featnorm.claims.model.FALSE_ALARM`
    assert kstest(area[small].numpy(), "uniform", args=(0.2, 0.55)).pvalue > 5e-7
    assert kstest(ratio[small].numpy(), "uniform", args=(low, span)).pvalue > 5e-7
    assert kstest(area[small].sqrt().numpy(), "uniform", args=(0.2**0.5, 0.75**0.5 - 0.2**0.5)).pvalue < 5e-7
    # position: uniform over what the crop leaves
    free = width < size
    assert kstest((draws.left[free] / (size - width[free])).numpy(), "uniform").pvalue > 5e-7
    for flag, p in (("flip", 0.5), ("jitter", 0.8), ("grayscale", 0.2)):
        share = getattr(draws, flag).double().mean().item()
        assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / n)
    assert draws.sigma[draws.sigma > 0].min() >= 0.1 and draws.sigma.max() <= 2.0


def test_a_crop_that_never_fits_is_the_central_one():
    draws = aug.draw(4, rng(), (4, 40), aug.Augmentation(scale=(1.0, 1.0)))
    assert draws.height.tolist() == [4] * 4 and draws.width.tolist() == [5] * 4  # 4 * 4/3, rounded
    assert draws.left.tolist() == [18] * 4  # 17.5 rounded to even


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_views_stay_within_the_range(dtype, channels):
    x = (images(channels=channels) * 255).to(torch.uint8) if dtype == torch.uint8 else images(channels=channels).float()
    before = x.clone()
    out = aug.augment(x, rng())
    assert out.dtype == torch.float32 and out.min() >= 0 and out.max() <= 1 + 1e-6
    assert torch.equal(x, before)


def test_a_grey_image_gets_the_same_as_equal_channels_where_no_colour_step_acts():
    x, recipe = images(channels=1), aug.Augmentation(hue=0.0, saturation=0.0)
    grey, colour = aug.augment(x, rng(), recipe), aug.augment(x.expand(-1, 3, -1, -1), rng(), recipe)
    assert torch.allclose(grey.expand_as(colour), colour, atol=2e-4)  # the luminance weights sum to 0.9999


def test_statistics_and_normalise():
    x = (images() * 255).to(torch.uint8)
    mean, std = aug.statistics(x)
    z = aug.normalise(x / 255, mean, std)
    assert torch.allclose(z.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(z.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    assert aug.normalise(torch.ones(1, 1, 2, 2), torch.ones(1), torch.zeros(1)).eq(0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: aug.Augmentation(scale=(0.5, 0.2)), "scale"),
        (lambda: aug.Augmentation(scale=(0.2, 1.5)), "scale"),
        (lambda: aug.Augmentation(sigma=(0.0, 1.0)), "sigma"),
        (lambda: aug.Augmentation(p_flip=1.2), "p_flip"),
        (lambda: aug.Augmentation(brightness=-1.0), "brightness"),
        (lambda: aug.augment(torch.rand(2, 2, 4, 4), rng()), "images"),
        (lambda: aug.augment(torch.ones(2, 3, 4, 4, dtype=torch.int64), rng()), "uint8"),
        (lambda: aug.view(torch.rand(2, 3, 4, 4), aug.draw(3, rng(), (4, 4))), "draws"),
        (lambda: aug.draw(0, rng(), (4, 4)), "n = 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_defaults_are_the_official_recipe():
    wanted = {"scale": (0.2, 1.0), "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    wanted |= {"p_jitter": 0.8, "p_grayscale": 0.2, "p_blur": 0.5, "p_flip": 0.5, "sigma": (0.1, 2.0)}
    defaults = {k: p.default for k, p in inspect.signature(aug.Augmentation).parameters.items()}
    assert wanted.items() <= defaults.items()
