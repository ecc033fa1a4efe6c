"""A new user's first command: what he answers is tried, written, and enough for each command that comes after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.conftest import Cell
from tests.hosts.test_preflight import TRACES
from tests.playbook import PlayError, play
from tests.testbed.hosts import USER, ssh_key, up

SUDO, VAULT = "open sesame", "a password of the vault"


@pytest.mark.wire
def test_what_is_answered_is_tried_and_enough_for_the_next_command(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = up("setup", release=cell.release, web=cell.web, ssh=True)
    try:
        host.run(f"echo '{USER}:{SUDO}' | chpasswd && sed -i s/NOPASSWD:// /etc/sudoers.d/*")
        monkeypatch.delenv("CI", raising=False)  # on such a controller no key would be kept
        monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "False")
        monkeypatch.setenv("ANSIBLE_PRIVATE_KEY_FILE", str(ssh_key()))
        monkeypatch.setenv("ANSIBLE_INVENTORY_ENABLED", "host_list,yaml")
        nobody = tmp_path / "nobody.yml"
        nobody.write_text("all: {hosts: {localhost: {ansible_python_interpreter: auto_silent}}}\n")
        inventory = tmp_path / "hosts.yml"
        answers = {
            "chamilo_inventory": str(inventory),
            "chamilo_setup_server": host.address,
            "chamilo_setup_user": USER,
            "chamilo_setup_sudo_password": SUDO,
            "chamilo_setup_vault_password": "",
            "chamilo_https_acme_email": "admin@campus.test",
            "chamilo_alert_mail": "admin@campus.test",
            "chamilo_backups_offsite_repository": "rest:http://campus:s3cret@nas.invalid/campus",
        }
        with pytest.raises(PlayError, match="has a password in it, and no password"):
            play("setup", nobody, variables=answers, details=False)
        assert not inventory.exists()

        before = host.snapshot()
        screen = play(
            "setup", nobody, variables={**answers, "chamilo_setup_vault_password": VAULT}, details=False
        ).output
        assert not before.changes(host.snapshot(), TRACES)
        for words in (
            "https       not yet, see below",
            "backups     daily encrypted backups",
            "nas.invalid:80 does not answer",
            "--ask-vault-pass --tags preflight",
        ):
            assert words in screen or words in " ".join(screen.split()), screen
        written = [path for path in tmp_path.rglob("*") if path.is_file() and path != nobody]
        assert {path.name for path in written} == {"hosts.yml", "vault.yml"}
        for secret in ("s3cret", SUDO, VAULT):
            assert secret not in screen and not any(secret in path.read_text() for path in written)

        password = tmp_path / "password"
        password.write_text(VAULT)
        audited = play("audit", inventory, "--vault-password-file", str(password), details=False)
        assert f"{host.domain}: " in audited.output and "could not be reached" not in audited.output
    finally:
        host.down()
