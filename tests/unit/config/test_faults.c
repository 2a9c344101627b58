/* SPDX-License-Identifier: MIT */
/* Every kind of fault: what it says and where it points. And that all of a file are told, in its order. */
#include "support.h"

#define POOLS \
    "pools:\n  sync: {kind: wsgi, servers: 'web:8000'}\n  async: {kind: asgi, servers: 'web:8001'}\n"
#define ROUTES "routes: {/: sync}\n"
#define FULL   POOLS ROUTES

static const struct row {
    const char *text;
    unsigned line, column;
    const char *says; /* a part of the fault's text */
} rows[] = {
    /* the file */
    {"", 1, 1, "the file is empty; the smallest file is"},
    {"# nothing\n", 1, 1, "the file is empty"},
    {"~\n", 1, 1, "the file is empty"},
    {"just text\n", 1, 1, "a configuration is a mapping"},
    {"- list\n", 1, 1, "a configuration is a mapping"},
    {"workers: 2\n", 1, 1, "neither 'pools' nor 'routes'; the smallest file is"},
    {FULL "a: [1\nb: 2\n", 6, 2, "not YAML"},
    {FULL "user:\tx: y\n", 5, 8, "not YAML: mapping values are not allowed"},
    {FULL "user: \"\x01\"\n", 5, 8, "not YAML: control characters"},
    {FULL "user: '\xff'\n", 5, 8, "not UTF-8: byte 0xff"},
    {FULL "user: '\xed\xa0\x80'\n", 5, 8, "not UTF-8: byte 0xed"},
    {FULL "---\nworkers: 2\n", 5, 1, "a second document"},
    {FULL "user: *nobody\n", 5, 7, "'*nobody' names no anchor above it"},
    {FULL "user: !secret x\n", 5, 7, "the tag '!secret' means nothing here"},
    {FULL "user: @x\n", 5, 7, "must be quoted"},
    {FULL "listen: [${PORT}]\n", 5, 11, "must be quoted"},
    {FULL "? [a]\n: b\n", 5, 3, "a key must be a text"},
    {FULL "x-a: &a [*a]\n", 5, 10, "'*a' names no anchor above it"},
    {FULL "<<: 3\n", 5, 5, "'<<' takes a mapping"},
    /* keys */
    {FULL "listn: ':80'\n", 5, 1, "unknown key 'listn'; did you mean 'listen'?"},
    {FULL "zzz: 3\n", 5, 1, "unknown key 'zzz'"},
    {FULL "retries: 3\n", 5, 1, "unknown key 'retries'; it belongs to: `health` of a pool"},
    {FULL "user: a\nuser: b\n", 6, 1, "duplicate key 'user': it is on line 5 already"},
    {FULL "limits: {boddy: 1}\n", 5, 10, "unknown key 'boddy'; did you mean 'body'?"},
    {FULL "limits: {body: 1, body: 2}\n", 5, 19, "duplicate key 'body'"},
    /* values */
    {FULL "user:\n", 5, 6, "'user' has no value; leave the key out"},
    {FULL "user: null\n", 5, 7, "'user' has no value"},
    {FULL "user: ~\n", 5, 7, "'user' has no value"},
    {FULL "user: ''\n", 5, 7, "'user' is empty"},
    {FULL "user: [a]\n", 5, 7, "'user' must be a text, not a list"},
    {FULL "user: {a: b}\n", 5, 7, "'user' must be a text, not a mapping"},
    {FULL "user: \"a\\0b\"\n", 5, 7, "'user' holds a control character"},
    {FULL "limits:\n", 5, 8, "no value here"},
    {FULL "limits: 3\n", 5, 9, "must be a mapping"},
    {FULL "log: [json]\n", 5, 6, "must be a mapping or a text for its 'access'"},
    {FULL "log: jsno\n", 5, 6,
     "'access' is 'jsno'; it must be one of: json combined common off; did you mean 'json'?"},
    {FULL "log: {level: loud}\n", 5, 14, "'level' is 'loud'; it must be one of: debug info warn error"},
    {FULL "workers: many\n", 5, 10, "'workers' must be 'auto' or a whole number, not 'many'"},
    {FULL "workers: 0\n", 5, 10, "'workers' is 0; it must be between 1 and 64"},
    {FULL "workers: 65\n", 5, 10, "it must be between 1 and 64"},
    /* pages of one's own */
    {FULL "error_pages: /a.html\n", 5, 14, "'error_pages' is a mapping of statuses to files"},
    {FULL "error_pages: {}\n", 5, 14, "'error_pages' is a mapping of statuses to files"},
    {FULL "error_pages: {302: /a.html}\n", 5, 15, "'302' is no status: write 404, 503, 4xx or 5xx"},
    {FULL "error_pages: {600: /a.html}\n", 5, 15, "'600' is no status"},
    {FULL "error_pages: {40: /a.html}\n", 5, 15, "'40' is no status"},
    {FULL "error_pages: {40x: /a.html}\n", 5, 15, "'40x' is no status"},
    {FULL "error_pages: {default: /a.html}\n", 5, 15, "'default' is no status"},
    {FULL "error_pages: {404: /a.html, 404: /b.txt}\n", 5, 29, "duplicate key '404'"},
    {FULL "error_pages: {4xx: /a.html, 4XX: /b.txt}\n", 5, 29, "'4XX' has its pages already"},
    {FULL "error_pages: {404: a.html}\n", 5, 20, "a page is an absolute path, not 'a.html'"},
    {FULL "error_pages: {404: /a.php}\n", 5, 20, "'/a.php': a page ends in .html, .json or .txt"},
    {FULL "error_pages: {404: /.html/}\n", 5, 20, "a page ends in"},
    {FULL "error_pages: {404: .html}\n", 5, 20, "an absolute path"},
    {FULL "error_pages: {404: [/a.html, /b.htm]}\n", 5, 30, "'404' has a page of this form already"},
    {FULL "error_pages: {404: [/a.html, /a.html]}\n", 5, 30, "'404' has a page of this form already"},
    {FULL "error_pages: {404: []}\n", 5, 20, "'404' names no page"},
    {FULL "error_pages: {404: {html: /a.html}}\n", 5, 20, "'404' must be a text, not a mapping"},
    {FULL "error_pages: {404: ''}\n", 5, 20, "'404' is empty"},
    {POOLS "routes:\n  /: {pool: sync, error_pages: {503: b.txt}}\n", 5, 38, "an absolute path"},
    {FULL "maintenance: 3\n", 5, 14, "a page is an absolute path, not '3'"},
    {FULL "maintenance: [/a.html]\n", 5, 14, "must be a mapping or a text for its 'file'"},
    {FULL "maintenance: {page: /a.html}\n", 5, 15, "unknown key 'page'"},
    {FULL "maintenance: {on: maybe}\n", 5, 19, "'on' must be"},
    {FULL "maintenance: {file: /a}\n", 5, 21, "a page ends in"},
    {FULL "maintenance: {status: 200}\n", 5, 23, "'status' is 200; it must be between 400 and 599"},
    {FULL "maintenance: {retry_after: 2}\n", 5, 28, "'retry_after' must be a duration with its unit"},
    {FULL "maintenance: {retry_after: 2d}\n", 5, 28, "'retry_after'"},
    {FULL "maintenance: {allow: example.com}\n", 5, 22, "example.com"},
    {POOLS "routes:\n  /: {pool: sync, maintenance: {status: 600}}\n", 5, 41,
     "it must be between 400 and 599"},
    {FULL "resolve: 5\n", 5, 10, "'resolve' must be a duration with its unit"},
    {FULL "resolve: soon\n", 5, 10, "'resolve' must be a duration such as 500ms"},
    {FULL "resolve: 1ms\n", 5, 10, "'resolve' is 1ms; it must be between 100ms and 1d"},
    {FULL "timeouts: {idle: 0}\n", 5, 18, "'idle' is 0; it must be between 1ms and 1d"},
    {FULL "limits: {header_size: 1MB}\n", 5, 23, "'header_size' is 1MB; it must be between 1KB and 64KB"},
    {FULL "limits: {header_count: 257}\n", 5, 24, "it must be between 1 and 256"},
    {FULL "limits: {url: 8191}\n", 5, 15, "it must be between 64 and 8190"},
    {FULL "limits: {body: 1 ton}\n", 5, 16, "'body' must be a size such as"},
    {FULL "buffer: {path: tmp}\n", 5, 16, "'path' must be an absolute path: 'tmp'"},
    {FULL "admin: run/x\n", 5, 8, "'socket' must be an absolute path or off"},
    {FULL "admin: {listen: ':9000'}\n", 5, 17, "'listen' of 'admin' needs a 'token'"},
    {FULL "admin: {listen: 'unix:/x', token: 0123456789abcdef}\n", 5, 17,
     "'listen' is an address of TCP here"},
    {FULL "admin: {listen: edge, token: 0123456789abcdef}\n", 5, 17, "'edge' is no address to listen on"},
    {FULL "admin: {listen: ':9000', token: 0123456789abcde}\n", 5, 33,
     "must have between 16 and 1024 characters"},
    {FULL "admin: {listen: ':9000', token: '0123456789 abcdef'}\n", 5, 33,
     "'token' must be of ASCII letters"},
    {FULL "admin: {token: 0123456789abcdef}\n", 5, 16,
     "'token' is for 'listen' of 'admin', which is not set"},
    {FULL "admin: {read: open}\n", 5, 15, "'read' is for 'listen' of 'admin'"},
    {FULL "admin: {listen: ':9000', token: 0123456789abcdef, hosts: edge}\n", 5, 58,
     "'hosts' is for 'read: open'"},
    {FULL "admin: {listen: ':9000', token: 0123456789abcdef, read: open, hosts: [e, 'a b']}\n", 5, 74,
     "'hosts' takes host names"},
    {FULL "admin: {listen: ':8080', token: 0123456789abcdef}\nlisten: [':8080']\n", 5, 17,
     "':8080' is where clients come in already"},
    {FULL "trusted_proxies: 10.0.0.1/8\n", 5, 18, "'10.0.0.1/8' is no network"},
    {FULL "trusted_proxies: [private, inside]\n", 5, 28, "'inside' is no network"},
    {FULL "trusted_proxies: [1.1.1.1 2.2.2.2 3.3.3.3 4.4.4.4 5.5.5.5 6.6.6.6]\n", 5, 19, "is no network"},
    /* listen */
    {FULL "listen: []\n", 5, 9, "'listen' needs between 1 and"},
    {FULL "listen: localhost:80\n", 5, 9, "'localhost:80' is no address to listen on"},
    {FULL "listen: 99999\n", 5, 9, "'99999' is no address to listen on"},
    {FULL "listen: unix:x.sock\n", 5, 9, "'unix:x.sock' is no address to listen on"},
    {FULL "listen: [':80', 80]\n", 5, 17, "'80' is listened on already"},
    {FULL "listen: {mode: 0600}\n", 5, 9, "'address' is missing"},
    {FULL "listen: {address: ':80', mode: 0600}\n", 5, 32, "'mode' is for Unix sockets"},
    {FULL "listen: {address: 'unix:/x', mode: 0999}\n", 5, 36, "'mode' must be an octal number"},
    {FULL "listen: {address: 'unix:/x', mode: 1777}\n", 5, 36, "it must be between 0000 and 0777"},
    {FULL "listen: {address: ':80', proxy_protocol: yes}\n", 5, 42,
     "write for instance trusted_proxies: [private]"},
    {FULL "trusted_proxies: []\nlisten: [':81', {address: ':80', proxy_protocol: on}]\n", 6, 50,
     "'proxy_protocol' needs 'trusted_proxies'"},
    {FULL "listen: {address: ':80', proxy_protocol: v2}\n", 5, 42, "'proxy_protocol' must be yes or no"},
    /* variables */
    {FULL "user: a${NOPE}\n", 5, 8, "NOPE is not set"},
    {FULL "user: \"\xc3\xa9${NOPE}\"\n", 5, 9, "NOPE is not set"},
    {FULL "user: ${NOPE:?say who}\n", 5, 7, "NOPE is not set: say who"},
    {FULL "user: ${EMPTY:?say who}\n", 5, 7, "EMPTY is not set: say who"},
    {FULL "user: ${NOPE?}\n", 5, 7, "NOPE is not set: it must be"},
    {FULL "user: ${EMPTY}\n", 5, 7, "'user' is empty"},
    {FULL "user: a$b\n", 5, 8, "a lone '$'"},
    {FULL "user: a$\n", 5, 8, "a lone '$'"},
    {FULL "user: ab${PORT\n", 5, 9, "'${' without its '}'"},
    {FULL "user: ${}\n", 5, 7, "${ } must begin with a variable's name"},
    {FULL "user: ${1A}\n", 5, 7, "${ } must begin with a variable's name"},
    {FULL "user: ${PORT:+x}\n", 5, 7, "PORT: write ${NAME}"},
    {FULL "user: ${NOPE:-${ALSO}}\n", 5, 15, "ALSO is not set"},
    {FULL "user: ${BAD}\n", 5, 7, "'user' is not UTF-8 once"},
    {FULL "user: ${BELL}\n", 5, 7, "'user' holds a control character"},
    /* pools */
    {"pools: []\nroutes: {/: 'wsgi://a:1'}\n", 1, 8, "'pools' must be a mapping"},
    {"pools: {a b: {kind: wsgi, servers: 'a:1'}}\n", 1, 9, "'a b' is no name for a pool"},
    {"pools: {\"wsgi://unix:/a\\tb\": {}}\nroutes: {/: 'wsgi://w:1'}\n", 1, 9, "is no name for a pool"},
    {"pools: {'wsgi://w:1': 'asgi://w:2'}\nroutes: {/: 'wsgi://w:1'}\n", 1, 23,
     "takes a mapping of settings"},
    {"pools: {'ftp://w:1': {}}\nroutes: {/: 'wsgi://w:1'}\n", 1, 9, "the scheme says the kind"},
    {"pools: {a: [x]}\n", 1, 12, "a pool must be a mapping"},
    {"pools: {a: ~}\n", 1, 12, "'a' has no value"},
    {"pools: {a: 'web:8000'}\n", 1, 12, "'web:8000' is no URL: write wsgi://web:8000"},
    {"pools:\n  a:\n    kind: wsgi\n", 2, 3, "'servers' is missing"},
    {"pools:\n  a:\n    servers: web:8000\n", 2, 3, "'kind' is missing: one of wsgi asgi"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', queue: 9}}\n", 1, 1, "'queue' needs 'slots'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1'}}\nroutes: {/: {pool: a, share: 9%}}\n", 2, 1, "'share' needs"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', slots: 3, queue: {fair_by: ip}}}\n", 1, 68, "must be one of"},
    {"pools: {a: {kind: wsgy, servers: 'w:1'}}\n", 1, 19, "did you mean 'wsgi'?"},
    {"pools: {a: {kind: wsgi, servers: []}}\n", 1, 34, "'servers' needs between 1 and 128 servers"},
    {"pools: {a: {kind: wsgi, servers: [w]}}\n", 1, 35, "'w' is no server: a server needs its port"},
    {"pools: {a: {kind: wsgi, servers: ['w:0']}}\n", 1, 35, "the port must be a number"},
    {"pools: {a: {kind: wsgi, servers: ['w:x']}}\n", 1, 35, "the port must be a number"},
    {"pools: {a: {kind: wsgi, servers: ['::1:80']}}\n", 1, 35, "written in brackets"},
    {"pools: {a: {kind: wsgi, servers: ['[::g]:80']}}\n", 1, 35, "it holds no IP address"},
    {"pools: {a: {kind: wsgi, servers: ['1.2.3.400:80']}}\n", 1, 35, "it holds no IP address"},
    {"pools: {a: {kind: wsgi, servers: ['a/b:80']}}\n", 1, 35, "it holds no host name"},
    {"pools: {a: {kind: wsgi, servers: ['unix:x']}}\n", 1, 35, "a Unix socket is written unix:/path"},
    {"pools: {a: {kind: wsgi, servers: ['http://w:1']}}\n", 1, 35, "takes the place of a scheme"},
    {"pools: {a: {kind: wsgi, servers: ['w:1', 'w:1']}}\n", 1, 42, "'w:1' is listed twice"},
    {"pools: {a: {kind: wsgi, servers: {weight: 1}}}\n", 1, 34, "'address' is missing"},
    {"pools: {a: {kind: wsgi, servers: {address: 'w:1', weight: 0}}}\n", 1, 59,
     "it must be between 1 and 1000"},
    {"pools: {a: {kind: wsgi, servers: {address: 'w:1', backup: maybe}}}\n", 1, 59,
     "'backup' must be yes or no"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', balance: robin}}\n", 1, 50, "it must be one of: round_robin"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', health: ok}}\n", 1, 49,
     "'path' must be a path that begins with '/'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', health: {retries: 1}}}\n", 1, 49, "'path' is missing"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', health: {path: /, host: my_web}}}\n", 1, 65,
     "must not hold '_': Django"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', health: {path: /, host: a/b}}}\n", 1, 65,
     "must be a host name"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', health: {path: /, expect: 20}}}\n", 1, 67,
     "'expect' takes statuses"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', health: {path: /, expect: [200, 300-200]}}}\n", 1, 73,
     "not '300-200'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', health: {path: /, expect: []}}}\n", 1, 67,
     "'expect' names no status"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', health: {path: /, expect: "
     "'200,201,202,203,204,205,206,207,208'}}}\n",
     1, 67, "at most 8"},
    {"pools: {a: {kind: asgi, servers: 'w:1', client_ip: proxy-protocol}}\n", 1, 52,
     "'client_ip: proxy-protocol' is for wsgi pools: uvicorn does not speak the PROXY protocol"},
    {"pools: {'asgi://w:1': {client_ip: proxy-protocol}}\n", 1, 35, "is for wsgi pools"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', client_ip: proxy_protocol}}\n", 1, 52,
     "did you mean 'proxy-protocol'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', client_ip: proxy-protocol, keepalive: 2s}}\n", 1, 79,
     "'keepalive' has no meaning with 'client_ip: proxy-protocol'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', keepalive: {max: 2000}}}\n", 1, 58,
     "it must be between 0 and 1024"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', eject: 3}}\n", 1, 48, "must be a mapping"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', sticky: header}}\n", 1, 49,
     "'sticky' by header needs its name: sticky: {header: X-Session}"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', sticky: cooky}}\n", 1, 49, "did you mean 'cookie'?"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', sticky: {cookie: a, header: b}}}\n", 1, 49, "not both"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', sticky: {by: client_ip, cookie: a}}}\n", 1, 49,
     "'cookie' is only for 'by: cookie'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', sticky: {by: off, header: a}}}\n", 1, 49,
     "'header' is only for 'by: header'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', sticky: {secret: a}}}\n", 1, 49, "'secret' says not what"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', sticky: {cookie: 'a b'}}}\n", 1, 58,
     "'cookie' must be a name such as X-Session, without blanks and separators: 'a b'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', eject: {max: 3}}}\n", 1, 54,
     "'max' must be a percentage such as 50%, not '3'"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', eject: {max: 101%}}}\n", 1, 54,
     "'max' is 101%; it must be between 1% and 100%"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', eject: {max: '%'}}}\n", 1, 54, "'max' must be a percentage"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', timeout: 3s}}\n", 1, 41,
     "unknown key 'timeout'; did you mean 'timeouts'?"},
    {"pools: {a: {kind: wsgi, servers: 'w:1', sloths: 8}}\n", 1, 41,
     "unknown key 'sloths'; did you mean 'slots'?"},
    {"pools: {'wsgi://w:1': {kind: wsgi}}\n", 1, 24, "'kind' of this pool is said by its name"},
    /* routes */
    {POOLS, 2, 3, "'routes' is missing"},
    {"pools: {}\n", 1, 8, "'pools' holds no pool"},
    {"pools: {x-a: {kind: wsgi}}\n", 1, 8, "'pools' holds no pool"},
    {POOLS "routes: sync\n", 4, 9, "'routes' must be a mapping"},
    {POOLS "routes: {}\n", 4, 9, "'routes' must be a mapping"},
    {POOLS "routes: {/: snyc}\n", 4, 13, "no pool 'snyc'; did you mean 'sync'?"},
    {POOLS "routes: {/: django}\n", 4, 13, "no pool 'django'"},
    {POOLS "routes: {/: 'web:8000'}\n", 4, 13, "no pool 'web:8000'; for a server write wsgi://web:8000"},
    {POOLS "routes: {/: 'http://web:8000'}\n", 4, 13, "the scheme says the kind"},
    {POOLS "routes: {/: 'wsgi://web'}\n", 4, 13, "a server needs its port"},
    {POOLS "routes: {/: 'wsgi://web:8000/'}\n", 4, 13, "a path behind the port does nothing"},
    {POOLS "routes: {/: 'wsgi+unix://run'}\n", 4, 13, "a Unix socket is written unix:/path"},
    {POOLS "routes: {/: 'wsgi://w23456789-123456789-123456789-123456789-123456789-12345:1'}\n", 4, 13,
     "at most 63 bytes"},
    {POOLS "routes: {/: [sync]}\n", 4, 13, "must be a mapping or a text for its 'pool'"},
    {POOLS "routes: {/: {body: 1}}\n", 4, 10, "'pool' is missing"},
    {POOLS "routes: {/: {pool: sync, path: /}}\n", 4, 32, "'path' is said by the key '/' already"},
    {POOLS "routes: {/: {pool: sync, strip: yes}}\n", 4, 26, "unknown key 'strip'"},
    {POOLS "routes:\n  /async/: async\n  /async: sync\n", 6, 3,
     "duplicate prefix '/async': it is on line 5 already"},
    {POOLS "routes:\n  a.example/: async\n  A.Example/: sync\n", 6, 3, "duplicate prefix 'a.example/'"},
    {POOLS "routes: {async: async}\n", 4, 10, "'async': a prefix begins with '/'"},
    {POOLS "routes: {/a%20b/: async}\n", 4, 10, "a prefix is written decoded"},
    {POOLS "routes: {/a?b: async}\n", 4, 10, "without '?' and '#'"},
    {POOLS "routes: {/a/../b: async}\n", 4, 10, "no '.' and '..' segments"},
    {POOLS "routes: {/a/.: async}\n", 4, 10, "no '.' and '..' segments"},
    {POOLS "routes: {//a: async}\n", 4, 10, "no empty segments"},
    {POOLS "routes: {\"/a\\t\": async}\n", 4, 10, "no control characters"},
    {POOLS "routes: {'a:80/': async}\n", 4, 10, "a route's host has no port"},
    {POOLS "routes: {a_b/: async}\n", 4, 10, "Django refuses host names with '_'"},
    {POOLS "routes: {a*b/: async}\n", 4, 10, "a host is a name"},
    {POOLS "routes: [/]\n", 4, 10, "a route in a list is a mapping"},
    {POOLS "routes: [{pool: sync}]\n", 4, 10, "'path' is missing"},
    {POOLS "routes: [{path: a, pool: sync}]\n", 4, 17, "a prefix begins with '/'"},
    {POOLS "routes: [{path: /, pool: sync}, {path: /, pool: async}]\n", 4, 33, "duplicate prefix '/'"},
    {POOLS "routes: [{path: /, host: 'a:1', pool: sync}]\n", 4, 26, "has no port"},
};

