<?php

require_once __DIR__.'/../global.inc.php';

header('Content-Type: application/json');
echo json_encode(['count' => null === api_get_user() ? 0 : 1]);
