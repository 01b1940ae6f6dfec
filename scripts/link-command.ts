/**
 * Makes `npx tidemark` find the command in its own checkout: npm links the commands
 * of dependencies into node_modules/.bin, but not those of the project itself.
 */
import { chmod, mkdir, rm, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../client/cli/main.js', import.meta.url));
const link = join(dirname(command), '../../../node_modules/.bin/tidemark');

await chmod(command, 0o755);
// Windows needs a script in place of a link; there the command is `node dist/client/cli/main.js`.
if (process.platform !== 'win32') {
  await mkdir(dirname(link), { recursive: true });
  await rm(link, { force: true });
  await symlink(relative(dirname(link), command), link);
}
