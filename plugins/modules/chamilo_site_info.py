#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_site_info
short_description: Find the Chamilo portal on a host, and what serves it
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
description:
  - Finds the project directory and version of Chamilo, the web server and the virtual hosts that answer to the domain,
    the PHP behind them, the environment of the application, and what is known of the host around it.
  - Changes nothing. All of RV(site) but RV(site.access_urls) and RV(site.plugins) is read from files alone; these the
    application's database is asked for.
  - As root, on a host where sections have set platform settings, it also asks the application's database whether they
    are still effective (RV(settings_in_force)).
  - Works without root; RV(site.problems) then lists what could not be read.
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.python
options:
  domain:
    description:
      - The public name of the portal.
    type: str
    required: true
  root:
    description:
      - The project directory of Chamilo, the one with C(public/) and C(bin/console).
      - When it is empty, it is the directory behind the document root of the virtual host that answers to O(domain),
        else the one Chamilo in the usual places.
    type: str
    default: ""
  web_server:
    description:
      - The web server that visitors reach.
      - When it is empty, it is the one that is installed, or of both the one that is running.
    type: str
    choices: ["", nginx, apache]
    default: ""
  site:
    description:
      - The word that is in the names of the files this collection writes for the portal.
      - RV(site.serving[].includes_ours) is determined by it.
    type: str
    default: ""
  names:
    description:
      - Further names of the portal, and those that are none of it, each behind a C(!).
      - The value of C(chamilo_names).
    type: list
    elements: str
    default: []
    version_added: 1.1.0
  packages:
    description:
      - Debian packages to check for. Those that are not installed are in RV(site.missing_packages).
      - C({php}) in a name stands for the version of PHP that serves the portal.
    type: list
    elements: str
    default: []
  certificate_file:
    description:
      - A certificate chain that is to serve O(domain), in PEM form, the site's own certificate first.
      - When it is given, it must belong to O(certificate_key_file), be in date and cover the domain.
    type: path
    default: ""
  certificate_key_file:
    description:
      - The private key of O(certificate_file), without a passphrase.
    type: path
    default: ""
  tree:
    description:
      - What M(chamilo.hardening.chamilo_perms) will be given for the portal, by the names of its options. The path is
        found, and so is a C(group) or C(web_user) that is left empty.
      - What that module would refuse, such as the name of a user whom this host does not have, is refused here, by the
        name of the role's variable. Without a portal on this host nothing is checked.
    type: dict
    default: {}
  takeover:
    description:
      - A value of C(chamilo_https_vhost).
      - Fail when that cannot be done here.
      - Otherwise that is in RV(site.takeover.refused).
    type: str
    choices: ["", auto, managed, include]
    default: ""
  sections:
    description:
      - The sections of the guide that are about to be applied.
      - Fail when that cannot be on this host, because its release is older than Debian 12 or Ubuntu 24.04, because a
        section needs MariaDB and MySQL would have to be removed for it, because the portal is served under other names
        than O(domain) alone, or because of the host itself. That is a user who is not root, a file system that is
        read-only, full or not mounted, a package manager that was interrupted or is in use, or a clock that is wrong.
      - All that is in the way is in one message.
    type: list
    elements: str
    default: []
  once:
    description:
      - Directives that nginx takes once in a server block, and the value that the files of this collection will set for
        each.
      - Fail with O(takeover=include) when the virtual host sets another value, or sets it in one of its server blocks
        alone. With V(auto), such lines are set aside.
    type: dict
    default: {}
  headers:
    description:
      - Names of headers that have one sender in an owner's virtual host, too. His own lines for them are set aside, see
        RV(site.in_place).
    type: list
    elements: str
    default: []
  tls:
    description: Whether an owner's virtual host is to speak https where it does not.
    type: bool
    default: false
  acme:
    description:
      - A value of C(chamilo_https_certificate) by which Certbot may have to ask an authority for a certificate.
      - Fail when no authority could reach the name of the portal, and there is no good certificate yet.
    type: str
    choices: ["", auto, certbot]
    default: ""
  alert_mail:
    description:
      - The value of C(chamilo_alert_mail).
      - Fail when this host has no program that sends mail, and O(smtp_host) is empty.
    type: str
    default: ""
  smtp_host:
    description: The value of C(chamilo_monitoring_smtp_host).
    type: str
    default: ""
  install:
    description:
      - Those of O(packages) that the run installs where they are missing.
      - Fail when one is missing and this host cannot reach the mirror that has it, for want of a DNS or a route. Where
        apt goes by a proxy, that is not tried.
    type: list
    elements: str
    default: []
  variables:
    description:
      - Values of variables that only the host can judge, by the names of the variables. Each is a text, empty where
        it is not set.
      - C(chamilo_web_user) has to be as whom PHP of the portal runs, and C(chamilo_group) a group of that user.
      - C(chamilo_database_bind_address) has to be of this host, where its own database serves the portal.
      - C(chamilo_backups_repository) and C(chamilo_backups_scratch) must not lie where the web server serves files. The
        second one has to be there.
      - Fail when one is not, with all else that is in the way, where O(sections) are given.
    type: dict
    default: {}
  visits:
    description:
      - Clients to search for in the access log of the portal, C(proxies) and C(friends), each a list of addresses and
        networks, for RV(recurring.proxies).
    type: dict
    default: {}
  controller_time:
    description:
      - The time on the controller, in seconds since 1970.
      - Fail when the clock of this host is more than a quarter of an hour from it.
    type: float
    default: 0
  active:
    description:
      - Fail when the web server does not go by the files of this collection for O(site), because a virtual host does
        not include them, or the web server has not read its configuration since.
      - Otherwise it is reported in RV(active).
    type: bool
    default: false
  require:
    description:
      - Fail when there is no Chamilo, no web server, or the intended one of several is ambiguous, or when
        O(certificate_file) cannot serve the domain.
      - Otherwise these are in RV(site.problems).
    type: bool
    default: false
  probe:
    description:
      - Requests that this host has to answer, each with C(url), C(address), C(status) and C(send) as for
        M(chamilo.hardening.config_transaction). Fails when one is not answered so.
    type: list
    elements: dict
    default: []
  session_store:
    description:
      - The server of Redis that is to keep the sessions of the portal. Fails when it does not answer, when it answers
        clients without a password, or when the user cannot use keys with this prefix, or can use others.
      - An address of this host itself is asked in plain text, and any other with TLS.
    type: dict
    suboptions:
      host:
        description: Its name or address.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        required: true
      ca_file:
        description: The certificates of its authority. Empty means those that the host trusts.
        type: path
        default: ""
      user:
        description: The user.
        type: str
        required: true
      prefix:
        description: What the keys of the portal begin with.
        type: str
        required: true
  session_store_password:
    description: The password of the user.
    type: str
    default: ""
  salt:
    description:
      - What the hashes in RV(node) are keyed with, and the secrets there encrypted, the same for all nodes of a portal.
        Empty means that there are none.
    type: str
    default: ""
  key_salt:
    description:
      - What the fingerprint in RV(backup_key) is made with. The collection makes one for each run, and it cannot be
        given in a task.
    type: str
    default: ""
    version_added: 1.1.0
