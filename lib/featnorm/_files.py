"""Arrays in files: packed without pickles, sealed by a checksum, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def packed(arrays: Mapping[str, ArrayLike], compress: bool = True) -> bytes:
    """An npz file of these arrays: numbers, text or dates, by Python names.

    Raises ValueError for other names, for objects and for masked arrays.

    >>> unpacked(packed({"file": [1, 2]}))["file"].tolist()
    [1, 2]
    """
    out = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", method) as file:  # np.savez cannot store an array named `file`
        for name, value in arrays.items():
            array = np.asarray(value)
            if not isinstance(name, str) or not (name.isascii() and name.isidentifier()):
                raise ValueError(f"arrays: {name!r} must be a Python name")
            if array.dtype.kind not in "biufcSUmM" or isinstance(value, np.ma.MaskedArray):
                raise ValueError(f"arrays: {name} has type {array.dtype}; only numbers, text and dates, without a mask")
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return out.getvalue()


def unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file; nothing is unpickled. Raises what zipfile and NumPy raise for damaged bytes."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        for member in file.namelist():
            with file.open(member) as stream:
                arrays[member.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
                if stream.read(1):  # reading to the end is what makes zipfile compare the checksum
                    raise ValueError(f"{member}: is longer than its header says")
    return arrays


def sealed(data: bytes) -> bytes:
    """An npz file with its SHA-256 in its comment: any reader of npz files opens it, and `unsealed` checks it.

    The checksums of a zip file cover its members, but not the list of them.

    >>> data = sealed(packed({"x": [1]}))
    >>> int(np.load(io.BytesIO(data))["x"][0]), unpacked(unsealed(data))["x"].tolist()
    (1, [1])
    """
    return data[:-2] + b"\x40\0" + hashlib.sha256(data).hexdigest().encode()  # in place of a comment of length zero


def unsealed(data: bytes) -> bytes:
    """The npz file that was `sealed`. Raises ValueError if a bit has changed since."""
    npz = data[:-66] + b"\0\0"
    if data != sealed(npz):
        raise ValueError("its SHA-256 is not the one at its end")
    return npz


def write(path: Path | str, data: bytes) -> None:
    """Put ``data`` under this name, or leave what was there: the new file is complete on disk before it gets the name.

    Raises OSError, for example where the disk is full or the folder is missing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder, "x"), b"old")
    ...     write(Path(folder, "x"), b"new")
    ...     Path(folder, "x").read_bytes()
    b'new'
    """
    path = Path(path)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")  # hidden, and in the same folder: a rename is atomic
    try:
        with open(new, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
