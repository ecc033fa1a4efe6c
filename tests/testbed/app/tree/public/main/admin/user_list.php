<?php

require_once __DIR__.'/../inc/global.inc.php';

api_protect_admin_script();
$rows = Container::$container->get('doctrine.dbal.default_connection')->fetchFirstColumn('SELECT username FROM user ORDER BY id');
(new Template('Users'))->display('<ul><li>'.implode('</li><li>', array_map('htmlspecialchars', $rows)).'</li></ul>');
