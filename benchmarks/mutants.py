"""Mutation testing: do the tests of the theory rooms notice a small wrong change? ``make mutants`` writes mutants.md.

A mutant is a copy of one module with one change: an operator, a comparison, a condition, a constant, a sign, a
function taken for its sibling, or a returned value. Lines are drawn at random from all code of the rooms, and of each
line one of its changes; texts, type hints, decorators and error messages are left alone. The tests of the room run on
the mutant, and it is killed if one of them fails. A mutant that uses up its processor time, three times what the tests
take without the change and ten seconds more, is killed too.

numpy, scipy and PyTorch are imported once. Each mutant is a fork of that process in which the import of one module
yields the changed text, so nothing on the disk changes. Results are kept in _build/mutants.jsonl as they come, so that
an interrupted run goes on where it stopped. They hold for one state of the rooms. When only tests have changed, a
mutant that was killed counts as killed while the test that did it is still there; those that survived run again.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import math
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import PathFinder, SourceFileLoader
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from scipy.stats import binomtest
from tqdm import tqdm

from featnorm._validate import natural, positive_int
from featnorm.provenance import commit, machine

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "lib" / "featnorm"
RESULTS = ROOT / "_build" / "mutants.jsonl"
#: No mutant may take more memory than this, in bytes.
MEMORY = 8 * 1024**3
REASONS = Path(__file__).with_suffix(".toml")

#: The tests of a room, those nearest to it first: the first failure ends a run. The doctests of a module belong to it.
ROOMS = {
    "setting": ["setting"],
    "collapse": ["collapse"],
    "subweibull": ["subweibull"],
    "concentration": ["concentration"],
    "gronwall": ["gronwall"],
    "normalized_moments": ["normalized_moments"],
    "matrix_flow": ["matrix_flow", "exact_flows"],
    "commutator": ["commutator"],
    "eigen_flow": ["eigen_flow", "parabola", "exact_flows"],
    "equilibria": ["equilibria", "equilibria_exact"],
    "passage": ["passage"],
    "anisotropic": ["variations"],
    "relatives": ["relatives"],
}
#: What a survivor can be; `mutants.toml` says which one, and why.
CLASSES = {
    "equivalent": "no input tells the mutant from the original",
    "rounding": "they differ by rounding, or on a set of inputs of probability zero",
    "margin": "a grid, a margin or a limit of iterations has room to spare, and the result keeps its promised accuracy",
    "cost": "the results are the same; only time or memory differ",
    "message": "only the text or the place of a message differs",
    "open": "a hole that is left",
}

# --- Mutants ---------------------------------------------------------------------------------------------------------

OPERATORS: dict[type, tuple[str, list[str]]] = {
    ast.Add: ("+", ["-"]), ast.Sub: ("-", ["+"]), ast.Mult: ("*", ["/"]), ast.Div: ("/", ["*"]),
    ast.Pow: ("**", ["*"]), ast.FloorDiv: ("//", ["*"]), ast.Mod: ("%", ["//"]),
    ast.BitAnd: ("&", ["|"]), ast.BitOr: ("|", ["&"]), ast.And: ("and", ["or"]), ast.Or: ("or", ["and"]),
    ast.Lt: ("<", ["<=", ">="]), ast.LtE: ("<=", ["<", ">"]), ast.Gt: (">", [">=", "<="]), ast.GtE: (">=", [">", "<"]),
    ast.Eq: ("==", ["!="]), ast.NotEq: ("!=", ["=="]), ast.Is: ("is", ["is not"]), ast.IsNot: ("is not", ["is"]),
    ast.In: ("in", ["not in"]), ast.NotIn: ("not in", ["in"]),
}  # fmt: skip
PAIRS = (
    "min max, any all, minimum maximum, sin cos, sinh cosh, floor ceil, log log1p, exp expm1, zeros ones, zeros_like "
    "ones_like, argmin argmax, sum prod, cumsum cumprod, real imag, lower upper, cdf sf, abs sign"
)
SIBLINGS = {a: b for pair in PAIRS.split(", ") for a, b in (pair.split(), pair.split()[::-1])}
#: Texts, hints and messages: no change is made inside.
LEFT_ALONE = (ast.JoinedStr, ast.Raise, ast.Import, ast.ImportFrom)


class Mutant(NamedTuple):
    """One change of one module: bytes start to end of its text become ``new``."""

    module: str
    scope: str
    line: int
    start: int
    end: int
    new: str
    #: The changed place with what stands around it, before and after.
    before: str
    after: str
    #: Tells twins apart, which look the same and stand in the same scope.
    number: int = 1

    @property
    def room(self) -> str:
        return self.module.split(".")[1]

    @property
    def key(self) -> str:
        """A name that stays when other lines of the module move."""
        twin = f" (no. {self.number})" if self.number > 1 else ""
        return f"{self.module.removeprefix('featnorm.')} {self.scope}: {self.before} => {self.after}{twin}"

    def text(self) -> bytes:
        """The changed module."""
        whole = source(self.module)
        return whole[: self.start] + self.new.encode() + whole[self.end :]


def source(module: str) -> bytes:
    return path_of(module).read_bytes()


def path_of(module: str) -> Path:
    return LIBRARY.joinpath(*module.split(".")[1:]).with_suffix(".py")


def modules(room: str) -> list[str]:
    """The modules of a room; a package's ``__init__`` only imports."""
    folder = LIBRARY / room
    if folder.is_dir():
        return [f"featnorm.{room}.{p.stem}" for p in sorted(folder.glob("*.py")) if p.stem != "__init__"]
    return [f"featnorm.{room}"]


