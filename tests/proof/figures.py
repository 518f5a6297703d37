"""Keep the figures of the proofs: where PROOF_FIGURES names a file, each proof appends one JSON line to it."""

import json
import os
from pathlib import Path


def keep_figures(proof: str, **figures: object) -> None:
    """Append the figures of one proof; ``docs/proof.md`` is written from them by hand."""
    if path := os.environ.get("PROOF_FIGURES"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"proof": proof} | figures) + "\n")
