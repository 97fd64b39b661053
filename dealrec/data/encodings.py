"""The encoding of text: read as UTF-8 unless its bytes say otherwise, or the person does."""

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

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
_WIDE = ("gb18030", "big5", "shift_jis", "euc_kr", "euc_jp")
_NARROW = (
    *("cp1252", "latin_1", "cp1250", "iso8859_2", "cp1254", "cp850", "cp852", "mac_roman"),
    *("cp1251", "koi8_r", "iso8859_5", "cp866", "cp1253", "iso8859_7", "cp1255", "cp1256", "cp874"),
)
"""The encodings with several bytes a letter and with one, that are told apart; of those that give the same
text the first one is named."""
_FOREIGN_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_ENOUGH_BYTES, _ENOUGH_LINES = 64 * 2**10, 20_000
_CLEAR = 0.02
"""How much more disorder the second-best encoding shows at least, if the best one is to be sure."""
_CENTRAL = re.compile(r"[³¹²¿¾¼½¶°±ìŸ£¥¨¯]\w|\w[³¹²¿¾¼½¶°±ìŸ£¥¨¯]")
"""How letters of Central Europe and Greek look where they are read as Western ones."""
_UMLAUTS_OF_DOS = frozenset("Ž™š")
"""How Ä, Ö and Ü look where the code pages of DOS are read as Western text."""
_SIGN_INSIDE = re.compile(r"[^\W\d_][^\w\s\x00-\x7f’‘·–—…•´®™‐‑\u0300-\u036f][^\W\d_]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_SIGNS = {"Sc", "Sm", "So"}
_MARKS_OF_TRADE = "®™©"
_AFTER = f"{_MARKS_OF_TRADE}°"
_NEVER_BEFORE, _NEVER_AFTER = "†‡§¶‰¹²³¼½¾", "‚„¿¡§¶†‡‰«"
"""Signs that stand right before, or after, no letter."""
_AT_HOME = re.compile(
    r"(?<!\w)“([^“”\n]*)”(?!\w)"  # quotes around words
    r"|(?<=[^\W\d_])’(?=(?:s|t|re|ve|ll|d|m)\b)"  # contractions
    r"|(?<=\s)[–—•](?=\s)|(?<=\d)[–—](?=\d)"
    r"|(?<=[A-Za-z\d)])[™®](?!\w)"
    r"|(?<!\w)[£€](?= ?\d)|(?<=\d)[£€](?!\w)|(?<=\d )€(?!\w)"
    r"|(?<=\d)°(?:[CF]\b|(?!\w))|(?<=\d)[½¼¾](?!\w)|(?<=\s)×(?=\s)",
    re.IGNORECASE,
)
"""Signs at the places where people write them in English, however few accented letters there are."""
_ANYWHERE = frozenset("\u00a0…‘’“”–—•™®©°€£½¼¾×²³µ±§«»")
"""Signs that a text may have in the encodings of Windows, though in others they are letters."""
_ODD = 0.1
"""The share of odd words from which on an encoding is none that the text may have."""
_SCRIPTS = (
    "LATIN",
    "CYRILLIC",
    "GREEK",
    "HANGUL",
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "HALFWIDTH",
    "HEBREW",
    "ARABIC",
    "THAI",
)
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
        if len(whole) < 8 or whole[text::2].count(0) or whole[nul::2].count(0) < len(whole) / 40:
            continue
        try:
            decoded = whole.decode(name)
        except UnicodeDecodeError as error:
            if error.start < len(whole) - 4:
                continue
            decoded = whole[: error.start].decode(name)
        if _is_written(decoded):
            return name
    return None


def _is_written(text: str) -> bool:
    """Whether a text has lines and cells, and hardly a character that nobody writes."""
    odd = sum(unicodedata.category(letter) in ("Cc", "Cn", "Co") for letter in text)
    ends = sum(map(text.count, "\n\r\t\x01"))
    return bool(ends) and (odd - ends) * 100 <= len(text)


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
        sample = bytes(self._sample)
        found: dict[str, tuple[float, str]] = {}  # the share of odd words and the name, by the text
        for text, odd, name in (*_narrow(sample), *_wide(sample)):
            if odd <= _ODD and not _mixes_scripts(text):
                found.setdefault(text, (odd, name))
        ranked = sorted(found.values(), key=lambda one: one[0])
        likely = [name for odd, name in ranked if odd <= ranked[0][0] + _CLEAR]
        japanese = next((text for text, (_, name) in found.items() if name == "euc_jp"), "")
        if len(_KANA.findall(japanese)) * 10 > len(japanese):
            return list(dict.fromkeys([*likely, "euc_jp"]))
        if "cp1252" in likely:
            return _not_western(sample.decode("cp1252"), likely) or ["cp1252"]
        return ["cp1252", *likely] if _may_be_signs(sample) else likely


def _not_western(text: str, likely: list[str]) -> list[str]:
    """The encodings that a text may have that is odd as a Western one; none if it is not odd."""
    foreign = {letter for letter in text if not letter.isascii()}
    if len(foreign) > 1 and foreign <= _UMLAUTS_OF_DOS:
        return ["cp1252", "cp850"]
    letters = Counter(text.lower())
    turkish, else_ = (sum(letters[letter] for letter in some) for some in ("ýðþ", "áæí"))
    if turkish and not else_:
        return ["cp1254", "cp1252"]
    if _CENTRAL.search(text) or (letters["õ"] and not letters["ã"]):
        return [name for name in likely if name in ("cp1252", "cp1250", "iso8859_2", "cp1253")]
    return []


def _may_be_signs(sample: bytes) -> bool:
    """Whether a text that is none of words in cp1252 may hold its signs, such as ’ or ™, and no letters."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    foreign = {letter for letter in text if not letter.isascii()}
    words = [word for word in text.split() if not word.isascii()]
    odd = sum(map(_is_odd, words)) + len(re.findall(r"[^\W\d_][–—][a-zß-ÿ]", text))
    return foreign <= _ANYWHERE and odd <= _ODD * max(len(words), 1)


def _narrow(sample: bytes) -> Iterator[tuple[str, float, str]]:
    """The texts that one byte a letter gives, the share of their odd words, and the encoding."""
    for name in _NARROW:
        try:
            text = sample.decode(name)
        except UnicodeDecodeError:
            continue
        words = [word for word in text.split() if not word.isascii()]
        if words and _is_dense_enough(text):
            yield text, sum(map(_is_odd, words)) / len(words), name


def _wide(sample: bytes) -> Iterator[tuple[str, float, str]]:
    """The same for several bytes a letter, with the disorder that the detector finds in each text."""
    from charset_normalizer import from_bytes

    for match in from_bytes(sample, cp_isolation=list(_WIDE), threshold=0.2):
        names = [name for name in _WIDE if _same(sample, name, str(match))]
        if names:
            yield str(match), match.chaos, names[0]


def _same(sample: bytes, encoding: str, text: str) -> bool:
    try:
        return sample.decode(encoding) == text
    except UnicodeDecodeError:
        return False


def _is_odd(word: str) -> bool:
    """Whether nobody writes such a word: a capital after a small letter, accented letters alone, …."""
    pairs = (pair for pair in pairwise(f" {word} ") if not "".join(pair).isascii())
    return (
        any(_is_odd_pair(*pair) for pair in pairs)
        or bool(_SIGN_INSIDE.search(word))
        or _is_all_accented(word)
    )


def _is_all_accented(word: str) -> bool:
    """Whether a Latin word has no letter without an accent, as Russian ones have that are read as Western."""
    letters = "".join(filter(str.isalpha, word))
    return (
        len(letters) > 2 and _scripts(letters) == {"LATIN"} and not any(map(str.isascii, letters))
    )


def _is_odd_pair(first: str, second: str) -> bool:
    if first.islower() and second.isupper():
        return True
    before, after = unicodedata.category(first), unicodedata.category(second)
    if "Cc" in (before, after) or "Cn" in (before, after):
        return True
    if after == "Mn":
        return before[0] not in "LM"
    if after[0] == "L":
        return first in _NEVER_BEFORE or (before in _SIGNS and first not in _MARKS_OF_TRADE)
    return before[0] == "L" and (
        second in _NEVER_AFTER or (after in _SIGNS and second not in _AFTER)
    )


def _is_dense_enough(text: str) -> bool:
    """Whether Latin letters beyond ASCII stand among ASCII ones; other letters may stand alone."""
    text = _AT_HOME.sub(lambda found: found[1] or "", text)
    foreign = [letter for letter in text if letter > "\x7f"]
    latin = sum(letter.isalpha() and _scripts(letter) == {"LATIN"} for letter in foreign)
    letters = sum(letter.isalpha() or unicodedata.category(letter) == "Mn" for letter in foreign)
    plain = sum(letter.isascii() and letter.isalpha() for letter in text)
    return latin < max(2 * plain, 1) and letters * 5 >= len(foreign) * 3


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
