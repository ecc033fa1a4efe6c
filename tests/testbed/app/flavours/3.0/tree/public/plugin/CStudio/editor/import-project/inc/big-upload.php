<?php

http_response_code(403);
header('Content-Type: application/json');
echo '{"errorStatus":1,"errorText":"Forbidden"}';
