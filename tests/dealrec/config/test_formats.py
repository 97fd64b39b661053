import pytest

from dealrec.config.formats import SEPARATORS, FileFormat
from dealrec.errors import InputError


@pytest.mark.parametrize("name", SEPARATORS)
def test_separators_may_be_named_or_written(name):
    written = FileFormat.parse({"separator": SEPARATORS[name]})
    assert FileFormat.parse({"separator": name}) == written


@pytest.mark.parametrize(
    "fields",
    [
        {"separator": '"'},
        {"separator": "\n"},
        {"separator": ""},
        {"separator": "three"},
        {"encoding": "klingon"},
        {"encoding": "hex"},
        {"encoding": "idna"},
        {"encoding": "\x00"},
        {"date_format": "%H:%M"},
        {"date_format": "%Q"},
        {"names": []},
        {"colour": "red"},
    ],
)
def test_what_describes_no_file_is_refused(fields):
    with pytest.raises(InputError) as refusal:
        FileFormat.parse(fields)
    assert refusal.value.code == "invalid_config"


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"separator": "three"}, "at most 2 characters"), ({"date_format": "dd.MM.yyyy"}, "%d/%m/%Y")],
)
def test_the_message_says_how_it_is_written(fields, told):
    with pytest.raises(InputError, match=told):
        FileFormat.parse(fields)


def test_lists_may_be_written_with_commas():
    asked = FileFormat.parse({"names": "user_id, item_id", "null_values": "NA,\\N"})
    assert asked.names == ("user_id", "item_id")
    assert asked.null_values == ("NA", "\\N")
    assert FileFormat.parse({"encoding": "latin1"}).encoding == "iso8859-1"
