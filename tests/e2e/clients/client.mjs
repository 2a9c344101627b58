// SPDX-License-Identifier: MIT
// What test_clients.py asks of each client, by Node's http: one line for each request.
import http from 'node:http';

const url = process.argv[2];
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function ask(name, method, pieces, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent, timeout: 20000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => { text += piece; });
      answer.on('end', () => {
        const said = method === 'HEAD' ? { method: '-', body_size: text.length } : JSON.parse(text);
        console.log(name, answer.statusCode, said.method, said.body_size);
        resolve();
      });
    });
    const send = () => { pieces.forEach((piece) => request.write(piece)); request.end(); };
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('no answer')));
    if (headers.Expect) {
      request.on('continue', send);
      request.flushHeaders();
    } else {
      send();
    }
  });
}

await ask('get', 'GET', []);
await ask('post', 'POST', ['hello'], { 'Content-Length': 5 });
await ask('chunked', 'POST', ['hello ', 'world']);
await ask('head', 'HEAD', []);
await ask('expect', 'POST', [Buffer.alloc(100000)], { Expect: '100-continue', 'Content-Length': 100000 });
await ask('again', 'GET', []);
agent.destroy();
