<?php

require_once __DIR__.'/../../inc/global.inc.php';

header('Content-Type: application/json');
if ('true' === api_get_setting('webservice.disable_webservices')) {
    http_response_code(403);
    echo json_encode(['error' => true, 'message' => 'Webservices are disabled']);
    exit;
}
echo json_encode(['error' => true, 'message' => 'The api_key is missing']);
