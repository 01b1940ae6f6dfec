/** The library without this service: @tus/server with its FileStore. Arguments: folder, port. */
import { createServer } from 'node:http';
import { FileStore } from '@tus/file-store';
import { Server } from '@tus/server';

const [folder = '', port = '0'] = process.argv.slice(2);
const tus = new Server({ path: '/uploads', datastore: new FileStore({ directory: folder }) });
createServer((request, response) => {
  void tus.handle(request, response);
}).listen(Number(port), '127.0.0.1');
