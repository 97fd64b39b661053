"""The wording and formatting of a comparison's figures: names and units of metrics, signs, decimals."""

import math
from dataclasses import dataclass

from dealrec.comparison.results import LESS_IS_BETTER, Compare
from dealrec.config.curve import Figure

MINUS = "−"


@dataclass(frozen=True)
class MetricWords:
    """The name and the unit of a metric."""

    title: str
    unit: str
    """The unit with the space before it; empty if there is none."""

    @property
    def head(self) -> str:
        """The head of its column."""
        return f"{self.title},{self.unit}" if self.unit else self.title


_WORDS = {
    "nll": MetricWords("negative log-likelihood", " nats a title"),
    "nll_per_token": MetricWords("NLL per token", " nats a token"),
    "preference": MetricWords("preference", " nats a user"),
    "auc_adj": MetricWords("adjusted AUC", ""),
    "auc": MetricWords("AUC", ""),
    "hit@1": MetricWords("hit rate", ""),
    "gain": MetricWords("gain of the own history", " nats a title"),
    "nll_others": MetricWords("NLL after other histories", " nats a title"),
    "order_gain": MetricWords("order gain", " nats a title"),
}
_RANKING = {"recall": "Recall", "ndcg": "NDCG"}


def words(metric: str) -> MetricWords:
    """Return the words for a metric of a report."""
    if metric in _WORDS:
        return _WORDS[metric]
    name, _, cutoff = metric.partition("@")
    return MetricWords(f"{_RANKING[name]}@{cutoff}", "")


@dataclass(frozen=True)
class Gain:
    """A difference whose sign is chosen so that more is better; for NLL the sign is turned."""

    mean: float
    low: float
    high: float

    @property
    def interval(self) -> str:
        """The interval as ``[0.08, 0.34]``."""
        return interval(self.low, self.high)

    @property
    def size(self) -> str:
        """The mean without its sign."""
        return number(abs(self.mean), decimals(self.low, self.high))

    @property
    def plain(self) -> str:
        """The mean, with a minus sign if it is worse."""
        return number(self.mean, decimals(self.low, self.high))

    @property
    def signed(self) -> str:
        """The mean, with a plus sign if it is better."""
        text = self.plain
        return text if text.startswith(MINUS) else f"+{text}"


def gain(compare: Compare) -> Gain:
    """Turn ``compare`` so that more is better."""
    if compare.metric in LESS_IS_BETTER:
        return Gain(-compare.mean, -compare.high, -compare.low)
    return Gain(compare.mean, compare.low, compare.high)


def level(figure: Figure) -> str:
    """Format a mean and its interval as ``3.41 [3.30, 3.52]``."""
    shown = number(figure.mean, decimals(figure.low, figure.high))
    return f"{shown} {interval(figure.low, figure.high)}"


def interval(low: float, high: float) -> str:
    """Format an interval as ``[0.08, 0.34]``."""
    places = decimals(low, high)
    return f"[{number(low, places)}, {number(high, places)}]"


def decimals(low: float, high: float) -> int:
    """Return how many decimals are shown: two, or up to four for a narrow interval."""
    reach = (high - low) / 2
    if reach >= 0.05:
        return 2
    return 4 if reach <= 0 else min(4, 1 - math.floor(math.log10(reach)))


def number(value: float, places: int) -> str:
    """Format a number with a real minus sign, and without one before a zero."""
    text = f"{abs(value):,.{places}f}"
    return f"{MINUS}{text}" if value < 0 and float(text.replace(",", "")) else text


def plain(value: float) -> str:
    """Format a number from the configuration as it was written there."""
    return f"{value:.12g}"


def probability(p_value: float) -> str:
    """Format as ``p = 0.0041``, with enough decimals to see whether it is below 0.05."""
    if p_value < 0.0001:
        return "p < 0.0001"
    return f"p = {p_value:.{4 if p_value < 0.1 else 2}f}"


def joined(parts: list[str], word: str = "and") -> str:
    """Join parts as ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"
