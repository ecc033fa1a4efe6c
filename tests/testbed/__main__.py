"""Hosts to try things on: python -m tests.testbed up campus --web apache"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from tests.testbed import flavours, hosts, images, vhosts
from tests.testbed.engine import EngineError, ensure, report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    parser.add_argument("--network", default=hosts.NETWORK, help="hosts of one network know each other (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--network", default=argparse.SUPPRESS, help=argparse.SUPPRESS)

    up = commands.add_parser("up", parents=[common], help="make a fresh host; one of the same name is replaced")
    up.add_argument("name", help="its public name will be NAME.test")
    up.add_argument("--release", choices=images.RELEASES, default="trixie")
    up.add_argument("--web", choices=images.SERVERS, default="nginx")
    up.add_argument("--state", choices=images.STATES, default="sloppy")
    up.add_argument("--vhost", choices=vhosts.FIXTURES, default="plain")
    up.add_argument("--flavour", choices=flavours.VERSIONS, default=flavours.VERSIONS[0], help="version of Chamilo")
    up.add_argument("--ssh", action="store_true", help="with an ordinary account that is reached over ssh and has sudo")

    down = commands.add_parser("down", parents=[common], help="remove hosts")
    which = down.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?")
    which.add_argument("--all", action="store_true", help="all hosts of the network, and the network")

    image = commands.add_parser("image", parents=[common], help="make images, so that hosts start at once")
    image.add_argument("--release", choices=images.RELEASES, default="trixie")
    image.add_argument("--web", choices=images.SERVERS, default="nginx")
    image.add_argument("--state", choices=images.STATES, default="sloppy")
    image.add_argument("--all", action="store_true", help="both releases with both web servers")

    inventory = commands.add_parser("inventory", parents=[common], help="print an inventory for Ansible")
    inventory.add_argument("names", nargs="+", metavar="name")
    commands.add_parser("ps", parents=[common], help="list the hosts of the network")

    options = parser.parse_args()
    started = time.monotonic()
    if options.command == "up":
        host = hosts.up(
            options.name,
            options.release,
            options.web,
            options.state,
            options.vhost,
            options.network,
            options.ssh,
            flavour=options.flavour,
        )
        seconds = time.monotonic() - started
        report(f"{host.domain} is up at {host.address} after {seconds:.1f} s (container {host.container})")
    elif options.command == "down" and options.all:
        hosts.down(options.network)
    elif options.command == "down":
        hosts.find(options.name, options.network).down()
    elif options.command == "image":
        ensure()
        chosen = images.everything() if options.all else [images.image(options.release, options.web, options.state)]
        print("\n".join(chosen))
        report(f"took {time.monotonic() - started:.1f} s")
    elif options.command == "inventory":
        found = [hosts.find(name, options.network) for name in options.names]
        # JSON is YAML too.
        print(json.dumps({"chamilo": {"hosts": {host.domain: host.inventory() for host in found}}}, indent=2))
    else:
        for host in hosts.hosts(options.network):
            print(f"{host.domain:24} {host.address:16} {host.release} {host.web} {host.state} {host.vhost}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (EngineError, subprocess.CalledProcessError) as problem:
        sys.exit(f"testbed: {problem}")
