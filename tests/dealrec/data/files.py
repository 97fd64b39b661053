"""One small table, written in every format that is read."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dealrec.config import DataOptions
from dealrec.data.ingest import IngestResult, ingest
from dealrec.data.limits import Limits

INTERACTIONS = {
    "user_id": ["001", "001", "ü", "001", "ü", "ü", "b c", "b c"],
    "item_id": ["10", "007", "10", "x,y", "007", "new", "10", "x,y"],
    "timestamp": ["30", "10", "5", "20", "6", "7.5", "100", "101"],
    "split": ["test", "train", "train", "train", "train", "valid", "train", "train"],
}
ITEMS = {
    "item_id": ["10", "007", "x,y", "unused"],
    "title": ["Ten", 'The "Seven"', "Comma, Inc.", "Never Seen"],
    "brand": ["", "Acme", "", "Ours"],
}
FORMATS = ("csv", "tsv", "jsonl", "parquet", "inter")
COMPRESSIONS = ("", ".gz", ".zst")


def write_table(table: dict[str, list[str]], layout: str) -> bytes:
    if layout == "jsonl":
        rows = zip(*table.values(), strict=True)
        lines = [json.dumps(dict(zip(table, row, strict=True))) for row in rows]
        return ("\n".join(lines) + "\n").encode()
    if layout == "inter":
        header = "\t".join(f"{name}:token" for name in table)
        lines = ["\t".join(row) for row in zip(*table.values(), strict=True)]
        return ("\n".join([header, *lines]) + "\n").encode()
    sink = pa.BufferOutputStream()
    if layout == "parquet":
        pq.write_table(pa.table(table), sink)
    else:
        options = pa_csv.WriteOptions(delimiter="\t" if layout == "tsv" else ",")
        pa_csv.write_csv(pa.table(table), sink, write_options=options)
    return sink.getvalue().to_pybytes()


def pack(content: bytes, compression: str) -> bytes:
    match compression:
        case ".gz":
            return gzip.compress(content)
        case ".zst":
            return pa.Codec("zstd").compress(content, asbytes=True)
        case _:
            return content


def ingest_bytes(
    folder: Path,
    interactions: bytes,
    items: bytes | None = None,
    *,
    name: str = "interactions.csv",
    items_name: str = "items.csv",
    limits: Limits | None = None,
    **options,
) -> IngestResult:
    """Ingest contents stored under names that say nothing, as the service stores them."""
    (folder / "stored-1").write_bytes(interactions)
    if items is not None:
        (folder / "stored-2").write_bytes(items)
    return ingest(
        folder / "stored-1",
        interactions_names=[name],
        items=None if items is None else folder / "stored-2",
        items_names=None if items is None else [items_name],
        out=folder / "out",
        limits=limits,
        options=DataOptions.parse({"allowed_rejected": 1.0, **options}, location="data"),
    )
