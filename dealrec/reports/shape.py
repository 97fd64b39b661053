"""The charts of a data set's shape."""

import altair as alt

from dealrec.data.audit import DatasetShape
from dealrec.reports.charts import ALL, CHOSEN, MARK, SIZE, Row, log_ticks, marks, svg
from dealrec.reports.scores import Chart

_SPLITS = ("train", "valid", "test")


def shape_charts(shape: DatasetShape) -> list[Chart]:
    """Draw interactions over time, lengths of histories and popularity, as far as there are any."""
    charts = []
    if len(shape.over_time) > 1:
        charts.append(Chart("Interactions over time", _over_time(shape), _over_time_note(shape)))
    if shape.history_lengths:
        charts.append(Chart("Lengths of histories", _lengths(shape), _lengths_note(shape)))
    if shape.popularity:
        charts.append(Chart("Popularity of items", _popularity(shape), _popularity_note(shape)))
    return charts


def _over_time(shape: DatasetShape) -> str:
    spans = shape.over_time
    rows: list[Row] = []
    for place, span in enumerate(spans):
        counts = {split: getattr(span, split) for split in _SPLITS}
        told = ", ".join(f"{count:,} {split}" for split, count in counts.items() if count)
        words = f"from {span.label}: {told or 'no interactions'}"
        for order, (split, count) in enumerate(counts.items()):
            rows.append(
                {
                    "place": place,
                    "interactions": count,
                    "split": split,
                    "order": order,
                    "words": words,
                }
            )
    ticks = list(range(0, len(spans), max(1, -(-len(spans) // 5))))
    labels = " : ".join(f"datum.value == {place} ? '{spans[place].label}'" for place in ticks)
    drawn = (
        marks()
        .mark_bar()
        .encode(
            x=alt.X(
                "place:O",
                title="time",
                axis=alt.Axis(values=ticks, labelExpr=f"{labels} : ''", labelAngle=0),
            ),
            y=alt.Y("interactions:Q", title="interactions", axis=alt.Axis(format="~s")),
            color=alt.Color(
                "split:N", scale=alt.Scale(domain=list(_SPLITS), range=[ALL, CHOSEN, MARK])
            ),
            order="order:Q",
            description="words:N",
        )
    )
    return svg(drawn.properties(**SIZE), rows, "Interactions over time")


def _lengths(shape: DatasetShape) -> str:
    rows: list[Row] = []
    for place, one in enumerate(shape.history_lengths):
        name = f"{one.low:,}" if one.low == one.high else f"{one.low:,}–{one.high:,}"
        words = f"{name} interactions: {one.users:,} users"
        rows.append({"place": place, "length": name, "users": one.users, "words": words})
    drawn = (
        marks()
        .mark_bar(color=CHOSEN, opacity=0.75)
        .encode(
            x=alt.X(
                "length:O",
                sort=None,
                title="training interactions of a user (ranges that double)",
                axis=alt.Axis(labelAngle=0, labelOverlap=True),
            ),
            y=alt.Y("users:Q", title="users", axis=alt.Axis(format="~s")),
            description="words:N",
        )
    )
    return svg(drawn.properties(**SIZE), rows, "Lengths of histories")


def _popularity(shape: DatasetShape) -> str:
    rows: list[Row] = [
        {
            "items": head.items,
            "share": head.share_of_interactions,
            "words": f"the {head.items:,} most popular items ({head.share_of_items:.3g} of all): "
            f"{head.share_of_interactions:.1%} of the interactions",
        }
        for head in shape.popularity
    ]
    axis = alt.Axis(
        values=log_ticks(shape.popularity[-1].items)[1:], format="~s", labelOverlap=True
    )
    drawn = (
        marks()
        .mark_line(
            strokeWidth=1.5, color=CHOSEN, point={"filled": True, "size": 50, "color": CHOSEN}
        )
        .encode(
            x=alt.X(
                "items:Q",
                title="most popular items (logarithmic)",
                scale=alt.Scale(type="log", nice=False),
                axis=axis,
            ),
            y=alt.Y(
                "share:Q",
                title="share of interactions",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            description="words:N",
        )
    )
    return svg(
        drawn.properties(**SIZE), rows, "Share of the interactions of the most popular items"
    )


def _over_time_note(shape: DatasetShape) -> str:
    splits = shape.splits
    counts = {split: getattr(splits, split) for split in _SPLITS}
    total = max(1, sum(counts.values()))
    told = ", ".join(f"{count / total:.0%} {split}" for split, count in counts.items())
    most = max(shape.over_time, key=lambda span: span.train + span.valid + span.test)
    return (
        f"{len(shape.over_time)} spans of equal length; the busiest begins at {most.label}. "
        f"Of all interactions, {told}."
    )


def _lengths_note(shape: DatasetShape) -> str:
    figures = shape.figures
    return (
        f"Half of the users have {figures['history_median']:g} training interactions or fewer, and one "
        f"in ten has {figures['history_p90']:g} or more."
    )


def _popularity_note(shape: DatasetShape) -> str:
    figures = shape.figures
    return (
        f"The most popular tenth of the items takes {figures['popular_share']:.0%} of the interactions. "
        f"{figures['unseen_share']:.0%} of the held-out interactions are with items that nobody has in "
        "training."
    )
