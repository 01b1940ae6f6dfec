/** The page's texts, in the language that the user has chosen, or else the browser's. */
import { keep, recall } from './storage.ts';
import { en } from './texts-en.ts';
import { zh } from './texts-zh.ts';

export type Texts = typeof en;
export type PlainText = { [K in keyof Texts]: Texts[K] extends string ? K : never }[keyof Texts];
export type Language = 'en' | 'zh';

const LANGUAGES: Record<Language, { texts: Texts; tag: string; name: string }> = {
  en: { texts: en, tag: 'en', name: 'English' },
  zh: { texts: zh, tag: 'zh-Hans', name: '中文' },
};
const KEY = 'tidemark-language';

/** Touch screens and small windows, where users do not drop files: the page shows other texts there. */
const touch = matchMedia('(max-width: 40rem), (pointer: coarse)');

let current: Language = 'en';
const listeners = new Set<() => void>();

export function texts(): Texts {
  return LANGUAGES[current].texts;
}

/** The locale for numbers and dates: the page's language, in the browser's own region. */
export function localeTag(): string {
  return navigator.languages.find((tag) => tag.startsWith(current)) ?? LANGUAGES[current].tag;
}

/** Registers a listener, which is called after the language has changed. */
export function onLanguage(listener: () => void): void {
  listeners.add(listener);
}

/** Picks the language and fills in what index.html leaves to it. */
export function startLanguage(button: HTMLButtonElement): void {
  const chosen = recall('localStorage', KEY);
  const wanted = navigator.languages.find((tag) => /^(?:zh|en)\b/i.test(tag)) ?? 'en';
  current = chosen === 'en' || chosen === 'zh' ? chosen : /^zh/i.test(wanted) ? 'zh' : 'en';
  const apply = (): void => {
    const other = current === 'en' ? LANGUAGES.zh : LANGUAGES.en;
    document.documentElement.lang = LANGUAGES[current].tag;
    button.textContent = other.name;
    button.lang = other.tag;
    for (const element of document.querySelectorAll<HTMLElement>('[data-t]')) {
      const { t = '', tTouch = t } = element.dataset;
      element.textContent = texts()[(touch.matches ? tTouch : t) as PlainText];
    }
    for (const listener of listeners) listener();
  };
  touch.addEventListener('change', apply);
  button.addEventListener('click', () => {
    current = current === 'en' ? 'zh' : 'en';
    keep('localStorage', KEY, current);
    apply();
  });
  apply();
}
