"""The command line: exit codes, messages, and a light import."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import fields

import numpy as np
import pytest

from featnorm import cli, results
from featnorm.claims import CHECKS, REGISTRY
from featnorm.cli import main


def test_list_names_every_claim(capsys):
    assert main(["claims"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(REGISTRY)
    assert sum("not yet checked" in line for line in lines) == len(REGISTRY) - len(CHECKS)


def test_json_is_json(capsys):
    assert main(["claims", "eq-6", "eq-7", "--scale", "smoke", "--json"]) == 0
    assert [r["outcome"] for r in json.loads(capsys.readouterr().out)] == ["holds", "holds"]


def test_what_is_undecided_says_why(capsys):
    assert main(["claims", "figure-1", "--scale", "smoke"]) == 1
    outcome, why = capsys.readouterr().out.splitlines()
    assert outcome.startswith("figure-1: undecided (") and why.startswith("  The rule, fixed before the sweep, ")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["claims", "lema-1"], "did you mean 'lemma-1'"),
        (["claims", "eq-6", "figure-10"], "not yet checked"),
        (["claims", "--all", "eq-6"], "ID = 'eq-6' beside --all"),
        (["claims", "eq-7", "--seed", "-1"], "--seed = -1: must be a whole number >= 0"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(argv, words, capsys):
    assert main(argv) == 2
    out = capsys.readouterr()
    assert words in out.err and out.out == ""


def test_bad_scale_in_the_environment_is_named(monkeypatch, capsys):
    monkeypatch.setenv("FEATNORM_SCALE", "huge")
    assert main(["claims", "eq-7"]) == 2
    assert "FEATNORM_SCALE = 'huge': must be one of smoke, book, full" in capsys.readouterr().err


def test_help_has_examples():
    done = subprocess.run([sys.executable, "-m", "featnorm", "--help"], capture_output=True, text=True, check=True)
    assert "featnorm claims lemma-1" in done.stdout


def test_theory_does_not_load_torch():
    code = "import featnorm.equilibria, featnorm.matrix_flow, featnorm.claims, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argv", [["claims"], ["--help"]])
def test_a_closed_pipe_ends_quietly(argv, unbuffered):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "featnorm", *argv]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, env=env)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141 or (argv == ["--help"] and done.returncode == 0)  # argparse may swallow the error


def test_archived_runs_are_listed_and_verified(capsys, monkeypatch):
    assert main(["results"]) == 0
    assert "terminal-state-h12" in capsys.readouterr().out
    recipe = cli.ARCHIVES["terminal-state-h12"]
    for agrees, status, words in ((True, 0, "agrees"), (False, 1, "differs; the archive stays")):
        replay = results.Replay(1e-7, agrees, "starts = 2 of 200")
        monkeypatch.setattr(results, "verify", lambda *a, replay=replay: replay if a[1] is recipe else None)
        assert main(["results", "verify", "terminal-state-h12", "--first", "2"]) == status
        assert words in capsys.readouterr().out


def test_an_interrupted_run_ends_with_one_line(capsys, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "archive", interrupted)
    assert main(["archive", "terminal-state-h12"]) == 130
    assert capsys.readouterr().err == "featnorm: interrupted; archives are as they were\n"


@pytest.mark.parametrize("argv", [["archive"], ["results"], ["results", "verify"]])
def test_the_help_of_each_command_has_an_example(argv, capsys):
    with pytest.raises(SystemExit):
        main([*argv, "--help"])
    assert f"  featnorm {argv[0]}" in capsys.readouterr().out.partition("example")[2]


def test_verifying_too_much_is_refused(capsys):
    assert main(["results", "verify", "terminal-state-h12", "--first", "201"]) == 2
    assert "first = 201: must be at most starts = 200" in capsys.readouterr().err


# Training and sweeps --------------------------------------------------------------------------------------------------

TINY = ["--h", "4", "--d", "12", "--batch", "16", "--epochs", "3", "--steps-per-epoch", "5", "--record-every", "5"]


@pytest.fixture
def linear():
    """Only these tests start PyTorch."""
    from featnorm.simsiam import linear

    return linear


@pytest.fixture
def interrupt(monkeypatch, linear):
    """Ctrl-C in the middle of a training step."""

    def after(calls):
        seen, rate = itertools.count(), linear.learning_rate

        def patched(config, epoch):
            if next(seen) == calls:
                signal.raise_signal(signal.SIGINT)
            return rate(config, epoch)

        patch.setattr(linear, "learning_rate", patched)
        return patch

    with monkeypatch.context() as patch:
        yield after


@pytest.fixture
def full_disk():
    """No file may grow beyond a limit; what hides in buffers comes out before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_every_field_is_an_option_with_default_and_range(capsys, linear):
    from featnorm.commands.linear import HELP

    assert list(HELP) == [field.name for field in fields(linear.LinearConfig)]
    for command in ("linear", "sweep"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        words = " ".join(capsys.readouterr().out.split())
        assert f"featnorm {command} --" in words.partition("examples:")[2]
        for field in fields(linear.LinearConfig):
            assert f"--{field.name.replace('_', '-')}" in words
            assert f"{HELP[field.name]} (default {str(field.default).lower()})" in words


def test_the_help_of_the_others_does_not_load_torch():
    end = "sys.exit('featnorm.commands.linear' in sys.modules)"
    code = f"import sys; from featnorm.cli import _parser; _parser('claims'); {end}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_linear_says_what_became_of_the_run(tmp_path, capsys, linear):
    out = tmp_path / "run.npz"
    argv = ["linear", *TINY, "--rho", "0.2", "--no-symmetrised", "--samples", "40", "--out", str(out)]
    assert main(argv) == 0
    shown = capsys.readouterr()
    assert "15 steps" in shown.out and "survivors" in shown.out and "regime       Collapse at the start" in shown.out
    assert "step" in shown.err and [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    run = linear.load(out)
    assert run.config == linear.LinearConfig(
        h=4, d=12, batch=16, epochs=3, steps_per_epoch=5, record_every=5, rho=0.2, symmetrised=False, samples=40
    )
    np.testing.assert_array_equal(run.Phi, linear.train(run.config).Phi)
    assert main([*argv, "--json"]) == 0  # it is there already
    shown = capsys.readouterr()
    about = json.loads(shown.out)
    assert "holds this run already" in shown.err
    assert about["steps"] == 15 and about["N_Phi"] == [run.N_Phi[0], run.N_Phi[-1]] and about["stable_point"] is None
    assert about["survivors"] == np.sum(run.eig_W[-1] > run.eig_W[-1, 0] / 2)


def test_ctrl_c_keeps_a_linear_run_and_the_same_command_goes_on(tmp_path, capsys, linear, interrupt):
    argv = ["linear", *TINY, "--out", str(tmp_path / "a.npz")]
    patch = interrupt(7)
    assert main(argv) == 130
    assert "a.npz.checkpoint keeps what is done; the same command goes on" in capsys.readouterr().err
    patch.undo()
    before = (tmp_path / "a.npz.checkpoint").read_bytes()
    assert main([*argv, "--rho", "0.5"]) == 2
    assert "a.npz.checkpoint: has rho = 0.01 and not 0.5" in capsys.readouterr().err
    assert (tmp_path / "a.npz.checkpoint").read_bytes() == before
    assert main(argv) == 0 and [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    run = linear.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(run.Phi, linear.train(run.config).Phi)
    assert main([*argv, "--seed", "1"]) == 2
    assert "holds a run with seed = 0 and not 1" in capsys.readouterr().err


def test_ctrl_c_without_a_file_says_so(capsys, interrupt):
    interrupt(2)
    assert main(["linear", *TINY]) == 130
    assert "nothing is kept. With --out FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["linear", "--h", "0"], "h = 0: must be a whole number >= 1"),
        (["linear", "--batch", "64", "--samples", "10"], "samples = 10: must be at least batch = 64"),
        (["linear", "--h", "1000000"], "h = 1000000, d = 512, batch = 512, samples = None: need about 4e+04 GB"),
        (["linear", "--samples", "10000000000"], "samples = 10000000000: need about 4.1e+04 GB"),
        (["linear", "--device", "abacus"], "device = 'abacus': must be the name of a PyTorch device"),
        (["linear", *TINY, "--out", "no/such/folder/run.npz"], "there is no such folder"),
        (["sweep", "--out", "x", "--grid", "rho=0.1,-1"], "rho = -1.0: must be a finite number >= 0"),
        (["sweep", "--out", "x", "--grid", "roh=0.1"], "there is no field 'roh'; did you mean 'rho'?"),
        (["sweep", "--out", "x", "--grid", "rho=much"], "--grid rho=much: must be rho=a,b,c"),
        (["sweep", "--out", "x", "--grid", "seed=5:5"], "--grid seed=5:5: there is no value"),
        (["sweep", "--out", "x", "--grid", "symmetrised=2"], "--grid symmetrised=2"),
        (["sweep", "--out", "x", "--grid", "rho=0.1", "rho=0.2"], "a field is given twice"),
        (["sweep", "--out", "x", "--list", "no-such-file.json"], "no-such-file.json"),
        (["sweep", "--out", "x", "--samples", "600"], "samples = 600: only the plain engine has this"),
        (["sweep", "--out", "x", "--workers", "1", "--scheduler", "tcp://a:1"], "give one of the two"),
        (["sweep", "--out", "x", "--together", "0"], "--together = 0: must be a whole number >= 1"),
        (["sweep", "--out", "x", "--grid", "seed=0:1000000000"], "seed=0:1000000000: has more than 100000 values"),
        (["sweep", "--out", "x", "--grid", f"seed=0:{10**30}"], "has more than 100000 values"),
        (["sweep", "--out", "x", "--grid", "seed=0:1000", "h=1:1000"], "999000 runs, must be at most 100000"),
    ],
)
def test_impossible_training_is_refused_at_once(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert words in shown.err and shown.out == "" and not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[1]", '[{"roh": 1}]', '[{"rho": "much"}]'])
def test_a_list_that_is_no_list_of_runs(text, capsys, tmp_path):
    path = tmp_path / "runs.json"
    path.write_text(text)
    assert main(["sweep", "--out", str(tmp_path / "x"), "--list", str(path)]) == 2
    assert ("rho = 'much'" if "much" in text else "runs.json") in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_divergence_ends_with_one_line(capsys):
    assert main(["linear", *TINY, "--loss", "l2", "--lr", "1e6", "--epochs", "50"]) == 1
    assert "try a lower lr" in capsys.readouterr().err.splitlines()[-1]


def test_a_missing_scheduler_is_named_soon(capsys, tmp_path):
    pytest.importorskip("distributed")
    start = time.monotonic()
    assert main(["sweep", *TINY, "--out", str(tmp_path / "x"), "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "scheduler tcp://127.0.0.1:1: does not answer" in capsys.readouterr().err
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_sweep_makes_one_table(tmp_path, capsys, engine, linear):
    argv = ["sweep", *TINY, "--engine", engine, "--grid", "rho=0.01,0.1", "seed=0:3", "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    shown = capsys.readouterr()
    assert "runs             6" in shown.out and "run" in shown.err
    archive = results.load("table", tmp_path / "out")
    assert archive.manifest["made_by"] == f"featnorm.simsiam.tabled.{engine}" and not archive.stale
    assert archive.manifest["config"]["varied"] == ["rho", "seed"] and str(tmp_path) not in archive.manifest["command"]
    assert archive.arrays["eig_W"].shape == (6, 4, 4)
    np.testing.assert_array_equal(archive.arrays["config_rho"], [0.01, 0.01, 0.01, 0.1, 0.1, 0.1])
    if engine == "plain":
        config = linear.LinearConfig(h=4, d=12, batch=16, epochs=3, steps_per_epoch=5, record_every=5, rho=0.1, seed=2)
        np.testing.assert_array_equal(archive.arrays["loss"][5], linear.train(config).loss)
    assert main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == 6


def test_a_list_of_runs(tmp_path, capsys):
    (tmp_path / "runs.json").write_text('[{"rho": 0.1}, {"rho": 0.2, "h": 6, "samples": 20}]')
    argv = ["sweep", *TINY, "--engine", "plain", "--list", str(tmp_path / "runs.json"), "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    table = results.load("table", tmp_path / "out").arrays
    assert table["config_h"].tolist() == [4, 6] and table["eig_F"].shape == (2, 4, 6)
    np.testing.assert_array_equal(table["config_samples"], [np.nan, 20])


def test_ctrl_c_keeps_the_finished_runs_of_a_sweep(tmp_path, capsys, interrupt):
    argv = ["sweep", *TINY, "--engine", "plain", "--grid", "seed=0:4", "--out", str(tmp_path / "out")]
    patch = interrupt(2 * 16 + 5)
    assert main(argv) == 130
    assert "2 of 4 runs are kept" in capsys.readouterr().err
    patch.undo()
    assert main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == 2


def test_a_damaged_result_is_redone_and_a_failed_run_reported(tmp_path, capsys):
    argv = ["sweep", *TINY, "--grid", "seed=0:3", "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    first, *_ = sorted((tmp_path / "out").glob("*.npz"))
    whole = first.read_bytes()
    first.write_bytes(whole[:100])
    capsys.readouterr()
    assert main([*argv, "--json"]) == 0
    shown = capsys.readouterr()
    assert "a result was damaged" in shown.err and json.loads(shown.out)["found"] == 2
    assert first.read_bytes() == whole and first.with_name(f"{first.name}.damaged").read_bytes() == whole[:100]
    assert main(["sweep", *TINY, "--loss", "l2", "--grid", "lr=0.01,1e9", "--out", str(tmp_path / "bad")]) == 1
    shown = capsys.readouterr()
    assert "run 1 {'lr': 1000000000.0} failed: FloatingPointError" in shown.err and "failed           1" in shown.out


def test_a_full_disk_leaves_everything_as_it_was(tmp_path, capsys, full_disk, interrupt):
    argv = ["sweep", *TINY, "--engine", "plain", "--grid", "seed=0:2", "--out", str(tmp_path / "out")]
    assert main([*argv[:-3], "seed=0:1", *argv[-2:]]) == 0
    run = ["linear", *TINY, "--out", str(tmp_path / "a.npz")]
    patch = interrupt(7)
    assert main(run) == 130
    patch.undo()

    def files():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = files()
    capsys.readouterr()
    for argument in (argv, run):
        full_disk(1000)
        status = main(argument)
        full_disk(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        assert status == 2 and "File too large" in capsys.readouterr().err
    assert files() == before
    assert main(argv) == 0 and main(run) == 0
