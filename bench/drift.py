"""Comparing ten accounts full of grants with what was approved. Left out until it exists."""

from importlib.util import find_spec

from bench.figures import Line, Skipped
from bench.measures import Size
from bench.server import Control


def drift_scan(aws: Control, size: Size) -> list[Line]:
    """Calls, memory and time of a scan, beside reading the same pages and throwing them away."""
    if find_spec("provisioning.aws.scan") is None:
        return [Skipped("P7", "drift is read one grant at a time so far")]
    return [Skipped("P7", f"{size.scanned} grants: the scan has no measure yet")]