"""

EXAMPLES = r"""
- name: Find the portal
  chamilo.hardening.chamilo_site_info:
    domain: campus.example.org
  register: found

- name: Show what serves it
  ansible.builtin.debug:
    msg: >-
      {{ found.site.root }} is served by {{ found.site.web.name }} {{ found.site.web.version }}
      from {{ found.site.serving | map(attribute='file') | unique | join(', ') }}.

- name: Stop when there is no Chamilo in the directory, or fail2ban is not installed
  chamilo.hardening.chamilo_site_info:
    domain: campus.example.org
    root: /srv/campus
    packages: [fail2ban]
    require: true
  register: found
  failed_when: found is failed or found.site.missing_packages | length > 0
"""

RETURN = r"""
active:
  description:
    - Whether the web server goes by the files of this collection for O(site), as it answers itself.
    - V(false) as well where there are none, and without root.
  returned: success
  type: bool
in_force:
  description:
    - The transactions of M(chamilo.hardening.config_transaction) that manage files. For each name its generation, and
      for each path V(file), V(absent), or V(link) and the target.
    - The generation is empty where a file is not as it was written, and everywhere while a run that was cut off has
      left something to do. Without root there is none.
  returned: success
  type: dict
  sample:
    headers:campus:
      generation: 59c15b3967248f81
      files: {/etc/nginx/sites-available/chamilo-campus.d/headers.conf: file}
program:
  description:
    - What the host program that M(chamilo.hardening.host_program) installed was made of, for which Python, and a
      fingerprint of the recipients of its alerts, which does not reveal them.
    - Empty where it is not there, or a part of it is not as it was written. Without root there is none.
  returned: success
  type: dict
settings_in_force:
  description:
    - What M(chamilo.hardening.chamilo_settings) was asked for last by each section, as far as nothing of it would
      change now. For each name the V(values) as they are in the table, and the options V(reset), V(portals), V(lock)
      and V(pin). By the empty name, whether the portals are in production mode.
    - Without root, and for settings whose value may be a secret, there is none.
  returned: success
  type: dict
  sample:
    uploads:campus:
      values: {document.upload_extensions_skip: "true"}
      reset: []
      portals: null
      lock: true
      pin: null
