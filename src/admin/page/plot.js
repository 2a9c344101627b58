// A plot of a quarter of an hour, or of less as long as there is less. Each sample stands for the time since the one before it and is drawn as that step;
// where nothing is known nothing is drawn. The scale begins at zero, the time axis is time and not a number of samples.

const PLOT_MS = 15 * 60 * 1000, SPANS = [1, 2, 5, 15]; // minutes
const LEFT = 40, BOTTOM = 18, TOP = 6;

function niceTop(value) {
    if (!(value > 0)) return 1;
    const base = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 4, 5, 10].map((step) => step * base).find((top) => top >= value * 0.9999);
}

class Plot {
    // series: [{key, label, colour, thin}]; stacked: they are parts of a whole, the first one at the bottom.
    constructor(title, unit, series, { stacked = false, read = amount, scale = read } = {}) {
        Object.assign(this, { title, unit, series, stacked, read, tick: scale, times: [], columns: {}, cursor: null, every: 3000 });
        this.when = make('span', { class: 'when' });
        this.values = new Map();
        const legend = make('span', { class: 'legend' });
        for (const one of series) {
            const value = make('b');
            this.values.set(one.key, value);
            legend.append(make('span', { class: 'of-' + one.colour }, make('i', { 'data-thin': one.thin }), one.label + ' ', value));
        }
        this.caption = make('figcaption', {}, make('b', {}, title), make('span', { class: 'quiet' }, unit), this.when, legend);
        this.svg = drawn('svg', { 'aria-hidden': 'true' });
        this.box = make('div', { class: 'plot', tabindex: '0', role: 'slider', 'aria-label': title + ', ' + unit, 'aria-valuemin': '0' }, this.svg);
        this.figure = make('figure', {}, this.caption, this.box);
        this.box.addEventListener('pointermove', (event) => this.point(event));
        this.box.addEventListener('pointerleave', () => this.look(null));
        this.box.addEventListener('blur', () => this.look(null));
        this.box.addEventListener('keydown', (event) => this.key(event));
        new ResizeObserver(() => this.draw()).observe(this.box);
    }

    // Columns are as long as times; null: nothing is known.
    set(times, columns, now, every) {
        Object.assign(this, { times, columns, now, every });
        this.draw();
    }

    value(key, i) {
        const v = this.columns[key]?.[i];
        return v === undefined ? null : v;
    }

    known(i) {
        return this.series.some((one) => this.value(one.key, i) !== null);
    }

    top() {
        let most = 0;
        for (let i = 0; i < this.times.length; i++) {
            const values = this.series.map((one) => this.value(one.key, i) ?? 0);
            most = Math.max(most, this.stacked ? values.reduce((a, b) => a + b, 0) : Math.max(...values));
        }
        return niceTop(most);
    }

    x(at) {
        return LEFT + (this.width - LEFT) * Math.min(1, Math.max(0, 1 - (this.now - at) / (this.minutes * 60000)));
    }

    y(value) {
        return TOP + (this.height - TOP - BOTTOM) * (1 - value / this.scale);
    }

    // Where the step of sample i begins: at the sample before, unless one is missing between them.
    begins(i) {
        const before = this.times[i - 1];
        return before !== undefined && this.times[i] - before < 2.5 * this.every ? before : this.times[i] - this.every;
    }

    line(key) {
        let path = '', joined = false;
        this.times.forEach((at, i) => {
            const v = this.value(key, i);
            if (v === null) {
                joined = false;
                return;
            }
            const adjoins = joined && this.begins(i) === this.times[i - 1];
            path += (adjoins ? 'V' : 'M' + this.x(this.begins(i)).toFixed(1) + ' ') + this.y(v).toFixed(1) + 'H' + this.x(at).toFixed(1);
            joined = true;
        });
        return path;
    }

    area(k) {
        let path = '';
        this.times.forEach((at, i) => {
            const v = this.value(this.series[k].key, i);
            if (!v) return;
            const below = this.series.slice(0, k).reduce((sum, one) => sum + (this.value(one.key, i) ?? 0), 0);
            const x0 = this.x(this.begins(i)).toFixed(1), x1 = this.x(at).toFixed(1);
            path += `M${x0} ${this.y(below).toFixed(1)}V${this.y(below + v).toFixed(1)}H${x1}V${this.y(below).toFixed(1)}Z`;
        });
        return path;
    }

