"""Sweeps: the same results everywhere, nothing lost or done twice, and what happens to damaged files and full disks."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from featnorm import results, sweep
from featnorm.simsiam import tabled
from featnorm.simsiam.linear import LinearConfig, train

TOYS = '''"""Runs that leave a line in a log each time they are done."""
import os, time
import numpy as np

def _log(x, seed):
    with open(os.environ["TOYS_LOG"], "a") as log:
        log.write(f"{x} {seed}\\n")

def square(x, seed, wait=0.0):
    if x < 0:
        raise ArithmeticError(f"x = {x} is too small")
    time.sleep(wait)
    rows = np.random.default_rng(seed).standard_normal((int(x), 2))
    _log(x, seed)
    return {"y": x * x, "rows": rows}

def squares(configs):
    out = [square(**config) for config in configs]
    return [a | {"together": len(configs)} for a in out]
'''


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A package of runs that this process and its children can import, and the log of the runs."""
    package = tmp_path / "lib" / "toys"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "runs.py").write_text(TOYS)
    monkeypatch.syspath_prepend(package.parent)
    here = str(Path(sweep.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), here]))
    monkeypatch.setenv("TOYS_LOG", str(tmp_path / "log"))
    for name in ("toys", "toys.runs"):
        sys.modules.pop(name, None)
    import toys.runs  # type: ignore[import-not-found]

    return toys.runs


def log(tmp_path):
    path = tmp_path / "log"
    return path.read_text().splitlines() if path.exists() else []


def contents(folder):
    """The files of a folder; a hidden one is a file that was being written when its process was killed."""
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("[!.]*.npz*"))}


CONFIGS = sweep.grid({"seed": 3}, {"x": [1.0, 2.0, 3.0]})


def test_a_grid_is_every_combination():
    found = sweep.grid({"h": 4, "rho": 9.0}, {"rho": [0.1, 0.2], "seed": range(3)})
    assert len(found) == 6 and found[4] == {"h": 4, "rho": 0.2, "seed": 1}
    assert sweep.grid({"h": 4}, {}) == [{"h": 4}]


def test_finished_runs_are_not_repeated(toys, tmp_path):
    first = sweep.run(toys.square, CONFIGS[:2], tmp_path / "out")
    before = contents(tmp_path / "out")
    again = sweep.run(toys.square, [*CONFIGS, CONFIGS[0]], tmp_path / "out")
    assert (first.found, again.found) == (0, 2) and log(tmp_path) == ["1.0 3", "2.0 3", "3.0 3"]
    assert contents(tmp_path / "out").items() > before.items()
    assert again.files[0] == again.files[3] and not list((tmp_path / "out").glob(".*"))
    config, arrays = sweep.load(again.files[2])
    assert config == CONFIGS[2] and arrays["y"] == 9.0 and arrays["rows"].shape == (3, 2)


def test_the_table_has_one_row_a_run(toys, tmp_path):
    configs = [{"x": 1.0, "seed": 0}, {"x": 3.0, "seed": 1, "wait": 0.0}]
    done = sweep.run(toys.square, configs, tmp_path / "out")
    table = sweep.table(done)
    assert table["config_seed"].tolist() == [0, 1] and table["y"].tolist() == [1.0, 9.0]
    np.testing.assert_array_equal(table["config_wait"], [np.nan, 0.0])
    assert table["rows"].shape == (2, 3, 2) and np.isnan(table["rows"][0, 1:]).all()
    np.testing.assert_array_equal(table["rows"][1], np.random.default_rng(1).standard_normal((3, 2)))


def test_the_table_is_an_archive(toys, tmp_path):
    done = sweep.run(toys.square, CONFIGS, tmp_path / "out")
    sweep.save_table(toys.square, done, tmp_path / "out", "featnorm sweep", 1.0)
    archive = results.load("table", tmp_path / "out")
    assert archive.manifest["config"] == {
        "shared": {"seed": 3}, "varied": ["x"], "finished": 3, "failed": 0, "stale": 0
    }  # fmt: skip
    assert archive.arrays["y"].tolist() == [1.0, 4.0, 9.0] and not archive.stale