node:
  description:
    - What the nodes of one portal are compared by. Only with O(salt), for a host that serves the portal, and as root.
  returned: success
  type: dict
  contains:
    shared:
      description:
        - Directories that each node must have for itself, and that lie on a file system that several hosts can mount,
          each with where it really is.
      type: dict
    secrets:
      description: A keyed hash of each secret that all nodes must have in common.
      type: dict
    sealed:
      description: These secrets, encrypted, for M(chamilo.hardening.chamilo_env) on another node.
      type: str
settings_kept:
  description:
    - The names under which M(chamilo.hardening.chamilo_settings) saved the earlier values of settings, effective or
      not.
    - Without root there is none.
  returned: success
  type: list
  elements: str
  sample: ["uploads:campus"]
backup_key:
  description:
    - What M(chamilo.hardening.backup_key) would answer, where it compared the key with its copy within the last day,
      and the key is still that one. The C(fingerprint) is made with C(salt), and does not reveal the key.
    - Otherwise, and without root, there is none.
  returned: success
  type: dict
unchanged:
  description:
    - What M(chamilo.hardening.chamilo_env) and M(chamilo.hardening.chamilo_database_account) would answer now, by the
      name of the module, as far as nothing of what they were asked for last would change. The options are those of the
      last run, identified by C(request); whether something would change was observed in this one.
    - Without root, or while a run that was cut off has left something to do, there is none.
  returned: success
  type: dict
environment_kept:
  description:
    - The names under which M(chamilo.hardening.chamilo_env) keeps what keys of the environment were before.
    - Empty without root.
  returned: success
  type: list
  elements: str
  sample: [https:campus]
recurring:
  description:
    - What sections do again in each run, and whether it is due.
    - Without root it is due.
  returned: success
  type: dict
  contains:
    daily:
      description: Whether the daily work of updates and monitoring succeeded as it is configured.
      type: bool
    copied:
      description: Whether the list of files of O(site) was copied off this host since it was written.
      type: bool
    spared:
      description: Whether RV(site.managed_from) was noted within the last ten minutes as an address not to ban.
      type: bool
    proxies:
      description:
        - The clients, if all of them are proxies (see M(chamilo.hardening.fail2ban_filter)). Only with O(visits).
      type: list
      elements: str
