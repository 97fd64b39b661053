"""Coresets that keep members of an earlier one."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config.continuation import Carry, Continuation, continuation_not_possible
from dealrec.selection.interface import Int64, Scores, Selection, priorities


@dataclass(frozen=True)
class Carried:
    """A selection, and what became of the earlier members."""

    selection: Selection
    members_before: int
    """Members of the earlier coreset."""
    members_there: int
    """The number of them that are still samples."""
    members_kept: int
    """The number of them that are members now."""

    def account(self, continuation: Continuation) -> dict[str, object]:
        """Return the entry for the manifest."""
        return {
            "coreset": continuation.coreset.value,
            "members_before": self.members_before,
            "members_there": self.members_there,
            "members_kept": self.members_kept,
            "members_new": len(self.selection.indices) - self.members_kept,
        }


def carried(
    scores: Scores, anew: Selection, earlier: pa.Array, continuation: Continuation, seed: int
) -> Carried:
    """Keep earlier members in a selection, as the continuation says.

    Args:
        scores: The samples.
        anew: What the selector takes of them for the whole budget.
        earlier: Keys of the earlier members.
        continuation: Says which of them stay. With ``top_up`` all do, and others of ``anew`` fill the budget.
            With ``replace`` the share of the budget that is stated goes to members of ``anew`` that are
            new, or as much of it as there are; the rest are earlier members, first of all those that
            ``anew`` has.
        seed: Decides between samples where nothing else does, by a hash of their keys.

    Raises:
        InputError: ``continuation_not_possible`` where there are more earlier members than ``top_up`` has
            room for.
    """
    there = np.zeros(len(scores), bool)
    at = pc.index_in(earlier, value_set=scores.keys).drop_null()
    there[at.to_numpy()] = True
    taken = anew.selected()
    budget = len(anew.indices)
    order = np.argsort(priorities(scores, seed), kind="stable")
    fresh = _first(order, taken & ~there)
    if continuation.coreset is Carry.ANEW:
        chosen = anew.indices
    elif continuation.coreset is Carry.TOP_UP:
        kept = np.flatnonzero(there)
        if len(kept) > budget:
            raise continuation_not_possible(
                f"its coreset has {len(kept):,} members that stay, but the budget is {budget:,}. Use a "
                "larger budget, or `replace` instead of `top_up`."
            )
        chosen = np.concatenate([kept, fresh[: budget - len(kept)]])
    else:
        kept = np.concatenate([_first(order, taken & there), _first(order, there & ~taken)])
        new = fresh[: max(round(continuation.replaced_share * budget), budget - len(kept))]
        chosen = np.concatenate([new, kept[: budget - len(new)]])
    return Carried(
        with_members(anew, np.sort(chosen)),
        len(earlier),
        int(there.sum()),
        int(there[chosen].sum()),
    )


def with_members(selection: Selection, indices: Int64) -> Selection:
    """The selection with other members, and the uses of its strata counted anew."""
    counts = {
        use.index: int((selection.stratum[indices] == use.index).sum()) for use in selection.strata
    }
    strata = [replace(use, selected=counts[use.index]) for use in selection.strata]
    return replace(selection, indices=indices.astype(np.int64), strata=strata)


def _first(order: Int64, among: np.ndarray) -> Int64:
    """The places in the mask ``among`` [n], in ``order`` [n]."""
    found: Int64 = order[among[order]]
    return found