START_TEST(one_fault)
{
    const struct row *row = &rows[_i];
    struct dx_config_faults faults = {0};
    const struct dx_config *c =
        dx_config_parse(dx_slice_str(row->text), "test.yaml", test_env, NULL, &faults);
    ck_assert_msg(c == NULL, "no fault in: %s", row->text);
    bool good = faults.n == 1 && faults.at[0].line == row->line && faults.at[0].column == row->column &&
                strstr(faults.at[0].text, row->says);
    if (!good)
        print_faults(&faults, dx_slice_str(row->text));
    ck_assert_msg(good, "wanted only %u:%u: %s", row->line, row->column, row->says);
    dx_config_faults_fini(&faults);
}
END_TEST

START_TEST(all_faults_in_the_order_of_the_file)
{
    static const char text[] =
        "routes: {/: nothing}\nworkers: 99\npools: {a: {kind: wsgi}}\nlistn: 1\nlog: xml\n";
    struct dx_config_faults faults = {0};
    const struct dx_config *c = dx_config_parse(dx_slice_str(text), "test.yaml", test_env, NULL, &faults);
    ck_assert_ptr_null(c);
    ck_assert_uint_eq(faults.n, 5);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(faults.at[i].line, i + 1);
    dx_config_faults_fini(&faults);
}
END_TEST

