"""The selectors in groups, by what they look at, for people who choose one.

Examples:
    >>> [group.title for group in selector_groups()][:2]
    ['Without a model: chance, frequency and time', 'Influence on the risk']
"""

from collections.abc import Callable
from dataclasses import dataclass

from dealrec.config.selectors import SELECTORS, VECTORS, Need, SelectorEntry, listed_needs

_FREE = frozenset({Need.TARGETS, Need.HISTORY_LENGTHS, Need.TIMES})


@dataclass(frozen=True)
class SelectorGroup:
    """Selectors that look at things of one kind."""

    title: str
    entries: tuple[SelectorEntry, ...]


def selector_groups() -> list[SelectorGroup]:
    """Return every selector in exactly one group, in the order of the registry within each."""
    titles: dict[str, Callable[[set[Need]], bool]] = {
        "Without a model: chance, frequency and time": lambda needs: needs <= _FREE,
        "Influence on the risk": lambda needs: Need.INFLUENCE in needs,
        "Vectors: coverage, and nearness to validation": lambda needs: bool(needs & VECTORS),
        "How hard a sample is, and for whom": lambda _needs: True,
    }
    found: dict[str, list[SelectorEntry]] = {title: [] for title in titles}
    for entry in SELECTORS.values():
        needs = set(listed_needs(entry))
        found[next(title for title, fits in titles.items() if fits(needs))].append(entry)
    return [SelectorGroup(title, tuple(entries)) for title, entries in found.items()]