def test_a_run_that_fails_is_noted_and_the_others_go_on(toys, tmp_path):
    configs = sweep.grid({"seed": 0}, {"x": [1.0, -1.0, 2.0]})
    for function, key in ((toys.square, None), (toys.squares, lambda config: "all")):
        done = sweep.run(function, configs, tmp_path / function.__name__, together=key)
        assert dict(done.failed) == {1: "ArithmeticError: x = -1.0 is too small"} and len(done.files) == 2
        assert sweep.table(done)["y"].tolist() == [1.0, 4.0]


def test_runs_go_together_by_their_key(toys, tmp_path):
    configs = sweep.grid({}, {"x": [1.0, 2.0], "seed": range(3)})
    done = sweep.run(toys.squares, configs, tmp_path / "out", together=lambda c: str(c["x"]), batch=2)
    assert sweep.table(done)["together"].tolist() == [2, 2, 1, 2, 2, 1]


@pytest.mark.parametrize("damage", [b"", b"PK", "cut", "flip", "other"])
def test_a_damaged_run_is_redone_and_the_rest_kept(toys, tmp_path, damage):
    done = sweep.run(toys.square, CONFIGS, tmp_path / "out")
    whole, path, other = contents(tmp_path / "out"), done.files[1], done.files[0].read_bytes()
    data = path.read_bytes()
    middle = len(data) // 2
    kinds = {
        "cut": data[:middle],
        "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "other": other,
    }
    bad = damage if isinstance(damage, bytes) else kinds[damage]
    path.write_bytes(bad)
    again = sweep.run(toys.square, CONFIGS, tmp_path / "out")
    assert again.found == 2 and log(tmp_path)[3:] == ["2.0 3"]
    assert again.damaged == (path.with_name(f"{path.name}.damaged"),) and again.damaged[0].read_bytes() == bad
    assert contents(tmp_path / "out") == whole | {again.damaged[0].name: bad}


def test_a_full_disk_overwrites_nothing_and_the_sweep_goes_on_later(toys, tmp_path, monkeypatch):
    sweep.run(toys.square, CONFIGS[:1], tmp_path / "out")
    before = contents(tmp_path / "out")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            sweep.run(toys.square, CONFIGS, tmp_path / "out")
    assert contents(tmp_path / "out") == before and not list((tmp_path / "out").glob(".*"))
    assert sweep.run(toys.square, CONFIGS, tmp_path / "out").found == 1


def test_a_full_disk_is_told_with_the_file(toys, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*out/\w{20}\.npz'"):
        sweep.run(toys.square, CONFIGS, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_run(toys, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # no permission stops root
    with pytest.raises(PermissionError, match="out: results cannot be written there"):
        sweep.run(toys.square, CONFIGS, tmp_path / "out")
    assert log(tmp_path) == []


def test_two_drivers_in_one_folder_keep_what_the_faster_wrote(toys, tmp_path, monkeypatch):
    """The other driver finishes every run between this one's look at the folder and its first result."""
    work, first, before = sweep._work, [True], {}

    def overtaken(*job):
        if first and first.pop():
            sweep.run(toys.square, CONFIGS, tmp_path / "out")
            before.update(contents(tmp_path / "out"))
        return work(*job)

    monkeypatch.setattr(sweep, "_work", overtaken)
    done = sweep.run(toys.square, CONFIGS, tmp_path / "out")
    assert len(before) == len(done.files) == 3 and contents(tmp_path / "out") == before


def test_results_of_other_code_are_counted(toys, tmp_path):
    sweep.run(toys.square, CONFIGS[:2], tmp_path / "out")
    module = Path(toys.__file__)
    module.write_text(f"{module.read_text()}\n# changed\n")
    assert sweep.run(toys.square, CONFIGS, tmp_path / "out").stale == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"configs": []}, "configs: there is none"),
        ({"configs": [{"x": float("nan")}]}, "must be what JSON can hold"),
        ({"configs": [{"x": object()}]}, "must be what JSON can hold"),
        ({"batch": 0}, "batch = 0"),
        ({"workers": -1}, "workers = -1"),
        ({"workers": 1, "scheduler": "tcp://127.0.0.1:1"}, "give one of the two"),
        ({"function": len}, "function_name"),
    ],
)
def test_bad_arguments(toys, tmp_path, changes, words):
    arguments = {"function": toys.square, "configs": CONFIGS} | changes
    with pytest.raises(ValueError, match=words):
        sweep.run(folder=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


# Other processes ------------------------------------------------------------------------------------------------------

DRIVER = """
import sys
from featnorm import sweep
from toys import runs
scheduler = sys.argv[2] if len(sys.argv) > 2 else None
configs = sweep.grid({"x": 2.0, "wait": 0.15}, {"seed": range(8)})
sweep.run(runs.square, configs, sys.argv[1], scheduler=scheduler)
"""
SLOW = sweep.grid({"x": 2.0, "wait": 0.15}, {"seed": range(8)})


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def killed_driver(folder, *scheduler):
    """A driver that is killed when two of its eight runs are finished."""
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder), *scheduler])
    try:
        wait_for(lambda: len(contents(folder)) >= 2 or driver.poll() is not None)
    finally:
        driver.kill()
        driver.wait()
    return contents(folder)


