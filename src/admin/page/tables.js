// Tables that stay put while their numbers change: sorted by a click on a heading, walked through with arrows.

const kindOf = (column) => ['number', 'wide', 'brief', 'deed'].filter((kind) => column[kind]).join(' ') || undefined;

class Table {
    // columns: [{label, cell(row) -> text, element or null, by(row) -> what it is sorted by, number}]
    constructor(host, caption, columns, { keyOf, sortBy = null, open = null, empty = 'None.', most = 50 }) {
        Object.assign(this, { columns, keyOf, open, most, order: sortBy === null ? null : { at: sortBy, down: true }, rows: [] });
        this.body = make('tbody');
        const heads = columns.map((column, i) => {
            const th = make('th', { scope: 'col', class: kindOf(column) });
            if (!column.by) th.append(column.label);
            else {
                const button = make('button', { type: 'button' }, column.label);
                button.addEventListener('click', () => this.sort(i));
                th.append(button);
            }
            return th;
        });
        this.heads = heads;
        this.table = make('table', { class: 'stacked' }, make('caption', { class: 'unseen' }, caption), make('thead', {}, make('tr', {}, ...heads)), this.body);
        this.empty = make('p', { class: 'empty' }, empty);
        host.append(make('div', { class: 'scroll' }, this.table), this.empty);
        rove(this.body, 'tr', (request) => open && open(request));
        this.showOrder();
    }

    sort(at) {
        this.order = { at, down: this.order?.at === at ? !this.order.down : true };
        this.showOrder();
        this.fill(this.rows);
    }

    showOrder() {
        this.heads.forEach((th, i) => this.columns[i].by && mark(th, 'aria-sort', this.order?.at !== i ? 'none' : this.order.down ? 'descending' : 'ascending'));
    }

    sorted(rows) {
        if (!this.order) return rows;
        const by = this.columns[this.order.at].by, sign = this.order.down ? -1 : 1;
        const weigh = (a, b) => (typeof a === 'string' ? a.localeCompare(b) : (a ?? -1) - (b ?? -1));
        return [...rows].sort((a, b) => sign * weigh(by(a), by(b)));
    }

    fill(rows) {
        this.rows = rows;
        this.table.hidden = !rows.length;
        this.empty.hidden = rows.length > 0;
        const wanted = this.sorted(rows).slice(0, this.most);
        keep(this.body, wanted, this.keyOf, () => this.build(), (tr, row) => this.fillRow(tr, row));
        oneInOrder(this.body, 'tr');
    }

    build() {
        const tr = make('tr', { tabindex: '-1', 'data-opens': this.open !== null });
        tr.append(...this.columns.map((column) => make('td', { 'data-label': column.label, class: kindOf(column) })));
        if (this.open) tr.addEventListener('click', () => this.open(tr.request));
        return tr;
    }

    fillRow(tr, row) {
        if (this.open) tr.request = row;
        this.columns.forEach((column, i) => {
            const td = tr.children[i], value = column.cell(row, td);
            if (value === undefined) return;
            if (typeof value === 'string') say(td, value);
            else if (td.textContent !== value.textContent || !td.firstElementChild) td.replaceChildren(value);
        });
    }
}

const serverLine = (server) => {
    const line = make('span', { class: 'pill', 'data-state': server.state }, make('span', { class: 'dot', 'aria-hidden': 'true' }), server.state);
    return line;
};

// What no route matched has none.
const routeOf = (route) => (route.prefix === null ? '(no route)' : (route.host || '') + route.prefix);

const WHY = {
    probe: 'its probes fail', passive: 'its connections failed', exited: 'its process ended',
    drained: 'drained by hand', name_gone: 'its name has no address',
};

function probeText(probe) {
    if (!probe) return 'not probed';
    if (probe.ms_ago === null) return 'not yet';
    const said = probe.error ? shown(probe.error, 120) : probe.status ? 'status ' + probe.status : 'no answer';
    return `${said}, ${span(probe.ms_ago)} ago` + (probe.hint ? `; hint: ${shown(probe.hint, 60)}` : '');
}

