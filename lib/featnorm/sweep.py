"""Many runs of one function: in this process, on the cores of this machine, or on a cluster through Dask.

Each finished run is one small file in the sweep's folder, written whole or not at all and named by a hash of function
and configuration. So a sweep that was killed goes on where it was, finished runs are never repeated, and it does not
matter where a run ran: the driver writes the files, and workers need neither a common disk nor anything but this
package. At the end there is one table of all runs, an archive as in `featnorm.results`.

On a cluster, start a scheduler and workers, in the queueing system or by ``dask-jobqueue``, and name the scheduler:

    dask scheduler --port 8786                              on one node
    dask worker tcp://node:8786 --nthreads 1 --nworkers 16  on each other node
    python -m featnorm sweep ... --scheduler tcp://node:8786

Dask itself sends messages between its processes in its own format, which uses pickle: name only schedulers you trust.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from featnorm import _files, results
from featnorm._validate import natural, positive_int

Config = Mapping[str, Any]
Arrays = dict[str, NDArray[Any]]
#: Says which runs may go together: those of equal keys.
Key = Callable[[Config], str]
#: Seconds to wait for a scheduler.
PATIENCE = 4.0


@dataclass(frozen=True)
class Sweep:
    """What a sweep left behind.

    files: of the finished runs, in the order of their configurations.  failed: what went wrong, by position.
    found: number of runs that were there before.  damaged: files that could not be read; each run was done again, and
    the file is kept under its name with ``.damaged``.  stale: number of runs made by other code than today's.

    >>> Sweep(({"seed": 0},), (), {0: "ValueError: no"}, found=0, damaged=(), stale=0).failed[0]
    'ValueError: no'
    """

    configs: tuple[Config, ...]
    files: tuple[Path, ...]
    failed: Mapping[int, str]
    found: int
    damaged: tuple[Path, ...]
    stale: int


def grid(base: Config, axes: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of the axes, the last axis fastest, over a common base.

    >>> grid({"h": 2}, {"rho": [0.1, 0.2], "seed": range(2)})[1]
    {'h': 2, 'rho': 0.1, 'seed': 1}
    """
    return [dict(base) | dict(zip(axes, values)) for values in itertools.product(*axes.values())]


def name_of(function: Callable[..., Any]) -> str:
    """The dotted name under which a worker finds the function.

    >>> from featnorm.surveys import terminal_states
    >>> name_of(terminal_states)
    'featnorm.surveys.terminal_states'
    """
    return f"{function.__module__}.{function.__qualname__}"


def run_hash(function: Callable[..., Any], config: Config) -> str:
    """The name of a run: 20 hexadecimal digits of the SHA-256 of function name and configuration as JSON.

    Raises ValueError for a configuration that JSON cannot hold.

    >>> from featnorm.surveys import terminal_states
    >>> a, b = ({"h": 3, "starts": 2, "seed": s} for s in (0, 1))
    >>> run_hash(terminal_states, a) == run_hash(terminal_states, dict(reversed(a.items())))
    True
    >>> run_hash(terminal_states, a) == run_hash(terminal_states, b)
    False
    """
    try:
        return _hash(name_of(function), config)
    except (TypeError, ValueError) as error:
        raise ValueError(f"configuration {config!r}: must be what JSON can hold ({error})") from error


