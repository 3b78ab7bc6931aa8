"""Archived runs: what is kept, what is refused, and when a run is stale."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import operator
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import featnorm
from featnorm import results, surveys

MADE_BY = "featnorm.scale.current"


def save(root, name="run", arrays=MappingProxyType({"x": (1.0, 2.0, 3.0)}), **changes):
    words = {"made_by": MADE_BY, "config": {"h": 2, "rho": 0.1}, "seed": 3, "command": "featnorm run --seed 3"}
    results.save(name, arrays, **{**words, "seconds": 1.5, "device": "NVIDIA H200", "root": root, **changes})


def content(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def edit(root, reseal=False, **changes):
    """Change the manifest of `run`; with ``reseal`` its own hash too, as a forger would."""
    path = root / "run" / "manifest.json"
    manifest = {**json.loads(path.read_bytes()), **changes}
    if reseal:
        manifest["manifest_sha256"] = results._manifest_hash(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def put_arrays(root, data):
    """Put other bytes under the name of the arrays, with manifest and hashes that fit."""
    (root / "run" / "arrays.npz").write_bytes(data)
    edit(root, reseal=True, arrays_sha256=hashlib.sha256(data).hexdigest())


dtypes = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes()
    | hnp.unsigned_integer_dtypes()
    | hnp.floating_dtypes()
    | hnp.complex_number_dtypes()
    | hnp.byte_string_dtypes()
    | hnp.unicode_string_dtypes()
    | hnp.datetime64_dtypes()
)
any_array = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
array_names = st.sampled_from(["x", "file", "args", "allow_pickle", "Phi_0", "a" * 40])


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(array_names, any_array, max_size=3), st.booleans())
def test_arrays_come_back_bit_for_bit(arrays, transposed):
    arrays = {name: a.T if transposed else a for name, a in arrays.items()}
    with tempfile.TemporaryDirectory() as root:
        save(root, arrays=arrays)
        back = results.load("run", root).arrays
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype and back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()  # nan and signed zero included


def test_the_manifest_says_where_the_run_comes_from(tmp_path):
    save(tmp_path, config={"sizes": (8, 16), "nested": {"rho": 0.1}, 1: None}, seed=np.int64(7))
    run = results.load("run", tmp_path)
    assert run.manifest["config"] == {"sizes": [8, 16], "nested": {"rho": 0.1}, "1": None}
    assert run.manifest["seed"] == 7 and run.manifest["seconds"] == 1.5 and run.manifest["made_by"] == MADE_BY
    assert run.manifest["device"] == "NVIDIA H200" and run.manifest["command"] == "featnorm run --seed 3"
    assert run.manifest["versions"]["python"] == platform.python_version()
    assert run.manifest["versions"]["numpy"] == np.__version__
    assert {"python", "numpy", "scipy"} <= set(run.manifest["versions"]) <= {"python", "numpy", "scipy", "torch"}
    assert ("torch" in run.manifest["versions"]) == ("torch" in sys.modules)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", run.manifest["date"]) and run.manifest["commit"]
    assert set(run.manifest) == set(results.FIELDS)
    assert run.stale is False and results.names(tmp_path) == ["run"]


def test_what_is_loaded_cannot_be_changed(tmp_path):
    save(tmp_path)
    run = results.load("run", tmp_path)
    for change in (
        lambda: operator.setitem(run.arrays["x"], 0, 9.0),
        lambda: operator.setitem(run.arrays, "x", 9.0),
        lambda: operator.setitem(run.manifest, "seed", 9),
        lambda: setattr(run, "stale", False),
    ):
        with pytest.raises((ValueError, TypeError, FrozenInstanceError)):
            change()


def test_saving_again_replaces_the_archive(tmp_path):
    save(tmp_path, arrays={"x": [1], "y": [2]})
    save(tmp_path, arrays={"x": [5]})
    assert {k: v.tolist() for k, v in results.load("run", tmp_path).arrays.items()} == {"x": [5]}
    (tmp_path / "made").mkdir()
    assert (tmp_path / "run").stat().st_mode == (tmp_path / "made").stat().st_mode  # others may read it
    assert {p.name for p in tmp_path.iterdir()} == {"run", "made"}


def test_the_manifest_names_neither_host_nor_path(tmp_path, monkeypatch):
    for module, name in ((socket, "gethostname"), (platform, "node")):
        monkeypatch.setattr(module, name, lambda: "secret-host")
    save(tmp_path)
    text = (tmp_path / "run" / "manifest.json").read_text(encoding="utf-8")
    secrets = ("secret-host", os.uname().nodename, str(Path.home()), str(Path.cwd()), str(tmp_path), sys.prefix)
    assert not [s for s in secrets if len(s) > 3 and s in text]
    assert not results._A_PATH.search(text)


@pytest.mark.parametrize(
    "change",
    [
        {"command": "featnorm run --out=/data/x"},
        {"command": "~/bin/featnorm run"},
        {"command": "host:/data/run"},
        {"device": "GPU of C:\\Users"},
        {"config": {"data": "/data/cifar"}},
        {"config": {"/data": 1}},
    ],
)
def test_a_path_of_the_machine_is_refused(tmp_path, change):
    with pytest.raises(ValueError, match="path of this machine"):
        save(tmp_path, **change)
    assert not content(tmp_path)


def test_words_that_only_look_like_a_path_are_kept(tmp_path):
    save(tmp_path, device="H200, 900 img/s, 1/2 of it", config={"from": "https://a.org/b", "to": "out/x", "c": "./y"})
    assert results.load("run", tmp_path).manifest["config"]["to"] == "out/x"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": "../run"}, "name"),
        ({"name": "Run"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "-run"}, "name"),
        ({"name": ".run"}, "name"),
        ({"name": "run\n"}, "name"),
        ({"name": 3}, "name"),
        ({"arrays": {"x": np.array([None])}}, "arrays: x has type object"),
        ({"arrays": {"x": np.array([(1, None)], dtype=[("a", int), ("b", object)])}}, "arrays: x"),
        ({"arrays": {"x": np.array(["a"], dtype=np.dtypes.StringDType())}}, "arrays: x"),
        ({"arrays": {"x": np.ma.masked_array([1, 2], [True, False])}}, "without a mask"),
        ({"arrays": {"a/b": [1]}}, "Python name"),
        ({"arrays": {"x.npy": [1]}}, "Python name"),
        ({"made_by": "featnorm.setting.gone"}, "no such function"),
        ({"made_by": "featnorm.setting.Setting"}, "no such function"),  # a class
        ({"made_by": "featnorm.gone.views"}, "no such function"),
        ({"made_by": "nowhere.setting.views"}, "no such function"),
        ({"made_by": "featnorm.collapse.effective_rank"}, "no such function"),  # imported there, defined elsewhere
        ({"made_by": "views"}, "no such function"),
        ({"made_by": None}, "no such function"),
        ({"config": {"x": float("nan")}}, "config"),
        ({"config": {"x": object()}}, "config"),
        ({"config": [1]}, "config"),
        ({"seed": -1}, "seed"),
        ({"seconds": float("inf")}, "seconds"),
        ({"device": " "}, "device"),
        ({"command": None}, "command"),
        ({"closure": 3}, "closure"),
    ],
)
def test_wrong_arguments_are_refused_and_write_nothing(tmp_path, change, match):
    with pytest.raises(ValueError, match=match):
        save(tmp_path, **change)
    assert not list(tmp_path.iterdir())


def test_a_change_of_one_byte_of_the_arrays_is_refused(tmp_path):
    save(tmp_path)
    path = tmp_path / "run" / "arrays.npz"
    whole = path.read_bytes()
    for i in range(0, len(whole), 5):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(ValueError, match=r"run/arrays\.npz: .*SHA-256"):
            results.load("run", tmp_path)


@pytest.mark.parametrize("file", ["arrays.npz", "manifest.json"])
def test_a_truncated_or_missing_file_is_refused(tmp_path, file):
    save(tmp_path)
    path = tmp_path / "run" / file
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"run/{re.escape(file)}: "):
            results.load("run", tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"run/{re.escape(file)}: no such file"):
        results.load("run", tmp_path)


@pytest.mark.parametrize("field", sorted(results.FIELDS))
def test_every_field_of_the_manifest_is_needed_and_sealed(tmp_path, field):
    save(tmp_path)
    path = tmp_path / "run" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    other = {str: "other", int: 4, float: 2.5, dict: {"h": 3}}[results.FIELDS[field]]
    edit(tmp_path, **{field: other})
    with pytest.raises(ValueError, match=r"run/manifest\.json: .*SHA-256"):
        results.load("run", tmp_path)
    del manifest[field]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"run/manifest\.json: missing or of the wrong type: {field}$"):
        results.load("run", tmp_path)
    edit(tmp_path, reseal=field != "manifest_sha256", **{field: None})
    with pytest.raises(ValueError, match=rf"run/manifest\.json: missing or of the wrong type: {field}$"):
        results.load("run", tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"x"', "[" * 100_000, "{}", "\udcff"])
def test_a_malformed_manifest_is_refused(tmp_path, text):
    save(tmp_path)
    (tmp_path / "run" / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"run/manifest\.json: "):
        results.load("run", tmp_path)


def test_an_archive_under_another_name_is_refused(tmp_path):
    save(tmp_path)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    with pytest.raises(ValueError, match=r"copy/manifest\.json: belongs to the archive 'run'"):
        results.load("copy", tmp_path)
    with pytest.raises(ValueError, match="name"):
        results.load("../run", tmp_path)


class Trap:
    """Leaves a mark if it is ever unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def test_objects_and_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    npz, npy = io.BytesIO(), io.BytesIO()
    np.savez(npz, x=np.array([Trap()], dtype=object))
    np.save(npy, np.array([Trap()], dtype=object))
    pickled, other = np.array(Trap(), dtype=object).dumps(), io.BytesIO()
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("x.npy", pickled)
    for data in (npz.getvalue(), npy.getvalue(), pickled, other.getvalue(), b"", b"no archive"):
        save(tmp_path)
        put_arrays(tmp_path, data)
        with pytest.raises(ValueError, match=r"run/arrays\.npz: "):
            results.load("run", tmp_path)
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("failing", [1, 2])
def test_an_interrupted_save_keeps_the_old_archive(tmp_path, monkeypatch, failing):
    save(tmp_path)
    before, calls, replace = content(tmp_path), [], os.replace

    def interrupted(*paths):
        calls.append(paths)
        if len(calls) == failing:
            raise KeyboardInterrupt
        replace(*paths)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "replace", interrupted)
        save(tmp_path, arrays={"x": [9]})
    assert content(tmp_path) == before and {p.name for p in tmp_path.iterdir()} == {"run"}


