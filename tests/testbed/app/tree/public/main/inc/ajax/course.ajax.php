<?php

require_once __DIR__.'/../global.inc.php';

api_block_anonymous_users();
header('Content-Type: application/json');
echo json_encode(Container::$container->get('doctrine.dbal.default_connection')->fetchAllAssociative('SELECT code, title FROM course'));
