"""How the documentation looks, beside what all pages share."""

from __future__ import annotations

from http_gateway.pages.layout import STYLE, policy

DOCS_STYLE = (
    STYLE
    + """
:root { --get: #0b5c9e; --post: #0b6b3a; --put: #8a5a00; --patch: #6b3fa0; --delete: #a3231b; }
@media (prefers-color-scheme: dark) { :root { --get: #7cc0f5; --post: #6fdc9f; --put: #f3c567; --patch: #c9a7f5;
  --delete: #ff9d94; } }
main.wide { max-width: 84rem; }
.docs { display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 2rem; align-items: start; }
.docs nav { position: sticky; top: 0; max-height: 100vh; overflow-y: auto; padding: .5rem 0; }
.docs nav ul { list-style: none; margin: 0; padding: 0; }
.docs nav a { display: block; padding: .3rem .6rem; border-radius: .4rem; color: var(--ink); text-decoration: none; }
.docs nav a:hover { background: var(--paper); text-decoration: underline; }
.docs nav small { color: var(--soft); }
#filter, .trial input, .trial textarea { font: inherit; width: 100%; padding: .45rem .6rem; color: var(--ink);
  background: var(--paper); border: 1px solid var(--soft); border-radius: .4rem; }
.trial textarea { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .9em; min-height: 8rem; }
.trial label { display: block; margin: .4rem 0; color: var(--soft); } .trial label input { margin-top: .15rem; }
.trial button { font: inherit; padding: .45rem 1rem; border-radius: .4rem; border: 0; background: var(--link);
  color: var(--paper); cursor: pointer; }
section > h2 { font-size: 1.4rem; margin: 2.2rem 0 .3rem; } h3 { margin: 1.6rem 0 .4rem; } h4 { margin: 1.2rem 0 .3rem; }
.op { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem; margin: .45rem 0; }
.op > summary { padding: .55rem .8rem; cursor: pointer; overflow-wrap: anywhere; }
.op > div { padding: 0 1rem 1rem; border-top: 1px solid var(--line); scroll-margin-top: 4rem; }
.op .what { color: var(--soft); } .op[hidden], section[hidden] { display: none; }
.verb { display: inline-block; min-width: 4.2rem; font: 700 .8rem ui-monospace, Menlo, Consolas, monospace; }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); } .patch { color: var(--patch); }
.delete { color: var(--delete); } .path { font-weight: 600; } .must { color: var(--bad); }
pre { background: var(--back); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; overflow: auto;
  max-height: 28rem; } pre code { overflow-wrap: normal; }
th code { color: var(--ink); overflow-wrap: normal; white-space: nowrap; }
td small { color: var(--soft); } td { overflow-wrap: anywhere; min-width: 6rem; }
@media (max-width: 60rem) { .docs { grid-template-columns: minmax(0, 1fr); } .docs nav { position: static; max-height: none; }
  .docs nav ul { display: flex; flex-wrap: wrap; } }
"""
)
# The script is ours, and calls this service alone.
DOCS_POLICY = policy(DOCS_STYLE) + "; script-src 'self'; connect-src 'self'"
