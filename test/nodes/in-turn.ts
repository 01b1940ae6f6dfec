/** One service, or three nodes whose requests go round, as what clients reach by one address. */
import { type Balancer, openBalancer } from '../harness/balancer.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { startService } from '../harness/service.ts';
import { startCluster } from './support.ts';

export interface Reached {
  readonly url: string;
  /** Of its nodes, for those who go round by themselves. */
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

export interface ReachedGround {
  readonly title: string;
  readonly isHere: boolean;
  open(env: NodeJS.ProcessEnv): Promise<Reached>;
}

export const ONE_NODE: ReachedGround = {
  title: 'one node on SQLite',
  isHere: true,
  async open(env) {
    const { url, stop } = await startService({ env });
    return { url, urls: [url], stop };
  },
};

export const THREE_NODES: ReachedGround = {
  title: 'three nodes on PostgreSQL, in turn',
  isHere: hasPostgres(),
  async open(env) {
    const cluster = await startCluster(3, { env });
    const balancer: Balancer = await openBalancer(cluster.nodes.map(({ port }) => port));
    return {
      url: balancer.url,
      urls: cluster.nodes.map(({ url }) => url),
      stop: async () => {
        await balancer.close();
        await cluster.stop();
      },
    };
  },
};

export const GROUNDS: readonly ReachedGround[] = [ONE_NODE, THREE_NODES];
