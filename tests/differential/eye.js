// SPDX-License-Identifier: MIT
//
// Node's llhttp on its own: reads connections from standard input (JSON, see eyes.py) and says what messages it saw.
// The parser is the one behind Node's http module, with the flags that module sets by default.
'use strict';

const { HTTPParser, methods } = require('_http_common');
const encoded = (text) => Buffer.from(text, 'latin1').toString('base64');

function read(kind, data, asked) {
  const type = kind === 'requests' ? HTTPParser.REQUEST : HTTPParser.RESPONSE;
  const parser = new HTTPParser();
  const seen = { messages: [], end: 'end', why: '' };
  let one = null;
  let stopped = false;

  parser.initialize(type, {}, 1 << 20, HTTPParser.kLenientNone);
  parser[HTTPParser.kOnMessageBegin] = () => {
    one = { method: '', target: '', status: 0, fields: [], body: [], head: false };
  };
  parser[HTTPParser.kOnHeaders] = (fields, target) => {
    if (!one.head) {
      one.fields.push(...fields);
      one.target += target;
    }
  };
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, fields, method, target, status, reason, upgrade) => {
    if (fields) one.fields.push(...fields);
    one.head = true;
    if (kind === 'requests') {
      one.method = methods[method];
      one.target += target || '';
      return upgrade && one.method === 'CONNECT' ? 2 : 0;
    }
    one.status = status;
    one.interim = status < 200 && status !== 101;
    return !one.interim && asked[seen.messages.length] === 'HEAD' ? 1 : 0;
  };
  parser[HTTPParser.kOnBody] = (part) => { one.body.push(Buffer.from(part)); };
  parser[HTTPParser.kOnMessageComplete] = () => {
    if (!one.interim) {
      seen.messages.push({
        method: one.method, target: encoded(one.target), status: one.status,
        fields: one.fields.map(encoded), body: Buffer.concat(one.body).toString('base64'),
      });
    }
    one = null;
  };

  const result = parser.execute(data);
  if (result instanceof Error) {
    stopped = true;
    seen.end = 'refused';
    seen.why = `${result.code} ${result.reason}`;
  } else if (result < data.length) {
    stopped = true;
    seen.end = 'stop';
    seen.why = 'another protocol';
  }
  if (!stopped && kind === 'answers') {
    const finish = parser.finish(); // the connection was closed
    if (finish instanceof Error) seen.end = 'more';
  }
  if (!stopped && one !== null && seen.end === 'end') seen.end = 'more';
  return seen;
}

const connections = JSON.parse(require('fs').readFileSync(0));
const said = connections.map(({ data, methods: asked }) => read(process.argv[2], Buffer.from(data, 'base64'), asked));
process.stdout.write(JSON.stringify(said));
