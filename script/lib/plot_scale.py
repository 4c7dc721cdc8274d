"""Draws the figures of docs/SCALE.md: plot_scale.py RESULTS FOLDER.

The same results give the same bytes. What the documentation promises is a wide, pale line of the colour of what it bounds.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.hashsalt": "klstore",
        "font.family": "DejaVu Sans",
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "axes.grid": True,
        "grid.color": "#dddddd",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.fontsize": 10,
        "legend.framealpha": 0.9,
        "lines.linewidth": 2,
        "lines.markersize": 6,
    }
)

from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator  # noqa: E402

# Told apart with any kind of colour vision (Okabe and Ito), and dark enough on white.
BLUE, ORANGE, GREEN, PURPLE, RED, BLACK = "#0072b2", "#d55e00", "#009e73", "#aa4499", "#b2182b", "#333333"

PAGE_BYTES = 100 * 73  # of values: a page of 100 of the giant list's items
KIB = 1024


class Series:
    """The numbers of one series, by metric."""

    def __init__(self, rows, name):
        self.metrics = defaultdict(dict)
        for row in rows:
            if row["series"] == name:
                self.metrics[row["metric"]][row["size"]] = row["value"]
        self.sizes = sorted({size for sizes in self.metrics.values() for size in sizes})

    def of(self, *metrics, by=1.0):
        """Of several metrics the largest, at each size."""
        return [max(self.metrics[metric][size] for metric in metrics) * by for size in self.sizes]


class Panel:
    """One set of axes."""

    def __init__(self, axes, series, title, x, y, log=False, bottom=0):
        self.axes, self.series = axes, series
        axes.set_title(title)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_xscale("log")
        axes.set_xticks(series.sizes)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        self.log, self.bottom = log, bottom

    def line(self, values, label, color, marker="o", **style):
        self.axes.plot(self.series.sizes, values, color=color, marker=marker, label=label, **style)

    def goal(self, values, label, color):
        """What may not be exceeded, or a limit of nature: a number, or one for each size."""
        values = values if isinstance(values, list) else [values] * len(self.series.sizes)
        # Wide and pale: seen on both sides of what just keeps within it.
        style = {"linestyle": (0, (2, 0.7)), "linewidth": 8, "alpha": 0.25, "solid_capstyle": "butt", "zorder": 1}
        self.axes.plot(self.series.sizes, values, color=color, label=label, **style)

    def end(self, top=None, where="best"):
        if not self.log:
            self.axes.set_ylim(bottom=self.bottom, top=top)
        elif top:
            self.axes.set_ylim(top=top)
        self.axes.legend(loc=where)


def power(value):
    """10³ for all that is about a thousand; small numbers as they are."""
    if value <= 10:
        return f"{value:.0f}"
    return "10" + "⁰¹²³⁴⁵⁶⁷⁸⁹"[len(str(round(value))) - 1]


def figure(rows=2):
    made, axes = pyplot.subplots(rows, 2, figsize=(12, 4.4 * rows), layout="constrained", facecolor="white")
    return made, axes.flat


def draw_list(series):
    made, axes = figure()
    x = "items in the list"
    cold = [f"{kind}.{{}}.max" for kind in ("offset", "timestamp", "nonce")]
    metrics = lambda what: [name.format(what) for name in cold]  # noqa: E731
    onward = lambda what: [f"{kind}.{what}.max" for kind in ("next", "previous")]  # noqa: E731

    panel = Panel(axes[0], series, "Requests, at most", x, "requests")
    panel.line(series.of("append_first.requests"), "first append of a writer", PURPLE, "s")
    panel.line(series.of(*metrics("requests")), "page at an offset, timestamp or nonce", BLUE)
    panel.line(series.of("newest.requests.max"), "newest page", GREEN, "^")
    panel.line(series.of(*onward("requests")), "next page, either way", ORANGE, "D", markersize=9)
    panel.line(series.of("append_next.requests"), "further append", BLACK, ".", linestyle="none")
    # 4 up to 1,000 segments, which are 1,000,000 items here; 5 up to a million of them.
    panel.goal([4 if size < 1_100_000 else 5 for size in series.sizes], "budgets, in the same colour", BLUE)
    panel.goal(2, None, GREEN)
    panel.goal(1, None, ORANGE)
    panel.end(top=9.5, where="upper left")

    panel = Panel(axes[1], series, "Bytes of objects, at most", x, "KiB")
    panel.line(series.of(*metrics("bytes"), by=1 / KIB), "page of 100 items at an offset, ...", BLUE)
    index = series.of(*metrics("index_bytes"))
    budget = [(2 * PAGE_BYTES + 16 * KIB + 64 * KIB + bytes) / KIB for bytes in index]
    panel.goal(budget, "its budget: 2 pages, 2 blocks, index", BLUE)
    panel.line([bytes / KIB for bytes in index], "of it, index pages", PURPLE, "s")
    panel.line(series.of(*onward("bytes"), by=1 / KIB), "next page of 100", ORANGE, "D")
    panel.line(series.of("newest.bytes.max", by=1 / KIB), "newest page of 20", GREEN, "^")
    panel.end(top=max(budget) * 1.9, where="upper left")

    panel = Panel(axes[2], series, "Time, mean (GET 60 ms, LIST and PUT 100 ms)", x, "milliseconds")
    panel.line(series.of("append_first.seconds", by=1e3), "first append of a writer", PURPLE, "s")
    panel.line(series.of(*[f"{kind}.seconds.mean" for kind in ("offset", "timestamp", "nonce")], by=1e3), "page at an offset, timestamp or nonce", BLUE)
    panel.line(series.of("newest.seconds.mean", by=1e3), "newest page", GREEN, "^")
    panel.line(series.of("append_next.seconds", by=1e3), "further append (median)", BLACK, "v")
    panel.line(series.of("next.seconds.mean", "previous.seconds.mean", by=1e3), "next page, either way", ORANGE, "D")
    panel.end(top=1_000, where="upper left")

    panel = Panel(axes[3], series, "Peak memory of the process", x, "MB")
    panel.line(series.of("reader.memory.max", by=1e-6), "reader, for one page", BLUE)
    panel.line(series.of("writer.memory", by=1e-6), "writer, for 21 appends", PURPLE, "s")
    panel.end(top=60)
    return made


def draw_keys(series):
    made, axes = figure()
    x = "keys"

    panel = Panel(axes[0], series, "Requests for each key", x, "requests a key")
    for metric, label, color, marker in [
        ("puts", "PUT", BLUE, "o"),
        ("lists", "LIST", PURPLE, "s"),
        ("gets", "GET", GREEN, "^"),
        ("deletes", "DELETE", BLACK, "v"),
    ]:
        panel.line([series.metrics[metric][keys] / keys for keys in series.sizes], label, color, marker)
    panel.end()

    panel = Panel(axes[1], series, "Peak memory of the writer's process", x, "MB")
    panel.goal(400, "goal for what is beside the buffer", ORANGE)
    panel.line(series.of("memory", by=1e-6), "all", BLUE)
    panel.line(series.of("memory.beside", by=1e-6), "beside the buffer", ORANGE, "s")
    panel.line(series.of("buffered", by=1e-6), "buffer (bounded by 67)", GREEN, "^")
    panel.end(top=450)

    panel = Panel(axes[2], series, "Time of the whole load", x, "seconds", log=True)
    panel.line(series.of("seconds"), "elapsed", BLUE)
    panel.line(series.of("cpu"), "CPU of the writer", PURPLE, "s")
    panel.end()

    panel = Panel(axes[3], series, "CPU of the writer", x, "microseconds")
    requests = [sum(series.metrics[name][keys] for name in ("puts", "lists", "gets", "deletes")) for keys in series.sizes]
    cpu = series.of("cpu")
    panel.line([c * 1e6 / n for c, n in zip(cpu, requests)], "a request", BLUE)
    panel.line([c * 1e6 / n for c, n in zip(cpu, series.of("items"))], "an item", PURPLE, "s")
    panel.end()
    return made


def draw_readers(series):
    made, axes = figure()
    x = "readers at once"

    panel = Panel(axes[0], series, "Throughput", x, "pages of 1,000 items a second", log=True)
    # What 60 ms a GET allow one reader, and so many of it.
    panel.goal([readers * 1_000 / 60 for readers in series.sizes], "limit: one GET of 60 ms a page", BLACK)
    panel.line(series.of("pages.rate"), "all readers together", BLUE)
    panel.end()

    panel = Panel(axes[1], series, "Latency of a page", x, "milliseconds", log=True)
    panel.line(series.of("first.p99", by=1e3), "first page, p99", PURPLE, "s")
    panel.line(series.of("first.p50", by=1e3), "first page, p50", PURPLE, "s", markerfacecolor="white")
    panel.line(series.of("next.p99", by=1e3), "next page, p99", BLUE)
    panel.line(series.of("next.p50", by=1e3), "next page, p50", BLUE, markerfacecolor="white")
    panel.goal(60, "one GET", BLACK)
    panel.end()

    panel = Panel(axes[2], series, "Requests for each page of a scan of 40", x, "requests a page")
    panel.line(series.of("requests.per_page"), "LIST and GET", BLUE)
    panel.goal(1.2, "budget", BLUE)
    panel.end(top=2)

    panel = Panel(axes[3], series, "Peak memory of the readers' one process", x, "MB", log=True)
    panel.line(series.of("memory", by=1e-6), "all readers", BLUE)
    panel.end()
    return made


def draw_followers(series):
    made, axes = figure()
    x = "followers of one list"
    paces = [("poll", "polled once a second", BLUE, "o"), ("stream", "as follow() does", PURPLE, "s")]

    panel = Panel(axes[0], series, "Requests for each follower", x, "requests a second")
    for pace, label, color, marker in paces:
        panel.line(series.of(f"{pace}.gets"), f"GET, {label}", color, marker)
        panel.line(series.of(f"{pace}.lists"), f"LIST, {label}", color, marker, markerfacecolor="white")
    panel.end(top=5)

    panel = Panel(axes[1], series, "From before the append to the follower", x, "seconds")
    for pace, label, color, marker in paces:
        panel.line(series.of(f"{pace}.delay.p99"), f"p99, {label}", color, marker)
        panel.line(series.of(f"{pace}.delay.p50"), f"p50, {label}", color, marker, markerfacecolor="white")
    panel.goal(1.16, "a PUT, a second, a GET", BLACK)
    panel.end(top=2 * max(series.of("poll.delay.p99", "stream.delay.p99")), where="upper left")

    panel = Panel(axes[2], series, "Price of each follower", x, "USD a day")
    for pace, label, color, marker in paces:
        panel.line(series.of(f"{pace}.price"), label, color, marker)
    panel.end(top=0.2)

    panel = Panel(axes[3], series, "Peak memory of the followers' one process", x, "MB", log=True)
    for pace, label, color, marker in paces:
        panel.line(series.of(f"{pace}.memory", by=1e-6), label, color, marker)
    panel.end()
    return made


def main():
    results, folder = Path(sys.argv[1]), Path(sys.argv[2])
    rows = json.loads(results.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {"list": draw_list, "keys": draw_keys, "readers": draw_readers, "followers": draw_followers}
    for name, draw in drawings.items():
        series = Series(rows, name)
        if series.sizes:
            made = draw(series)
            # No date and no version: what is drawn of the same results is the same.
            made.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
            pyplot.close(made)
            print(f"drawn: {folder / name}.svg")


if __name__ == "__main__":
    main()
