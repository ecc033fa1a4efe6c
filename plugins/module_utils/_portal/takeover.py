# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Whether the virtual host this collection writes can stand in for the one that serves the portal now.

It can when the files of the present one hold the portal's domain alone, and nothing but directives that ours has too.
Everything else is an obstacle: better one named too many than one lost.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import apache, nginx
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import (
    Configuration,
    Directive,
    Listen,
    Place,
    Server,
    Takeover,
    VirtualHost,
    every,
    is_public,
    walk,
)


@dataclass(frozen=True)
class Portal:
    """What ours will serve."""

    domain: str
    roots: frozenset[str]  # what leads to its document root, or to the project folder, where it does not belong
    php: str  # the socket or address PHP listens on, or mod_php
    link: str  # the name in sites-enabled under which it is read


def assess(
    portal: Portal,
    web_server: str,
    configuration: Configuration,
    servers: Sequence[Server],
    serving: Sequence[Server],
    fallback: Sequence[Server],
    closed: Sequence[Place] = (),
) -> Takeover:
    """What has to go for ours, and what would be lost with it.

    ``closed``: access rules outside of the virtual host that would no longer count in ours.
    """
    main, lost_in, stray = {
        "nginx": (nginx.MAIN, _lost_in_nginx, _stray_in_nginx),
        "apache": (apache.MAIN, _lost_in_apache, _stray_in_apache),
    }[web_server]
    foreign = [server for server in serving if not server.host.ours]
    files = tuple(dict.fromkeys(server.host.file for server in foreign))
    # Nobody knows what stands in a part that could not be read.
    obstacles = [*(Place(main, 1, problem) for problem in configuration.problems), *closed]
    if web_server == "nginx" and not (obstacles or _reads_ours(configuration)):
        obstacles.append(Place(main, 1, f'the line "include {_ENABLED}/*;" is missing, so ours would not be read'))
    neighbours: list[Place] = []
    for file in files:
        if file == main:
            neighbours += (server.block.place for server in foreign if server.host.file == file)
            continue
        for server in servers:
            if server.host.file == file:
                neighbours += _other_names(server, portal.domain)
                if server in foreign:
                    obstacles += lost_in(server.block, portal, configuration)
        obstacles += stray(configuration, file)
    neighbours += _displaced(portal, web_server, servers, serving)
    for server in fallback:
        # It stays for all other names; for ours its rules would no longer count.
        if _is_root(server.host.root, portal):
            obstacles += lost_in(server.block, portal, configuration)
    enabled = [path for file in files if file != main for path in configuration.links.get(file, [file])]
    found = _sorted([*obstacles, *neighbours])
    redirected = any(
        _to_https(argument.rstrip("?"), portal.domain)
        for server in foreign
        for item in server.block.block or ()
        if item.name != "if" or web_server != "nginx" or _if_for_https(item)
        for directive in walk([item])
        for argument in directive.arguments
    )
    enabled_now = tuple(dict.fromkeys(enabled))
    return Takeover(not found, files, enabled_now, found, _sorted(neighbours), redirected, tuple(closed))


def refused(
    domain: str, found: Takeover, serving: Sequence[VirtualHost], include: str, unwritable: Sequence[Place] = ()
) -> dict[str, str]:
    """Why it is not done, for each value of chamilo_https_vhost that asks for it.

    ``include``: the line that its owner may add instead. ``unwritable``: access rules that would be lost even then.
    """
    why = {}
    if unwritable:
        why["include"] = (
            f"Access rules of {domain} would be lost: {_written(unwritable)}. They can be kept only where the file can "
            "be read, and the name of its directory written into a configuration of Apache. Mend the file or rename "
            "the directory, or remove it if it is none of yours."
        )
    kept = _is_kept(serving)
    displaced = [place for place in found.neighbours if place.file not in found.files]
    if displaced and len(displaced) == len(found.obstacles):
        text = (
            f"{domain} was left as it is, because another site would go dark: {_written(displaced)}. Do so, or set "
            f'chamilo_https_vhost to include and add the line "{include}" to the portal\'s own virtual host.'
        )
        return {"managed": text} if kept else {"auto": text, "managed": text}
    lost = (
        [
            f"Access rules of {domain} would be lost: {_written(found.closed)}. The virtual host of this collection "
            "lets everybody in and reads no .htaccess. Keep the portal's own virtual host: set chamilo_https_vhost to "
            f'include and add the line "{include}" to it. Or remove these rules if they are none of yours.'
        ]
        if found.closed
        else []
    )
    others = [place for place in found.obstacles if place not in found.closed]
    instead = (
        "or give each of the other sites a file of its own"
        if found.neighbours
        else "or set it to managed to have it replaced"
    )
    dark = [_refusal(domain, found.neighbours, include, instead)] if found.neighbours else []
    more = [_refusal(domain, others, include, instead)] if others else []
    if lost or dark:
        why["managed"] = " ".join([*lost, *dark])
    if kept and unwritable:
        why["auto"] = why["include"]
    elif not kept and (lost or more):
        why["auto"] = " ".join([*lost, *more])
    return why


