"""Sentences and words of notes in many scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.assistant.extractive.notes import Kind, read_notes
from core.assistant.extractive.sentences import MAX_CHARS, gathered, read_sentences, split
from core.assistant.extractive.words import count, find_word, stems, words

SPLIT = [
    ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
    ("It costs 3.50 euros. Dr. Smith, e.g. J. S. Bach, agrees.", ["It costs 3.50 euros.", "Dr. Smith, e.g. J. S. Bach, agrees."]),
    ("Das gilt z. B. für Brot. Am 3. Tag riecht es.", ["Das gilt z. B. für Brot.", "Am 3. Tag riecht es."]),
    ("«Ja?» fragte er. »Nein!« Dann ging er.", ["«Ja?» fragte er.", "»Nein!«", "Dann ging er."]),
    ('He said "Stop." Then he left…', ['He said "Stop."', "Then he left…"]),
    ("¿Qué es? ¡Un pan!", ["¿Qué es?", "¡Un pan!"]),
    ("Это 3/6 = 1/2. Бросим, т. е. кинем. Да", ["Это 3/6 = 1/2.", "Бросим, т. е. кинем.", "Да"]),
    ("ما المعادلة؟ المعادلة ميزان. نعم", ["ما المعادلة؟", "المعادلة ميزان.", "نعم"]),
    ("यह नियम है। क़ानून नहीं॥ ठीक", ["यह नियम है।", "क़ानून नहीं॥", "ठीक"]),
    ("先找北斗七星。它像勺子！真的？是", ["先找北斗七星。", "它像勺子！", "真的？", "是"]),
    ("平均は「全員に配ったら？」を表す。別の問い。", ["平均は「全員に配ったら？」を表す。", "別の問い。"]),
    ("phrase : « elle croit que… ; elle sait. » Fin.", ["phrase : « elle croit que… ; elle sait. »", "Fin."]),
    ("...!?", []),
]


@pytest.mark.parametrize(("text", "sentences"), SPLIT, ids=[text[:20] for text, _ in SPLIT])
def test_splitting(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


@given(st.text(alphabet=st.sampled_from("aB1é.!?…。！؟।«»\"') \n中ब्अ,:"), max_size=200))
def test_nothing_but_space_and_marks_is_lost(text: str) -> None:
    found = split(text)
    assert "".join(words(" ".join(found))) == "".join(words(text))
    assert all(piece and piece in text and len(piece) <= MAX_CHARS for piece in found)


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    notes = read_notes(text)
    for item in read_sentences(notes.blocks):
        assert item.text in notes.plain
        assert all(term in item.text for term in item.terms)
        _ = item.length, item.denies, item.is_question, item.is_whole, item.leads_in, stems(item.text)
    assert "".join(words("".join(item.text for item in gathered(read_sentences(notes.blocks))))) == "".join(
        words("".join(item.text for item in read_sentences(notes.blocks)))
    )


MARKDOWN = """# Bread *and* time

**Yeast** makes [gas](https://example.com), which `lifts`
the *dough*. It sleeps.

- one **thing**,
- another.

| Kind | Flour |
|---|---|
| light | wheat |

```
code is no prose.
```

<b>html</b> ![image](x.png)
面向**北极星**，
右手边是东。
"""


def test_notes_are_read_without_their_markup() -> None:
    notes = read_notes(MARKDOWN)
    assert [(block.kind, block.text) for block in notes.blocks] == [
        (Kind.HEADING, "Bread and time"),
        (Kind.PARAGRAPH, "Yeast makes gas, which lifts the dough. It sleeps."),
        (Kind.ITEM, "one thing,"),
        (Kind.ITEM, "another."),
        *((Kind.CELL, text) for text in ("Kind", "Flour", "light", "wheat")),
        (Kind.PARAGRAPH, "html 面向北极星，右手边是东。"),
    ]
    assert notes.blocks[1].terms == ("Yeast", "dough", "lifts")
    assert notes.tables == ((("Kind", "Flour"), ("light", "wheat")),)
    assert notes.headings == "Bread and time"
    first, second, *_ = read_sentences(notes.blocks)
    assert (first.terms, first.first, first.alone) == (("Yeast", "dough", "lifts"), True, True)
    assert (second.terms, second.first, second.alone) == ((), False, False)


def test_a_list_and_what_leads_in_to_it_are_one() -> None:
    blocks = read_notes("Three things are needed:\n\n- flour,\n- water\n- salt.\n\nThat is all.").blocks
    assert [item.text for item in gathered(read_sentences(blocks))] == [
        "Three things are needed: flour, water; salt.",
        "That is all.",
    ]
    long = "It holds:\n\n" + "\n".join(f"- {'word ' * 20}{number}." for number in range(9))
    assert gathered(read_sentences(read_notes(long).blocks))[0].text == "It holds:"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Hello, world!", 2),
        ("it's a well-known l’eau", 4),
        ("你好，世界", 4),
        ("बचत और क़र्ज़", 3),
        ("معادلةٌ واحدة", 2),
        ("— 3,5 %", 2),
    ],
)
def test_counting_words(text: str, number: int) -> None:
    assert count(text) == number


def test_a_term_is_found_as_a_word_of_its_own() -> None:
    assert find_word("sorting and sort", "sort") == 12
    assert find_word("resorted", "sort") == -1
    assert find_word("n² and n", "n") == 7
    assert find_word("这是北极星的", "北极星") == 2


def test_forms_of_a_word_are_one() -> None:
    assert stems("Bakterien") == stems("die Bakterie")
    assert stems("вероятность") == stems("вероятности")
    assert stems("the and of") == stems("der und die") == set()
