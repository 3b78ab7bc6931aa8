"""A build that was killed leaves nothing behind that a later one uses: ``make interrupted`` (minutes).

A small book, built by ``make book`` in a copy of what it needs here, is killed with SIGKILL at five random moments, one
build after another, each on what the kill before left. Then it is built in peace. The pages must be, byte by byte,
those of a build that was never interrupted, except for the seconds that a check took: its claim box prints them, and
the index of the search has them among the numbers that occur on the page.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from book_tools import ROOT

pytestmark = pytest.mark.slow

KILLS, SEED = 5, 0
HEADER = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

"""
#: Text of our own, since the book's chapters link to each other; checks, figures, roles and extensions are the book's.
PAGES = {
    "intro": "# A small book\n\nThe clock: {outcome}`beyond-clock`.\n",
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


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of what a build needs, with the small book in place of the book."""
    root = tmp_path_factory.mktemp("interrupted")
    for name in ("lib", "book/_ext", "book/_static"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "_config.yml", "constraints.txt", "book/references.bib", "book/bibliography.md"):
        shutil.copy(ROOT / name, root / name)
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
    with (project / "log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=project, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def build(project: Path) -> dict[str, bytes]:
    """Build in peace; every file of the book without what may differ from build to build."""
    assert start(project).wait() == 0, (project / "log").read_text(encoding="utf-8")[-4000:]
    html = project / "_build" / "html"
    return {p.relative_to(html).as_posix(): comparable(p) for p in html.rglob("*") if p.is_file()}


def comparable(path: Path) -> bytes:
    """A file without the seconds that a check took: ``scale smoke, 0.08 s`` in a box, ``"08": 1`` in the index."""
    content = path.read_bytes()
    if path.name == "searchindex.js":
        return re.sub(rb'"\d+": (\d+|\[[\d, ]+\])(, )?', b"", content)
    return re.sub(rb"(scale smoke, )\d+\.\d\d s", rb"\1some s", content)


def test_what_kills_leave_does_not_change_the_book(project):
    began = time.monotonic()
    expected = build(project)
    whole = time.monotonic() - began
    assert any(b"some s" in content for content in expected.values()), "the claim boxes print their seconds"
    shutil.rmtree(project / "_build")

    rng, kills = random.Random(SEED), []
    while len(kills) < KILLS:
        process = start(project)
        moment = rng.uniform(0.0, whole)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the kernels have sessions of their own; they end without a parent
            process.wait()
            kills.append(moment)
            assert not (project / "_build" / "html").exists(), f"half a book, {moment:.1f} s after the start"
        else:  # it was faster than the first one and is done: begin again from nothing
            assert process.returncode == 0, (project / "log").read_text(encoding="utf-8")[-4000:]
            shutil.rmtree(project / "_build")

    again = build(project)
    assert again.keys() == expected.keys()
    assert [name for name in expected if again[name] != expected[name]] == []
