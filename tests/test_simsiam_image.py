"""SimSiam on images: encoders, losses, measures, training that resumes, experiments that can be cut short."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from featnorm import results, setting
from featnorm.cli import main
from featnorm.simsiam import image_sweep, probe
from featnorm.simsiam.data import ImageData, load, save_npz
from featnorm.simsiam.encoders import convnet, resnet
from featnorm.simsiam.image import (
    ImageConfig,
    ImageRun,
    Model,
    measure,
    pixels,
    read_checkpoint,
    train,
    write_checkpoint,
)
from featnorm.simsiam.image_probe import features, train_and_probe
from featnorm.simsiam.linear import symmetrised_loss
from featnorm.simsiam.losses import METHODS, method_loss

SMALL = ImageConfig(width=4, h=8, batch=16, epochs=2, flip=False, seed=3, knn_every=1, neighbours=20)


def small_images() -> ImageData:
    data = load("digits")
    return replace(
        data, x_train=data.x_train[:64], y_train=data.y_train[:64], x_test=data.x_test[:32], y_test=data.y_test[:32]
    )


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
    norms = setting.norms(W, Phi)
    for last in (None, Phi):
        out = measure(x @ Phi.T, x @ Phi.T, W, last)
        np.testing.assert_allclose(
            [out["N_Phi"], out["N_Psi"], out["N_x"]], [norms.N_Phi, norms.N_Psi, norms.N_x], rtol=1e-12
        )
        assert out["commutator"] == pytest.approx(setting.commutator(Phi @ Phi.T, W), rel=1e-12)
        assert out["norm_W"] == pytest.approx(np.linalg.norm(W), rel=1e-14)


def test_what_contains_W_is_nan_without_it_and_the_rest_is_the_same() -> None:
    q, v = np.random.default_rng(0).normal(size=(2, 30, 4))
    v = v + 2 * q
    with_W, without = measure(q, v, np.eye(4)), measure(q, v)
    assert set(with_W) == set(without)
    for name, value in without.items():
        assert np.isnan(value).all() or np.array_equal(value, with_W[name])


def test_record_is_in_the_unit_of_the_last_layer() -> None:
    run = train(replace(SMALL, rho=0.0), small_images(), max_steps=1)
    start = Model(SMALL, 1).encoder[-1].weight
    assert run.records["N_Phi"][0] == pytest.approx(start.norm().item(), rel=1e-6)  # single precision


def test_pixels_are_normalised() -> None:
    train_pixels, _ = pixels(load("digits"))
    assert abs(train_pixels.mean()) < 1e-4 and abs(train_pixels.std() - 1) < 1e-4  # sums of 1e5 numbers of 6e-8


@pytest.mark.parametrize("method", METHODS)
def test_each_method_trains_two_steps(method: str) -> None:
    run = train(replace(SMALL, method=method), small_images(), max_steps=2)
    assert run is not None and run.steps == 2 and not run.failed and np.isfinite(run.records["loss"][-1])


def test_options_for_the_gpu_run_on_the_cpu() -> None:
    config = replace(
        image_sweep.experiments("gpu")["main"], device="cpu", width=4, h=8, batch=8, neighbours=20, deterministic=True
    )
    run = train(config, small_images(), max_steps=2)
    assert run is not None and run.steps == 2 and not run.failed
    assert train(replace(SMALL, heads="standard"), small_images(), max_steps=2).steps == 2


def test_main_runs_follow_appendix_d2_and_the_cpu_ones_are_those_of_the_archive() -> None:
    gpu = image_sweep.experiments("gpu")["main"]
    assert (gpu.encoder, gpu.width, gpu.depth, gpu.heads, gpu.epochs, gpu.blur) == (
        "resnet-cifar",
        64,
        2,
        "linear",
        100,
        True,
    )
    runs = {n: c for n, c in image_sweep.experiments("cpu").items() if n.startswith("main")}
    assert results.load("image-resnet-cpu").manifest["config"]["runs"] == {n: asdict(c) for n, c in runs.items()}


def pickled(path) -> None:
    np.savez(path, x_train=np.array([{}], dtype=object))


def truncated(path) -> None:
    save_npz(path, small_images())
    path.write_bytes(path.read_bytes()[:-500])


def of_floats(path) -> None:
    images = small_images()
    arrays = {name: getattr(images, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(path, **arrays | {"x_train": images.x_train / 255})


def empty_folder(path) -> None:
    path.mkdir()


@pytest.mark.parametrize("write", [pickled, truncated, of_floats, empty_folder])
def test_bad_images_end_the_list_with_one_line(write, capsys, tmp_path) -> None:
    write(tmp_path / "bad.npz")
    argv = ["--size", "cpu", "--only", "main", "--folder", str(tmp_path / "out"), "--data", str(tmp_path / "bad.npz")]
    assert main(["image", *argv]) == 2
    shown = capsys.readouterr()
    assert "bad.npz" in shown.err and shown.err.count("\n") == 1 and shown.out == ""
    assert not list(tmp_path.glob("out/*"))


def test_no_cuda_no_memory_and_another_checkpoint_end_with_one_line(capsys, tmp_path, monkeypatch) -> None:
    small = ["--set", "width=4", "--set", "h=8", "--set", "epochs=1", "--folder", str(tmp_path / "c")]
    if not torch.cuda.is_available():
        assert main(["image", *small, "--set", 'device="cuda"']) == 2
        assert "finds no CUDA device" in capsys.readouterr().err
    assert main(["image", *small]) == 0
    capsys.readouterr()
    assert main(["image", *small, "--set", "rho=0.5"]) == 2
    assert "belongs to another run" in capsys.readouterr().err

    def full(*_args, **_more):
        raise torch.cuda.OutOfMemoryError("full")

    monkeypatch.setattr("featnorm.simsiam.image._train", full)
    assert main(["image", *small]) == 2
    assert "is too small; try 64" in capsys.readouterr().err


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


def test_checkpoint_is_split_and_a_damaged_one_refused(tmp_path) -> None:
    big, folder = np.zeros(2_500_000, dtype=np.float32), tmp_path / "c"
    write_checkpoint(folder, {"model.a": big, "model.b": big}, {"identity": {}})
    first, second = sorted(folder.glob("*.npz"))
    assert max(first.stat().st_size, second.stat().st_size) <= 16_000_000
    assert sorted(read_checkpoint(folder, {})[0]) == ["model.a", "model.b"]
    whole = second.read_bytes()
    second.write_bytes(whole[:-1000])
    with pytest.raises(ValueError, match="is damaged"):
        read_checkpoint(folder, {})
    second.unlink()
    with pytest.raises(ValueError, match="it has 1 parts of 2"):
        read_checkpoint(folder, {})


def test_sweep_is_balanced_resumable_and_refuses_other_results(tmp_path, capsys) -> None:
    names = list(image_sweep.experiments("cpu"))
    decay = [n for n in names if n.startswith("decay")]
    of_a_seed = 2 * len(image_sweep.RHOS["cpu"]) + len(image_sweep.CONTROL_RHOS["cpu"])
    assert [n[-1] for n in decay] == [seed for seed in "012" for _ in range(of_a_seed)]
    runs = {"one": SMALL, "two": replace(SMALL, rho=0.1)}
    assert image_sweep.sweep(runs, small_images(), tmp_path, max_minutes=0.0) == 2
    assert image_sweep.sweep(runs, small_images(), tmp_path) == 0
    assert read_knn(tmp_path) == 3
    with pytest.raises(ValueError, match="another configuration"):
        image_sweep.sweep({"one": replace(SMALL, rho=0.2)}, small_images(), tmp_path)
    with pytest.raises(ValueError, match="there is a run on other images"):
        image_sweep.sweep(runs, image_sweep.held_out(small_images(), 24), tmp_path)


def test_an_archive_is_verified_with_its_images_only(tmp_path) -> None:
    images, runs = small_images(), {"one": SMALL, "two": replace(SMALL, rho=0.1)}
    assert image_sweep.sweep(runs, images, tmp_path) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_sweep.results, "ROOT", tmp_path / "results")
        image_sweep.archive(runs, tmp_path, "demo", "featnorm image", "CPU")
        found = image_sweep.verify("demo", images, 1)
        assert found.agrees and found.difference == 0.0 and found.replayed == "runs = 1 of 2"
        assert image_sweep.results.load("demo").arrays["knn"].shape[0] == 2
        with pytest.raises(ValueError, match="first = 3: must be at most 2"):
            image_sweep.verify("demo", images, 3)
        other = replace(images, x_test=images.x_test ^ 1)
        with pytest.raises(ValueError, match=f"demo: was made of other images, of SHA-256 {images.sha256}"):
            image_sweep.verify("demo", other, 1)


def test_the_linear_probe_judges_the_features_that_nearest_neighbours_see(tmp_path) -> None:
    images, where = small_images(), tmp_path / "checkpoint"
    calls = iter([False, True])
    assert train_and_probe(replace(SMALL, epochs=3), images, where, stop=lambda: next(calls)) is None
    run = train_and_probe(replace(SMALL, epochs=3), images, where)
    assert run is not None
    plain = train(replace(SMALL, epochs=3), images)
    np.testing.assert_array_equal(run.records["rank"], plain.records["rank"])  # asking changes nothing
    linear = run.records["linear"]
    assert np.isnan(linear[1:-1]).all() and (run.records["linear_low"] < linear)[[0, -1]].all()
    model = Model(SMALL, 1)
    assert linear[0] == probe.linear(*judged(model, images)).value
    assert run.records["knn"][0] == probe.knn(*judged(model, images), SMALL.neighbours).value
    stored, _ = read_checkpoint(where, asdict(replace(SMALL, epochs=3)) | {"data": images.sha256})
    model.load_state_dict({n[6:]: torch.from_numpy(v) for n, v in stored.items() if n.startswith("model.")})
    assert linear[-1] == probe.linear(*judged(model, images)).value
    assert run.records["knn"][-1] == probe.knn(*judged(model, images), SMALL.neighbours).value


def judged(model: Model, images: ImageData) -> tuple:
    first, second = features(model, images)
    return first, images.y_train, second, images.y_test


def test_the_linear_probe_of_a_run_that_ended_early_is_missing() -> None:
    run = train_and_probe(replace(SMALL, loss="l2", lr=9.0, epochs=5), small_images())
    assert run.failed and len(run.records["linear"]) > 1
    assert np.isnan(run.records["linear"][-1]) and run.records["linear"][0] > 0


@pytest.mark.parametrize(("size", "images"), [("cpu", 10_000), ("gpu", 50_000)])
def test_every_decay_that_has_time_to_act_has_both_controls(size, images) -> None:
    runs = [c for n, c in image_sweep.experiments(size).items() if n.startswith("decay-")]
    times = {
        kind: {
            float(f"{c.decay_time(images):.4g}")
            for c in runs
            if (c.method, c.loss) == kind and c.decay_time(images) > 1
        }
        for kind in {(c.method, c.loss) for c in runs}
    }
    assert len(times) == 3 and max(times["simsiam", "cosine"]) > 10
    assert times["simsiam", "l2"] == times["no-stop", "cosine"] == times["simsiam", "cosine"]


def test_best_rate_is_chosen_by_held_out_images_among_the_runs_that_ended(tmp_path, monkeypatch) -> None:
    runs = {n: c for n, c in image_sweep.experiments("cpu").items() if n.startswith("relative-")}
    assert len(runs) == 3 * len(image_sweep.RELATIVES) == 36

    def write(knn, failed="") -> None:
        for i, (name, config) in enumerate(runs.items()):
            records = {"knn": np.array([0.9, knn[i % 3]])}
            image_sweep.write_result(
                tmp_path, name, ImageRun(config, records, 1, failed if i % 3 == 1 else ""), 1, "c", "d"
            )

    with pytest.raises(ValueError, match="has no result of 36 of 36 runs, the first is relative-simsiam"):
        image_sweep.at_best_rate("cpu", tmp_path)
    for knn, failed, cosine in (((0.1, 0.3, 0.2), "", 0.1), ((0.1, 0.3, 0.2), "nan", 0.3), ((0.2, 0.2, 0.2), "", 0.03)):
        write(knn, failed)
        best = image_sweep.at_best_rate("cpu", tmp_path)
        assert {c.lr for c in best.values() if c.loss == "cosine"} == {cosine}
        assert {c.lr for c in best.values() if c.loss == "l2"} == {cosine / 10}
        assert [c.seed for c in best.values()] == [seed for seed in (1, 2, 3) for _ in image_sweep.RELATIVES]
    for name, config in list(runs.items())[3:6]:
        image_sweep.write_result(tmp_path, name, ImageRun(config, {"knn": np.zeros(2)}, 1, "nan"), 1, "c", "d")
    with pytest.raises(ValueError, match="no run of simsiam l2 reached its end"):
        image_sweep.at_best_rate("cpu", tmp_path)


def test_images_that_chose_the_rates_do_not_judge_the_table(tmp_path, capsys) -> None:
    images = load("digits")
    (tmp_path / "rates").mkdir()
    for name, config in image_sweep.experiments("digits").items():
        if name.startswith("relative-"):
            image_sweep.write_result(
                tmp_path / "rates", name, ImageRun(config, {"knn": np.zeros(2)}, 1), 1, "c", images.sha256
            )
    argv = ["image", "--size", "digits", "--best-of", str(tmp_path / "rates"), "--folder", str(tmp_path / "out")]
    assert main([*argv, "--max-minutes", "0"]) == 2
    assert "judged by these test images; choose rates with --hold-out" in capsys.readouterr().err
    image_sweep.refuse_same_judges("digits", tmp_path / "rates", image_sweep.held_out(images, 400))


def test_held_out_images_are_no_test_images_and_are_not_trained_on(tmp_path, monkeypatch) -> None:
    images = small_images()
    part = image_sweep.held_out(images, 24)
    assert (part.x_train == images.x_train[:40]).all() and (part.x_test == images.x_train[40:]).all()
    assert (part.y_train == images.y_train[:40]).all() and (part.y_test == images.y_train[40:]).all()
    for count in (0, 64):
        with pytest.raises(ValueError, match=f"count = {count}"):
            image_sweep.held_out(images, count)
    monkeypatch.setattr(image_sweep.results, "ROOT", tmp_path / "results")
    assert image_sweep.sweep({"one": SMALL}, part, tmp_path) == 0
    image_sweep.archive({"one": SMALL}, tmp_path, "demo", "featnorm image", "CPU", part, hold_out=24)
    assert image_sweep.verify("demo", images, 1).agrees
    with pytest.raises(ValueError, match="was made of other images"):
        image_sweep.verify("demo", replace(images, x_train=images.x_train ^ 1), 1)


def read_knn(folder) -> int:
    return len(image_sweep.read_result(folder, "one")[1]["knn"])


def test_decay_times_span_what_the_figure_needs() -> None:
    for size, images in (("cpu", 10_000), ("gpu", 50_000)):
        times = [c.decay_time(images) for n, c in image_sweep.experiments(size).items() if n.startswith("decay-cosine")]
        positive = [t for t in times if t > 0]
        assert min(positive) < 0.02 and max(positive) >= 10 and 0.0 in times


def test_bad_input_is_named(tmp_path, capsys) -> None:
    with pytest.raises(ValueError, match=r"momentum = 1\.0"):
        ImageConfig(momentum=1.0)
    with pytest.raises(ValueError, match="batch = 100: must be at most 64"):
        train(replace(SMALL, batch=100), small_images())
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device = 'cuda': is not available"):
            train(replace(SMALL, device="cuda"), small_images())
    with pytest.raises(ValueError, match="neighbours = 200: must be at most 64"):
        train(replace(SMALL, neighbours=200), small_images())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--size", "cpu"], "--folder: must be given"),
        (["--set", "roh=1"], "--set roh=1: must be NAME=JSON"),
        (["--set", "loss=l2"], "the value is no JSON"),
        (["--data", "no-such-file.npz"], "no-such-file.npz"),
        (["--size", "cpu", "--only", "x", "--folder", "x"], "--only x: no run begins so"),
        (["--threads", "0"], "--threads = 0"),
        (["--threads", "100000"], "--threads = 100000: must be at most"),
        (["--set", 'bf16="x"'], "the value must be true or false"),
        (["--size", "digits", "--folder", "x", "--set", "rho=1"], "--set: is for one run"),
        (["--best-of", "x"], "--best-of: is for a list of runs"),
        (["--only", "main"], "--only: is for a list of runs"),
        (["--max-minutes", "0"], "--max-minutes: is for a list of runs"),
        (["--list"], "--list: is for a list of runs"),
        (["--archive", "x"], "--archive: is for a list of runs"),
        (["--hold-out", "0"], "--hold-out = 0"),
        (["--size", "cpu", "--best-of", "none", "--folder", "x"], "has no result of 36 of 36 runs"),
    ],
)
def test_bad_arguments_end_with_one_line(argv, words, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["image", *argv]) == 2
    shown = capsys.readouterr()
    assert words in shown.err and shown.out == "" and not list(tmp_path.iterdir())


def test_a_failed_download_ends_with_one_line(capsys, monkeypatch) -> None:
    def fails(*_):
        raise ConnectionError("the download failed")

    monkeypatch.setattr("featnorm.simsiam.data.load", fails)
    assert main(["image", "--images", "cifar10"]) == 2
    assert "the download failed" in capsys.readouterr().err


def test_the_command_trains_once_and_lists(capsys, tmp_path) -> None:
    small = ["--set", "width=4", "--set", "h=8", "--set", "epochs=1"]
    assert main(["image", *small]) == 0
    assert capsys.readouterr().out.split()[0] == "step"
    assert main(["image", "--size", "digits", "--only", "main", "--folder", str(tmp_path), "--list"]) == 0
    assert capsys.readouterr().out.split() == ["main"]
