"""Print the direct requirements of pyproject.toml at their lowest versions: what ``make test-lowest`` installs."""

import re
import sys
import tomllib
from pathlib import Path

LOWEST = re.compile(r"([A-Za-z0-9_.\[\]-]+?)(?:>=|==)([0-9a-z.]+)(?:,<[0-9.]+)?")


def lowest(requirements: list[str]) -> list[str]:
    """``["a>=1,<2"]`` gives ``["a==1"]``; a requirement without a lower bound is an error."""
    found = [LOWEST.fullmatch(requirement) for requirement in requirements]
    if None in found:
        raise ValueError(f"{requirements[found.index(None)]}: has no lower bound, such as 'numpy>=2.1'")
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    if unknown := set(sys.argv[1:]) - set(extras):
        raise SystemExit(f"no extra {', '.join(sorted(unknown))}: must be of {', '.join(extras)}")
    print("\n".join(lowest(sum((extras[name] for name in sys.argv[1:]), project["dependencies"]))))
