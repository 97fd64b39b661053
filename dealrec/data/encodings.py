"""The encoding of text: read as UTF-8 unless its bytes say otherwise, or the person does."""

import codecs
import re
import unicodedata
from collections.abc import Iterator

from dealrec.data.detection import UTF8_BOM, file_error

INVALID = "\x00\x05"
"""Stands in text for bytes that its encoding does not have; the row of a needed cell with it is rejected."""
_HANDLER = "dealrec.mark"
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    UTF8_BOM: "utf-8",
}
"""Byte order marks; that of UTF-32 begins with that of UTF-16, so it comes first."""
_CANDIDATES = (
    *("cp1252", "latin_1", "gb18030", "big5", "shift_jis", "euc_kr", "euc_jp"),
    *("cp1251", "koi8_r", "cp1250", "cp1253", "cp1254"),
)
"""The encodings that are told apart; of those that give the same text the first one is named."""
_FOREIGN_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_ENOUGH_BYTES, _ENOUGH_LINES = 64 * 2**10, 20_000
_CLEAR = 0.02
"""How much more disorder the second-best encoding shows at least, if the best one is to be sure."""
_NEAR_WESTERN = {"cp1250", "cp1253", "cp1254"}
_UNWESTERN = re.compile(r"[³¹²¿¾¼½¶°±ìŸ£¥¨¯]\w|\w[³¹²¿¾¼½¶°±ìŸ£¥¨¯]")
"""How letters of Central Europe, Greek and Turkish look where they are read as Western ones."""
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "HANGUL", "CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH")
_JAPANESE = {"CJK", "HIRAGANA", "KATAKANA"}


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return INVALID, error.end


codecs.register_error(_HANDLER, _mark)


def marked_encoding(head: bytes) -> str | None:
    """The encoding that the first bytes of a file state, or that the places of their NULs show."""
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    whole = head[: len(head) // 2 * 2]
    for name, text, nul in (("utf-16-le", 0, 1), ("utf-16-be", 1, 0)):
        if len(whole) < 8 or whole[text::2].count(0) or whole[nul::2].count(0) < len(whole) / 4:
            continue
        try:
            whole.decode(name)
        except UnicodeDecodeError as error:
            if error.start < len(whole) - 4:
                continue
        return name
    return None


class Decoder:
    """Turns the bytes of a text into UTF-8, and bytes that the encoding lacks into ``INVALID``."""

    def __init__(self, name: str, encoding: str) -> None:
        self._name, self._encoding = name, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(_HANDLER)

    def feed(self, chunk: bytes, *, final: bool = False) -> bytes:
        """The UTF-8 form of what is complete so far.

        Raises:
            InputError: ``invalid_encoding``.
        """
        try:
            return self._decoder.decode(chunk, final).encode("utf-8", "replace")
        except UnicodeError:  # such as a UTF-16 file without its mark
            raise file_error(
                self._name, "invalid_encoding", f"The text is not {self._encoding}."
            ) from None


class Survey:
    """Looks at the lines of a text that are not ASCII, and says in which encoding they are."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.valid = self.invalid = 0
        """The numbers of lines that are UTF-8, and that are not."""
        self.first_line = 1
        """The first line that is not UTF-8."""
        self._first = 0
        self._sample = bytearray()
        for chunk in chunks:
            known = self.invalid
            if not chunk.isascii():
                self._look(chunk)
            if not known:
                end = self._first if self.invalid else len(chunk)
                self.first_line += chunk.count(b"\n", 0, end)
            if len(self._sample) > _ENOUGH_BYTES or self.valid + self.invalid > _ENOUGH_LINES:
                break

    def _look(self, chunk: bytes) -> None:
        for match in _FOREIGN_LINE.finditer(chunk):
            line = match[0]
            try:
                line.decode()
                self.valid += 1
            except UnicodeDecodeError:
                self._first = match.start() if not self.invalid else self._first
                self.invalid += 1
                self._sample += line[:2048] + b"\n"

    def encodings(self) -> list[str]:
        """The encodings that the text may have: one where there is no doubt, none for damaged UTF-8."""
        if self.invalid <= self.valid or not self.invalid:
            return []
        from charset_normalizer import from_bytes

        sample = bytes(self._sample)
        found: dict[str, tuple[float, str]] = {}  # the disorder and the name, by the text
        for match in from_bytes(sample, cp_isolation=list(_CANDIDATES), threshold=0.2):
            names = [name for name in _CANDIDATES if _same(sample, name, str(match))]
            if names and not _mixes_scripts(str(match)):
                found.setdefault(str(match), (match.chaos, names[0]))
        western = sample.decode("cp1252", "replace")
        if "\ufffd" not in western and not _mixes_scripts(western) and _is_western(western):
            found.setdefault(western, (0.0, "cp1252"))
        ranked = sorted(found.values())
        likely = [name for chaos, name in ranked if chaos <= ranked[0][0] + _CLEAR]
        if "cp1252" in likely and not _UNWESTERN.search(western):
            return [name for name in likely if name not in _NEAR_WESTERN]
        return likely


def _same(sample: bytes, encoding: str, text: str) -> bool:
    try:
        return sample.decode(encoding) == text
    except UnicodeDecodeError:
        return False


def _is_western(text: str) -> bool:
    """Whether the letters beyond ASCII are sparse and stand in words of ASCII letters."""
    foreign = sum(character > "\x7f" for character in text)
    letters = sum(character.isalpha() for character in text if character > "\x7f")
    plain = sum(character.isascii() and character.isalpha() for character in text)
    return foreign * 2 < plain and letters * 5 >= foreign * 3


def _mixes_scripts(text: str) -> bool:
    """Whether more than a tenth of the words beyond ASCII mix letters of different scripts."""
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    mixed = sum(
        len(scripts) > 1 and scripts - _JAPANESE != set() for scripts in map(_scripts, words)
    )
    return mixed * 10 > len(words)


def _scripts(word: str) -> set[str]:
    names = {unicodedata.name(letter, "?").partition(" ")[0].partition("-")[0] for letter in word}
    return names & set(_SCRIPTS)
