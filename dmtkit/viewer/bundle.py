"""The explorer's JavaScript as one module, for a widget or in a page of its own: no build step, no network."""

import json
import re
from base64 import b64encode
from html import escape
from pathlib import Path
from string import Template
from typing import Any

STATIC = Path(__file__).parent / "static"
IMPORT = re.compile(r'^import (?:\* as )?(\w+|\{[^}]*\}) from "\./(\w+)\.mjs";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+|\[[^\]]+\])", re.MULTILINE)
PAGE = Template((STATIC / "page.html").read_text(encoding="utf-8"))


def bundle(entry: Path) -> str:
    """The module `entry` and whatever it imports from its folder, as one module with the default export {render}.

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
        for _, module in IMPORT.findall(text):
            add(path.with_name(f"{module}.mjs"))
        names = [name for _, names in EXPORT.findall(text) for name in re.findall(r"\w+", names)]
        body = EXPORT.sub(r"\1 \2", IMPORT.sub(r"const \1 = $\2;", text))
        done[path.stem] = f"const ${path.stem} = (() => {{\n{body}\nreturn {{ {', '.join(names)} }};\n}})();\n"

    add(entry)
    return "".join(done.values()) + f"export default {{ render: ${entry.stem}.render }};\n"


def page(script: str, css: str, state: dict[str, Any]) -> str:
    """A widget's script with its traits, `index` among them, as an HTML page that any browser opens."""
    packs = {key: b64encode(content).decode() for key, content in state["packs"].items()}
    text = json.dumps({**state, "packs": packs}).replace("<", "\\u003c")  # or a name could end the script
    script = script.replace("export default", "const widget =")
    return PAGE.substitute(title=escape(state["index"]["title"]), css=css, state=text, script=script)