START_TEST(a_fault_behind_an_alias_is_told_once)
{
    static const char text[] =
        "x-h: &h {path: nowhere}\npools:\n  a: {kind: wsgi, servers: 'w:1', health: *h}\n"
        "  b: {kind: asgi, servers: 'w:2', health: *h}\nroutes: {/: a}\n";
    struct dx_config_faults faults = {0};
    const struct dx_config *c = dx_config_parse(dx_slice_str(text), "test.yaml", test_env, NULL, &faults);
    ck_assert_ptr_null(c);
    ck_assert_uint_eq(faults.n, 1);
    ck_assert_uint_eq(faults.at[0].line, 1);
    dx_config_faults_fini(&faults);
}
END_TEST

START_TEST(printed_with_line_and_caret)
{
    static const char text[] =
        "routes: {/: 'wsgi://w:1'}\r\nlimits:\t{\"body\":\t\"\xc3\xa9\"}\r\nlistn: x\n";
    static const char wanted[] =
        "f.yaml:2:18: error: 'body' must be a size such as 512, 64KB, 100MB or 1GB, not '\xc3\xa9'\n"
        "    limits:\t{\"body\":\t\"\xc3\xa9\"}\n"
        "           \t        \t^\n"
        "f.yaml:3:1: error: unknown key 'listn'; did you mean 'listen'?\n"
        "    listn: x\n"
        "    ^\n";
    struct dx_config_faults faults = {0};
    struct dx_text t;
    dx_text_init(&t);
    const struct dx_config *c = dx_config_parse(dx_slice_str(text), "f.yaml", test_env, NULL, &faults);
    ck_assert_ptr_null(c);
    dx_config_faults_print(&faults, dx_slice_str(text), "f.yaml", &t);
    ck_assert_str_eq(t.p, wanted);
    dx_text_fini(&t);
    dx_config_faults_fini(&faults);
}
END_TEST

