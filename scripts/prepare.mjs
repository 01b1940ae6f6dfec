// npm runs this at the end of `npm ci`, and again when npx first links this checkout into its cache to find the command.
// It must not build then: that would replace dist/ under a service that runs from it, and fail where nothing is
// installed yet.
import { spawnSync } from 'node:child_process';

if (process.env.npm_command !== 'exec') {
  const { status } = spawnSync('npm', ['run', 'build'], { stdio: 'inherit', shell: process.platform === 'win32' });
  process.exitCode = status ?? 1;
}