def _hash(function_name: str, config: Config) -> str:
    text = json.dumps([function_name, dict(config)], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def run(
    function: Callable[..., Any],
    configs: Sequence[Config],
    folder: Path | str,
    *,
    together: Key | None = None,
    batch: int = 32,
    scheduler: str | None = None,
    workers: int = 0,
    progress: bool = False,
) -> Sweep:
    """Do every run that has no result in ``folder`` yet.

    Parameters
    ----------
    function: defined at the top level of a module of an installed package; ``function(**config)`` returns arrays by
        name. With ``together`` it takes a list of configurations of equal key, at most ``batch`` of them, and returns
        a list of as many results.
    configs: one mapping a run, of what JSON can hold; the same one twice is one run.
    folder: made if it is not there.
    scheduler: address of a Dask scheduler, such as ``tcp://node:8786``. workers: processes to start on this machine.
        Neither: in this process.

    A run that raises an error is noted, and the others go on; one in a batch is found by running the batch one by one.

    Raises ValueError for wrong arguments, ConnectionError for a scheduler that does not answer or is lost, OSError
    where a result cannot be written, and KeyboardInterrupt; what is finished by then is kept.

    >>> import tempfile
    >>> from featnorm.surveys import terminal_states
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     configs = grid({"h": 3, "starts": 1}, {"seed": range(2)})
    ...     first = run(terminal_states, configs, folder)
    ...     again = run(terminal_states, configs, folder)
    ...     first.found, again.found, table(again)["phi"].shape
    (0, 2, (2, 1, 3))
    """
    positive_int("batch", batch)
    if natural("workers", workers) and scheduler is not None:
        raise ValueError("workers, scheduler: give one of the two")
    closure = results.closure_hash(name_of(function))
    hashes = [run_hash(function, config) for config in configs]
    if not hashes:
        raise ValueError("configs: there is none, so there is nothing to run")
    if scheduler is not None or workers:
        _import_dask()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.npz" for name in hashes}
    found, stale, damaged = set(), 0, []
    for name, path in paths.items():
        try:
            about = _read(path)["about"].item()
        except FileNotFoundError:
            continue
        except ValueError:
            damaged.append(path)
            continue
        found.add(name)
        stale += json.loads(about)["closure"] != closure
    todo = {name: config for name, config in zip(hashes, configs) if name not in found}
    if todo and not os.access(folder, os.W_OK):  # said before the first run, not after it
        raise PermissionError(f"{folder}: results cannot be written there")
    failed: dict[str, str] = {}
    with tqdm(
        total=len(paths), initial=len(found), disable=not progress, file=sys.stderr, unit="run", smoothing=0.0
    ) as bar:
        for group, outcomes in _outcomes(function, _groups(todo, together, batch), together, scheduler, workers):
            for name, outcome in zip(group, outcomes):
                if isinstance(outcome, str):
                    failed[name] = outcome
                else:
                    _keep(paths[name], outcome, function, todo[name], closure)
                bar.update()
    position = {name: i for i, name in reversed(list(enumerate(hashes)))}
    return Sweep(
        configs=tuple(configs),
        files=tuple(paths[name] for name in hashes if name not in failed),
        failed=MappingProxyType({position[name]: words for name, words in failed.items()}),
        found=len(found),
        damaged=tuple(path.with_name(f"{path.name}.damaged") for path in damaged),
        stale=stale,
    )


def _keep(path: Path, arrays: Mapping[str, Any], function: Callable[..., Any], config: Config, closure: str) -> None:
    about = {"function": name_of(function), "config": dict(config), "closure": closure}
    data = _files.sealed(_files.packed({"about": np.array(json.dumps(about))} | dict(arrays)))
    try:
        try:
            _read(path)
            return  # another driver in this folder was faster
        except FileNotFoundError:
            pass
        except ValueError:  # what can be learned from a damaged file is not lost
            os.replace(path, path.with_name(f"{path.name}.damaged"))
        _files.write(path, data)
    except OSError as error:  # a full disk names no file
        raise OSError(error.errno, error.strerror, str(path)) from error


def _read(path: Path) -> Arrays:
    """A result file; FileNotFoundError where there is none, ValueError where it is damaged."""
    data = path.read_bytes()
    try:
        arrays = _files.unpacked(_files.unsealed(data))
        about = json.loads(arrays["about"].item())
        if _hash(about["function"], about["config"]) != path.stem:
            raise ValueError("holds another run than its name says")
    except Exception as error:  # zipfile, NumPy and json raise many kinds
        raise ValueError(f"{path}: is damaged ({error})") from error
    return arrays


def _groups(todo: Mapping[str, Config], together: Key | None, batch: int) -> list[dict[str, Config]]:
    if together is None:
        return [{name: config} for name, config in todo.items()]
    alike: dict[str, list[str]] = {}
    for name, config in todo.items():
        alike.setdefault(together(config), []).append(name)
    return [
        {name: todo[name] for name in names[i : i + batch]}
        for names in alike.values()
        for i in range(0, len(names), batch)
    ]


def _work(function_name: str, configs: list[dict[str, Any]], batched: bool) -> list[Arrays | str]:
    """What a worker does: results in order, or words where a run raised an error."""
    module, _, name = function_name.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    try:
        found = function(configs) if batched else [function(**config) for config in configs]
        return [{key: np.asarray(value) for key, value in arrays.items()} for arrays in found]
    except Exception as error:  # whatever a run raises must not end the others
        if len(configs) == 1:
            return [f"{type(error).__name__}: {error}"]
        return [_work(function_name, [config], batched)[0] for config in configs]


def _outcomes(
    function: Callable[..., Any],
    groups: list[dict[str, Config]],
    together: Key | None,
    scheduler: str | None,
    workers: int,
) -> Iterator[tuple[list[str], list[Arrays | str]]]:
    jobs = [
        (list(group), (name_of(function), list(map(dict, group.values())), together is not None)) for group in groups
    ]
    if scheduler is None and not workers:
        for names, job in jobs:
            yield names, _work(*job)
        return
    with _client(scheduler, workers) as client:
        from distributed import as_completed

        waiting = {client.submit(_work, *job, pure=False): names for names, job in jobs}
        for future in as_completed(list(waiting), loop=client.loop):
            names = waiting.pop(future)
            yield names, _result(future, names, scheduler)
            future.release()


def _result(future: Any, names: list[str], scheduler: str | None) -> list[Arrays | str]:
    try:
        return future.result()
    except CancelledError as error:  # nothing here cancels a run
        raise ConnectionError(f"scheduler {scheduler}: was lost; finished runs are kept, a new call goes on") from error
    except Exception as error:  # a run that kills its workers one after another, or that a worker lacks the package
        return [f"{type(error).__name__}: {error}"] * len(names)


def _import_dask() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise ValueError("scheduler, workers: need Dask, which is not here: pip install 'featnorm[sweep]'") from error


def _address(scheduler: str) -> tuple[str, int]:
    found = re.fullmatch(r"tcp://(\S+):(\d{1,5})", scheduler)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError(f"scheduler = {scheduler!r}: must be tcp://HOST:PORT with a port from 1 to 65535")
    return found[1].strip("[]"), int(found[2])


@contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator[Any]:
    from distributed import Client, LocalCluster
    from distributed.utils import silence_logging_cmgr

    if scheduler is None:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for this process: workers
        try:  # inherit the block, and end with the cluster and not each with a traceback
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client
        return
    missing = (
        f"scheduler {scheduler}: does not answer within {PATIENCE:g} s; start one with `dask scheduler`, and "
        "`dask worker` for each worker"
    )
    try:  # a Client that found no scheduler takes many seconds more to close
        socket.create_connection(_address(scheduler), timeout=PATIENCE).close()
    except OSError as error:
        raise ConnectionError(missing) from error
    with silence_logging_cmgr(logging.CRITICAL):
        try:
            client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ConnectionError(missing) from error
        with client:
            yield client


def load(path: Path | str) -> tuple[dict[str, Any], Arrays]:
    """Configuration and arrays of one result file. Raises FileNotFoundError, and ValueError where it is damaged.

    >>> import tempfile
    >>> from featnorm.surveys import terminal_states
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = run(terminal_states, grid({"h": 3, "starts": 1}, {"seed": range(2)}), folder)
    ...     config, arrays = load(done.files[1])
    >>> config, arrays["phi"].shape
    ({'h': 3, 'starts': 1, 'seed': 1}, (1, 3))
    """
    arrays = _read(Path(path))
    return json.loads(arrays.pop("about").item())["config"], arrays


def table(sweep: Sweep) -> Arrays:
    """All finished runs of a sweep side by side: each array has one entry (or row) a run, in the order of the sweep.

    ``config_NAME`` holds each field of the configurations; None is NaN among numbers. Then every array that the runs
    returned, under its own name; where the lengths differ from run to run, NaN fills up the shorter ones.

    Raises ValueError where runs returned different arrays, or arrays of different dimension under one name.

    >>> import tempfile
    >>> from featnorm.surveys import terminal_states
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = run(terminal_states, grid({"h": 3, "starts": 1}, {"seed": range(2)}), folder)
    ...     found = table(done)
    >>> found["config_seed"].tolist(), found["phi"].shape
    ([0, 1], (2, 1, 3))
    """
    found = [load(path) for path in sweep.files]
    out = {
        f"config_{name}": _column([config.get(name) for config, _ in found])
        for name in dict.fromkeys(name for config, _ in found for name in config)
    }
    names = list(found[0][1]) if found else []
    if any(list(arrays) != names for _, arrays in found):
        raise ValueError("table: the runs returned arrays of different names")
    return out | {name: _stacked(name, [arrays[name] for _, arrays in found]) for name in names}


def _column(values: list[Any]) -> NDArray[Any]:
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in values) or all(isinstance(value, str) for value in values):
        return np.array(values)
    if known and all(isinstance(value, int | float) for value in known):
        return np.array([np.nan if value is None else value for value in values])
    return np.array([json.dumps(value) for value in values])


