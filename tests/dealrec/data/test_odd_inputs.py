"""Inputs that once were read wrongly without a word, or refused without a way out."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dealrec.config.data import AS_THEY_ARE
from dealrec.data.encodings import Survey
from dealrec.data.findings import validation_lines
from dealrec.data.ingest import ingest
from dealrec.errors import InputError
from dealrec.sources import source_files
from tests.dealrec.data.files import ingest_bytes
from tests.dealrec.data.test_formats import sequences

ROWS = [
    (f"u{user}", str(100 + item), 1_600_000_000 + 7 * user + item)
    for user in range(3)
    for item in range(4)
]
EXPECTED = {f"u{user}": [str(100 + item) for item in range(4)] for user in range(3)}
NAMES = "user_id", "item_id", "timestamp"


def lines(form: str, *, rows=ROWS) -> str:
    return "".join(form.format(*row) + "\n" for row in rows)


RULE = "+---------+---------+------------+\n"
TABLES = {
    "drawn by psql": " user_id | item_id | timestamp \n---------+---------+-----------\n"
    + lines(" {:7} | {:7} | {}"),
    "drawn by mysql": f"{RULE}| user_id | item_id | timestamp  |\n{RULE}"
    + lines("| {:7} | {:7} | {} |"),
    "drawn in Markdown": "| user_id | item_id | timestamp |\n|---|---|---|\n"
    + lines("| {} | {} | {} |"),
    "below the words of a report": "Export of 2021-01-01\nAll shops\n\nuser_id,item_id,timestamp\n"
    + lines("{},{},{}"),
    "with a separator at the end of rows alone": "user_id,item_id,timestamp\n" + lines("{},{},{},"),
    "numbered by R": '"user_id" "item_id" "timestamp"\n'
    + "".join(f'"{at}" "{u}" "{i}" {t}\n' for at, (u, i, t) in enumerate(ROWS, 1)),
    "with spaces between thousands": "user_id;item_id;timestamp\n"
    + "".join(f"{u};{i};{t:,}\n".replace(",", " ") for u, i, t in ROWS),
    "with days as spreadsheets count them": "user_id,item_id,timestamp\n"
    + "".join(f"{u},{i},{t / 86_400 + 25_569:.6f}\n" for u, i, t in ROWS),
    "with dates of .NET": "".join(
        json.dumps(dict(zip(NAMES, (u, i, f"/Date({t}000)/"), strict=True))) + "\n"
        for u, i, t in ROWS
    ),
    "with whole JSON numbers as fractions": "".join(
        f'{{"user_id": "{u}", "item_id": {i}{".0" if t % 2 else ""}, "timestamp": {t}}}\n'
        for u, i, t in ROWS
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_as_it_was_meant(tmp_path, name):
    result = ingest_bytes(tmp_path, TABLES[name].encode(), name="i.txt", split="leave_one_out")
    assert sequences(result.dataset) == EXPECTED
    assert result.report["accepted_rows"] == len(ROWS)
    assert result.dataset.times is not None
    assert np.abs(result.dataset.times - sorted(t for *_, t in ROWS[:4])[0]).max() < 100


HISTORIES = {
    "{items[0]} -> {items[1]} -> {items[2]} -> {items[3]}": True,
    "[{items[0]} {items[1]}\n {items[2]} {items[3]}]": True,
    "array(['{items[0]}', '{items[1]}', '{items[2]}', '{items[3]}'], dtype=object)": True,
    "[{items[0]} ... {items[3]}]": False,
}


@pytest.mark.parametrize("form", HISTORIES)
def test_printed_lists_are_read_whole_or_not_at_all(tmp_path, form):
    cells = (f'{user},"{form.format(items=items)}"\n' for user, items in EXPECTED.items())
    content = ("user_id,history\n" + "".join(cells)).encode()
    if HISTORIES[form]:
        assert sequences(ingest_bytes(tmp_path, content).dataset) == EXPECTED
        return
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, content)
    assert refusal.value.code == "cut_list"


def test_one_list_of_another_length_does_not_hide_the_others(tmp_path):
    rows = [f"u{user},a|b|c|d,{'1|2|3|4' if user else '1|2'}\n" for user in range(20)]
    content = "user_id,item_ids,timestamps\n" + "".join(rows)
    report = ingest_bytes(tmp_path, content.encode(), split="leave_one_out").report
    assert [found["reason"] for found in report["reasons"]] == ["unequal_lists"]
    assert report["accepted_rows"] == 76


REFUSALS = {
    "another separator": (lines("{}^{}^{}"), "data.format.separator=^"),
    "quoted lines": ('"user_id,item_id,timestamp"\n' + lines('"{},{},{}"'), "sed "),
    "several items in an id": (
        "user_id,item_id,position\nu,a|b|c,1\nv,b|c|d,1\n",
        "data.format.list_separator=pipe",
    ),
    "a NUL byte": (
        "user_id,item_id,timestamp\n" + lines("{},{},{}") * 9 + "a,b\0,5\n",
        ":110: There",
    ),
    "a column without values": (
        "".join(f'{{"user_id": "u", "item_id": "{at}", "timestamp": null}}\n' for at in range(9)),
        "`--column timestamp=NAME`, or use the order of the rows with `--set data.format.order=file`",
    ),
    "a pointer of Git LFS": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "`git lfs pull`.",
    ),
    "a RAR archive": ("Rar!\x1a\x07\x00" + "\0" * 60, "give the table inside."),
    "a layout without times": (
        "user_id,book_id,is_read,rating,is_reviewed\n" + "1,2,1,5,0\n" * 3,
        "`--set data.layout=goodreads`",
    ),
    "an object of users": (
        json.dumps({u: [{"item_id": "a", "timestamp": 5}] for u in ("u1", "u2")}),
        "to_entries[]",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_what_helps(tmp_path, name):
    content, told = REFUSALS[name]
    with pytest.raises(InputError) as refusal:
        ingest_bytes(tmp_path, content.encode())
    assert told in str(refusal.value)


TITLES = {
    "Müller Größe und Straße für Übung": "cp1252 cp850 mac_roman",
    "GRÜN SCHÖN SPÄT": "cp1252 cp850 cp437",
    "Café crème garçon déjà vu": "cp1252 cp850 mac_roman",
    "Příliš žluťoučký kůň úpěl ďábelské ódy": "cp1250 iso8859_2 cp852",
    "Zażółć gęślą jaźń": "cp1250 iso8859_2 cp852",
    "Szerelmes őz tűz és víz": "cp1250 cp852",
    "Война и мир часть": "cp1251 koi8_r iso8859_5 cp866 utf-16-le",
    "Türkçe başlık şiir": "cp1254",
    "Ελληνικός τίτλος Άνθρωπος": "cp1253 iso8859_7",
    "כותרת הסרט": "cp1255",
    "عنوان الفيلم العربية": "cp1256",
    "ชื่อภาพยนตร์ ไทย": "cp874",
    "三国演义 中文标题": "gb18030 utf-16-le utf-16-be",
    "進撃の巨人 カタカナ": "shift_jis euc_jp",
    "Don’t stop": "cp1252",
    "The “Best” – Live": "cp1252 mac_roman",
    "LEGO® City™": "cp1252",
    "Lamp 45° for 5 €": "cp1252",
    "What now… • part": "cp1252",
    "Brother (Брат)": "cp1251 koi8_r iso8859_5 cp866",
    "Movie (Ελληνικός)": "cp1253 iso8859_7",
}


@pytest.mark.parametrize("title", TITLES)
def test_an_encoding_is_found_or_asked_for_but_never_another_one_in_silence(tmp_path, title):
    rows = "user_id,item_id,position\n" + "".join(f"u,{at},{at}\n" for at in range(12))
    items = "item_id,title\n" + "".join(f"{at},{title} {at}\n" for at in range(12))
    for encoding in TITLES[title].split():
        try:
            found = ingest_bytes(
                tmp_path, rows.encode(), items.encode(encoding), split="leave_one_out"
            )
        except InputError as refusal:
            assert refusal.code == "invalid_encoding"
            possible = Survey(iter([items.encode(encoding)])).encodings()
            assert any(items.encode(encoding).decode(name) == items for name in possible)
        else:
            assert set(found.dataset.titles.to_pylist()) == {f"{title} {at}" for at in range(12)}


def test_a_separator_that_is_no_printable_character_may_be_given(tmp_path):
    content = "\x1f".join(NAMES) + "\n" + lines("{}\x1f{}\x1f{}")
    result = ingest_bytes(tmp_path, content.encode(), format={"separator": "\x1f"})
    assert sequences(result.dataset) == EXPECTED


def test_a_name_that_no_column_has_is_refused_with_the_option_that_gives_another(tmp_path):
    content = ",".join(NAMES) + "\n" + lines("{},{},{}")
    with pytest.raises(InputError, match=r"columns are: user_id, .*`--column user_id=NAME`"):
        ingest_bytes(tmp_path, content.encode(), columns={"user_id": "who"})


@pytest.mark.parametrize("header", ["", "id,name\n"])
def test_names_for_lines_of_words_cost_no_row_and_a_header_is_told_of(tmp_path, header):
    rows = "user_id,item_id,position\n" + "".join(
        f"{user},{item},{at}\n"
        for user in "uv"
        for at, item in enumerate(("red", "green", "blue", "red"))
    )
    items = f"{header}red,Rose\ngreen,Grass\nblue,Sky\n".encode()
    result = ingest_bytes(
        tmp_path, rows.encode(), items, item_format={"names": ["item_id", "title"]}
    )
    assert sorted(result.dataset.titles.to_pylist()) == ["Grass", "Rose", "Sky"]
    told = result.report["read"][1]["said"][0]
    assert ("whose names were replaced" if header else "there is no header") in told


def test_a_first_line_that_may_be_no_header_is_refused_with_the_names_to_give(tmp_path):
    rows = "user_id,item_id,position\nu,red,1\nu,green,2\nu,red,3\nu,green,4\n"
    with pytest.raises(InputError, match=r"no header, .*data\.item_format\.names=item_id,title"):
        ingest_bytes(tmp_path, rows.encode(), b"red,Rose\ngreen,Grass\n")


def test_columns_without_a_name_are_told_of_by_words(tmp_path):
    content = ",user_id,item_id,timestamp,\n" + lines("0,{},{},{},")
    told = validation_lines(ingest_bytes(tmp_path, content.encode()).report)
    assert "not used: (without a name), (without a name)" in " ".join(told)


WRITTEN_TWICE = {
    "a fraction": ("101", "101.0", "normalise_ids"),
    "a space": ("101", "101 ", "normalise_ids"),
    "zeros": ("7", "007", "as text"),
    "two forms of a letter": ("\u00e9tude", "e\u0301tude", "one form"),
    "wide letters": ("ABC", "\uff21\uff22\uff23", "one form"),
}


@pytest.mark.parametrize("name", WRITTEN_TWICE)
def test_an_id_in_two_forms_is_told_of(tmp_path, name):
    one, other, way = WRITTEN_TWICE[name]
    content = f"user_id,item_id,position\nu,{one},1\nu,b,2\nv,{other},1\nv,b,2\n"
    report = ingest_bytes(tmp_path, content.encode()).report
    (told,) = [w for w in report["warnings"] if w["code"] == "ids_written_twice"]
    assert told["count"] == 2
    assert way in told["message"]


def test_ids_written_as_formulas_meet_after_mending(tmp_path):
    content = b'user_id,item_id,position\nu,="007",1\nu,="008",2\n'
    result = ingest_bytes(tmp_path, content, b"item_id,title\n007,A\n008,B\n", normalise_ids=True)
    assert result.dataset.titles.to_pylist() == ["A", "B"]


def test_times_of_32_bits_are_told_of_and_days_are_not(tmp_path):
    users, items, times = zip(*ROWS, strict=True)
    table = {"user_id": users, "item_id": items}
    for values, told in (
        (pa.array([time * 3.0 % 2e9 for time in times], pa.float32()), True),
        (pa.array([86_400 * at for at in range(18_000, 18_000 + len(times))]), False),
    ):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({**table, "timestamp": values}), sink)
        report = ingest_bytes(tmp_path, sink.getvalue().to_pybytes()).report
        assert ("rounded_times" in [w["code"] for w in report["warnings"]]) == told


def test_a_partition_without_a_value_is_no_user(tmp_path):
    for user in ("u", "v", "__HIVE_DEFAULT_PARTITION__"):
        folder = tmp_path / "events" / f"user_id={user}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("item_id,position\na,1\nb,2\n")
    with pytest.raises(InputError) as refusal:
        ingest(tmp_path / "events", out=tmp_path / "out")
    assert "2 empty_user_id" in str(refusal.value)


def test_the_name_of_a_file_is_not_empty():
    with pytest.raises(InputError) as refusal, source_files("", None, AS_THEY_ARE):
        pass
    assert refusal.value.code == "no_such_file"
