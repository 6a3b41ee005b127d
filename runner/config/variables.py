"""Which RUNNER_* variables are settings: most, but other programs use this prefix too."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runner.config.complaints import PREFIX

OTHERS = re.compile(
    "RUNNER_(ALLOW_RUNASROOT|ARCH|CONFIG|DEBUG|ENVIRONMENT|NAME|OS|PERFLOG|TEMP|TOKEN|TOOL_CACHE"
    "|TRACKING_ID|USER|WORKSPACE)"
)
"""RUNNER_CONFIG names the settings file, RUNNER_TOKEN is for `runner chat`; the others are set
on every machine of GitHub Actions."""

OF_A_SERVICE = re.compile(
    r"RUNNER_(.+_)?"
    r"(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
PORT_OF_A_SERVICE = re.compile("(tcp|udp|sctp)://.*")
"""Kubernetes gives each pod such variables for each Service, here for one called `runner` or
`runner-...`. Its RUNNER_PORT holds an address; RUNNER_PORT=8080 is somebody's slip, and an error.
"""


def names_of_settings(environ: Mapping[str, str], notes: list[str]) -> list[str]:
    """The variables that are settings, in order; a note names those of a Kubernetes Service."""
    names = sorted(n for n in environ if n.startswith(PREFIX) and not OTHERS.fullmatch(n))
    strange = [name for name in names if _is_of_a_service(name, environ[name])]
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        notes.append(
            f"{strange[0]}{more} from a Kubernetes Service: not settings, and not used "
            "(`enableServiceLinks: false` in the pod's spec leaves them out)"
        )
    return [name for name in names if name not in strange]


def _is_of_a_service(name: str, value: str) -> bool:
    if "__" in name:  # That is how a setting is spelt.
        return False
    is_address = name.endswith("_PORT") and PORT_OF_A_SERVICE.fullmatch(value) is not None
    return is_address or OF_A_SERVICE.fullmatch(name) is not None
