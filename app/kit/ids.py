"""Ids with a prefix that names the kind and a part that sorts by time."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_LENGTH = 10
_RANDOM_LENGTH = 16


def new_id(prefix: str) -> str:
    """Make an id such as ``ds_01k…``: 48 bits of milliseconds and 80 random bits in Crockford's base 32.

    Later ids sort after earlier ones, to the millisecond.
    """
    milliseconds = time.time_ns() // 1_000_000
    return f"{prefix}_{_encode(milliseconds, _TIME_LENGTH)}{_encode(secrets.randbits(80), _RANDOM_LENGTH)}"


def _encode(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
