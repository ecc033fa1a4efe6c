<?php
// A second, unrelated site: what it answers must be the same before and after any hardening of its neighbour.
$count = (require __DIR__ . '/database.php')->query('SELECT COUNT(*) FROM article')->fetchColumn();
setcookie('basket', 'empty', ['path' => '/', 'samesite' => 'None']);
header('Content-Type: text/plain');
echo "shop: $count articles, served by ", posix_getpwuid(posix_geteuid())['name'], "\n";