Edit = tuple[int, int, str]


class Edits:
    """All single changes of a module's text, as (start, end, new bytes) with the scope they stand in."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.line_starts = [0, *(i + 1 for i, byte in enumerate(text) if byte == ord("\n"))]
        self.found: list[tuple[str, Edit]] = []
        self.visit(ast.parse(text), "")

    def span(self, node: ast.expr) -> tuple[int, int]:
        starts = self.line_starts
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def visit(self, node: ast.AST, scope: str) -> None:
        if isinstance(node, LEFT_ALONE):
            return
        self.found += [(scope or "module", edit) for edit in self.of(node)]
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            scope = f"{scope}.{node.name}".lstrip(".")
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        self.visit(child, scope)

    def operator(self, left: ast.expr, op: ast.AST, right: ast.expr) -> Iterator[Edit]:
        old, others = OPERATORS.get(type(op), ("", []))
        gap = self.span(left)[1]
        for new in others:
            start = self.text.index(old.encode(), gap, self.span(right)[0])
            yield start, start + len(old), new

    def of(self, node: ast.AST) -> Iterator[Edit]:
        """The changes of one node; those of its parts are found when they are visited."""
        match node:
            case ast.BinOp(left=left, op=op, right=right) | ast.AugAssign(target=left, op=op, value=right):
                yield from self.operator(left, op, right)
            case ast.BoolOp(op=op, values=values):
                for one, other in pairwise(values):
                    yield from self.operator(one, op, other)
            case ast.Compare(left=left, ops=ops, comparators=rest):
                for (one, other), op in zip(pairwise([left, *rest]), ops):
                    yield from self.operator(one, op, other)
            case ast.UnaryOp(op=ast.USub() | ast.Not() as op):
                start, _ = self.span(node)
                yield start, start + (1 if isinstance(op, ast.USub) else len("not ")), ""
            case ast.Constant(value=bool(value)):
                yield *self.span(node), str(not value)
            case ast.Constant(value=int(value)):
                yield from ((*self.span(node), new) for new in (str(value + 1), f"({value - 1})"))
            case ast.Constant(value=float(value)):
                # A tolerance, or a number so large that one more is nothing, is multiplied instead.
                more = value + 1.0 if value == 0 or 0.01 < value < 1e9 else 100.0 * value
                yield *self.span(node), repr(more)
                if value:
                    yield *self.span(node), f"({-value!r})"
            case ast.Call(func=ast.Name(id="min" | "max" | "any" | "all" as name) as func):
                yield *self.span(func), SIBLINGS[name]
            case ast.Attribute(attr=name) if name in SIBLINGS:
                end = self.span(node)[1]
                yield end - len(name), end, SIBLINGS[name]
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                if not isinstance(test, ast.Compare):  # whose operator has its own opposite
                    start, end = self.span(test)
                    yield start, end, f"not ({self.text[start:end].decode()})"
            case ast.Return(value=ast.expr() as value):
                yield *self.span(value), "None"


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    text = source(module)
    edits, twins, found = Edits(text), Counter(), []
    for scope, (start, end, new) in sorted(edits.found, key=lambda f: f[1]):
        line = text.count(b"\n", 0, start) + 1
        head = text[max(edits.line_starts[line - 1], start - 50) : start].decode(errors="ignore").lstrip()
        tail = text[end : end + 50].split(b"\n")[0].decode(errors="ignore").rstrip()
        before, after = (re.sub(r"\s+", " ", head + mid + tail) for mid in (text[start:end].decode(), new))
        twins[scope, before, after] += 1
        found.append(Mutant(module, scope, line, start, end, new, before, after, twins[scope, before, after]))
    return found


def sample(count: int, seed: int) -> list[Mutant]:
    """``count`` lines of all rooms at random, and of each one of its mutants. A larger sample begins with a smaller."""
    lines: dict[tuple[str, int], list[Mutant]] = {}
    for mutant in (m for room in ROOMS for module in modules(room) for m in mutants(module)):
        lines.setdefault((mutant.module, mutant.line), []).append(mutant)
    if count > len(lines):
        raise ValueError(f"count = {count}: must be at most the {len(lines)} lines that have a mutant")
    rng = random.Random(seed)
    return [rng.choice(lines[line]) for line in rng.sample(sorted(lines), len(lines))][:count]


# --- Running them ----------------------------------------------------------------------------------------------------

#: Outcome, killer and CPU seconds of one run, with the state it was made in.
Record = dict[str, Any]


class Changed(SourceFileLoader):
    """Loads a module with another text; its file stays as it is."""

    replacement = b""
    used = False

    def get_code(self, fullname: str) -> Any:
        self.used = True
        return compile(self.replacement, self.path, "exec", dont_inherit=True)


class Finder:
    """Puts `Changed` in place of the loader of one module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant, self.loader = mutant, None

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.mutant.module:
            return None
        spec = PathFinder.find_spec(name, path)
        self.loader = spec.loader = Changed(name, spec.origin)
        self.loader.replacement = self.mutant.text()
        return spec