def test_a_killed_driver_loses_nothing_that_was_finished(toys, tmp_path):
    kept = killed_driver(tmp_path / "out")
    assert 2 <= len(kept) < 8
    done = sweep.run(toys.square, SLOW, tmp_path / "out")
    assert done.found == len(kept) and contents(tmp_path / "out").items() > kept.items()
    lines = log(tmp_path)
    assert len(set(lines)) == 8 and len(lines) <= 9  # at most the run that was under way is done twice
    sweep.run(toys.square, SLOW, tmp_path / "whole")
    assert contents(tmp_path / "whole") == contents(tmp_path / "out")


@contextmanager
def cluster(tmp_path, workers):
    """The address of a real scheduler with workers on this machine, and their processes, the scheduler first."""
    pytest.importorskip("distributed")
    dask, address = [sys.executable, "-m", "dask"], tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    place = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address)]
    kind = ["--scheduler-file", str(address), "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    started = [subprocess.Popen([*dask, "scheduler", *place], **quiet)]
    try:
        for _ in range(workers):
            started.append(subprocess.Popen([*dask, "worker", *kind], **quiet, cwd=tmp_path))
        # The file is made before it is filled.
        wait_for(lambda: address.is_file() and address.read_text().rstrip().endswith("}"))
        yield json.loads(address.read_text())["address"], started
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_scheduler_and_two_workers(toys, tmp_path):
    """The same bytes as in this process; a worker that is killed, and then the driver, cost no finished run."""
    with cluster(tmp_path, 2) as (scheduler, started):
        sweep.run(toys.square, SLOW, tmp_path / "here")

        def kill_a_worker():
            wait_for(lambda: len(log(tmp_path)) >= 8 + 3)
            started[1].kill()

        killer = threading.Thread(target=kill_a_worker)
        killer.start()
        done = sweep.run(toys.square, SLOW, tmp_path / "there", scheduler=scheduler)
        killer.join()
        assert not done.failed and started[1].wait() == -signal.SIGKILL
        assert contents(tmp_path / "there") == contents(tmp_path / "here")

        kept = killed_driver(tmp_path / "killed", scheduler)
        assert 2 <= len(kept) < 8
        done = sweep.run(toys.square, SLOW, tmp_path / "killed", scheduler=scheduler)
        assert done.found == len(kept) and contents(tmp_path / "killed") == contents(tmp_path / "here")


def test_a_scheduler_that_is_lost_is_named_and_costs_no_finished_run(toys, tmp_path):
    with cluster(tmp_path, 1) as (scheduler, started):
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path / "out"), scheduler], stderr=subprocess.PIPE, text=True
        )
        try:
            wait_for(lambda: len(contents(tmp_path / "out")) >= 2 or driver.poll() is not None)
            started[0].kill()
            words = driver.communicate(timeout=60)[1]
        finally:
            driver.kill()
            driver.wait()
    assert f"ConnectionError: scheduler {scheduler}: was lost; finished runs are kept" in words
    assert "distributed.client - ERROR" not in words
    kept = contents(tmp_path / "out")
    done = sweep.run(toys.square, SLOW, tmp_path / "out")
    assert 2 <= done.found == len(kept) and contents(tmp_path / "out").items() > kept.items()


