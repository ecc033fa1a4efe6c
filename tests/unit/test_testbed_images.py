"""Where the images of the testbed come from."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.testbed import images


def test_without_apt_a_host_is_made_of_debians_own_image(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    which = shutil.which
    absent = {"apt-get", "apt-config"}
    monkeypatch.setattr(shutil, "which", lambda name: None if name in absent else which(name))
    monkeypatch.setattr(images, "ensure", lambda: None)
    monkeypatch.setattr(images, "layer", lambda *step: made.append(step) or "image")
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    assert images.base("bookworm") == "image"
    ((name, parent, script),) = made
    assert (name, parent) == ("base-bookworm", "debian:bookworm")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert """printf %s 'Acquire::http::Proxy "http://proxy.test:3128";\n' >/etc/apt/""" in script
    assert all(package in script for package in images.BASE_PACKAGES.split(","))
