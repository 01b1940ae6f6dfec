/**
 * Informational answers: 104 (Upload Resumption Supported) comes before the final answer, and says early where an upload can
 * be resumed. A client or proxy that drops them loses nothing but that.
 */
import type { ServerResponse } from 'node:http';

const STATUS = 104;
const REASON = 'Upload Resumption Supported';

/**
 * Sends a 104. Does nothing where the client cannot get one: with HTTP/1.0, after the final answer has begun, and while the
 * connection still belongs to an earlier, pipelined request.
 */
export function inform(response: ServerResponse, headers: Record<string, string>): void {
  const { req, socket, headersSent, destroyed } = response;
  if (req.httpVersion === '1.0' || headersSent || destroyed || !socket?.writable) return;
  // Not by writeInformation, which newer versions of Node have: it knows no reason for 104, and writes "unknown".
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${STATUS} ${REASON}\r\n${lines.join('')}\r\n`, 'latin1');
}
