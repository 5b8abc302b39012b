"""JavaScript modules as the single one that a widget sends: no build step, and each file can be tested by itself."""

import re
from pathlib import Path

STATIC = Path(__file__).parent / "static"
IMPORT = re.compile(
    r'^import (?:\* as (?P<all>\w+)|(?P<some>\{[^}]*\})) from "\./(?P<module>\w+)\.mjs";\n', re.MULTILINE
)
EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+|\[[^\]]+\])", re.MULTILINE)


def bundle(entry: Path) -> str:
    """The module `entry` and whatever it imports from its folder, as one module with the default export {render}.

    Where `entry` has an `initialize` too, that is a part of the export.

    Each becomes a function that is called once, so that their names cannot clash.

    >>> text = bundle(STATIC / "explorer" / "explorer.mjs")
    >>> "import " in text.replace("important", ""), text.count("export "), text.count("const $weigh =")
    (False, 1, 1)
    """
    done: dict[str, str] = {}

    def add(path: Path) -> None:
        if path.stem in done:
            return
        text = path.read_text(encoding="utf-8")
        for found in IMPORT.finditer(text):
            add(path.with_name(f"{found['module']}.mjs"))
        names = [name for _, names in EXPORT.findall(text) for name in re.findall(r"\w+", names)]
        body = EXPORT.sub(r"\1 \2", IMPORT.sub(_as_constant, text))
        done[path.stem] = f"const ${path.stem} = (() => {{\n{body}\nreturn {{ {', '.join(names)} }};\n}})();\n"

    add(entry)
    hooks = [
        name for name in ("initialize", "render") if f"export function {name}(" in entry.read_text(encoding="utf-8")
    ]
    exported = ", ".join(f"{name}: ${entry.stem}.{name}" for name in hooks)
    return "".join(done.values()) + f"export default {{ {exported} }};\n"


def _as_constant(found: re.Match[str]) -> str:
    if found["all"]:
        return f"const {found['all']} = ${found['module']};\n"
    return f"const {found['some'].replace(' as ', ': ')} = ${found['module']};\n"
