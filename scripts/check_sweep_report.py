#!/usr/bin/env python3
"""Runs a small sweep, and opens its report in headless Chromium: clicks titles, types filters, follows links.

    python3 scripts/check_sweep_report.py target/release/farad

Reads the Parquet file as well, where pyarrow is installed. Needs Chromium (Debian: apt-get install chromium).
"""

import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

EXPERIMENT = """
metrics = ["top1", "energy_j", "utilization"]
maximize = ["top1"]
minimize = ["energy_j"]
[base]
images = 4
chips = 2
[axes]
adc.bits = [5, 6, 7]
array.unused_rows = ["gated", "connected"]
array.rows = [64, 128]
[[plot]]
kind = "scatter"
x = "cycles"
y = "top1_lost"
lines = "array.rows"
"""

# Runs in the page. What it finds goes into the page's text, which Chromium prints.
CLICKS = r"""
(() => {
  const found = {};
  const rows = () => [...document.querySelectorAll("#points tbody tr")].filter((row) => !row.hidden);
  const column = (name) => {
    const titles = [...document.querySelectorAll("#points thead tr:first-child th")];
    return titles.findIndex((title) => title.textContent.startsWith(name));
  };
  const values = (name) => rows().map((row) => Number(row.cells[column(name)].dataset.v));
  const click = (name) => document.querySelectorAll("#points thead button")[column(name)].click();
  const type = (name, text) => {
    const input = document.querySelectorAll("#points .filters input")[column(name)];
    input.value = text;
    input.dispatchEvent(new Event("input"));
    const count = rows().length;
    input.value = "";
    input.dispatchEvent(new Event("input"));
    return count;
  };
  found.all = rows().length;
  click("energy_j");
  found.up = values("energy_j");
  click("energy_j");
  found.down = values("energy_j");
  found.number = type("adc.bits", "6");
  found.comparison = type("adc.bits", ">= 6");
  found.range = type("array.rows", "100..200");
  found.text = type("array.unused_rows", "conn");
  found.nothing = type("adc.bits", "> 100");
  const front = document.getElementById("front-only");
  front.click();
  found.front = rows().length;
  found.shown = document.getElementById("shown").textContent;
  found.dimmed = document.querySelectorAll("polyline.dimmed").length;
  document.getElementById("clear").click();
  found.cleared = rows().length;
  found.links = [...document.querySelectorAll("#points tbody a")].map((link) => link.getAttribute("href"));
  found.anchors = [...document.querySelectorAll("nav a")].map((link) => link.getAttribute("href").slice(1));
  found.missing = found.anchors.filter((id) => !document.getElementById(id));
  // Text that leaves its plot.
  const outside = (text) => {
    const [box, plot] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
    return box.left < plot.left - 1 || box.right > plot.right + 1 || box.top < plot.top - 1 || box.bottom > plot.bottom + 1;
  };
  found.outside = [...document.querySelectorAll("figure text")].filter(outside).map((text) => text.closest("figure").id + ": " + text.textContent.trim());
  found.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  // Saved plots, instead of being saved.
  const done = () => {
    const out = document.createElement("pre");
    out.id = "found";
    out.textContent = JSON.stringify(found);
    document.body.append(out);
  };
  found.saved = {};
  HTMLAnchorElement.prototype.click = async function () {
    const bytes = new Uint8Array(await (await fetch(this.href)).arrayBuffer());
    found.saved[this.download] = [...bytes.slice(0, 24)];
    if (Object.keys(found.saved).length === 2) done();
  };
  for (const button of document.querySelector("figure .save").children) button.click();
})();
"""


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    sys.exit("there is no Chromium")


def opened(page: pathlib.Path, *flags: str) -> str:
    """The page after its scripts have run."""
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *flags]
        command += ["--window-size=1200,900", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def check(what: str, holds: bool) -> None:
    if not holds:
        sys.exit(f"wrong: {what}")
    print(f"ok {what}")


def check_page(folder: pathlib.Path) -> None:
    page = folder / "report.html"
    clicked = folder / "clicked.html"
    text = page.read_text()
    check("the page names no other file or host", not re.search(r"""(src|href)=["'](https?:|//|[^#"'p])""", text))
    clicked.write_text(text.replace("</body>", f"<script>{CLICKS}</script></body>"))
    dom = opened(clicked)
    match = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    check("the page's script ran to its end", match is not None)
    found = json.loads(html.unescape(match.group(1)))
    check("all points are in the table", found["all"] == 12 and found["cleared"] == 12)
    check("a click sorts up, another down", found["up"] == sorted(found["up"]) == found["down"][::-1])
    check("6 filters a number", found["number"] == 4)
    check(">= 6 filters", found["comparison"] == 8)
    check("100..200 filters", found["range"] == 6)
    check("a text filters", found["text"] == 6)
    check("nothing is found above 100", found["nothing"] == 0)
    check("the front is a part", 0 < found["front"] < 12 and found["shown"] == f"{found['front']} of 12 points")
    check("other lines are dimmed", found["dimmed"] == 12 - found["front"])
    check("contents lead somewhere", found["anchors"] and not found["missing"])
    check(f"no text leaves its plot {found['outside']}", not found["outside"])
    check(f"nothing was loaded {found['requests']}", not found["requests"])
    (svg, begin), (png, header) = sorted(found["saved"].items(), reverse=True)
    check(f"{svg} is saved", svg.endswith(".svg") and bytes(begin).startswith(b"<svg"))
    width = int.from_bytes(bytes(header[16:20]), "big")
    check(f"{png} is saved, twice as large", bytes(header[1:4]) == b"PNG" and width == 2 * 860)
    check("every point has a page", len(found["links"]) == 12)
    for link in found["links"][:2]:
        check(f"{link[:15]}... opens", "Energy per layer" in opened(folder / link))
    for plot in (folder / "plots").glob("*.svg"):
        check(f"{plot.name} is in the page", f'id="{plot.stem}"' in text)


def check_parquet(path: pathlib.Path, rows: list) -> None:
    try:
        import pyarrow.parquet
    except ImportError:
        print("no pyarrow: the Parquet file is not read")
        return
    table = pyarrow.parquet.read_table(path).to_pylist()
    check("Parquet has all rows", len(table) == len(rows))
    for row, expected in zip(table, rows):
        axes = expected.pop("axes")
        check(f"point {row['point']} is the same in Parquet and JSON", row == {**expected, **axes})


def main() -> None:
    farad = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "small.toml").write_text(EXPERIMENT)

        def run(*args: str) -> None:
            subprocess.run([farad, "-q", *args], check=True, cwd=folder, stdout=subprocess.DEVNULL)

        run("sweep", "small.toml", "--report")
        run("sweep", "export", "small.toml", "--parquet", "small.parquet", "--json", "small.json")
        check_parquet(folder / "small.parquet", json.loads((folder / "small.json").read_text()))
        check_page(folder / "sweep" / "small")


if __name__ == "__main__":
    main()
