"""Faults put into the code one at a time: which test finds each. By hand: `python -m tests.mutations [WORD …]`.

Each mutation is tried in a copy of the tree, against the everyday tests and doctests of its rooms; with words only those whose
room or text holds one of them. A Markdown table says who caught it; a text that is not there, or not once, is named as such.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# room of the text, the text, what stands there instead, other rooms whose tests are asked too
MUTATIONS: list[tuple[str, str, str, str]] = [
    # losses: the cases, the weights, the means
    ("losses", "(student_confidence > confidence)", "(student_confidence >= confidence)", ""),
    ("losses", "torch.where(agree, gamma1, gamma2)", "torch.where(agree, gamma2, gamma1)", ""),
    ("losses", ".masked_fill(surer, 0)", ".masked_fill(surer, 1)", ""),
    ("losses", "clamp(min=0).pow(gamma2)", "clamp(min=0).pow(gamma1)", ""),
    ("losses", "DynamicWeights(weight * valid,", "DynamicWeights(weight,", ""),
    ("losses", "valid.sum()).clamp(min=1)", "weight.sum()).clamp(min=1)", "methods"),
    ("losses", "(lam * own + (1 - lam) * other)", "((1 - lam) * own + lam * other)", ""),
    ("losses", ".sum() / len(label)", ".sum() / weight.sum()", ""),
    ("losses", "math.exp(-5 * ", "math.exp(-4 * ", "metrics"),
    ("losses", ".label == truth, truth != ignore_index", ".label == truth, truth == truth", "metrics"),
    ("losses", "pseudo & ~trusted.view", "pseudo | trusted.view", "metrics"),
    ("losses", "first = ((bottom <= 1) & (right <= 1))", "first = (bottom <= 1)", "methods"),
    ("losses", "order.roll(1)", "order.roll(0)", "methods"),
    ("losses", "(y < bottom)", "(y <= bottom + 0.1)", "methods"),
    # labels: the share that is kept, ties, whose labels they are
    ("labels", "(total.double() * ratio).round()", "(total.double() * ratio).floor()", ""),
    ("labels", "(at_least >= wanted.unsqueeze(1)).sum(1) - 1", "(at_least >= wanted.unsqueeze(1)).sum(1)", ""),
    ("labels", "torch.where(total > 0, reached, NEVER)", "reached", ""),
    ("labels", "- int(kept.sum())", "- int(kept.sum()) + 1", ""),
    ("labels", "- above) / at.clamp(min=1)", ") / at.clamp(min=1)", ""),
    ("labels", " + offset).astype(np.uint64)", " + 0 * offset).astype(np.uint64)", ""),
    ("labels", ".masked_fill((level == NEVER)", ".masked_fill((level != level)", ""),
    ("labels", 'if index["owner"] != owner:', "if False:", ""),
    ("labels", "if store.names != names:", "if False:", ""),
    ("labels", "if start != self._place:", "if False:", ""),
    # resume: what a checkpoint holds, when it is written, what is read again
    ("training", "part.load_state_dict(state[group][name])", "pass", ""),
    ("training", "self.sums.restore(", "(lambda *_: None)(", ""),
    ("training", 'state["memory"].items()}', "self.memory.items()}", "methods"),
    ("training", 'torch.set_rng_state(state["random"][0].cpu())', "pass", "methods tasks"),
    ("training", "log.put_lines(", "(lambda *_: None)(", ""),
    ("training", "phase.done and intact()", "phase.done", "tasks"),
    ("training", "loop.best = scores[recipe.score]", "pass", "tasks"),
    ("training", "loop.sums, loop.logged = Sums(), loop.step", "loop.logged = loop.step", ""),
    # steps and methods: whose gradients, whose labels, over how many
    ("training", "loss.backward(inputs=parameters)", "loss.backward(retain_graph=True)", "methods"),
    ("training", "add_gradients(parameters)", "pass", ""),
    ("training", "min(1 - 1 / (loop.step + 1), decay)", "decay", ""),
    ("training", "recipe.ema_decay if loop.step else 0", "recipe.ema_decay", ""),
    ("training", "max(0.0, 1 - t / steps) ** power", "max(0.0, 1 - t / steps)", "metrics"),
    ("methods", "lab.teacher(m, self.teacher)", "m", "tasks"),
    ("methods", "k if self.reseeds else 0", "k", ""),
    ("methods", "(confidence >= self.limit(", "(confidence > self.limit(", ""),
    ("methods", "beta / (2 - beta)", "beta", ""),
    ("methods", "newest.where(newest >= 0, before)", "newest.clamp(min=0)", ""),
    ("methods", "stays = 2 * ", "stays = ", ""),
    (
        "methods",
        "learned(dropped, batch.valid, confidence, label) / 2",
        "learned(dropped, batch.valid, confidence, label)",
        "",
    ),
    ("methods", ".square().mean(1)", ".square().sum(1)", ""),
    ("methods", "torch.cat([batch.y != 255, batch.valid])", "torch.cat([batch.y == batch.y, batch.valid])", ""),
    # splits and batches
    ("data", "int(len(shuffled) / denominator)", "round(len(shuffled) / denominator)", ""),
    ("data", "k % 8 == 1", "k % 8 == 9", ""),
    ("data", "math.ceil(0.2 * len(shuffled))", "math.ceil(0.25 * len(shuffled))", ""),
    ("data", "position // n - first, position % n", "position // n - first, position % (n // 2)", ""),
    # sums over batches and ranks, metrics
    ("metrics", "self.values[name] + value if", "value if", "training"),
    ("metrics", "flat = total(torch.cat(", "flat = (torch.cat(", "training"),
    ("metrics", "known = truth < classes", "known = truth <= classes", ""),
    ("metrics", "- inside\n", "\n", ""),
    ("models", "counts * (variances + (means - mean) ** 2)", "counts * variances", "training"),
    ("models", "dist.all_reduce(sums)", "pass", "training"),
]


def place_of(room: str, text: str) -> Path | str:
    """The file of a room that holds the text once, or what is wrong."""
    found = [path for path in sorted((ROOT / "dmtkit" / room).rglob("*.py")) if text in path.read_text()]
    counts = [path.read_text().count(text) for path in found]
    if counts == [1]:
        return found[0]
    return f"**text found {sum(counts)} times**" if found else "**text not found**"


def copy_of_tree(folder: Path) -> None:
    """All that git knows or does not ignore."""
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def caught_by(folder: Path, rooms: list[str]) -> str:
    """The first test that fails, or that none does."""
    places = [place for room in rooms for place in (f"tests/{room}", f"dmtkit/{room}") if (folder / place).exists()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *places]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if not done.returncode:
        return "**nobody**"
    named = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return f"`{named[1]}`" if named else f"pytest ended with {done.returncode}"


def rows(words: list[str]) -> Iterator[str]:
    """A row of the table for each mutation."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy_of_tree(folder)
        for room, old, new, more in MUTATIONS:
            if words and not any(word in f"{room} {old}" for word in words):
                continue
            path = place_of(room, old)
            if isinstance(path, str):
                found, name = path, room
            else:
                name = path.relative_to(ROOT).as_posix()
                (folder / name).write_text(path.read_text().replace(old, new))
                found = caught_by(folder, [room, *more.split()])
                shutil.copy(path, folder / name)
            texts = (text.strip().replace("|", "\\|") for text in (old, new))
            yield f"| {name} | {' | '.join(f'`{text}`' for text in texts)} | {found} |"


if __name__ == "__main__":
    print("| file | text | instead | caught by |\n|---|---|---|---|", flush=True)
    for row in rows(sys.argv[1:]):
        print(row, flush=True)
