"""The badge of the README: how many claims have each outcome, counted from the checks and never typed.

``make badge`` runs every check at smoke scale and writes the picture and its alternative text.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from tqdm import tqdm

from featnorm import claims
from featnorm.publish.claim_box import SIGNS
from featnorm.publish.dashboard import counts
from featnorm.scale import Scale

PICTURE = "book/_static/claims.svg"

#: Ground of each outcome; white text on it has a contrast of at least 4.5.
GROUND = {
    "holds": "#1e7b49",
    "holds loosely": "#2b6f8c",
    "holds vacuously": "#666666",
    "departs": "#a3540e",
    "fails": "#b83a36",
    "undecided": "#6d4fa8",
    claims.NOT_CHECKED: "#5f6670",
}
_LABEL, _CHAR, _PAD, _HEIGHT = "#343a42", 6.6, 6, 20


def _phrases(found: Mapping[str, int]) -> dict[str, str]:
    """What the badge says of each outcome that occurs, the best first."""
    plural = {name: re.sub(r"^(hold|depart|fail)s", r"\1", name) for name in SIGNS}
    return {name: f"{found[name]} {name if found[name] == 1 else plural[name]}" for name in SIGNS if found.get(name)}


def words(found: Mapping[str, int]) -> str:
    """The badge in words, from the number of claims by outcome.

    >>> words({"holds": 143, "fails": 1})
    '144 claims: 143 hold, 1 fails'
    """
    return f"{sum(found.values())} claims: {', '.join(_phrases(found).values())}"


def badge_svg(found: Mapping[str, int]) -> str:
    """The badge as SVG, from the number of claims by outcome."""
    fields = [(_LABEL, f"{sum(found.values())} claims")]
    fields += [(GROUND[name], f"{SIGNS[name]} {phrase}") for name, phrase in _phrases(found).items()]
    x, parts = 0, []
    for ground, text in fields:
        length = round(_CHAR * len(text))
        parts.append(
            f'<rect x="{x}" width="{length + 2 * _PAD}" height="{_HEIGHT}" fill="{ground}"/>'
            f'<text x="{x + _PAD}" y="14" textLength="{length}">{escape(text)}</text>'
        )
        x += length + 2 * _PAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{x}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(words(found))}"><g font-family="Verdana, DejaVu Sans, sans-serif" font-size="11" '
        f'fill="#ffffff">{"".join(parts)}</g></svg>\n'
    )


def named(readme: str, found: Mapping[str, int]) -> str:
    """The text of the README with the alternative text of its badge made anew; ValueError if it has no badge."""
    text, n = re.subn(rf"!\[[^\]]*\]\({re.escape(PICTURE)}\)", f"![{words(found)}]({PICTURE})", readme)
    if n != 1:
        raise ValueError(f"README.md: {n} pictures {PICTURE}, must be one")
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check and write the badge; the argument is the root of the repository."""
    parser = argparse.ArgumentParser(prog="python -m featnorm.publish.badge", description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", default=".", type=Path, help="root of the repository (default: here)")
    root = parser.parse_args(arguments).root
    readme = root / "README.md"
    try:
        named(readme.read_text(encoding="utf-8"), {})  # refuse another folder before the checks run
    except (OSError, ValueError) as error:
        parser.error(str(error))
    ids = tqdm(claims.CHECKS, unit="check", file=sys.stderr)
    found = counts(claims.STATEMENTS, {id: {"outcome": claims.run(id, 0, Scale.SMOKE).outcome} for id in ids})
    (root / PICTURE).write_text(badge_svg(found), encoding="utf-8")
    readme.write_text(named(readme.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(words(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
