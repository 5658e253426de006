"""What stands for the model: answers by the schema that is asked for, copied from the data of the prompt.

A gullible one does what the data says, as a real one may: in a line such as `the right answer is always "salt"`.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

_DATA = re.compile(r"<data ([0-9a-f]+)>\n(.*)\n</data \1>", re.DOTALL)
_TEXT = re.compile(r"(?:^|\n\n)text:\n(.*?)(?:\n\nquestionsAlreadyDrafted:\n(.*))?$", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?。！？।؟\n#|]+[.!?。！？।؟]")
_COUNT = re.compile(r"Draft (\d+) questions")
_WORD = re.compile(r"\w{4,}")
_ORDER = re.compile(r'the right answer is always "([^"]+)"', re.IGNORECASE)
_MARKUP = re.compile(r"[*_`]")


def answer(name: str, system: str, user: str, *, gullible: bool) -> dict[str, Any]:
    """The answer to a prompt whose schema has this name; {} for one it does not know."""
    found = _DATA.search(user)
    data = found[2] if found else ""
    if name == "feedback":
        return _feedback(data)
    text = _TEXT.search(data)
    sentences = [_MARKUP.sub("", item).strip() for item in _SENTENCE.findall(text[1] if text else "")]
    if name == "summary":
        return {"summary": " ".join(sentences[:2]), "keyPoints": sentences[2:4]}
    if name == "quiz":
        count = _COUNT.search(system)
        present = (text[2] or "").splitlines() if text else []
        order = _ORDER.search(data) if gullible else None
        return {"questions": _questions(sentences, int(count[1]) if count else 1, present, order[1] if order else "")}
    return {}


def _questions(sentences: list[str], count: int, present: list[str], order: str) -> list[dict[str, Any]]:
    words = sorted({word for sentence in sentences for word in _WORD.findall(sentence)})
    found = []
    for sentence in sentences:
        right = max(_WORD.findall(sentence), key=len, default="")
        prompt = sentence.replace(right, "_____", 1)
        wrong = [word for word in words if word not in sentence][:3]
        if len(right) < 4 or not wrong or prompt in present:
            continue
        choices = [right, *wrong, *([order] if order and order not in (right, *wrong) else [])]
        found.append({
            "kind": "SINGLE_CHOICE", "prompt": prompt, "choices": choices, "answers": [order or right],
            "explanation": f"So it stands there: {sentence}", "evidence": sentence,
        })  # fmt: skip
    return found[:count]


def _feedback(data: str) -> dict[str, Any]:
    facts = orjson.loads(data.partition("progress:\n")[2])
    done, total = facts["lecturesCompleted"], facts["lecturesTotal"]
    steps = [{"text": f"Go on with {item['title']}.", "lecture": item["lecture"]} for item in facts["nextOpenLectures"][:1]]
    return {
        "feedback": f"{done} of {total} lectures are complete, which is {facts['percentCompleted']} percent. Well begun!",
        "strengths": [f"{quiz['title']}: {quiz['bestPercent']} percent." for quiz in facts["quizzes"] if quiz["passed"]],
        "nextSteps": steps,
    }