def _is_kept(serving: Sequence[VirtualHost]) -> bool:
    """Whoever includes our drop-ins in a virtual host of his own is not asked again."""
    return bool(serving) and all(host.includes_ours for host in serving) and not all(host.ours for host in serving)


def twice(domain: str, serving: Sequence[VirtualHost], wish: str, ours: Mapping[str, str]) -> str:
    """Why our drop-ins do not fit into the virtual host that its owner keeps, or an empty text.

    ``wish``: the value of chamilo_https_vhost, where it counts. ``ours``: what ours say of directives that nginx takes
    once in a server block. Where its owner says the same in all of them, ours need not.
    """
    if wish == "managed" or not (wish == "include" or _is_kept(serving)):
        return ""
    wrong: list[Place] = []
    for name, value in ours.items():
        said = [place for host in serving for place in host.once if place.what.split()[0] == name]
        same = [place for place in said if place.what.lower() == f"{name} {value}".lower()]
        if len(same) < len(said) or 0 < len(said) < len(serving):
            wrong += said
    if not wrong:
        return ""
    places = _written(_sorted(wrong))
    named = sorted({place.what.split()[0] for place in wrong})
    instead = " and ".join(f'"{name} {ours[name]};"' for name in named)
    return (
        f"The virtual host of {domain} says what nginx takes once, and what the line that includes our files brings as "
        f"well: {places}. Take these lines out of it: our files say {instead} in all of it."
    )


def _refusal(domain: str, lost: Sequence[Place], include: str, instead: str) -> str:
    return (
        f"{domain} is served by a virtual host that does more than ours would: {_written(lost)}. It was left as it is. "
        f'Set chamilo_https_vhost to include and add the line "{include}" to that virtual host, {instead}.'
    )


def _written(places: Iterable[Place]) -> str:
    return "; ".join(f"{place.file} line {place.line}: {place.what}" for place in places)


