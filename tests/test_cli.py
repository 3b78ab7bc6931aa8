"""The command line: exit codes, messages, and a light import."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["claims", "lema-1"], "did you mean 'lemma-1'"),
        (["claims", "eq-6", "figure-1"], "not yet checked"),
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
