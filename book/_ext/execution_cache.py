"""Key Jupyter Book's execution cache by everything a cell's result depends on but its text does not say.

jupyter-cache finds stored outputs by the text of a chapter's code cells alone, so a change in ``lib/`` would go
unnoticed. Here each state of the library, the archived runs, the pins and the scale has a cache folder of its own.

A build may be killed at any moment, and jupyter-cache does not write atomically: it commits a record before it writes
the notebook, and creates its database file before its tables. So a folder is marked while a build may write to it, and
a build that finds the mark discards the folder: what an interrupted build left is never used. The price is that an
interrupted build starts over. For the same reason do not build one checkout twice at the same time.

MyST-NB runs chapters one after another. Those that the cache lacks are therefore run before it reads them, one a core.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader
from sphinx.util import logging

logger = logging.getLogger(__name__)

MARK = ".building"
# Folders kept, newest use first: enough to go back and forth between two scales and two states of the library.
KEEP = 4
SCALE = "FEATNORM_SCALE"


def scale() -> str:
    """The scale the chapters will run at; `featnorm.scale.current` reads the same variable with the same default."""
    return os.environ.get(SCALE, "book")


def key(root: Path) -> str:
    """A hash of what the chapters' results depend on: library, archived runs, pins, scale."""
    library = [p for kind in ("py", "js", "css") for p in root.glob(f"lib/**/*.{kind}")]
    digest = hashlib.sha256()
    for path in sorted([*library, *root.glob("book/results/**/*"), root / "constraints.txt"]):
        if path.is_file():
            content = path.read_bytes()
            # The length keeps one file's end from being read as the next one's name.
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    digest.update(scale().encode())
    return digest.hexdigest()[:16]


def _discard(folder: Path) -> None:
    # Renamed first: deleting takes a while, and a folder that is half deleted must not be found under its key.
    doomed = folder.with_name("discarded")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed)


def prepare(caches: Path, name: str) -> Path:
    """The folder ``caches/name``, emptied if an interrupted build left it; the oldest other folders are removed."""
    folder = caches / name
    if (folder / MARK).exists():
        _discard(folder)
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    by_use = sorted((p for p in caches.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    for old in by_use[KEEP:]:
        _discard(old)
    return folder


def _choose(app: Any, config: Any) -> None:
    root = Path(app.srcdir)
    app.featnorm_key = key(root)
    # Under the source folder whatever the output folder: a build elsewhere may use what this one has run.
    folder = prepare(root / "_build" / ".jupyter_cache", app.featnorm_key)
    config.nb_execution_cache_path = str(folder)
    # Kernels inherit this. As in the Makefile: for small matrices a second thread gains nothing and may cost a lot.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _open(app: Any, env: Any, docnames: list[str]) -> None:
    Path(app.config.nb_execution_cache_path, MARK).touch()
    if docnames:
        _fill(app.config.nb_execution_cache_path, env, docnames)


def _fill(folder: str, env: Any, docnames: list[str]) -> None:
    """Run the chapters that the cache lacks, and store them. One that fails is left to MyST-NB, which runs it again."""
    cache, missing = get_cache(folder), {}
    for path in (Path(env.doc2path(name)) for name in docnames):
        text = path.read_text(encoding="utf-8")
        reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
        if reader is not None:
            notebook = reader.read(text)
            try:
                cache.match_cache_notebook(notebook)
            except KeyError:
                missing[path] = notebook
    timeout = env.mystnb_config.execution_timeout
    # Threads are enough: each waits for a kernel, which is a process of its own. The cache is written by this one only.
    with ThreadPoolExecutor(cores()) as pool:
        running = {
            pool.submit(single_nb_execution, notebook, str(path.parent), timeout, allow_errors=False): path
            for path, notebook in missing.items()
        }
        for done in as_completed(running):
            path, result = running[done], done.result()
            if result.err is None:
                data = {"execution_seconds": result.time}
                bundle = CacheBundleIn(result.nb, str(path), data=data)
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                logger.info("%s: executed in %.1f seconds", path.name, result.time)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _close(app: Any, exception: Exception | None) -> None:
    # Sphinx comes here after an error too: the chapters that ran before it were stored whole and may be used.
    if key(Path(app.srcdir)) != app.featnorm_key:
        # The mark stays, so that results of two states of the library are not kept under the key of one.
        logger.warning("lib/, book/results/ or constraints.txt changed during the build: build again")
        return
    Path(app.config.nb_execution_cache_path, MARK).unlink(missing_ok=True)
    if exception is None and app.builder.format == "html":
        record = {"key": app.featnorm_key, "scale": scale()}
        Path(app.outdir, ".execution.json").write_text(json.dumps(record) + "\n", encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Entry point of the Sphinx extension."""
    app.connect("config-inited", _choose)
    app.connect("env-before-read-docs", _open)
    app.connect("build-finished", _close)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
