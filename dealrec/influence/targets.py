"""Chooses the examples whose risk influence is measured on."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import InfluenceConfig, RiskTarget
from dealrec.config.data import no_timestamps
from dealrec.data.dataset import Dataset, Int64
from dealrec.data.samples import Samples
from dealrec.errors import FieldError, InputError
from dealrec.influence.examples import Examples

_NAMED = 5


def target_examples(
    config: InfluenceConfig,
    dataset: Dataset,
    samples: Samples,
    training: Examples,
    validation: Examples,
) -> tuple[RiskTarget, Examples]:
    """Resolve the configured target (``auto`` becomes another one), and return it with its examples.

    ``training`` holds the samples and ``validation`` the users' first validation items.

    Raises:
        InputError: ``no_validation_split`` if the target needs validation items; ``no_timestamps`` if
            it needs times that the data set does not have; ``unknown_samples`` if a target sample is not
            in the data set.
    """
    match config.target:
        case RiskTarget.AUTO if len(validation):
            return RiskTarget.VALIDATION, validation
        case RiskTarget.AUTO | RiskTarget.TRAIN:
            return RiskTarget.TRAIN, training
        case RiskTarget.VALIDATION:
            if not len(validation):
                raise InputError(
                    "No user has both a training item and a validation item, so there is no "
                    "validation risk. Use another `influence.target`, such as `train`.",
                    code="no_validation_split",
                )
            return RiskTarget.VALIDATION, validation
        case RiskTarget.RECENT:
            return RiskTarget.RECENT, training.take(_newest(samples, config.recent))
        case RiskTarget.SAMPLES:
            named = _indices(config.target_samples, dataset, samples)
            return RiskTarget.SAMPLES, training.take(named)


def _newest(samples: Samples, share: float) -> Int64:
    """Return the dense indices of the newest samples, and of all that are as old as the oldest of them."""
    times = samples.target_times
    if times is None:
        who = "The influence target `recent`"
        raise no_timestamps(who, "another target", "config.influence.target")
    first = len(times) - int(np.ceil(share * len(times)))
    return np.flatnonzero(times >= np.partition(times, first)[first]).astype(np.int64)


def _indices(keys: tuple[str, ...], dataset: Dataset, samples: Samples) -> Int64:
    """Return the dense indices of the samples with these keys, each once, in dense order."""
    wanted = pa.array(sorted(set(keys)), pa.string())
    known = samples.keys(dataset).cast(pa.string())
    missing = wanted.filter(pc.invert(pc.is_in(wanted, known)))
    if len(missing):
        shown = ", ".join(f"`{key}`" for key in missing[:_NAMED].to_pylist())
        raise InputError(
            f"{len(missing):,} of {len(wanted):,} target samples are not samples of this data set, "
            f"e.g. {shown}.",
            code="unknown_samples",
            errors=[FieldError("config.influence.target_samples", "are not keys of this data set")],
        )
    return np.flatnonzero(pc.is_in(known, wanted).to_numpy(zero_copy_only=False)).astype(np.int64)
