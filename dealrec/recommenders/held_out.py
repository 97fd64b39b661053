"""The held-out users that a recommender is measured on, and their right answers."""

from dataclasses import dataclass

import numpy as np

from dealrec.config import EvaluationConfig, HeldOut, PromptConfig, Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int32, Int64
from dealrec.data.prompter import Prompter, ShownTitles, shown_titles
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples, held_out_samples
from dealrec.errors import FieldError, InputError
from dealrec.metrics.preference import Candidates, draw_candidates

SEEN_ITEMS = (
    "The whole catalogue is ranked, less what the user was seen with in earlier splits; every item "
    "of the user's in the held-out split is an answer."
)


@dataclass(frozen=True)
class HeldOutUsers:
    """``U`` users with an item that nothing was trained on; ``Q`` of them are asked for a ranking."""

    split: Split
    prompts: list[PromptedSample]
    """[U] prompts with all earlier items as the history and the first held-out item as the answer."""
    titles: ShownTitles
    """The titles of the catalogue's items as the prompts show them."""
    candidates: Int32
    """[U, C] dense items whose titles are asked for after each history. Column 0 is the user's answer,
    the others are answers of other users; ``C`` is 1 if ``evaluation.candidates`` is 0."""
    familiar_candidates: int
    """How many of them their user has had before, for lack of others; 0 unless the data is tiny."""
    ranked: Int64
    """[Q] indices into the ``U`` users."""
    histories: list[Int32]
    """[Q] distinct dense items that the user was seen with before."""
    answers: list[Int32]
    """[Q] distinct dense items of the user in the split."""


def held_out_split(dataset: Dataset, wanted: HeldOut) -> Split:
    """Return the split that ``wanted`` means; ``auto`` is ``test`` if a user can be asked about it."""
    if wanted is not HeldOut.AUTO:
        return Split(wanted.value)
    return Split.TEST if dataset.users_asked(Split.TEST) else Split.VALID


def held_out_users(
    dataset: Dataset, prompt: PromptConfig, evaluation: EvaluationConfig
) -> HeldOutUsers:
    """Choose the users that ``evaluation`` asks for, spread evenly over all who can be asked.

    Raises:
        InputError: ``no_held_out_users`` if fewer than two users have an item in the split and one
            before it; ``too_few_candidates`` if all of them chose one title.
    """
    split = held_out_split(dataset, evaluation.split)
    samples = held_out_samples(dataset, split, evaluation.users)
    if samples is None or len(samples) < 2:
        raise InputError(
            f"Fewer than two users have both an item in the `{split}` split and an earlier item, so "
            "nothing can be measured on held-out users. Use data with a validation or test split.",
            code="no_held_out_users",
            title="There are no held-out users",
            errors=[
                FieldError("config.evaluation.split", f"the data set has too few `{split}` users")
            ],
        )
    prompter = Prompter(dataset, samples, prompt)
    prompts = [prompter.prompt(index) for index in range(len(samples))]
    asked = min(evaluation.ranking_users, len(samples))
    ranked = np.arange(asked, dtype=np.int64) * len(samples) // max(asked, 1)
    offsets, items = dataset.subsequences((SPLIT_CODES[split],))
    users = samples.users[ranked].tolist()
    titles = shown_titles(dataset, prompt)
    candidates = _candidates(dataset, samples, titles, evaluation)
    return HeldOutUsers(
        split=split,
        prompts=prompts,
        titles=titles,
        candidates=candidates.items,
        familiar_candidates=candidates.familiar,
        ranked=ranked,
        histories=[np.unique(samples.history(index)) for index in ranked.tolist()],
        answers=[np.unique(items[offsets[user] : offsets[user + 1]]) for user in users],
    )


def _candidates(
    dataset: Dataset, samples: Samples, titles: ShownTitles, evaluation: EvaluationConfig
) -> Candidates:
    if not evaluation.candidates:
        return Candidates(samples.targets[:, None], 0)
    had = [
        dataset.items[dataset.offsets[user] : dataset.offsets[user + 1]]
        for user in samples.users.tolist()
    ]
    found = draw_candidates(
        samples.targets, had, titles.of_item, evaluation.candidates, evaluation.seed
    )
    if found.items.shape[1] < 2:
        raise InputError(
            f"All {len(samples)} held-out users chose the same title, so there are no other titles to "
            "choose from. Evaluate more users (`evaluation.users`), or leave preference out with "
            "`evaluation.candidates: 0`.",
            code="too_few_candidates",
            title="There are too few titles to choose from",
            errors=[FieldError("config.evaluation.candidates", "there is only one title")],
        )
    return found
