"""Reports the columns of files and the first rows as they were read."""

from collections.abc import Sequence

import pyarrow.compute as pc

from dealrec.data.catalogue import Catalogue
from dealrec.data.findings import ExampleRow, FileColumns
from dealrec.data.interactions import Interactions
from dealrec.data.times import date_of, unit_of

_ROWS = 5


def example_rows(raw: Interactions, catalogue: Catalogue | None) -> list[ExampleRow]:
    """The first interactions in the order of the file."""
    unit = None if raw.times is None else unit_of(raw.times)
    rows: list[ExampleRow] = []
    for at in range(min(_ROWS, len(raw.users))):
        item_id = raw.item_ids[int(raw.items[at])].as_py()
        place = -1 if catalogue is None else pc.index(catalogue.item_ids, item_id).as_py()
        rows.append(
            {
                "user_id": raw.user_ids[int(raw.users[at])].as_py(),
                "item_id": item_id,
                "title": None
                if catalogue is None or place < 0
                else catalogue.titles[place].as_py(),
                "time": None if raw.times is None else date_of(int(raw.times[at]), unit),
            }
        )
    return rows


def inspection_lines(files: Sequence[FileColumns], examples: Sequence[ExampleRow]) -> list[str]:
    """Say in plain words which columns the files have, which are read, and the rows as understood."""
    lines = []
    for file in files:
        lines.append(f"{file['file']} has the columns {', '.join(file['columns'])}")
        lines += [f"  {ours} is `{theirs}`" for ours, theirs in file["read"].items()]
    if examples:
        lines.append("the first interactions, as they were read:")
    for row in examples:
        title = f" “{row['title']}”" if row["title"] else ""
        time = f" at {row['time']}" if row["time"] else ""
        lines.append(f"  user {row['user_id']} took item {row['item_id']}{title}{time}")
    return lines
