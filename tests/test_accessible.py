"""The extension that puts roles right in a built page; axe-core looks at the whole pages in tests/book."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARGUMENTS = '<dl{}>\n<dd><em class="sig-param"><span>a</span></em></dd></dl>'
BIBLIOGRAPHY = '<div role="list" class="citation-list"><div class="citation" role="{}">Tian</div></div>'
TERMS = "<dl><dt>term</dt><dd>words</dd></dl>"


@pytest.mark.parametrize(
    "body, right",
    [
        (ARGUMENTS.format(""), ARGUMENTS.format(' role="presentation"')),
        (BIBLIOGRAPHY.format("doc-biblioentry"), BIBLIOGRAPHY.format("listitem")),
        (TERMS, TERMS),
    ],
)
def test_roles(monkeypatch, body, right):
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    from accessible import mended

    assert mended(body) == right
