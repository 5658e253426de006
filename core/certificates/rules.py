"""Certificate ids: "SF-", 26 random characters and a check character, all of Crockford's base32.

The check character comes from a Damm-like scheme over GF(2^5): the running value is added to (XOR) and multiplied by
the field's generator. Each character so has its own power of the generator as its weight, all different for the 27
places there are, hence every single wrong character and every swap of two characters, neighbours or not, is found.

Source: D. Crockford, "Base 32"; H. M. Damm, "Total anti-symmetrische Quasigruppen" (2004).
"""

from __future__ import annotations

from typing import Final

from contract.errors import Violation
from core.crockford import ALPHABET, random_characters, read
from core.errors import InvalidArgument

PREFIX: Final = "SF"
RANDOM_CHARACTERS: Final = 26

_VALUES = {character: value for value, character in enumerate(ALPHABET)}
# x^5 + x^2 + 1 is primitive: its root generates all 31 non-zero elements.
_POLYNOMIAL = 0b100101


def check_character(characters: str) -> str:
    """The check character of characters of the alphabet."""
    value = 0
    for character in characters:
        value = (value ^ _VALUES[character]) << 1
        if value & 32:
            value ^= _POLYNOMIAL
    return ALPHABET[value]


def new_certificate_id() -> str:
    """A new id with 130 random bits."""
    body = random_characters(RANDOM_CHARACTERS)
    return f"{PREFIX}-{body}{check_character(body)}"


def read_certificate_id(text: str) -> str:
    """The id somebody typed, in its one true spelling: any case, spaces and hyphens anywhere, O for 0, I and L for 1.

    Raises InvalidArgument (CERTIFICATE_ID_MALFORMED) when it cannot be an id, so that nothing needs to be looked up.
    """
    spelled = read(text)
    body = spelled.removeprefix(PREFIX)
    if (
        not spelled.startswith(PREFIX)
        or len(body) != RANDOM_CHARACTERS + 1
        or any(character not in _VALUES for character in body)
        or check_character(body[:-1]) != body[-1]
    ):
        raise InvalidArgument(
            "CERTIFICATE_ID_MALFORMED",
            "This is no certificate number. Check it for typing errors: it looks like SF- and 27 letters and digits.",
            violations=[Violation("certificateId", "certificate_id", "must be SF- and 27 characters that fit together")],
        )
    return f"{PREFIX}-{body}"


def is_certificate_id(text: str) -> bool:
    """Whether a text is an id in its one true spelling."""
    try:
        return read_certificate_id(text) == text
    except InvalidArgument:
        return False


def file_name(certificate_id: str) -> str:
    """What a downloaded certificate is called."""
    return f"certificate-{certificate_id}.pdf"
