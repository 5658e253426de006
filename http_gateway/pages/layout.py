"""What the pages share: the frame, the style and the policy that allows that style and nothing else."""

from __future__ import annotations

import base64
import hashlib
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #566072; --paper: #fff; --back: #f3f5f9; --line: #d9dfe8;
  --good: #0b6b3a; --good-back: #e6f6ec; --bad: #a3231b; --bad-back: #fdecea; --note: #8a5a00; --note-back: #fff5df;
  --link: #1a56c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf3; --soft: #a4afc0; --paper: #1a2130; --back: #10151f;
  --line: #303b4f; --good: #6fdc9f; --good-back: #12301f; --bad: #ff9d94; --bad-back: #3a1815; --note: #f3c567;
  --note-back: #33270d; --link: #8db8ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 2rem 1rem 3rem; }
main.wide { max-width: 64rem; }
.brand { font-weight: 700; letter-spacing: .02em; color: var(--soft); margin: 0 0 1rem; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: .75rem; padding: 1.5rem; margin: 0 0 1rem; }
.banner { display: flex; gap: .9rem; align-items: center; border-radius: .75rem; padding: 1rem 1.25rem; margin: 0 0 1rem; }
.banner h1 { font-size: 1.35rem; line-height: 1.25; margin: 0; } .banner p { margin: .2rem 0 0; }
.banner .mark { font-size: 2rem; line-height: 1; }
.good { background: var(--good-back); color: var(--good); } .bad { background: var(--bad-back); color: var(--bad); }
.note { background: var(--note-back); color: var(--note); }
dl { margin: 0; display: grid; grid-template-columns: minmax(8rem, 12rem) 1fr; gap: .6rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
@media (max-width: 32rem) { dl { grid-template-columns: 1fr; gap: .1rem; } dd { margin-bottom: .7rem; } }
code { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; font-size: .95em; overflow-wrap: anywhere; }
a { color: var(--link); } footer { color: var(--soft); font-size: .9rem; } h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
"""


def policy(style: str, *, form_action: str = "'none'") -> str:
    """The policy that allows a style sheet, and forms to be sent where `form_action` says."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"


CONTENT_SECURITY_POLICY = policy(STYLE)


def page(title: str, content: str, wide: bool = False, style: str = STYLE, script: str = "") -> str:
    """A whole page. `title` is text, `content` is HTML made of escaped values, `script` the address of a module."""
    module = f'<script type="module" src="{escape(script)}"></script>\n' if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(title)} – SkillForge</title>\n<style>{style}</style>\n{module}</head>\n<body>\n"
        f'<main{" class=wide" if wide else ""}>\n<p class="brand">SkillForge</p>\n{content}\n</main>\n</body>\n</html>\n'
    )


def banner(kind: str, mark: str, heading: str, sentence: str) -> str:
    """The coloured box that says how it is: `kind` is good, bad or note; `mark` a sign that repeats it."""
    return (
        f'<div class="banner {kind}" role="status"><span class="mark" aria-hidden="true">{mark}</span>'
        f"<div><h1>{escape(heading)}</h1><p>{escape(sentence)}</p></div></div>"
    )


def facts(rows: list[tuple[str, str]]) -> str:
    """A list of names and values; values left empty are left out."""
    lines = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows if value]
    return f"<dl>\n{chr(10).join(lines)}\n</dl>"
