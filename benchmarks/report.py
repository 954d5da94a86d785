"""Print what was measured, with ratios and the targets beside them."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.measure import Comparison, Cost


def lines(comparison: Comparison, costs: dict[tuple[str, str], Cost]) -> Iterable[str]:
    """Make a table of one comparison."""
    ours = comparison.contenders[0].name
    yield ""
    yield comparison.title
    if comparison.note:
        yield f"  {comparison.note}"
    yield f"  {'':34}{'CPU us':>10}{'messages/s':>13}{'CPU ratio':>11}{'rate ratio':>12}   target"
    for (work, name), cost in costs.items():
        row = f"  {work + ', ' + name:34}{cost.cpu_us:10.2f}{cost.rate:13,.0f}"
        if name != ours:
            own = costs[work, ours]
            row += f"{cost.cpu_us / own.cpu_us:11.1f}{own.rate / cost.rate:12.1f}"
            row += verdict(comparison.targets.get((work, name)), own, cost)
        yield row


def verdict(target: float | None, own: Cost, other: Cost) -> str:
    """Say whether a target was met, by CPU or by rate, whichever is better: fsync takes no CPU."""
    if target is None:
        return ""
    reached = max(other.cpu_us / own.cpu_us, own.rate / other.rate)
    return f"   {target:g}x: {'met' if reached >= target else 'MISSED'}"
