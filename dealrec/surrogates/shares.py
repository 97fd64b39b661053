"""The part of the training interactions that a surrogate learns from."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa

from dealrec.config import Split, SurrogateConfig
from dealrec.config.data import no_timestamps
from dealrec.data.dataset import SPLIT_CODES, Bools, Dataset
from dealrec.data.parts import restricted


def learned_part(dataset: Dataset, config: SurrogateConfig) -> Dataset:
    """Leave out training interactions of other users than ``user_share``, or older than ``recent_share``.

    What is held out stays, and so do users and items with their indices.

    Raises:
        InputError: ``no_timestamps`` for a share of recent interactions without times.
    """
    kept = dataset.splits == SPLIT_CODES[Split.TRAIN]
    held_out = ~kept
    if config.user_share < 1:
        kept &= drawn_users(dataset, config.user_share, config.seed)[dataset.users()]
    if config.recent_share < 1:
        kept &= _newest(dataset, kept, config.recent_share)
    return dataset if (kept | held_out).all() else restricted(dataset, kept | held_out)


def drawn_users(dataset: Dataset, share: float, seed: int) -> Bools:
    """Draw [U] each user with the probability ``share``, by a hash (BLAKE2b) of the id and the seed."""
    key = seed.to_bytes(8, "little")
    ids = dataset.user_ids.cast(pa.binary()).to_pylist()
    digests = b"".join(blake2b(one, digest_size=8, key=key).digest() for one in ids)
    drawn: Bools = np.frombuffer(digests, dtype="<u8") < share * 2.0**64
    return drawn


def _newest(dataset: Dataset, kept: Bools, share: float) -> Bools:
    """Find [N] the interactions that are no older than the newest ``share`` of those in ``kept``."""
    if dataset.times is None:
        who = "The surrogate's share of recent interactions"
        raise no_timestamps(who, "`user_share`", "config.surrogate.recent_share")
    times = dataset.times[kept]
    first = len(times) - int(np.ceil(share * len(times)))
    since = np.partition(times, first)[first] if len(times) else 0
    newest: Bools = dataset.times >= since
    return newest
