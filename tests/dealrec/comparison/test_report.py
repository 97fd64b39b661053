"""The report of a comparison is one page that says all there is, and asks for nothing elsewhere."""

import html
import re
from html.parser import HTMLParser

import pytest

from dealrec.comparison.charts import costs_chart
from dealrec.comparison.costs import coreset_cost
from dealrec.comparison.report import write_comparison_report
from dealrec.comparison.results import ComparisonReport, FullCost, Headroom
from dealrec.config.curve import Figure
from dealrec.config.scales import Scale
from dealrec.config.stages import STAGES, StageName
from tests.dealrec.comparison.reports import comparison_report


def page(report, folder):
    write_comparison_report(report, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


NEW = {
    *("primary", "headroom", "stopped", "smallest_effect", "exchanged", "power"),
}
"""Fields that reports of the first version do not have."""
NO_HEADROOM = Headroom(
    metric="preference",
    samples=60,
    runs=1,
    untrained=Figure(mean=0.14, low=0.12, high=0.16),
    trained=Figure(mean=0.15, low=0.12, high=0.18),
    gain=Figure(mean=0.01, low=-0.02, high=0.04),
    found=False,
)


class Reader(HTMLParser):
    """Collects tags with their attributes, the text of tables by label, and unclosed tags."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.tables, self.wrong = [], [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self.open.pop()[0] != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        for tag, attrs in self.open:
            if tag == "table" and "aria-label" in attrs:
                cells = self.tables.setdefault(attrs["aria-label"], [])
                if data.strip():
                    cells.append(" ".join(data.split()))


@pytest.fixture(scope="module")
def small():
    return comparison_report()


@pytest.fixture(scope="module")
def small_page(small, tmp_path_factory):
    return page(small, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def many():
    """Two budgets, labels that a browser must not take for markup, no ranking, trained on all data."""
    own = {"method": "dealrec", "label": "<b>λ = 1</b> & more", "selection": {"effort_weight": 1}}
    return comparison_report(
        ("dealrec", own), (64, 2048), scale=Scale.FULL, runs=5, ranking=False, full_data_runs=2
    )


@pytest.fixture(scope="module")
def many_page(many, tmp_path_factory):
    return page(many, tmp_path_factory.mktemp("many"))


def text_of(page):
    """Collects the text that a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_page_is_well_formed_and_asks_for_nothing_elsewhere(small_page, many_page):
    for found in (small_page, many_page):
        reader = Reader(found)
        assert not reader.wrong
        assert not reader.open
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in reader.tags}
        for _, attributes in reader.tags:
            assert not {"src", "href", "style"} & set(attributes)
            assert not any(name.startswith("on") for name in attributes)
        assert "url(" not in found
        assert "@import" not in found


def test_the_verdict_comes_first_with_every_warning(small, small_page):
    text = text_of(small_page)
    verdict = " ".join(small.verdict.replace("`", " ").split())
    assert verdict.split(";")[0] in text
    assert text.index("Verdict") < text.index("Ranking the catalogue")
    assert all(warning in text for warning in small.warnings)


def test_the_table_has_levels_gains_and_corrected_probabilities(small, small_page):
    cells = Reader(small_page).tables["At 128 samples"]
    won = next(d for d in small.differences if d.selector == "dealrec" and d.metric == "nll")
    row = cells[cells.index("dealrec") : cells.index("random", cells.index("dealrec"))]
    assert row[1] == "best"
    levels = {row.selector: row.metrics["nll"] for row in small.table}
    assert row[2] == f"{levels['dealrec'].mean:.2f}"
    assert won.better is True
    assert f"▲ +{-won.mean:.2f}" in row
    assert f"[{-won.high:.2f}, {-won.low:.2f}]" in row
    assert f"p = {won.corrected_p_value:.4f}" in row


def test_the_best_mean_of_the_table_comes_first_and_the_model_as_it_is_last(small, small_page):
    cells = Reader(small_page).tables["At 128 samples"]
    means = {row.selector: row.metrics["nll"].mean for row in small.table}
    places = [cells.index(name) for name in sorted(means, key=means.__getitem__)]
    heads = next(place for place, cell in enumerate(cells) if cell == "selector")
    assert heads < places[0]
    assert places == sorted(places)
    assert cells.index("not trained") > places[-1]


def test_none_is_the_best_of_a_ranking_in_which_all_are_level(small, tmp_path):
    nothing = small.model_copy(deep=True)
    for row in nothing.table:
        row.metrics["recall@5"] = Figure(mean=0.0, low=0.0, high=0.0)
    before, after = (
        Reader(page(report, tmp_path)).tables["Ranking at 128 samples"].count("best")
        for report in (small, nothing)
    )
    assert after == before - 1 > 0