class FirstFailure:
    """A pytest plugin that writes the name of the first test that fails into a pipe."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            os.write(self.pipe, report.nodeid.encode())

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            os.write(self.pipe, b"import")


def test_files(room: str) -> list[Path]:
    return [ROOT / "tests" / f"test_{name}.py" for name in ROOMS[room]]


def _child(room: str, mutant: Mutant | None, limit: float, pipe: int) -> int:
    """The tests of a room on a mutant, or on the code as it is; pytest's exit status, or 99 if no test imported it."""
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit)))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.alarm(int(20 * limit))  # for a mutant that waits without computing
    finder = Finder(mutant) if mutant else None
    if finder:
        sys.meta_path.insert(0, finder)
    doctests = map(path_of, [mutant.module] if mutant else modules(room))
    # Plain assertions: pytest's rewriting would load the modules whose doctests run by a loader of its own.
    options = [
        "-x",
        "--assert=plain",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--doctest-modules",
        "--hypothesis-profile=mutants",
    ]
    status = pytest.main([*options, *map(str, [*test_files(room), *doctests])], plugins=[FirstFailure(pipe)])
    return 99 if finder and not (finder.loader and finder.loader.used) else int(status)


def run(room: str, mutant: Mutant | None, limit: float) -> tuple[str, str, float]:
    """(outcome, by what, CPU seconds) of one run of a room's tests in a fork of this process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 98
        try:
            os.close(reader)
            status = _child(room, mutant, limit, writer)
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        by = pipe.read().decode()
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    if code in (-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGALRM):
        return "timed out", "", seconds
    if code == 0:
        return "survived", "", seconds
    if code in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED) or code < 0:
        return "killed", by or f"signal {-code}", seconds
    raise RuntimeError(f"{room}: pytest ended with status {code} on {mutant.key if mutant else 'the code as it is'}")


def digest(paths: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]


@cache
def state(room: str) -> dict[str, str]:
    """What the outcomes of a room depend on, as hashes: the modules of all rooms, and the tests of this one."""
    library = digest(path_of(module) for each in ROOMS for module in modules(each))
    return {"library": library, "tests": digest(test_files(room))}


@cache
def names_of_tests(room: str) -> set[str]:
    return set(re.findall(r"^def (test_\w+)", "\n".join(p.read_text("utf-8") for p in test_files(room)), re.MULTILINE))


def holds(record: Record, room: str) -> bool:
    """Whether an earlier outcome still stands."""
    now = state(room)
    killer = re.search(r"::(test_\w+)", record["by"])
    standing = killer[1] in names_of_tests(room) if killer else record["outcome"] != "survived"
    return record["library"] == now["library"] and (record["tests"] == now["tests"] or standing)


def preload() -> None:
    """Import once what every run needs, but nothing of the library itself."""
    settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),  # a failure need not be made small
        suppress_health_check=list(HealthCheck),
    )
    for name in ("torch", "hypothesis.extra.numpy", *(module for room in ROOMS for module in modules(room))):
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] == "featnorm"]:
        del sys.modules[name]


class Store:
    """What earlier runs found, by name; a kill loses at most the line that was being written."""

    def __init__(self, path: Path) -> None:
        self.path, self.records = path, {}
        path.parent.mkdir(exist_ok=True)
        path.touch()
        for line in path.read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                record = json.loads(line)
                self.records[record["name"]] = record

    def add(self, record: Record) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(record))  # first the end of the line before, whole or not
        self.records[record["name"]] = record

    def has(self, name: str, room: str) -> bool:
        return name in self.records and holds(self.records[name], room)


def measured(job: tuple[str, Mutant | None, float]) -> Record:
    """The record of one run; ``job`` is a room, a mutant or None, and a limit in CPU seconds."""
    room, mutant, limit = job
    outcome, by, seconds = run(room, mutant, limit)
    name = mutant.key if mutant else room
    return {"name": name, "outcome": outcome, "by": by, "seconds": round(seconds, 2), **state(room)}


def outcomes(chosen: Sequence[Mutant], jobs: int) -> dict[str, Record]:
    """The record of every chosen mutant by its key, from earlier runs where it still holds."""
    store = Store(RESULTS)
    todo = [m for m in chosen if not store.has(m.key, m.room)]
    if todo:
        preload()
        rooms = sorted({m.room for m in todo})
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            plain = [(room, None, 600.0) for room in rooms if not store.has(room, room)]
            for record in tqdm(pool.imap_unordered(measured, plain), total=len(plain), unit="room", file=sys.stderr):
                if record["outcome"] != "survived":
                    raise RuntimeError(f"{record['name']}: its tests fail without a change: {record['by']}")
                store.add(record)
            changed = [(m.room, m, 10.0 + 3.0 * store.records[m.room]["seconds"]) for m in todo]
            for record in tqdm(pool.imap_unordered(measured, changed), total=len(todo), unit="mutant", file=sys.stderr):
                store.add(record)
    return {m.key: store.records[m.key] for m in chosen}


# --- The report ------------------------------------------------------------------------------------------------------


def score(killed: int, of: int) -> str:
    low, high = binomtest(killed, of).proportion_ci(method="wilson") if of else (0.0, 1.0)
    return f"{100 * killed / of:.0f} % ({100 * low:.0f} to {100 * high:.0f})" if of else "-"


def table(chosen: Sequence[Mutant], found: dict[str, Record], equivalent: set[str]) -> list[str]:
    """Score by room, and of all."""
    lines = ["| room | mutants | killed | of these by time | score | without equivalent ones |", "|---|" + 5 * "---|"]
    for room in [*ROOMS, "all"]:
        here = [m for m in chosen if room in (m.room, "all")]
        count = Counter(found[m.key]["outcome"] for m in here)
        killed = len(here) - count["survived"]
        alive = len(here) - sum(found[m.key]["outcome"] == "survived" and m.key in equivalent for m in here)
        cells = [room, len(here), killed, count["timed out"], score(killed, len(here)), score(killed, alive)]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def quote(text: str) -> str:
    return f"`` {text} ``"


def report(seeds: Sequence[int], samples: Sequence[Sequence[Mutant]], found: dict[str, Record]) -> str:
    """The page: one table a seed, then every survivor with its class and reason, then the holes that were mended."""
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    kind = {key: (name, reason) for name in CLASSES for key, reason in reasons.get(name, {}).items()}
    mended = reasons.get("mended", {})
    same = {key for key, (name, _) in kind.items() if name == "equivalent"}
    lines = ["# Mutants: do the tests of the theory rooms notice a small wrong change?", ""]
    lines += [" ".join(__doc__.split("\n\n")[1].split()), ""]
    lines += [f"{len(samples[0])} mutants a seed. Intervals are Wilson's, 95 %. {machine()}; commit {commit()}.", ""]
    lines += ["A score flatters where tests were written from the survivors of its own seed.", ""]
    for seed, chosen in zip(seeds, samples):
        lines += [f"## Seed {seed}", "", *table(chosen, found, same), ""]
        killed = [m.key for m in chosen if found[m.key]["outcome"] != "survived"]
        if new := sum(key in mended for key in killed):
            without = score(len(killed) - new, len(chosen))
            lines += [f"Without the tests that were written from survivors, see the end, it would be {without}.", ""]
    survivors = {m.key: m for chosen in samples for m in chosen if found[m.key]["outcome"] == "survived"}
    by_class: dict[str, list[Mutant]] = {name: [] for name in (*CLASSES, "no reason given yet")}
    for key, m in survivors.items():
        by_class[kind[key][0] if key in kind else "no reason given yet"].append(m)
    lines += ["## Survivors", ""]
    for name, members in by_class.items():
        if members:
            lines += [f"### {name.capitalize()}: {len(members)}", ""]
            if name in CLASSES:
                lines += [f"{CLASSES[name].capitalize()}.", ""]
            for m in sorted(members, key=lambda m: (list(ROOMS).index(m.room), m.module, m.line)):
                place = f"{path_of(m.module).relative_to(ROOT).as_posix()}:{m.line}, {m.scope}"
                why = f"  \n  {kind[m.key][1]}" if m.key in kind else ""
                lines.append(f"- {place}: {quote(m.before)} becomes {quote(m.after)}.{why}")
            lines.append("")
    if mended:
        lines += [f"## Holes found and mended: {len(mended)}", ""]
        lines += ["Mutants that survived once, and the test that kills them now.", ""]
        lines += [f"- {quote(key)}  \n  {test}" for key, test in mended.items()]
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: benchmarks/mutants.py --count 20 --seeds 3 --print",
    )
    parser.add_argument("--count", type=int, default=300, metavar="N", help="mutants a seed (default %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="a sample for each (default 0)")
    parser.add_argument("--print", action="store_true", help="print the page and leave benchmarks/mutants.md as it is")
    parser.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="default: the cores"
    )
    options = parser.parse_args(arguments)
    try:
        seeds = [natural("seeds", seed) for seed in options.seeds]
        positive_int("jobs", options.jobs)
        samples = [sample(positive_int("count", options.count), seed) for seed in seeds]
    except ValueError as error:
        parser.error(str(error))
    found = outcomes(list({m.key: m for chosen in samples for m in chosen}.values()), options.jobs)
    page = report(seeds, samples, found)
    if not options.print:
        Path(__file__).with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