def _sorted(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(sorted(set(places), key=lambda place: (place.file, place.line)))


def _displaced(
    portal: Portal, web_server: str, servers: Sequence[Server], serving: Sequence[Server]
) -> Iterator[Place]:
    """Other sites without a name, which answer for being read first: ours would be read before them."""
    folder, remedy = {
        "nginx": (_ENABLED, 'write default_server behind "listen"'),
        "apache": ("/etc/apache2/sites-enabled", f"rename its link so that it comes before {portal.link}"),
    }[web_server]
    addresses = {listen.address for server in serving for listen in server.host.listens} or {"*", "[::]"}
    sockets: dict[tuple[str, int], list[tuple[Server, Listen]]] = {}
    for server in servers:
        for listen in server.host.listens:
            if listen.address in addresses and is_public(listen.address, listen.port):
                sockets.setdefault((listen.address, listen.port), []).append((server, listen))
    for candidates in sockets.values():
        foremost = candidates[0][0]
        host = foremost.host
        link = host.enabled_by or host.file
        if (
            not any(listen.default for _server, listen in candidates)
            and foremost not in serving
            and not (host.ours or _is_root(host.root, portal) or _has_name(foremost))
            and posixpath.dirname(link) == folder
            and posixpath.basename(link) > portal.link
        ):
            what = f"{foremost.block.written} without a name, and no longer the first one that is read: {remedy}"
            yield Place(host.file, host.line, what)


def _has_name(server: Server) -> bool:
    """Whether visitors can reach it by a name that is written in it."""
    written = every(server.block.block or (), "server_name", "servername", "serveralias")
    return any("." in name for item in written for name in item.arguments)


def _other_names(server: Server, domain: str) -> Iterator[Place]:
    if set(server.host.names) == {domain}:
        return
    written = list(every(server.block.block or (), "server_name", "servername", "serveralias"))
    for item in written:
        if any(name.lower() != domain for name in item.arguments):
            yield item.place
    if not written:
        yield Place(server.block.file, server.block.line, f"{server.block.written} without a name")


# What both servers' rules say about paths, addresses and headers


def _is_root(path: str, portal: Portal) -> bool:
    return path.rstrip("/") in portal.roots


def _to_https(target: str, domain: str) -> bool:
    """Whether a redirect goes to the same address under https."""
    host = rf"(?:\$host|\$server_name|\$http_host|%\{{(?:SERVER_NAME|HTTP_HOST)\}}|{re.escape(domain)})"
    path = r"/?(?:\$request_uri|%\{REQUEST_URI\}|\$uri|\$1|%1|)"
    return re.fullmatch(rf"https://{host}(?::443)?{path}", target, re.IGNORECASE) is not None


def _everything(pattern: str) -> bool:
    """Whether a rule is for all addresses: one for an old page that leads to the portal would be lost."""
    return _matches(pattern.removeprefix("!"), "/any/where") is not pattern.startswith("!")


# One rule for names after a dot, without a second one for something else: that one would be lost.
AFTER_A_DOT = re.compile(
    r"(?:\^?/?(?:\.\*)?|\((?:\?:)?\^\|/\))"  # anywhere, or where a name begins
    r"\\\.(?:[^|()]|\((?:[^()]|\([^()]*\))*\))*"
)

_SAME_HEADERS = {
    "x-content-type-options": {"nosniff"},
    "x-frame-options": {"sameorigin"},
    "referrer-policy": {"strict-origin-when-cross-origin"},
}
# Ours sends these in its own way: what the value was does not matter.
_REPLACED_HEADERS = frozenset({"strict-transport-security", "x-xss-protection"})


def _same_header(name: str, value: str) -> bool:
    return name.lower() in _REPLACED_HEADERS or value.lower() in _SAME_HEADERS.get(name.lower(), ())


# nginx

_NGINX_TLS = re.compile(
    r"ssl_(certificate|certificate_key|protocols|ciphers|prefer_server_ciphers|session_\w+|dhparam|ecdh_curve"
    r"|stapling\w*|trusted_certificate|buffer_size|early_data)"
)
_NGINX_KEPT = frozenset({"error_log", "client_max_body_size", "http2", "server_name", "include", "root"})
_NGINX_IF_FOR_HTTPS = re.compile(r"\( ?\$(scheme|https|host|http_host|server_port)[ )]")
_ENABLED = "/etc/nginx/sites-enabled"
# Not ipv6only=off: its socket serves IPv4 as well, and ours would leave those visitors out.
_NGINX_LISTEN = re.compile(r"ssl|http2|default_server|default|ipv6only=on")
_FRONT = re.compile(r"(/public)?/index\.php(\$is_args\$args|\?\$(query_string|args)|\?\$is_args\$args|)")


def _lost_in_nginx(block: Directive, portal: Portal, configuration: Configuration) -> Iterator[Place]:
    level = block.block or ()
    log = next(every(level, "access_log"), None)
    certificate = next(every(level, "ssl_certificate"), None)
    for item in level:
        more = item.name == "ssl_certificate" and item is not certificate  # of another kind, for older visitors
        if item is not log and not configuration.is_ours(item.file) and (more or not _kept_by_nginx(item, portal)):
            yield item.place


def _kept_by_nginx(item: Directive, portal: Portal) -> bool:
    name, arguments = item.name, item.arguments
    if name == "listen":
        listen = nginx.parse_listen(arguments)
        return listen.port in (80, 443) and all(_NGINX_LISTEN.fullmatch(option) for option in arguments[1:])
    if name == "root":
        return _is_root(arguments[0], portal)
    if name == "index":
        return set(arguments) <= {"index.php", "index.html", "index.htm"}
    if name == "return":
        return _redirects(arguments, portal.domain) or arguments == ("404",)  # the latter is what certbot leaves
    if name == "rewrite":
        return len(arguments) > 1 and _to_https(arguments[1].rstrip("?"), portal.domain) and _everything(arguments[0])
    if name == "if":
        redirects = (
            inner.name == "return" and _redirects(inner.arguments, portal.domain) for inner in item.block or ()
        )
        return _if_for_https(item) and all(redirects)
    if name == "add_header":
        return len(arguments) > 1 and _same_header(arguments[0], arguments[1])
    if name == "location":
        return _location_kept(item, portal)
    return name in _NGINX_KEPT or _NGINX_TLS.fullmatch(name) is not None


def _if_for_https(item: Directive) -> bool:
    """Whether it asks for nothing but how, and under which name, the visitor came."""
    return _NGINX_IF_FOR_HTTPS.match(" ".join(item.arguments)) is not None


def _redirects(arguments: Sequence[str], domain: str) -> bool:
    return len(arguments) == 2 and arguments[0] in ("301", "302", "307", "308") and _to_https(arguments[1], domain)


def _location_kept(location: Directive, portal: Portal) -> bool:
    """Whether ours treats these addresses the same way."""
    inner = [item for item in location.block or () if item.name != "include"]
    pattern = location.arguments[-1]
    if location.arguments in (("/",), ("^~", "/")):
        return all(_is_front(item) or _index_kept(item) for item in inner)
    if location.arguments[0] in ("~", "~*") and any(item.name == "fastcgi_pass" for item in inner):
        return _matches(pattern, "/index.php") and all(_kept_for_php(item, portal) for item in inner)
    if location.arguments[0] == "=" and pattern == "/index.php":
        return all(_kept_for_php(item, portal) for item in inner)
    if location.arguments[0] in ("~", "~*") and _only_denies(inner):
        # Files with a leading dot, and programs that the portal does not consist of: ours denies them as well.
        denied = any(_matches(pattern, path) for path in ("/.htaccess", "/.git/config", "/other.php"))
        return denied and AFTER_A_DOT.fullmatch(pattern) is not None
    if pattern in ("/favicon.ico", "/robots.txt"):
        return all(item.name in ("access_log", "log_not_found", "allow") for item in inner)
    return False


def _is_front(item: Directive) -> bool:
    """What Chamilo needs: a file when there is one, else the front controller."""
    if item.name != "try_files" or not item.arguments:
        return False
    *files, last = item.arguments
    return set(files) <= {"$uri", "$uri/", "/public$uri", "/public$uri/"} and _FRONT.fullmatch(last) is not None


def _index_kept(item: Directive) -> bool:
    return item.name == "index" and set(item.arguments) <= {"index.php", "index.html", "index.htm"}


def _kept_for_php(item: Directive, portal: Portal) -> bool:
    if item.file in nginx.FASTCGI_FILES:
        return True
    if item.name == "fastcgi_pass":
        return item.arguments[0] == portal.php or portal.php == ""
    if item.name == "fastcgi_param":
        return item.arguments[0] in nginx.REQUEST_PARAMS
    if item.name == "try_files":
        return item.arguments[-1] == "=404" or _FRONT.fullmatch(item.arguments[-1]) is not None
    if item.name == "set":
        return item.arguments[0] == "$path_info"
    if item.name == "fastcgi_hide_header":
        return item.arguments[0].lower() == "x-powered-by"
    return item.name in (
        "fastcgi_index",
        "fastcgi_split_path_info",
        "fastcgi_buffers",
        "fastcgi_buffer_size",
        "fastcgi_busy_buffers_size",
        "internal",
    )


def _only_denies(inner: Iterable[Directive]) -> bool:
    return all(
        item.name in ("access_log", "log_not_found")
        or (item.name == "deny" and item.arguments == ("all",))
        or (item.name == "return" and item.arguments in (("403",), ("404",)))
        for item in inner
    )


def _matches(pattern: str, path: str) -> bool:
    try:
        return re.search(pattern, path, re.IGNORECASE) is not None
    except re.error:
        return False


def _reads_ours(configuration: Configuration) -> bool:
    """Whether nginx reads the folder that Debian has for virtual hosts; that of its own makers does not."""
    lines = (line for http in every(configuration.directives, "http") for line in every(http.block or (), "include"))
    patterns = (posixpath.join(posixpath.dirname(nginx.MAIN), line.arguments[0]) for line in lines if line.arguments)
    return any(fnmatch.fnmatchcase(f"{_ENABLED}/chamilo-campus.conf", pattern) for pattern in patterns)


def _stray_in_nginx(configuration: Configuration, file: str) -> Iterator[Place]:
    """What else the file holds, beside server blocks."""
    for http in every(configuration.directives, "http"):
        yield from (item.place for item in http.block or () if item.file == file and item.name != "server")


# Apache

_APACHE_KEPT = frozenset(
    """
    servername serveradmin sslengine sslcertificatefile sslcertificatekeyfile sslprotocol sslciphersuite
    sslhonorcipherorder sslsessiontickets sslcompression ssloptions limitrequestbody errorlog fallbackresource protocols
    rewriteengine include includeoptional documentroot directoryindex
    """.split()
)
_OPTIONS = re.compile(r"[+-]?(Indexes|FollowSymLinks|SymLinksIfOwnerMatch|MultiViews|None|All)", re.IGNORECASE)
_CONDITION_FOR_HTTPS = re.compile(r"%\{(HTTPS|SERVER_NAME|SERVER_PORT|HTTP_HOST|REQUEST_SCHEME)\}", re.IGNORECASE)
_CONDITION_FOR_FRONT = re.compile(
    r"%\{(REQUEST_FILENAME|REQUEST_URI|DOCUMENT_ROOT|HTTP:Authorization|ENV:)", re.IGNORECASE
)
# Certbot's own file of TLS settings, log format included.
_CERTBOT = re.compile(r"/etc/letsencrypt/options-ssl-[\w-]+\.conf")


def _lost_in_apache(block: Directive, portal: Portal, configuration: Configuration) -> Iterator[Place]:
    if any(listen.port not in (80, 443) for listen in apache.parse_listens(block.arguments, False, configuration)):
        yield block.place
    level = block.block or ()
    log = next(every(level, "customlog"), None)
    certificate = next(every(level, "sslcertificatefile"), None)
    for item in level:
        if item is log or configuration.is_ours(item.file) or _CERTBOT.fullmatch(item.file):
            continue
        if item.name == "sslcertificatefile" and item is not certificate:  # of another kind, for older visitors
            yield item.place
        else:
            yield from _lost(item, level, portal)


def _lost(item: Directive, level: Sequence[Directive], portal: Portal) -> Iterator[Place]:
    """What ours would not do of one directive or section."""
    if item.name in ("directory", "directorymatch") and item.arguments and _is_root(item.arguments[0], portal):
        for inner in item.block or ():
            yield from _lost(inner, item.block or (), portal)
    elif item.block is not None:
        if not _section_kept(item, portal):
            yield item.place
    elif not _kept_by_apache(item, level, portal):
        yield item.place


def _kept_by_apache(item: Directive, level: Sequence[Directive], portal: Portal) -> bool:
    name, arguments = item.name, item.arguments
    handlers: dict[str, Callable[[], bool]] = {
        "documentroot": lambda: _is_root(arguments[0], portal),
        "directoryindex": lambda: arguments[0] == "index.php",
        "fallbackresource": lambda: arguments == ("/index.php",),
        "options": lambda: all(_OPTIONS.fullmatch(option) for option in arguments),
        "allowoverride": lambda: True,  # what Chamilo's own .htaccess does, ours does
        "require": lambda: tuple(map(str.lower, arguments)) == ("all", "granted"),
        "order": lambda: "".join(arguments).lower() == "allow,deny",
        "allow": lambda: tuple(map(str.lower, arguments)) == ("from", "all"),
        "serversignature": lambda: arguments[0].lower() == "off",
        "loglevel": lambda: arguments == ("warn",),
        "sethandler": lambda: _handler_kept(arguments[0], portal),
        "proxypassmatch": lambda: _handler_kept(arguments[-1], portal),
        "setenvif": lambda: arguments[0].lower() == "authorization",
        "cgipassauth": lambda: True,
        "redirect": lambda: _redirect_kept(arguments, portal.domain),
        "rewriterule": lambda: _rule_kept(item, portal.domain),
        "rewritecond": lambda: _condition_kept(item, level, portal.domain),
        "header": lambda: _apache_header_kept(arguments),
    }
    if name in handlers:
        return bool(arguments) and handlers[name]()
    return name in _APACHE_KEPT


def _handler_kept(handler: str, portal: Portal) -> bool:
    return portal.php in ("", apache.fcgi_address(handler)) or (
        portal.php == "mod_php" and handler == "application/x-httpd-php"
    )


def _redirect_kept(arguments: Sequence[str], domain: str) -> bool:
    status = arguments[0].lower() if len(arguments) == 3 else "302"
    return (
        status in ("permanent", "temp", "seeother", "301", "302", "303", "307", "308")
        and arguments[-2] == "/"
        and _to_https(arguments[-1], domain)
    )


def _rule_kept(rule: Directive, domain: str) -> bool:
    """Redirects to https, the front controller, and the Authorization header for PHP."""
    pattern, target, flags = (*rule.arguments, "", "", "")[:3]
    if target == "-":
        return "HTTP_AUTHORIZATION" in flags or flags == "[L]"
    front = re.fullmatch(r"(%\{(ENV:BASE|DOCUMENT_ROOT)\})?/?(index\.php|public/\$1|public/index\.php)", target)
    return front is not None or (_to_https(target, domain) and _everything(pattern))


def _condition_kept(condition: Directive, level: Sequence[Directive], domain: str) -> bool:
    """A condition goes with the rule behind it."""
    behind = level[next(index for index, item in enumerate(level) if item is condition) :]
    rule = next((item for item in behind if item.name == "rewriterule"), None)
    if rule is None or not _rule_kept(rule, domain):
        return False
    about = _CONDITION_FOR_HTTPS if _to_https((*rule.arguments, "", "")[1], domain) else _CONDITION_FOR_FRONT
    return about.match(condition.arguments[0]) is not None


def _apache_header_kept(arguments: Sequence[str]) -> bool:
    words = [word for word in arguments if word.lower() not in ("always", "onsuccess")]
    return len(words) == 3 and words[0].lower() in ("set", "append", "add") and _same_header(words[1], words[2])


def _section_kept(section: Directive, portal: Portal) -> bool:
    """Sections that hand PHP on, and those that deny what ours denies too."""
    inner, pattern = section.block or (), section.arguments[-1] if section.arguments else ""
    if section.name in ("filesmatch", "files"):
        program = pattern == "*.php" or _matches(pattern, "index.php")
        if program and all(item.name in ("sethandler", "ssloptions") for item in inner):
            return all(_kept_by_apache(item, inner, portal) for item in inner)
    return denies_hidden(section)


def denies_hidden(section: Directive) -> bool:
    """Whether a section denies nothing but what ours denies too."""
    inner, pattern = section.block or (), section.arguments[-1] if section.arguments else ""
    denies = all(
        (item.name == "require" and tuple(map(str.lower, item.arguments)) == ("all", "denied"))
        or (item.name == "deny" and tuple(map(str.lower, item.arguments)) == ("from", "all"))
        or (item.name == "order" and item.arguments)
        for item in inner
    )
    hidden = any(_matches(pattern, path) for path in (".htaccess", "/.htaccess", "/.git"))
    return denies and (
        (hidden and AFTER_A_DOT.fullmatch(pattern) is not None)
        or pattern in (".ht*", ".*", "/documentation", "^/documentation", "^/documentation(/|$)")
    )


def _stray_in_apache(configuration: Configuration, file: str) -> Iterator[Place]:
    """What else the file holds, beside virtual hosts."""
    for item in configuration.directives:
        if item.file == file and item.name != "virtualhost":
            yield item.place
