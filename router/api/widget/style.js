// How it looks.

const DARK = `--bg: #1d2027; --text: #e9ebf0; --muted: #a0a8b6; --line: #32363f; --hover: #272b33; --tint: #222a3a;
  --accent: var(--notification-accent, #7fabff); --shadow: 0 12px 36px rgb(0 0 0 / .55); color-scheme: dark;`;
const CSS = `
  :host { display: inline-block; position: relative; line-height: 1.45; text-align: start; }
  :host([hidden]) { display: none; }
  .root { --bg: #fff; --text: #1b1f27; --muted: #5d6675; --line: #e5e8ed; --hover: #f5f7fa; --tint: #f2f6ff;
    --accent: var(--notification-accent, #1f5fd6); --shadow: 0 12px 36px rgb(20 28 45 / .2); color-scheme: light; }
  @media (prefers-color-scheme: dark) { :host(:not([theme=light])) .root { ${DARK} } }
  :host([theme=dark]) .root { ${DARK} }
  * { box-sizing: border-box; }
  [hidden] { display: none !important; }
  button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
  svg { display: block; width: 100%; height: 100%; fill: none; stroke: currentColor; stroke-width: 1.8;
    stroke-linecap: round; stroke-linejoin: round; }
  .bell { position: relative; width: 2.5rem; height: 2.5rem; padding: .5rem; border-radius: 50%; }
  .bell:hover, .bell[aria-expanded=true] { background: color-mix(in srgb, currentColor 10%, transparent); }
  .badge { position: absolute; inset-block-start: 0; inset-inline-end: 0; min-width: 1.15rem; padding: 0 .3rem;
    border-radius: 1rem; font: 600 .6875rem/1.15rem system-ui, sans-serif; text-align: center; color: #fff;
    background: var(--notification-badge, #d1293d); }
  .panel { position: absolute; z-index: 1000; inset-block-start: calc(100% + .5rem); inset-inline-end: 0;
    display: flex; flex-direction: column; width: 24rem; max-width: calc(100vw - 1rem); max-height: min(var(--room, 32rem), 36rem);
    overflow: hidden; color: var(--text); background: var(--bg); border: 1px solid var(--line); border-radius: .75rem;
    box-shadow: var(--shadow); font-size: .9375rem; font-weight: 400; }
  .panel.flipped { inset-inline-end: auto; inset-inline-start: 0; }
  .panel.above { inset-block-start: auto; inset-block-end: calc(100% + .5rem); }
  .panel:focus { outline: none; }
  header { display: flex; align-items: center; gap: .5rem; min-height: 3.25rem; padding-block: .5rem; padding-inline: 1rem .5rem;
    border-block-end: 1px solid var(--line); }
  h2 { flex: 1; margin: 0; font-size: 1rem; font-weight: 650; }
  .action { padding: .375rem .625rem; border-radius: .5rem; font-size: .8125rem; font-weight: 550; color: var(--accent); }
  .action:hover, .tool:hover { background: var(--hover); }
  .action:disabled { opacity: .6; cursor: default; }
  .tool { flex: none; width: 1.875rem; height: 1.875rem; padding: .4375rem; border-radius: .5rem; color: var(--muted); }
  .tool:hover { color: var(--text); background: color-mix(in srgb, currentColor 10%, transparent); }
  .scroll { overflow-y: auto; overscroll-behavior: contain; min-height: 0; }
  ul.list { margin: 0; padding: 0; list-style: none; }
  .item { position: relative; padding-block: .75rem .5rem; padding-inline: 1.75rem 1rem; overflow-wrap: anywhere; cursor: pointer;
    border-block-end: 1px solid var(--line); }
  .item:hover { background: var(--hover); }
  .item.unread { background: var(--tint); }
  .item.unread::before { content: ''; position: absolute; inset-inline-start: .75rem; inset-block-start: 1.2rem; width: .5rem;
    height: .5rem; border-radius: 50%; background: var(--accent); }
  .item h3 { margin: 0; font-size: inherit; font-weight: 500; }
  .title { display: block; }
  .item.unread h3 { font-weight: 650; }
  .content { margin-block-start: .125rem; font-size: .875rem; color: var(--muted); overflow: hidden; display: -webkit-box;
    -webkit-box-orient: vertical; -webkit-line-clamp: 4; }
  .content:empty { display: none; }
  .item.opened .content { display: block; overflow-x: auto; color: var(--text); }
  .content > :first-child { margin-block-start: 0; }
  .content > :last-child { margin-block-end: 0; }
  .content :is(p, ul, ol, pre, blockquote, table) { margin-block: .375rem; }
  .content ul { list-style: disc; }
  .content :is(ul, ol) { padding-inline-start: 1.25rem; }
  .content blockquote { margin-inline: 0; padding-inline-start: .625rem; border-inline-start: 3px solid var(--line); }
  .content :is(code, pre) { font-size: .8125rem; background: color-mix(in srgb, currentColor 8%, transparent);
    border-radius: .25rem; padding: .0625rem .25rem; }
  .content pre { padding: .5rem; overflow-x: auto; }
  .content pre code { padding: 0; background: none; }
  .content table { border-collapse: collapse; }
  .content :is(td, th) { padding: .125rem .5rem; border: 1px solid var(--line); }
  .content .heading { font-weight: 650; }
  .content a, .link { color: var(--accent); }
  .foot { display: flex; align-items: center; margin-inline-end: -.5rem; }
  .meta { display: flex; flex: 1; gap: .75rem; min-width: 0; margin: 0; font-size: .8125rem; color: var(--muted); }
  time { flex: none; }
  .link { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 550; text-decoration: none; }
  .link:hover { text-decoration: underline; }
  @media (hover: hover) {
    .item .tool { opacity: 0; }
    .item:hover .tool, .item:focus-within .tool { opacity: 1; }
  }
  .notice { display: flex; align-items: center; gap: .5rem; margin: 0; padding: .75rem 1rem; font-size: .875rem;
    border-block-end: 1px solid var(--line); background: color-mix(in srgb, #d1293d 8%, var(--bg)); }
  .notice span { flex: 1; overflow-wrap: anywhere; }
  .nothing { padding: 2.5rem 1.5rem; text-align: center; color: var(--muted); }
  .nothing svg { width: 2.25rem; height: 2.25rem; margin: 0 auto .625rem; opacity: .5; stroke-width: 1.4; }
  .nothing strong { display: block; color: var(--text); font-weight: 600; }
  .more { display: block; width: 100%; padding: .75rem; font-size: .875rem; font-weight: 550; color: var(--accent); }
  .more:hover { background: var(--hover); }
  .quiet { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  .shut { display: none; }
  @media (max-width: 30rem) {
    .panel, .panel.flipped { position: fixed; inset-inline: .5rem; width: auto; inset-block-start: var(--top, 3.5rem); }
    .panel.above { inset-block: auto var(--bottom, 3.5rem); }
    .panel { max-height: var(--room, 32rem); }
    .shut { display: block; }
    .tool { width: 2.25rem; height: 2.25rem; padding: .5625rem; }
  }
  @media (prefers-reduced-motion: no-preference) {
    .panel { animation: appear .12s ease-out; }
    .item { transition: background-color .15s; }
    @keyframes appear { from { opacity: 0; transform: translateY(-.25rem); } }
  }`;

function styled(root) {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
  } catch {
    root.append(h('style', {}, CSS)); // A browser of before 2023.
  }
}