def test_ranking_has_every_metric_or_says_that_none_was_asked_for(small, small_page, many_page):
    cells = Reader(small_page).tables["Ranking at 128 samples"]
    for name in ("Recall", "NDCG"):
        for cutoff in (5, 10, 20, 50):
            assert f"{name}@{cutoff}" in cells
    assert small.data.seen_items in text_of(small_page)
    assert "The catalogue was not ranked" in many_page


def test_the_overlap_of_every_two_selectors_is_there(small, small_page):
    cells = Reader(small_page).tables["Overlap at 128 samples"]
    numbers = [cell for cell in cells if re.fullmatch(r"\d\.\d\d", cell)]
    (overlap,) = small.overlap
    assert numbers == [f"{value:.2f}" for row in overlap.jaccard for value in row]


def test_costs_say_what_was_saved_and_whether_all_data_was_measured(small, small_page, many_page):
    text = text_of(small_page)
    assert "extrapolated from the time per token" in text
    assert all(f"{100 * cost.saved:.1f} %" in text for cost in small.costs)
    assert "which was measured" in text_of(many_page)


def test_what_costs_more_than_all_data_is_said_with_a_minus(small, tmp_path):
    dear = small.costs[-1].model_copy(update={"total": 9000.0, "saved": -0.083})
    found = page(small.model_copy(update={"costs": [*small.costs[:-1], dear]}), tmp_path)
    assert "−8.3 %" in found


def test_every_run_is_listed_with_its_seeds_and_its_coreset(many, many_page):
    for run in many.runs:
        assert run.coreset_sha256 in many_page
    assert f"All {len(many.runs)} runs" in many_page


def test_several_budgets_are_plotted_and_one_is_not(many_page, small_page):
    assert "against the number of samples" in many_page
    assert "against the number of samples" not in small_page
    assert {"At 64 samples", "At 2,048 samples"} <= set(Reader(many_page).tables)


def test_all_data_stands_in_the_tables_as_a_reference(many_page):
    cells = Reader(many_page).tables["At 64 samples"]
    assert cells.index("all data") > cells.index("not trained")


def test_a_label_is_text_and_not_markup(many_page):
    assert "<b>λ = 1</b>" not in many_page
    assert "&lt;b&gt;λ = 1&lt;/b&gt; &amp; more" in many_page


def test_a_comparison_that_stopped_says_why_and_shows_nothing_else(small, tmp_path):
    stopped = small.model_copy(
        update={
            "stopped": True,
            "headroom": NO_HEADROOM,
            "verdict": "This set-up teaches no recommending.",
            "table": [],
            "differences": [],
            "costs": [],
            "same_against_same": None,
        }
    )
    found = page(stopped, tmp_path)
    assert Reader(found).tables["Headroom"] == [
        *[
            "the model before training",
            "0.140 [0.120, 0.160]",
            "trained on 60 samples",
            "0.150 [0.120, 0.180]",
        ],
        *["gain from this training", "0.010 [−0.020, 0.040]"],
    ]
    assert "teaches no recommending" in text_of(found)
    assert "Ranking the catalogue" not in found


def test_a_report_of_the_first_version_is_read_and_shown(small, tmp_path):
    old = small.model_dump(mode="json", exclude=NEW)
    for row in old["differences"]:
        for name in ("runs", "level", "level_p_value"):
            del row[name]
    for one in [*old["table"], *old["runs"]]:
        one["metrics"]["order_gain"] = one["metrics"]["nll_per_token"]
    read = ComparisonReport.model_validate({**old, "version": 1})
    assert read.primary == "nll"
    text = text_of(page(read, tmp_path))
    assert "order gain" in text
    assert "At 128 samples" in Reader(page(read, tmp_path)).tables


def test_the_chart_of_costs_knows_every_stage_that_a_selector_may_need():
    full = FullCost(samples=60, trunk=1.0, finetune=2.0, total=3.0, measured=True)
    made = [name for name, spec in STAGES.items() if spec.makes]
    seconds = dict.fromkeys([StageName.SURROGATE, *made], 1.0)
    rest = {"select": 1.0, "trunk": 1.0, "finetune": 1.0}
    cost = coreset_cost("influence", 5, stages=seconds, full=full, **rest)
    drawn = costs_chart([cost], full)
    assert all(name in drawn for name in made)
