"""Builds the documentation site into .cache/site/html: ``bin/env --docs python -m tests.tools.documentation_site``.

The pages are the files of the repository, in the same places, so that their links work; antsibull-docs writes the
reference of modules, roles and lookups. A broken link fails the build. ``--external`` asks other sites, too. Where
bin/demo ran in this checkout, the reports it made before and after it hardened its host are part of the site.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.tools.checkout import CACHE, ROOT, copy_checkout

SITE = CACHE / "site"
SOURCE = SITE / "source"
REPORTS = ROOT / "chamilo-report"  # of bin/demo
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    "LICENSE",
    "docs",
    "roles",
    "tests/testbed/README.md",
)
# What a page may link to that is no page of the site: it is read in the repository.
_OF_REPOSITORY = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(#[^)]*)?\)")
CONFIGURATION = """\
project = "chamilo.hardening"
release = version = {version!r}
extensions = ["myst_parser", "sphinx_antsibull_ext", "sphinx.ext.intersphinx", "sphinxcontrib.mermaid"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "chamilo.hardening " + version
html_extra_path = {extra!r}
# The reference links to Ansible's own documentation, whose index is on another host.
intersphinx_mapping = {mapping!r}
suppress_warnings = {suppressed!r}
linkcheck_timeout = 20
linkcheck_ignore = [r"https?://[^/]*\\.example.*", r"https?://(localhost|127\\.).*"]
"""
# Links of HTML: what they lead to is no page that Sphinx writes.
EXAMPLES = """\
# Example reports

Of the host that `bin/demo` makes and hardens: Chamilo put there by a tutorial, and nothing hardened.

- <a href="examples/before.html">Before</a>: what to do next, by severity and cause, and what was seen of each control.
- <a href="examples/after.html">After</a> one run of harden: what is left is for people, or misses a variable.
"""
INDEX = """\
```{{include}} README.md
```

```{{toctree}}
:hidden:
:caption: Use it

README
docs/recipes
docs/troubleshooting
docs/break-in
docs/tested
docs/upgrade
docs/releases
CHANGELOG
{examples}```

```{{toctree}}
:hidden:
:caption: The guide, section by section

docs/controls
{sections}
```

```{{toctree}}
:hidden:
:caption: Reference

docs/reference
SECURITY
collections/index
```

```{{toctree}}
:hidden:
:caption: Change it

CONTRIBUTING
CODE_OF_CONDUCT
docs/architecture
tests/testbed/README
```
"""


def sections() -> list[str]:
    """The sections in the order of the table of controls, and the role that all of them use."""
    table = yaml.safe_load((ROOT / "meta/controls.yml").read_text(encoding="utf-8"))
    return [*table["sections"], "common"]


def in_repository(page: Path, text: str, repository: str) -> str:
    """The page with links to files that are no pages made links into the repository."""

    def target(link: re.Match[str]) -> str:
        path = (ROOT / page.parent / link[1]).resolve()
        if not path.exists() or (SOURCE / path.relative_to(ROOT)).is_file():
            return link[0]  # a page, or a mistake that the build names
        kind = "tree" if path.is_dir() else "blob"
        return f"]({repository}/{kind}/main/{path.relative_to(ROOT)})"

    return _OF_REPOSITORY.sub(target, text)


def examples(target: Path) -> bool:
    """Take the two reports of bin/demo along; whether both are there."""
    reports = {name: REPORTS / name / "report.html" for name in ("before", "after")}
    if not all(report.is_file() for report in reports.values()):
        return False
    target.mkdir(parents=True)
    for name, report in reports.items():
        shutil.copyfile(report, target / f"{name}.html")
    return True


def lay(external: bool) -> None:
    """Lay the pages, the reference and the configuration where Sphinx reads them."""
    copy_checkout(SOURCE, *PAGES)
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    for page in SOURCE.rglob("*.md"):
        name = page.relative_to(SOURCE)
        page.write_text(in_repository(name, page.read_text(encoding="utf-8"), galaxy["repository"]), encoding="utf-8")
    roles = "\n".join(f"roles/{name}/README" for name in sections())
    found = examples(SITE / "extra/examples")
    if found:
        (SOURCE / "examples.md").write_text(EXAMPLES, encoding="utf-8")
    index = INDEX.format(sections=roles, examples="examples\n" if found else "")
    (SOURCE / "index.md").write_text(index, encoding="utf-8")
    mapping = {"ansible": ("https://docs.ansible.com/projects/ansible/latest/", None)} if external else {}
    suppressed = [] if external else ["ref.ref"]  # antsibull-docs checks the references to what is ours
    extra = [str(SITE / "extra")] if found else []
    configuration = CONFIGURATION.format(version=galaxy["version"], mapping=mapping, suppressed=suppressed, extra=extra)
    (SOURCE / "conf.py").write_text(configuration, encoding="utf-8")
    (SOURCE / "collections").mkdir(mode=0o755)
    subprocess.run(
        ["antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"]
        + ["--dest-dir", str(SOURCE / "collections"), "chamilo.hardening"],
        check=True,
        cwd=ROOT,
    )


def main(arguments: list[str]) -> int:
    shutil.rmtree(SITE, ignore_errors=True)
    external = "--external" in arguments
    lay(external)
    builder = "linkcheck" if external else "html"
    command = ["sphinx-build", "-q", "--fail-on-warning", "--keep-going", "-b", builder]
    return subprocess.run([*command, str(SOURCE), str(SITE / builder)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
