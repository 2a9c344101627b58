// What an operator may do. Over TCP it needs the token, which is kept for this tab alone; on the socket, reached through
// ssh, nobody is asked for one, but the buttons come only when they are wanted. Each is asked about once more.

const actions = {
    allowed: false,

    get token() {
        return sessionStorage.getItem('diplex-token') || '';
    },

    headers() {
        return this.token ? { Authorization: 'Bearer ' + this.token } : {};
    },

    async start() {
        $('unlock').addEventListener('click', () => this.unlock());
        $('token-no').addEventListener('click', () => $('token-dialog').close());
        $('token-form').addEventListener('submit', (event) => {
            event.preventDefault();
            this.tryToken($('token').value);
        });
        $('ask-no').addEventListener('click', () => $('ask').close());
        $('ask-yes').addEventListener('click', () => this.run());
        $('reload').addEventListener('click', () => this.ask('Read the file again?', 'diplex reads its configuration file and puts it in force. A faulty file changes nothing.', '/reload'));
        $('level').addEventListener('change', () => this.level());
        if (this.token || sessionStorage.getItem('diplex-operator')) this.allow(await this.may());
    },

    // Whether verbs would be answered: a drain that names no server is refused as such, or for want of a token.
    async may() {
        try {
            const answer = await fetch('/drain', { headers: this.headers(), cache: 'no-store' });
            return answer.status === 400;
        } catch {
            return false;
        }
    },

    async unlock() {
        if (this.allowed) {
            sessionStorage.removeItem('diplex-token');
            sessionStorage.removeItem('diplex-operator');
            this.allow(false);
            poller.soon();
            return;
        }
        if (!this.token && (await this.may())) {
            sessionStorage.setItem('diplex-operator', 'yes');
            this.allow(true);
            return;
        }
        say($('token-error'), '');
        $('token').value = '';
        $('token-dialog').showModal();
    },

    async tryToken(token) {
        if (!/^[\x21-\x7e]+$/.test(token)) {
            say($('token-error'), 'A token has printable characters without spaces.');
            return;
        }
        sessionStorage.setItem('diplex-token', token);
        if (!(await this.may())) {
            sessionStorage.removeItem('diplex-token');
            say($('token-error'), 'diplex does not take this token.');
            return;
        }
        $('token').value = '';
        $('token-dialog').close();
        this.allow(true);
        poller.soon();
    },

    allow(yes) {
        this.allowed = yes;
        document.body.classList.toggle('unlocked', yes);
        say($('unlock'), yes ? 'Lock' : 'Actions…');
        mark($('unlock'), 'aria-haspopup', yes ? null : 'dialog');
        document.querySelectorAll('.operator').forEach((element) => (element.hidden = !yes));
        announce(yes ? 'Actions are unlocked.' : 'Actions are locked.');
        page.show();
    },

    ask(title, text, path, { writes = false } = {}) {
        this.path = path;
        say($('ask-title'), title);
        say($('ask-text'), text);
        $('ask-writes-label').hidden = !writes;
        $('ask-writes').checked = false;
        $('ask-answer').hidden = true;
        $('ask-yes').hidden = false;
        say($('ask-no'), 'Cancel');
        $('ask').showModal();
        $('ask-no').focus();
    },

    async run() {
        const path = this.path + ($('ask-writes').checked ? '&methods=unsafe' : '');
        const answer = $('ask-answer');
        $('ask-yes').hidden = true;
        $('ask-writes-label').hidden = true;
        say($('ask-no'), 'Close');
        $('ask-no').focus();
        say(answer, '…');
        answer.hidden = false;
        try {
            const response = await fetch(path, { method: 'POST', headers: this.headers(), cache: 'no-store' });
            say(answer, (response.ok ? 'Done.' : `Not done (${response.status}).`) + '\n' + this.answerText(await response.text()));
        } catch {
            say(answer, 'No answer: diplex could not be reached.');
        }
        poller.soon();
    },

    // JSON as lines of "name: value", text as it is.
    answerText(text) {
        try {
            const lines = Object.entries(JSON.parse(text)).map(([name, value]) => `${name.replaceAll('_', ' ')}: ${value === '' ? '–' : value}`);
            return lines.map((line) => shown(line, 400)).join('\n');
        } catch {
            return text.split('\n').map((line) => shown(line, 400)).join('\n').trim();
        }
    },

    hold(pool) {
        const name = encodeURIComponent(pool.name), called = shown(pool.name, 80);
        if (pool.hold) this.ask(`Release ${called}?`, 'What waits goes to the servers, in order.', '/release?pool=' + name);
        else this.ask(`Hold ${called}?`, 'New requests wait until it is released, within the limits of hold.wait and hold.max; then they are refused.', '/hold?pool=' + name, { writes: true });
    },

    drainButton(server, td) {
        td.server = server;
        let button = td.querySelector('button');
        if (!button) {
            button = make('button', { type: 'button', class: 'operator' });
            button.addEventListener('click', () => this.drain(td.server));
            td.append(button);
        }
        const drained = server.why === 'drained';
        button.hidden = !this.allowed;
        say(button, drained ? 'Undrain' : 'Drain…');
        mark(button, 'aria-label', `${drained ? 'Undrain' : 'Drain'} ${shown(server.name, 80)} of ${shown(server.pool, 80)}`);
        return undefined;
    },

    drain(server) {
        const called = `${server.pool}/${server.name}`, name = encodeURIComponent(called);
        if (server.why === 'drained') this.ask(`Undrain ${shown(called, 120)}?`, 'It gets new requests again as soon as its health allows.', '/undrain?server=' + name);
        else this.ask(`Drain ${shown(called, 120)}?`, 'It gets no new requests; what runs there may finish.', '/drain?server=' + name);
    },

    level() {
        const level = $('level').value;
        $('level').value = '';
        if (level) this.ask(`Log level ${level}?`, 'Until the next reload that says otherwise, or the next start.', '/log?level=' + level);
    },
};
