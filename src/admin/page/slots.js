// A pool: what it is doing now as a grid of slots, who waits for one, and its plots.

const TILES_WIDE = 24;   // slots of a pool that may be shown with their paths
const TILES_MOST = 256;  // of one server
const AGES = [1000, 5000, 15000, 60000];

const keyOf = (request) => request.worker + '/' + request.id;
const targetOf = (request) => request.method + ' ' + request.path;

function ageOf(ms) {
    const at = AGES.findIndex((limit) => ms < limit);
    return at < 0 ? AGES.length : at;
}

const STATES = {
    read_head: 'sends its head', read_body: 'sends its body', pick: 'waits for its turn', connect: 'is being connected',
    send: 'goes to the server', await_head: 'waits for the answer', relay: 'is being answered', deliver: 'takes its answer',
    tunnel: 'a tunnel', reply: 'is told no', drain: 'ends',
};
const stateText = (request) => STATES[request.state] || shown(request.state, 30);

// How far it is through the colour it has, so that growing shows between two colours too.
function partOf(ms) {
    const age = ageOf(ms);
    const from = age ? AGES[age - 1] : 0, to = AGES[age] || 300000;
    return Math.min(100, Math.round(100 * (ms - from) / (to - from)));
}

// A request keeps the tile it was given, whoever ends beside it.
function seat(row, server) {
    const requests = server.requests;
    const seats = row.seats || (row.seats = []);
    const running = new Map(requests.map((request) => [keyOf(request), request]));
    for (let i = 0; i < seats.length; i++) if (!running.has(seats[i])) seats[i] = undefined;
    const seated = new Set(seats);
    const fresh = requests.map(keyOf).filter((key) => !seated.has(key));
    const size = Math.max(server.slots || 0, requests.length + server.untold);
    for (let i = 0; fresh.length; i++) if (seats[i] === undefined) seats[i] = fresh.shift();
    if (!server.slots) row.seats = seats.filter((key) => key !== undefined);
    else while (seats.length > size && seats[seats.length - 1] === undefined) seats.pop();
    let untold = server.untold;
    return Array.from({ length: Math.min(size, TILES_MOST) }, (_, i) => {
        const request = running.get(row.seats[i]);
        return { place: i, request, untold: !request && untold-- > 0 };
    });
}

function fillTile(tile, { place, request, untold }, server) {
    const [what, age] = tile.children;
    tile.request = request;
    if (!request) {
        const idle = untold ? 'busy' : server.why === 'drained' ? 'drained' : server.state === 'down' ? 'down' : 'idle';
        say(what, idle);
        say(age, '');
        mark(tile, 'data-age', untold ? 'untold' : null);
        mark(tile, 'title', untold ? 'No request is told of it: it has just begun or ended, its client has left, or its worker did not say' : null);
        mark(tile, 'aria-label', `${idle}: slot ${place + 1} of ${shown(server.name, 80)}`);
        tile.style.removeProperty('--part');
        return;
    }
    const target = shown(targetOf(request), 200), lasts = span(request.age_ms);
    say(what, shown(request.path, 200));
    say(age, (request.streaming ? '≈ ' : '') + lasts + ' ' + shown(request.method, 12));
    mark(tile, 'data-age', request.streaming ? 'stream' : ageOf(request.age_ms));
    mark(tile, 'title', `${target}\n${lasts}, ${stateText(request)}, ${shown(request.client, 80)}`);
    mark(tile, 'aria-label', `${what.textContent} ${age.textContent}, ${request.streaming ? 'a stream' : 'busy'}: slot ${place + 1} of ${shown(server.name, 80)}`);
    if (request.streaming) tile.style.removeProperty('--part');
    else tile.style.setProperty('--part', partOf(request.age_ms) + '%');
}

function buildTile() {
    const tile = make('div', { class: 'tile', role: 'gridcell', tabindex: '-1' }, make('bdi', { class: 'what' }), make('span', { class: 'age' }));
    tile.addEventListener('click', () => tile.request && details.open(tile.request));
    return tile;
}

function buildRow() {
    const row = make('div', { class: 'row', role: 'row' });
    row.name = make('b');
    row.word = make('span', { class: 'pill' }, make('span', { class: 'dot', 'aria-hidden': 'true' }), make('span'));
    row.tally = make('span', { class: 'quiet' });
    row.tiles = make('div', { class: 'tiles', role: 'presentation' });
    row.append(make('div', { class: 'row-name', role: 'rowheader' }, row.name, row.word, row.tally), row.tiles);
    return row;
}

