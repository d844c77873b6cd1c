"""``shard doctor``: what is wrong, and what to do about it."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import OutputWrapper

from sharding import doctor, migrating, topology
from sharding.commands import Failed, Subcommand


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON list of findings instead of a table")


def examine(out: OutputWrapper, *, json: bool = False, **_: Any) -> None:
    plan = migrating.Plan()
    aliases = topology.all_aliases()
    found = doctor.examine_map()
    for alias in aliases:
        found += doctor.examine(alias, plan)
    if json:
        out.write(_as_json(found))
    else:
        for finding in found:
            out.write(f"{finding.severity:<8} {finding.alias:<24} {finding.what}")
            out.write(f"{'':<33} → {finding.remedy}")
        if not found:
            out.write(f"map {topology.current().epoch} and {len(aliases)} databases are well")
    broken = sorted({finding.alias for finding in found if finding.severity == "error"})
    if broken:
        raise Failed(f"not well: {', '.join(broken)}")


def _as_json(found: list[doctor.Finding]) -> str:
    return json.dumps([asdict(finding) for finding in found])


SUBCOMMANDS = (Subcommand("doctor", "what is wrong with the map and its databases", examine, add_arguments),)
