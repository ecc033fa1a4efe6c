"""How the tests have Ansible reach their hosts: like community.docker.docker, at a twentieth of its price."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shlex import quote

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display

from tests.testbed.engine import AROUND, way_in

DOCUMENTATION = """
name: testbed
short_description: Runs tasks in hosts of the testbed
description: In the container that C(ansible_host) names, as root unless C(ansible_user) names another.
author: The chamilo.hardening maintainers
options:
  remote_addr:
    description: The container.
    type: str
    required: true
    vars:
      - name: ansible_host
  remote_user:
    description: As whom.
    type: str
    default: root
    vars:
      - name: ansible_user
"""


class Connection(ConnectionBase):
    transport = "testbed"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        container = self.get_option("remote_addr")
        way = way_in(container)
        if not way:
            raise AnsibleConnectionFailure(f"There is no container {container} here that runs.")
        user = self.get_option("remote_user")
        done = subprocess.run(
            [*way, *(["runuser", "-u", user, "--"] if user != "root" else []), "sh", "-c", cmd],
            input=in_data or b"",
            capture_output=True,
            env=AROUND,
            umask=0o022,
            check=False,
        )
        answer = done.returncode, done.stdout, done.stderr
        # As that of ssh does: whatever a host answers with comes out here.
        Display().vvv("censored" if self._play_context.no_log else str(answer), host=container)
        return answer

    def put_file(self, in_path: str, out_path: str) -> None:
        super().put_file(in_path, out_path)
        self._copied(self.exec_command(f"cat >{quote(out_path)}", Path(in_path).read_bytes()), out_path)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        super().fetch_file(in_path, out_path)
        Path(out_path).write_bytes(self._copied(self.exec_command(f"cat {quote(in_path)}"), in_path))

    def _copied(self, answer: tuple[int, bytes, bytes], path: str) -> bytes:
        code, out, output = answer
        if code:
            raise AnsibleConnectionFailure(f"{path} could not be copied: {output.decode(errors='replace')}")
        return out

    def close(self) -> None:
        self._connected = False
