"""The one interface of recommenders that fine-tuning, evaluation and comparison know."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dealrec.config import EvaluationConfig
from dealrec.config.finetune import FinetuneConfig
from dealrec.data.dataset import Dataset, Int32
from dealrec.data.prompter import ShownTitles
from dealrec.data.prompts import PromptedSample
from dealrec.language_models.adapters import HEAD, adapter_not_usable
from dealrec.language_models.branches import can_branch, model_input
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.structure import find_structure
from dealrec.language_models.tokens import BranchedText, EncodedSample, Encoder, Text
from dealrec.metrics.preference import preference_metrics
from dealrec.metrics.ranking import METRICS, user_metrics
from dealrec.progress import SILENT, Reporter
from dealrec.recommenders.held_out import HeldOutUsers
from dealrec.recommenders.trunk import KeptTrunk

Floats = npt.NDArray[np.float64]

NLL = "nll"


class Objective(Protocol):
    """The training loss of ``n`` samples, computed with the model as it is at each call."""

    lengths: list[int]
    """[n] tokens of each sample."""
    targets: list[int]
    """[n] terms in the loss of each sample. A batch's loss is the mean over all of its terms."""
    held: list[int]
    """[n] tokens of each sample whose activations a step holds in memory."""

    def loss_sum(self, samples: Sequence[int]) -> Tensor:
        """Return the sum of the terms of ``samples`` (indices), a scalar with gradients."""


