<?php

// Without the kernel.

header('Content-Type: application/json');
echo '{"status": "ok"}';
