"""Data sets: the official files, made small, served by a local HTTP server; and everything that can be wrong."""

import gzip
import hashlib
import io
import pickle
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from featnorm.simsiam import data

RECORDS = 6


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        self.server.requests.append(self.path)


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as httpd:
        httpd.requests = []
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}/", httpd.requests
        httpd.shutdown()
        thread.join()


def batches(seed=0):
    """CIFAR-10's six files with RECORDS images each: {name: bytes}, and the images of the first as (n, 32, 32, 3)."""
    rng = np.random.default_rng(seed)
    files, first = {}, None
    for name in (*data._CIFAR10_TRAIN, *data._CIFAR10_TEST):
        images = rng.integers(0, 256, (RECORDS, 32, 32, 3), dtype=np.uint8)
        first = images if first is None else first
        labels = rng.integers(0, 10, (RECORDS, 1), dtype=np.uint8)
        files[name] = np.hstack([labels, images.transpose(0, 3, 1, 2).reshape(RECORDS, -1)]).tobytes()
    return files, first


def write_tar(path, files, prefix="cifar-10-batches-bin/"):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def cifar(server, monkeypatch):
    folder, url, requests = server
    monkeypatch.delenv(data.VARIABLE, raising=False)
    monkeypatch.setattr(data, "_CIFAR10_RECORDS", RECORDS)
    files, first = batches()
    archive = folder / "cifar-10-binary.tar.gz"

    def serve(content=files, prefix="cifar-10-batches-bin/"):
        sha256 = write_tar(archive, content, prefix)
        monkeypatch.setattr(data, "_CIFAR10", data._Download(url + archive.name, sha256))

    serve()
    return archive, serve, files, first, requests


def left_over(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_cifar_is_downloaded_once_and_read(cifar, tmp_path, capsys):
    archive, _, files, first, requests = cifar
    cache = tmp_path / "cache"
    images = data.load("cifar10", cache=cache)
    assert images.x_train.shape == (5 * RECORDS, 32, 32, 3) and images.x_test.shape == (RECORDS, 32, 32, 3)
    assert np.array_equal(images.x_train[:RECORDS], first)
    assert images.classes[6] == "frog" and images.y_train[0] == files["data_batch_1.bin"][0]
    assert "B/s" in capsys.readouterr().err  # the bar
    assert left_over(cache) == ["cifar-10-batches-bin", "cifar-10-binary.tar.gz"]
    assert data.load("cifar10", cache=cache).sha256 == images.sha256 and len(requests) == 1
    assert data.load("cifar10", archive, progress=False).sha256 == images.sha256
    assert data.load("cifar10", cache / "cifar-10-batches-bin").sha256 == images.sha256
    assert data.load("cifar10", cache).sha256 == images.sha256


def test_an_altered_download_is_named_and_not_kept(cifar, tmp_path):
    archive, *_ = cifar
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(ValueError, match=rf"(?s)altered.*{hashlib.sha256(archive.read_bytes()).hexdigest()}"):
        data.load("cifar10", cache=tmp_path / "cache", progress=False)
    assert left_over(tmp_path / "cache") == []
    with pytest.raises(ValueError, match=r"altered: its SHA-256 is"):
        data.load("cifar10", archive)


def test_an_altered_file_in_the_cache_is_named_and_left_alone(cifar, tmp_path):
    cache = tmp_path / "cache"
    data.load("cifar10", cache=cache, progress=False)
    batch = cache / "cifar-10-batches-bin" / "data_batch_3.bin"
    content = bytearray(batch.read_bytes())
    content[5] ^= 1
    batch.write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_3\.bin: is truncated or altered: its SHA-256 is"):
        data.load("cifar10", cache=cache)
    assert batch.read_bytes() == bytes(content)
    (cache / "cifar-10-batches-bin").rename(tmp_path / "away")
    archive = cache / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"other")
    with pytest.raises(ValueError, match="altered"):
        data.load("cifar10", cache=cache)
    assert archive.read_bytes() == b"other"


