"""Sentences about what a comparison can see at all: headroom, exchanged histories, and power."""

from dealrec.comparison.results import LESS_IS_BETTER, NLL, Exchanged, Headroom, Power
from dealrec.comparison.wording import level, number, plain, words
from dealrec.metrics import crossed


def headroom_sentences(headroom: Headroom | None, *, stopped: bool) -> list[str]:
    """Say whether there is anything to learn, which every verdict depends on."""
    if headroom is None:
        return [
            (
                "Whether training teaches recommending here was not asked (`full_data_runs` is 0), so a "
                "difference may be one of format and popularity alone."
            )
        ]
    trained = (
        f"{level(headroom.trained)}{words(headroom.metric).unit} after training on "
        f"{headroom.samples:,} samples, {level(headroom.untrained)} before"
    )
    if headroom.metric == NLL:
        return [
            (
                f"The {words(NLL).title} is {trained}. Whether that is recommending was not asked "
                "(`evaluation.candidates` is 0)."
            )
        ]
    if headroom.found:
        return [f"There is something to learn: {words(headroom.metric).title} is {trained}."]
    end = (
        "The comparison stopped here; `despite_no_headroom` goes on."
        if stopped
        else "It went on because `despite_no_headroom` asks for it."
    )
    return [
        (
            "This set-up teaches no recommending, so selectors cannot be told apart here: "
            f"{words(headroom.metric).title} is {trained}, and the interval of the gain, "
            f"{level(headroom.gain)}, does not exclude none. {end}"
        )
    ]


def exchanged_sentences(exchanged: Exchanged | None) -> list[str]:
    """Say how much of what the best coreset teaches does not depend on whose history is read."""
    if exchanged is None:
        return []
    worse = exchanged.loss.low > 0
    said = "worse by" if worse else "not shown to be worse:"
    end = "" if worse else " What this coreset teaches is then not shown to be recommending."
    return [
        (
            f"Trained with histories exchanged between its users, the coreset of `{exchanged.selector}` "
            f"at {exchanged.budget:,} samples is {said} {level(exchanged.loss)}"
            f"{words(exchanged.metric).unit}.{end}"
        )
    ]


def power_sentences(power: Power | None, smallest_effect: float | None) -> list[str]:
    """Say what difference the runs and users of the comparison could have shown."""
    if power is None:
        return []
    unit = words(power.metric).unit
    text = (
        f"With {power.runs} runs and {power.users:,} users a difference of "
        f"{number(power.detectable, 4)}{unit} is shown four times out of five, before correction."
    )
    if smallest_effect is None or power.detectable <= smallest_effect:
        return [text]
    needed = "more users" if power.runs_needed is None else f"{power.runs_needed} runs"
    return [f"{text} One of {plain(smallest_effect)}, the smallest of interest, takes {needed}."]


def foreseen(pilot: Power, runs: int, users: int) -> str:
    """Say what a comparison that is not made yet can show, by the spreads of an earlier one."""
    spread = crossed.Spread(**pilot.spread.model_dump())
    found = crossed.detectable(spread, runs, users)
    return (
        f"By the spreads of the pilot, {runs} runs and {users:,} users show a difference of "
        f"{number(found, 4)}{words(pilot.metric).unit} four times out of five, before correction."
    )


def turned(metric: str, value: float) -> float:
    """Turn a difference so that more is better."""
    return -value if metric in LESS_IS_BETTER else value
