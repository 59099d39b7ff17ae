"""What a calibration is fitted to: how far the signal moved from step to step, and how far the blocks' output did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_VERSION = 1
_KEYS = ("version", "transformer_type", "branches", "lengths", "distances", "changes")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The pairs of one branch of one generation, in the order of its steps.

    Attributes:
        branch: The branch's name.
        distances: Relative L1 change of the modulated input, one for each two steps side by side.
        changes: Relative L1 change of the hidden states behind the blocks, likewise.
    """

    branch: str
    distances: Numbers
    changes: Numbers

    @property
    def key(self) -> bytes:
        """The same for equal numbers."""
        return self.distances.tobytes() + self.changes.tobytes()


@dataclass(frozen=True, eq=False)
class Pairs:
    """What was collected for one transformer.

    Attributes:
        transformer_type: Its class.
        trajectories: One for each branch of each generation. Pairs never reach from one to another.
    """

    transformer_type: str
    trajectories: tuple[Trajectory, ...]

    def __len__(self) -> int:
        return sum(len(one.distances) for one in self.trajectories)

    @property
    def distances(self) -> Numbers:
        """How much the signal changed at each step, of all trajectories one after the other."""
        return np.concatenate([one.distances for one in self.trajectories]) if self.trajectories else np.empty(0)

    @property
    def changes(self) -> Numbers:
        """How much the output of the blocks changed at the same steps, in the order of `distances`."""
        return np.concatenate([one.changes for one in self.trajectories]) if self.trajectories else np.empty(0)

    def save(self, path: Path) -> None:
        """Writes a shard: an npz file without pickled objects."""
        with path.open("wb") as file:  # numpy would add a suffix to a name of its own liking
            np.savez_compressed(
                file,
                version=_VERSION,
                transformer_type=self.transformer_type,
                branches=np.array([one.branch for one in self.trajectories], dtype=np.str_),
                lengths=np.array([len(one.distances) for one in self.trajectories], dtype=np.int64),
                distances=self.distances,
                changes=self.changes,
            )

    @classmethod
    def load(cls, path: Path) -> Pairs:
        """Reads a shard.

        Raises:
            ValueError: If the file is no shard, or one of another version.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {key: file[key] for key in _KEYS}
        except (BadZipFile, EOFError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is no shard of collected pairs: {error}") from error
        if int(found["version"]) != _VERSION:
            raise ValueError(f"{path} is a shard of version {found['version']}, this teaspec reads {_VERSION}")
        ends = np.cumsum(found["lengths"])[:-1]
        parts = zip(np.split(found["distances"], ends), np.split(found["changes"], ends), strict=True)
        trajectories = (
            Trajectory(str(branch), distances, changes)
            for branch, (distances, changes) in zip(found["branches"], parts, strict=False)
        )
        return cls(str(found["transformer_type"]), tuple(trajectories))

    @classmethod
    def merge(cls, shards: Iterable[Pairs]) -> Pairs:
        """Joins what several processes collected.

        Raises:
            ValueError: If there is none, they are about different transformers, or two hold the very same generation.
        """
        given = list(shards)
        types = sorted({shard.transformer_type for shard in given})
        if len(types) != 1:
            raise ValueError(f"the shards must be about one transformer, found {', '.join(types) or 'no shard'}")
        keys = [{one.key for one in shard.trajectories} for shard in given]
        if len(set().union(*keys)) < sum(map(len, keys)):
            raise ValueError("two shards hold the very same generation: one was given twice, or two ran the same seeds")
        return cls(types[0], tuple(one for shard in given for one in shard.trajectories))