START_TEST(no_control_character_reaches_a_terminal)
{
    static const char escaped[] = "routes: {/: 'wsgi://w:1'}\n\"a\\e[31m\": 1\n";
    static const char text[] = "routes: {/: 'wsgi://w:1'}\nuser: \x1b[0m\n";
    struct dx_config_faults faults = {0};
    struct dx_text t;
    dx_text_init(&t);
    const struct dx_config *c = dx_config_parse(dx_slice_str(escaped), "f.yaml", test_env, NULL, &faults);
    ck_assert_ptr_null(c);
    ck_assert_ptr_nonnull(strstr(faults.at[0].text, "'a?[31m'"));
    dx_config_faults_fini(&faults);
    c = dx_config_parse(dx_slice_str(text), "f.yaml", test_env, NULL, &faults);
    ck_assert_ptr_null(c);
    dx_config_faults_print(&faults, dx_slice_str(text), "f.yaml", &t);
    ck_assert_ptr_null(strchr(t.p, '\x1b'));
    ck_assert_ptr_nonnull(strstr(t.p, "    user: ?[0m\n"));
    dx_text_fini(&t);
    dx_config_faults_fini(&faults);
}
END_TEST

START_TEST(no_more_than_two_hundred)
{
    struct dx_text t, out;
    dx_text_init(&t);
    dx_text_init(&out);
    dx_text_adds(&t, "routes:\n  /: wsgi://w:1\n");
    for (unsigned i = 0; i < 1000; i++)
        dx_text_addf(&t, "  /%u: none%u\n", i, i);
    struct dx_config_faults faults = {0};
    const struct dx_config *c = dx_config_parse(dx_slice_of(t.p, t.n), "f.yaml", test_env, NULL, &faults);
    ck_assert_ptr_null(c);
    ck_assert_uint_eq(faults.n, 200);
    dx_config_faults_print(&faults, dx_slice_of(t.p, t.n), "f.yaml", &out);
    ck_assert_ptr_nonnull(strstr(out.p, "only the first 200 faults found are shown"));
    dx_config_faults_fini(&faults);
    dx_text_fini(&t);
    dx_text_fini(&out);
}
END_TEST

