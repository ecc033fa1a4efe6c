<?php

// Takes its time, up to 30 seconds: for reloads under way.

$seconds = max(0, min(30, (int) ($_GET['seconds'] ?? 2)));
sleep($seconds);
header('Content-Type: text/plain');
echo 'slept ', $seconds, " seconds\n";
