"""The execution cache: what its key depends on, and that an interrupted build leaves nothing that is used later."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "book" / "_ext" / "execution_cache.py"


@pytest.fixture(scope="module")
def cache():
    """The extension, which lies outside the package."""
    pytest.importorskip("sphinx", reason="the book's packages are not installed: run make install")
    spec = importlib.util.spec_from_file_location("execution_cache", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small repository with one file of every kind the key depends on."""
    monkeypatch.delenv("FEATNORM_SCALE", raising=False)
    for name in ("lib/p/a.py", "lib/p/a.js", "lib/p/a.css", "book/results/run/manifest.json", "constraints.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["lib/p/a.py", "lib/p/a.js", "lib/p/a.css", "lib/p/new.py", "book/results/run/manifest.json", "constraints.txt"],
)
def test_a_change_in_what_results_depend_on_changes_the_key(cache, project, name):
    before = cache.key(project)
    assert cache.key(project) == before
    (project / name).write_text("2", encoding="utf-8")
    assert cache.key(project) != before


def test_the_scale_is_part_of_the_key_and_its_default_is_the_library_s(cache, project, monkeypatch):
    default = cache.key(project)
    monkeypatch.setenv("FEATNORM_SCALE", "smoke")
    assert cache.key(project) != default
    monkeypatch.setenv("FEATNORM_SCALE", "book")
    assert cache.key(project) == default


def test_text_and_compiled_files_do_not_change_the_key(cache, project):
    before = cache.key(project)
    for name in ("book/intro.md", "lib/p/__pycache__/a.pyc", "README.md"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("x", encoding="utf-8")
    assert cache.key(project) == before


def app(project):
    """As much of a Sphinx application as the extension uses."""
    out = project / "_build" / "html"
    out.mkdir(parents=True, exist_ok=True)
    config = SimpleNamespace(nb_execution_cache_path="")
    return SimpleNamespace(srcdir=project, outdir=out, config=config, builder=SimpleNamespace(format="html"))


def begin(cache, project):
    """Start a build and let it store an entry; returns the application and the entry."""
    sphinx = app(project)
    cache._choose(sphinx, sphinx.config)
    cache._open(sphinx, None, [])
    entry = Path(sphinx.config.nb_execution_cache_path, "entry")
    return sphinx, entry


def test_entries_of_a_build_that_ended_are_kept(cache, project):
    for error in (None, RuntimeError("a later chapter failed")):
        sphinx, entry = begin(cache, project)
        entry.write_text("whole", encoding="utf-8")
        cache._close(sphinx, error)
        assert begin(cache, project)[1].exists()
        cache._close(sphinx, None)


def test_entries_of_a_killed_build_are_discarded(cache, project):
    _, entry = begin(cache, project)
    entry.write_text("half", encoding="utf-8")  # and here the build is killed: nothing more runs
    _, again = begin(cache, project)
    assert again == entry and not entry.exists()


def test_entries_of_a_build_during_which_the_library_changed_are_discarded(cache, project):
    sphinx, entry = begin(cache, project)
    entry.write_text("of two states", encoding="utf-8")
    source = project / "lib" / "p" / "a.py"
    source.write_text("2", encoding="utf-8")
    cache._close(sphinx, None)
    source.write_text("1", encoding="utf-8")
    assert begin(cache, project)[1] == entry
    assert not entry.exists()


def test_only_the_folders_used_last_are_kept(cache, tmp_path):
    names = [f"key{i}" for i in range(cache.KEEP + 2)]
    for age, name in enumerate(names):
        os.utime(cache.prepare(tmp_path, name), (age, age))
    cache.prepare(tmp_path, "key2")
    assert {p.name for p in tmp_path.iterdir()} == {"key2", *names[-cache.KEEP + 1 :]}


def test_what_a_kill_can_leave_would_break_a_later_build(cache, tmp_path):
    """Why the mark is needed: jupyter-cache fails for good on a database file that was created and not yet filled."""
    jupyter_cache = pytest.importorskip("jupyter_cache")
    (tmp_path / "global.db").touch()
    with pytest.raises(Exception, match="may need to be cleared"):
        jupyter_cache.get_cache(tmp_path).list_cache_records()


def test_the_extension_needs_nothing_of_the_library():
    """It runs inside Sphinx before any chapter; importing the library there would start PyTorch for nothing."""
    code = f"import runpy, sys; runpy.run_path({str(SOURCE)!r}); sys.exit('featnorm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
