"""How the certificate pages look, beyond what all pages share."""

from http_gateway.pages.layout import STYLE

CERTIFICATE_STYLE = (
    STYLE
    + """
.state { display: flex; gap: 1rem; align-items: center; border-radius: .9rem; padding: 1.1rem 1.25rem; margin: 0 0 1.1rem;
  border: 1px solid; }
.state h1 { font-size: 1.4rem; line-height: 1.25; margin: 0; text-wrap: balance; } .state p { margin: .25rem 0 0; }
.state svg { flex: none; width: 2.75rem; height: 2.75rem; } .state.good, .state.bad, .state.note { border-color: currentColor; }
.brand { display: flex; gap: .55rem; align-items: center; } .brand::before { content: ""; width: .8rem; height: .8rem;
  border-radius: .2rem; background: var(--link); transform: rotate(45deg); }
.diploma { text-align: center; padding: 2.25rem 1.5rem 1.75rem; position: relative; overflow: hidden; }
.diploma::before { content: ""; position: absolute; inset: .55rem; border: 1px solid var(--line); border-radius: .5rem;
  pointer-events: none; }
.diploma p { margin: 0; color: var(--soft); } .diploma .name, .diploma .title { color: var(--ink); overflow-wrap: anywhere;
  text-wrap: balance; font-family: Georgia, "Times New Roman", "Noto Serif", serif; }
.diploma .name { font-size: clamp(1.6rem, 6vw, 2.3rem); line-height: 1.25; margin: .5rem 0 .9rem; }
.diploma .title { font-size: clamp(1.15rem, 4vw, 1.45rem); line-height: 1.3; margin: .4rem 0 1rem; font-weight: 600; }
.diploma .rule { width: 4rem; height: 2px; background: var(--link); border: 0; margin: 0 auto 1rem; opacity: .7; }
.diploma.void .name, .diploma.void .title { color: var(--soft); }
.diploma .stamp { width: fit-content; margin: .1rem auto 1.2rem; padding: .15rem .9rem; border: 2px solid; border-radius: .4rem;
  color: var(--bad); font-weight: 700; letter-spacing: .14em; text-transform: uppercase; transform: rotate(-3deg); }
.card h1 { font-size: 1.4rem; line-height: 1.25; margin: 0; }
.number { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; font-size: .95em; overflow-wrap: anywhere; }
.fine { color: var(--soft); font-size: .92rem; margin: .75rem 0 0; }
form { display: grid; gap: .75rem; margin: 0; } label { font-weight: 600; display: block; margin: 0 0 .3rem; }
input { font: inherit; color: inherit; width: 100%; padding: .6rem .7rem; background: var(--back); border: 1px solid var(--soft);
  border-radius: .5rem; } input[type=file] { border-style: dashed; }
input[type=file]::file-selector-button { font: inherit; color: var(--ink); background: var(--paper); padding: .25rem .7rem;
  border: 1px solid var(--soft); border-radius: .4rem; margin-right: .75rem; }
button, a.button { font: inherit; font-weight: 600; color: #fff; background: #1a56c4; border: 0; border-radius: .5rem;
  padding: .65rem 1.2rem; cursor: pointer; text-decoration: none; display: inline-block; justify-self: start;
  min-height: 2.75rem; }
button:hover, a.button:hover { background: #123f94; } :focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.more { margin: 1rem 0 0; }
@media (max-width: 32rem) { .state { align-items: flex-start; padding: 1rem; } .card { padding: 1.15rem; }
  .diploma { padding: 1.9rem 1.25rem 1.4rem; } button, a.button { width: 100%; text-align: center; } }
@media print { .upload, .brand::before { display: none; } }
"""
)
