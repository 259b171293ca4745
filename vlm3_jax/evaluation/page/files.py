"""The report in the folder of an evaluation."""

import json
from pathlib import Path

from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.lookup import Lookup
from vlm3_jax.evaluation.page.assemble import page
from vlm3_jax.evaluation.report import PREDICTIONS, RESULTS
from vlm3_jax.files import write_whole

PAGE = "report.html"


def write_page(workdir: str | Path) -> Path:
    """Writes `report.html` from the other files of an evaluation, in place of one that is there.

    Raises:
        BadInput: there are no results, or a set that was asked about is no longer there.
    """
    folder = Path(workdir)
    if not (folder / RESULTS).exists():
        raise BadInput(f"{folder} holds no {RESULTS}: name the --workdir of an evaluation.")
    results = json.loads((folder / RESULTS).read_text())
    lines = [json.loads(line) for line in (folder / PREDICTIONS).read_text().splitlines()]
    html = page(results, lines, Lookup.of_results(results).record)
    write_whole(folder / PAGE, html.encode())
    return folder / PAGE
