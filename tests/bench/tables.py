# SPDX-License-Identifier: MIT
"""What was measured, as samples, and the tables made of them."""

from __future__ import annotations

import dataclasses
import math
import statistics

from peers import BASELINE, FLOOR, OURS


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one proxy did in one round of one work."""

    requests: int  # or messages, or events
    seconds: float
    cpu_us: float  # per request, all threads and processes of the proxy
    user_share: float  # of the processor time
    busy: float  # of one core
    p50_us: int
    p99_us: int
    p999_us: int
    errors: int
    pss_kib: int | None
    idle_bytes: float | None = None  # for each connection that only waits
    than_cpu_us: float | None = None  # the same peer in the work that is compared with


# The columns of a table: title, value of a sample, how to write it.
COLUMNS = (
    ('{}/s', lambda s: s.requests / s.seconds, '{:.0f}'),
    ('CPU us/{}', lambda s: s.cpu_us, '{:.2f}'),
    ('user', lambda s: 100 * s.user_share, '{:.0f}%'),
    ('busy', lambda s: 100 * s.busy, '{:.0f}%'),
    ('p50 us', lambda s: s.p50_us, '{:.0f}'),
    ('p99 us', lambda s: s.p99_us, '{:.0f}'),
    ('p99.9 us', lambda s: s.p999_us, '{:.0f}'),
    ('PSS MiB', lambda s: math.nan if s.pss_kib is None else s.pss_kib / 1024, '{:.1f}'),
)
Rounds = list[dict[str, Sample]]


def median(samples: list[Sample], value) -> float:
    return statistics.median(value(sample) for sample in samples)


def best_peer(rounds: Rounds) -> str | None:
    """The other proxy that needs the least processor time."""
    costs = {peer: median([of[peer] for of in rounds], lambda s: s.cpu_us)
             for peer in rounds[0] if peer not in (FLOOR, OURS)}
    return min(costs, key=costs.get, default=None)


def best_rate(rounds: Rounds) -> float | None:
    """How many requests a second the best other proxy answered."""
    return max((median([of[peer] for of in rounds], lambda s: s.requests / s.seconds)
                for peer in rounds[0] if peer not in (FLOOR, OURS)), default=None)


def ratio(rounds: Rounds, peer: str, other: str | None) -> str:
    """The median over the rounds of how much more processor time a request costs than with the other."""
    if other not in rounds[0]:
        return '-'
    return f'{statistics.median(of[peer].cpu_us / max(of[other].cpu_us, 1e-9) for of in rounds):.2f}'


def spread(samples: list[Sample]) -> float:
    costs = [sample.cpu_us for sample in samples]
    return (max(costs) - min(costs)) / max(statistics.median(costs), 1e-9)


def table(rounds: Rounds, unit: str = 'req', than: str | None = None) -> list[list[str]]:
    """A row for each peer. What only some works have is left of the ratios to others."""
    best = best_peer(rounds)
    idle = all(sample.idle_bytes is not None for sample in rounds[0].values())
    rows = [['', *(title.format(unit) for title, _, _ in COLUMNS), 'errors', 'spread', *(['B/idle'] if idle else []),
             *([f'/{than}'] if than else []), f'/{FLOOR}', f'/{BASELINE}', '/best']]
    for peer in rounds[0]:
        samples = [of[peer] for of in rounds]
        row = [peer, *(form.format(median(samples, value)) for _, value, form in COLUMNS)]
        row += [str(sum(sample.errors for sample in samples)), f'{100 * spread(samples):.0f}%']
        row += [f'{median(samples, lambda s: s.idle_bytes):.0f}'] if idle else []
        row += [f'{median(samples, lambda s: s.cpu_us / max(s.than_cpu_us, 1e-9)):.3f}'] if than else []
        rows.append(row + [ratio(rounds, peer, other) for other in (FLOOR, BASELINE, best)])
    return rows


def calls_table(counts: dict[str, dict[str, float]]) -> list[list[str]]:
    """Calls that happen in one request of a hundred or more; the others are in `others`."""
    names = sorted({name for of in counts.values() for name, count in of.items() if count >= 0.01},
                   key=lambda name: -max(of.get(name, 0.0) for of in counts.values()))
    rows = [['calls/req', 'all', *names, 'others']]
    for peer, of in counts.items():
        others = sum(count for name, count in of.items() if name not in names)
        rows.append([peer, *(f'{value:.2f}' for value in
                             (sum(of.values()), *(of.get(name, 0.0) for name in names), others))])
    return rows


def show(title: str, rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f'\n{title}')
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        print('  ' + '  '.join(cells).rstrip(), flush=True)
