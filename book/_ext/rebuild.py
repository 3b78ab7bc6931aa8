"""Keep the pages of the last build that the next one would make again just the same.

Sphinx reads a page again when its text has changed. In this book a page also depends on the library, the archived runs,
the extensions, the installed packages and code of other chapters. So pages are kept only if nothing but text outside
code cells has changed since the last build, and only if that build ended well and without a warning: a warning of a
page that is kept would not be seen again. All else starts from nothing, so that no page, picture or notebook of an
earlier state stays either.

Kept is what Sphinx has read. When it has read any page anew, all pages are written again into an empty folder: they
show titles, numbers and outcomes of each other, a link of one breaks by a change of another, and the index of the
search that Sphinx would go on with has lost the names of functions.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import execution_cache
import sphinx

RECORD = "state"
# What MyST-NB runs: a page with a notebook's header, and in it the fences of backticks or tildes that are so marked.
_CODE = re.compile(
    r"\A---.*?^(?:---|\.\.\.)|^ {0,3}(?P<fence>`{3,}|~{3,}) *\{code-cell\}.*?(?:^ {0,3}(?P=fence)|\Z)",
    re.MULTILINE | re.DOTALL,
)


def state(root: Path) -> str:
    """A hash of all that the book is made of but the text of its pages outside header and code cells."""
    digest = hashlib.sha256(execution_cache.key(root).encode())
    # Their folders are named by name and version.
    digest.update(repr(sorted(p.name for p in Path(sphinx.__file__).parents[1].glob("*.dist-info"))).encode())
    for path in sorted([root / "_config.yml", root / "_toc.yml", *root.glob("book/**/*")]):
        name = path.relative_to(root)
        # An editor's own files are no part of the book; some are links that lead nowhere.
        if not path.is_file() or "__pycache__" in name.parts or path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.suffix == ".md":
            code = [found[0] for found in _CODE.finditer(path.read_text(encoding="utf-8"))]
            content = repr(code).encode()
        else:
            content = path.read_bytes()
        digest.update(name.as_posix().encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _state(app: Any) -> str:
    # Whether Sphinx warns of names that lead nowhere is asked on the command line.
    return f"{state(Path(app.srcdir))} {app.outdir} nitpicky={bool(app.config.nitpicky)}\n"


def _begin(app: Any, config: Any) -> None:
    app.featnorm_state = _state(app)
    record = Path(app.doctreedir, RECORD)
    kept = record.is_file() and record.read_text(encoding="utf-8") == app.featnorm_state
    # Written again at the end of a good build: one that fails or is killed leaves no record, and the next starts anew.
    record.unlink(missing_ok=True)
    if not kept:
        # MyST-NB writes executed notebooks into the last of these folders.
        for folder in (Path(app.doctreedir), Path(app.outdir), Path(app.outdir).with_name("jupyter_execute")):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)


def _changed(app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    # Sphinx looks for a later time of change, which a page that is put back from a copy does not have.
    pairs = {name: (Path(env.doc2path(name)), Path(app.outdir, "_sources", f"{name}.md")) for name in env.found_docs}
    return [n for n, (page, last) in pairs.items() if last.is_file() and page.read_bytes() != last.read_bytes()]


def _mark(app: Any, env: Any, docnames: list[str]) -> None:
    app.featnorm_read = bool(docnames)


def _rewrite(app: Any, env: Any) -> list[str]:
    if not app.featnorm_read:
        return []
    shutil.rmtree(app.outdir)
    Path(app.outdir).mkdir()
    return list(env.found_docs)


def _end(app: Any, exception: Exception | None) -> None:
    good = exception is None and app._warncount == 0 and app.builder.format == "html"
    # The second look finds what was changed while the book was built.
    if good and _state(app) == app.featnorm_state:
        Path(app.doctreedir, RECORD).write_text(app.featnorm_state, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Entry point of the Sphinx extension."""
    app.connect("config-inited", _begin)
    app.connect("env-get-outdated", _changed)
    app.connect("env-before-read-docs", _mark)
    app.connect("env-get-updated", _rewrite)
    # After all that may warn or write.
    app.connect("build-finished", _end, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
