"""The console's one page: what it loads, and the policy that allows nothing else. Its scripts make all that is seen."""

from __future__ import annotations

from html import escape

from http_gateway.static_files import CONSOLE, StaticFiles

# Instructors' videos and pictures come from anywhere over https; all else from here.
CONSOLE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' https: data: blob:; "
    "media-src 'self' https: blob:; manifest-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_START, _THEME = f"{CONSOLE}/app.js", f"{CONSOLE}/theme.js"
_STYLES = ("console.css", "console-parts.css", "console-learn.css", "console-talk.css", "console-work.css")
_DEVELOPMENT = '<meta name="development-issuer" content="/dev/personas">\n'


def console_page(files: StaticFiles, *, development: bool) -> str:
    """The page as HTML. `development`: this service also answers for the development issuer."""
    at = f"/static/{files.version}"
    # Modules name each other only once they are there: told ahead, all come at once.
    ahead = "".join(
        f'<link rel="modulepreload" href="{at}/{escape(name)}">\n' for name in files.modules(_START) if name != _START
    )
    styles = "".join(f'<link rel="stylesheet" href="{at}/{CONSOLE}/{name}">\n' for name in _STYLES)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="description" content="Courses, exams and certificates that prove themselves.">\n'
        f"{_DEVELOPMENT if development else ''}<title>SkillForge</title>\n"
        f'<link rel="icon" href="{at}/{CONSOLE}/icon.svg" type="image/svg+xml">\n'
        f'<script src="{at}/{_THEME}"></script>\n{styles}'
        f'<script type="module" src="{at}/{_START}"></script>\n{ahead}</head>\n<body>\n'
        '<div id="app"><noscript><p class="boot">This console is a script: please allow it, or use the '
        '<a href="/docs">REST interface</a>.</p></noscript></div>\n'
        '<div id="live" class="unseen" role="status"></div>\n</body>\n</html>\n'
    )
