"""The rounds put together: medians, ratios of paired rounds, and the table for people and for programs.

Knows nothing of processes; what it is given may have holes, and they are shown as what they are.
"""

import statistics
from dataclasses import dataclass

FORMAT = 1
REFERENCE = "floor"
# From here on a loss is worth a word in the cell.
LOSS_TOLD = 0.0001
# Of a reason, what fits a cell; the whole is told while it runs.
REASON_CHARS = 80


@dataclass
class Cell:
    """One figure of one server."""

    median: float = None
    ratio: float = None
    rounds: list = None
    notes: list = None


def cells(rounds, figure, servers):
    """The cells of a row, by server. `rounds` is a list of {server name: Measured}."""
    made = {}
    for server in servers:
        runs = [measured[server.name] for measured in rounds if server.name in measured]
        values = [run.value(figure) for run in runs]
        got = [value for value in values if value is not None]
        made[server.name] = Cell(
            median=statistics.median(got) if got else None,
            ratio=paired(rounds, figure, server) if figure.with_ratio else None,
            rounds=values,
            notes=notes(runs),
        )
    return made


def paired(rounds, figure, server):
    """The median of what it was of the floor's, round by round: what disturbs a round disturbs both."""
    ratios = []
    for measured in rounds:
        if REFERENCE in measured and server.name in measured:
            own, floor = (measured[name].value(figure) for name in (server.name, REFERENCE))
            if own is not None and floor:
                ratios.append(own / floor)
    return statistics.median(ratios) if ratios else None


def notes(runs):
    found = []
    lost = statistics.median(run.lost() for run in runs) if runs else 0
    if lost >= LOSS_TOLD:
        found.append(f"lost {lost:.0%}" if lost >= 0.01 else f"lost {lost:.2%}")
    failed = [run.why for run in runs if run.why]
    if failed:
        found.append(f"{len(failed)} of {len(runs)} failed: {short(failed[0])}")
    if any(run.swarm_was_slow() for run in runs):
        found.append("†")
    return found


def short(why):
    """The beginning of a reason: what happened, without the advice."""
    return why.removeprefix("error: ").split(";")[0][:REASON_CHARS]


def number(value, decimals):
    """Three digits that count; thousands apart."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        decimals = 0
    elif abs(value) >= 100:
        decimals = min(decimals, 1)
    return f"{value:,.{decimals}f}"


def shown(figure, cell, is_reference):
    text = number(cell.median, figure.decimals)
    if cell.ratio is not None and not is_reference:
        text += f" ({cell.ratio:.2f} ×)"
    words = [note for note in cell.notes if note != "†"]
    if "†" in cell.notes and cell.median is not None:
        text += "†"
    if words and cell.median is None:
        return "; ".join(words)
    return "; ".join([text, *words])


# --- For people -------------------------------------------------------------------------------


def markdown(result, servers, machine, judged=True):
    """The table, what is under it, and the goals that were missed. `result` is [(figure, cells)]."""
    head = ["what", "", *(server.title for server in servers), "goal"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * len(servers) + "---|"]
    for figure, row in result:
        each = [shown(figure, row[s.name], s.name == REFERENCE) for s in servers]
        goal = "; ".join(goal_text(goal) for goal in figure.goals)
        line = [figure.title, figure.unit, *each, goal]
        lines.append("| " + " | ".join(word.replace("|", "/") for word in line) + " |")
    lines += ["", *machine, ""]
    if any("†" in cell.notes for _, row in result for cell in row.values()):
        lines += ["† The swarm, on its own core, was the slower one, or late: the server can do better.", ""]
    if judged:
        lines += missed(result, {server.name for server in servers})
    return "\n".join(lines).rstrip() + "\n"


def goal_text(goal):
    return f"{goal.server[-1]} {goal}" if goal.server.startswith("kith-") else f"{goal.server} {goal}"


def missed(result, present):
    lines = []
    for figure, row in result:
        for goal in figure.goals:
            cell = row.get(goal.server)
            if goal.server not in present or goal.reached(cell.median, cell.ratio) in (True, None):
                continue
            value = f"{cell.ratio:.2f} ×" if goal.of_ratio else number(cell.median, figure.decimals)
            lines.append(f"* {goal.server}, {figure.title}: {value}, and it is to be {goal}")
    return ["Goals that were missed:", "", *lines] if lines else []


# --- For programs -----------------------------------------------------------------------------


def data(result, machine, how):
    """The same, as values: a list of rows, each with every round of every server."""
    rows = []
    for figure, row in result:
        rows.append(
            {
                "key": figure.key,
                "title": figure.title,
                "unit": figure.unit,
                "goals": {goal.server: str(goal) for goal in figure.goals},
                "servers": {
                    name: {
                        "median": cell.median,
                        "ratio_to_floor": cell.ratio,
                        "rounds": cell.rounds,
                        "notes": cell.notes,
                    }
                    for name, cell in row.items()
                },
            }
        )
    return {"format": FORMAT, **how, "machine": machine, "rows": rows}
