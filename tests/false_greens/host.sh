# What a state of tests/false_greens is planted with, and taken back: sourced on the host, with the state's own commands.
# What is kept is restored by itself, and what was reloaded is reloaded once more.
set -eu
KEPT=/root/false-greens/kept
ROOT=/var/www/chamilo
DOMAIN=campus.test
JAIL=chamilo-campus-test
UPLOADS=$ROOT/var/upload
PHP=$(ls /etc/php)
POOL=/etc/php/$PHP/fpm/pool.d/zzz-owner.conf
OWNER_INI=/etc/php/$PHP/fpm/conf.d/99-owner.ini
SOCKET=/run/php/php$PHP-fpm.sock
if [ -d /etc/nginx ]; then WEB=nginx VHOST=/etc/nginx/sites-available/chamilo CONF=/etc/nginx/conf.d/owner.conf
else WEB=apache2 VHOST=/etc/apache2/sites-available/chamilo.conf CONF=/etc/apache2/conf-enabled/zz-owner.conf; fi
mkdir -p "$KEPT"

# keep PATH...: what is there now, or that nothing is there.
keep() {
    for path; do
        if [ -e "$path" ] || [ -L "$path" ]; then mkdir -p "$KEPT$(dirname "$path")"; cp -a "$path" "$KEPT$path"; fi
        echo "$path" >>"$KEPT/paths"
    done
}
# write PATH: from standard input, readable by all; append PATH: the same, at its end.
write() { keep "$1"; mkdir -p "$(dirname "$1")"; cat >"$1"; chmod 644 "$1"; }
append() { keep "$1"; cat >>"$1"; }
# change PATH SCRIPT: by sed, which has to change something.
change() { keep "$1"; sed -i -e "$2" "$1"; ! cmp -s "$1" "$KEPT$1"; }
# vhost TEXT: into the portal's own virtual host, as its owner does.
vhost() { change "$VHOST" "/^ *[sS]erver_\{0,1\}[nN]ame /a\\
$1"; }
# environment LINE: into a file that wins over .env.
environment() { write $ROOT/.env.prod.local; chmod 640 $ROOT/.env.prod.local; chgrp www-data $ROOT/.env.prod.local; application; }
# acl USER RIGHTS PATH...: an entry for a user besides owner, group and others.
acl() {
    user=$1 rights=$2
    shift 2
    for path; do
        later "chmod $(stat -c %a "$path") '$path'"
        acl_of "$user" "$rights" "$path"
        later "python3 -c 'import os; os.removexattr(\"$path\", \"system.posix_acl_access\")'"
    done
}
acl_of() { python3 - "$@" <<'P'
import grp, os, pwd, struct, sys
user, rights, *paths = sys.argv[1:]
for path in paths:
    mode, given = os.stat(path).st_mode, sum({"r": 4, "w": 2, "x": 1}[one] for one in rights)
    none = 0xFFFFFFFF
    entries = [(1, mode >> 6 & 7, none), (2, given, pwd.getpwnam(user).pw_uid), (4, mode >> 3 & 7, none),
               (16, mode >> 3 & 7 | given, none), (32, mode & 7, none)]
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries))
P
}
sql() {
    [ -e "$KEPT/dump.sql" ] || mariadb-dump chamilo settings access_url >"$KEPT/dump.sql"
    mariadb chamilo -e "$1"
}
# setting NAME VALUE: of the portal; setting_elsewhere NAME VALUE: of a second portal of this installation alone.
setting() { sql "UPDATE settings SET selected_value = '$2' WHERE variable = '$1'"; }
setting_elsewhere() {
    sql "UPDATE settings SET access_url_changeable = 1 WHERE variable = '$1' AND access_url = 1;
         INSERT IGNORE INTO access_url (id, url, active, created_by) VALUES (2, 'https://library.test/', 1, 1);
         INSERT INTO settings (access_url, variable, category, selected_value, title, access_url_changeable)
         SELECT 2, variable, category, '$2', title, 1 FROM settings WHERE variable = '$1' AND access_url = 1"
}
# unit NAME: a drop-in from standard input.
unit() { write "/etc/systemd/system/$1.d/zz-owner.conf"; again daemon "$1"; }
masked() { systemctl mask --now --quiet "$1"; echo "systemctl unmask --quiet $1; systemctl start $1" >>"$KEPT/undo"; }
started() { systemctl reset-failed "$1" 2>/dev/null || :; systemctl restart "$1"; }
web() { again web; }
php() { again php; }
database() { again database; }
application() { again application; }
monit_again() { again monit; }
# again WHAT...: load it anew, now and when the state was taken back.
again() {
    echo "$*" >>"$KEPT/again"
    case $1 in
    web) if [ $WEB = nginx ]; then nginx -t -q; else apache2ctl -t 2>/dev/null; fi; started $WEB ;;
    php) started "php$PHP-fpm" ;;
    database) started mariadb ;;
    application) runuser -u www-data -- env -C $ROOT HOME=/nonexistent "php$PHP" bin/console cache:clear --quiet; php_reload ;;
    monit) systemctl kill --signal=KILL monit; started monit ;; # one that has just begun takes a minute to stop
    daemon) systemctl daemon-reload; case $2 in *.timer) systemctl restart "$2" ;; esac ;;
    fail2ban) started fail2ban; for _ in $(seq 50); do fail2ban-client status $JAIL >/dev/null 2>&1 && break; sleep 0.1; done ;;
    esac
}
php_reload() { started "php$PHP-fpm"; }
# jail: settings of the portal's jail from standard input, which win over ours.
jail() { { echo "[$JAIL]"; cat; } | write /etc/fail2ban/jail.d/zz-owner.local; again fail2ban; }
# later COMMAND: when the state is taken back.
later() { echo "$1" >>"$KEPT/undo"; }
# ipv6: an address of this host by which visitors could come.
ipv6() { ip -6 addr add fd00:77::5/128 dev lo nodad; later 'ip -6 addr del fd00:77::5/128 dev lo'; }
# service NAME COMMAND...: one that runs until the state is taken back.
service() { name=$1; shift; systemd-run --quiet --collect --unit="owner-$name" "$@"; later "systemctl stop owner-$name"; sleep 0.3; }

back() {
    [ ! -e "$KEPT/undo" ] || sh -c "$(tac "$KEPT/undo")"
    [ ! -e "$KEPT/dump.sql" ] || { echo 'SET FOREIGN_KEY_CHECKS = 0;'; cat "$KEPT/dump.sql"; } | mariadb chamilo
    [ ! -e "$KEPT/paths" ] || tac "$KEPT/paths" | while read -r path; do
        rm -rf "$path"
        if [ -e "$KEPT$path" ] || [ -L "$KEPT$path" ]; then cp -a "$KEPT$path" "$path"; fi
    done
    again=$(sort -u "$KEPT/again" 2>/dev/null || :)
    echo "$again" | while read -r what; do [ -z "$what" ] || again $what; done
    rm -rf "$KEPT"
}
