/** What the page of a link says, in the reader's language: as its switch says, or else as the browser asks for it. */
import type { LinkErrorCode } from '../links/errors.ts';
import { param } from './query.ts';
import type { Ctx } from './state.ts';

type Language = 'en' | 'zh';
/** Refusals that only owners get are not among those of the page, nor those of uploads, which protocols get. */
type VisitorsCode = Exclude<
  LinkErrorCode,
  | 'too_many_links'
  | 'link_closed'
  | 'link_sent'
  | 'link_files_used'
  | 'link_bytes_used'
  | 'link_file_too_large'
  | 'link_type_refused'
>;

const en = {
  tag: 'en',
  other: '中文',
  otherTag: 'zh-Hans',
  otherLanguage: 'zh' as Language,
  oneFile: 'A file for you',
  someFiles: 'Files for you',
  total: (files: string, size: string, isOne: boolean) => `${files} ${isOne ? 'file' : 'files'}, ${size}.`,
  openFolder: 'Open folder',
  openFolderOf: (name: string) => `Open folder ${name}`,
  way: 'Way to this folder',
  back: 'All that the link has',
  more: 'Show more',
  expires: (when: string) => `The link works until ${when}.`,
  sendFiles: 'Send files',
  sendBy:
    'The command tidemark sends files by this address, and so does any client of tus or Resumable Uploads for HTTP:',
  filesLeft: (count: number) => (count === 1 ? 'It takes one more file.' : `It takes ${count} more files.`),
  bytesLeft: (size: string) => `It takes ${size} more.`,
  mostOfOne: (size: string) => `A file may have ${size}.`,
  types: (types: string) => `It takes these types: ${types}.`,
  left: (count: number) => (count === 1 ? 'One download is left.' : `${count} downloads are left.`),
  download: 'Download',
  downloadOf: (name: string) => `Download ${name}`,
  all: 'Download all as ZIP',
  preview: 'Preview',
  previewOf: (name: string) => `Preview of ${name}`,
  protected: 'This link has a password',
  password: 'Password',
  askPassword: 'The person who sent you the link knows it.',
  open: 'Open',
  sorry: 'This does not work',
  wait: (minutes: number) => (minutes === 1 ? 'Try again in a minute.' : `Try again in ${minutes} minutes.`),
  notText: 'This file cannot be shown as text.',
  textCut: 'This is the beginning of the file.',
  refusals: {
    not_found: 'There is nothing here. The address may be incomplete, or the link was withdrawn.',
    link_expired: 'This link has expired. Ask the person who sent it for a new one.',
    link_used_up: 'This link has been used as often as it may be. Ask the person who sent it for a new one.',
    link_empty: 'The files of this link have been deleted.',
    password_required: 'This link has a password.',
    wrong_password: 'That is not the password of this link.',
    too_many_attempts: 'There were too many wrong passwords.',
    passwords_busy: 'The service is busy.',
    too_many_connections: 'The service is busy.',
    content_damaged: 'The stored file is damaged. Tell the person who sent you the link.',
    other: 'The service cannot answer right now. Try again later.',
  } satisfies Record<VisitorsCode | 'not_found' | 'content_damaged' | 'too_many_connections' | 'other', string>,
};

export type SharedTexts = typeof en;

const zh: SharedTexts = {
  tag: 'zh-Hans',
  other: 'English',
  otherTag: 'en',
  otherLanguage: 'en',
  oneFile: '有一个文件给你',
  someFiles: '有一些文件给你',
  total: (files, size) => `${files} 个文件，共 ${size}。`,
  openFolder: '打开文件夹',
  openFolderOf: (name) => `打开文件夹 ${name}`,
  way: '此文件夹的路径',
  back: '链接的全部内容',
  more: '显示更多',
  expires: (when) => `此链接有效期至 ${when}。`,
  sendFiles: '发送文件',
  sendBy: '可用 tidemark 命令，或任何 tus 或 Resumable Uploads for HTTP 客户端，向此地址发送文件：',
  filesLeft: (count) => `还可接收 ${count} 个文件。`,
  bytesLeft: (size) => `还可接收 ${size}。`,
  mostOfOne: (size) => `每个文件最大 ${size}。`,
  types: (types) => `只接收以下类型：${types}。`,
  left: (count) => `还可下载 ${count} 次。`,
  download: '下载',
  downloadOf: (name) => `下载 ${name}`,
  all: '全部下载（ZIP）',
  preview: '预览',
  previewOf: (name) => `${name} 的预览`,
  protected: '此链接设有密码',
  password: '密码',
  askPassword: '请向发送链接的人索取。',
  open: '打开',
  sorry: '无法打开',
  wait: (minutes) => `请在 ${minutes} 分钟后重试。`,
  notText: '此文件无法以文本显示。',
  textCut: '以上是文件的开头部分。',
  refusals: {
    not_found: '这里什么也没有。地址可能不完整，或者链接已被撤回。',
    link_expired: '此链接已过期，请向发送者索取新的链接。',
    link_used_up: '此链接的下载次数已用完，请向发送者索取新的链接。',
    link_empty: '此链接的文件已被删除。',
    password_required: '此链接设有密码。',
    wrong_password: '密码不正确。',
    too_many_attempts: '密码错误次数过多。',
    passwords_busy: '服务繁忙。',
    too_many_connections: '服务繁忙。',
    content_damaged: '存储的文件已损坏，请告知发送者。',
    other: '服务暂时无法响应，请稍后重试。',
  },
};

const TEXTS: Record<Language, SharedTexts> = { en, zh };

/** The texts for a request, and whether its address names the language. */
export function textsFor(ctx: Ctx): { text: SharedTexts; language: Language; isChosen: boolean } {
  const chosen = param(ctx, 'lang');
  ctx.vary('Accept-Language');
  const isChosen = chosen === 'en' || chosen === 'zh';
  const language = isChosen ? chosen : wantsChinese(ctx) ? 'zh' : 'en';
  return { text: TEXTS[language], language, isChosen };
}

function wantsChinese(ctx: Ctx): boolean {
  const wanted = ctx.acceptsLanguages();
  const first = wanted.find((tag) => /^(?:zh|en)\b/i.test(tag));
  return first !== undefined && /^zh/i.test(first);
}
