/** A proxy in front of an S3 service, real or a double, that makes chosen calls fail. */
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type ChaosOptions, createDice } from './fault-dice.ts';
import { type Fault, passOn, playFault } from './faults.ts';
import { readS3Call, type S3Call, type S3Operation } from './s3-call.ts';

/** Matches the calls that have all the given properties. */
export interface FaultRule {
  operation?: S3Operation | readonly S3Operation[];
  partNumber?: number;
  key?: string | RegExp;
  /** Number of the first matching call that fails, counted from 1; 1 by default. */
  nth?: number;
  /** How many matching calls fail from there on; 1 by default, Infinity for all. */
  times?: number;
  fault: Fault;
}

export interface PlacedRule {
  /** How many calls the rule has made fail. */
  hits(): number;
  /** Resolves when it makes a call fail for the first time. */
  readonly hit: Promise<void>;
  /** Removes the rule, and lets the calls continue that it has stalled. */
  remove(): void;
}

/** An entry of the log of calls. */
export interface ProxiedCall {
  operation: S3Operation;
  key: string;
  partNumber: number | undefined;
  fault: Fault | undefined;
  /** The status that the client got; undefined where it got none. */
  status: number | undefined;
  /** Whether the call is still under way. */
  isOpen: boolean;
  /** Whether it is over for the server, too: one that comes late is so after its client. */
  isOver: boolean;
  /** The header, which shows whose credentials were used. */
  authorization: string | undefined;
}

export interface FaultProxy {
  /** `http://127.0.0.1:<port>`; for OSS, give `port` to `createOssClient`. */
  readonly url: string;
  readonly port: number;
  /** Adds a rule. Where several apply to a call, the first one counts. */
  place(rule: FaultRule): PlacedRule;
  /** Sets random faults for the calls to which no rule applies; undefined ends them. */
  setChaos(chaos: ChaosOptions | undefined): void;
  /** Removes all rules and ends the chaos. */
  clear(): void;
  calls(): ProxiedCall[];
  stop(): Promise<void>;
}

export interface FaultProxyOptions {
  toPort: number;
  toHost?: string;
  rules?: readonly FaultRule[];
  chaos?: ChaosOptions;
}

interface ActiveRule extends FaultRule {
  seen: number;
  hits: number;
  onHit: () => void;
  release: AbortController;
}

/** Starts a proxy on a free port of loopback. The Host header passes unchanged, so that signatures hold. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { toPort, toHost = '127.0.0.1' } = options;
  const agent = new Agent({ keepAlive: true });
  const log: ProxiedCall[] = [];
  let rules: ActiveRule[] = [];
  let dice = options.chaos && createDice(options.chaos);
  let chaosRelease = new AbortController();

  function choose(call: S3Call): { fault: Fault; released: AbortSignal } | undefined {
    // Every rule counts all calls that it matches, even where another rule applies.
    const hitting = rules.filter((rule) => {
      if (!means(rule, call)) return false;
      rule.seen++;
      const nth = rule.nth ?? 1;
      return rule.seen >= nth && rule.seen < nth + (rule.times ?? 1);
    });
    const [rule] = hitting;
    if (rule) {
      rule.hits++;
      rule.onHit();
      return { fault: rule.fault, released: rule.release.signal };
    }
    const fault = dice?.(call);
    return fault && { fault, released: chaosRelease.signal };
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: target = '', headers } = request;
    const call = readS3Call({ method, target, headers });
    const chosen = choose(call);
    const { operation, key, partNumber } = call;
    const entry: ProxiedCall = {
      operation,
      key,
      partNumber,
      fault: chosen?.fault,
      status: undefined,
      isOpen: true,
      isOver: false,
      authorization: headers.authorization,
    };
    log.push(entry);
    response.once('finish', () => (entry.status = response.statusCode));
    response.once('close', () => (entry.isOpen = false));
    const { socket } = request;
    const exchange = { request, response, socket, host: toHost, port: toPort, agent };
    try {
      if (chosen) await playFault({ ...exchange, released: chosen.released }, chosen.fault);
      else await passOn({ ...exchange, released: chaosRelease.signal });
    } catch {
      // One side broke the connection: the other one sees a broken connection, too.
      if (!socket.destroyed) socket.resetAndDestroy();
    } finally {
      entry.isOver = true;
    }
  }

  const server = createServer((request, response) => void handle(request, response));
  // Longer than clients keep a connection, so that none is closed under a request.
  server.keepAliveTimeout = 60_000;
  server.requestTimeout = 0;

  function place(rule: FaultRule): PlacedRule {
    let onHit: () => void = () => undefined;
    const hit = new Promise<void>((resolve) => (onHit = resolve));
    const active: ActiveRule = { ...rule, seen: 0, hits: 0, onHit, release: new AbortController() };
    rules.push(active);
    return {
      hits: () => active.hits,
      hit,
      remove: () => {
        rules = rules.filter((other) => other !== active);
        active.release.abort();
      },
    };
  }

  function clear(): void {
    for (const rule of rules) rule.release.abort();
    rules = [];
    setChaos(undefined);
  }

  function setChaos(chaos: ChaosOptions | undefined): void {
    chaosRelease.abort();
    chaosRelease = new AbortController();
    dice = chaos && createDice(chaos);
  }

  for (const rule of options.rules ?? []) place(rule);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    place,
    setChaos,
    clear,
    calls: () => [...log],
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      clear();
      await closed;
      agent.destroy();
    },
  };
}

function means({ operation, partNumber, key }: FaultRule, call: S3Call): boolean {
  if (operation !== undefined && ![operation].flat().includes(call.operation)) return false;
  if (partNumber !== undefined && partNumber !== call.partNumber) return false;
  return key === undefined || (typeof key === 'string' ? key === call.key : key.test(call.key));
}
