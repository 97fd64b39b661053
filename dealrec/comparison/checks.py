"""Sentences about what a comparison is able to show: headroom, exchanged histories, and power."""

from dealrec.comparison.results import LESS_IS_BETTER, NLL, Exchanged, Headroom, Power
from dealrec.comparison.wording import level, number, plain, words
from dealrec.metrics import crossed


def headroom_sentences(headroom: Headroom | None, *, stopped: bool) -> list[str]:
    """Say whether there is anything to learn, which every verdict depends on."""
    if headroom is None:
        return [
            (
                "It was not checked whether training teaches the model to recommend (`full_data_runs` "
                "is 0), so a difference may come from format and popularity alone."
            )
        ]
    trained = (
        f"{level(headroom.trained)}{words(headroom.metric).unit} after training on "
        f"{headroom.samples:,} samples, {level(headroom.untrained)} before"
    )
    if headroom.metric == NLL:
        return [
            (
                f"The {words(NLL).title} is {trained}. It was not checked whether that is recommending "
                "(`evaluation.candidates` is 0)."
            )
        ]
    if headroom.found:
        return [f"There is something to learn: the {words(headroom.metric).title} is {trained}."]
    end = (
        "The comparison stopped here. Set `despite_no_headroom` to continue anyway."
        if stopped
        else "It continued because `despite_no_headroom` is set."
    )
    return [
        (
            "This set-up does not teach the model to recommend, so selectors cannot be told apart: "
            f"the {words(headroom.metric).title} is {trained}, and the interval of the gain, "
            f"{level(headroom.gain)}, includes zero. {end}"
        )
    ]


def exchanged_sentences(exchanged: Exchanged | None) -> list[str]:
    """Say how much of what the best coreset teaches does not depend on whose history is read."""
    if exchanged is None:
        return []
    worse = exchanged.loss.low > 0
    said = "worse by" if worse else "not shown to be worse:"
    end = "" if worse else " So it is not shown that this coreset teaches the model to recommend."
    return [
        (
            f"When histories are exchanged between its users, the coreset of `{exchanged.selector}` at "
            f"{exchanged.budget:,} samples is {said} "
            f"{level(exchanged.loss)}{words(exchanged.metric).unit}.{end}"
        )
    ]


def power_sentences(power: Power | None, smallest_effect: float | None) -> list[str]:
    """Say which difference the runs and users of the comparison could have detected."""
    if power is None:
        return []
    unit = words(power.metric).unit
    text = (
        f"With {power.runs} runs and {power.users:,} users, a difference of "
        f"{number(power.detectable, 4)}{unit} is detected four times out of five, before correction."
    )
    if smallest_effect is None or power.detectable <= smallest_effect:
        return [text]
    needed = "more users" if power.runs_needed is None else f"{power.runs_needed} runs"
    return [
        (
            f"{text} To detect the smallest difference of interest, {plain(smallest_effect)}, this needs "
            f"{needed}."
        )
    ]


def foreseen(pilot: Power, runs: int, users: int) -> str:
    """Say what a comparison that has not been run yet can detect, judging by the spread in an earlier one."""
    spread = crossed.Spread(**pilot.spread.model_dump())
    found = crossed.detectable(spread, runs, users)
    return (
        f"Judging by the spread in the pilot, {runs} runs and {users:,} users detect a difference of "
        f"{number(found, 4)}{words(pilot.metric).unit} four times out of five, before correction."
    )


def turned(metric: str, value: float) -> float:
    """Turn a difference so that more is better."""
    return -value if metric in LESS_IS_BETTER else value
