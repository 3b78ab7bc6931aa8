"""Keep the pages of the last build that the next one would make again just the same.

Sphinx reads a page again when its text has changed. In this book a page also depends on the library, the archived runs,
the extensions and the code of other chapters. So pages are kept only if nothing but text outside code cells has changed
since the last build, and only if that build ended well and without a warning: a warning of a page that is kept would
not be seen again. All else starts from nothing, so that no page, picture or notebook of an earlier state stays either.

The pages that are kept link to others and show their titles. When any of that has changed, all pages are written again,
and Sphinx says which links are broken.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import execution_cache

RECORD = "state"
_CODE = re.compile(r"^(`{3,})\{code-cell\}.*?^\1 *$", re.MULTILINE | re.DOTALL)


def state(root: Path) -> str:
    """A hash of all that the book is made of but the text of its pages outside code cells."""
    digest = hashlib.sha256(execution_cache.key(root).encode())
    pages = sorted(root.glob("book/**/*.md"))
    whole = [root / "_config.yml", root / "_toc.yml", *root.glob("book/_ext/*.py"), *root.glob("book/_static/*")]
    whole += root.glob("book/*.bib")
    for path in sorted(whole):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for path in pages:
        code = [found[0] for found in _CODE.finditer(path.read_text(encoding="utf-8"))]
        digest.update(repr((path.relative_to(root).as_posix(), code)).encode())
    return digest.hexdigest()


def shown(env: Any) -> str:
    """What pages show of other pages: titles, numbers, what can be linked to, and who cites what."""

    def items(of: Mapping[str, Any]) -> list[str]:
        return sorted(f"{name!r}: {getattr(value, 'astext', value.__repr__)()}" for name, value in of.items())

    std, cite = env.domaindata["std"], env.domaindata["cite"]
    tables = [env.titles, env.tocs, env.toc_secnumbers, env.toc_fignumbers, env.domaindata["math"]["objects"]]
    tables += [std["labels"], std["anonlabels"], env.domaindata["py"]["objects"]]
    return repr([*map(items, tables), sorted(map(repr, cite["citation_refs"]))])


def _begin(app: Any, config: Any) -> None:
    app.featnorm_state = f"{state(Path(app.srcdir))} {app.outdir}\n"
    record = Path(app.doctreedir, RECORD)
    if not record.is_file() or record.read_text(encoding="utf-8") != app.featnorm_state:
        # MyST-NB writes executed notebooks into the last of these folders.
        for folder in (Path(app.doctreedir), Path(app.outdir), Path(app.outdir).with_name("jupyter_execute")):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
    # Written again at the end of a good build: one that fails or is killed leaves no record, and the next starts anew.
    record.unlink(missing_ok=True)


def _remember(app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    app.featnorm_shown = shown(env)
    return []


def _rewrite(app: Any, env: Any) -> list[str]:
    return [] if shown(env) == app.featnorm_shown else list(env.found_docs)


def _end(app: Any, exception: Exception | None) -> None:
    good = exception is None and app._warncount == 0 and app.builder.format == "html"
    # The second look finds what was changed while the book was built.
    if good and f"{state(Path(app.srcdir))} {app.outdir}\n" == app.featnorm_state:
        Path(app.doctreedir, RECORD).write_text(app.featnorm_state, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Entry point of the Sphinx extension."""
    app.connect("config-inited", _begin)
    app.connect("env-get-outdated", _remember)
    # After Sphinx has numbered pages and figures, which it does in the same event.
    app.connect("env-get-updated", _rewrite, priority=900)
    # After all that may warn or write.
    app.connect("build-finished", _end, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
