"""Archived runs: results that cannot be computed while the book is built, each with a manifest of where it comes from.

An archive is a folder ``book/results/NAME/`` with ``arrays.npz`` (never pickled) and ``manifest.json``. The checksums
find accidents and careless edits, not forgery. A run is stale when its code has changed since: see `closure_hash`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from sys import modules
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from featnorm._files import packed, unpacked
from featnorm._validate import natural, nonnegative, positive_int
from featnorm.provenance import commit, machine

ROOT = Path(__file__).resolve().parents[2] / "book" / "results"
FIELDS: dict[str, type] = {
    **dict.fromkeys(("name", "made_by", "command", "device", "machine", "date", "commit", "closure_sha256"), str),
    **{"config": dict, "seed": int, "seconds": float, "versions": dict, "arrays_sha256": str, "manifest_sha256": str},
}
_A_PATH = re.compile(r"(?<![\w./~-])(?:~\w*)?/[A-Za-z_.][^\s\"]*|\b[A-Za-z]:\\[^\s\"]*")


@dataclass(frozen=True, eq=False)
class Archive:
    """A checked run: read-only arrays by name, the manifest, and whether the code that made it has changed since.

    >>> run = Archive("demo", {"x": np.ones(2)}, {"seed": 0}, stale=False)
    >>> run.arrays["x"].shape, run.manifest["seed"]
    ((2,), 0)
    """

    name: str
    arrays: Mapping[str, NDArray[Any]]
    manifest: Mapping[str, Any]
    stale: bool


def _folder(name: str, root: Path | str | None) -> Path:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"name = {name!r}: must be words of a-z and 0-9, joined by single hyphens")
    return (ROOT if root is None else Path(root)) / name


def _manifest_hash(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def _manifest_text(manifest: Mapping[str, Any]) -> str:
    return json.dumps({**manifest, "manifest_sha256": _manifest_hash(manifest)}, indent=2) + "\n"


def _imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            above = parts[: len(parts) - node.level + is_package] if node.level else []
            for alias in node.names:  # where it is no module, the loop below finds no file and goes on to its parent
                yield ".".join([*above, *filter(None, [node.module]), alias.name])


def closure_hash(function_name: str) -> str:
    """SHA-256 of the source of a function's module and of every module of its package that it imports, transitively.

    Imports are found in the source, those inside functions too, and nothing is executed; an import by a computed name
    is not seen. A package's ``__init__`` counts with each module below it, except that of the package at the top:
    it holds the version only, and a release must not make every run stale. The text itself is hashed, comments
    included: simple beats clever, and a run marked as stale without need is the cheaper mistake.

    Parameters
    ----------
    function_name: dotted name of a function at the top level of its module.

    Raises ValueError where there is no such function, SyntaxError where a module does not parse.

    >>> closure_hash("featnorm.setting.views") == closure_hash("featnorm.setting.norms")  # the module counts
    True
    >>> closure_hash("featnorm.setting.gone")
    Traceback (most recent call last):
    ...
    ValueError: function_name = 'featnorm.setting.gone': no such function
    """
    absent = ValueError(f"function_name = {function_name!r}: no such function")
    if not isinstance(function_name, str) or not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*){2,}", function_name):
        raise absent
    (start, _, function), top = function_name.rpartition("."), function_name.split(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise absent
    sources: dict[str, str] = {}
    seen: set[str] = set()
    todo, defined = [start], False
    while todo:
        module = todo.pop()
        if module in seen or not module.startswith(f"{top}."):
            continue
        seen.add(module)
        todo.append(module.rpartition(".")[0])
        base = Path(spec.submodule_search_locations[0], *module.split(".")[1:])
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if path.is_file():
                sources[module] = path.read_text(encoding="utf-8")  # line ends of any system read alike
                tree = ast.parse(sources[module])
                todo += _imports(tree, module, path.name == "__init__.py")
                functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
                defined |= module == start and function in functions
                break
    if not defined:
        raise absent
    return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()


def save(
    name: str,
    arrays: Mapping[str, ArrayLike],
    *,
    made_by: str,
    config: Mapping[str, Any],
    seed: int,
    command: str,
    seconds: float,
    device: str,
    closure: str | None = None,
    root: Path | str | None = None,
) -> None:
    """Write an archive, or replace it: an error on the way keeps the old one whole and leaves nothing half written.

    Killed between its two renames, it leaves the old archive in a hidden folder beside its place.

    Parameters
    ----------
    name: words of a-z and 0-9 joined by hyphens.
    arrays: numbers, text or dates of any shape, by Python names; entries need not be finite.
    made_by: dotted name of the function that returned the arrays. Its module should not import this one.
    config, seed: what decides the run; ``config`` is kept as JSON, so tuples become lists.
    command: what makes the run again. device: what it ran on, in words. seconds: wall time.
    closure: `closure_hash` of ``made_by`` from before a long run, during which the code may change; default: now.
    root: folder of all archives; default: ``book/results`` of this checkout.

    Raises ValueError for an array of objects, a config that is not JSON, an absolute path, and other wrong arguments.

    >>> with tempfile.TemporaryDirectory() as root:
    ...     save("demo", {"x": [1.0, 2.0]}, made_by="featnorm.setting.views", config={"h": 2}, seed=0,
    ...          command="featnorm demo", seconds=0.1, device="CPU", root=root)
    ...     run = load("demo", root)
    >>> run.arrays["x"], run.manifest["config"], run.stale
    (array([1., 2.]), {'h': 2}, False)
    """
    folder, data, now = _folder(name, root), packed(arrays), closure_hash(made_by)
    closure = now if closure is None else closure
    if not all(isinstance(words, str) and words.strip() for words in (command, device, closure)):
        raise ValueError(f"command = {command!r}, device = {device!r}, closure = {closure!r}: must be words")
    try:
        config = json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"config: must be a mapping that JSON can hold ({error})") from error
    versions = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
    if "torch" in modules:
        versions["torch"] = str(modules["torch"].__version__)
    manifest = {
        **{"name": name, "made_by": made_by, "config": config, "seed": natural("seed", seed), "command": command},
        **{"device": device, "machine": machine(), "seconds": nonnegative("seconds", seconds), "commit": commit()},
        **{"date": datetime.now(UTC).date().isoformat(), "versions": versions, "closure_sha256": closure},
        **{"arrays_sha256": hashlib.sha256(data).hexdigest()},
    }
    text = _manifest_text(manifest)
    if found := _A_PATH.search(text):
        raise ValueError(f"config, command or device: must not name a path of this machine, but has {found.group()!r}")
    folder.parent.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.parent))
    new, old = temporary / "new", temporary / "old"
    try:
        new.mkdir()  # not `temporary` itself, which only its owner may read
        (new / "arrays.npz").write_bytes(data)
        (new / "manifest.json").write_bytes(text.encode())
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    finally:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        shutil.rmtree(temporary)


@contextmanager
def _reading(file: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{file}: no such file") from error
    except Exception as error:  # json, zipfile, zlib and NumPy raise many kinds
        raise ValueError(f"{file}: {error}") from error


def load(name: str, root: Path | str | None = None) -> Archive:
    """The archive of this name below ``root`` (default: ``book/results``), checked against its manifest.

    Raises FileNotFoundError where a file is missing and ValueError where one does not fit; both name file and reason.

    >>> load("no-such-run")
    Traceback (most recent call last):
    ...
    FileNotFoundError: no-such-run/manifest.json: no such file
    """
    folder = _folder(name, root)
    if root is None and not ROOT.is_dir():
        raise FileNotFoundError(
            f"{name}: archived runs are in book/results of the repository, not in an installed featnorm"
        )
    with _reading(f"{name}/manifest.json"):
        manifest = dict(json.loads((folder / "manifest.json").read_bytes()))
        if wrong := [key for key, kind in FIELDS.items() if not isinstance(manifest.get(key), kind)]:
            raise ValueError(f"missing or of the wrong type: {', '.join(wrong)}")
        if manifest["manifest_sha256"] != _manifest_hash(manifest):
            raise ValueError("was edited: the SHA-256 of its content differs from manifest_sha256")
        if manifest["name"] != name:
            raise ValueError(f"belongs to the archive {manifest['name']!r}")
    with _reading(f"{name}/arrays.npz"):
        data = (folder / "arrays.npz").read_bytes()
        if hashlib.sha256(data).hexdigest() != manifest["arrays_sha256"]:
            raise ValueError("its SHA-256 differs from arrays_sha256 in the manifest")
        arrays = unpacked(data)
    for array in arrays.values():
        array.setflags(write=False)
    try:
        stale = closure_hash(manifest["made_by"]) != manifest["closure_sha256"]
    except (ValueError, SyntaxError):
        stale = True
    return Archive(name, MappingProxyType(arrays), MappingProxyType(manifest), stale)


def names(root: Path | str | None = None) -> list[str]:
    """The names of the archives below ``root`` (default: ``book/results``), sorted: every folder that is not hidden.

    >>> names("no-such-folder")
    []
    """
    return sorted(p.name for p in (ROOT if root is None else Path(root)).glob("*/") if not p.name.startswith("."))


@dataclass(frozen=True)
class Recipe:
    """How an archived run is made: the function, its configuration with the seed, and how a part of it is replayed.

    ``part`` names the parameter that shortens a run: with ``{part: n}`` instead of its value, every array returned must
    be the leading block of the whole run's, shorter along some of its axes. ``tolerance`` is the largest difference
    between a replay and the archive, relative to the largest entry of the array; ``source`` says where it comes from.

    >>> from featnorm.surveys import terminal_states
    >>> Recipe(terminal_states, {"h": 3, "starts": 2, "seed": 0}, "starts", 1e-9, "the same code").made_by
    'featnorm.surveys.terminal_states'
    """

    function: Callable[..., Mapping[str, ArrayLike]]
    config: Mapping[str, Any]
    part: str
    tolerance: float
    source: str

    @property
    def made_by(self) -> str:
        """Dotted name of the function."""
        return f"{self.function.__module__}.{self.function.__name__}"


@dataclass(frozen=True)
class Replay:
    """What a replay found: the largest relative difference, whether it is small enough, and what was replayed.

    >>> Replay(difference=1e-3, agrees=False, replayed="starts = 1 of 2").agrees
    False
    """

    difference: float
    agrees: bool
    replayed: str


def verify(name: str, recipe: Recipe, first: int, root: Path | str | None = None) -> Replay:
    """Run the first part of an archived run again; where it agrees, the code of today counts as the code that made it.

    The mark of a stale archive is cleared by writing the `closure_hash` of today into its manifest. The list
    ``verified`` there keeps a record of each time: date, commit, machine, what was replayed, the largest difference and
    its tolerance, and the hash that was replaced. The arrays stay as they are. Where the replay differs, nothing is
    written.

    Parameters
    ----------
    recipe: must have the configuration, seed and function of the archive.
    first: how many entries are replayed, from 1 to the whole run.

    Raises ValueError for other recipes and numbers, and what `load` raises.

    >>> from featnorm.surveys import terminal_states
    >>> recipe = Recipe(terminal_states, {"h": 3, "starts": 2, "seed": 0}, "starts", 1e-9, "the same code")
    >>> with tempfile.TemporaryDirectory() as root:
    ...     save("demo", terminal_states(3, 2, 0), made_by=recipe.made_by, config={"h": 3, "starts": 2}, seed=0,
    ...          command="featnorm demo", seconds=0.1, device="CPU", closure="code of another day", root=root)
    ...     before = load("demo", root).stale
    ...     found = verify("demo", recipe, 1, root)
    ...     before, found, load("demo", root).stale
    (True, Replay(difference=0.0, agrees=True, replayed='starts = 1 of 2'), False)
    """
    archive = load(name, root)
    config, manifest = dict(recipe.config), dict(archive.manifest)
    whole = config[recipe.part]
    if recipe.made_by != manifest["made_by"] or config != {**manifest["config"], "seed": manifest["seed"]}:
        raise ValueError(f"{name}: was made by {manifest['made_by']} with another configuration than the recipe's")
    if positive_int("first", first) > whole:
        raise ValueError(f"first = {first}: must be at most {recipe.part} = {whole}")
    closure = closure_hash(recipe.made_by)  # from before the replay, during which the code may change
    again = recipe.function(**{**config, recipe.part: first})
    replayed = f"{recipe.part} = {first} of {whole}"
    return confirm(name, again, replayed, recipe.tolerance, recipe.source, closure, root)


def confirm(
    name: str,
    arrays: Mapping[str, ArrayLike],
    replayed: str,
    tolerance: float,
    source: str,
    closure: str,
    root: Path | str | None = None,
) -> Replay:
    """Compare what a replay gave with the first entries of an archive; where it agrees, write it into the manifest.

    ``replayed`` says what was replayed; ``closure`` is `closure_hash` from before the replay. See `verify`.

    Raises ValueError for arrays of other names, and what `load` raises.

    >>> with tempfile.TemporaryDirectory() as root:
    ...     save("demo", {"x": [1.0, 2.0]}, made_by="featnorm.setting.views", config={"h": 2}, seed=0,
    ...          command="featnorm demo", seconds=0.1, device="CPU", root=root)
    ...     confirm("demo", {"x": [1.5]}, "x = 1 of 2", 1e-9, "the same code", "code of today", root)
    Replay(difference=0.5, agrees=False, replayed='x = 1 of 2')
    """
    archive = load(name, root)
    manifest = dict(archive.manifest)
    again = {key: np.asarray(value) for key, value in arrays.items()}
    if again.keys() != archive.arrays.keys():
        raise ValueError(f"{name}: holds {', '.join(archive.arrays)}, the replay gave {', '.join(again)}")
    difference = max(
        _difference(again[key], value[tuple(map(slice, again[key].shape))]) for key, value in archive.arrays.items()
    )
    found = Replay(difference, difference <= tolerance, replayed)
    if found.agrees:
        record = {
            **{"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "machine": machine()},
            **{"replayed": found.replayed, "largest_difference": difference, "tolerance": tolerance},
            **{"tolerance_from": source, "replaced_closure_sha256": manifest["closure_sha256"]},
        }
        manifest |= {"closure_sha256": closure, "verified": [*manifest.get("verified", []), record]}
        file = _folder(name, root) / "manifest.json"
        new = file.with_name(".manifest.json")
        new.write_bytes(_manifest_text(manifest).encode())
        os.replace(new, file)
    return found


def _difference(again: NDArray[Any], before: NDArray[Any]) -> float:
    """The largest difference, relative to the largest entry; infinite where shapes or missing values differ."""
    if again.shape != before.shape or again.dtype.kind != before.dtype.kind:
        return float("inf")
    if before.dtype.kind not in "biufc":
        return 0.0 if np.array_equal(again, before) else float("inf")
    known = np.isfinite(before)
    if not np.array_equal(known, np.isfinite(again)):
        return float("inf")
    size = float(np.abs(before[known]).max(initial=0.0)) or 1.0
    return float(np.abs(again[known] * 1.0 - before[known] * 1.0).max(initial=0.0)) / size
