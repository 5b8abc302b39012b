"""The explorer as a page of its own: everything inside, no kernel, no notebook, no network."""

import json
from base64 import b64encode
from html import escape
from pathlib import Path
from string import Template

from dmtkit.files import write_atomically
from dmtkit.viewer.explorer import Explorer

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title><style>body { margin: 1rem; background: Canvas; color-scheme: light dark; }
$css</style></head><body><main id="explorer"></main>
<script type="application/json" id="state">$state</script>
<script type="module">
$script
const state = JSON.parse(document.getElementById("state").textContent);
for (const [key, text] of Object.entries(state.packs)) state.packs[key] = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const model = {
  get: (name) => state[name],
  set: (name, value) => (state[name] = value),
  save_changes() {}, on() {}, off() {},
  send() { throw new Error("a page has no kernel"); },
};
widget.render({ model, el: document.getElementById("explorer") });
</script></body></html>
""")


def save_page(explorer: Explorer, path: str | Path) -> Path:
    """Write the explorer with what is embedded in it as an HTML file that any browser opens."""
    packs = {key: b64encode(content).decode() for key, content in explorer.packs.items()}
    state = json.dumps({"index": explorer.index, "packs": packs, "chosen": explorer.chosen})
    state = state.replace("<", "\\u003c")  # or a name could end the script, or begin a comment in it
    script = str(explorer._esm).replace("export default", "const widget =")
    page = PAGE.substitute(title=escape(explorer.index["title"]), css=explorer._css, state=state, script=script)
    write_atomically(Path(path), page.encode())
    return Path(path)
