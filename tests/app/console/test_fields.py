"""The job form against the models that it is made from."""

import pytest

from dealrec.app.console.fields import (
    form_of,
    job_form,
    read_budget,
    read_config,
    read_fields,
    selection_fields,
)
from dealrec.app.console.pages import templates
from dealrec.app.console.presets import PRESETS
from dealrec.config import (
    EffortConfig,
    EvaluationConfig,
    FinetuneConfig,
    PruneConfig,
    SelectionConfig,
)


def test_the_form_at_its_defaults_asks_for_the_default_configuration() -> None:
    fields = [field for part in job_form() for field in part.fields]
    form = {field.name: field.value for field in fields}
    assert PruneConfig.parse(read_config(form)) == PruneConfig()
    everything = read_config(
        {**form, "use.effort": "1", "use.finetune": "1", "use.evaluation": "1"}
    )
    whole = PruneConfig(
        effort=EffortConfig(), finetune=FinetuneConfig(), evaluation=EvaluationConfig()
    )
    assert PruneConfig.parse(everything) == whole


@pytest.mark.parametrize("given", [{}, {"method": "ccs", "hard_prune": 0.1, "half_life": 30.0}])
def test_the_selection_of_a_coreset_comes_back_from_its_form_as_it_was(given: dict) -> None:
    selection = SelectionConfig.parse(given)
    fields = selection_fields(selection.model_dump(mode="json"))
    sent = {field.name: field.value for field in fields}
    assert "None" not in sent.values()
    assert SelectionConfig.parse(read_fields(sent, fields)["selection"]) == selection


def test_every_option_of_the_models_has_a_field() -> None:
    names = {field.name for part in job_form() for field in part.fields}
    for name in ("surrogate", "influence", "selection", "prompt"):
        options = {f"{name}.{option}" for option in type(getattr(PruneConfig(), name)).model_fields}
        assert options - names <= {"influence.target_samples"}


def test_an_option_of_selection_says_which_methods_read_it() -> None:
    fields = {field.name: field for part in job_form() for field in part.fields}
    assert "dealrec" in fields["selection.effort_weight"].read_by
    assert "influence_strata" not in fields["selection.effort_weight"].read_by
    assert "influence_strata" in fields["selection.strata"].read_by
    assert fields["selection.exchanges"].read_by == ("goracs",)
    own = {name for name, field in fields.items() if field.read_by == ("metagradient",)}
    trained = ("epochs", "batch", "rate", "temperature", "decay", "dimensions")
    names = ("rounds", "trainings", "pool", *(f"training_{name}" for name in trained))
    assert own == {f"selection.{name}" for name in names}
    assert [part.name for part in job_form() if part.needed_by == ("metagradient",)] == ["titles"]
    assert fields["selection.method"].read_by == fields["surrogate.seed"].read_by == ()


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("dealrec", "dealrec, λ 0.3, K 50"),
        ("influence_strata", "influence_strata, K 50"),
        ("random", "random"),
    ],
)
def test_a_selection_is_described_by_the_options_that_its_method_reads(method, words) -> None:
    options = SelectionConfig(method=method).model_dump(mode="json")
    assert templates.env.filters["selection"](options) == words


def test_a_budget_is_a_count_or_a_percentage() -> None:
    assert read_budget({"budget": "1,024", "budget_unit": "samples"}) == "1024"
    assert read_budget({"budget": "29", "budget_unit": "percent"}) == "0.29"


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_presets_form_asks_for_the_presets_configuration(preset) -> None:
    config = PruneConfig.parse(preset.config)
    form = form_of(config.model_dump(mode="json"))
    shown = {f.name: f.value for part in job_form(form) for f in part.fields}
    sent = {**shown, **{name: "1" for name in form if name.startswith("use.")}}
    assert PruneConfig.parse(read_config(sent)) == config