    axes() {
        const parts = [];
        for (const part of [0, 0.5, 1]) {
            const y = this.y(this.scale * part).toFixed(1);
            parts.push(drawn('line', { class: 'grid', x1: LEFT, x2: this.width, y1: y, y2: y }));
            parts.push(drawn('text', { x: LEFT - 6, y: Number(y) + 4, 'text-anchor': 'end' }, this.tick(this.scale * part)));
        }
        const steps = this.minutes === 15 ? 3 : 2;
        for (let step = 0; step <= steps; step++) {
            const part = step / steps, ago = this.minutes * (steps - step) / steps;
            const anchor = step === 0 ? 'start' : step < steps ? 'middle' : 'end';
            parts.push(drawn('text', { x: LEFT + (this.width - LEFT) * part, y: this.height - 3, 'text-anchor': anchor }, ago ? '−' + (ago < 1 ? ago * 60 + ' s' : ago + ' min') : 'now'));
        }
        return parts;
    }

    draw() {
        this.width = this.box.clientWidth;
        this.height = this.box.clientHeight;
        if (!this.width || !this.now) return;
        this.scale = this.top();
        const first = this.times.findIndex((at, i) => this.known(i));
        this.minutes = SPANS.find((minutes) => first < 0 || this.now - this.times[first] < minutes * 60000) || 15;
        const parts = this.axes();
        this.series.forEach((one, k) => {
            const d = this.stacked ? this.area(k) : this.line(one.key);
            if (!d) return;
            const path = drawn('path', { d, class: (this.stacked ? 'area' : 'series') + ' of-' + one.colour });
            if (one.thin) path.setAttribute('data-thin', '');
            parts.push(path);
        });
        if (!this.times.some((at, i) => this.known(i))) {
            parts.push(drawn('text', { class: 'nothing', x: (LEFT + this.width) / 2, y: this.height / 2 - 4 }, 'nothing to show yet'));
        }
        this.svg.setAttribute('viewBox', `0 0 ${this.width} ${this.height}`);
        this.svg.replaceChildren(...parts);
        this.readOut();
    }

    // What is pointed at; else the newest.
    readOut() {
        const last = this.times.length - 1;
        const i = this.cursor === null ? last : this.times.indexOf(this.cursor);
        const at = this.times[i];
        this.svg.querySelector('.cursor')?.remove();
        if (this.cursor !== null && at !== undefined) {
            this.svg.append(drawn('line', { class: 'cursor', x1: this.x(at), x2: this.x(at), y1: TOP, y2: this.height - BOTTOM }));
        }
        const words = [];
        for (const one of this.series) {
            const v = i >= 0 ? this.value(one.key, i) : null;
            say(this.values.get(one.key), v === null ? '–' : this.read(v));
            words.push(one.label + ' ' + (v === null ? 'unknown' : this.read(v)));
        }
        const when = at === undefined ? '' : clock(new Date(Date.now() - (this.now - at)));
        say(this.when, this.cursor === null ? '' : when);
        this.box.setAttribute('aria-valuemax', String(Math.max(0, last)));
        this.box.setAttribute('aria-valuenow', String(Math.max(0, i)));
        this.box.setAttribute('aria-valuetext', when ? when + ': ' + words.join(', ') : 'nothing yet');
    }

    look(at) {
        this.cursor = at;
        if (this.width && this.now) this.readOut();
    }

    point(event) {
        const box = this.box.getBoundingClientRect();
        const at = this.now - this.minutes * 60000 * (1 - (event.clientX - box.left - LEFT) / (box.width - LEFT));
        let nearest = null;
        for (const time of this.times) {
            if (nearest === null || Math.abs(time - at) < Math.abs(nearest - at)) nearest = time;
        }
        this.look(nearest);
    }

    key(event) {
        const last = this.times.length - 1;
        const i = this.cursor === null ? last : this.times.indexOf(this.cursor);
        const moves = { ArrowLeft: i - 1, ArrowDown: i - 1, ArrowRight: i + 1, ArrowUp: i + 1, PageDown: i - 20, PageUp: i + 20, Home: 0, End: last };
        if (event.key === 'Escape') this.look(null);
        else if (event.key in moves && last >= 0) this.look(this.times[Math.min(last, Math.max(0, moves[event.key]))]);
        else return;
        event.preventDefault();
    }
}
