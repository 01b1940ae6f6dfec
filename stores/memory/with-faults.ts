/** A wrapper that makes a store's calls fail as ordered. */
import type { Store } from '../store.ts';
import type { Faults, StoreCall } from './faults.ts';

/** Wraps a store, with the contract's own signature; `keyFor` and `close` never fail. */
export function withFaults(store: Store, faults: Faults): Store {
  /** Lists everything in one call: so a listing that fails has returned nothing. */
  async function* listed(call: StoreCall, list: () => AsyncIterable<string>): AsyncIterable<string> {
    yield* await faults.run(call, '', async () => {
      const found: string[] = [];
      for await (const item of list()) found.push(item);
      return found;
    });
  }

  return {
    name: store.name,
    capabilities: store.capabilities,
    place: store.place,
    createUpload: (upload) => faults.run('createUpload', upload.id, () => store.createUpload(upload)),
    writeUpload: (source, upload, options) => {
      // The source may fail before the store listens to it.
      source.on('error', () => undefined);
      return faults.run('writeUpload', upload.id, () => store.writeUpload(source, upload, options));
    },
    joinUploads: (upload, partials, options) =>
      faults.run('joinUploads', upload.id, () => store.joinUploads(upload, partials, options)),
    recoverUpload: (upload, digests, signal) =>
      faults.run('recoverUpload', upload.id, () => store.recoverUpload(upload, digests, signal)),
    readUpload: (upload) => faults.run('readUpload', upload.id, () => store.readUpload(upload)),
    discardUpload: (upload, final) => faults.run('discardUpload', upload.id, () => store.discardUpload(upload, final)),
    listUnfinished: () => listed('listUnfinished', () => store.listUnfinished()),
    keyFor: (upload, content) => store.keyFor(upload, content),
    finalize: (upload, key) => faults.run('finalize', `${upload.id} ${key}`, () => store.finalize(upload, key)),
    storeAtOnce: (upload, key, chunks) =>
      faults.run('storeAtOnce', `${upload.id} ${key}`, () => store.storeAtOnce(upload, key, chunks)),
    heal: (upload, key) => faults.run('heal', `${upload.id} ${key}`, () => store.heal(upload, key)),
    assure: (upload, content) =>
      faults.run('assure', `${upload.id} ${content.key}`, () => store.assure(upload, content)),
    readContent: (key, range, signal, size) =>
      faults.run('readContent', key, () => store.readContent(key, range, signal, size)),
    addressOf: (key, options) => faults.run('addressOf', key, () => store.addressOf(key, options)),
    contentSize: (key) => faults.run('contentSize', key, () => store.contentSize(key)),
    listContents: () => listed('listContents', () => store.listContents()),
    removeContent: (key, isRetry) => faults.run('removeContent', key, () => store.removeContent(key, isRetry)),
    probe: () => faults.run('probe', '', () => store.probe()),
    close: () => store.close(),
  };
}