def test_an_interrupted_first_save_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="disk full"):
        patched.setattr(Path, "write_bytes", interrupted)
        save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_old_archive_that_cannot_be_put_back_is_not_deleted(tmp_path, monkeypatch):
    save(tmp_path)
    before, replace = set(content(tmp_path / "run").values()), os.replace

    def broken(source, target):
        if Path(target).name == "run":
            raise OSError("no")
        replace(source, target)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no"):
        patched.setattr(os, "replace", broken)
        save(tmp_path, arrays={"x": [9]})
    assert before <= set(content(tmp_path).values()) and results.names(tmp_path) == []


SOURCES = {
    "__init__": "from fakenorm import unrelated\n__version__ = '1'\n",
    "run": "import fakenorm.plain as p\nfrom . import sibling\nfrom .sub.deep import f\n\ndef make():\n    return 1\n",
    "plain": "def g():\n    from fakenorm import lazy\n",
    "lazy": "",
    "sibling": "from fakenorm.run import make\n",  # a cycle
    "sub.__init__": "from ..star import *\n",
    "sub.deep": "from .below import f\nimport os, numpy, nowhere\n",
    "sub.below": "def f(): pass\n",
    "star": "",
    "unrelated": "",
    "sub.unrelated": "",
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A small package on the path, never imported: a function that gives a module another source, or removes it."""

    def write(module, text):
        path = tmp_path / "lib" / "fakenorm" / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True) if text is None else path.write_text(text, encoding="utf-8")

    for module, text in SOURCES.items():
        write(module, text)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    save(tmp_path, made_by="fakenorm.run.make")
    assert not results.load("run", tmp_path).stale
    return write


UNRELATED = ("__init__", "unrelated", "sub.unrelated")


@pytest.mark.parametrize("module", [m for m in SOURCES if m not in UNRELATED])
@pytest.mark.parametrize("change", ["# a comment\n", "x = 1\n", "def (:\n", None], ids=["note", "code", "bad", "gone"])
def test_stale_when_the_source_of_an_imported_module_changes(tmp_path, fake, module, change):
    fake(module, change and SOURCES[module] + change)
    assert results.load("run", tmp_path).stale
    fake(module, SOURCES[module])
    assert not results.load("run", tmp_path).stale


@pytest.mark.parametrize("module", UNRELATED)
def test_not_stale_when_an_unrelated_module_changes(tmp_path, fake, module):
    fake(module, SOURCES[module] + "x = 1\n")
    fake("new", "x = 1\n")
    assert not results.load("run", tmp_path).stale
    assert "fakenorm" not in sys.modules


def test_stale_when_an_import_begins_to_find_a_module(tmp_path, fake):
    fake("sub.below", "def f(): pass\nfrom fakenorm import later\n")
    save(tmp_path, made_by="fakenorm.run.make")
    fake("later", "")
    assert results.load("run", tmp_path).stale


def test_stale_when_the_function_is_gone_or_the_package_is(tmp_path, fake, monkeypatch):
    text = SOURCES["run"].replace("def make", "def other")
    fake("run", text)
    save(tmp_path, made_by="fakenorm.run.other")
    edit(tmp_path, reseal=True, made_by="fakenorm.run.make")  # the right hash, but no such function
    assert results.load("run", tmp_path).stale
    edit(tmp_path, reseal=True, made_by="fakenorm.run.other")
    assert not results.load("run", tmp_path).stale
    monkeypatch.setattr(sys, "path", [p for p in sys.path if not p.startswith(str(tmp_path))])
    assert results.load("run", tmp_path).stale


def test_line_ends_do_not_count(tmp_path, fake):
    (tmp_path / "lib/fakenorm/run.py").write_bytes(SOURCES["run"].replace("\n", "\r\n").encode())
    assert not results.load("run", tmp_path).stale


def test_code_that_changed_during_a_run_makes_it_stale(tmp_path, fake):
    before = results.closure_hash("fakenorm.run.make")
    fake("plain", "x = 1\n")
    save(tmp_path, made_by="fakenorm.run.make", closure=before)
    assert results.load("run", tmp_path).stale


def test_the_closure_holds_every_module_that_python_imports(monkeypatch):
    """What a fresh interpreter loads is hashed, and what a function imports when it runs; PyTorch is not loaded."""
    code = "import sys, featnorm.results; print('torch' in sys.modules, *(m for m in sys.modules if 'featnorm.' in m))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    read, read_text, root = set(), Path.read_text, Path(featnorm.__file__).parent
    monkeypatch.setattr(Path, "read_text", lambda self, **kw: (read.add(self), read_text(self, **kw))[1])
    results.closure_hash("featnorm.results.save")
    found = {".".join(["featnorm", *p.relative_to(root).with_suffix("").parts]).removesuffix(".__init__") for p in read}
    assert run.stdout.split()[0] == "False" and found == set(run.stdout.split()[1:])
    results.closure_hash("featnorm.claims.gradient_flow.check_lemma_1")
    assert root / "simsiam" / "linear.py" in read


def test_the_top_of_the_package_holds_the_version_only():
    """Else `closure_hash` would have to count it."""
    doc, *rest = ast.parse(Path(featnorm.__file__).read_text(encoding="utf-8")).body
    assert isinstance(doc, ast.Expr) and [ast.unparse(node.targets[0]) for node in rest] == ["__version__"]


def test_the_archives_of_the_book_are_whole_and_small():
    for name in results.names():
        results.load(name)
    assert sum(p.stat().st_size for p in results.ROOT.rglob("*") if p.is_file()) < 20e6


# --- Replays ---------------------------------------------------------------------------------------------------------


def recipe(tolerance=1e-9, **changes):
    config = {"h": 3, "starts": 3, "seed": 1, **changes}
    return results.Recipe(surveys.terminal_states, config, "starts", tolerance, "the same code on the same machine")


@pytest.fixture
def stale_survey(tmp_path):
    """An archive made by the code of today that says another code made it."""
    arrays = surveys.terminal_states(h=3, starts=3, seed=1)
    words = {"made_by": "featnorm.surveys.terminal_states", "config": {"h": 3, "starts": 3}, "seed": 1}
    save(tmp_path, arrays=arrays, closure="of another day", **words)
    assert results.load("run", tmp_path).stale
    return tmp_path


def test_a_replay_that_agrees_clears_the_mark_and_leaves_a_record(stale_survey):
    data = (stale_survey / "run" / "arrays.npz").read_bytes()
    found = results.verify("run", recipe(), 2, stale_survey)
    assert found.agrees and found.difference == 0.0 and found.replayed == "starts = 2 of 3"
    run = results.load("run", stale_survey)
    assert not run.stale
    assert (stale_survey / "run" / "arrays.npz").read_bytes() == data
    assert set(content(stale_survey)) == {"run/arrays.npz", "run/manifest.json"}
    (record,) = run.manifest["verified"]
    assert (record["replayed"], record["largest_difference"]) == ("starts = 2 of 3", 0.0)
    assert record["replaced_closure_sha256"] == "of another day"
    results.verify("run", recipe(), 1, stale_survey)
    assert [r["replayed"] for r in results.load("run", stale_survey).manifest["verified"]] == [
        "starts = 2 of 3",
        "starts = 1 of 3",
    ]


def test_a_replay_that_differs_changes_nothing(stale_survey):
    shifted = dict(results.load("run", stale_survey).arrays)
    shifted["phi"] = shifted["phi"] * (1 + 1e-6)
    words = {"made_by": "featnorm.surveys.terminal_states", "config": {"h": 3, "starts": 3}, "seed": 1}
    save(stale_survey, arrays=shifted, closure="of another day", **words)
    before = content(stale_survey)
    found = results.verify("run", recipe(), 2, stale_survey)
    assert not found.agrees and 1e-7 < found.difference < 2e-6
    assert content(stale_survey) == before and results.load("run", stale_survey).stale
    assert results.verify("run", recipe(tolerance=1e-5), 2, stale_survey).agrees


@pytest.mark.parametrize(
    "again, before",
    [
        ([1.0, 2.0], [1.0]),
        ([1.0, np.nan], [1.0, 2.0]),
        ([np.inf], [1.0]),
        (["a"], ["b"]),
        ([1], [1.0]),
    ],
)
def test_what_cannot_be_compared_differs(again, before):
    assert results._difference(np.array(again), np.array(before)) == np.inf


def test_missing_values_at_the_same_places_agree():
    assert results._difference(np.array([np.nan, 1.0]), np.array([np.nan, 1.0])) == 0.0
    assert results._difference(np.array([True]), np.array([True])) == 0.0


@pytest.mark.parametrize(
    "change, first, words",
    [({"seed": 2}, 1, "another configuration"), ({"h": 4}, 1, "another configuration"), ({}, 4, "at most starts = 3"),
     ({}, 0, "first = 0")],
)  # fmt: skip
def test_a_replay_of_something_else_is_refused(stale_survey, change, first, words):
    with pytest.raises(ValueError, match=words):
        results.verify("run", recipe(**change), first, stale_survey)


def test_the_recipes_of_the_command_fit_the_archives_of_the_book():
    from featnorm.archives import ARCHIVES

    for name, made in ARCHIVES.items():
        manifest = results.load(name).manifest
        assert made.made_by == manifest["made_by"]
        assert dict(made.config) == {**manifest["config"], "seed": manifest["seed"]}


def test_without_the_repository_it_is_said_where_archives_are(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="phase-h64: archived runs are in book/results of the repository"):
        results.load("phase-h64")