function fillRow(row, server) {
    const busy = server.active, streams = server.requests.filter((request) => request.streaming).length;
    say(row.name, shown(server.name, 80));
    mark(row.name, 'title', shown(server.address));
    mark(row.word, 'data-state', server.state);
    say(row.word.lastChild, server.state + (server.why ? ', ' + server.why.replace('_', ' ') : ''));
    const missing = (server.requests_left_out || 0) + Math.max(0, Math.max(server.slots || 0, server.requests.length) - TILES_MOST);
    say(row.tally, (server.slots ? `${count(busy)} of ${many(server.slots, 'slot')} busy` : many(busy, 'request')) + (streams ? `, ${many(streams, 'stream')}` : '') + (missing ? `, ${count(missing)} not shown` : ''));
    keep(row.tiles, seat(row, server), (one) => one.place, buildTile, (tile, one) => fillTile(tile, one, server));
}

// Arrows from tile to tile; one of them is in the order of Tab.
function rove(grid, items, open) {
    grid.addEventListener('keydown', (event) => {
        const all = [...grid.querySelectorAll(items)];
        const at = all.indexOf(document.activeElement);
        if (at < 0) return;
        const here = all[at].getBoundingClientRect();
        const beside = (rows) => {
            const wanted = all.filter((one) => (rows > 0 ? one.getBoundingClientRect().top > here.top + 2 : one.getBoundingClientRect().top < here.top - 2));
            const edge = wanted.length && (rows > 0 ? Math.min : Math.max)(...wanted.map((one) => one.getBoundingClientRect().top));
            const line = wanted.filter((one) => Math.abs(one.getBoundingClientRect().top - edge) < 3);
            return line.sort((a, b) => Math.abs(a.getBoundingClientRect().left - here.left) - Math.abs(b.getBoundingClientRect().left - here.left))[0];
        };
        const moves = { ArrowLeft: () => all[at - 1], ArrowRight: () => all[at + 1], ArrowUp: () => beside(-1), ArrowDown: () => beside(1), Home: () => all[0], End: () => all[all.length - 1] };
        if (event.key === 'Enter' || event.key === ' ') {
            if (document.activeElement.request) open(document.activeElement.request);
        } else if (moves[event.key]) {
            const next = moves[event.key]();
            if (next) {
                all.forEach((one) => mark(one, 'tabindex', one === next ? 0 : -1));
                next.focus();
            }
        } else return;
        event.preventDefault();
    });
}

function oneInOrder(grid, items) {
    const all = [...grid.querySelectorAll(items)];
    if (all.length && !all.some((one) => one.tabIndex === 0)) mark(all[0], 'tabindex', 0);
}

const OUTCOMES = [
    { key: 'ok', label: 'fine', colour: 'accent' },
    { key: 'client_errors', label: '4xx', colour: 'violet' },
    { key: 'server_errors', label: '5xx by servers', colour: 'bad' },
    { key: 'refused', label: '5xx by diplex', colour: 'warn' },
    { key: 'left', label: 'left or cut', colour: 'grey' },
];

function buildPlots(box, name) {
    box.rates = new Plot('Requests', 'per second, by outcome', OUTCOMES, { stacked: true });
    box.times = new Plot('Latency', 'total time', [
        { key: 'p50', label: 'half within', colour: 'accent' },
        { key: 'p99', label: '99 % within', colour: 'warn', thin: true },
    ], { read: span, scale: tick });
    box.load = new Plot('Load', 'requests at the moment', [
        { key: 'active', label: 'running', colour: 'accent' },
        { key: 'queued', label: 'queued', colour: 'warn' },
        { key: 'held', label: 'held', colour: 'bad' },
    ], { stacked: true });
    box.plots = [box.rates, box.times, box.load];
    box.plots.forEach((plot) => mark(plot.box, 'aria-label', `${shown(name, 60)}: ${plot.title}, ${plot.unit}`));
    return make('div', { class: 'plots' }, ...box.plots.map((plot) => plot.figure));
}

