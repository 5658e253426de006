"""The fonts certificates are set in: where they are, what they cover, and which of them draws a text.

A family is a list of fonts: the first is what the page is designed in, those behind it cover further scripts. Fonts are
read through HarfBuzz, which is imported inside the functions: only the processes that render pay for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

STANDARD_FONT_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".local/share/fonts",
    Path.home() / "Library/Fonts",
    Path("/Library/Fonts"),
    Path("/opt/homebrew/share/fonts"),
)
MAX_MORE_FONTS = 200  # of Noto's, for scripts the listed fonts lack
# Chinese and Japanese; Korean; Devanagari; Arabic, Hebrew and much else.
_SCRIPTS = ("DroidSansFallbackFull.ttf", "NanumMyeongjo.ttf", "Lohit-Devanagari.ttf", "DejaVuSans.ttf")
# P052 is a Palatino, Z003 a chancery hand; where they are not installed, DejaVu Serif stands in for both.
FAMILIES = {
    "roman": ("P052-Roman.otf", "DejaVuSerif.ttf", *_SCRIPTS),
    "bold": ("P052-Bold.otf", "DejaVuSerif-Bold.ttf", "DejaVuSans-Bold.ttf", "NanumMyeongjoBold.ttf", *_SCRIPTS),
    "italic": ("P052-Italic.otf", "DejaVuSerif.ttf", *_SCRIPTS),
    "hand": ("Z003-MediumItalic.otf", "DejaVuSerif.ttf", *_SCRIPTS),
}
REQUIRED = ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DroidSansFallbackFull.ttf")
FILES = tuple(dict.fromkeys(name for names in FAMILIES.values() for name in names))
SUFFIXES = (".ttf", ".otf")


class FontsMissing(RuntimeError):
    """Fonts the certificate needs are not on this machine; the text says how to get them."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One font file. `unicodes`: the code points it has glyphs for; `font`: HarfBuzz's, in units of `upem` an em."""

    name: str
    face: Any = field(repr=False)
    font: Any = field(repr=False)
    unicodes: frozenset[int] = field(repr=False)
    upem: int

    def draws(self, text: str) -> bool:
        """Whether it has a glyph for every character; those that show nothing need none."""
        return all(ord(char) in self.unicodes or is_invisible(char) for char in text)


class Typeface:
    """Families of faces by name, and how they fall back."""

    def __init__(self, families: dict[str, tuple[Face, ...]], more: Sequence[Path] = ()) -> None:
        """`more`: files to look through for characters no family has."""
        self._families = families
        self._more = tuple(more)

    def family(self, name: str) -> tuple[Face, ...]:
        """The faces of a family, the preferred first."""
        return self._families[name]

    def find_own(self, family: str, text: str) -> Face | None:
        """The first face that draws the whole text, of the two that are there for how they look."""
        return next((face for face in self._families[family][:2] if face.draws(text)), None)

    def find(self, family: str, text: str) -> Face | None:
        """The first face that draws the whole text."""
        for face in self._families[family]:
            if face.draws(text):
                return face
        if any(face.draws(text[:1]) for face in self._families[family]):
            return None  # it is only a mixture; nobody has a font for every one of those
        return next((face for face in map(load_face, self._more) if face.draws(text)), None)

    def draws(self, char: str) -> bool:
        """Whether some face has the character."""
        return self.find("roman", char) is not None


def is_invisible(char: str) -> bool:
    """Joiners and variation selectors: they steer how their neighbours look and show nothing themselves."""
    return char in "\u200c\u200d" or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


@cache
def load_face(path: Path) -> Face:
    """Reads a font file, once a process."""
    import uharfbuzz

    face = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path)))
    return Face(path.name, face, uharfbuzz.Font(face), frozenset(face.unicodes), face.upem)


@cache
def load_typeface(font_dir: Path | None = None) -> Typeface:
    """Finds and reads the fonts, once a process (about 50 ms). Raises FontsMissing."""
    found = find_fonts(font_dir)
    families = {
        name: tuple(load_face(found[file]) for file in dict.fromkeys(files) if file in found) for name, files in FAMILIES.items()
    }
    more = sorted(path for file, path in found.items() if file not in FILES)
    return Typeface(families, more[:MAX_MORE_FONTS])


def find_fonts(font_dir: Path | None = None) -> dict[str, Path]:
    """File names and where they are, in the given folder or the system's. Raises FontsMissing, naming files and packages."""
    folders = (font_dir,) if font_dir is not None else STANDARD_FONT_FOLDERS
    found: dict[str, Path] = {}
    for path in (path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*"))):
        if path.name in FILES or (path.name.startswith("Noto") and path.stem.endswith("-Regular") and path.suffix in SUFFIXES):
            found.setdefault(path.name, path)
    missing = [file for file in REQUIRED if file not in found]
    if missing:
        raise FontsMissing(
            f"certificates need the fonts {', '.join(missing)}, not found under {', '.join(map(str, folders))}: "
            "install the packages fonts-dejavu-core and fonts-droid-fallback, or name a folder that holds them"
        )
    return found