def _stacked(name: str, arrays: list[NDArray[Any]]) -> NDArray[Any]:
    if len({array.ndim for array in arrays}) > 1:
        raise ValueError(f"table: {name} has different dimensions from run to run")
    shape = tuple(map(max, zip(*(array.shape for array in arrays))))
    if all(array.shape == shape for array in arrays):
        return np.stack(arrays)
    out = np.full((len(arrays), *shape), np.nan)
    for row, array in zip(out, arrays):
        row[tuple(map(slice, array.shape))] = array
    return out


def save_table(function: Callable[..., Any], sweep: Sweep, folder: Path | str, command: str, seconds: float) -> Path:
    """Write `table` as the archive ``table`` in ``folder``: ``arrays.npz`` and ``manifest.json``, see `results.save`.

    The manifest holds the fields that all runs share, the names of the others, and how many runs are finished, failed,
    and made by other code than today's. ``featnorm.results.load("table", folder)`` reads it.

    >>> import tempfile
    >>> from featnorm.surveys import terminal_states
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = run(terminal_states, grid({"h": 3, "starts": 1}, {"seed": range(2)}), folder)
    ...     _ = save_table(terminal_states, done, folder, "featnorm sweep", seconds=1.0)
    ...     results.load("table", folder).manifest["config"]["varied"]
    ['seed']
    """
    shared = {
        name: value
        for name, value in sweep.configs[0].items()
        if all(name in config and config[name] == value for config in sweep.configs)
    }
    about = {
        "shared": shared,
        "varied": sorted({name for config in sweep.configs for name in config} - shared.keys()),
        **{"finished": len(sweep.files), "failed": len(sweep.failed), "stale": sweep.stale},
    }
    results.save(
        "table",
        table(sweep),
        made_by=name_of(function),
        config=about,
        seed=min((config["seed"] for config in sweep.configs if "seed" in config), default=0),
        command=command,
        seconds=seconds,
        device=str(shared.get("device", "cpu")),
        root=folder,
    )
    return Path(folder, "table")