const tables = {
    start() {
        this.longest = new Table($('longest'), 'Requests that have run the longest', [
            { label: 'Age', number: true, cell: (r) => span(r.age_ms), by: (r) => r.age_ms },
            { label: 'Request', wide: true, cell: (r) => foreign(targetOf(r), 160), by: (r) => r.path },
            { label: 'Pool', brief: true, cell: (r) => foreign(r.pool, 60), by: (r) => r.pool },
            { label: 'It', brief: true, cell: stateText },
        ], { keyOf, sortBy: 0, open: (r) => details.open(r), empty: 'Nothing runs.', most: 12 });
        this.routes = new Table($('routes'), 'Routes, slowest first', [
            { label: 'Route', cell: (r) => foreign(routeOf(r), 120), by: routeOf },
            { label: 'Pool', brief: true, cell: (r) => foreign(r.pool ?? '–', 60), by: (r) => r.pool ?? '' },
            { label: 'Requests', number: true, cell: (r) => count(r.requests), by: (r) => r.requests },
            { label: '5xx', number: true, cell: (r) => count(r.answers_5xx), by: (r) => r.answers_5xx },
            { label: 'Half within', number: true, cell: (r) => span(r.total?.p50_ms), by: (r) => r.total?.p50_ms },
            { label: '99 % within', number: true, cell: (r) => span(r.total?.p99_ms), by: (r) => r.total?.p99_ms },
            { label: 'Time in all', number: true, cell: (r) => span(r.total?.sum_ms), by: (r) => r.total?.sum_ms },
        ], { keyOf: (r) => r.host + ' ' + r.prefix + ' ' + r.pool, sortBy: 5, empty: 'No requests yet.' });
        this.servers = new Table($('servers'), 'Servers of all pools', [
            { label: 'Server', cell: (s) => foreign(s.name, 80), by: (s) => s.name },
            { label: 'Pool', brief: true, cell: (s) => foreign(s.pool, 60), by: (s) => s.pool },
            { label: 'Address', cell: (s) => foreign(s.address, 100) },
            { label: 'Health', cell: serverLine, by: (s) => s.state },
            { label: 'Why', cell: (s) => (s.why ? WHY[s.why] || shown(s.why, 40) : '–') },
            { label: 'Last probe', cell: (s) => probeText(s.probe) },
            { label: 'Running', number: true, cell: (s) => count(s.active), by: (s) => s.active },
            { label: 'Requests', number: true, cell: (s) => count(s.requests_total), by: (s) => s.requests_total },
            { label: 'Failures', number: true, cell: (s) => count(s.connect_failures + s.resets), by: (s) => s.connect_failures + s.resets },
            { label: 'Action', deed: true, cell: (s, td) => actions.drainButton(s, td) },
        ], { keyOf: (s) => s.pool + ' ' + s.name + ' ' + s.address, empty: 'No servers.', most: 200 });
    },

    fill(status) {
        const withServer = (pool) => pool.servers.flatMap((server) => server.requests.map((r) => ({ ...r, pool: pool.name, server: server.name })));
        this.running = [...status.pools.flatMap(withServer), ...status.streams, ...status.elsewhere].filter((r) => r.id !== undefined);
        const unique = [...new Map(this.running.map((r) => [keyOf(r), r])).values()];
        say(this.longest.empty, status.whole ? 'Nothing runs.' : 'The workers did not say what runs.');
        this.longest.fill(unique.filter((r) => !r.streaming).map((r) => ({ pool: '', ...r })));
        this.routes.fill(status.routes);
        this.servers.fill(status.pools.flatMap((pool) => pool.servers.map((server) => ({ ...server, pool: pool.name }))));
    },
};

// One request, for as long as it runs.
const details = {
    start() {
        $('details').addEventListener('close', () => (this.key = null));
    },

    open(request) {
        this.key = keyOf(request);
        this.fill(request, false);
        if (!$('details').open) $('details').showModal();
    },

    follow(status) {
        if (!this.key) return;
        const waiting = status.pools.flatMap((pool) => pool.waiting.map((r) => ({ ...r, pool: pool.name, state: 'waiting' })));
        const request = [...tables.running, ...waiting].find((r) => keyOf(r) === this.key);
        this.fill(request || this.last, !request);
    },

    fill(request, ended) {
        this.last = request;
        say($('details-title'), ended ? 'This request has ended' : request.streaming ? 'Stream' : 'Request');
        const facts = [
            ['Age', span(request.age_ms) + (ended ? ' when last seen' : '')], ['Method', request.method], ['Host', request.host], ['Path', request.path],
            ['Client', request.client], ['Route', request.route], ['Pool', request.pool], ['Server', request.server], ['State', request.state && stateText(request)],
            ['Waits for', REASONS[request.why]], ['Id', request.id], ['Worker', String(request.worker)], ['Body in', request.bytes_in && count(request.bytes_in) + ' bytes'],
            ['Body out', request.bytes_out && count(request.bytes_out) + ' bytes'],
        ].filter(([, value]) => value !== undefined && value !== null && value !== '' && value !== false && value !== 0);
        $('facts').replaceChildren(...facts.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, foreign(value, 4000))]));
    },
};
