/** Watches the offset that the service reports for an upload: it must never go back. */
import { setTimeout as wait } from 'node:timers/promises';

/** A running observation. */
export interface Observer {
  /** Stops. @returns the violations that it has seen. */
  stop(): Promise<string[]>;
}

/** Asks for the upload with this MD5, and for its offset, until it is stopped. */
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
      // The service does not answer between a kill and the next start.
      await look().catch(() => undefined);
      await wait(50);
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
