/** How the pages of links look. They need no asset: they may be served by other processes than the page. */
import { Html } from './html.ts';

/** Of this source, no value is in it. */
export const SHARED_STYLE = new Html(`
:root { color-scheme: light dark; --back: #f5f7f8; --card: #fff; --line: #d5dde1; --text: #14232b; --soft: #51626c;
  --tide: #0b6a8a; --tide-text: #fff; --bad: #b3261e; font: 16px/1.45 system-ui, -apple-system, 'Segoe UI', Roboto,
  'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', sans-serif; }
@media (prefers-color-scheme: dark) { :root { --back: #0f1a20; --card: #17252d; --line: #31434d; --text: #e6eef2;
  --soft: #a5b6bf; --tide: #63c3e4; --tide-text: #06222d; --bad: #ffb4ab; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); }
header, main { max-width: 44rem; margin: 0 auto; padding: 1rem 1.25rem 0; }
header { display: flex; justify-content: space-between; align-items: baseline; }
main { padding-bottom: 2rem; }
p { margin: 0.25rem 0; }
.mark { font-weight: 700; color: var(--tide); }
a { color: var(--tide); }
header a { display: inline-flex; align-items: center; min-height: 2.75rem; }
h1 { font-size: 1.35rem; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.wrong { color: var(--bad); }
.files { list-style: none; margin: 1rem 0 0; padding: 0; }
.files li { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.8rem 1rem;
  margin-bottom: 0.6rem; }
.way { display: flex; flex-wrap: wrap; gap: 0 0.9rem; list-style: none; margin: 0; padding: 0; overflow-wrap: anywhere; }
.way a { display: inline-flex; align-items: center; min-height: 2.75rem; }
.md5 { margin-inline-start: 0.75rem; }
code { overflow-wrap: anywhere; font-size: 0.85rem; }
.button, button { display: inline-flex; align-items: center; min-height: 2.75rem; padding: 0.3rem 1rem; font: inherit;
  color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 0.5rem; text-decoration: none;
  cursor: pointer; }
.main, button { background: var(--tide); border-color: var(--tide); color: var(--tide-text); }
.row { display: flex; flex-wrap: wrap; gap: 0.5rem; }
input { flex: 1 1 12rem; min-width: 0; min-height: 2.75rem; padding: 0.3rem 0.7rem; font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--soft); border-radius: 0.5rem; }
:focus-visible { outline: 3px solid var(--tide); outline-offset: 2px; }
details { margin-top: 0.4rem; }
summary { cursor: pointer; padding: 0.6rem 0; }
img, video { display: block; max-width: 100%; max-height: 70vh; }
audio { width: 100%; }
iframe { width: 100%; height: 60vh; border: 1px solid var(--line);
  background: var(--card); }
`);
