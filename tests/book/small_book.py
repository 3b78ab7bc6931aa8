"""A small book, built by ``make book`` in a folder of its own: quick to build and to spoil."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from book_tools import ROOT

HEADER = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

"""
#: Text of our own, since the book's chapters link to each other; checks, figures, roles and extensions are the book's.
PAGES = {
    "intro": "# A small book\n\nThe clock: {outcome}`beyond-clock`. See {ref}`fig-small`. A {term}`factor`.\n",
    "clock": HEADER
    + """# Laws

```{claim} beyond-norm-law
```

```{claim} beyond-clock
```

```{claim} beyond-balance
```

```{claim} beyond-two-decays
```

```{claim} beyond-floor
```

```{code-cell} ipython3
from featnorm.publish.claim_box import check

check("beyond-norm-law", seed=0)
```

```{code-cell} ipython3
check("beyond-clock", seed=0)
```

```{glossary}
factor
  A number.
```
""",
    **{
        name: HEADER
        + f"""# {name.capitalize()}

```{{code-cell}} ipython3
:tags: [hide-input]

import numpy as np
from myst_nb import glue

from featnorm.publish.figure import drawing, glue_figure
from featnorm.setting import Setting, initialize

W, Phi = initialize(Setting(h={h}, d={2 * h}), np.random.default_rng(0))
glue("size {name}", float(np.linalg.norm(Phi)), display=False)
with drawing() as (fig, axes):
    axes.plot(np.linalg.eigvalsh(W))
    glue_figure(fig, "fig-{name}", "Eigenvalues of W in increasing order", "featnorm.setting.initialize")
```

```{{glue:figure}} fig-{name}
:name: fig-{name}
Eigenvalues.
```

The norm is {{glue:text}}`size {name}:.3f`.
"""
        for name, h in (("small", 5), ("large", 50))
    },
}


def small_book(root: Path) -> Path:
    """A copy, in the folder ``root``, of what a build needs, with the small book in place of the book."""
    for name in ("lib", "book/_ext", "book/_static"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "_config.yml", "constraints.txt", "book/references.bib", "book/bibliography.md"):
        shutil.copy(ROOT / name, root / name)
    # Claims link to the pages of the library, which the small book leaves out.
    config, ignored = (root / "_config.yml").read_text(encoding="utf-8"), "nitpick_ignore_regex: ["
    assert config.count(ignored) == 1
    config = config.replace(ignored, f'{ignored}["py:obj", "featnorm.*"], ')
    (root / "_config.yml").write_text(config, encoding="utf-8")
    for name, text in PAGES.items():
        (root / "book" / f"{name}.md").write_text(text, encoding="utf-8")
    toc = [
        "format: jb-book",
        "root: book/intro",
        "chapters:",
        *(f"- file: book/{name}" for name in [*PAGES, "bibliography"][1:]),
    ]
    (root / "_toc.yml").write_text("\n".join(toc) + "\n", encoding="utf-8")
    return root


def start(project: Path) -> subprocess.Popen[bytes]:
    """``make book`` in a process group of its own, with the environment of the tests, which is taken as installed."""
    environment = {**os.environ, "FEATNORM_SCALE": "smoke", "PYTHONPATH": str(project / "lib")}
    command = ["make", "book", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.installed"]
    with (project / "log").open("wb") as out:
        return subprocess.Popen(
            command, cwd=project, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )


def log(project: Path) -> str:
    """What the last build printed, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", (project / "log").read_text(encoding="utf-8"))


def build(project: Path) -> dict[str, bytes]:
    """Build in peace; every file of the book without what may differ from build to build."""
    assert start(project).wait() == 0, log(project)[-4000:]
    html = project / "_build" / "html"
    return {p.relative_to(html).as_posix(): comparable(p) for p in html.rglob("*") if p.is_file()}


def comparable(path: Path) -> bytes:
    """A file without what differs from build to build.

    That is the seconds that a check took: ``scale smoke, 0.08 s`` in a box, ``"08": 1`` in the index of the search; and
    the checksum by which a browser knows a new style sheet, which is left out when the sheet is not yet in its place.
    """
    content = path.read_bytes()
    if path.name == "searchindex.js":
        return re.sub(rb'"\d+": (\d+|\[[\d, ]+\])(, )?', b"", content)
    return re.sub(rb"\?v=[0-9a-f]{8}", b"", re.sub(rb"(scale smoke, )\d+\.\d\d s", rb"\1some s", content))
