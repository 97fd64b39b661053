"""The catalogue of recommenders, surrogates, selectors and layouts of files."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from dealrec.app.kit.problems import documented
from dealrec.config import FinetuneConfig, SelectionConfig, SurrogateConfig
from dealrec.config.layouts import LAYOUTS
from dealrec.config.recommenders import RECOMMENDERS, RecommenderEntry
from dealrec.config.selectors import SELECTORS, listed_needs
from dealrec.config.surrogate import SURROGATES, SurrogateEntry
from dealrec.config.texts import text_selectors

router = APIRouter(prefix="/v1", tags=["catalogue"])


class Choice(BaseModel):
    """A recommender, a surrogate or a selector. ``parameters`` is a JSON Schema of its options.

    ``needs`` names the inputs of a selector at its default parameters. ``without_ids`` says whether it works
    on texts without ids; null for anything but selectors.
    """

    name: str
    object: Literal["recommender", "surrogate", "selector"]
    summary: str
    needs: list[str]
    parameters: dict[str, Any]
    without_ids: bool | None = None


class Choices(BaseModel):
    """All recommenders, all surrogates, or all selectors."""

    data: list[Choice]


class LayoutForm(BaseModel):
    """The columns of a file under DEALRec's names, and its format as far as the layout defines it."""

    columns: dict[str, str]
    format: dict[str, Any]


class LayoutEntry(BaseModel):
    """A named layout of a public data set, with the forms of its interactions and items files."""

    name: str
    object: Literal["layout"] = "layout"
    summary: str
    interactions: list[LayoutForm]
    items: list[LayoutForm]


class Layouts(BaseModel):
    """All layouts."""

    data: list[LayoutEntry]


@router.get("/recommenders", operation_id="list_recommenders", responses=documented())
def list_recommenders() -> Choices:
    """List the recommenders for ``finetune.recommender``."""
    return _choices(FinetuneConfig, "recommender", RECOMMENDERS, "recommender")


@router.get("/surrogates", operation_id="list_surrogates", responses=documented())
def list_surrogates() -> Choices:
    """List the surrogates for ``surrogate.model``."""
    return _choices(SurrogateConfig, "model", SURROGATES, "surrogate")


@router.get("/selectors", operation_id="list_selectors", responses=documented())
def list_selectors() -> Choices:
    """List the selectors for ``selection.method``."""
    schema = SelectionConfig.model_json_schema()
    return Choices(
        data=[
            Choice(
                name=entry.method.value,
                object="selector",
                summary=entry.summary,
                needs=[need.value for need in listed_needs(entry)],
                parameters={
                    **schema,
                    "properties": {name: schema["properties"][name] for name in entry.parameters},
                },
                without_ids=entry.method in text_selectors(),
            )
            for entry in SELECTORS.values()
        ]
    )


@router.get("/layouts", operation_id="list_layouts", responses=documented())
def list_layouts() -> Layouts:
    """List the layouts of public data sets for ``options.layout``."""
    return Layouts(
        data=[LayoutEntry.model_validate(layout.to_json()) for layout in LAYOUTS.values()]
    )


def _choices(
    config: type[BaseModel],
    option: str,
    entries: Mapping[str, SurrogateEntry | RecommenderEntry],
    kind: Literal["recommender", "surrogate"],
) -> Choices:
    """List ``entries``, each with the options that all read and those that it reads itself."""
    schema = config.model_json_schema()
    properties = schema["properties"]
    own = {name for entry in entries.values() for name in entry.parameters}
    shared = [name for name in properties if name != option and name not in own]
    return Choices(
        data=[
            Choice(
                name=entry.name,
                object=kind,
                summary=entry.summary,
                needs=[],
                parameters={
                    **schema,
                    "properties": {name: properties[name] for name in [*shared, *entry.parameters]},
                },
            )
            for entry in entries.values()
        ]
    )
