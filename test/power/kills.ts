/** SIGKILL, again and again, while a service starts and recovers what was interrupted. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkAfterCut } from './check.ts';
import type { Recording } from './cut.ts';
import { mix } from './disk.ts';
import { DATA_DIR, startRecorder } from './recorder.ts';

/** Starts that are killed before one is let through. */
const KILLS = 2;
/** File calls within which a start and its first jobs are through. */
const CALLS = 120;

export interface KillOptions {
  recording: Recording;
  seed: number;
  number: number;
  scratch: string;
  library: string;
}

/** The service died before some call; the next starts die, too. Broken promises, in words. */
export async function playKills({ recording, seed, number, scratch, library }: KillOptions): Promise<string[]> {
  const { disk, script } = recording;
  const drawn = mix(seed, number, 5);
  const index = mix(seed, number, 6) % (disk.calls.length + 1);
  const folder = join(scratch, `kills-${number}`);
  const root = join(folder, 'root');
  await mkdir(root, { recursive: true });
  try {
    await disk.leave(index, 'all', root);
    for (let kill = 0; kill < KILLS; kill++) {
      await startAndKill(folder, root, library, 1 + (mix(drawn, kill, 7) % CALLS));
    }
    let rolls = 0;
    const problems = await checkAfterCut({
      dataDir: join(root, DATA_DIR),
      stories: script.stories,
      time: disk.calls[index - 1]?.time ?? 0,
      dice: (below) => mix(drawn, rolls++, 3) % below,
    });
    return problems.map((text) => `kills ${number}, after call ${index}: ${text}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function startAndKill(folder: string, root: string, library: string, calls: number): Promise<void> {
  const recorder = await startRecorder({ folder, library, root, killIn: calls }).catch(() => undefined);
  // It was through before the call came.
  await recorder?.stop();
}
