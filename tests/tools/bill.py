"""The bill of materials of a package (CycloneDX): what it is, what it needs, and what it installs on a host."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.portal import PACKAGES
from tests.tools.checkout import ROOT

# Of roles that ask for them by name. The others are in the plan of discovery.
ALSO = ("certbot", "python3-pymysql")


def bill(package: Path, when: int) -> str:
    """The same text for the same bytes. The files of the package are in its own FILES.json, with their checksums."""
    about = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    needs = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    name = f"{about['namespace']}.{about['name']}"
    itself = f"pkg:generic/{name}@{about['version']}"
    debian = sorted({each for names in PACKAGES.values() for each in names} | set(ALSO))
    components: list[dict[str, Any]] = [
        {
            "type": "framework",
            "bom-ref": "pkg:pypi/ansible-core",
            "name": "ansible-core",
            "purl": "pkg:pypi/ansible-core",
            "scope": "required",
            "description": f"On the controller: {needs}",
        }
    ]
    for each in debian:
        purl = f"pkg:deb/debian/{each}"
        about_it = "On a host whose sections need it, from Debian's own archive: in the version of its release"
        entry = {"type": "application", "bom-ref": purl, "name": each, "purl": purl, "scope": "optional"}
        components.append({**entry, "description": about_it})
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": name,
                "version": about["version"],
                "description": about["description"],
                "purl": itself,
                "licenses": [{"license": {"id": each}} for each in about["license"]],
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "externalReferences": [{"type": "vcs", "url": about["repository"]}],
            },
        },
        "components": components,
        "dependencies": [{"ref": itself, "dependsOn": [each["bom-ref"] for each in components]}],
    }
    return json.dumps(document, indent=1) + "\n"
