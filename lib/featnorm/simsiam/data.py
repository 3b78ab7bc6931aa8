"""Images for `featnorm.simsiam.image`: downloaded once and checked by hash, read from a folder, or from an .npz.

CIFAR-10 is read in its binary distribution (Krizhevsky 2009), Fashion-MNIST from its four IDX files (Xiao, Rasul,
Vollgraf 2017), and scikit-learn's digits come with that library. Nothing pickled is ever read.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featnorm._validate import one_of

NAMES = ("digits", "cifar10", "fashion_mnist", "own")
VARIABLE = "FEATNORM_DATA"
_KEYS = ("x_train", "y_train", "x_test", "y_test")
_CLASSES = {
    "digits": tuple("0123456789"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}
_UNREADABLE = (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile, tarfile.TarError)


@dataclass(frozen=True)
class _Download:
    url: str
    sha256: str

    @property
    def file(self) -> str:
        return self.url.rsplit("/", 1)[1]


# The page of CIFAR-10 publishes an MD5, Fashion-MNIST's too. These are the SHA-256 of the files with those MD5.
_CIFAR10 = _Download(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
_CIFAR10_FOLDER = "cifar-10-batches-bin"
_CIFAR10_TRAIN, _CIFAR10_TEST = tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",)
_CIFAR10_RECORDS = 10_000
_SUMS = "SHA256SUMS"
_FASHION_URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_FASHION_MNIST = tuple(
    _Download(_FASHION_URL + file, sha256)
    for file, sha256 in (
        ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    )
)


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels for training and for the test.

    x_train, x_test: uint8 (n, rows, columns, channels), 1 or 3 channels, of one size.
    y_train, y_test: labels (n,), whole numbers from 0 to len(classes) - 1, kept as int64.
    classes: names of the classes.  name: of the data set.

    Raises ValueError that names the array and says what it must be.

    >>> grey = np.zeros((2, 4, 4, 1), dtype=np.uint8)
    >>> ImageData(grey, np.array([0, 1]), grey, np.array([1, 1]), ("cat", "dog"), "own").shape
    (4, 4, 1)
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            if x.dtype != np.uint8 or x.ndim != 4 or x.shape[3] not in (1, 3) or not x.size:
                raise ValueError(
                    f"x_{part}: is {x.dtype} of shape {x.shape}, must be uint8 of shape (n, rows, columns, 1 or 3)"
                )
            if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
                raise ValueError(f"y_{part}: is {y.dtype} of shape {y.shape}, must be {len(x)} whole numbers")
            if int(y.min()) < 0 or int(y.max()) >= len(self.classes):
                raise ValueError(
                    f"y_{part}: holds labels from {y.min()} to {y.max()}, must be from 0 to {len(self.classes) - 1}"
                )
            object.__setattr__(self, f"y_{part}", y.astype(np.int64))
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise ValueError(
                f"x_test: has images of shape {self.x_test.shape[1:]}, must be {self.x_train.shape[1:]} as in x_train"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns and channels of an image."""
        return self.x_train.shape[1:]

    @property
    def sha256(self) -> str:
        """Hash of the four arrays with their shapes: one value for the same images in the same order."""
        digest = hashlib.sha256()
        for key in _KEYS:
            values = np.ascontiguousarray(getattr(self, key))
            digest.update(f"{key}{values.shape}".encode())
            digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).data)
        return digest.hexdigest()


def load(
    name: str = "digits",
    source: str | Path | None = None,
    cache: str | Path | None = None,
    progress: bool = True,
) -> ImageData:
    """The images called ``name``: ``digits`` (no network), ``cifar10``, ``fashion_mnist``, or ``own`` (an .npz).

    ``source`` is an .npz as `save_npz` writes it, a folder with the official files, or CIFAR-10's binary archive. It
    defaults to the environment variable FEATNORM_DATA, except for digits; without either, the official files are
    downloaded into ``cache`` (the user's cache folder) with a bar on standard error, once, and checked by SHA-256.

    Raises ValueError for a source that is missing, incomplete, altered (naming the hash) or pickled; ConnectionError
    where the download fails. Nothing that exists is overwritten, and no partial file is left under a final name.

    >>> load("digits").x_train.shape
    (1437, 8, 8, 1)
    """
    one_of(*NAMES)("name", name)
    if source is None and name != "digits":
        source = os.environ.get(VARIABLE) or None
    if source is not None:
        return _from_source(name, Path(source).expanduser())
    if name == "digits":
        return _digits()
    if name == "own":
        raise ValueError(f"source = None: own images need an .npz, given here or by {VARIABLE}")
    folder = Path(cache).expanduser() if cache is not None else _cache_folder()
    if name == "cifar10":
        if not (folder / _CIFAR10_FOLDER).is_dir():
            _extract(_fetch(_CIFAR10, folder, progress), folder)
        return _cifar10(folder / _CIFAR10_FOLDER)
    for item in _FASHION_MNIST:
        _fetch(item, folder, progress)
    return _fashion_mnist(folder)


