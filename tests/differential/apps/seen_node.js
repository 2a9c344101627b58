// SPDX-License-Identifier: MIT
//
// The application of seen_apps.py on Node's own http server: seen_node.js PORT.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const record = fs.openSync(process.env.DIPLEX_SEEN, 'a');

const server = http.createServer((request, response) => {
  const parts = [];
  const ids = request.rawHeaders.filter((_, i) => i % 2 && request.rawHeaders[i - 1].toLowerCase() === 'x-request-id');
  const write = (end) => {
    const body = Buffer.concat(parts);
    fs.writeSync(record, JSON.stringify({
      ids, method: request.method, target: request.url, length: body.length,
      body: crypto.createHash('sha256').update(body).digest('hex').slice(0, 16),
      names: [...new Set(Object.keys(request.headers))].sort(), end,
    }) + '\n');
  };
  const answer = () => {
    const fields = { 'Content-Length': 5, 'X-Eye-Id': ids.join(',') };
    if (request.method === 'HEAD') fields['X-Eye-Head'] = 'yes';
    response.writeHead(200, fields);
    response.end('seen\n');
  };
  if (request.url === '/early') {
    write('early');
    answer();
    return;
  }
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    write('whole');
    answer();
  });
  request.on('aborted', () => write('cut'));
  request.on('error', () => {});
});
server.keepAliveTimeout = 60000;
server.listen(Number(process.argv[2]), '127.0.0.1');
