// Words, numbers and elements. What comes from diplex may hold a stranger's bytes (paths, hosts, ids), so there is one way
// in which it reaches the page: as text, with what would hide or turn it round made visible.

const $ = (id) => document.getElementById(id);

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]/g;

function shown(text, most = 400) {
    const s = String(text ?? '').replace(UNSEEN, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
    const points = Array.from(s.slice(0, 2 * most));
    return points.length > most || s.length > 2 * most ? points.slice(0, most).join('') + '…' : s;
}

// An element: attributes by name, children as elements or as text. Never markup.
function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

function drawn(tag, attributes = {}, text) {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
}

const foreign = (text, most) => make('bdi', { class: 'code' }, shown(text, most));

function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, value) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// Holds the children of `parent` to the items: one element for each key, kept as long as its key is there, so that what
// has the focus keeps it.
function keep(parent, items, keyOf, build, fill) {
    const before = parent.kept || new Map();
    const now = new Map();
    const focused = document.activeElement;
    let place = [...parent.children].find((child) => child.key !== undefined) || null;
    for (const item of items) {
        const key = keyOf(item);
        if (now.has(key)) continue;
        const element = before.get(key) || Object.assign(build(item), { key });
        now.set(key, element);
        before.delete(key);
        while (place && place.key !== undefined && before.get(place.key) === place) {
            const gone = place;
            place = place.nextElementSibling;
            before.delete(gone.key);
            leave(gone);
        }
        if (element === place) place = place.nextElementSibling;
        else parent.insertBefore(element, place);
        if (fill) fill(element, item);
    }
    before.forEach(leave);
    parent.kept = now;
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

// What has the focus goes on to what stands beside it.
function leave(element) {
    if (element.contains(document.activeElement)) {
        const next = element.nextElementSibling || element.previousElementSibling || element.parentElement;
        if (next && next.tabIndex >= -1) {
            next.setAttribute('tabindex', '0');
            next.focus({ preventScroll: true });
        }
    }
    element.remove();
}

function span(ms) {
    if (ms === null || ms === undefined || !isFinite(ms)) return '–';
    if (ms < 1) return ms > 0 ? '<1 ms' : '0 ms';
    if (ms < 1000) return Math.round(ms) + ' ms';
    const s = ms / 1000;
    if (s < 10) return s.toFixed(1) + ' s';
    if (s < 60) return Math.floor(s) + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' min ' + Math.floor(s % 60) + ' s';
    if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor((s % 3600) / 60) + ' min';
    return Math.floor(s / 86400) + ' d ' + Math.floor((s % 86400) / 3600) + ' h';
}

// As it stands on an axis, where there is little room.
function tick(ms) {
    return ms < 1000 ? Number(ms.toFixed(1)) + ' ms' : ms < 120000 ? Number((ms / 1000).toFixed(1)) + ' s' : Number((ms / 60000).toFixed(1)) + ' min';
}

function count(n) {
    return n === null || n === undefined ? '–' : Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

function amount(n) {
    if (n === null || n === undefined || !isFinite(n)) return '–';
    return n === 0 ? '0' : n < 10 ? String(Number(n.toFixed(n < 1 ? 2 : 1))) : count(n);
}

const many = (n, one, more = one + 's') => count(n) + ' ' + (n === 1 ? one : more);

const two = (n) => String(n).padStart(2, '0');

function clock(date) {
    return two(date.getHours()) + ':' + two(date.getMinutes()) + ':' + two(date.getSeconds());
}
