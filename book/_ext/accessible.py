"""Roles that docutils and Sphinx give to lists and that a screen reader cannot use, put right in the HTML of a page."""

from __future__ import annotations

import re
from typing import Any


def mended(body: str) -> str:
    """The body of a page with right roles.

    Sphinx writes the arguments of a long signature as definitions without terms, which is layout only. docutils gives
    the entries of a bibliography a role that is deprecated and no part of the list they stand in.
    """
    body = re.sub(r'<dl>(?=\s*<dd><em class="sig-param")', '<dl role="presentation">', body)
    return body.replace('role="doc-biblioentry"', 'role="listitem"')


def _mend(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if context.get("body"):
        context["body"] = mended(context["body"])


def setup(app: Any) -> dict[str, bool]:
    """Entry point of the Sphinx extension."""
    app.connect("html-page-context", _mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
