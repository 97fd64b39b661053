"""Samples in words: what the language model reads and what it shall answer."""

from dataclasses import dataclass

from dealrec.config import PromptConfig
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples


@dataclass(frozen=True, slots=True)
class PromptedSample:
    """One sample as text."""

    instruction: str
    """The same for all samples of a data set."""
    input: str
    """The titles of the history, oldest first, in quotes."""
    output: str
    """The target's title, in quotes."""


class Prompter:
    """Words the samples of a data set."""

    def __init__(self, dataset: Dataset, samples: Samples, config: PromptConfig) -> None:
        self._dataset = dataset
        self._samples = samples
        self._config = config
        noun = config.item_noun
        self._instruction = (
            f"The input names what one person chose, oldest {noun} first. "
            f"Answer with the title of the {noun} that this person chooses next."
        )

    def prompt(self, index: int) -> PromptedSample:
        """Sample ``index`` (dense); of its history the last ``history_items`` items."""
        history = self._samples.history(index, self._config.history_items)
        target = int(self._samples.items[self._samples.target[index]])
        return PromptedSample(
            instruction=self._instruction,
            input=", ".join(self._title(int(item)) for item in history),
            output=self._title(target),
        )

    def _title(self, item: int) -> str:
        """The title on one line, cut at a word where it is too long, in double quotes."""
        words = " ".join(self._dataset.titles[item].as_py().split())
        limit = self._config.title_characters
        if len(words) > limit:
            cut = words[: limit + 1].rfind(" ")
            words = words[: cut if cut > 0 else limit].rstrip() + "…"
        return f'"{words}"'


def render(sample: PromptedSample) -> tuple[str, str]:
    """The one text format of effort, fine-tuning and generation: (prompt, answer)."""
    prompt = (
        f"### Instruction:\n{sample.instruction}\n\n"
        f"### Input:\n{sample.input}\n\n"
        "### Response:\n"
    )
    return prompt, sample.output
