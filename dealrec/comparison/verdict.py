"""The verdict and the findings of a comparison, in plain sentences.

A gain is positive if the selector is better; in NLL, where less is better, the sign is turned. "Better"
and "worse" follow :attr:`Compare.better`, and "level" follows :attr:`Compare.level`; both hold after
Holm's correction. All else is "no difference could be shown", which is not the same as no difference.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dealrec.comparison.results import Compare, Row
from dealrec.comparison.wording import (
    Gain,
    gain,
    interval,
    joined,
    level,
    plain,
    probability,
    words,
)
from dealrec.config.compared import ALL_DATA, EXCHANGED
from dealrec.config.comparison import CONTROL, VERDICT_RUNS

Key = TypeVar("Key", bound=Hashable)

_NAMED = 3
"""The largest number of selectors that a sentence names with figures; the others are counted."""
_LISTED = 6
"""The largest number of selectors that a sentence names without figures."""
_WHOSE = {
    ALL_DATA: "Training on all data",
    EXCHANGED: "Training on the best coreset with histories exchanged",
}


@dataclass(frozen=True)
class Standing:
    """A selector at one budget, compared in the primary metric with every control that was run."""

    selector: str
    budget: int
    compares: tuple[Compare, ...]

    def against(self, better: bool | None) -> tuple[str, ...]:
        """Return the controls against which it is shown to be better, worse, or neither."""
        return tuple(row.against for row in self.compares if row.better is better)

    @property
    def level(self) -> bool:
        """Whether it is shown to be level with every control."""
        return all(row.level for row in self.compares)

    @property
    def few(self) -> bool:
        """Whether it has too few runs for a verdict."""
        return any(row.runs is not None and row.runs < VERDICT_RUNS for row in self.compares)

    @property
    def unit(self) -> str:
        """The unit of its gains, with a space before it."""
        return words(self.compares[0].metric).unit

    @property
    def first(self) -> Gain:
        """The gain over the first of its controls, which is random selection."""
        return gain(self.compares[0])

    @property
    def at(self) -> str:
        """Selector and budget in words, such as ``dealrec`` at 128 samples."""
        return f"`{self.selector}` at {self.budget:,} samples"

    @property
    def gains(self) -> str:
        """The gain over each control in words."""
        found = [gain(row) for row in self.compares]
        return f"by {joined([f'{one.plain} {one.interval}' for one in found])}{self.unit}"


def standings(differences: Sequence[Compare], primary: str) -> list[Standing]:
    """Return the standing of every selector and budget with a difference in the primary metric.

    Random selection has no standing; its difference from another control belongs to that control.
    """
    found: dict[tuple[str, int], list[Compare]] = {}
    for row in differences:
        if row.metric == primary and row.selector != CONTROL:
            found.setdefault((row.selector, row.budget), []).append(row)
    return [
        Standing(selector, budget, tuple(sorted(rows, key=lambda row: row.against != CONTROL)))
        for (selector, budget), rows in found.items()
    ]


def verdict(
    differences: Sequence[Compare],
    *,
    primary: str,
    smallest_effect: float | None = None,
) -> str:
    """Say in sentences what the primary metric shows over all selectors and budgets.

    Args:
        differences: Differences from every control that was run.
        primary: The metric that the verdict is about.
        smallest_effect: The smallest difference of interest, if one was named.
    """
    found = standings(differences, primary)
    if not found:
        return "No selector was compared with random selection, so there is no verdict."
    few = [one for one in found if one.few]
    found = [one for one in found if not one.few]
    better = [one for one in found if one.against(True)]
    worse = [one for one in found if one.against(False) and not one.against(True)]
    winners = [one for one in better if not one.against(False) and not one.against(None)]
    neither = [one for one in found if one not in better and one not in worse]
    same = [one for one in neither if one.level]
    sentences = [
        *_won(winners),
        *_won_in_part([one for one in better if one not in winners]),
        *_lost(worse),
        *_level(same, smallest_effect),
        *_open(found, [one for one in neither if one not in same]),
        *_few(few),
    ]
    if len(found) > 1:
        sentences.append(
            f"All of this holds after Holm's correction over {len(found)} differences from each control."
        )
    return " ".join(sentences)


def findings(rows: Sequence[Row], differences: Sequence[Compare], primary: str) -> list[str]:
    """Write one or two sentences about each of ``rows``."""
    stand = {(one.selector, one.budget): one for one in standings(differences, primary)}
    return [
        _finding(row, stand.get((row.selector, row.budget)), differences, primary) for row in rows
    ]


def control_name(label: str) -> str:
    """Return the name of a control as a sentence uses it."""
    return "random selection" if label == CONTROL else f"`{label}`"


def _won(winners: Sequence[Standing]) -> list[str]:
    """Write about selectors that beat every control, with a sentence for each budget and set of controls."""
    sentences = []
    for (budget, beaten), group in _grouped(winners, lambda one: (one.budget, one.against(True))):
        if len(group) == 1:
            parts = [
                f"than {control_name(row.against)} by {gain(row).size}"
                f"{group[0].unit if place == 0 else ''} {gain(row).interval}"
                for place, row in enumerate(group[0].compares)
            ]
            sentences.append(
                f"At {budget:,} samples, `{group[0].selector}` is better {joined(parts)}."
            )
            continue
        largest = sorted(group, key=lambda one: -one.first.mean)[:_NAMED]
        named = [f"`{one.selector}` {one.gains}" for one in largest]
        sentences.append(
            f"At {budget:,} samples, these are better than {_controls(beaten)}: {_with_rest(named, group)}."
        )
    return sentences


def _won_in_part(some: Sequence[Standing]) -> list[str]:
    sentences = []
    for (beaten, level_with, lost_to), group in _grouped(
        some, lambda one: (one.against(True), one.against(None), one.against(False))
    ):
        but = [f"worse than {_controls(lost_to)}"] if lost_to else []
        but += [f"not shown to be better than {_controls(level_with)}"] if level_with else []
        named = [f"{one.at} {one.gains}" for one in group[:_NAMED]]
        sentences.append(
            f"Better than {_controls(beaten)}, but {joined(but)}: {_with_rest(named, group, '; ')}."
        )
    return sentences


def _lost(losers: Sequence[Standing]) -> list[str]:
    sentences = []
    for lost_to, group in _grouped(losers, lambda one: one.against(False)):
        budgets: dict[str, list[str]] = {}
        for one in group:
            budgets.setdefault(one.selector, []).append(f"{one.budget:,}")
        named = [f"`{name}` at {joined(sizes)} samples" for name, sizes in budgets.items()]
        left = len(named) - _LISTED
        named = [*named[:_LISTED], *([f"{left} more selectors"] if left > 0 else [])]
        sentences.append(f"Worse than {_controls(lost_to)}: {joined(named)}.")
    return sentences


def _level(same: Sequence[Standing], smallest: float | None) -> list[str]:
    if not same or smallest is None:
        return []
    named = [one.at for one in same[:_LISTED]]
    against = _controls([row.against for row in same[0].compares])
    return [
        (
            f"Level with {against}, which means that the difference is within "
            f"±{plain(smallest)}{same[0].unit}: {_with_rest(named, same)}."
        )
    ]


def _few(few: Sequence[Standing]) -> list[str]:
    if not few:
        return []
    named = [one.at for one in few[:_LISTED]]
    return [
        (
            f"There is no verdict on {_with_rest(named, few)}, because a verdict needs {VERDICT_RUNS} "
            "runs that share their seeds with those of the controls."
        )
    ]


def _open(found: Sequence[Standing], neither: Sequence[Standing]) -> list[str]:
    """Write about the standings that do not differ measurably from random selection."""
    if not neither:
        return []
    no_difference = "no difference from random selection could be shown"
    if len(neither) == 1:
        gained = neither[0].first
        return [
            (
                f"{no_difference.capitalize()} for {neither[0].at}: the interval of its gain is "
                f"{gained.interval}{neither[0].unit}, where positive is better."
            )
        ]
    widest = max(neither, key=lambda one: one.first.high - one.first.low)
    if len(neither) < len(found):
        whom = f"in the other {len(neither)} of {len(found)} comparisons"
    elif len(_names(found)) == 1:
        whom = f"for `{found[0].selector}` at any budget"
    elif len({one.budget for one in found}) == 1:
        whom = f"for any selector at {found[0].budget:,} samples"
    else:
        whom = "for any selector at any budget"
    return [
        (
            f"{no_difference.capitalize()} {whom}. The widest interval of a gain is that of "
            f"{widest.at}: {widest.first.interval}{widest.unit}, where positive is better."
        )
    ]


def _finding(
    row: Row, standing: Standing | None, differences: Sequence[Compare], primary: str
) -> str:
    whose = _WHOSE.get(row.selector, f"`{row.selector}`")
    runs = "run" if row.runs == 1 else "runs"
    text = (
        f"{whose} at {row.budget:,} samples: {level(row.metrics[primary])}{words(primary).unit} over "
        f"{row.runs} {runs}"
    )
    if row.selector == CONTROL:
        return f"{text}: the control."
    if standing is None:
        return f"{text}."
    text = f"{text}; {joined([_against(compare) for compare in standing.compares])}."
    others = [
        one
        for one in differences
        if (one.selector, one.budget, one.against) == (row.selector, row.budget, CONTROL)
        and one.metric != primary
    ]
    for better, word in ((True, "Better"), (False, "Worse")):
        shown = [words(one.metric).title for one in others if one.better is better]
        if shown:
            text += f" {word} than random selection in {joined(shown)}."
    return text


def _against(compare: Compare) -> str:
    whom, gained = control_name(compare.against), gain(compare)
    corrected = probability(compare.corrected_p_value)
    if compare.better is not None:
        word = "better" if compare.better else "worse"
        return f"{word} than {whom} by {gained.size} {_turned(gained, word)} ({corrected})"
    if compare.level:
        return f"level with {whom} ({gained.signed} {gained.interval})"
    alone = (
        "; without the correction there would be one" if gained.low > 0 or gained.high < 0 else ""
    )
    if compare.runs is not None and compare.runs < VERDICT_RUNS:
        alone = "; too few runs to say more"
    return (
        f"no difference from {whom} could be shown "
        f"({gained.signed} {gained.interval}, {corrected}{alone})"
    )


def _turned(gained: Gain, word: str) -> str:
    """Return the interval; for a loss its sign is turned, so that it is positive."""
    return gained.interval if word == "better" else interval(-gained.high, -gained.low)


def _controls(labels: Sequence[str]) -> str:
    return joined([control_name(label) for label in labels])


def _names(found: Sequence[Standing]) -> set[str]:
    return {one.selector for one in found}


def _with_rest(named: list[str], group: Sequence[Standing], between: str = ", ") -> str:
    """Join ``named``, and say how many more there are."""
    left = len(group) - len(named)
    if left:
        return f"{between.join(named)}{between}and {left} more"
    return f"{between.join(named[:-1])}{' and ' if len(named) > 1 else ''}{named[-1]}"


def _grouped(
    some: Iterable[Standing], key: Callable[[Standing], Key]
) -> list[tuple[Key, list[Standing]]]:
    """Group the standings by key, with the keys in the order of their first standing."""
    found: dict[Key, list[Standing]] = {}
    for one in some:
        found.setdefault(key(one), []).append(one)
    return list(found.items())
