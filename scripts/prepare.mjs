// npm runs this at the end of `npm ci`, and again when npx first links this checkout
// into its cache to find the command. Building then would pull dist/ from under a
// service that is running from it, and fail where nothing is installed yet.
import { spawnSync } from 'node:child_process';

if (process.env.npm_command !== 'exec') {
  const { status } = spawnSync('npm', ['run', 'build'], { stdio: 'inherit', shell: process.platform === 'win32' });
  process.exitCode = status ?? 1;
}
