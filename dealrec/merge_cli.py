"""``dealrec merge``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dealrec.options import JsonOption
from dealrec.terminal import examples, print_json, say, stage_display


class NumberType(StrEnum):
    """The number type of weights."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@examples("dealrec merge adapter --model smollm2-135m --out merged")
def merge_command(
    adapter: Annotated[Path, typer.Argument(help="Folder of the adapter.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the merged model; it must be new or empty.")
    ],
    model: Annotated[str, typer.Option(help="The model that the adapter was trained on.")],
    dtype: Annotated[
        NumberType, typer.Option(help="Number type of the merged weights.")
    ] = NumberType.FLOAT32,
    json: JsonOption = False,
) -> None:
    """Merge an adapter into its language model, and write a model that loads without peft."""
    from dealrec.language_models.merging import merge_adapter

    with stage_display(quiet=json) as stages:
        folder = merge_adapter(
            adapter, model=model, out=out, dtype=dtype.value, reporter=stages("merge")
        )
    size = sum(path.stat().st_size for path in folder.iterdir())
    if json:
        print_json({"out": str(folder), "bytes": size})
    else:
        say(f"model in {folder}, {size / 1e6:,.0f} MB")
