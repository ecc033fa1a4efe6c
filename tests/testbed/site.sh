# The state real schools have: Chamilo put there by a tutorial, nothing hardened, and a second site beside it.
# Runs in a container without an init, while the image is made. @PHP@ is PHP's version.
set -eu

install -d -m 0755 /var/www/chamilo
tar -xf /var/tmp/application.tar -C /var/www/chamilo --no-same-owner
cd /var/www/chamilo

# The wizard's .env comes with the application: APP_ENV=dev, APP_DEBUG=1 and the secrets of .env.dist.
DATABASE_PASSWORD=$(sed -n "s/^DATABASE_PASSWORD='\(.*\)'$/\1/p" .env)
cp .env public/.env.bak

# Without one of its own, MariaDB since 11.4 makes a key for TLS at each start: most of what the start of a host costs.
if ! mariadbd --version | grep -q ' 10\.'; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=campus.test \
    -keyout /etc/mysql/server.key -out /etc/mysql/server.pem 2>/dev/null
  chown mysql /etc/mysql/server.key
  printf '[mariadbd]\nssl_cert = /etc/mysql/server.pem\nssl_key = /etc/mysql/server.key\n' \
    >/etc/mysql/mariadb.conf.d/55-certificate.cnf
fi

# The accounts of both sites. One tutorial of the application said "GRANT ALL", another one "open it for HeidiSQL".
install -d -o mysql -g mysql /run/mysqld
mariadbd-safe --skip-networking --skip-syslog >/dev/null 2>&1 &
for _ in $(seq 100); do
  mariadb-admin --silent ping >/dev/null 2>&1 && break
  sleep 0.2
done
mariadb <<SQL
CREATE DATABASE chamilo CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
GRANT ALL PRIVILEGES ON *.* TO 'chamilo'@'%' IDENTIFIED BY '$DATABASE_PASSWORD' WITH GRANT OPTION;
CREATE DATABASE shop CHARACTER SET utf8mb4;
GRANT ALL PRIVILEGES ON shop.* TO 'shop'@'localhost' IDENTIFIED BY 'shop-database-password';
USE shop;
CREATE TABLE article (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50) NOT NULL);
INSERT INTO article (name) VALUES ('pencil'), ('paper'), ('rubber');
CREATE TABLE visit (id INT AUTO_INCREMENT PRIMARY KEY, at DATETIME NOT NULL);
SQL
mariadb --init-command="SET @portal = 'http://campus.test/'" chamilo </var/tmp/schema.sql
mariadb-admin shutdown
wait

# "It did not work, so I made it 777."
chown -R www-data:www-data /var/www/chamilo
chmod -R 777 /var/www/chamilo

# Symfony keeps its cache from the first request on; here it is there already.
runuser -u www-data -- env HOME=/var/tmp php bin/console cache:warmup --quiet
chmod -R 777 var/cache

# The modes of a checkout are nobody's wish.
chmod -R u=rwX,go=rX /var/www/shop /etc/cron.d/shop /etc/mysql/mariadb.conf.d/60-remote.cnf /var/tmp/shop-pool.conf
useradd --system --home-dir /var/www/shop --shell /usr/sbin/nologin shop
install -d -o shop -g shop -m 0755 /var/www/shop/uploads
chown -R shop:shop /var/www/shop
mv /var/tmp/shop-pool.conf /etc/php/@PHP@/fpm/pool.d/shop.conf
rm -rf /var/tmp/application.tar /var/tmp/schema.sql /run/mysqld
chmod 1777 /var/tmp  # docker cp gave it the mode of our own directory
