"""Golden files: documents as they were when somebody last read them with care."""

import os
from pathlib import Path
from typing import Final

from provisioning.core.documents import Document, pretty

FOLDER: Final = Path(__file__).parent / "golden"


def assert_golden(name: str, document: Document) -> None:
    """Compare a document with its golden file.

    `GOLDEN=write` writes the files anew; read the difference before you commit it.
    """
    path, text = FOLDER / f"{name}.json", pretty(document) + "\n"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