def test_workers_of_this_machine_give_the_same_bytes(toys, tmp_path):
    pytest.importorskip("distributed")
    configs = sweep.grid({}, {"x": [1.0, 2.0], "seed": range(3)})
    for place, workers in (("here", 0), ("workers", 1)):
        sweep.run(toys.squares, configs, tmp_path / place, together=lambda c: str(c["x"]), workers=workers)
    assert contents(tmp_path / "here") == contents(tmp_path / "workers")


@pytest.mark.parametrize("address", ["", "127.0.0.1", "foo://x:1", "tcp://node", "tcp://node:0", "tcp://node:99999"])
def test_an_address_that_is_none_is_refused(toys, tmp_path, address):
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match=r"scheduler = '.*': must be tcp://HOST:PORT with a port from 1 to 65535"):
        sweep.run(toys.square, CONFIGS, tmp_path / "out", scheduler=address)


def test_the_command_names_a_missing_scheduler_within_ten_seconds(tmp_path):
    """Beyond what the start of the command takes: an address that is none is refused after the same imports."""
    pytest.importorskip("distributed")
    command, took = [sys.executable, "-m", "featnorm", "sweep", "--out", tmp_path / "out", "--grid", "seed=0:2"], []
    for address, words in (("nowhere", "must be tcp://HOST:PORT"), ("tcp://127.0.0.1:1", "does not answer")):
        start = time.monotonic()
        done = subprocess.run([*command, "--scheduler", address], capture_output=True, text=True, timeout=120)
        took.append(time.monotonic() - start)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
    assert took[1] - took[0] < 10


def test_a_missing_scheduler_is_named_within_ten_seconds(toys, tmp_path):
    pytest.importorskip("distributed")
    start = time.monotonic()
    with pytest.raises(ConnectionError, match=r"scheduler tcp://127\.0\.0\.1:1: does not answer within 4 s"):
        sweep.run(toys.square, CONFIGS, tmp_path / "out", scheduler="tcp://127.0.0.1:1")
    assert time.monotonic() - start < 10


# Linear runs ----------------------------------------------------------------------------------------------------------

TINY = {"h": 4, "d": 12, "batch": 8, "epochs": 2, "steps_per_epoch": 4, "record_every": 3}


def test_linear_runs_are_those_of_the_loop():
    config = TINY | {"seed": 2, "samples": 20}
    run, found = train(LinearConfig(**config)), tabled.plain(**config)
    assert "W" not in found and "Phi" not in found
    for name, value in found.items():
        np.testing.assert_array_equal(value, getattr(run, name))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_run_does_not_depend_on_its_batch(dtype):
    """Bit for bit on a CPU: so it does not matter which runs a sweep that goes on puts together."""
    configs = [TINY | {"dtype": dtype, **axes} for axes in sweep.grid({}, {"rho": [0.01, 0.1], "seed": range(3)})]
    whole, pair, alone = tabled.fast(configs), tabled.fast(configs[3:5]), tabled.fast(configs[3:4])
    for name, value in whole[3].items():
        np.testing.assert_array_equal(value, pair[0][name])
        np.testing.assert_array_equal(value, alone[0][name])
    assert len({tabled.together(config) for config in configs}) == 1
    assert tabled.together(configs[0] | {"h": 5}) != tabled.together(configs[0])


@pytest.mark.parametrize("change", [{"samples": 8}, {"symmetrised": False}, {"fixed_head_lr": True}])
def test_the_fast_engine_refuses_what_it_does_not_have(change):
    with pytest.raises(ValueError, match=rf"{next(iter(change))} = .*: only the plain engine"):
        tabled.fast([TINY | change])
