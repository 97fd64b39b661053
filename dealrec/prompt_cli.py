"""``dealrec prompt``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dealrec.config import FinetuneConfig, PruneConfig
from dealrec.options import Asked, InteractionsOrSamples, JsonOption, SamplesOption, reads_data
from dealrec.terminal import examples, print_json, say, stage_display, tell

if TYPE_CHECKING:
    from dealrec.data.preview import ReadText

_MODEL: str = FinetuneConfig.model_fields["model"].default
_MAX_TOKENS: int = FinetuneConfig.model_fields["max_tokens"].default


@examples("dealrec prompt interactions.csv --items items.csv --set prompt.template=chat --count 1")
@reads_data
def prompt_command(
    interactions: InteractionsOrSamples = None,
    items: Annotated[Path | None, typer.Option(help="Item catalogue with titles.")] = None,
    samples: SamplesOption = None,
    *,
    asked: Asked,
    model: Annotated[
        str,
        typer.Option(
            help=(
                "The model whose tokens are counted: its name in the catalogue, a folder, a GGUF file or a "
                "Hugging Face id."
            )
        ),
    ] = _MODEL,
    max_tokens: Annotated[
        int, typer.Option(min=16, help="The largest number of tokens of a text.")
    ] = _MAX_TOKENS,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many samples to show.")] = 3,
    json: JsonOption = False,
) -> None:
    """Show samples as the language model would read them, with their number of tokens.

    Set the prompt like any other option: --set prompt.template=chat, or `prompt` in the file of --config.
    """
    from dealrec.previews import preview_prompt

    settings = PruneConfig.parse(asked.config)
    with stage_display(quiet=json) as stages:
        found = preview_prompt(
            interactions,
            items=items,
            samples=samples,
            config=settings,
            data=asked.data,
            model=model,
            max_tokens=max_tokens,
            count=count,
            reporter=stages("ingest"),
        )
    pairs = list(zip(found.samples, found.texts, strict=True))
    if json:
        shown = [
            {
                "sample_key": one.key,
                "messages": [
                    {"role": turn.role, "content": turn.content} for turn in one.sample.messages
                ],
                "read": text.model_dump(mode="json"),
            }
            for one, text in pairs
        ]
        print_json({"model": model, "format": found.format, "samples": shown})
        return
    for one, text in pairs:
        say(f"sample {one.key}: {_counted(text)}")
        say(text.prompt)
        say(f"answer: {text.answer!r}")
        if text.left_out:
            say(f"left out: {text.left_out!r}")
        say("")
    tell(f"As {model} reads it, format {found.format}. The loss is on the answer.")


def _counted(text: "ReadText") -> str:
    cut = f"; {text.left_out_tokens:,} more did not fit" if text.left_out_tokens else ""
    whole = text.prompt_tokens + text.answer_tokens
    return f"{whole:,} tokens, {text.answer_tokens:,} of them the answer{cut}"
