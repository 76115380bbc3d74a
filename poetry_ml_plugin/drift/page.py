"""The comparison as one page without remote parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from poetry_ml_plugin.drift.compare import Shift

HEAD = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Drift</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { padding: .2rem .6rem; text-align: left }
tr { border-bottom: 1px solid #ddd } .number { text-align: right }
.alarm { color: #b00020; font-weight: 600 } .bar { height: .5rem; background: #9bb; margin: 1px 0 }
.bar.now { background: #d80 }
</style></head><body>
"""


def render(title: str, shifts: Sequence[Shift], notes: Iterable[str]) -> str:
    """Return the page: a table of all columns, then the shares of each, then and now."""
    parts = [HEAD, f"<h1>{escape(title)}</h1>", *(f"<p>{escape(note)}.</p>" for note in notes)]
    parts.append(
        "<table><tr><th>Column<th>Missing then<th>now<th>Unseen or beyond<th>PSI<th>p<th>Finding</tr>"
    )
    parts += map(_row, shifts)
    parts.append("</table>")
    for shift in shifts:
        parts.append(f"<h2>{escape(shift.column)}</h2><table>")
        parts += (_shares(*each) for each in shift.shares)
        parts.append("</table>")
    return "\n".join([*parts, "</body></html>\n"])


def _row(shift: Shift) -> str:
    cells = [
        f"<td>{escape(shift.column)}",
        *(f'<td class="number">{share:.1%}' for share in (*shift.missing, shift.unseen)),
        f'<td class="number">{shift.psi:.3f}<td class="number">{shift.chance:.2g}',
        f'<td class="alarm">{escape("; ".join(shift.alarms))}',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _shares(label: str, then: float, now: float) -> str:
    bars = "".join(
        f'<div class="bar {kind}" style="width: {share * 100:.1f}%"></div>'
        for kind, share in (("then", then), ("now", now))
    )
    return (
        f'<tr><td style="width: 12rem">{escape(label)}<td>{bars}'
        f'<td class="number" style="width: 9rem">{then:.1%} → {now:.1%}</tr>'
    )
