"""Histories in another order: what a model expects less after them it had read from the order."""

from dataclasses import replace

import numpy as np

from dealrec.data.prompts import PromptedSample


def shuffled_history(sample: PromptedSample, seed: int) -> PromptedSample:
    """The sample with the titles of its history in another order, which ``seed`` and history decide.

    What a model expects less after this it had read from the order; plain likelihood also rewards
    format and popularity. A history of one title, or of equal ones, stays as it is.
    """
    titles = sample.input.removeprefix('"').removesuffix('"').split('", "')
    draw = np.random.default_rng([seed, *sample.input.encode()])
    mixed = list(titles)
    while len(set(titles)) > 1 and mixed == titles:
        mixed = [titles[place] for place in draw.permutation(len(titles))]
    return replace(sample, input=", ".join(f'"{title}"' for title in mixed))
