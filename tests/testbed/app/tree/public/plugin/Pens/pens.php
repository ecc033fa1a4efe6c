<?php

// Collects a package from the address that the caller names: the caller may be anybody. This one only says what it would fetch.
header('Content-Type: text/plain');
$url = is_string($_REQUEST['package-url'] ?? null) ? $_REQUEST['package-url'] : '';
echo "error=0\r\nerror-text=none\r\nversion=1.0.0\r\npens-data=\r\npackage-url=", strtr($url, "\r\n", '  '), "\r\n";