class Recommender(ABC):
    """A language model that learns from samples and ranks the items of a catalogue.

    Its adapter is LoRA on ``loaded.model``, so attaching, saving and loading one is the same for every
    recommender. One recommender serves many adapters one after the other: its methods use the model as
    it is when they are called. Subclasses say how a sample is learned (:meth:`objective`) and how
    held-out users are asked (:meth:`examination`).

    ``head`` is what is trained beside the adapter; most have none. It is one for all adapters, so it is
    put back with :meth:`reset_head` before each.

    Args:
        loaded: The language model, without an adapter.
        finetune: How its adapters are trained. The seed is not read.
        trunk: Folder for the states of the frozen layers, where ``finetune.lora.last_layers`` freezes
            some (see :class:`~dealrec.recommenders.trunk.KeptTrunk`). Each text must then be given to
            :meth:`keep` before it is learned or asked. ``None`` runs all layers every time.
        batch_tokens: Padded tokens that go through the frozen layers at a time.
        titles: The titles of the catalogue, which some recommenders learn from.

    Raises:
        InputError: ``model_not_supported``.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        finetune: FinetuneConfig,
        trunk: Path | None = None,
        batch_tokens: int = 4096,
        *,
        titles: ShownTitles | None = None,
    ) -> None:
        del titles
        self.loaded, self.finetune = loaded, finetune
        self.head = nn.Module()
        self.layers: int = loaded.model.config.num_hidden_layers
        last = finetune.lora.last_layers
        self.trained_layers: int = self.layers if last is None else min(last, self.layers)
        self._encoder = Encoder.for_model(loaded, finetune.max_tokens)
        self._structure = find_structure(loaded.model)
        self._trunk = None
        if trunk is not None and 0 < self.trained_layers < self.layers:
            self._trunk = KeptTrunk(loaded, self.trained_layers, trunk, batch_tokens=batch_tokens)

    @abstractmethod
    def objective(self, samples: Sequence[PromptedSample]) -> Objective:
        """Return the training loss of ``samples``."""

    @abstractmethod
    def examination(
        self,
        dataset: Dataset,
        users: HeldOutUsers,
        evaluation: EvaluationConfig,
        *,
        folder: Path | None = None,
        reporter: Reporter = SILENT,
    ) -> "Examination":
        """Prepare the measurement on ``users``; no adapter may be attached yet.

        Args:
            dataset: Its catalogue is ranked.
            users: The held-out users.
            evaluation: How they are asked.
            folder: Where the catalogue's vectors are kept between runs.
            reporter: It gets ``title`` while the catalogue's vectors are computed.
        """

    def encode(self, samples: Sequence[PromptedSample]) -> list[EncodedSample]:
        """Return the tokens of each sample; raises ``InputError`` (``max_tokens_too_small``)."""
        return self._encoder.encode(samples)

    def texts(self, samples: Sequence[PromptedSample]) -> list[EncodedSample]:
        """Return the texts that the language model reads to learn ``samples``, for :meth:`keep`."""
        return self.encode(samples)

    def lengths(self, samples: Sequence[PromptedSample]) -> list[int]:
        """Return the length of each sample, as its :class:`Objective` has it."""
        return [len(text) for text in self.encode(samples)]

    def encode_branched(
        self, samples: Sequence[PromptedSample], outputs: Sequence[Sequence[str]]
    ) -> list[BranchedText]:
        """Return the tokens of each sample with each of its ``outputs``, as :meth:`encode`."""
        return self._encoder.encode_branched(samples, outputs)

    def endings(self, sample: PromptedSample, outputs: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each of ``outputs`` behind the prompt of ``sample``, its end included."""
        return self._encoder.endings(sample, outputs)

    def keep(self, texts: Sequence[Text], reporter: Reporter = SILENT) -> None:
        """Compute and keep the frozen layers' states of ``texts``; ``reporter`` gets ``text``.

        Raises :class:`~dealrec.errors.Cancelled` when ``reporter`` says so, and ``OSError`` if the
        disk has no room.
        """
        if self._trunk is not None:
            self._trunk.keep(texts, reporter)

    @property
    def head_learning_rate(self) -> float:
        """The highest learning rate of :attr:`head`."""
        return self.finetune.learning_rate

    def reset_head(self) -> None:  # noqa: B027 - most have no head
        """Put :attr:`head` back to what it is before a training."""

    def save_head(self, folder: Path, sample: PromptedSample) -> None:
        """Write :attr:`head` into the folder of an adapter, if it has parameters.

        The file says how it was trained and how its samples are worded, of which ``sample`` is one.
        """
        state = {name: value.detach().cpu() for name, value in self.head.state_dict().items()}
        if state:
            trained = json.dumps(self.finetune.identity() | {"model": self.loaded.name})
            facts = {"format": "pt", "finetune": trained, "instruction": sample.instruction}
            if not self._encoder.is_plain(sample):
                facts["own_words"] = "yes"
            save_file(state, folder / HEAD, facts)

    def load_head(self, folder: Path) -> None:
        """Read :attr:`head` from the folder of an adapter.

        Raises:
            InputError: ``adapter_not_usable`` if the folder has none that fits.
        """
        wanted = self.head.state_dict()
        if not wanted:
            return
        try:
            self.head.load_state_dict(load_file(folder / HEAD))
        except (OSError, RuntimeError, SafetensorError) as error:
            reason = f"its {HEAD} is missing or does not fit the options of `finetune`"
            raise adapter_not_usable(folder, reason) from error

    def hidden_states(self, texts: Sequence[Text]) -> Tensor:
        """Return [b, t, h] states after the final norm of texts of one kind, padded on the right."""
        if self._trunk is not None:
            return self._trunk.hidden_states(texts)
        return self.states_of_all_layers(texts)

    def states_of_all_layers(self, texts: Sequence[Text]) -> Tensor:
        """Return what :meth:`hidden_states` does, from all layers; nothing needs to have been kept."""
        pad = self.loaded.tokenizer.pad_token_id or 0
        tokens, options = model_input(texts, pad, self.loaded.model)
        return self._structure.hidden_states(tokens, **options)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits [..., vocabulary] of states [..., h] after the final norm."""
        return self._structure.logits(hidden)

    def can_branch(self, text: BranchedText) -> bool:
        """Whether the model gives answers behind one prompt the states that each has alone, by trial."""
        pad = self.loaded.tokenizer.pad_token_id or 0
        return can_branch(self.loaded.model, self._structure, text, pad)

    @property
    def trunk_seconds_per_token(self) -> float:
        """Mean time of the frozen layers over all kept states; 0 if none are kept."""
        return self._trunk.seconds / self._trunk.tokens if self._trunk and self._trunk.tokens else 0


@dataclass(frozen=True)
class Measurement:
    """The metrics of every held-out user, and how long measuring them took."""

    users: dict[str, Floats]
    """``nll`` (nats of the true answer), those of :func:`~dealrec.metrics.preference.preference_metrics`
    unless ``evaluation.candidates`` is 0, and further metrics of the recommender's own, each [U]. If a
    ranking was asked for also ``recall@K`` and ``ndcg@K``, each [Q]."""
    seconds: float

    @property
    def means(self) -> dict[str, float]:
        """The mean of each metric over users."""
        return {name: float(values.mean()) for name, values in self.users.items()}

    @property
    def standard_errors(self) -> dict[str, float]:
        """The standard error of each mean."""
        return {
            name: float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
            for name, values in self.users.items()
        }


class Examination(ABC):
    """The questions to held-out users of one recommender, asked of one adapter after the other."""

    def __init__(self, users: HeldOutUsers) -> None:
        self.users = users

    @property
    @abstractmethod
    def texts(self) -> Sequence[Text]:
        """All texts whose hidden states are asked for."""

    @abstractmethod
    def candidate_losses(self, candidates: Int32, on_part: Callable[[], None]) -> Floats:
        """Measure [U, C] nats of each candidate's title after the history of each user.

        Args:
            candidates: [U, C] dense items, as in :class:`HeldOutUsers`; column 0 is the user's answer.
            on_part: It is called between parts.
        """

    def own_metrics(self, _nll: Floats) -> dict[str, Floats]:
        """Return further metrics of this recommender's own, each [U], from ``nll`` [U]."""
        return {}

    @abstractmethod
    def scores(self, adapter: Any | None, on_part: Callable[[], None]) -> Iterator[Tensor]:
        """Yield [b, I] scores of the catalogue, user after user of ``users.ranked``."""

    def measure(
        self, adapter: Any | None = None, on_part: Callable[[], None] = lambda: None
    ) -> Measurement:
        """Ask every question of the model as it is now.

        Args:
            adapter: The ``PeftModel`` around the model, if an adapter is attached.
            on_part: It is called between parts.
        """
        started = time.perf_counter()
        candidates = self.users.candidates
        losses = self.candidate_losses(candidates, on_part)
        metrics = {NLL: losses[:, 0], **self.own_metrics(losses[:, 0])}
        if candidates.shape[1] > 1:
            metrics |= preference_metrics(losses, self.users.titles.of_item[candidates])
        if len(self.users.ranked):
            metrics |= self._ranking(adapter, on_part)
        return Measurement(metrics, time.perf_counter() - started)

    def _ranking(self, adapter: Any | None, on_part: Callable[[], None]) -> dict[str, Floats]:
        parts, first = [], 0
        for scores in self.scores(adapter, on_part):
            chunk = slice(first, first + len(scores))
            parts.append(
                user_metrics(scores, self.users.histories[chunk], self.users.answers[chunk])
            )
            first += len(scores)
        return dict(zip(METRICS, np.concatenate(parts).T, strict=True))
