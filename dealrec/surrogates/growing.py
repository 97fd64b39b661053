"""Surrogates whose training goes on, with a table of items that has grown."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import torch

from dealrec.config import SurrogateConfig
from dealrec.config.continuation import continuation_not_possible, require_alike
from dealrec.data.dataset import Dataset
from dealrec.surrogates.interface import Surrogate
from dealrec.surrogates.registry import make_surrogate
from dealrec.surrogates.repeating import Repetition
from dealrec.surrogates.storage import TrainedSurrogate


@dataclass(frozen=True)
class EarlierSurrogate:
    """A trained surrogate, and the ids of its items."""

    trained: TrainedSurrogate
    item_ids: pa.Array
    """[I] text: the items of the data set that it was trained on, in their dense order."""
    repetition: Repetition | None = None
    """The users of the new data set that it learns again; ``None``: all of them."""

    @property
    def sha256(self) -> str:
        """A hash of its weights, and of the users that it learns again."""
        digest = hashlib.sha256()
        if self.repetition is not None:
            digest.update(self.repetition.sha256.encode())
        for name, value in sorted(self.trained.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

    def copy_into(self, model: Surrogate, item_ids: pa.Array) -> None:
        """Give a new surrogate of the same architecture the earlier weights.

        A tensor that has a row for each item is copied item by item, by the ids; its further rows, such as
        that of padding, come after the items. Items that are new keep the weights that ``model`` has, and
        buffers stay as :meth:`~dealrec.surrogates.interface.Surrogate.prepare` made them.

        Raises:
            InputError: ``continuation_not_possible`` where the tensors do not fit.
        """
        if not model.goes_on:
            raise continuation_not_possible(
                f"the surrogate `{self.trained.config.model}` cannot be trained further when the data "
                "have grown."
            )
        old, new = dict(self.trained.model.named_parameters()), dict(model.named_parameters())
        before, now = len(self.item_ids), len(item_ids)
        at = pc.index_in(item_ids, value_set=self.item_ids)
        known = torch.from_numpy(at.is_valid().to_numpy(zero_copy_only=False).copy())
        rows = torch.from_numpy(pc.fill_null(at, 0).to_numpy().astype("int64"))[known]
        if old.keys() != new.keys():
            raise continuation_not_possible("the earlier surrogate has other parameters.")
        tables = _item_tables(before, self.trained.config)
        with torch.no_grad():
            for name, value in new.items():
                if name in tables and value[now:].shape == old[name][before:].shape:
                    value[:now][known] = old[name][rows]
                    value[now:] = old[name][before:]
                elif old[name].shape == value.shape:
                    value.copy_(old[name])
                else:
                    raise continuation_not_possible(f"its parameter `{name}` has another shape.")


def _item_tables(n_items: int, config: SurrogateConfig) -> set[str]:
    """The names of the tensors that have a row for each item."""
    with torch.random.fork_rng():
        one, more = (
            dict(make_surrogate(n, config).named_parameters()) for n in (n_items, n_items + 1)
        )
    return {name for name in one if len(more[name].shape) and len(more[name]) == len(one[name]) + 1}


@dataclass(frozen=True)
class EarlierSurrogates:
    """The members of an earlier ensemble."""

    members: Sequence[TrainedSurrogate]
    item_ids: pa.Array
    repetition: Repetition | None = None
    """The users of the new data set that they learn again; ``None``: all of them."""

    def require_alike(self, config: SurrogateConfig) -> None:
        """Raise :class:`InputError` (``continuation_not_possible``) for another architecture or number."""
        if len(self.members) != config.ensemble:
            raise continuation_not_possible(
                f"it had {len(self.members)} surrogates, but `surrogate.ensemble` is {config.ensemble}."
            )
        require_alike(self.members[0].config, config)

    def of_member(self, index: int) -> EarlierSurrogate:
        """The earlier self of one member."""
        return EarlierSurrogate(self.members[index], self.item_ids, self.repetition)

    def account(self, dataset: Dataset) -> dict[str, object]:
        """Return the entry for the manifest."""
        known = pc.sum(pc.is_in(dataset.item_ids, value_set=self.item_ids)).as_py() or 0
        return {
            "items_kept": known,
            "items_new": dataset.n_items - known,
            "earlier_epochs": [member.metrics["epochs"] for member in self.members],
            **({} if self.repetition is None else self.repetition.account(dataset)),
        }
