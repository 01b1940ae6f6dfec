/** The minimum that a Node server can do with a body: it writes each PUT to a file. Arguments: folder, port. */
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const [folder = '', port = '0'] = process.argv.slice(2);
let count = 0;
createServer((request, response) => {
  pipeline(request, createWriteStream(join(folder, `sink-${count++}`))).then(
    () => response.writeHead(204).end(),
    () => response.destroy(),
  );
}).listen(Number(port), '127.0.0.1');
