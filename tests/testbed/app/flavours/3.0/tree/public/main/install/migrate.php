<?php

use Chamilo\CoreBundle\Helpers\InstallerGate;

require_once __DIR__.'/../../../vendor/autoload.php';
header('Content-Type: application/json');
$open = InstallerGate::isOpen(dirname(__DIR__, 3));
http_response_code($open ? 200 : 409);
echo json_encode($open ? ['status' => 'ready'] : ['error' => 'The installation is up to date.']);
