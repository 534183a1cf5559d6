"""Pick feature vectors of joints on disk without reading them: what is read is what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FeatureRows:
    """Rows (M, V, D) out of arrays that lie on disk, one after another.

    It can stand for an array: an index picks rows (still unread), an integer reads one, `read` reads them all.

    Args:
        parts: arrays (n, V, D), memory-mapped for instance; row numbers count through all of them.
        rows: (M,) the rows that these are; None: all, in order.
        joints: (2, W) the two joints that each of W joints is the mean of; None: the arrays' own joints.
    """

    def __init__(
        self,
        parts: Sequence[NDArray[Any]],
        rows: NDArray[np.int64] | None = None,
        joints: NDArray[np.intp] | None = None,
    ) -> None:
        self._parts = tuple(parts)
        self._begins = np.concatenate([[0], np.cumsum([len(part) for part in self._parts])])
        self._rows = np.arange(self._begins[-1]) if rows is None else rows
        self._joints = joints

    @property
    def shape(self) -> tuple[int, int, int]:
        """(M, V, D)."""
        _, joints, channels = self._parts[0].shape
        return len(self._rows), joints if self._joints is None else self._joints.shape[1], channels

    @property
    def ndim(self) -> int:
        """3, as an array's."""
        return 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the arrays hold."""
        return self._parts[0].dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            return self[np.array([index])].read()[0]
        return FeatureRows(self._parts, self._rows[index], self._joints)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self.read(), dtype)

    def of_joints(self, joints: NDArray[np.intp]) -> FeatureRows:
        """The same rows with W other joints, each the mean of two (or twice the same) of these: (2, W)."""
        return FeatureRows(
            self._parts, self._rows, joints if self._joints is None else self._joints[:, joints]
        )

    def read(self) -> NDArray[Any]:
        """(M, V, D) of the arrays' type; each row is read from disk once, however often it is picked."""
        wanted, where = np.unique(self._rows, return_inverse=True)
        out = np.empty((len(wanted), *self._parts[0].shape[1:]), self.dtype)
        part = np.searchsorted(self._begins, wanted, side="right") - 1
        for number in np.unique(part):
            mine = part == number
            out[mine] = self._parts[number][wanted[mine] - self._begins[number]]
        if self._joints is not None:
            a, b = self._joints
            first = out[:, a]
            mixed = np.flatnonzero(np.not_equal(a, b))
            if len(mixed):
                both = first[:, mixed].astype(np.float32) + out[:, b[mixed]]
                # Of a joint between two of which one has no features, there are none either.
                known = np.logical_and(out[:, a[mixed]].any(axis=2), out[:, b[mixed]].any(axis=2))
                first[:, mixed] = np.where(np.expand_dims(known, 2), 0.5 * both, 0)
            out = first
        return out[where]

    @classmethod
    def from_array(cls, array: NDArray[Any] | FeatureRows) -> FeatureRows:
        """An array's rows."""
        return array if isinstance(array, FeatureRows) else cls([array])

    @classmethod
    def join(cls, several: Sequence[FeatureRows]) -> FeatureRows:
        """The rows of several, one after another; raises ValueError if they are of different joints or sizes."""
        several = [one for one in several if len(one)] or several[:1]
        first = several[0]
        for other in several:
            if other.shape[1:] != first.shape[1:] or not np.array_equal(
                np.asarray(other._joints), np.asarray(first._joints)
            ):
                raise ValueError(
                    f"FeatureRows: expected features of one kind, got {first.shape[1:]} and {other.shape[1:]} (joints, "
                    "channels) or other joints"
                )
        parts: list[NDArray[Any]] = []
        rows = []
        begin = 0
        for one in several:
            rows.append(one._rows + begin)
            parts += one._parts
            begin += int(one._begins[-1])
        return cls(parts, np.concatenate(rows), first._joints)