def save_npz(path: str | Path, data: ImageData) -> None:
    """Write ``data`` in the form that `load` reads: uint8 x_train, x_test (n, rows, columns, channels), integer
    y_train, y_test (n,), and text ``classes``. There grey images may lack the last axis, and ``classes`` is optional.
    Raises ValueError where the file exists.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_npz(Path(folder) / "a.npz", load("digits"))
    ...     load("own", Path(folder) / "a.npz").sha256 == load("digits").sha256
    True
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"path = {str(path)!r}: exists already, and nothing is overwritten")
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npz.part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez_compressed(file, classes=np.array(data.classes), **{key: getattr(data, key) for key in _KEYS})
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _digits() -> ImageData:
    from sklearn.datasets import load_digits

    raw = load_digits()
    # 0..16 becomes 0..255; the last fifth, in the order of the file, is the test set
    images, cut = np.round(raw.images * (255 / 16)).astype(np.uint8)[..., None], 1437
    return ImageData(images[:cut], raw.target[:cut], images[cut:], raw.target[cut:], _CLASSES["digits"], "digits")


def _from_source(name: str, source: Path) -> ImageData:
    where = f"source = {str(source)!r}"
    if not source.exists():
        raise ValueError(f"{where}: does not exist")
    files = {p.name for p in source.iterdir()} if source.is_dir() else {source.name}
    if any(file.startswith("cifar-10-python") or file == "cifar-10-batches-py" for file in files | {source.name}) or (
        "data_batch_1" in files
    ):
        raise ValueError(
            f"{where}: is CIFAR-10's Python version, which is pickled, and unpickling can run any code; "
            f"use the binary version, {_CIFAR10.file}"
        )
    if source.is_dir() and name == "cifar10":
        inner = source / _CIFAR10_FOLDER
        return _cifar10(inner if inner.is_dir() else source)
    if source.is_dir() and name == "fashion_mnist":
        return _fashion_mnist(source)
    if source.is_dir():
        raise ValueError(f"{where}: is a folder, must be an .npz for {name}")
    if name == "cifar10" and source.name.endswith(".tar.gz"):
        _verify(source, _CIFAR10.sha256)
        with tempfile.TemporaryDirectory() as folder:
            return _cifar10(_extract(source, Path(folder)))
    return _npz(name, source)


def _npz(name: str, path: Path) -> ImageData:
    where = f"source = {str(path)!r}"
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"PK\x03\x04":  # what np.load would take for a pickle, if it were let
                raise ValueError("it is not a zip file of arrays; pickled content is refused")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in (*_KEYS, *({"classes"} & set(archive.files)))}
    except _UNREADABLE as error:
        raise ValueError(f"{where}: must be an intact .npz of {', '.join(_KEYS)} without pickles ({error})") from error
    classes = _CLASSES.get(name)
    if "classes" in arrays:
        if arrays["classes"].dtype.kind != "U" or arrays["classes"].ndim != 1:
            raise ValueError(f"{where}: classes must be text of shape (number of classes,)")
        classes = tuple(map(str, arrays.pop("classes")))
    if classes is None:
        labels = [y for y in (arrays["y_train"], arrays["y_test"]) if y.dtype.kind in "iu" and y.size]
        classes = tuple(map(str, range(max((int(y.max()) for y in labels), default=0) + 1)))
    for key in ("x_train", "x_test"):
        if arrays[key].ndim == 3:
            arrays[key] = arrays[key][..., None]
    try:
        return ImageData(**arrays, classes=classes, name=name)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _cache_folder() -> Path:
    import pooch

    return Path(pooch.os_cache("featnorm"))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, sha256: str) -> None:
    found = _sha256(path)
    if found != sha256:
        raise ValueError(
            f"{path}: is truncated or altered: its SHA-256 is {found}, must be {sha256}; remove it to fetch it again"
        )


def _fetch(item: _Download, folder: Path, progress: bool) -> Path:
    """The downloaded file, checked; pooch writes to a temporary name and renames after its own check of the hash."""
    target = folder / item.file
    if target.exists():
        _verify(target, item.sha256)
        return target
    try:
        import pooch
    except ImportError as error:
        raise ConnectionError(
            f"{item.url}: the download needs pooch (pip install 'featnorm[images]'); or give a source"
        ) from error
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            item.url,
            f"sha256:{item.sha256}",
            fname=item.file,
            path=folder,
            downloader=pooch.HTTPDownloader(progressbar=progress),
        )
    except OSError as error:  # requests' errors are OSErrors
        raise ConnectionError(f"{item.url}: the download failed ({error}); or give a folder or an .npz") from error
    except ValueError as error:  # the hash
        raise ValueError(f"{item.url}: truncated or altered, and not kept ({error})") from error
    return target


def _extract(archive: Path, folder: Path) -> Path:
    """Unpack CIFAR-10 beside its final name, note the hash of each file, rename: the result is whole or absent."""
    final = folder / _CIFAR10_FOLDER
    work = Path(tempfile.mkdtemp(dir=folder, prefix=".unpacking-"))
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(work, filter="data")  # refuses links and paths that lead outside
        inner = work / _CIFAR10_FOLDER
        _cifar10(inner)
        sums = (f"{_sha256(inner / file)}  {file}\n" for file in (*_CIFAR10_TRAIN, *_CIFAR10_TEST))
        (inner / _SUMS).write_text("".join(sums), encoding="utf-8")
        os.rename(inner, final)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ValueError(f"{archive}: cannot be unpacked ({error})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


def _cifar10(folder: Path) -> ImageData:
    """Records of one label byte and 3 x 32 x 32 bytes, plane by plane, 10,000 to a file."""
    files = (*_CIFAR10_TRAIN, *_CIFAR10_TEST)
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        raise ValueError(f"{folder}: lacks {', '.join(missing)} of CIFAR-10's binary version")
    if (folder / _SUMS).is_file():
        for line in (folder / _SUMS).read_text(encoding="utf-8").splitlines():
            sha256, _, file = line.partition("  ")
            if file not in files:
                raise ValueError(f"{folder / _SUMS}: names {file!r}, which is no file of CIFAR-10")
            _verify(folder / file, sha256)

    def read(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        size = 1 + 3 * 32 * 32
        for file in names:
            found = (folder / file).stat().st_size
            if found != size * _CIFAR10_RECORDS:
                raise ValueError(f"{folder / file}: has {found} bytes, must have {size * _CIFAR10_RECORDS}")
        rows = np.concatenate([np.fromfile(folder / file, dtype=np.uint8) for file in names]).reshape(-1, size)
        return np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), rows[:, 0]

    try:
        return ImageData(*read(_CIFAR10_TRAIN), *read(_CIFAR10_TEST), _CLASSES["cifar10"], "cifar10")
    except ValueError as error:
        raise ValueError(f"source = {str(folder)!r}: {error}") from error


def _fashion_mnist(folder: Path) -> ImageData:
    missing = [item.file for item in _FASHION_MNIST if not (folder / item.file).is_file()]
    if missing:
        raise ValueError(f"{folder}: lacks {', '.join(missing)} of Fashion-MNIST")
    for item in _FASHION_MNIST:
        _verify(folder / item.file, item.sha256)
    x_train, y_train, x_test, y_test = (_idx(folder / item.file) for item in _FASHION_MNIST)
    classes = _CLASSES["fashion_mnist"]
    return ImageData(x_train[..., None], y_train, x_test[..., None], y_test, classes, "fashion_mnist")


def _idx(path: Path) -> np.ndarray:
    """An IDX file of bytes: two zeros, 8, the number of axes, their lengths as big-endian 32-bit, the values."""
    try:
        with gzip.open(path, "rb") as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be unpacked ({error})") from error
    axes = raw[3] if len(raw) > 3 else 0
    if raw[:3] != b"\x00\x00\x08" or len(raw) < 4 + 4 * axes:
        raise ValueError(f"{path}: is not an IDX file of bytes")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", axes, 4))
    if len(raw) != 4 + 4 * axes + int(np.prod(shape)):
        raise ValueError(f"{path}: has {len(raw)} bytes, does not fit its shape {shape}")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)
