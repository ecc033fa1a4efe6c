<?php

// Old SOAP service: answers a fault.

header('Content-Type: text/xml');
echo '<?xml version="1.0"?><fault>unknown method</fault>';
