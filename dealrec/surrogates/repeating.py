"""The users that a surrogate learns again when it goes on, and what becomes of the others."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Bools, Dataset
from dealrec.data.drift import new_rows
from dealrec.data.parts import restricted
from dealrec.surrogates.shares import drawn_users


@dataclass(frozen=True)
class Repetition:
    """Whose training interactions are learned again."""

    changed: Bools
    """[U] users with a training interaction that the version before did not have for training."""
    learned: Bools
    """[U] these, and the others that are drawn."""

    @classmethod
    def draw(cls, before: Dataset, now: Dataset, replay: float) -> "Repetition":
        """Take the users that changed, and of each other one with the probability ``replay``.

        They are drawn by a hash of the version's content and of their ids, so that another version repeats
        other users. Where that leaves no sequence to learn, all users are learned.
        """
        had, has = (_training(one) for one in (before, now))
        changed = np.zeros(now.n_users, bool)
        changed[has.users()[new_rows(had, has)]] = True
        seed = int.from_bytes(blake2b(now.sha256.encode(), digest_size=8).digest(), "little")
        learned = changed | drawn_users(now, replay, seed)
        enough = _lengths(now)[learned].max(initial=0) > 1
        return cls(changed, learned if enough else np.ones(now.n_users, bool))

    @property
    def whole(self) -> bool:
        """Whether all users are learned."""
        return bool(self.learned.all())

    @property
    def sha256(self) -> str:
        """A hash of the users that are learned."""
        return blake2b(np.packbits(self.learned).tobytes(), digest_size=32).hexdigest()

    def part(self, dataset: Dataset) -> Dataset:
        """Leave out the training interactions of the users that are not learned again.

        ``dataset`` may be a part of the data. Where that leaves no sequence to learn, all of it is learned.
        """
        if self.whole:
            return dataset
        held_out = dataset.splits != SPLIT_CODES[Split.TRAIN]
        found = restricted(dataset, held_out | self.learned[dataset.users()])
        return found if _lengths(found).max(initial=0) > 1 else dataset

    def left_out(self, dataset: Dataset) -> Bools:
        """[N] the training interactions of the users that are not learned again."""
        training: Bools = dataset.splits == SPLIT_CODES[Split.TRAIN]
        return training & ~self.learned[dataset.users()]

    def account(self, dataset: Dataset) -> dict[str, int]:
        """What the manifest says of it; users without a training interaction do not count."""
        users = np.unique(_training(dataset).users())
        return {
            "users_changed": int(self.changed[users].sum()),
            "users_repeated": int((self.learned & ~self.changed)[users].sum()),
            "users_left_out": int((~self.learned)[users].sum()),
            "interactions_left_out": int(self.left_out(dataset).sum()),
        }


def _training(dataset: Dataset) -> Dataset:
    """The training interactions alone."""
    return restricted(dataset, dataset.splits == SPLIT_CODES[Split.TRAIN])


def _lengths(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Count the training interactions of each user [U]."""
    return np.bincount(_training(dataset).users(), minlength=dataset.n_users)