site:
  description:
    - What was found. Empty texts and lists mean that it was not.
  returned: success
  type: dict
  contains:
    domain:
      description: The public name that was asked for, in lower case.
      type: str
      sample: campus.example.org
    root:
      description: The project directory. The document root belongs on its C(public/).
      type: str
      sample: /var/www/chamilo
    installed:
      description: Whether the application reports that its installation is done.
      type: bool
    version:
      description:
          - The installed version, as C(version.php) of the project directory names it, else
            C(public/main/install/version.php), else Composer. Empty where none does, or where the file contains more
            than a plain list of values.
      type: str
      sample: 3.0.2
    version_source:
      description: The file that names the version; else why a file that should name it was refused.
      type: str
      sample: version.php
    branch:
      description:
        - The branch of the code itself, by its migrations, else by the framework it is built on. Empty where nothing
          shows it.
      type: str
      sample: '3.0'
    environment:
      description:
        - The effective environment of the application, by Symfony's rules, without values that may be secret.
        - C(APP_ENV) and C(APP_DEBUG) are always there when the files could be read; the latter is V(0) or V(1).
      type: dict
      sample: {APP_ENV: prod, APP_DEBUG: "0", DATABASE_NAME: chamilo}
    environment_source:
      description: For each name of the environment, secret or not, where the value that wins stands.
      type: dict
      sample: {APP_ENV: /var/www/chamilo/.env.local, APP_SECRET: /var/www/chamilo/.env}
    secrets_default:
      description: Names of secrets whose value is empty, published or guessable.
      type: list
      elements: str
      sample: [JWT_PASSPHRASE]
    distribution:
      description: Name and version of the distribution.
      type: str
      sample: Debian 13
    codename:
      description: Its codename.
      type: str
      sample: trixie
    web:
      description: The web server that visitors reach.
      type: dict
      contains:
        name:
          description: V(nginx), V(apache), or empty when there is none or it is not clear which.
          type: str
        both:
          description: Whether both are installed.
          type: bool
        version:
          description: Its version, without what Debian adds.
          type: str
          sample: 1.26.3
        user:
          description: The user its workers run as.
          type: str
          sample: www-data
        service:
          description: The name of its systemd service.
          type: str
          sample: nginx
        running:
          description: Whether it runs.
          type: bool
        modules:
          description: Apache's loaded modules, without C(_module).
          type: list
          elements: str
        names_own:
          description: Whether a line of nginx's owner sets how long the names of virtual hosts may be.
          type: bool
    php:
      description: The PHP behind the portal.
      type: dict
      contains:
        version:
          description: Its version.
          type: str
          sample: "8.4"
        sapi:
          description: V(fpm), V(mod_php) or empty.
          type: str
        service:
          description: The name of its systemd service.
          type: str
          sample: php8.4-fpm
        socket:
          description: The FastCGI address requests go to.
          type: str
          sample: unix:/run/php/php8.4-fpm.sock
        pool_file:
          description: The file of the pool.
          type: str
          sample: /etc/php/8.4/fpm/pool.d/www.conf
        user:
          description: The user PHP runs as.
          type: str
          sample: www-data
        group:
          description: Its group.
          type: str
          sample: www-data
        upload_limit:
          description: The bytes that one uploaded file may have, C(upload_max_filesize).
          type: int
          sample: 2097152
        post_limit:
          description: The bytes that one request may have, C(post_max_size).
          type: int
          sample: 8388608
        time_limit:
          description: The seconds that a script may take, C(max_execution_time). V(0) is without limit.
          type: int
          sample: 30
        prepended:
          description: The C(auto_prepend_file) in the pool, other than this collection's.
          type: str
        prepended_cli:
          description: The one for the command line, other than this collection's.
          type: str
        confined:
          description:
            - Where an C(open_basedir) stands that keeps PHP from C(/usr/local/share/chamilo-hardening).
            - Empty where there is none.
          type: str
          sample: /etc/php/8.4/fpm/pool.d/www.conf
    database:
      description: Where the application finds its database. The password stays where it is.
      type: dict
      contains:
        host:
          description: The host.
          type: str
          sample: localhost
        port:
          description: The port, or V(0).
          type: int
          sample: 3306
        socket:
          description: The socket file, when the host is V(localhost).
          type: str
          sample: /run/mysqld/mysqld.sock
        name:
          description: The database.
          type: str
          sample: chamilo
        user:
          description: The account.
          type: str
          sample: chamilo
        client:
          description: What this host can ask a database with, the C(mariadb) command or Python's C(pymysql).
          type: str
          sample: /usr/bin/mariadb
    serving:
      description: The virtual hosts that answer to the domain because they name it, in the order of the files.
      type: list
      elements: dict
      contains:
        file:
          description: The file it stands in, links resolved.
          type: str
          sample: /etc/nginx/sites-available/campus.conf
        line:
          description: The line it begins on.
          type: int
        names:
          description: Its names, in lower case; wildcards and regular expressions as they are written.
          type: list
          elements: str
          sample: [campus.example.org]
        listens:
          description: The addresses it asks for.
          type: list
          elements: dict
          contains:
            address:
              description: V(*), V([::]), or one address. Apache's V(*) is IPv4 and IPv6.
              type: str
            port:
              description: The port; V(0) for a socket file.
              type: int
            tls:
              description: Whether TLS is spoken.
              type: bool
            default:
              description: Whether it is nginx's default server there.
              type: bool
            http2:
              description: Whether HTTP/2 is on.
              type: bool
        root:
          description: The document root, perhaps inherited.
          type: str
          sample: /var/www/chamilo/public
        certificate:
          description: The file of the certificate, perhaps inherited.
          type: str
        certificate_key:
          description: The file of its key, perhaps inherited.
          type: str
        enabled_by:
          description: The link it is included by, if it is one.
          type: str
          sample: /etc/nginx/sites-enabled/campus.conf
        includes:
          description: What it includes, as it is written.
          type: list
          elements: str
        includes_ours:
          description: Whether the files of this collection for O(site) are among it.
          type: bool
        leads_away:
          description: Whether it serves nothing, and redirects to where it is.
          type: bool
        add_headers:
          description: The header directives that count in it, at any level, apart from those of this collection.
          type: list
          elements: dict
          contains: &place
            file:
              description: The file.
              type: str
            line:
              description: The line.
              type: int
            what:
              description: What stands there.
              type: str
        access_log:
          description: What is written behind its first access log directive, perhaps inherited.
          type: str
          sample: /var/log/nginx/access.log combined
        access_log_file:
          description: The file alone.
          type: str
          sample: /var/log/nginx/access.log
        access_log_format:
          description:
            - The name of the format alone; empty is nginx's own, combined.
            - Apache's names are defined by a line C(LogFormat). So this is V(combined), V(common) or V(vhost_combined)
              where a line begins like one of those, and else the format itself, in quotes.
          type: str
          sample: combined
        error_log:
          description: What is written behind its error log directive, perhaps inherited.
          type: str
        body_limit:
          description: The bytes a request may send; V(0) is no limit, V(-1) that it is not set.
          type: int
          sample: 268435456
        body_limit_own:
          description: Whether a line of its owner sets it, in this virtual host itself.
          type: bool
        patience:
          description: The seconds that its owner has it wait for an answer of PHP; V(-1) that it is not set.
          type: int
          sample: 300
        patience_own:
          description: Whether that line is in this virtual host itself.
          type: bool
        patience_around:
          description: The same as RV(site.serving[].patience), as set for every virtual host.
          type: int
        once:
          description:
              - What its owner sets in this server block of nginx that it may contain once, and that files of this
                collection would set as well, C(server_tokens), C(real_ip_header) and C(real_ip_recursive).
          type: list
          elements: dict
          contains: *place
        php:
          description: Where PHP requests go, V(mod_php), or empty.
          type: str
          sample: unix:/run/php/php8.4-fpm.sock
        aliases:
          description: The addresses whose files lie elsewhere than below RV(site.serving[].root).
          type: list
          elements: dict
          contains:
            path:
              description: What the addresses begin with; empty for all of them.
              type: str
              sample: /moodle
            directory:
              description: Where their files are.
              type: str
              sample: /srv/moodle
        ours:
          description: Whether this collection wrote it.
          type: bool
    fallback:
      description:
        - The virtual hosts that answer to the domain on ports 80 and 443 only because none names it there.
        - Made like RV(site.serving).
      type: list
      elements: dict
    virtual_hosts:
      description:
        - All virtual hosts of the web server, in the order of the files.
        - Made like RV(site.serving).
      type: list
      elements: dict
    names:
      description:
        - The names that virtual hosts of the project directory carry, whether or not O(domain) is among them.
        - Wildcards and regular expressions are as they are written.
      type: list
      elements: str
      sample: [campus.example.org, www.campus.example.org]
    portal_names:
      description:
        - All names of the portal, O(domain) first. These are O(names), RV(site.names), those of virtual hosts that only
          redirect to one of them, and RV(site.access_urls) but for what a virtual host of another site is called,
          without the ones that O(names) leaves out.
        - C(*.example.org) is a wildcard. Other patterns are not among them.
      type: list
      elements: str
      sample: [campus.example.org, www.campus.example.org]
    access_urls:
      description:
        - The names in the access URLs of the application, as its database has them.
        - Empty where the database cannot be read.
      type: list
      elements: str
      sample: [campus.example.org]
    plugins:
      description:
        - The directories below C(public/plugin) of the plugins that the application has enabled for a portal, as its
          database has them.
        - Empty where the database cannot be read, or the release keeps no such table.
      type: list
      elements: str
      sample: [BuyCourses]
    answering:
      description:
        - RV(site.serving), and the virtual hosts of the project directory that answer to another one of
          RV(site.portal_names).
        - Made like RV(site.serving).
      type: list
      elements: dict
    answered:
      description:
        - Those of RV(site.portal_names) to which a virtual host of the project directory answers. No wildcard is among
          them.
      type: list
      elements: str
      sample: [campus.example.org, www.campus.example.org]
    nameless:
      description: Whether O(domain) is answered by a virtual host of the project directory that has no name.
      type: bool
    in_place:
      description:
        - What is written into the virtual hosts of an owner, with C(chamilo_https_vhost=auto). It is empty where none
          serves the portal.
        - The text of its owner is no part of it.
      type: dict
      contains:
        files:
          description: The files, as M(chamilo.hardening.config_transaction) takes them.
          type: list
          elements: dict
          contains: &edited
            path:
              description: The file itself, no link.
              type: str
            digest:
              description: The SHA-256 of its text without what is written into it.
              type: str
            marks:
              description: Each change.
              type: list
              elements: dict
              contains:
                at:
                  description: Where, as a number of characters in that text.
                  type: int
                lines:
                  description: Lines that are added there. One with two numbers is a part of that text, from and to.
                  type: list
                until:
                  description: Up to where its owner's text is set aside; nothing is where it is not greater.
                  type: int
        marked:
          description: Files into which something is written now, without any of it.
          type: list
          elements: dict
          contains: *edited
        blocks:
          description: The virtual hosts that answer for the portal.
          type: list
          elements: dict
          contains:
            file:
              description: The file.
              type: str
            line:
              description: The line.
              type: int
            names:
              description: Its names, as they are written.
              type: list
              elements: str
            kind:
              description: V(redirect) only leads to where the portal is, and is left alone.
              type: str
            tls:
              description: Whether it speaks https.
              type: bool
        pages:
          description: Addresses that its owner wrote into it. They answer afterwards as they did before.
          type: list
          elements: dict
          contains:
            scheme:
              description: V(http) or V(https).
              type: str
            name:
              description: The name.
              type: str
            path:
              description: The path.
              type: str
        programs:
          description: Other programs under the portal's name.
          type: list
          elements: dict
          contains:
            file:
              description: The file.
              type: str
            line:
              description: The line.
              type: int
            path:
              description: The path, as visitors see it.
              type: str
            what:
              description: What stands there.
              type: str
            directory:
              description: Where its files are, outside of the portal.
              type: str
        obstacles:
          description: Why it cannot be done.
          type: list
          elements: dict
          contains:
            file:
              description: The file.
              type: str
            line:
              description: The line.
              type: int
            what:
              description: What is in the way.
              type: str
            remedy:
              description: What to do.
              type: str
        tls:
          description: Whether a virtual host is to speak https that does not.
          type: bool
        widened:
          description:
            - Lines that confine PHP, as C(FILE line NUMBER). The place of what sections have it run is added to them.
          type: list
          elements: str
        bound:
          description: What its owner has it send as C(Strict-Transport-Security) by https; the longest of several.
          type: str
    takeover:
      description: What goes when the virtual host of this collection takes the place of an owner's, and why it may not.
      type: dict
      contains:
        files:
          description: The files whose virtual hosts it replaces.
          type: list
          elements: str
        disable:
          description: The links, or the files where there is no link, that must go.
          type: list
          elements: str
        neighbours:
          description: Other sites, which would no longer be served.
          type: list
          elements: dict
          contains: *place
        redirected:
          description: Whether visitors of http are sent to https now.
          type: bool
        closed:
          description: Access rules outside of the virtual host, which would be lost.
          type: list
          elements: dict
          contains: *place
        unread:
          description: Whether nginx would not read it.
          type: bool
        carried:
          description: Lines for timeouts, logs and PHP with which it goes on.
          type: list
          elements: str
        carried_php:
          description: Those that nginx has where it hands requests to PHP.
          type: list
          elements: str
        uncarried:
          description: Such lines that it cannot go on with.
          type: list
          elements: dict
          contains: *place
        refused:
          description: Why it is not done, for each value of C(chamilo_https_vhost) that asks for it in vain.
          type: dict
    access_files:
      description: >-
        The C(.htaccess) files of a portal under Apache that close something to visitors now, or lead them elsewhere and
        would no longer.
      type: list
      elements: dict
      contains:
        directory:
          description: Where it lies, as Apache sees the path.
          type: str
          sample: /var/www/chamilo/public/reports
        keep:
          description: The C(AllowOverride) with which it goes on; empty where nothing of this collection ends it.
          type: str
          sample: AuthConfig Nonfatal=Override
        listed:
          description: The C(AllowOverrideList) with its lines that lead visitors elsewhere.
          type: str
          sample: Redirect RewriteRule
        lost:
          description: Whether something of this collection would end it, and no C(AllowOverride) can be written for it.
          type: bool
        rules:
          description: Its lines that close something.
          type: list
          elements: dict
          contains: *place
    addresses:
      description: The addresses of this host that others can reach.
      type: list
      elements: str
    listening:
      description: TCP addresses with a listening process.
      type: list
      elements: str
      sample: ["0.0.0.0:80", "[::]:443"]
    hsts_since:
      description: The day on which section https began to send C(Strict-Transport-Security), for O(site).
      type: str
      sample: "2026-11-25"
    served:
      description: The certificate of the virtual host that serves O(domain).
      type: dict
      contains: &pair
        file:
          description: The file of the certificate and its chain.
          type: str
          sample: /etc/letsencrypt/live/campus.example.org/fullchain.pem
        key:
          description: The file of its key.
          type: str
        there:
          description: Whether the file is there and contains a certificate.
          type: bool
        days:
          description: The days until it runs out.
          type: int
        covers:
          description: Whether it is for O(domain).
          type: bool
        good:
          description: Whether it is for O(domain), in date, and not signed by itself.
          type: bool
        lineage:
          description: The name Certbot has for it, if it is one of Certbot's.
          type: str
        settled:
          description: Whether Certbot renews it the way this collection wants it, for all of RV(site.portal_names).
          type: bool
        webroot:
          description: The directory where Certbot puts the challenges of O(domain), where that is none of the portal's.
          type: str
          sample: /var/www/letsencrypt
        names:
          description: The DNS names that the certificate is for.
          type: list
          elements: str
          sample: [campus.example.org]
        lacks:
          description: Those of RV(site.portal_names) that the certificate is not for.
          type: list
          elements: str
          sample: [www.campus.example.org]
    lineage:
      description: What Certbot has for O(domain).
      type: dict
      contains: *pair
    self_signed:
      description: What this collection signed itself for O(site).
      type: dict
      contains: *pair
    given:
      description: That of O(certificate_file) and O(certificate_key_file).
      type: dict
      contains: *pair
    certbot:
      description: The path of Certbot's program.
      type: str
    missing_packages:
      description: Those of O(packages) that are not installed.
      type: list
      elements: str
    systemd:
      description: Whether systemd runs this host.
      type: bool
    php_folders:
      description: The directories of every C(php.ini), one for each version and SAPI of PHP.
      type: list
      elements: str
      sample: [/etc/php/8.4/cli, /etc/php/8.4/fpm]
    spellings:
      description: The project directory as virtual hosts name it, with links and wrong document roots.
      type: list
      elements: str
      sample: [/var/www/chamilo]
    real_root:
      description: The project directory without links; C(/srv/campus/releases/*) where a link leads to one of several.
      type: str
      sample: /var/www/chamilo
    fingerprint:
      description:
        - A fingerprint of the project directory on this machine. By it two inventory names of one portal are known.
      type: str
      sample: 1f0c5d3b8a1e4f6f9d0a2b7c3e5f6a1b
    sessions_in_php:
      description:
          - Whether the application leaves its sessions to PHP, so that C(php.ini) determines how and where they are
            stored.
          - V(false) as well where that cannot be determined.
      type: bool
    memory:
      description: The memory of this host in bytes.
      type: int
      sample: 4102000000
    clamd_own:
      description: Whether C(clamd.conf) was changed by the owner of the host.
      type: bool
    fail2ban:
      description: Whether fail2ban runs and starts at boot.
      type: bool
    sendmail:
      description: Whether there is a C(sendmail), the program that programs send mail with.
      type: bool
    ssh_log:
      description: Whether ssh writes to C(/var/log/auth.log), and not to the journal alone.
      type: bool
    log_rotation:
      description:
        - What logrotate has to read first, so that the web server's logs stay root's where PHP runs as its user.
        - It is empty where they do already.
      type: str
    exposed_logs:
      description:
        - The access logs of the portal that PHP's user may write, each with the file by which it is rotated.
        - That is empty where no rotation helps.
      type: dict
      sample: {/var/log/nginx/access.log: /etc/logrotate.d/00-chamilo-hardening}
    managed_from:
      description: The address from which the task came over ssh; empty when it did not, or when it cannot be seen.
      type: str
      sample: 198.51.100.7
    errors:
      description: What every section needs and is not there, each a sentence or two.
      type: list
      elements: str
    problems:
      description: What could not be found, read or understood, each a sentence.
      type: list
      elements: str
"""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import key as backups_key
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.access_log import log_summary
from ansible_collections.chamilo.hardening.plugins.module_utils._common import recurring
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._database import accounts_asked
from ansible_collections.chamilo.hardening.plugins.module_utils._https.acme import refusal
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError, order
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import redis
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.active import held, inactive
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.naming import word
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.nodes import compared
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.obstacles import (
    NOT_ROOT,
    Desired,
    Host,
    observe,
    obstacles,
    report,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import seen as installed_program
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_asked
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import in_force as settings_in_force
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_undo import MEMORY as ENVIRONMENT
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.undo_data import MEMORY as SETTINGS
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.observed import settled
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe, ask, ask_until

PATIENCE = 30.0  # seconds for a portal to answer as it has to
NOT_SEEN = {"daily": False, "copied": False, "spared": False, "proxies": []}
# Options of chamilo_perms, as the role permissions knows them.
VARIABLES = {
    "owner": "chamilo_owner",
    "group": "chamilo_group",
    "web_user": "chamilo_web_user",
    "policy": "chamilo_permissions_policy",
}


def _judge(tree: dict, site: Site) -> None:
    """Raise what chamilo_perms would report, before anything has changed."""
    found = {"path": site.root, "group": tree.get("group") or site.php.group}
    found["web_user"] = tree.get("web_user") or site.php.user
    order({"owner": "root", **tree, **found}, "production", called=VARIABLES)


def _settings(site: Site) -> tuple[dict, list[str]]:
    """What sections set and is still effective, and the names of all that are saved."""
    kept: list[str] = []
    try:
        kept = sorted(SETTINGS.recall())
        return settings_in_force(site), kept
    except HardeningError:
        return {}, kept  # nothing is known to be effective, so chamilo_settings checks again and reports the error


def _unchanged(site: Site, given: Mapping[str, Place]) -> dict:
    """What modules of this run would find as they want it, by what they were asked for last."""
    found = {}
    for known in (env_asked, accounts_asked):
        try:
            found[known.MODULE] = known.answer(site, given)
        except (HardeningError, OSError, TypeError, ValueError):
            found[known.MODULE] = {}  # the module is run in its turn, and reports it
    return {name: answer for name, answer in found.items() if answer}


def _recurring(site: Site, portal: str, visits: dict) -> dict:
    hosts = site.answering or site.fallback
    log = hosts[0].access_log_file if hosts and visits else ""
    there = log.startswith("/") and os.path.exists(log)
    seen = log_summary(log, visits.get("proxies") or [], visits.get("friends") or []) if there else {"proxies": []}
    return {
        "daily": recurring.settled("updates") and recurring.settled("monitoring"),
        "copied": recurring.copied(portal),
        "spared": bool(site.managed_from) and recurring.spared(site.managed_from),
        "proxies": seen["proxies"],
    }


def _unanswered(expected: Mapping[str, Any]) -> str:
    """How a request was answered otherwise than it has to be; it may take a while after a reload."""
    probe = Probe(
        str(expected["url"]),
        address=str(expected.get("address", "")),
        status=tuple(map(int, expected.get("status", [200]))),
        send=tuple((expected.get("send") or {}).items()),
    )
    return ask_until(lambda: "; ".join(probe.faults(ask(probe)).values()), time.monotonic() + PATIENCE)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "site": {"type": "str", "default": ""},
            "names": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "certificate_file": {"type": "path", "default": ""},
            "certificate_key_file": {"type": "path", "default": ""},
            "tree": {"type": "dict", "default": {}},
            "takeover": {"type": "str", "choices": ["", "auto", "managed", "include"], "default": ""},
            "sections": {"type": "list", "elements": "str", "default": []},
            "once": {"type": "dict", "default": {}},
            "headers": {"type": "list", "elements": "str", "default": []},
            "tls": {"type": "bool", "default": False},
            "acme": {"type": "str", "choices": ["", "auto", "certbot"], "default": ""},
            "alert_mail": {"type": "str", "default": ""},
            "smtp_host": {"type": "str", "default": ""},
            "install": {"type": "list", "elements": "str", "default": []},
            "variables": {"type": "dict", "default": {}},
            "visits": {"type": "dict", "default": {}},
            "controller_time": {"type": "float", "default": 0},
            "active": {"type": "bool", "default": False},
            "require": {"type": "bool", "default": False},
            "probe": {"type": "list", "elements": "dict", "default": []},
            "session_store": {
                "type": "dict",
                "options": {
                    "host": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "ca_file": {"type": "path", "default": ""},
                    "user": {"type": "str", "required": True},
                    "prefix": {"type": "str", "required": True},
                },
            },
            "session_store_password": {"type": "str", "default": "", "no_log": True},
            "salt": {"type": "str", "default": "", "no_log": True},
            # No secret: nothing can be opened with it.
            "key_salt": {"type": "str", "default": "", "no_log": False},
        },
        supports_check_mode=True,
    )
    expected = dict(module.params)
    apart = ("tree", "visits", "require", "active", "salt", "key_salt", "probe")
    tree, visits, require, active, salt, key_salt, probes = (expected.pop(name) for name in apart)
    store, password = expected.pop("session_store"), expected.pop("session_store_password")
    desired = Desired(**{each.name: expected.pop(each.name) for each in fields(Desired)})
    if desired.sections and os.geteuid() != 0:  # what else is in the way could not be seen
        module.fail_json(msg=report(expected["domain"], [NOT_ROOT]))
    messages: list[str] = []
    try:
        given: dict[str, Place] = {}
        site = discover(**expected, once=desired.once, given=given)
        try:
            if tree and site.root:
                _judge(tree, site)
        except PermsError as problem:
            messages.append(str(problem))
        try:
            if store:
                redis.examine(redis.Store(tls=not redis.local(store["host"]), password=password, **store))
        except redis.StoreError as problem:
            messages.append(str(problem))
        # Only root may read what it rests on.
        engine = Engine()
        in_force = engine.in_force() if os.geteuid() == 0 else {}
        program = installed_program() if os.geteuid() == 0 else {}
        settings, settings_kept = _settings(site) if os.geteuid() == 0 else ({}, [])
        kept = sorted(ENVIRONMENT.recall()) if os.geteuid() == 0 else []
        recurring_ = _recurring(site, expected["site"] or word(site.domain), visits) if os.geteuid() == 0 else NOT_SEEN
        whole = os.geteuid() == 0 and bool(site.root) and settled(engine.store.peek())
        unchanged = _unchanged(site, given) if whole and desired.sections else {}
        site_word = expected["site"] or word(site.domain)
        key = backups_key.shown(site_word, key_salt) if whole and key_salt and "backups" in desired.sections else {}
        node = compared(site, salt) if salt and require and site.root and os.geteuid() == 0 else {}
        around = observe(site, desired, refusal) if desired.sections else Host()
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    messages += obstacles(site if require else replace(site, errors=()), around, desired)
    if messages:
        module.fail_json(msg=report(site.domain, messages))
    drop_ins = held(expected["site"] or word(site.domain), in_force)
    dark = inactive(site, expected["site"] or word(site.domain), drop_ins) if drop_ins else ""
    if dark and active:
        module.fail_json(msg=dark)
    sick = [fault for fault in map(_unanswered, probes) if fault]
    if sick:
        module.fail_json(
            msg=f"The portal does not answer as it has to. {'. '.join(sick)}. See the log of the web server."
        )
    found = {
        "active": bool(drop_ins) and not dark,
        "site": asdict(site),
        "node": {"shared": {}, "secrets": {}, "sealed": "", **node},
        "program": program,
        "in_force": in_force,
        "settings_in_force": settings,
        "unchanged": unchanged,
        "backup_key": key,
        "recurring": recurring_,
    }
    module.exit_json(changed=False, **found, settings_kept=settings_kept, environment_kept=kept)


if __name__ == "__main__":
    main()