def test_no_server_is_a_connection_error(cifar, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_CIFAR10", data._Download("http://127.0.0.1:9/cifar-10-binary.tar.gz", "0" * 64))
    with pytest.raises(ConnectionError, match=r"give a folder or an \.npz"):
        data.load("cifar10", cache=tmp_path / "cache", progress=False)
    assert left_over(tmp_path / "cache") == []


def test_a_path_outside_is_refused(cifar, tmp_path):
    _, serve, files, _, _ = cifar
    serve(files, prefix="../escaped/")
    cache = tmp_path / "cache"
    with pytest.raises(ValueError, match=r"cannot be unpacked.*outside"):
        data.load("cifar10", cache=cache, progress=False)
    assert left_over(cache) == ["cifar-10-binary.tar.gz"] and not (tmp_path / "escaped").exists()


def test_an_archive_that_lacks_a_file_leaves_nothing(cifar, tmp_path):
    _, serve, files, _, _ = cifar
    serve({k: v for k, v in files.items() if k != "test_batch.bin"})
    with pytest.raises(ValueError, match=r"lacks test_batch\.bin"):
        data.load("cifar10", cache=tmp_path / "cache", progress=False)
    assert left_over(tmp_path / "cache") == ["cifar-10-binary.tar.gz"]


def test_folders(cifar, tmp_path):
    _, _, files, _, _ = cifar
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"lacks data_batch_1\.bin"):
        data.load("cifar10", folder)
    with pytest.raises(ValueError, match="lacks train-images"):
        data.load("fashion_mnist", folder)
    with pytest.raises(ValueError, match=r"must be an \.npz for own"):
        data.load("own", folder)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert len(data.load("cifar10", folder).x_test) == RECORDS
    (folder / "test_batch.bin").write_bytes(files["test_batch.bin"][:-1])
    with pytest.raises(ValueError, match=r"test_batch\.bin: has 18437 bytes, must have 18438"):
        data.load("cifar10", folder)
    (folder / "test_batch.bin").write_bytes(b"\x0b" + files["test_batch.bin"][1:])
    with pytest.raises(ValueError, match="y_test: holds labels from"):
        data.load("cifar10", folder)
    (folder / "data_batch_1").write_bytes(b"\x80")
    with pytest.raises(ValueError, match="pickled"):
        data.load("cifar10", folder)


