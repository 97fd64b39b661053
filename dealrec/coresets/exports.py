"""Exports a coreset as a folder for other trainers: the data, configurations, and a README."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config.finetune import FinetuneConfig
from dealrec.coresets.card import page
from dealrec.coresets.folders import coreset_folder
from dealrec.coresets.formats import CoresetFormat, write_format
from dealrec.coresets.members import TEXTS, samples_of
from dealrec.coresets.rows import messages_row, pair_row
from dealrec.coresets.trainers import Trainers, TrainingFile
from dealrec.coresets.writer import MEMBERS
from dealrec.disk import written_whole
from dealrec.errors import FieldError, InputError

README = "README.md"
_SHARD = "data/train-00000-of-00001.parquet"
_ROWS = 1024
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_TURN = pa.struct([("role", pa.string()), ("content", pa.string())])
_WORDS = {"prompt": pa.string(), "completion": pa.string(), "messages": pa.list_(_TURN)}


@dataclass(frozen=True)
class Export:
    """A coreset that was written as a folder."""

    folder: Path
    files: tuple[str, ...]
    """Their places in the folder."""
    samples: int
    notes: tuple[str, ...]
    """Sentences about what the configurations cannot express."""


def export(
    coreset: str | Path,
    *,
    format: CoresetFormat | str = CoresetFormat.MESSAGES,  # noqa: A002
    out: str | Path,
    config: FinetuneConfig | None = None,
) -> Export:
    """Write a coreset as a folder that other trainers read, with configurations for them.

    Args:
        coreset: A folder that :func:`dealrec.prune` left, or a file of examples as for
            :func:`dealrec.pipeline.finetune`.
        format: A format that trainers read.
        out: The folder, which must not exist, or be empty. It appears whole or not at all.
        config: The fine-tuning that the configurations repeat; by default that of the run in the folder,
            or one with all defaults.

    Raises:
        InputError: ``unknown_format``, ``no_configurations``, ``not_empty``, ``invalid_coreset``.

    Examples:
        >>> examples = Path("examples.json")
        >>> texts = {"instruction": "Name the next film.", "input": "Alien", "output": "Dune"}
        >>> _ = examples.write_text(json.dumps([texts] * 10))
        >>> export(examples, format="prompt_completion", out="for-trl").files[-1]
        'trl.yaml'
        >>> with open("for-trl/train.jsonl") as lines:
        ...     json.loads(next(lines))["completion"]
        ' Dune'
    """
    source, target = Path(coreset).expanduser(), Path(out).expanduser()
    kind = _known(format)
    require_trainable(kind)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(
            f"{target} already exists. Give a folder that is new or empty.",
            code="not_empty",
            errors=[FieldError("out", "must be new or empty")],
        )
    with coreset_folder(source) as (folder, _), written_whole(target) as unfinished:
        unfinished.mkdir()
        settings = config or _settings(source)
        made = write_export(folder / MEMBERS, kind, settings, unfinished, title=source.name)
    return replace(made, folder=target)


def _known(format: str) -> CoresetFormat:  # noqa: A002
    try:
        return CoresetFormat(format)
    except ValueError:
        known = ", ".join(CoresetFormat)
        raise InputError(
            f"There is no format `{format}`. The formats are {known}.",
            code="unknown_format",
            errors=[FieldError("format", f"one of {known}")],
        ) from None


def _settings(coreset: Path) -> FinetuneConfig:
    """The fine-tuning of the run that left the folder ``coreset``, or the defaults."""
    config = coreset / "config.json"
    if not config.is_file():
        return FinetuneConfig()
    written = json.loads(config.read_text(encoding="utf-8"))
    return FinetuneConfig.parse(written.get("finetune") or {}, location="finetune")


def write_export(
    members: Path,
    format: CoresetFormat,  # noqa: A002
    config: FinetuneConfig,
    out: Path,
    *,
    title: str = "Coreset",
) -> Export:
    """Write the samples of a ``members.parquet`` into the empty folder ``out``, with configurations.

    The same arguments give the same bytes.

    Args:
        members: The members.
        format: A format that trainers read.
        config: The fine-tuning that the configurations repeat.
        out: The folder.
        title: The heading of its page.

    Raises:
        InputError: ``no_configurations`` for a format that trainers do not read.
    """
    require_trainable(format)
    rows, name = format, f"train{format.suffix}"
    if format.is_folder:
        rows, name = CoresetFormat.PROMPT_COMPLETION, _SHARD
    (out / name).parent.mkdir(exist_ok=True)
    if format.is_folder:
        _write_shard(members, out / name)
    else:
        with (out / name).open("wb") as file:
            write_format(members, format, file)
    samples = pq.read_metadata(members).num_rows
    trainers = Trainers(config, TrainingFile(name, rows, samples))
    for made, text in trainers.files():
        (out / made).write_text(text, encoding="utf-8")
    notes = tuple(trainers.notes())
    files = tuple(sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()))
    (out / README).write_text(page(title, format, samples, files, notes), encoding="utf-8")
    return Export(out, (README, *files), samples, notes)


def require_trainable(format: CoresetFormat) -> None:  # noqa: A002
    """Raise :class:`InputError` (``no_configurations``) for a format that trainers do not read."""
    if not format.for_training:
        known = ", ".join(f"`{one}`" for one in CoresetFormat if one.for_training)
        raise InputError(
            f"Other trainers do not read the format `{format}`, so there are no configurations for it. "
            f"They read {known}.",
            code="no_configurations",
            title="There are no configurations for this format",
            errors=[FieldError("format", f"one of {known}")],
        )


def zip_export(export: Export, path: Path) -> None:
    """Pack the files of an export; the same files give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(export.files):
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            with (export.folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 2**20)


def _write_shard(members: Path, path: Path) -> None:
    """Write what the members have but their texts, and these as a text and as turns."""
    with pq.ParquetFile(members) as file:
        kept = [field for field in file.schema_arrow if field.name not in TEXTS]
        schema = pa.schema([*kept, *_WORDS.items()])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for table in _shard_tables(file, schema):
                writer.write_table(table)


def _shard_tables(file: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.Table]:
    for batch in file.iter_batches(_ROWS):
        samples = [*samples_of(batch)]
        pairs = [pair_row(sample) for sample in samples]
        words = {
            "prompt": [pair["prompt"] for pair in pairs],
            "completion": [pair["completion"] for pair in pairs],
            "messages": [messages_row(sample)["messages"] for sample in samples],
        }
        columns = [
            pa.array(words[name], _WORDS[name]) if name in words else batch.column(name)
            for name in schema.names
        ]
        yield pa.table(columns, schema=schema)
