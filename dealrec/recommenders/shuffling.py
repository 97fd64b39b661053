"""Histories in another order, to measure what a model reads from the order."""

from dataclasses import replace

import numpy as np

from dealrec.data.prompts import PromptedSample


def shuffled_history(sample: PromptedSample, seed: int) -> PromptedSample:
    """Return the sample with the titles of its history in another order.

    The order follows from ``seed`` and the history. The likelihood that a model loses by the shuffling
    came from the order of the history; the likelihood itself also rewards format and popularity. A
    history of one title, or of equal titles, stays as it is.
    """
    titles = sample.input.removeprefix('"').removesuffix('"').split('", "')
    draw = np.random.default_rng([seed, *sample.input.encode()])
    mixed = list(titles)
    while len(set(titles)) > 1 and mixed == titles:
        mixed = [titles[place] for place in draw.permutation(len(titles))]
    return replace(sample, input=", ".join(f'"{title}"' for title in mixed))
