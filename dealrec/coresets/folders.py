"""A coreset's folder: as a run leaves it, or made from a file of examples."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import PromptConfig, PruneConfig
from dealrec.config.prompt import PromptFormat
from dealrec.config.stages import hashed
from dealrec.coresets.members import read_examples, text_columns
from dealrec.coresets.writer import MANIFEST, MEMBERS
from dealrec.errors import FieldError, InputError


def prompt_of(coreset: Path, asked: PromptFormat | None) -> PromptConfig:
    """Return the prompt of a coreset: that of the run which left the folder, or for a file ``asked``.

    Raises:
        InputError: ``prompt_format_is_set`` where the run had another format than is asked for.
    """
    if not (coreset / MANIFEST).is_file():
        return PromptConfig(format=asked or PromptFormat.AUTO)
    written = json.loads((coreset / MANIFEST).read_text()).get("config") or {}
    prompt = PruneConfig.parse(written).prompt
    if asked not in (None, prompt.format):
        raise InputError(
            f"The samples in this folder were selected with `prompt.format: {prompt.format}`. To train "
            f"on them with `{asked}`, give the file coreset.jsonl in the folder instead.",
            code="prompt_format_is_set",
            title="The coreset has a prompt format already",
            errors=[FieldError("prompt_format", f"is {prompt.format} here")],
        )
    return prompt


@contextmanager
def coreset_folder(coreset: Path, prompt: PromptConfig | None = None) -> Iterator[tuple[Path, str]]:
    """Give a folder with the members and the manifest of a coreset, and the hash of its texts.

    ``prompt`` is that of :func:`prompt_of`. Its format is in the hash where it is not ``auto``.
    """
    prompt = prompt or prompt_of(coreset, None)
    asked = [] if prompt.format is PromptFormat.AUTO else [prompt.format.value]
    if (coreset / MANIFEST).is_file():
        texts = pq.read_table(coreset / MEMBERS).to_pylist()
        yield coreset, hashed([texts, *asked] if asked else texts)
        return
    table = pa.table(text_columns(read_examples(coreset)))
    texts = table.to_pylist()
    sha256 = hashed([texts, *asked] if asked else texts)
    with tempfile.TemporaryDirectory(prefix="dealrec-") as scratch:
        folder = Path(scratch)
        pq.write_table(table, folder / MEMBERS)
        config = PruneConfig(prompt=prompt).model_dump(mode="json")
        manifest = {"sha256": sha256, "dataset": {"sha256": None}, "config": config}
        (folder / MANIFEST).write_text(json.dumps(manifest))
        yield folder, sha256
