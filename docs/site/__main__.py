"""`python -m docs.site`: run the teaching notebooks, render everything, check every link."""

import argparse
import contextlib
import sys
import time
from pathlib import Path

from docs.site.build import Entry, Site, empty
from docs.site.links import check
from docs.site.notebooks import ExecutionError, execute

ROOT = Path(__file__).resolve().parents[2]
EXPLORER = "explorer.html"
EXPERIMENTS = ("classification", "segmentation", "ablation", "report")
FINISHED = {"outputs/digits/seed-1/classification.ipynb": "Digits, as they ran here",
            "outputs/scenes/split-0_seed-1/segmentation.ipynb": "Scenes, as they ran here"}  # fmt: skip


def teaching(root: Path) -> list[Path]:
    """The notebooks that are executed: those that teach, and then the explorer of the run that they made."""
    return [*sorted((root / "notebooks").glob("0*.ipynb")), *(root / "notebooks").glob("explore_weights.ipynb")]


def explorer_page(folder: Path) -> None:
    """The explorer of the teaching notebooks' run, interactive, as a page of its own; none without that run."""
    from dmtkit import RunError, explore
    from dmtkit.params import outputs_root

    with contextlib.suppress(RunError):
        explore(outputs_root() / "tour" / "split-0_seed-1").save(folder / EXPLORER)


def entries(root: Path, executed: Path) -> list[Entry]:
    """The navigation, of what is there; a notebook that was executed stands in place of its source."""
    found = [Entry("README.md", "index.html", "Start", root / "README.md", "What dmtkit is")]
    for path in teaching(root):
        ran = executed / path.name
        found.append(_notebook(path, "Teaching", ran if ran.is_file() else path))
    found.append(Entry(EXPLORER, EXPLORER, "Teaching", executed / EXPLORER, "The explorer, to try"))
    found += [_notebook(root / "notebooks" / f"{name}.ipynb", "Experiments") for name in EXPERIMENTS]
    for name, title in FINISHED.items():
        found.append(Entry(name, f"runs/{Path(name).stem}.html", "Experiments", root / name, title))
    found.append(Entry("docs/results/README.md", "results/index.html", "Results", root / "docs/results/README.md"))
    others = sorted((root / "docs/results").glob("*.md"))
    found += [
        Entry(f"docs/results/{p.name}", f"results/{p.stem}.html", "Results", p) for p in others if p.stem != "README"
    ]
    titles = {"choices": "Choices", "cluster": "Cluster"}
    for path in sorted((root / "docs").glob("*.md")):
        found.append(Entry(f"docs/{path.name}", f"{path.stem}.html", titles.get(path.stem, "More"), path))
    for name in ("CHANGELOG", "CONTRIBUTING"):
        found.append(Entry(f"{name}.md", f"{name.lower()}.html", "More", root / f"{name}.md"))
    return [entry for entry in found if entry.file.is_file()]


def _notebook(path: Path, group: str, file: Path | None = None) -> Entry:
    return Entry(f"notebooks/{path.name}", f"notebooks/{path.stem}.html", group, file or path)


def main(arguments: list[str] | None = None) -> int:
    """Build the site; 1 if a notebook, a formula or a link is broken."""
    parser = argparse.ArgumentParser(prog="python -m docs.site", description=__doc__)
    parser.add_argument(
        "--skip-execution", action="store_true", help="show notebooks as they were last executed, or unexecuted"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    parser.add_argument("--output", type=Path, help="the site's folder; docs/_build by default")
    options = parser.parse_args(arguments)
    root, output = options.root.resolve(), (options.output or options.root / "docs" / "_build").resolve()
    executed = output / ".executed"
    try:
        empty(output, keep=lambda path: path == executed)
        for path in [] if options.skip_execution else teaching(root):
            started = time.monotonic()
            execute(path, executed / path.name, root)
            print(f"{path.name}: executed in {time.monotonic() - started:.0f} s", flush=True)
        if not options.skip_execution:
            explorer_page(executed)
    except (ValueError, ExecutionError) as error:
        print(error, file=sys.stderr)
        return 1
    problems = Site(root, output, entries(root, executed)).build() + check(output)
    pages = len(list(output.rglob("*.html")))
    if problems:
        print("\n".join([f"{pages} pages, {len(problems)} problems:", *problems]), file=sys.stderr)
        return 1
    print(
        f"{output / 'index.html'}: {pages} pages; every link, anchor and picture is there, nothing comes from elsewhere"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
