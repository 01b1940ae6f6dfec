// Bundled for a page. Resumes by the plugin's own retries.
import Uppy from '@uppy/core';
import Tus from '@uppy/tus';

/** Sends the bytes at `/bytes` of the page's own origin. */
export async function send(endpoint) {
  const bytes = await (await fetch('/bytes')).arrayBuffer();
  const uppy = new Uppy();
  uppy.use(Tus, { endpoint });
  uppy.addFile({ name: 'file.bin', type: 'application/octet-stream', data: new File([bytes], 'file.bin') });
  const { failed } = await uppy.upload();
  if (failed.length > 0) throw new Error(failed[0].error);
}