/* Every place of a secret, with a fault beside it. */
START_TEST(secrets_are_not_shown)
{
    static const char *const texts[] = {
        FULL "x-secret: hunter2\nx-secret: hunter2\n",
        "pools: {a: {kind: wsgi, servers: 'b:1', sticky: {by: cookie, secret: hunter2, bogus: 1}}}\n",
        "pools: {a: {kind: wsgi, servers: 'b:1', sticky: {bogus: 1, \"secret\" : \"hunter2\"}}}\n",
        "pools:\n  a:\n    sticky:\n      secret: [hunter2]\n",
        "pools:\n  a:\n    sticky:\n      secret:\n        [hunter2]\n",
        "pools:\n  a:\n    sticky:\n      secret:\n\n        # why\n\n        [hunter2]\n",
        "pools:\n  a:\n    sticky:\n      secret: |\n        hunter2\x01\n",
        "pools:\n  a:\n    sticky:\n      secret: \"hunter2\x01\"\n",
        "pools:\n  a:\n    sticky:\n      secret: ${hunter2\n",
        "pools: {a: {kind: wsgi, servers: 'wsgi://me:hunter2@b:1'}}\n" ROUTES,
        "pools: {a: {kind: wsgi, servers: ['me:hunter2@b:1']}}\n" ROUTES,
        "pools: {a: {kind: wsgi, servers: ['me:hunter2@b']}}\n" ROUTES,
        "routes: {/: 'asgi://me:hunter2@b:1'}\n",
        "routes: {/: 'http://hunter2@b:1'}\n",
        FULL "listen: 'me:hunter2@:80'\n",
    };
    for (size_t i = 0; i < DX_COUNT(texts); i++) {
        struct dx_config_faults faults = {0};
        struct dx_text t;
        dx_text_init(&t);
        const struct dx_config *c =
            dx_config_parse(dx_slice_str(texts[i]), "f.yaml", test_env, NULL, &faults);
        ck_assert_msg(c == NULL, "%zu has no fault", i);
        dx_config_faults_print(&faults, dx_slice_str(texts[i]), "f.yaml", &t);
        ck_assert_msg(strstr(t.p, "hunter2") == NULL, "%zu: %s", i, t.p);
        dx_text_fini(&t);
        dx_config_faults_fini(&faults);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config faults");
    TCase *tc = tcase_create("faults");
    tcase_add_loop_test(tc, one_fault, 0, (int)DX_COUNT(rows));
    tcase_add_test(tc, all_faults_in_the_order_of_the_file);
    tcase_add_test(tc, a_fault_behind_an_alias_is_told_once);
    tcase_add_test(tc, printed_with_line_and_caret);
    tcase_add_test(tc, no_control_character_reaches_a_terminal);
    tcase_add_test(tc, no_more_than_two_hundred);
    tcase_add_test(tc, secrets_are_not_shown);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
