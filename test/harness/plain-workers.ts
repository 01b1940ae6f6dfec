/**
 * An entry for tests of the supervisor alone: workers that serve a port of loopback without catalog and store, and
 * behave as PLAIN_BEHAVIOUR says.
 */
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createLog } from '../../server/log.ts';
import { superviseWorkers } from '../../server/supervisor.ts';

const { PLAIN_PORT: port, PLAIN_BEHAVIOUR: behaviour } = process.env;
const args = process.argv.slice(2);

if (cluster.isPrimary) {
  const policy = { firstPauseMs: 5, longestPauseMs: 20, earlyMs: 10_000, mostEarlyEnds: 5, closeMs: 100 };
  const log = createLog('info');
  process.exit(await superviseWorkers({ workers: 3, args, shutdownTimeoutMs: 100, log, policy }));
}
if (args.includes('--adopt')) process.stdout.write(`adopted by ${args.join(' ')}\n`);
if (behaviour === 'bad configuration') process.exit(78);
if (behaviour === 'second dies at once' && args.includes('--worker=2')) process.exit(3);

const server = createServer((request, response) => {
  if (request.url === '/slow') response.write('begun');
  else response.end(String(process.pid));
});
process.on('SIGTERM', () => {
  if (behaviour === 'does not stop') return;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
server.listen(Number(port), '127.0.0.1');
