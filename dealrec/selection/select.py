"""The entry point of all selectors."""

import hashlib
import json
from collections.abc import Iterable
from functools import partial

import numpy as np

from dealrec.config import SelectionConfig, resolve_budget
from dealrec.config.data import MAKES_VALIDATION, NO_TIMES
from dealrec.config.selectors import (
    SELECTORS,
    VECTORS,
    Need,
    SelectorEntry,
    selector_needs,
)
from dealrec.errors import FieldError, InputError
from dealrec.progress import SILENT, Reporter
from dealrec.selection.interface import Scores, Selection, Selector
from dealrec.selection.pool import select_from_pool


def select(
    scores: Scores, budget: int, config: SelectionConfig, reporter: Reporter = SILENT
) -> Selection:
    """Select exactly ``budget`` samples of ``scores``.

    The same scores, budget and configuration give the same set, whatever the order of the samples.
    When only candidates have effort scores, selectors that use effort choose among these. A selector that
    trains a model tells ``reporter`` how far it is.

    Raises:
        Cancelled: When ``reporter`` says so.
        InputError: ``budget_too_large``, ``budget_above_candidates``, or ``scores_missing`` when the
            selector needs scores or vectors that are missing.

    Examples:
        >>> import numpy as np, pyarrow as pa
        >>> scores = Scores(pa.array(["a", "b", "c", "d"]), np.array([0.0, 1.0, 2.0, 3.0]), None)
        >>> config = SelectionConfig(method="influence_strata", strata=2)
        >>> [use.selected for use in select(scores, 2, config).strata]
        [1, 1]
    """
    budget = resolve_budget(int(budget), len(scores))
    entry = SELECTORS[config.method]
    needs = selector_needs(config)
    _require(scores, entry, needs)
    loaded = entry.load()
    selector: Selector = partial(loaded, reporter=reporter) if entry.trains else loaded
    if needs & VECTORS:
        selector = in_order_of_keys(selector)
    if scores.candidates is not None and Need.EFFORT in needs.union(entry.needs):
        selection = select_from_pool(selector, scores, budget, config)
    else:
        selection = selector(scores, budget, config)
    assert len(selection.indices) == budget
    return selection


def in_order_of_keys(selector: Selector) -> Selector:
    """Run ``selector`` on the samples in a fixed order and on one thread.

    The last digit of sums over vectors depends on their order and on the number of threads, and a
    selection on the sums.
    """
    from threadpoolctl import threadpool_limits

    def ordered(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
        order = scores.key_order()
        with threadpool_limits(limits=1):
            inner = selector(scores.take(order), budget, config)
        overall, stratum = np.empty_like(inner.overall), np.empty_like(inner.stratum)
        overall[order], stratum[order] = inner.overall, inner.stratum
        return Selection(np.sort(order[inner.indices]), overall, stratum, inner.strata)

    return ordered


def _require(scores: Scores, entry: SelectorEntry, needs: frozenset[Need]) -> None:
    """Effort that is only a term of the overall score may be missing; influence alone counts then."""
    weighed = {Need.EFFORT} if entry.weighs_effort else set()
    missing = sorted(need.value for need in needs - weighed if not scores.has(need))
    if missing:
        found = f"The selector `{entry.method}` needs {', '.join(missing)}, which these scores "
        help_with = f" {NO_TIMES} `popular`." if Need.TIMES.value in missing else ""
        if not {name.removeprefix("validation_") for name in missing} <= {*missing}:
            help_with += f" Use another selector, or {MAKES_VALIDATION}."
        raise InputError(
            f"{found}do not have.{help_with}",
            code="scores_missing",
            title="The selector needs scores that are missing",
            errors=[FieldError("selection.method", f"needs {name}") for name in missing],
        )


def member_sha256(keys: Iterable[str]) -> str:
    """Hash the sample keys of a coreset: SHA-256 of their JSON, sorted by bytes, one a line.

    Examples:
        >>> member_sha256(["b", "a"]) == member_sha256(["a", "b"])
        True
    """
    lines = sorted(json.dumps(key, ensure_ascii=False).encode() for key in keys)
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