function buildPool(pool) {
    const box = make('section', { class: 'pool' });
    const title = make('h3', {}, make('bdi', {}, shown(pool.name, 80)));
    box.title = pool.name;
    mark(box, 'aria-label', 'Pool ' + shown(pool.name, 80));
    box.removeAttribute('title');
    box.kind = make('span', { class: 'word' });
    box.tally = make('span', { class: 'quiet' });
    box.waits = make('span', { class: 'word' });
    box.byHand = make('span', { class: 'word', 'data-level': 'warn' });
    box.button = make('button', { type: 'button', class: 'operator', hidden: true });
    box.button.addEventListener('click', () => actions.hold(box.pool));
    box.grid = make('div', { role: 'grid', 'aria-label': `Slots of ${shown(pool.name, 80)}` });
    rove(box.grid, '.tile', (request) => details.open(request));
    box.queue = make('ol', { class: 'tiles', 'aria-label': 'Waiting requests' });
    rove(box.queue, '.tile', (request) => details.open(request));
    box.why = make('p');
    box.waiting = make('div', { class: 'waiting' }, box.why, box.queue);
    box.append(make('div', { class: 'pool-head' }, title, box.kind, box.tally, box.waits, box.byHand, make('span', { class: 'buttons' }, box.button)), box.grid, box.waiting, buildPlots(box, pool.name));
    return box;
}

const REASONS = { slot: 'all slots are taken', server: 'no server can take a request', hand: 'held by hand' };

// What is held is held by hand, or because no server is there; the rest waits for a slot.
function waitingText(pool) {
    const oldest = Math.max(0, ...pool.waiting.map((request) => request.age_ms));
    const hand = REASONS.hand + (pool.hold === 'unsafe' ? ' (methods that may change something)' : '');
    const told = [[pool.held, pool.hold ? hand : REASONS.server], [pool.queued, REASONS.slot]].filter(([n]) => n > 0);
    if (!told.length) return '';
    return told.map(([n, why]) => `${many(n, 'request')} ${n === 1 ? 'waits' : 'wait'}: ${why}.`).join(' ') + (oldest ? ` The first has waited for ${span(oldest)}.` : '');
}

function fillWaiting(box, pool) {
    const told = [pool.held && 'held ' + count(pool.held), pool.queued && 'queue ' + count(pool.queued)].filter(Boolean);
    box.waiting.hidden = !told.length && !pool.waiting.length;
    say(box.waits, told.join(', ') || 'nobody waits');
    mark(box.waits, 'data-level', pool.held && !pool.hold ? 'bad' : told.length ? 'warn' : null);
    say(box.why, waitingText(pool) + (pool.waiting_left_out ? ` ${count(pool.waiting_left_out)} are not shown.` : ''));
    keep(box.queue, pool.waiting.map((request, place) => ({ place, request })), (one) => keyOf(one.request), () => {
        const tile = make('li', { class: 'tile', tabindex: '-1' }, make('bdi', { class: 'what' }), make('span', { class: 'age' }));
        tile.addEventListener('click', () => details.open(tile.request));
        return tile;
    }, (tile, { place, request }) => {
        fillTile(tile, { place, request }, { name: pool.name });
        mark(tile, 'aria-label', `${tile.children[0].textContent} ${tile.children[1].textContent}, waits: ${REASONS[request.why] || shown(request.why, 40)}`);
    });
    oneInOrder(box.queue, '.tile');
}

function fillPool(box, pool) {
    const up = pool.servers.filter((server) => server.state === 'up').length;
    const slots = pool.slots * pool.servers.length;
    const busy = pool.servers.reduce((sum, server) => sum + server.active, 0);
    box.pool = pool;
    say(box.kind, pool.kind);
    say(box.tally, `${up} of ${many(pool.servers.length, 'server')} up, ` + (slots ? `${count(busy)} of ${many(slots, 'slot')} busy` : many(busy, 'request') + ' running'));
    box.byHand.hidden = !pool.hold;
    const since = past.events.findLast?.((event) => event.event === 'pool_held' && event.facts.pool === pool.name);
    say(box.byHand, 'hold by hand' + (pool.hold === 'unsafe' ? ': writes' : '') + (since ? ', since ' + clock(timeOf(since)) : ''));
    say(box.button, pool.hold ? 'Release' : 'Hold…');
    mark(box.button, 'aria-label', (pool.hold ? 'Release ' : 'Hold ') + shown(pool.name, 80));
    box.button.hidden = !actions.allowed;
    box.classList.toggle('dense', Math.max(slots, busy) > TILES_WIDE);
    keep(box.grid, pool.servers, (server) => server.name + ' ' + server.address, buildRow, fillRow);
    oneInOrder(box.grid, '.tile');
    fillWaiting(box, pool);
}
