"""Read data out of a pickle file without letting it do anything.

A pickle names functions to be called. Here it may name those by which NumPy stores arrays, types and numbers, and even
these are not called: stand-ins take their arguments, check them and make the arrays themselves. Anything else ends
the reading. Python's own, slower unpickler is used, because the C one can be made to ask for any amount of memory.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.errors import FormatError, short
from pose_extract.files import read_input

_MOST_BYTES = 256 << 20
_TYPE = re.compile(r"[<>|=]?([biuf][1248]|b1|f16|O8?|[SU]\d{1,4})")


class _Refused(Exception):
    """The file asks for something that data does not need."""


class _Type:
    """Stands for a NumPy type while its file is read."""

    def __init__(self, text: Any = "O", *_: Any) -> None:
        if not isinstance(text, str) or not _TYPE.fullmatch(text):
            raise _Refused(f"the array type {short(text)}")
        self.text = text.lstrip("<>|=")
        self.order = text[0] if text[0] in "<>|=" else "<"

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", ">", "|", "="):
            raise _Refused("an array type with a strange state")
        if any(part is not None for part in state[2:5]):
            raise _Refused("an array type with fields")
        self.order = state[1]

    @property
    def is_object(self) -> bool:
        return self.text.startswith("O")

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.text)


class _Array:
    """Stands for an array while its file is read."""

    def __init__(self, *_: Any) -> None:
        self.content: Any = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _Refused("an array with a strange state")
        _, shape, kind, fortran, data = state
        self.content = _array(shape, kind, data, "F" if fortran else "C")


def _array(shape: Any, kind: Any, data: Any, order: str) -> Any:
    """An array of ``shape`` from its bytes, or nested lists of the things that an array of objects holds."""
    if not isinstance(kind, _Type) or not isinstance(shape, tuple):
        raise _Refused("an array without a type or a shape")
    if not all(isinstance(n, int) and 0 <= n < 1 << 40 for n in shape) or len(shape) > 8:
        raise _Refused(f"an array of shape {short(shape)}")
    count = math.prod(shape)
    if kind.is_object:
        if not isinstance(data, list) or len(data) != count or len(shape) > 2:
            raise _Refused("an array of objects whose length is wrong")
        if len(shape) == 2 and order == "C":
            width = shape[1]
            return [data[i * width : (i + 1) * width] for i in range(shape[0] if width else 0)]
        return data
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data) if _is_bytes(data) else None
    kind_numpy = kind.numpy()
    if raw is None or len(raw) != count * kind_numpy.itemsize:
        raise _Refused("an array whose length is wrong")
    array = np.frombuffer(raw, kind_numpy, count).reshape(shape, order="F" if order == "F" else "C")
    return array.astype(kind_numpy.newbyteorder("="))


def _is_bytes(data: Any) -> bool:
    return isinstance(data, (bytes, bytearray))


_PythonUnpickler: Any = vars(pickle)["_Unpickler"]


class _PlainUnpickler(_PythonUnpickler):
    """Reads numbers, text, lists, dictionaries, tuples, sets and NumPy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for one of NumPy's functions; everything else is refused."""
        found = _allowed().get((module.replace("numpy._core.", "numpy.core."), name))
        if found is None:
            raise _Refused(f"{module}.{name}"[:80])
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Refused: it would be looked up elsewhere."""
        raise _Refused("an object that is stored elsewhere")

    def _build(self) -> None:
        # BUILD on anything else sets attributes; on a stand-in class it would change it.
        if type(self.stack[-2]) not in (_Array, _Type):
            raise _Refused("setting an object's attributes")
        super().load_build()

    def _extension(self) -> None:
        raise _Refused("a registered extension")

    dispatch = {  # noqa: RUF012, as in the base class
        **_PythonUnpickler.dispatch,
        pickle.BUILD[0]: _build,
        pickle.EXT1[0]: _extension,
        pickle.EXT2[0]: _extension,
        pickle.EXT4[0]: _extension,
    }


def _allowed() -> dict[tuple[str, str], Callable[..., Any]]:
    return {
        ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy.core.numeric", "_frombuffer"): _from_buffer,
        ("numpy", "ndarray"): lambda *_: _Array(),
        ("numpy", "dtype"): lambda *arguments: _Type(*arguments),
        ("_codecs", "encode"): _encode,
    }


def _scalar(kind: Any, data: Any = None) -> Any:
    array = _array((), kind, data, "C")
    return array.item()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.content = _array(shape, kind, data, str(order))
    return array


def _encode(text: Any, coding: Any) -> bytes:
    """How protocol 2 stores bytes."""
    if not isinstance(text, str) or coding != "latin1":
        raise _Refused("an encoding")
    return text.encode("latin1")


def load_plain_pickle(path: Path) -> Any:
    """The data of a pickle file: numbers, text, lists, dictionaries, arrays.

    Raises:
        FormatError: it asks for anything else, is damaged, or longer than 256 MiB. Nothing of it is ever executed.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise FormatError(f"{path}: expected a pickle file of at most {_MOST_BYTES >> 20} MiB")
    try:
        data = read_input(path)
        # Data that are stored once have fewer parts than the file has bytes; parts of parts of … of the same can be
        # as many as there are atoms.
        return _Plain(4 * len(data) + 1000)(_PlainUnpickler(io.BytesIO(data)).load(), 0)
    except _Refused as error:
        raise FormatError(
            f"{path}: refused: besides numbers, text and arrays, this pickle file asks for {error}"
        ) from None
    except RecursionError:
        raise FormatError(f"{path}: its data are nested too deeply") from None
    except Exception as error:  # the unpickler raises whatever the damaged bytes lead to
        raise FormatError(
            f"{path}: expected a pickle file, found something else or a damaged one: {error}"
        ) from None


class _Plain:
    """Puts arrays in place of their stand-ins, in data of at most ``most`` parts."""

    def __init__(self, most: int) -> None:
        self._left = most

    def __call__(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if depth > 20 or self._left < 0:
            raise RecursionError
        if isinstance(value, _Array):
            return self(value.content, depth + 1)
        if isinstance(value, dict):
            return {key: self(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(item, depth + 1) for item in value]
        if value is None or isinstance(value, (bool, int, float, str, bytes, np.ndarray)):
            return value
        raise _Refused(f"a {type(value).__name__}")
