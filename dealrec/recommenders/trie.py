"""A beam search that can write nothing but titles of the catalogue, and gives each its exact likelihood.

Constrained generation for retrieval: De Cao et al., "Autoregressive Entity Retrieval", ICLR 2021.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.prefix import cache_argument
from dealrec.language_models.structure import find_structure, takes_positions
from dealrec.language_models.tokens import batches_by_tokens

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


class Node(NamedTuple):
    """The titles that begin with the same ``depth`` tokens: places ``first`` to ``last - 1`` of a trie."""

    first: int
    last: int
    depth: int


class Step(NamedTuple):
    """What may follow a node."""

    tokens: Int64
    """[k] the next tokens, ascending."""
    nodes: list[Node]
    """[k] the node behind each."""


class TitleTrie:
    """The tokens of ``D`` titles in order, so that titles with a common beginning stand side by side."""

    def __init__(self, titles: Sequence[Sequence[int]]) -> None:
        self.order = np.array(sorted(range(len(titles)), key=lambda number: list(titles[number])))
        """[D] the number of the title at each place."""
        self._lengths = np.array([len(titles[number]) for number in self.order])
        self._tokens = np.full((len(titles), int(self._lengths.max())), -1, dtype=np.int64)
        for row, number in zip(self._tokens, self.order.tolist(), strict=True):
            row[: len(titles[number])] = titles[number]
        self._steps: dict[Node, Step] = {}

    @property
    def root(self) -> Node:
        """The node of all titles."""
        return Node(0, len(self.order), 0)

    def steps(self, node: Node) -> Step:
        """Return what may follow ``node``."""
        if node not in self._steps:
            first = self._open(node)
            column = self._tokens[first : node.last, node.depth]
            tokens, starts = np.unique(column, return_index=True)
            bounds = [*(first + starts).tolist(), node.last]
            nodes = [
                Node(bounds[place], bounds[place + 1], node.depth + 1)
                for place in range(len(tokens))
            ]
            self._steps[node] = Step(tokens, nodes)
        return self._steps[node]

    def whole(self, node: Node) -> range:
        """Return the places of the titles that end with ``node``; titles with equal tokens share them."""
        return range(node.first, self._open(node))

    def goes_on(self, node: Node) -> bool:
        """Whether a title goes on after ``node``."""
        return self._open(node) < node.last

    def _open(self, node: Node) -> int:
        """Return the first place whose title is longer than the node: a shorter one comes before it."""
        lengths = self._lengths[node.first : node.last]
        return node.first + int((lengths == node.depth).sum())


class RankedTitles(NamedTuple):
    """Titles that a model can write after a prompt, the likeliest first."""

    titles: Int64
    """[k] numbers of titles."""
    log_likelihoods: npt.NDArray[np.float64]
    """[k] nats, of all tokens of the title."""


class _Beam(NamedTuple):
    prompt: int
    node: Node
    score: float


def rank_titles(
    loaded: LoadedLanguageModel,
    prompts: Sequence[list[int]],
    trie: TitleTrie,
    left_out: Sequence[Int64],
    *,
    count: int = 20,
    batch_tokens: int = 4096,
    on_batch: Callable[[], None] = lambda: None,
) -> list[RankedTitles]:
    """Find the ``count`` likeliest titles after each prompt, with the model as it is.

    Args:
        loaded: The model.
        prompts: The tokens of each.
        trie: The titles.
        left_out: Numbers of titles that are not to be found, for each prompt.
        count: The width of the search, and the most titles that are returned. The likelihoods are exact;
            a title is missed if at one of its tokens ``count`` beginnings of others were likelier.
        batch_tokens: Tokens in a batch, counted for every beam.
        on_batch: It is called before each batch.
    """
    loaded.model.eval()
    found: list[RankedTitles] = [RankedTitles(np.empty(0, np.int64), np.empty(0))] * len(prompts)
    place_of = np.argsort(trie.order)
    banned = [np.sort(place_of[numbers]) for numbers in left_out]

    def rank(batch: Sequence[int]) -> None:
        search = _Search(loaded, trie, [banned[index] for index in batch], count)
        taken = search.run([prompts[index] for index in batch])
        for index, ranked in zip(batch, taken, strict=True):
            found[index] = ranked

    for batch in batches_by_tokens([len(prompt) * count for prompt in prompts], batch_tokens):
        on_batch()
        run_in_halves(batch, rank)
    return found


class _Search:
    """One search for a batch of prompts; beams of all prompts go through the model together."""

    def __init__(
        self, loaded: LoadedLanguageModel, trie: TitleTrie, banned: Sequence[Int64], count: int
    ) -> None:
        from transformers import DynamicCache

        self._structure, self._loaded = find_structure(loaded.model), loaded
        self._trie, self._banned, self._count = trie, banned, count
        self._cache = DynamicCache(config=loaded.model.config)
        self._whole: list[list[tuple[float, int]]] = [[] for _ in banned]

    def run(self, prompts: Sequence[list[int]]) -> list[RankedTitles]:
        """Search until no beam can still bring a title among the best."""
        width, device = max(map(len, prompts)), self._loaded.device
        pad = self._loaded.tokenizer.pad_token_id or 0
        rows = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]
        mask = torch.tensor(
            [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device
        )
        beams = [_Beam(number, self._trie.root, 0.0) for number in range(len(prompts))]
        tokens = torch.tensor(rows, device=device)
        while beams:
            chances = self._next(tokens, mask)
            beams, parents, following = self._grow(beams, chances)
            if not beams:
                break
            kept = torch.tensor(parents, device=device)
            self._cache.batch_select_indices(kept)
            mask = torch.cat([mask[kept], mask.new_ones(len(beams), 1)], 1)
            tokens = torch.tensor(following, device=device)[:, None]
        return [self._ranked(whole) for whole in self._whole]

    def _next(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return [rows, vocabulary] logarithms of the chances of the next token."""
        options: dict[str, Any] = {cache_argument(self._structure.decoder): self._cache}
        if takes_positions(self._structure.decoder):
            options["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        with torch.no_grad():
            states = self._structure.hidden_states(
                tokens, attention_mask=mask, use_cache=True, **options
            )
            logits: Tensor = self._structure.logits(states[:, -1])
            return logits.float().log_softmax(1).cpu()

    def _grow(
        self, beams: Sequence[_Beam], chances: Tensor
    ) -> tuple[list[_Beam], list[int], list[int]]:
        """Extend every beam by every allowed token; keep the best, their parents and their tokens."""
        grown: list[list[tuple[float, int, int, Node]]] = [[] for _ in self._whole]
        for row, beam in enumerate(beams):
            step = self._trie.steps(beam.node)
            scores = beam.score + chances[row, torch.from_numpy(step.tokens)].double().numpy()
            least = self._least(beam.prompt)
            for score, token, node in zip(
                scores.tolist(), step.tokens.tolist(), step.nodes, strict=True
            ):
                if score > least and self._wanted(beam.prompt, node.first, node.last):
                    self._end(beam.prompt, node, score)
                    if self._trie.goes_on(node):
                        grown[beam.prompt].append((score, row, token, node))
        kept, parents, following = [], [], []
        for prompt, options in enumerate(grown):
            least = self._least(prompt)
            options.sort(key=lambda option: (-option[0], option[3]))
            for score, row, token, node in options[: self._count]:
                if score > least:  # scores only fall from here
                    kept.append(_Beam(prompt, node, score))
                    parents.append(row)
                    following.append(token)
        return kept, parents, following

    def _end(self, prompt: int, node: Node, score: float) -> None:
        whole = self._whole[prompt]
        for place in self._trie.whole(node):
            if self._wanted(prompt, place, place + 1):
                whole.append((score, place))
        whole.sort(key=lambda found: (-found[0], found[1]))
        del whole[self._count :]

    def _wanted(self, prompt: int, first: int, last: int) -> bool:
        """Whether not all titles at these places are left out."""
        banned = self._banned[prompt]
        inside = np.searchsorted(banned, last) - np.searchsorted(banned, first)
        return bool(inside < last - first)

    def _least(self, prompt: int) -> float:
        """Return the score that a title must exceed to be among the best of a prompt."""
        whole = self._whole[prompt]
        return whole[-1][0] if len(whole) == self._count else -np.inf

    def _ranked(self, whole: list[tuple[float, int]]) -> RankedTitles:
        places = np.array([place for _, place in whole], dtype=np.int64)
        return RankedTitles(self._trie.order[places], np.array([score for score, _ in whole]))
