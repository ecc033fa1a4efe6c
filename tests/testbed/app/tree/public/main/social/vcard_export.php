<?php

// Does not need the kernel.

header('Content-Type: text/vcard');
echo "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Campus\r\nEND:VCARD\r\n";
