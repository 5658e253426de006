"""Draws shaped text on a reportlab canvas, and puts the fonts it needs into the PDF: only the glyphs used, as a composite
font (ISO 32000-1, 9.7) whose character codes are glyph numbers.

Every glyph names the characters it stands for (ToUnicode, 9.10.3), and where one glyph is not one part of the text the
whole part does (ActualText, 14.9.4), so that what is copied or read aloud is what was typed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Any

from core.certificates.fonts import Face
from core.certificates.shaping import Cluster, Glyph

_CMAP = """/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
{ranges}
endcmap
CMapName currentdict /CMap defineresource pop
end
end"""


class EmbeddedFont:
    """One face in one document. reportlab asks it for its objects when the document ends."""

    def __init__(self, face: Face, name: str) -> None:
        self._face = face
        self.name = name
        self._texts: dict[int, str] = {}
        self._used: dict[int, float] = {}

    def use(self, glyph: Glyph) -> float:
        """Count a glyph as used; its own advance in ems, which the PDF states once for all its uses."""
        if glyph.number not in self._used:
            self._used[glyph.number] = self._face.font.get_glyph_h_advance(glyph.number) / self._face.upem
        return self._used[glyph.number]

    def stands_for(self, cluster: Cluster) -> bool:
        """Whether the cluster's glyphs, as far as they move the pen, alone tell its text."""
        for glyph in cluster.glyphs:
            own = next((char for char in cluster.text if self._face.font.get_nominal_glyph(ord(char)) == glyph.number), None)
            if own or len(cluster.glyphs) == 1:
                self._texts.setdefault(glyph.number, own or told(cluster))
        moving = [glyph.number for glyph in cluster.glyphs if glyph.advance]
        return len(moving) == 1 and self._texts.get(moving[0]) == told(cluster)

    def addObjects(self, doc: Any) -> None:
        """Write the font into the document. The name is reportlab's."""
        from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFStream, PDFString, PDFZCompress

        def add(value: Any, part: str) -> Any:
            return doc.Reference(value, f"{self.name}:{part}")

        base = PDFName(f"{self._tag()}+{self._face.name.rpartition('.')[0]}")
        program, key, subtype = self._program()
        stream = PDFStream(PDFDictionary({}), program, [PDFZCompress])
        if key == "FontFile3":
            stream.dictionary["Subtype"] = PDFName("CIDFontType0C")
        else:
            stream.dictionary["Length1"] = len(program)
        descriptor = PDFDictionary({"Type": PDFName("FontDescriptor"), "FontName": base, key: add(stream, "program")})
        descriptor.dict.update(self._metrics(PDFArray))
        system = PDFDictionary({"Registry": PDFString("Adobe"), "Ordering": PDFString("Identity"), "Supplement": 0})
        descendant = PDFDictionary(
            {
                "Type": PDFName("Font"), "Subtype": PDFName(subtype), "BaseFont": base, "CIDSystemInfo": system,
                "FontDescriptor": add(descriptor, "descriptor"), "DW": 1000, "W": PDFArray(self._widths(PDFArray)),
            }
        )  # fmt: skip
        if subtype == "CIDFontType2":
            descendant["CIDToGIDMap"] = PDFName("Identity")
        mapping = PDFStream(PDFDictionary({}), self._to_unicode().encode("ascii"), [PDFZCompress])
        font = PDFDictionary(
            {
                "Type": PDFName("Font"), "Subtype": PDFName("Type0"), "BaseFont": base, "Encoding": PDFName("Identity-H"),
                "DescendantFonts": PDFArray([add(descendant, "descendant")]), "ToUnicode": add(mapping, "unicode"),
            }
        )  # fmt: skip
        doc.idToObject["BasicFonts"].dict[self.name] = add(font, "font")

    def _tag(self) -> str:
        """Six letters that tell this subset from others (9.6.4)."""
        number = hash_of(sorted(self._used))
        return "".join(chr(65 + number // 26**place % 26) for place in range(6))

    def _program(self) -> tuple[bytes, str, str]:
        """The font's data with the glyphs used, and what a descriptor and a font call such data."""
        import uharfbuzz

        wanted = uharfbuzz.SubsetInput()
        wanted.sets(uharfbuzz.SubsetInputSets.GLYPH_INDEX).update(self._used)
        flags = uharfbuzz.SubsetFlags
        wanted.flags = flags.RETAIN_GIDS | flags.NO_HINTING | flags.NOTDEF_OUTLINE | flags.NO_LAYOUT_CLOSURE
        wanted.sets(uharfbuzz.SubsetInputSets.DROP_TABLE_TAG).update(map(_tag_number, ("GSUB", "GPOS", "GDEF", "MATH", "kern")))
        subset = uharfbuzz.subset(self._face.face, wanted)
        if "CFF " in subset.table_tags:
            return bytes(subset.reference_table("CFF ").data), "FontFile3", "CIDFontType0"
        return bytes(subset.blob.data), "FontFile2", "CIDFontType2"

    def _metrics(self, array: Any) -> dict[str, Any]:
        extents = self._face.font.get_font_extents("ltr")
        scale = 1000 / self._face.upem
        ascent, descent = round(extents.ascender * scale), round(extents.descender * scale)
        return {
            "Flags": 4, "FontBBox": array([-500, descent, 2000, ascent]), "ItalicAngle": 0, "Ascent": ascent,
            "Descent": descent, "CapHeight": round(ascent * 0.8), "StemV": 80,
        }  # fmt: skip

    def _widths(self, array: Any) -> list[Any]:
        return [item for number, width in sorted(self._used.items()) for item in (number, array([round(width * 1000, 3)]))]

    def _to_unicode(self) -> str:
        lines = [f"<{number:04X}> <{_utf16(text)}>" for number, text in sorted(self._texts.items())]
        parts = [lines[start : start + 100] for start in range(0, len(lines), 100)]
        ranges = "\n".join("\n".join((f"{len(part)} beginbfchar", *part, "endbfchar")) for part in parts)
        return _CMAP.format(ranges=ranges)


def hash_of(numbers: Sequence[int]) -> int:
    """The same number for the same numbers in every process."""
    value = 0
    for number in numbers:
        value = (value * 65599 + number) % 26**6
    return value


def _tag_number(tag: str) -> int:
    return int.from_bytes(tag.encode("ascii"), "big")


def _utf16(text: str) -> str:
    return text.encode("utf-16-be").hex().upper()


def told(cluster: Cluster) -> str:
    """The cluster's text as readers of the PDF expect it.

    In lines that run from right to left they read what stands there from the left and turn it round, letter by letter, so
    the parts of such a cluster come in that order; one character that is compatible with all of it (lam with alef) spares that.
    """
    text = cluster.text
    if not cluster.right_to_left or len(text) == 1:
        return text
    return _ligatures().get(text) or text[::-1]


@cache
def _ligatures() -> dict[str, str]:
    """Letters of Hebrew and Arabic that belong together, and the one character for them."""
    forms = [chr(code) for start, end in ((0xFB1D, 0xFB50), (0xFB50, 0xFDD0), (0xFE70, 0xFEFD)) for code in range(start, end)]
    return {whole: form for form in reversed(forms) if len(whole := unicodedata.normalize("NFKC", form)) > 1 and " " not in whole}


def draw_line(
    canvas: Any, clusters: Sequence[Cluster], x: float, y: float, size: float, colour: tuple[float, float, float], tracking: float
) -> None:
    """Draw a line that starts at x on the base line y, in points. `tracking`: space added after each letter, in ems.

    Marks are drawn after the letters, as nothing to be read: a letter's text is told with the letter.
    """
    code: list[str] = canvas._code
    red, green, blue = (f"{part:.3f}" for part in colour)
    code.append(f"BT {red} {green} {blue} rg 1 0 0 1 {x:.2f} {y:.2f} Tm")
    marks: list[str] = []
    pen = x
    for face, group in groupby(clusters, lambda cluster: cluster.face):
        font = _font_of(canvas, face)
        code.append(f"/{font.name} {size:g} Tf")
        for plain, alike in groupby(group, font.stands_for):
            for cluster in filter(lambda item: item.glyphs, alike):
                moving = [glyph for glyph in cluster.glyphs if glyph.advance]
                shown = _shown(font, moving, size, tracking)
                code.append(shown if plain else f"/Span <</ActualText <FEFF{_utf16(told(cluster))}>>> BDC\n{shown}\nEMC")
                marks += _marks(font, cluster, pen, y, size)
                pen += (cluster.width + tracking) * size
    if marks:
        code.append("/Span <</ActualText <FEFF>>> BDC\n" + "\n".join(marks) + "\nEMC")
    code.append("ET")


def _marks(font: EmbeddedFont, cluster: Cluster, pen: float, y: float, size: float) -> list[str]:
    """Operators that show the glyphs that don't move the pen, each where it belongs."""
    parts = []
    for glyph in cluster.glyphs:
        if not glyph.advance:
            font.use(glyph)
            place = f"1 0 0 1 {pen + glyph.dx * size:.3f} {y + glyph.dy * size:.3f} Tm"
            parts.append(f"/{font.name} {size:g} Tf {place} <{glyph.number:04X}> Tj")
        pen += glyph.advance * size
    return parts


def _shown(font: EmbeddedFont, glyphs: Sequence[Glyph], size: float, tracking: float) -> str:
    """Operators that show glyphs next to each other; numbers of TJ move the pen back by thousandths of an em."""
    code: list[str] = []
    pending = 0.0
    for height, level in groupby(glyphs, lambda glyph: glyph.dy):
        parts: list[str] = []
        for glyph in level:
            own = font.use(glyph)
            pending -= glyph.dx
            parts += [_moved(pending), f"<{glyph.number:04X}>"]
            pending = own - glyph.advance + glyph.dx
        shown = f"[{' '.join(filter(None, parts))}] TJ"
        code.append(f"{height * size:.3f} Ts {shown} 0 Ts" if height else shown)
    moved = _moved(pending - tracking)
    return "\n".join((*code, f"[{moved}] TJ") if moved else code)


def _moved(ems: float) -> str:
    return f"{ems * 1000:.0f}" if abs(ems) > 0.0005 else ""


def _font_of(canvas: Any, face: Face) -> EmbeddedFont:
    """The document's font of a face, made at its first use."""
    doc = canvas._doc
    fonts: dict[Face, EmbeddedFont] = doc.__dict__.setdefault("_shaped_fonts", {})
    if face not in fonts:
        fonts[face] = EmbeddedFont(face, f"S{len(fonts) + 1}")
        doc.delayedFonts.append(fonts[face])
    return fonts[face]
