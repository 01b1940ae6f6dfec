/** Watches the offset an upload is told to have: it must never go back. */
import { setTimeout as wait } from 'node:timers/promises';

export interface Observer {
  /** Stops; what it saw wrong. */
  stop(): Promise<string[]>;
}

/** Asks for the upload with this MD5, and for its offset, again and again. */
export function observeOffsets(serviceUrl: string, md5: string): Observer {
  const wrong: string[] = [];
  const told = new Map<string, number>();
  let running = true;

  async function look(): Promise<void> {
    const answer = await fetch(`${serviceUrl}/check?md5=${md5}`);
    const { resume } = (await answer.json()) as { resume?: { url: string; offset: number } };
    if (!resume) return;
    const id = resume.url.slice(resume.url.lastIndexOf('/'));
    note(id, resume.offset);
    const head = await fetch(`${serviceUrl}/uploads${id}`, { method: 'HEAD', headers: { 'Tus-Resumable': '1.0.0' } });
    const offset = head.headers.get('upload-offset');
    if (offset !== null) note(id, Number(offset));
  }

  function note(id: string, offset: number): void {
    const before = told.get(id) ?? 0;
    if (offset < before) wrong.push(`the offset of ${id} went back from ${before} to ${offset}`);
    told.set(id, Math.max(before, offset));
  }

  const watching = (async () => {
    while (running) {
      // Between a kill and a start the service does not answer.
      await look().catch(() => undefined);
      await wait(15);
    }
  })();

  return {
    stop: async () => {
      running = false;
      await watching;
      return wrong;
    },
  };
}
