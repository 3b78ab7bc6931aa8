"""SimSiam on images: encoders, losses, measures, training that resumes, experiments that can be cut short."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from featnorm import setting
from featnorm.cli import main
from featnorm.simsiam import image_sweep
from featnorm.simsiam.encoders import convnet, resnet
from featnorm.simsiam.image import ImageConfig, measure, train, write_checkpoint
from featnorm.simsiam.image_inputs import Images, augment, digits, read_npz
from featnorm.simsiam.linear import symmetrised_loss
from featnorm.simsiam.losses import METHODS, method_loss

SMALL = ImageConfig(width=4, h=8, batch=16, epochs=2, flip=False, seed=3, knn_every=1)


def small_images() -> Images:
    data = digits()
    return Images(data.x_train[:64], data.y_train[:64], data.x_test[:32], data.y_test[:32])


@pytest.mark.parametrize(("stem", "classes", "known"), [("cifar", 10, 11_173_962), ("imagenet", 1000, 11_689_512)])
def test_resnet18_has_its_known_number_of_parameters(stem: str, classes: int, known: int) -> None:
    # The published nets have a bias in the last layer, ours has none.
    assert sum(p.numel() for p in resnet(classes, stem).parameters()) + classes == known


def test_encoders_map_images_to_h() -> None:
    for net in (resnet(5, "imagenet", 4, 1), resnet(5, width=4), convnet(5, 4)):
        assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 5)
    with pytest.raises(ValueError, match="width = 0"):
        resnet(5, width=0)


@pytest.mark.parametrize("loss", ["cosine", "l2"])
def test_simsiam_agrees_with_the_linear_model(loss: str) -> None:
    rng = torch.Generator().manual_seed(0)
    W, Phi, x, x1 = (torch.randn(*s, generator=rng, dtype=torch.float64) for s in ((4, 4), (4, 6), (9, 6), (9, 6)))
    q, q1 = x @ Phi.T, x1 @ Phi.T
    value = method_loss("simsiam", loss, W, q, q1, q, q1)
    assert torch.allclose(value, symmetrised_loss(W, Phi, x, x1, loss), rtol=1e-13)


def test_stop_gradient_is_where_the_methods_differ() -> None:
    rng = torch.Generator().manual_seed(0)
    W, q, q1 = (torch.randn(5, 5, generator=rng, dtype=torch.float64, requires_grad=True) for _ in range(3))
    found = {}
    for method in ("simsiam", "no-stop"):
        value = method_loss(method, "cosine", W, q, q1, q, q1)
        found[method] = value.item(), torch.autograd.grad(value, q)[0]
    assert found["simsiam"][0] == found["no-stop"][0]
    assert not torch.allclose(found["simsiam"][1], found["no-stop"][1])


def test_measure_is_the_linear_models_on_isotropic_input() -> None:
    rng = np.random.default_rng(0)
    W, Phi = rng.normal(size=(4, 4)), rng.normal(size=(4, 6))
    x = np.linalg.qr(rng.normal(size=(50, 6)))[0] * np.sqrt(50)  # its second moments are exactly the identity
    out = measure(torch.from_numpy(x @ Phi.T), torch.from_numpy(W))
    norms = setting.norms(W, Phi)
    np.testing.assert_allclose(
        [out["N_Phi"], out["N_Psi"], out["N_x"]], [norms.N_Phi, norms.N_Psi, norms.N_x], rtol=1e-12
    )


def test_standard_errors_are_those_of_many_samples() -> None:
    rng = np.random.default_rng(1)
    W, n, repeats = torch.from_numpy(rng.normal(size=(3, 3))), 400, 400
    runs = [measure(torch.from_numpy(rng.normal(size=(n, 3))), W) for _ in range(repeats)]
    for name in ("N_Phi", "N_Psi", "N_x"):
        ratio = np.mean([r[f"{name}_se"] for r in runs]) / np.std([r[name] for r in runs])
        assert abs(ratio - 1) < 5 / np.sqrt(2 * repeats)  # five standard errors of a standard deviation


def test_collapsed_features_are_seen() -> None:
    assert measure(torch.ones(9, 4))["feature_std"] == 0.0
    assert np.isnan(measure(torch.zeros(9, 4), torch.eye(4))["N_x"])


@pytest.mark.parametrize("method", METHODS)
def test_each_method_trains_two_steps(method: str) -> None:
    run = train(replace(SMALL, method=method), small_images(), max_steps=2)
    assert run is not None and run.steps == 2 and not run.failed and np.isfinite(run.records["loss"][-1])


def test_options_for_the_gpu_run_on_the_cpu() -> None:
    config = replace(
        image_sweep.experiments("gpu")["main"], device="cpu", width=4, h=8, batch=8, deterministic=True, compiled=False
    )
    run = train(config, small_images(), max_steps=2)
    assert run is not None and run.steps == 2 and not run.failed
    assert train(replace(SMALL, heads="standard"), small_images(), max_steps=2).steps == 2


@pytest.mark.parametrize("method", ["simsiam", "byol", "directpred"])
def test_resumed_run_has_the_same_numbers(method: str, tmp_path) -> None:
    config, data = replace(SMALL, method=method), small_images()
    whole = train(config, data)
    assert train(config, data, tmp_path / "c", stop=lambda: True) is None
    parts = train(config, data, tmp_path / "c")
    for name, value in whole.records.items():
        np.testing.assert_array_equal(value, parts.records[name], err_msg=name)
    with pytest.raises(ValueError, match=r"another run .*rho: 0\.0001 there, 0\.5 here"):
        train(replace(config, rho=0.5), data, tmp_path / "c")


def test_checkpoint_is_split(tmp_path) -> None:
    big = np.zeros(2_500_000, dtype=np.float32)
    write_checkpoint(tmp_path / "c", {"a": big, "b": big}, {})
    sizes = [f.stat().st_size for f in (tmp_path / "c").glob("*.npz")]
    assert len(sizes) == 2 and max(sizes) <= 16_000_000


def test_sweep_is_balanced_resumable_and_refuses_other_results(tmp_path, capsys) -> None:
    names = list(image_sweep.experiments("cpu"))
    decay = [n for n in names if n.startswith("decay")]
    assert [n[-1] for n in decay] == ["0"] * 15 + ["1"] * 15 + ["2"] * 15
    runs = {"one": SMALL, "two": replace(SMALL, rho=0.1)}
    assert image_sweep.sweep(runs, small_images(), tmp_path, max_minutes=0.0) == 2
    assert image_sweep.sweep(runs, small_images(), tmp_path) == 0
    assert read_knn(tmp_path) == 3
    with pytest.raises(ValueError, match="another configuration"):
        image_sweep.sweep({"one": replace(SMALL, rho=0.2)}, small_images(), tmp_path)


def read_knn(folder) -> int:
    return len(image_sweep.read_result(folder, "one")[1]["knn"])


def test_decay_times_span_what_the_figure_needs() -> None:
    for size, images in (("cpu", 10_000), ("gpu", 50_000)):
        times = [c.decay_time(images) for n, c in image_sweep.experiments(size).items() if n.startswith("decay-cosine")]
        positive = [t for t in times if t > 0]
        assert min(positive) < 0.02 and max(positive) >= 10 and 0.0 in times


def test_views_repeat() -> None:
    x = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    a, b = (augment(x, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(a, b) and a.shape == x.shape and 0 <= a.min() and a.max() <= 1


def test_bad_input_is_named(tmp_path, capsys) -> None:
    with pytest.raises(ValueError, match=r"momentum = 1\.0"):
        ImageConfig(momentum=1.0)
    with pytest.raises(ValueError, match="batch = 100: must be at most 64"):
        train(replace(SMALL, batch=100), small_images())
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device = 'cuda': is not available"):
            train(replace(SMALL, device="cuda"), small_images())
    np.savez(tmp_path / "p.npz", x_train=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        read_npz(tmp_path / "p.npz")
    assert main(["image", "--size", "cpu"]) == 2
    assert "--folder" in capsys.readouterr().err
