"""The selectors in groups, by what a person wants of one.

Examples:
    >>> [group.title for group in selector_groups()]
    ['Recommended', 'Controls', 'Research']
"""

from dataclasses import dataclass

from dealrec.config.selection import SelectionConfig, SelectionMethod
from dealrec.config.selectors import SELECTORS, Need, SelectorEntry, listed_needs

_FREE = frozenset({Need.TARGETS, Need.HISTORY_LENGTHS, Need.TIMES})
"""The inputs that a control may use: none of them comes from a model."""
_RECOMMENDED = (
    SelectionMethod.METAGRADIENT,
    SelectionConfig().method,
    SelectionMethod.ROUND_ROBIN,
)
"""First the winner of the second trial, then the defaults of the first (``benchmarks/PROTOCOL.md``)."""


@dataclass(frozen=True)
class SelectorGroup:
    """Selectors for one purpose."""

    title: str
    summary: str
    entries: tuple[SelectorEntry, ...]


def selector_groups() -> list[SelectorGroup]:
    """Return every selector in exactly one group, in the order of the registry within each."""
    entries = list(SELECTORS.values())
    recommended = [SELECTORS[method] for method in dict.fromkeys(_RECOMMENDED)]
    controls = [one for one in entries if {*listed_needs(one)} <= _FREE]
    research = [one for one in entries if one not in recommended and one not in controls]
    return [
        SelectorGroup("Recommended", "Start with one of these selectors.", tuple(recommended)),
        SelectorGroup(
            "Controls",
            "These baselines need no model. A method is worth its cost only if it beats them.",
            tuple(controls),
        ),
        SelectorGroup(
            "Research",
            "Published methods and our own ideas, to experiment with.",
            tuple(research),
        ),
    ]
