"""Names that would be more than text somewhere, and every place that shows names: a new one of either joins with a line."""

import csv
import io
import json
import re
from functools import cached_property
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import pandas as pd
import yaml
from markdown_it import MarkdownIt
from rich.console import Console

import dmtkit
from dmtkit.jobs.command import run_list, shown, summary
from dmtkit.jobs.engine import Status
from dmtkit.jobs.notebook_job import plan_job
from dmtkit.jobs.plan import Batch
from dmtkit.jobs.worker import Outcome
from dmtkit.results import plots, tables
from dmtkit.runs.run import load_run
from tests.explorable import explorable
from tests.made_runs import put

OWN = "window.owned = (window.owned || 0) + 1"  # what a browser must not do
HOSTILE = [
    f'<img src=x onerror="{OWN}">',
    f"<img src=x onerror='{OWN}'>",
    f"</script><script>{OWN}</script>",
    f"</title></textarea></style><script>{OWN}</script>",
    f'"><svg onload="{OWN}">',
    "<!-- <script>",
    f"[x](javascript:{OWN})",
    "![x](https://example.org/seen.png)",
    f"\\<img src=x onerror='{OWN}'>",
    "&lt;b&gt; &amp;",
    "$^$",
    "[red]x[/red]",
    "[/]",
    "|pipe | \\| pipe",
    "\\input{x} % }{ \\",
    "=cmd()",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\u202ertl \u05d0\u05d1",
    "{name} {{7*7}} %s %(x)s ${x}",
    "`code` *x* ~z~ #1",
]
HARMLESS = ["cat", "a dog", "bird"]


class Page(HTMLParser):
    """The tags of a page with the names of their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


class Shown:
    """What is to be shown of some names: runs and tables that have them everywhere."""

    def __init__(self, folder, names):
        self.folder, self.names = folder, names

    @cached_property
    def collected(self):
        return foreign(self.folder / "foreign", self.names)

    @cached_property
    def tables(self):
        return tables.all_tables(self.collected)

    @cached_property
    def run(self):
        return own_classes(self.folder / "own", self.names)


def foreign(folder, names):
    """Somebody else's runs: an experiment and a method of every name, and two runs that differ in a setting with all of them."""
    every = " ".join(names)
    for k, (name, model) in enumerate([*((name, "plain") for name in names), (every, "plain"), (every, every)]):
        run = put(folder, {"supervised": 50.0, "dmt": [50.0, 51.0]}, name=str(k), experiment="x")
        done = json.loads((run / "DONE.json").read_text()) | {"experiment": name, "seed": k}
        done["results"][name] = done["results"]["dmt"]
        (run / "DONE.json").write_text(json.dumps(done))
        settings = yaml.safe_load((run / "config.yaml").read_text()) | {"experiment": name, "model": model}
        (run / "config.yaml").write_text(yaml.safe_dump(settings))
    return tables.collect(folder)


def own_classes(folder, names):
    """A run of maps whose classes have these names."""
    run = explorable(folder, classes=len(names), phases=1, samples=(3,), methods=("dmt",))
    split = json.loads((run / "split.json").read_text()) | {"classes": names, "unlabeled": (names * 20)[:20]}
    (run / "split.json").write_text(json.dumps(split))
    return run


def notebook_table(made):
    names = made.names
    frame = pd.DataFrame({name: [name, 0.5, None] for name in names}, pd.Index(names[:3], name=names[0]))
    both = pd.concat([frame, frame.set_axis([names, names], axis=1)[names[:3]].droplevel(0, axis=1)])
    return "".join(tables.styled(each, caption=names[0]).to_html() for each in (frame, both, frame.T, frame[names[:1]]))


def terminal(made):
    """What `dmtkit batch` prints of runs, in colour."""
    folder, names = made.folder, made.names
    folder.mkdir(exist_ok=True)
    params = folder / "params.yaml"
    params.write_text("dataset: digits\n")
    jobs = []
    for k, name in enumerate(names):
        job = plan_job(params, {}, folder / f"{k}" / name.replace("/", ""), imports=False)
        object.__setattr__(job, "config", job.config.model_copy(update={"methods": (name,), "code_from": name}))
        object.__setattr__(job, "checked", False)
        jobs.append(job)
    console = Console(file=io.StringIO(), width=4000, force_terminal=True, color_system=None, highlight=False)
    console.print(run_list(Batch(jobs, {})))
    with shown(console) as show:
        show([Status(name, "running", 1, 2, name) for name in names])
    summary([Outcome(name, "failed", 1.0, name, name) for name in names], console)
    return console.file.getvalue()


def figures(made):
    """Every figure of many runs, and those of one whose classes have these names."""
    collected = made.collected
    for experiment in collected.experiments:
        for plot in (plots.plot_methods, plots.plot_progress, plots.plot_paired):
            plot(collected, experiment).get_figure(root=True).savefig(io.BytesIO(), dpi=20)
            plt.close("all")
    plots.plot_weight_maps(load_run(made.run), "dmt", "B", 1).savefig(io.BytesIO(), dpi=20)
    plt.close("all")


def written(made, write):
    return "\n\n".join(map(write, made.tables))


def markdown(made):
    render = MarkdownIt("commonmark", {"html": True}).enable("table").render
    return written(made, lambda table: render(tables.to_markdown(table)))


HTML = {
    "a table in a notebook": notebook_table,
    "the list of runs in a notebook": lambda made: tables.styled(made.collected.runs).to_html(),
    "a report's tables in a notebook": lambda made: written(made, tables.Table._repr_html_),
    "a report's page": lambda made: written(made, tables.to_html),
    "a report's Markdown": markdown,
    "the explorer's page": lambda made: dmtkit.explore(made.run).save(made.folder / "page.html").read_text(),
}


def latex(made):
    """Commands, braces and cells of a report's LaTeX; those that stand for a sign are taken out."""
    text = written(made, tables.to_latex)
    signs = (
        r"\\text(backslash|asciitilde|asciicircum)\{\}|\\[&%$#_{}]|\{[][]\}|\$(\\pm|-|\\alpha|\\gamma)\$|\\ldots\{\}"
    )
    return re.findall(r"\\\\|\\[a-zA-Z]+|[{}$&%#^_~\\]", re.sub(r"\\label\{.*\}", "", re.sub(signs, "", text)))


def cells(made):
    """The cells of a report's CSV files."""
    files = [tables.to_csv(table) for table in (*made.tables, made.collected.runs, made.collected.phases)]
    return [cell for text in files for row in csv.reader(io.StringIO(text)) for cell in row]