def test_the_python_version_is_refused(tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(b"")
    for source in (path, tmp_path):
        with pytest.raises(ValueError, match="Python version, which is pickled"):
            data.load("cifar10", source)


def idx(values):
    shape = np.array(values.shape, dtype=">u4").tobytes()
    return gzip.compress(bytes((0, 0, 8, values.ndim)) + shape + values.tobytes())


def test_fashion_mnist(server, tmp_path, monkeypatch):
    folder, url, requests = server
    monkeypatch.delenv(data.VARIABLE, raising=False)
    rng = np.random.default_rng(0)
    items, arrays = [], []
    for k, (old, n) in enumerate(zip(data._FASHION_MNIST, (5, 5, 4, 4))):
        values = rng.integers(0, 10, (n, 28, 28) if k % 2 == 0 else (n,), dtype=np.uint8)
        (folder / old.file).write_bytes(idx(values))
        items.append(data._Download(url + old.file, hashlib.sha256((folder / old.file).read_bytes()).hexdigest()))
        arrays.append(values)
    monkeypatch.setattr(data, "_FASHION_MNIST", tuple(items))
    images = data.load("fashion_mnist", cache=tmp_path / "cache", progress=False)
    assert images.shape == (28, 28, 1) and np.array_equal(images.x_test[..., 0], arrays[2])
    assert data.load("fashion_mnist", folder).sha256 == images.sha256
    assert data.load("fashion_mnist", cache=tmp_path / "cache").sha256 == images.sha256 and len(requests) == 4
    (folder / items[1].file).write_bytes(idx(arrays[1])[:-4])
    with pytest.raises(ValueError, match="SHA-256"):
        data.load("fashion_mnist", folder)
    for content, message in (
        (b"no", "cannot be unpacked"),
        (gzip.compress(b"abcd"), "not an IDX"),
        (idx(arrays[1])[:20], "unpacked"),
    ):
        (tmp_path / "bad.gz").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            data._idx(tmp_path / "bad.gz")


def good(**changes):
    x, y = np.zeros((3, 4, 4, 3), dtype=np.uint8), np.array([0, 1, 2])
    return {"x_train": x, "y_train": y, "x_test": x, "y_test": y} | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((3, 4, 4, 3))}, "x_train: is float64"),
        ({"x_train": np.zeros((3, 4, 4, 2), np.uint8)}, "1 or 3"),
        ({"x_train": np.zeros((0, 4, 4, 3), np.uint8), "y_train": np.zeros(0, int)}, "x_train"),
        ({"x_test": np.zeros((3, 5, 4, 3), np.uint8)}, "x_test: has images of shape"),
        ({"y_train": np.array([0.0, 1, 2])}, "y_train: is float64"),
        ({"y_train": np.array([0, 1])}, "3 whole numbers"),
        ({"y_test": np.array([0, 1, 12])}, "from 0 to 9"),
        ({"y_test": np.array([0, -1, 2])}, "from 0 to 9"),
        ({"y_test": np.array([0, None, 2], dtype=object)}, "without pickles"),
        ({"classes": np.arange(3)}, "classes must be text"),
    ],
)
def test_wrong_arrays_in_an_npz(tmp_path, changes, message):
    np.savez(tmp_path / "a.npz", **good(**changes))
    with pytest.raises(ValueError, match=message) as caught:
        data.load("cifar10", tmp_path / "a.npz")
    assert "a.npz" in str(caught.value)


def test_wrong_files(tmp_path):
    np.savez(tmp_path / "a.npz", **good())
    whole = (tmp_path / "a.npz").read_bytes()
    altered = bytearray(whole)
    altered[200] ^= 0xFF
    lacks = io.BytesIO()
    np.savez(lacks, x_train=good()["x_train"])
    single = io.BytesIO()
    np.save(single, good()["x_train"])
    for content in (whole[:-100], bytes(altered), lacks.getvalue(), single.getvalue(), pickle.dumps(good()), b""):
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"must be an intact \.npz"):
            data.load("own", tmp_path / "b.npz")
    with pytest.raises(ValueError, match="does not exist"):
        data.load("own", tmp_path / "c.npz")


def test_nothing_pickled_runs(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    np.savez(tmp_path / "a.npz", allow_pickle=True, **good(y_test=np.array([Bomb(), 1, 2], dtype=object)))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(ValueError, match="pickles"):
            data.load("own", tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_the_environment_variable_and_names(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", **good(x_train=np.ones((3, 4, 4), np.uint8), x_test=np.ones((3, 4, 4), np.uint8)))
    monkeypatch.setenv(data.VARIABLE, str(tmp_path / "a.npz"))
    assert data.load("own").shape == (4, 4, 1) and data.load("own").classes == ("0", "1", "2")
    assert data.load("cifar10").classes[0] == "airplane"
    assert data.load("digits").name == "digits" and len(data.load("digits").x_train) == 1437  # needs no file
    monkeypatch.delenv(data.VARIABLE)
    with pytest.raises(ValueError, match=r"own images need an \.npz"):
        data.load("own")
    with pytest.raises(ValueError, match="must be one of digits"):
        data.load("imagenet")


def test_saving_overwrites_nothing(tmp_path):
    images = data.load("digits")
    data.save_npz(tmp_path / "a.npz", images)
    with pytest.raises(ValueError, match="exists already"):
        data.save_npz(tmp_path / "a.npz", images)
    assert left_over(tmp_path) == ["a.npz"] and data.load("digits", tmp_path / "a.npz").sha256 == images.sha256


def test_the_published_hashes_are_whole():
    for item in (data._CIFAR10, *data._FASHION_MNIST):
        assert len(item.sha256) == 64 and int(item.sha256, 16)
