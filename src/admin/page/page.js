// The page: asks once a second, shows what it is told, says when nobody answers. What was shown stays, marked as old.

const PERIOD_MS = 1000, ANSWER_MS = 5000, WAIT_MOST_MS = 5000;

function announce(text) {
    say($('said'), text);
}

async function get(path) {
    const response = await fetch(path, { headers: actions.headers(), cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
    if (!response.ok) throw Object.assign(new Error(path + ': ' + response.status), { status: response.status });
    return response.json();
}

// Lists and numbers that an older or newer diplex might not have.
function complete(status) {
    for (const name of ['pools', 'streams', 'elsewhere', 'routes', 'listen']) status[name] = Array.isArray(status[name]) ? status[name] : [];
    status.counters = status.counters || {};
    const told = status.snapshot;
    status.whole = told?.taken && !told.missing_workers?.length && !told.left_out;
    for (const pool of status.pools) {
        pool.waiting = Array.isArray(pool.waiting) ? pool.waiting : [];
        for (const server of pool.servers) {
            server.slots = server.slots ?? (pool.slots || null);
            server.requests = Array.isArray(server.requests) ? server.requests : [];
            server.untold = Math.max(0, server.active - server.requests.length); // counted, but not told of
        }
    }
    return status;
}

// Samples and events as they came, a quarter of an hour of them.
const past = {
    run: null, next: 0, every: 3000, now: 0, times: [], pools: new Map(), events: [],

    async update() {
        let more = await get('/history?since=' + this.next);
        if (more.run !== this.run) {
            Object.assign(this, { run: more.run, next: 0, times: [], pools: new Map(), events: [] });
            more = await get('/history?since=0');
        }
        this.take(more);
    },

    take(more) {
        Object.assign(this, { next: more.next, every: more.every_ms, now: more.now_ms });
        for (const pool of more.pools) {
            if (!this.pools.has(pool.name)) this.pools.set(pool.name, new Map());
            const columns = this.pools.get(pool.name);
            for (const [name, values] of Object.entries(pool)) {
                if (!Array.isArray(values)) continue;
                if (!columns.has(name)) columns.set(name, Array(this.times.length).fill(null));
                columns.get(name).push(...values);
            }
        }
        this.times.push(...more.at_ms);
        const old = this.times.findIndex((at) => at > this.now - PLOT_MS);
        const gone = old < 0 ? this.times.length : old;
        for (const columns of this.pools.values()) {
            for (const values of columns.values()) {
                while (values.length < this.times.length) values.push(null);
                values.splice(0, gone);
            }
        }
        this.times.splice(0, gone);
        this.events = [...this.events, ...more.events].slice(-200);
    },

    column(pool, name) {
        return this.pools.get(pool)?.get(name) || this.times.map(() => null);
    },

    // The sum of some columns of some pools over the last so many milliseconds; null: nothing is known.
    lately(pools, names, ms) {
        let sum = null;
        for (const values of pools.flatMap((pool) => names.map((name) => this.column(pool, name)))) {
            values.forEach((n, i) => { if (n !== null && this.times[i] > this.now - ms) sum += n; });
        }
        return sum;
    },

    // Counts of each sample as rates: divided by the time they stand for.
    rates(pool, name) {
        return this.column(pool, name).map((n, i) => {
            const before = this.times[i - 1];
            const lasts = before !== undefined && this.times[i] - before < 2.5 * this.every ? this.times[i] - before : this.every;
            return n === null ? null : n * 1000 / lasts;
        });
    },
};

// By the viewer's own clock.
const timeOf = (event) => new Date(Date.now() - (past.now - event.at_ms));

const page = {
    status: null, seen: [], settingsOf: null,

    show() {
        const status = this.status;
        if (!status) return;
        $('no-pools').hidden = true;
        this.head(status);
        this.numbers(status);
        keep($('pools'), status.pools, (pool) => pool.name, buildPool, (box, pool) => {
            fillPool(box, pool);
            this.plots(box, pool);
        });
        tables.fill(status);
        details.follow(status);
        this.events();
        this.reloads(status);
        this.hints(status);
        this.banners(status);
    },

    head(status) {
        mark($('state'), 'data-state', status.state);
        say($('state-word'), status.state);
        say($('level').options[0], shown(status.log_level ?? '…', 20));
        say($('process'), `${shown(status.version, 40)}, up ${span(status.uptime_ms)}, generation ${status.generation}, ${status.listen.map((a) => shown(a, 60)).join(' ')}`);
        say($('foot'), `File ${shown(status.file)}. ${many(status.workers, 'worker')}, control ${status.control_pid}, data ${status.data_pid ?? 'not running'}${status.data_deaths > 0 ? `, died ${status.data_deaths} times` : ''}. Sandbox: ${shown(status.sandbox ?? 'not said yet')}.`);
        document.title = (status.ready ? '' : status.state + ' – ') + 'diplex';
    },

    // Over the last three seconds of answers.
    rate(name) {
        const [first, last] = [this.seen[0], this.seen[this.seen.length - 1]];
        if (!first || first === last) return null;
        const grown = last.counters[name] - first.counters[name];
        return grown >= 0 ? grown * 1000 / (last.at - first.at) : null;
    },

    numbers(status) {
        const waiting = status.pools.reduce((sum, pool) => sum + pool.queued + pool.held, 0);
        const held = status.pools.reduce((sum, pool) => sum + pool.held, 0);
        const up = status.pools.flatMap((pool) => pool.servers).filter((server) => server.state === 'up').length;
        const servers = status.pools.reduce((sum, pool) => sum + pool.servers.length, 0);
        const failed = status.pools.length ? past.lately(status.pools.map((pool) => pool.name), ['server_errors', 'refused'], 300000) : null;
        const all = [
            { name: 'requests a second', value: amount(this.rate('requests_total')) },
            { name: '5xx in five minutes', value: count(failed), level: failed ? 'bad' : null },
            { name: 'running', value: count(status.counters.requests_running) },
            { name: held ? 'waiting, held' : 'waiting', value: count(waiting), level: held ? 'bad' : waiting ? 'warn' : null },
            { name: 'streams and tunnels', value: count(status.streams.length + (status.streams_left_out || 0)) },
            { name: 'client connections', value: count(status.counters.client_connections) },
            { name: 'servers up', value: count(up), of: '/ ' + count(servers), level: !up ? 'bad' : up < servers ? 'warn' : null },
        ];
        keep($('numbers'), all.map((one, i) => ({ ...one, i })), (one) => one.i, () => make('div', {}, make('dt'), make('dd', {}, make('span'), make('small'))), (box, one) => {
            const [dt, dd] = box.children;
            say(dt, one.name);
            say(dd.firstChild, one.value);
            say(dd.lastChild, one.of || '');
            mark(box, 'data-level', one.level);
        });
    },

    plots(box, pool) {
        const rates = Object.fromEntries(OUTCOMES.map(({ key }) => [key, past.rates(pool.name, key)]));
        const ms = (name) => past.column(pool.name, name).map((us) => (us === null ? null : us / 1000));
        box.rates.set(past.times, rates, past.now, past.every);
        box.times.set(past.times, { p50: ms('p50_us'), p99: ms('p99_us') }, past.now, past.every);
        box.load.set(past.times, Object.fromEntries(['active', 'queued', 'held'].map((key) => [key, past.column(pool.name, key)])), past.now, past.every);
    },

    events() {
        const signs = { info: '·', warn: '!', error: '‼' };
        const words = { info: '', warn: 'warning: ', error: 'error: ' };
        const list = [...past.events].reverse();
        keep($('event-list'), list, (event) => event.n, (event) => {
            const facts = Object.entries(event.facts).map(([name, value]) => make('span', {}, name + ' ', foreign(value, 200), '  '));
            return make('li', { 'data-level': event.level },
                make('time', { datetime: event.time, title: event.time }, clock(timeOf(event))),
                make('span', { class: 'sign', 'aria-hidden': 'true' }, signs[event.level] || '·'),
                make('div', {}, make('span', { class: 'unseen' }, words[event.level] || ''), make('b', {}, shown(event.text, 200)), ' ', make('span', { class: 'quiet' }, ...facts)));
        });
    },

    reloads(status) {
        const last = status.last_reload;
        let text = `Generation ${status.generation} of ${shown(status.file)}; no reload was asked for since the start.`;
        if (last?.ok) text = `Generation ${status.generation}, reloaded ${span(last.ms_ago)} ago.` + (last.after_restart ? ` Takes effect only after an upgrade or a restart: ${shown(last.after_restart)}.` : '');
        else if (last) text = `The reload ${span(last.ms_ago)} ago was refused; generation ${status.generation} stays in force: ${shown(last.error, 600)}`;
        say($('reloaded'), text);
        $('reloaded').classList.toggle('trouble', !!last && !last.ok);
    },

    hints(status) {
        const hints = Object.entries(status.counters).filter(([name, n]) => name.startsWith('hint_') && n > 0);
        const told = hints.map(([name, n]) => ({ name: name.replace(/^hint_|_total$/g, ''), n }));
        keep($('hints'), told.length ? told : [{ name: '' }], (one) => one.name, () => make('li'), (li, one) => {
            say(li, one.name ? `${one.name.replaceAll('_', ' ')}: seen ${many(one.n, 'time')}; the log says what to change` : 'None.');
        });
    },

    banners(status) {
        const list = [];
        if (status.state === 'restarting') list.push({ key: 'data', level: 'warn', text: 'The data process is being started again; connections that were open are lost.' });
        if (status.state === 'stopping') list.push({ key: 'stop', level: 'warn', text: 'diplex is stopping.' });
        if (status.last_reload && !status.last_reload.ok) list.push({ key: 'reload', level: 'warn', text: 'The last reload was refused: ' + shown(status.last_reload.error, 300) });
        list.push(...this.maintenance(status.maintenance));
        for (const pool of status.pools) {
            const text = pool.servers.length ? `No server of pool ${shown(pool.name, 60)} is up.` : `Pool ${shown(pool.name, 60)} has no server: no address is known.`;
            if (pool.servers.every((server) => server.state === 'down')) list.push({ key: 'down ' + pool.name, level: 'bad', text });
        }
        if (status.snapshot?.missing_workers?.length) list.push({ key: 'workers', level: 'warn', text: `Workers that did not answer in time: ${status.snapshot.missing_workers.join(', ')}. Their requests are not shown.` });
        showBanners(list);
    },

    // What is answered in place of the application.
    maintenance(told) {
        const names = (list) => list.slice(0, 6).map((name) => (name === '*' ? 'everything' : shown(name, 80))).join(', ') + (list.length > 6 ? ` and ${count(list.length - 6)} more` : '');
        const [byHand, byFile] = [told?.switched_on || [], told?.on_by_file || []];
        const list = [];
        if (byHand.length) list.push({ key: 'maintenance', level: 'warn', text: `Maintenance of ${names(byHand)}, switched on by hand: clients get its page and not the application. “diplex maintenance off” ends it.` });
        if (byFile.length) list.push({ key: 'maintenance by file', level: 'warn', text: `Maintenance of ${names(byFile)}, by the file: clients get its page and not the application.` });
        return list;
    },

    async settings() {
        if (!$('config').open || this.settingsOf === this.status?.generation) return;
        const { config, generation } = await get('/status?requests=no');
        this.settingsOf = generation;
        $('settings').replaceChildren(make('pre', { tabindex: '0', 'aria-label': 'Configuration' }, (config?.text || 'not told').split('\n').map((line) => shown(line, 400)).join('\n')));
    },
};

function showBanners(list) {
    keep($('banners'), list, (one) => one.key, () => make('p', { class: 'banner' }, make('span')), (p, one) => {
        mark(p, 'data-level', one.level);
        say(p.firstChild, one.text);
        if (one.button && p.children.length === 1) {
            const button = make('button', { type: 'button' }, one.button);
            button.addEventListener('click', one.press);
            p.append(button);
        }
    });
}

const poller = {
    timer: null, since: null, failures: 0, paused: false, busy: false,

    async turn() {
        if (this.busy || this.paused || document.hidden) return;
        const began = Date.now();
        this.busy = true;
        try {
            const status = complete(await get('/status?config=no'));
            page.seen = [...page.seen, { at: Date.now(), counters: status.counters }].slice(-4);
            await past.update();
            page.status = status;
            this.found();
        } catch (error) {
            this.lost(error, began);
        }
        if (!this.failures) await this.show();
        this.busy = false;
        this.later(this.failures ? Math.min(WAIT_MOST_MS, PERIOD_MS * this.failures) : Math.max(100, PERIOD_MS - (Date.now() - began)));
    },

    // A fault of the page is not to be taken for one of diplex.
    async show() {
        try {
            page.show();
            await page.settings();
        } catch (error) {
            console.error(error);
            showBanners([{ key: 'page', level: 'bad', text: 'The page cannot show all of this answer: ' + shown(error.message, 200) }]);
        }
    },

    later(ms) {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.turn(), ms);
    },

    soon() {
        this.later(0);
    },

    found() {
        if (this.failures) announce('diplex answers again.');
        Object.assign(this, { failures: 0, since: null });
        document.body.classList.remove('old');
    },

    lost(error, began) {
        if (!this.failures++) {
            this.since = new Date(began);
            page.seen = [];
        }
        document.body.classList.add('old');
        mark($('state'), 'data-state', 'unreachable');
        const locked = error.status === 401 || error.status === 403;
        say($('state-word'), locked ? 'locked' : 'unreachable');
        document.title = (locked ? 'locked' : 'unreachable') + ' – diplex';
        const shownFrom = page.status ? ' What is shown is old.' : '';
        showBanners([locked
            ? { key: 'locked', level: 'warn', text: 'diplex asks for the token before it tells anything.' + shownFrom, button: 'Enter the token', press: () => actions.unlock() }
            : { key: 'lost', level: 'bad', text: `diplex cannot be reached since ${clock(this.since)}; trying again.${shownFrom}` }]);
    },
};

function chooseTheme() {
    const root = document.documentElement, select = $('theme');
    const put = (theme) => mark(root, 'data-theme', theme || null);
    try {
        select.value = localStorage.getItem('diplex-theme') || '';
    } catch { /* a browser that keeps nothing */ }
    put(select.value);
    select.addEventListener('change', () => {
        put(select.value);
        try {
            localStorage.setItem('diplex-theme', select.value);
        } catch { /* not remembered */ }
    });
}

function start() {
    chooseTheme();
    tables.start();
    details.start();
    actions.start();
    $('ask-help').addEventListener('click', () => $('help').showModal());
    $('serious').addEventListener('change', () => $('event-list').classList.toggle('serious', $('serious').checked));
    $('config').addEventListener('toggle', () => poller.soon());
    $('pause').addEventListener('click', () => {
        poller.paused = !poller.paused;
        mark($('pause'), 'aria-pressed', poller.paused);
        document.body.classList.toggle('old', poller.paused);
        say($('pause'), poller.paused ? 'Paused' : 'Pause');
        poller.soon();
    });
    document.addEventListener('visibilitychange', () => poller.soon());
    document.addEventListener('keydown', (event) => {
        const typing = event.target.closest?.('input, select, textarea, dialog');
        if (event.key === '?' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
            event.preventDefault();
            $('help').showModal();
        }
    });
    poller.turn();
}

start();
